//! The SMMU as a whole, and what it does by itself between two accesses of the processor.

mod audit;
mod event;
mod fetch;
mod flight;
mod queue;
mod registers;
mod walk;

use std::collections::BTreeMap;

use crate::configuration::Cache;
use crate::features::{Features, Liberties};
use crate::finding::Findings;
use crate::tlb::Tlb;
use crate::{Chooser, Memory};
use queue::Commands;
use registers::Registers;

pub use audit::{Reach, Reachable};
pub use event::Fault;
pub use flight::Flight;
pub use walk::Translated;

/// An SMMUv3 and the memory it shares with its driver.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it can do.
    pub features: Features,
    /// What it takes the liberty to do.
    pub liberties: Liberties,
    /// Its source of choices.
    pub chooser: Chooser,
    /// Tables and queues.
    pub memory: Memory,
    /// What it found wrong.
    pub findings: Findings,
    /// The event queue's interrupt was raised.
    pub event_interrupt: bool,
    /// The global error interrupt was raised.
    pub error_interrupt: bool,
    /// Records written so far.
    pub events_written: u64,
    /// Records that were dropped so far because the queue was full.
    pub events_lost: u64,
    /// Transactions that devices may start at any moment.
    pub ambient: Vec<Ambient>,
    /// Records written so far, by stream.
    pub(crate) written: BTreeMap<u32, u64>,
    pub(crate) registers: Registers,
    pub(crate) cache: Cache,
    pub(crate) tlb: Tlb,
    pub(crate) commands: Commands,
    pub(crate) events: Vec<[u64; 4]>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) landed: Vec<Flight>,
    /// Streams that prefetches choose from.
    pub(crate) streams: Vec<u32>,
    /// Addresses that speculative walks choose from, the latest last.
    pub(crate) addresses: Vec<u64>,
    /// It does nothing while the task that looks at the time does not run.
    pub sleeps_too: bool,
    /// No command completes any more.
    pub(crate) stopped: bool,
    /// Goes up with every store, so that audits know what they have seen.
    pub(crate) stores: u64,
    clock: u64,
}

/// A transaction that a device may start by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ambient {
    /// The device.
    pub device: u32,
    /// Its stream.
    pub stream: u32,
    /// The input address.
    pub input: u64,
    /// Whether it writes.
    pub write: bool,
}

/// Ticks of a second.
pub const SECOND: u64 = 1_000_000;
/// Addresses of interest that are remembered.
const ADDRESSES: usize = 24;

impl Model {
    /// An SMMU after reset: disabled, its bypass open or not, its registers of any value they may have.
    /// `streams` are those that devices, or nobody, can use.
    #[must_use]
    pub fn new(
        features: Features,
        liberties: Liberties,
        seed: u64,
        memory: Memory,
        streams: &[u32],
    ) -> Self {
        let mut chooser = Chooser::new(seed);
        let registers = Registers {
            gbpa: if features.global_bypass {
                0x1000 | (chooser.word() as u32 & 1 << 20)
            } else {
                0
            },
            cr2: chooser.word() as u32 & 7,
            event_producer: chooser.word() as u32,
            event_consumer: chooser.word() as u32,
            ..Registers::default()
        };
        Self {
            features,
            liberties,
            chooser,
            memory,
            findings: Findings::default(),
            event_interrupt: false,
            error_interrupt: false,
            events_written: 0,
            events_lost: 0,
            ambient: Vec::new(),
            written: BTreeMap::new(),
            registers,
            cache: Cache::default(),
            tlb: Tlb::default(),
            commands: Commands::default(),
            events: Vec::new(),
            flights: Vec::new(),
            landed: Vec::new(),
            streams: streams.to_vec(),
            addresses: Vec::new(),
            sleeps_too: false,
            stopped: false,
            stores: 0,
            clock: 0,
        }
    }

    /// Firmware left the SMMU on, with tables of its own that have no entry for any stream.
    pub fn leave_on(&mut self) {
        self.registers.cr0 = 0b1101;
        self.registers.cr0_ack = 0b1101;
        self.registers.table_config = 0;
        self.registers.command_base = 0;
        self.registers.event_base = 0;
        self.registers.event_producer = 0;
        self.registers.event_consumer = 0;
        // Its last command may have been a bad one.
        self.registers.gerror = u32::from(self.chooser.once_in(2));
    }

    /// Fills the caches with what an earlier user may have left there (rule R8): `junk` translates
    /// everything, for every stream, into memory at `output`.
    pub fn leave_behind(&mut self, output: u64) {
        for &stream in &self.streams.clone() {
            self.cache.keep_stream(stream, 0, 0b1001);
            self.cache.keep_stream(stream, 1, 0);
            self.cache.keep_stream(stream, 2, 0);
        }
        for asid in 0..8 {
            self.tlb.keep_leaf(crate::tlb::Leaf {
                asid,
                vmid: 0,
                global: false,
                input: 0x1_0000_0000,
                shift: 30,
                level: 1,
                output,
                descriptor: 0x60_0000_0000_0f41 | output,
            });
        }
    }

    /// Makes speculative walks try an input address.
    pub fn interest(&mut self, address: u64) {
        if !self.addresses.contains(&address) {
            if self.addresses.len() >= ADDRESSES {
                self.addresses.remove(0);
            }
            self.addresses.push(address);
        }
    }

    /// A load of the processor from table memory.
    pub fn load(&mut self, address: u64) -> Option<u64> {
        self.memory.load(address, &mut self.chooser)
    }

    /// A store of the processor to table memory; false if there is none.
    pub fn store(&mut self, address: u64, value: u64) -> bool {
        self.stores += 1;
        self.pounce(address);
        let stored = self.memory.store(address, value);
        self.pounce(address);
        self.act();
        stored
    }

    /// A barrier: stores before it are visible to the SMMU before anything after it is.
    pub fn publish(&mut self) {
        self.act();
        self.memory.publish();
    }

    /// A barrier: loads after it see what the SMMU wrote before the index that was read last.
    pub fn acquire(&mut self) {
        self.memory.acquire();
    }

    /// Ticks since reset; time passes with every look at it. The task that looks may not be run for a second, in
    /// which an SMMU that works ends all that it was given.
    pub fn now(&mut self) -> u64 {
        self.act();
        self.clock += 1;
        if self.chooser.once_in(self.liberties.preempt) {
            self.clock += SECOND;
            if !self.sleeps_too {
                self.finish();
                self.show_command_consumer();
            }
        }
        self.clock
    }

    /// It completes no command any more: the rest of it goes on.
    pub fn stop_for_good(&mut self) {
        self.stopped = true;
    }

    /// Whether it has stopped for good.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// Ticks since reset, without a look at them.
    #[must_use]
    pub const fn clock(&self) -> u64 {
        self.clock
    }

    /// Lets time pass.
    pub fn pass(&mut self, ticks: u64) {
        self.clock += ticks;
    }

    /// Something happens by itself, or not.
    pub(crate) fn act(&mut self) {
        if !self.chooser.once_in(self.liberties.activity) {
            return;
        }
        self.take_effect(false);
        match self.chooser.below(9) {
            8 => self.start_ambient(),
            0 => self.speculate(),
            1 => self.evict(),
            2 => self.complete_one(),
            3 => self.write_one_event(),
            4 if self.chooser.once_in(self.liberties.perform) => self.perform_one(),
            _ => {
                if self.chooser.once_in(self.liberties.consume) {
                    while self.consume() && self.chooser.once_in(2) {}
                } else {
                    self.consume();
                }
            }
        }
    }

    /// Records written so far for a stream.
    #[must_use]
    pub fn written(&self, stream: u32) -> u64 {
        self.written.get(&stream).copied().unwrap_or(0)
    }

    /// Everything that is under way comes to its end.
    pub fn finish(&mut self) {
        self.take_effect(true);
        while self.consume() {}
        self.flush_events();
    }

    /// A walk nobody asked for: it fills caches and records nothing (rules C1, C2).
    pub(crate) fn speculate(&mut self) {
        let stream = self.chooser.pick(&self.streams).copied();
        let address = self.chooser.pick(&self.addresses).copied();
        if let (Some(stream), Some(address)) = (stream, address) {
            // What the walk met is noted by itself; nobody waits for its outcome.
            let _ = self.translate(stream, address, false);
        }
    }

    fn start_ambient(&mut self) {
        if let Some(&ambient) = self.chooser.pick(&self.ambient) {
            // Whether it is translated is the SMMU's affair; where it lands is checked.
            let _ = self.begin(ambient.device, ambient.stream, ambient.input, ambient.write);
        }
    }

    /// A cached translation goes for no reason (rule A17).
    fn evict(&mut self) {
        let index = self.chooser.below(self.tlb.leaves.len());
        if index < self.tlb.leaves.len() {
            self.tlb.leaves.swap_remove(index);
        }
        let index = self.chooser.below(self.tlb.steps.len());
        if index < self.tlb.steps.len() && self.chooser.once_in(2) {
            self.tlb.steps.swap_remove(index);
        }
    }
}
