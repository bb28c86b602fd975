//! A controller on the host: it does what the specification says, but for what a test tells it.

use core::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::vec::Vec as List;

use blk_server::testing::HostMemory;
use userlib::delay::DelayNs;
use userlib::memory::Memory;

use crate::controller::{Vector, Vectors};
use crate::layout::{POOL_LEN, Places, READABLE_LEN, WRITABLE};
use crate::registers::{ACQ, AQA, ASQ, CAP, CC, CSTS, DOORBELLS};

pub const PLACES: Places = Places {
    readable: 0x1_2300_0000,
    writable: 0x1_2400_0000,
};

/// Counts, and waits for nothing.
#[derive(Debug, Default)]
pub struct Waits(pub u64);

impl DelayNs for Waits {
    fn delay_ns(&mut self, ns: u32) {
        self.0 += u64::from(ns);
    }
}

/// Vectors of so many queues, each with a bit of its own from bit 16 up.
pub fn vectors(count: u16) -> Vectors {
    (0..count)
        .map(|number| Vector {
            number,
            bit: 1 << (16 + number),
        })
        .collect()
}

#[derive(Debug, Default)]
struct Queue {
    commands: usize,
    completions: usize,
    entries: u16,
    vector: u16,
    taken: u16,
    tail: u16,
    full_rounds: u32,
    given: u16,
}

/// An I/O command that the controller was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    pub queue: u16,
    pub words: [u64; 8],
}

impl Seen {
    pub fn id(&self) -> u16 {
        (self.words[0] >> 16) as u16
    }
    pub fn opcode(&self) -> u8 {
        self.words[0] as u8
    }
    pub fn namespace(&self) -> u32 {
        (self.words[0] >> 32) as u32
    }
}

#[derive(Debug)]
pub struct State {
    pub memory: HostMemory,
    pub cap: u64,
    cc: u32,
    pub status: u32,
    aqa: u32,
    queues: BTreeMap<u16, Queue>,
    low: BTreeMap<usize, u32>,
    /// Size of each namespace in blocks, and its blocks as a power of two, by its number.
    pub namespaces: BTreeMap<u32, (u64, u8)>,
    pub transfer_power: u8,
    /// Pairs of queues that it has.
    pub pairs: u16,
    /// It never becomes ready.
    pub is_stuck: bool,
    /// It becomes broken when it is enabled.
    pub is_fatal: bool,
    /// Admin commands of this opcode end with this status.
    pub refuses: Option<(u8, u16)>,
    /// Admin completions have these bits turned in their third and last dword.
    pub lies: (u32, u32),
    /// Bytes that it writes over what it says of itself.
    pub scribbles: List<(usize, u8)>,
    /// I/O commands are kept until a test completes them.
    pub keeps: bool,
    /// How the next I/O commands end; then they succeed.
    pub statuses: VecDeque<u16>,
    pub seen: List<Seen>,
    pub resets: u32,
    pub shutdowns: u32,
}

/// A controller and its registers.
#[derive(Clone, Debug)]
pub struct Fake(pub Rc<RefCell<State>>);

impl Fake {
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(State {
            memory: HostMemory::new(POOL_LEN),
            // 2048 entries, half a second, the NVM command set.
            cap: 1 << 37 | 1 << 24 | 1 << 16 | 2047,
            cc: 0,
            status: 0,
            aqa: 0,
            queues: BTreeMap::new(),
            low: BTreeMap::new(),
            namespaces: [(1, (2048, 9))].into(),
            transfer_power: 7,
            pairs: 64,
            is_stuck: false,
            is_fatal: false,
            refuses: None,
            lies: (0, 0),
            scribbles: List::new(),
            keeps: false,
            statuses: VecDeque::new(),
            seen: List::new(),
            resets: 0,
            shutdowns: 0,
        })))
    }

    pub fn memory(&self) -> HostMemory {
        self.0.borrow().memory.clone()
    }
    pub fn tell(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.0.borrow_mut());
    }
    pub fn seen(&self) -> List<Seen> {
        self.0.borrow().seen.clone()
    }
    /// Ends a command that was kept.
    pub fn complete(&self, queue: u16, id: u16, status: u16) {
        self.0.borrow_mut().complete(queue, id, status, 0);
    }
    /// Completions that were not given back.
    pub fn pending(&self, queue: u16) -> u16 {
        let state = self.0.borrow();
        let queue = &state.queues[&queue];
        (queue.tail + queue.entries - queue.given) % queue.entries
    }
    pub fn vector(&self, queue: u16) -> u16 {
        self.0.borrow().queues[&queue].vector
    }
}

fn offset(iova: u64) -> usize {
    let in_readable = iova.wrapping_sub(PLACES.readable) as usize;
    let in_writable = iova.wrapping_sub(PLACES.writable) as usize;
    if in_readable < READABLE_LEN {
        in_readable
    } else {
        assert!(in_writable < POOL_LEN - WRITABLE, "{iova:#x} is not mapped");
        WRITABLE + in_writable
    }
}

impl State {
    fn enable(&mut self, on: bool) {
        if on {
            let base = |register| {
                let low = self.low.get(&register).copied().unwrap_or(0);
                let high = self.low.get(&(register + 4)).copied().unwrap_or(0);
                offset(u64::from(low) | u64::from(high) << 32)
            };
            let admin = Queue {
                commands: base(ASQ),
                completions: base(ACQ),
                entries: (self.aqa & 0xfff) as u16 + 1,
                ..Queue::default()
            };
            self.queues.insert(0, admin);
            self.status = if self.is_fatal {
                2
            } else {
                u32::from(!self.is_stuck)
            };
        } else {
            self.queues.clear();
            self.status = if self.is_stuck { self.status } else { 0 };
            self.resets += 1;
        }
    }

    fn complete(&mut self, id: u16, command: u16, status: u16, result: u32) {
        let lies = if id == 0 { self.lies } else { (0, 0) };
        let queue = self.queues.get_mut(&id).expect("a queue");
        let at = queue.completions + 16 * usize::from(queue.tail);
        let phase = u32::from(queue.full_rounds.is_multiple_of(2));
        let last = u32::from(command) | phase << 16 | u32::from(status) << 17;
        self.memory.write32(at, result);
        self.memory.write32(
            at + 8,
            (u32::from(queue.taken) | u32::from(id) << 16) ^ lies.0,
        );
        self.memory.write32(at + 12, last ^ lies.1);
        queue.tail += 1;
        if queue.tail == queue.entries {
            queue.tail = 0;
            queue.full_rounds += 1;
        }
        assert_ne!(queue.tail, queue.given, "the completion queue is full");
    }

    fn doorbell(&mut self, id: u16, tail: u16) {
        loop {
            let queue = self.queues.get_mut(&id).expect("a queue");
            assert!(tail < queue.entries);
            if queue.taken == tail {
                return;
            }
            let at = queue.commands + 64 * usize::from(queue.taken);
            queue.taken = (queue.taken + 1) % queue.entries;
            let words = core::array::from_fn(|word| self.memory.read64(at + 8 * word));
            let seen = Seen { queue: id, words };
            if id == 0 {
                self.admin(seen);
                continue;
            }
            self.seen.push(seen);
            if !self.keeps {
                let status = self.statuses.pop_front().unwrap_or(0);
                self.complete(id, seen.id(), status, 0);
            }
        }
    }

    fn admin(&mut self, command: Seen) {
        let words = command.words;
        let (ten, eleven) = (words[5] as u32, (words[5] >> 32) as u32);
        let refused = self
            .refuses
            .filter(|(opcode, _)| *opcode == command.opcode());
        if let Some((_, status)) = refused {
            return self.complete(0, command.id(), status, 0);
        }
        let mut result = 0;
        match command.opcode() {
            0x06 => self.identify(ten, command.namespace(), offset(words[3])),
            0x09 => {
                assert_eq!(ten, 7);
                let most = u32::from(self.pairs - 1);
                result = most | most << 16;
            }
            0x05 => {
                assert_eq!(eleven & 3, 3);
                let queue = Queue {
                    completions: offset(words[3]),
                    entries: (ten >> 16) as u16 + 1,
                    vector: (eleven >> 16) as u16,
                    ..Queue::default()
                };
                assert!(ten as u16 <= self.pairs);
                self.queues.insert(ten as u16, queue);
            }
            0x01 => {
                let queue = self
                    .queues
                    .get_mut(&(ten as u16))
                    .expect("its completion queue");
                assert_eq!((eleven >> 16) as u16, ten as u16);
                assert_eq!((ten >> 16) as u16 + 1, queue.entries);
                queue.commands = offset(words[3]);
            }
            other => panic!("admin command {other:#x}"),
        }
        self.complete(0, command.id(), 0, result);
    }

    fn identify(&self, cns: u32, namespace: u32, at: usize) {
        for word in (0..4096).step_by(8) {
            self.memory.write64(at + word, 0);
        }
        match cns {
            0 => {
                let (blocks, power) = self.namespaces.get(&namespace).copied().unwrap_or((1, 9));
                self.memory.write64(at, blocks);
                self.memory.write32(at + 128, u32::from(power) << 16);
            }
            1 => {
                self.memory.write8(at + 77, self.transfer_power);
                self.memory.write16(at + 512, 0x4466);
                self.memory.write16(at + 520, 1 << 3);
                self.memory.write8(at + 525, 1);
            }
            2 => {
                for (index, number) in self.namespaces.keys().enumerate() {
                    self.memory.write32(at + 4 * index, *number);
                }
            }
            other => panic!("identify {other}"),
        }
        for (offset, byte) in &self.scribbles {
            self.memory.write8(at + offset, *byte);
        }
    }
}

impl userlib::registers::Registers for Fake {
    fn read8(&self, _: usize) -> u8 {
        panic!("registers have 32 bits")
    }
    fn read16(&self, _: usize) -> u16 {
        panic!("registers have 32 bits")
    }
    fn read32(&self, offset: usize) -> u32 {
        let state = self.0.borrow();
        match offset {
            CAP => state.cap as u32,
            0x04 => (state.cap >> 32) as u32,
            CSTS => state.status,
            other => panic!("read of {other:#x}"),
        }
    }
    fn read64(&self, _: usize) -> u64 {
        panic!("registers have 32 bits")
    }
    fn write8(&self, _: usize, _: u8) {
        panic!("registers have 32 bits")
    }
    fn write16(&self, _: usize, _: u16) {
        panic!("registers have 32 bits")
    }
    fn write32(&self, offset: usize, value: u32) {
        let mut state = self.0.borrow_mut();
        match offset {
            CC => {
                let was = core::mem::replace(&mut state.cc, value);
                if value & 1 == 0 || was & 1 == 0 {
                    state.enable(value & 1 != 0);
                } else if value & 3 << 14 != 0 {
                    state.shutdowns += 1;
                    state.status |= 2 << 2;
                }
            }
            AQA => state.aqa = value,
            0x28..0x38 => drop(state.low.insert(offset, value)),
            DOORBELLS.. => {
                let index = ((offset - DOORBELLS) / 4) as u16;
                if index.is_multiple_of(2) {
                    state.doorbell(index / 2, value as u16);
                } else if let Some(queue) = state.queues.get_mut(&(index / 2)) {
                    queue.given = value as u16;
                }
            }
            other => panic!("write of {other:#x}"),
        }
    }
    fn write64(&self, _: usize, _: u64) {
        panic!("registers have 32 bits")
    }
}
