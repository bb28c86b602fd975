//! One command of an NVMe controller (NVM Express 1.4: registers 3.1, Get Features 5.14, completions 4.6): it reads
//! the command in memory and writes the completion there.

use userlib::memory::{Memory, publish};
use userlib::registers::Registers;

const CONFIGURATION: usize = 0x14;
const STATUS: usize = 0x1c;
const ADMIN_SIZES: usize = 0x24;
const SUBMISSIONS: usize = 0x28;
const COMPLETIONS: usize = 0x30;
/// Doorbell of the admin submission queue.
const DOORBELL: usize = 0x1000;

/// Configuration: enabled, entries of 64 and 16 bytes.
const ENABLE: u32 = 1 | 6 << 16 | 4 << 20;
/// Status: ready.
const READY: u32 = 1;
/// Entries of either queue, less one.
const SIZES: u32 = 1 | 1 << 16;

/// Get Features of feature 7, with this identifier of the command.
const GET_FEATURES: u32 = 0x0a;
const FEATURE: u32 = 7;
const IDENTIFIER: u32 = 0x5a5a;

/// The controller, with a page for each queue: where the task has it, where the controller reaches it.
pub struct Nvme<R, M> {
    /// BAR 0.
    pub registers: R,
    /// The admin submission queue.
    pub submissions: (M, u64),
    /// The admin completion queue.
    pub completions: (M, u64),
}

impl<R: Registers, M: Memory> Nvme<R, M> {
    /// Turns it off, which ends whatever it was doing once [`Self::is_off`] says so.
    pub fn turn_off(&self) {
        self.registers.write32(CONFIGURATION, 0);
    }

    /// Whether it is off.
    pub fn is_off(&self) -> bool {
        self.registers.read32(STATUS) & READY == 0
    }

    /// Turns it on with empty queues; it has to be off.
    pub fn turn_on(&self) {
        for (memory, _) in [&self.submissions, &self.completions] {
            memory.fill(0, memory.len(), 0);
        }
        publish();
        let base = |register, iova: u64| {
            self.registers.write32(register, iova as u32);
            self.registers.write32(register + 4, (iova >> 32) as u32);
        };
        self.registers.write32(ADMIN_SIZES, SIZES);
        base(SUBMISSIONS, self.submissions.1);
        base(COMPLETIONS, self.completions.1);
        self.registers.write32(CONFIGURATION, ENABLE);
    }

    /// Whether it takes commands.
    pub fn is_on(&self) -> bool {
        self.registers.read32(STATUS) & READY != 0
    }

    /// Gives it the command.
    pub fn ask(&self) {
        let command = &self.submissions.0;
        command.write32(0, GET_FEATURES | IDENTIFIER << 16);
        command.write32(40, FEATURE);
        publish();
        self.registers.write32(DOORBELL, 1);
    }

    /// Whether the completion of the command is in memory: its identifier, and the phase of the first round.
    pub fn has_answered(&self) -> bool {
        self.completions.0.read32(12) & 0x1_ffff == IDENTIFIER | 1 << 16
    }
}
