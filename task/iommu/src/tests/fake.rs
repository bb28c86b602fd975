//! A functional SMMU: consumes commands, walks the tables, caches entries and translations until they are
//! invalidated, records events.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use smmu::registers::*;
use smmu::stream::{StreamTableEntry, level1_decode};
use smmu::{Class, Command, ContextDescriptor, Event, EventKind, QueueIndex, StreamConfig};
use vmsa::{Attributes, Descriptor, Granule, Permissions, Regime};

use super::journal::{Did, Journal};
use crate::hardware::Hardware;

pub const TABLES_PA: u64 = 0x4_4000_0000;
pub const TABLES_LEN: u64 = 0x4_0000;

/// Switches of the fake.
pub struct Behaviour {
    pub idr: [u32; 4],
    pub has_gbpa: bool,
    /// Commands are not consumed.
    pub stuck: bool,
    /// The next command of each of these opcodes is refused, one after the other.
    pub refuse: Vec<u64>,
    /// Every command is refused, also the one that repairs a refused one.
    pub refuse_all: bool,
    /// The task is not run for a second when it has read the clock so often, and meanwhile the SMMU goes on with
    /// what it was stuck at.
    pub preempted_in: Option<u32>,
    /// Commands are carried out only when somebody looks at how far they are, one at a look.
    pub slow: bool,
    /// So many records more arrive whenever some were taken.
    pub refill: u32,
    /// Until when `CR0ACK` shows another value than what an earlier life wrote to `CR0`, and which.
    pub lagging: Option<(u64, u32)>,
    /// Overflow is reported as `EVENTQ_ABT_ERR`, as QEMU does; else as `OVFLG`.
    pub overflow_as_abort: bool,
    /// A register of 64 bits, and which of them are 0 whatever is written.
    pub read_as_zero: Option<(usize, u64)>,
}

pub struct Fake {
    pub words: Vec<u64>,
    pub registers: BTreeMap<usize, u64>,
    pub commands: Vec<Command>,
    pub journal: Journal,
    pub time: u64,
    pub behaviour: Behaviour,
    /// Number of barriers.
    pub published: u64,
    /// Words of table memory that were loaded and stored.
    pub loads: u64,
    pub stores: u64,
    streams: BTreeMap<u32, [u64; 8]>,
    contexts: BTreeMap<u32, [u64; 8]>,
    /// (ASID, page) to leaf and level.
    tlb: BTreeMap<(u16, u64), (u64, u32)>,
}

#[derive(Clone)]
pub struct Handle(pub Rc<RefCell<Fake>>);

impl Fake {
    pub fn new() -> Self {
        Self {
            words: vec![0; (TABLES_LEN / 8) as usize],
            registers: BTreeMap::new(),
            commands: Vec::new(),
            journal: Journal::default(),
            time: 1 << 20,
            behaviour: Behaviour {
                idr: [0x0d40_101a, 0x0273_0010, 0x1404, 0x74],
                has_gbpa: true,
                stuck: false,
                refuse: Vec::new(),
                refuse_all: false,
                preempted_in: None,
                slow: false,
                refill: 0,
                lagging: None,
                overflow_as_abort: true,
                read_as_zero: None,
            },
            published: 0,
            loads: 0,
            stores: 0,
            streams: BTreeMap::new(),
            contexts: BTreeMap::new(),
            tlb: BTreeMap::new(),
        }
    }

    pub fn get(&self, register: usize) -> u32 {
        *self.registers.get(&register).unwrap_or(&0) as u32
    }
    pub fn set(&mut self, register: usize, value: u32) {
        self.registers.insert(register, u64::from(value));
    }
    pub fn word(&self, offset: u64) -> u64 {
        *self.words.get((offset / 8) as usize).unwrap_or(&0)
    }
    pub fn put(&mut self, offset: u64, values: &[u64]) {
        for (index, value) in values.iter().enumerate() {
            self.words[(offset / 8) as usize + index] = *value;
        }
    }
    fn physical(&self, pa: u64) -> u64 {
        self.word(pa - TABLES_PA)
    }
    fn eight(&self, pa: u64) -> [u64; 8] {
        core::array::from_fn(|word| self.physical(pa + word as u64 * 8))
    }

    /// Consumes commands up to the producer index, at most so many.
    fn consume(&mut self, at_most: usize) {
        if !cr0::CMDQEN.is_set32(self.get(CR0)) {
            return;
        }
        let base = self.registers.get(&CMDQ_BASE).copied().unwrap_or(0);
        let log2 = queue_base::LOG2SIZE.get(base) as u32;
        let ring = queue_base::ADDR.address(base) - TABLES_PA;
        for _ in 0..at_most {
            let producer = QueueIndex::new(self.get(CMDQ_PROD), log2);
            let consumer = QueueIndex::new(self.get(CMDQ_CONS), log2);
            let error = (self.get(GERROR) ^ self.get(GERRORN)) & 1 != 0;
            if producer == consumer || self.behaviour.stuck || error {
                return;
            }
            let at = ring + consumer.slot() * 16;
            let words = [self.word(at), self.word(at + 8)];
            let listed = self.behaviour.refuse.first() == Some(&(words[0] & 0xff));
            let refuse = listed || self.behaviour.refuse_all;
            let Some(command) = Command::decode(words).filter(|_| !refuse) else {
                if listed {
                    self.behaviour.refuse.remove(0);
                }
                self.set(CMDQ_CONS, consumer.raw() | 1 << 24);
                self.set(GERROR, self.get(GERROR) ^ 1);
                return;
            };
            self.execute(command);
            self.set(CMDQ_CONS, consumer.advance(1).raw());
        }
    }

    fn execute(&mut self, command: Command) {
        self.commands.push(command);
        self.journal.note(Did::Command(command));
        match command {
            Command::ConfigStream { stream, .. } => {
                self.streams.remove(&stream);
                self.contexts.remove(&stream);
            }
            Command::ConfigAll => {
                self.streams.clear();
                self.contexts.clear();
            }
            Command::ConfigContext { stream } => {
                self.contexts.remove(&stream);
            }
            Command::TlbAsid { asid } => self.tlb.retain(|key, _| key.0 != asid),
            Command::TlbAddress { asid, address } => {
                self.forget(asid, address >> 12, 1, None);
            }
            Command::TlbRange {
                asid,
                address,
                num,
                scale,
                level,
            } => {
                let pages = u64::from(num + 1) << scale;
                assert!(level == 3 || address & 0x1f_ffff == 0, "§4.4.1.1, TTL");
                self.forget(asid, address >> 12, pages, Some(level));
            }
            Command::TlbAll => self.tlb.clear(),
            Command::TlbEl2All | Command::Sync => {}
        }
    }

    fn forget(&mut self, asid: u16, page: u64, pages: u64, only: Option<u32>) {
        self.tlb.retain(|&(tag, at), &mut (_, level)| {
            let size = if level == 2 { 512 } else { 1 };
            let first = at / size * size;
            let hit = tag == asid && first < page + pages && page < first + size;
            !(hit && only.is_none_or(|only| only == level))
        });
    }

    /// A device's access: the physical address, or none and an event.
    pub fn access(&mut self, stream: u32, iova: u64, write: bool) -> Option<u64> {
        if !cr0::SMMUEN.is_set32(self.get(CR0)) {
            return (!gbpa::ABORT.is_set32(self.get(GBPA))).then_some(iova);
        }
        match self.translate(stream, iova, write) {
            Ok(pa) => Some(pa),
            Err(None) => None,
            Err(Some(kind)) => {
                self.record(&Event {
                    kind,
                    number: kind as u8,
                    stream,
                    read: !write,
                    class: Class::Input,
                    address: if kind.has_access() { iova } else { 0 },
                    fetch: 0,
                });
                None
            }
        }
    }

    fn translate(&mut self, stream: u32, iova: u64, write: bool) -> Result<u64, Option<EventKind>> {
        let base = strtab::ADDR.address(self.registers[&STRTAB_BASE]);
        let log2 = strtab::LOG2SIZE.get32(self.get(STRTAB_BASE_CFG));
        if u64::from(stream) >> log2 != 0 {
            return Err(Some(EventKind::BadStreamId));
        }
        let entry = match self.streams.get(&stream) {
            Some(entry) => *entry,
            None => {
                let l1 = self.physical(base + u64::from(stream >> 8) * 8);
                let Some((array, _)) = level1_decode(l1) else {
                    return Err(Some(EventKind::BadStreamId));
                };
                let entry = self.eight(array + u64::from(stream & 0xff) * 64);
                self.streams.insert(stream, entry);
                entry
            }
        };
        let entry = StreamTableEntry(entry);
        if !entry.valid() {
            return Err(Some(EventKind::BadStream));
        }
        match entry.config() {
            StreamConfig::Abort => return Err(None),
            StreamConfig::Stage1 => {}
            StreamConfig::Bypass => return Ok(iova),
            other => panic!("stream {stream:#x} set to {other:?}"),
        }
        let context = match self.contexts.get(&stream) {
            Some(context) => *context,
            None => {
                let context = self.eight(entry.context());
                self.contexts.insert(stream, context);
                context
            }
        };
        let context = ContextDescriptor::decode(&context).ok_or(Some(EventKind::BadContext))?;
        if iova >> context.input_bits != 0 {
            return Err(Some(EventKind::Translation));
        }
        let (leaf, level) = match self.tlb.get(&(context.asid, iova >> 12)) {
            Some(hit) => *hit,
            None => {
                let found = self
                    .walk(&context, iova)
                    .ok_or(Some(EventKind::Translation))?;
                self.tlb.insert((context.asid, iova >> 12), found);
                found
            }
        };
        let Descriptor::Leaf { output, attributes } =
            Descriptor::decode(Granule::Size4K, level, leaf)
        else {
            panic!("not a leaf");
        };
        // The server's mark lies in bits the SMMU ignores.
        let attributes = Attributes::of(attributes.bits() & !(0xf << 55));
        let (_, permissions) = attributes
            .decode(Regime::Device)
            .expect("device attributes");
        if write && permissions != Permissions::ReadWrite {
            return Err(Some(EventKind::Permission));
        }
        let mask = if level == 2 { 0x1f_ffff } else { 0xfff };
        Ok(output | iova & mask)
    }

    fn walk(&self, context: &ContextDescriptor, iova: u64) -> Option<(u64, u32)> {
        let mut table = context.root;
        for level in Granule::Size4K.root_level(context.input_bits)..=3 {
            let shift = 39 - 9 * level;
            let word = self.physical(table + (iova >> shift & 511) * 8);
            match Descriptor::decode(Granule::Size4K, level, word) {
                Descriptor::Table { next } => table = next,
                Descriptor::Leaf { .. } => return Some((word, level)),
                Descriptor::Invalid => return None,
            }
        }
        None
    }

    /// As a device does that faults faster than its records are taken.
    fn refill(&mut self) {
        for page in 0..u64::from(self.behaviour.refill) {
            self.access(0x100, 0x1000_0000 + page * 4096, true);
        }
    }

    /// Writes an event record, or loses it.
    pub fn record(&mut self, event: &Event) {
        let base = self.registers[&EVENTQ_BASE];
        let log2 = queue_base::LOG2SIZE.get(base) as u32;
        let raw = self.get(EVENTQ_PROD);
        let producer = QueueIndex::new(raw, log2);
        let consumer = QueueIndex::new(self.get(EVENTQ_CONS), log2);
        if producer.distance(consumer) == 1 << log2 {
            if self.behaviour.overflow_as_abort {
                if (self.get(GERROR) ^ self.get(GERRORN)) & 4 == 0 {
                    self.set(GERROR, self.get(GERROR) ^ 4);
                }
            } else if (raw ^ self.get(EVENTQ_CONS)) >> 31 == 0 {
                self.set(EVENTQ_PROD, raw ^ 1 << 31);
            }
            return;
        }
        let at = queue_base::ADDR.address(base) - TABLES_PA + producer.slot() * 32;
        self.put(at, &event.encode());
        self.set(EVENTQ_PROD, producer.advance(1).raw() | raw & 1 << 31);
    }
}

impl Handle {
    fn step(&self) {
        let journal = self.0.borrow().journal.clone();
        journal.step();
    }
}

impl Hardware for Handle {
    fn read32(&mut self, register: usize) -> u32 {
        let mut fake = self.0.borrow_mut();
        if register == CMDQ_CONS && fake.behaviour.slow {
            fake.consume(1);
        }
        match register {
            IDR0 => fake.behaviour.idr[0],
            IDR1 => fake.behaviour.idr[1],
            IDR3 => fake.behaviour.idr[2],
            IDR5 => fake.behaviour.idr[3],
            AIDR => 1,
            CR0ACK => match fake.behaviour.lagging {
                Some((until, old)) if fake.time < until => old,
                _ => fake.get(CR0),
            },
            IRQ_CTRLACK => fake.get(IRQ_CTRL),
            other => fake.get(other),
        }
    }
    fn write32(&mut self, register: usize, value: u32) {
        self.step();
        let mut fake = self.0.borrow_mut();
        fake.journal.note(Did::Register(register, value));
        let settled = fake
            .behaviour
            .lagging
            .is_none_or(|(until, _)| fake.time >= until);
        match register {
            CR0 if !settled => panic!("CR0 written before CR0ACK followed the write before"),
            GBPA if !fake.behaviour.has_gbpa => {}
            GBPA => fake.set(GBPA, value & !gbpa::UPDATE.put32(1)),
            EVENTQ_CONS => {
                // OVACKFLG equal to OVFLG acknowledges.
                fake.set(EVENTQ_CONS, value);
                fake.refill();
            }
            other => fake.set(other, value),
        }
        if matches!(register, CMDQ_PROD | GERRORN | CR0) && !fake.behaviour.slow {
            fake.consume(usize::MAX);
        }
    }
    fn read64(&mut self, register: usize) -> u64 {
        *self.0.borrow().registers.get(&register).unwrap_or(&0)
    }
    fn write64(&mut self, register: usize, value: u64) {
        self.step();
        let mut fake = self.0.borrow_mut();
        let zero = fake.behaviour.read_as_zero;
        let zero = zero.filter(|(of, _)| *of == register);
        let kept = !zero.map_or(0, |(_, bits)| bits);
        fake.registers.insert(register, value & kept);
    }
    fn load(&mut self, offset: u64) -> u64 {
        let mut fake = self.0.borrow_mut();
        fake.loads += 1;
        fake.word(offset)
    }
    fn store(&mut self, offset: u64, value: u64) {
        self.step();
        let mut fake = self.0.borrow_mut();
        fake.stores += 1;
        if let Some(word) = fake.words.get_mut((offset / 8) as usize) {
            *word = value;
        }
    }
    fn publish(&mut self) {
        self.0.borrow_mut().published += 1;
    }
    fn acquire(&mut self) {}
    fn now(&mut self) -> u64 {
        let mut fake = self.0.borrow_mut();
        fake.time += 1000;
        fake.behaviour.preempted_in = match fake.behaviour.preempted_in {
            Some(0) => {
                fake.time += 1_000_000_000;
                if core::mem::take(&mut fake.behaviour.stuck) {
                    let commands = if fake.behaviour.slow { 1 } else { usize::MAX };
                    fake.consume(commands);
                }
                None
            }
            left => left.map(|left| left - 1),
        };
        fake.time
    }
    fn ticks(&self, nanoseconds: u64) -> u64 {
        nanoseconds
    }
}
