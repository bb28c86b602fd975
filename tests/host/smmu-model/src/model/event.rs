//! The event queue: records that come late, or never.

use super::Model;
use super::registers::{EVENTQ_ABT_ERR, EVENTQEN, Registers};
use crate::finding::Check;

/// Why a transaction is aborted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Without a record: Config=abort, SMMUEN=0 with GBPA.ABORT=1, speculation.
    Silent,
    /// StreamID beyond the table or in an invalid level-1 descriptor.
    BadStreamId,
    /// The STE could not be read.
    StreamFetch,
    /// The STE is invalid or illegal.
    BadStream,
    /// The CD could not be read.
    ContextFetch,
    /// The CD is invalid or illegal.
    BadContext,
    /// A table could not be read.
    WalkAbort,
    /// No translation.
    Translation,
    /// An address beyond the output size.
    AddressSize,
    /// AF=0.
    Access,
    /// Not permitted.
    Permission,
}

impl Fault {
    /// Number of the event; 0 if there is none (IHI 0070 G.b, 7.3).
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Silent => 0,
            Self::BadStreamId => 0x02,
            Self::StreamFetch => 0x03,
            Self::BadStream => 0x04,
            Self::ContextFetch => 0x09,
            Self::BadContext => 0x0a,
            Self::WalkAbort => 0x0b,
            Self::Translation => 0x10,
            Self::AddressSize => 0x11,
            Self::Access => 0x12,
            Self::Permission => 0x13,
        }
    }
}

impl Model {
    /// Prepares a record (7.3): written later, if at all.
    pub(crate) fn record(&mut self, fault: Fault, stream: u32, address: u64, write: bool) {
        let number = fault.number();
        if number == 0 {
            return;
        }
        let class = if fault == Fault::WalkAbort { 1 } else { 2 };
        let first = number | u64::from(stream) << 32;
        let second = u64::from(!write) << 35 | class << 40;
        let addressed = number >= 0x0b;
        let third = if addressed { address } else { 0 };
        self.events.push([first, second, third, 0]);
    }

    /// Records that were not written yet.
    #[must_use]
    pub fn events_waiting(&self) -> usize {
        self.events.len()
    }

    /// Rule F7: after a SYNC what is not visible never will be.
    pub(crate) fn flush_events(&mut self) {
        for record in std::mem::take(&mut self.events) {
            self.write_event(record);
        }
    }

    /// One record reaches the queue.
    pub(crate) fn write_one_event(&mut self) {
        if !self.events.is_empty() {
            let record = self.events.remove(0);
            self.write_event(record);
        }
    }

    fn write_event(&mut self, record: [u64; 4]) {
        if self.registers.cr0_ack & EVENTQEN == 0 {
            return;
        }
        let log2 = self.registers.event_log2();
        let mask = (2u32 << log2) - 1;
        let (producer, consumer) = (self.registers.event_producer, self.registers.event_consumer);
        let used = producer.wrapping_sub(consumer) & mask;
        if used >= 1 << log2 {
            self.overflow();
            return;
        }
        let base = Registers::queue_address(self.registers.event_base, log2, 32);
        let at = base + u64::from(producer & ((1 << log2) - 1)) * 32;
        for (word, value) in record.into_iter().enumerate() {
            self.memory.deposit(at + word as u64 * 8, value);
        }
        let next = producer.wrapping_add(1) & mask;
        self.registers.event_producer = producer & 1 << 31 | next;
        if used == 0 || self.chooser.once_in(2) {
            self.event_interrupt = true;
        }
        self.events_written += 1;
        *self.written.entry((record[0] >> 32) as u32).or_default() += 1;
    }

    /// Rule F4, or what QEMU makes of it.
    fn overflow(&mut self) {
        self.events_lost += 1;
        if self.features.overflow_as_abort {
            if (self.registers.gerror ^ self.registers.gerror_ack) & EVENTQ_ABT_ERR == 0 {
                self.registers.gerror ^= EVENTQ_ABT_ERR;
                self.error_interrupt = true;
            }
        } else if (self.registers.event_producer ^ self.registers.event_consumer) & 1 << 31 == 0 {
            self.registers.event_producer ^= 1 << 31;
        }
    }

    pub(crate) fn write_event_consumer(&mut self, value: u32) {
        let mask = (2u32 << self.registers.event_log2()) - 1;
        let producer = self.registers.event_producer & mask;
        let before = producer.wrapping_sub(self.registers.event_consumer) & mask;
        let after = producer.wrapping_sub(value) & mask;
        if self.registers.cr0_ack & EVENTQEN != 0 && after > before {
            self.findings.note(Check::Queue, || {
                format!("EVENTQ_CONS {value:#x} is beyond what PROD {producer:#x} covers")
            });
        }
        self.registers.event_consumer = value & (mask | 1 << 31);
    }
}
