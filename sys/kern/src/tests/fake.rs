//! A machine made of host memory.

use std::collections::BTreeMap;
use std::string::String;
use std::vec;
use std::vec::Vec;

use crate::Arch;

pub const RAM_BASE: u64 = 0x4000_0000;
pub const RAM_LEN: u64 = 0x40_0000;

pub struct Fake {
    pub ram: Vec<u8>,
    pub now: u64,
    pub timer: u64,
    pub timer_writes: usize,
    pub unmasked: BTreeMap<u32, bool>,
    pub edge: BTreeMap<u32, bool>,
    /// Edges that come again.
    pub repeated: Vec<u32>,
    /// Configuration and pending tables of message interrupts.
    pub messages: Option<(u64, u64)>,
    pub held_messages: bool,
    /// The first INTID that this machine has not got.
    pub intids: u32,
    pub defers_errors: bool,
    pub console: String,
    /// Bytes that the console takes before it is full.
    pub console_room: u64,
    pub verdict: Option<u64>,
    pub fatal: Option<&'static str>,
}

impl Fake {
    pub fn new() -> Self {
        Self {
            // What firmware and the run before left there.
            ram: vec![0xa5; RAM_LEN as usize],
            now: 1000,
            timer: 0,
            timer_writes: 0,
            unmasked: BTreeMap::new(),
            edge: BTreeMap::new(),
            repeated: Vec::new(),
            messages: None,
            held_messages: false,
            intids: 1020,
            defers_errors: false,
            console: String::new(),
            console_room: u64::MAX,
            verdict: None,
            fatal: None,
        }
    }

    fn range(physical: u64, len: u64) -> core::ops::Range<usize> {
        let from = (physical - RAM_BASE) as usize;
        from..from + len as usize
    }

    pub fn bytes(&mut self, physical: u64, len: u64) -> &mut [u8] {
        &mut self.ram[Self::range(physical, len)]
    }
}

impl Arch for Fake {
    fn copy(&mut self, to: u64, from: u64, len: u64) {
        if len != 0 {
            let source = self.ram[Self::range(from, len)].to_vec();
            self.bytes(to, len).copy_from_slice(&source);
        }
    }
    fn store(&mut self, to: u64, words: &[u64; 8], len: u64) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if len != 0 {
            self.bytes(to, len).copy_from_slice(&bytes[..len as usize]);
        }
    }
    fn load(&mut self, from: u64, len: u64) -> [u64; 8] {
        let mut bytes = [0; 64];
        bytes[..len as usize].copy_from_slice(self.bytes(from, len));
        core::array::from_fn(|word| u64::from_le_bytes(bytes[8 * word..][..8].try_into().unwrap()))
    }
    fn clear(&mut self, at: u64, len: u64) {
        if len != 0 {
            self.bytes(at, len).fill(0);
        }
    }
    fn set_interrupt(&mut self, intid: u32, enabled: bool) {
        self.unmasked.insert(intid, enabled);
    }
    fn repeat_interrupt(&mut self, intid: u32) {
        self.repeated.push(intid);
    }
    fn route_interrupt(&mut self, intid: u32, edge: bool) -> bool {
        self.edge.insert(intid, edge);
        intid < self.intids
    }
    fn start_messages(&mut self, configuration: u64, pending: u64) -> Option<u32> {
        self.messages = Some((configuration, pending));
        (self.intids >= 1020).then_some(5)
    }
    fn hold_messages(&mut self, held: bool) {
        self.held_messages = held;
    }
    fn now(&self) -> u64 {
        self.now
    }
    fn set_timer(&mut self, deadline: u64) {
        self.timer = deadline;
        self.timer_writes += 1;
    }
    fn console(&mut self, from: u64, len: u64) -> u64 {
        let len = len.min(self.console_room);
        self.console_room -= len;
        if len == 0 {
            return 0;
        }
        let text = String::from_utf8_lossy(self.bytes(from, len)).into_owned();
        self.console.push_str(&text);
        len
    }
    fn defers_errors(&self) -> bool {
        self.defers_errors
    }
    fn exit(&mut self, verdict: u64) {
        self.verdict = Some(verdict);
    }
    fn fatal(&mut self, why: &'static str) {
        self.fatal = Some(why);
    }
}
