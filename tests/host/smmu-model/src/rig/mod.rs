//! A small correct driver, step by step, so that each step can be left out.

pub mod steps;

use crate::{Features, Liberties, Memory, Model, Reach};
use smmu::registers as at;
use smmu::stream::{abort_word, attributes_word, level1_descriptor, stage1_word};
use smmu::{Command, ContextDescriptor, QueueIndex};
use vmsa::{Attributes, Granule, Memory as Kind, Permissions, Regime};

/// Physical address of the rig's memory.
pub const BASE: u64 = 0x4800_0000;
/// The streams that the machine has; two of them in one level-1 array.
pub const STREAMS: [u32; 3] = [0x008, 0x100, 0x108];
/// The ASID of the context.
pub const ASID: u16 = 5;
/// The first IOVA that the tables translate.
pub const WINDOW: u64 = 0x1_0000_0000;
/// Physical address of a page that a device may be given.
pub const PAGE: u64 = 0x5000_0000;

const ARRAYS: [(u32, u64); 2] = [(0, 0x4000), (1, 0x8000)];
/// The context descriptor of every stream.
pub const CONTEXT: u64 = 0xc000;
const COMMANDS: u64 = 0xd000;
const EVENTS: u64 = 0xe000;
const COMMAND_LOG2: u32 = 3;
const EVENT_LOG2: u32 = 3;
/// Where in the rig's memory the root table is.
pub const ROOT: u64 = 0x1_0000;
const LEVEL2: u64 = 0x1_1000;
const LEAVES: u64 = 0x1_2000;
/// A second leaf table, not linked.
pub const OTHER_LEAVES: u64 = 0x1_3000;

/// A driver of one SMMU with one context and one leaf table.
pub struct Rig {
    /// The SMMU.
    pub model: Model,
    producer: QueueIndex,
    stall_disable: bool,
}

impl Rig {
    /// Tables with every stream aborting, the SMMU on.
    pub fn new(features: Features, liberties: Liberties, seed: u64) -> Self {
        let mut rig = Self::dark(features, liberties, seed);
        rig.enable();
        rig
    }

    /// The same with the SMMU off.
    pub fn dark(features: Features, liberties: Liberties, seed: u64) -> Self {
        // This driver repairs nothing.
        let liberties = Liberties {
            abort: 0,
            ..liberties
        };
        let mut memory = Memory::new(BASE, 0x2_0000);
        let idr = smmu::Features::decode(
            features.idr0(),
            features.idr1(),
            features.idr3(),
            features.idr5(),
            features.minor,
        );
        let stall_disable = smmu::stream::stall_disable(&idr);
        for (bus, array) in ARRAYS {
            memory.preset(BASE + u64::from(bus) * 8, level1_descriptor(BASE + array));
            for entry in 0..256 {
                let place = BASE + array + entry * 64;
                memory.preset(place, abort_word());
                memory.preset(place + 8, attributes_word(true, stall_disable));
            }
        }
        memory.preset(
            BASE + ROOT + (WINDOW >> 30) * 8,
            vmsa::table(Granule::Size4K, BASE + LEVEL2),
        );
        memory.preset(BASE + LEVEL2, vmsa::table(Granule::Size4K, BASE + LEAVES));
        let model = Model::new(features, liberties, seed, memory, &STREAMS);
        let mut rig = Self {
            model,
            producer: QueueIndex::new(0, COMMAND_LOG2),
            stall_disable,
        };
        rig.model.interest(WINDOW);
        for (word, value) in rig.context(ASID, ROOT).into_iter().enumerate() {
            rig.model
                .memory
                .preset(BASE + CONTEXT + word as u64 * 8, value);
        }
        rig
    }

    /// Words of a context descriptor.
    pub fn context(&self, asid: u16, root: u64) -> [u64; 8] {
        ContextDescriptor {
            root: BASE + root,
            asid,
            input_bits: 39,
            output_bits: self.model.features.output_bits().min(48),
            mair: vmsa::MAIR,
            coherent: true,
        }
        .encode()
    }

    /// Starts the SMMU as IHI 0070 6.3 and 3.11 ask: tables and queues, invalidation, then CR0.
    pub fn enable(&mut self) {
        self.write_and_wait(0);
        if self.model.features.global_bypass {
            self.model.write32(at::GBPA, 1 << 31 | 1 << 20);
            while self.model.read32(at::GBPA) & 1 << 31 != 0 {}
        }
        self.model.write32(at::CR1, at::cr1::COHERENT);
        self.model.write32(at::CR2, 0b110);
        self.model.write64(at::STRTAB_BASE, BASE);
        self.model
            .write32(at::STRTAB_BASE_CFG, 1 << 16 | 8 << 6 | 16);
        self.model
            .write64(at::CMDQ_BASE, (BASE + COMMANDS) | u64::from(COMMAND_LOG2));
        self.model.write32(at::CMDQ_PROD, 0);
        self.model.write32(at::CMDQ_CONS, 0);
        self.model
            .write64(at::EVENTQ_BASE, (BASE + EVENTS) | u64::from(EVENT_LOG2));
        self.model.write32(at::EVENTQ_PROD, 0);
        self.model.write32(at::EVENTQ_CONS, 0);
        let check = u32::from(self.model.features.ats) << 4;
        self.write_and_wait(check | 1 << 3);
        self.command(Command::ConfigAll);
        self.sync();
        self.command(Command::TlbAll);
        self.sync();
        self.write_and_wait(check | 1 << 3 | 1 << 2);
        self.write_and_wait(check | 1 << 3 | 1 << 2 | 1);
    }

    /// Writes CR0 and waits until the SMMU has acknowledged it.
    pub fn write_and_wait(&mut self, value: u32) {
        self.model.write32(at::CR0, value);
        while self.model.read32(at::CR0ACK) != value {}
    }

    /// Stores a double word at an offset of the rig's memory.
    pub fn store(&mut self, offset: u64, value: u64) {
        assert!(self.model.store(BASE + offset, value));
    }

    /// Puts a command into the queue and waits until it is consumed, not completed.
    pub fn command(&mut self, command: Command) {
        let words = command.encode();
        self.command_words(words);
    }

    /// Puts a command of any two words into the queue and waits until it is consumed.
    pub fn command_words(&mut self, words: [u64; 2]) {
        let slot = COMMANDS + self.producer.slot() * 16;
        self.store(slot, words[0]);
        self.store(slot + 8, words[1]);
        self.model.publish();
        self.producer = self.producer.advance(1);
        self.model.write32(at::CMDQ_PROD, self.producer.raw());
        for _ in 0..10_000 {
            if self.model.read32(at::CMDQ_CONS) & 0xfffff == self.producer.raw() {
                return;
            }
        }
        panic!("command not consumed: {:?}", self.model.findings);
    }

    /// Waits until what was asked before is complete.
    pub fn sync(&mut self) {
        self.command(Command::Sync);
    }

    fn entry(stream: u32) -> u64 {
        let array = ARRAYS
            .iter()
            .find(|&&(bus, _)| bus == stream >> 8)
            .unwrap()
            .1;
        array + u64::from(stream & 0xff) * 64
    }

    /// The level-1 descriptor of a stream, and what it is.
    pub fn set_level1(&mut self, stream: u32, value: u64) {
        self.store(u64::from(stream >> 8) * 8, value);
    }

    /// The level-1 descriptor that a stream has after the start.
    pub fn level1(stream: u32) -> u64 {
        let array = ARRAYS.iter().find(|&&(bus, _)| bus == stream >> 8);
        level1_descriptor(BASE + array.unwrap().1)
    }

    /// Stores one word of a stream table entry.
    pub fn set_entry(&mut self, stream: u32, word: u64, value: u64) {
        self.store(Self::entry(stream) + word * 8, value);
    }

    /// Word 0 of a stream table entry, as stored last.
    pub fn entry_word(&self, stream: u32) -> u64 {
        self.model
            .memory
            .latest(BASE + Self::entry(stream))
            .unwrap()
    }

    /// Word 0 of an entry that translates by the context.
    pub fn stage1() -> u64 {
        stage1_word(BASE + CONTEXT)
    }

    /// Word 1 of an entry that translates.
    pub fn attributes(&self) -> u64 {
        attributes_word(true, self.stall_disable)
    }

    /// Lets a stream translate, with all steps.
    pub fn open(&mut self, stream: u32) {
        self.set_entry(stream, 0, Self::stage1());
        self.model.publish();
        self.command(Command::ConfigStream { stream, leaf: true });
        self.sync();
    }

    /// Lets a stream abort, with all steps.
    pub fn close(&mut self, stream: u32) {
        self.set_entry(stream, 0, abort_word());
        self.model.publish();
        self.command(Command::ConfigStream { stream, leaf: true });
        self.sync();
    }

    /// Stores one word of the context descriptor.
    pub fn set_context(&mut self, word: u64, value: u64) {
        self.store(CONTEXT + word * 8, value);
    }

    /// Stores the descriptor of a page of the window; none unmaps it.
    pub fn set_leaf(&mut self, page: u64, output: Option<(u64, Permissions)>) {
        let value = output.map_or(0, |(output, permissions)| leaf(output, permissions));
        self.store(LEAVES + page * 8, value);
    }

    /// Stores the level-2 descriptor above the window's pages.
    pub fn set_level2(&mut self, value: u64) {
        self.store(LEVEL2, value);
    }

    /// The level-2 descriptor that links the leaf table.
    pub fn leaves() -> u64 {
        vmsa::table(Granule::Size4K, BASE + LEAVES)
    }

    /// Maps a page of the window, with all steps.
    pub fn map(&mut self, page: u64, output: u64) {
        self.set_leaf(page, Some((output, Permissions::ReadWrite)));
        self.model.publish();
        self.model.interest(WINDOW + page * 4096);
    }

    /// Unmaps a page of the window, with all steps.
    pub fn unmap(&mut self, page: u64) {
        self.set_leaf(page, None);
        self.model.publish();
        self.command(Command::TlbAddress {
            asid: ASID,
            address: WINDOW + page * 4096,
        });
        self.sync();
    }

    /// All that the stream could reach.
    pub fn reach(&self, stream: u32) -> Vec<Reach> {
        let found = self.model.reachable(stream);
        assert!(!found.bypass);
        found.runs.into_iter().collect()
    }
}

/// The descriptor of a page.
pub fn leaf(output: u64, permissions: Permissions) -> u64 {
    let attributes = Attributes::new(Regime::Device, Kind::NormalWriteBack, permissions).unwrap();
    vmsa::leaf(Granule::Size4K, 3, output, attributes)
}

/// Runs a case on every part with `seeds` seeds each: in how many it found something.
pub fn count(seeds: u64, mut case: impl FnMut(Features, u64) -> bool) -> u64 {
    let mut found = 0;
    for features in Features::ALL {
        for seed in 0..seeds {
            found += u64::from(case(features, seed));
        }
    }
    found
}
