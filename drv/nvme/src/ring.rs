//! A submission queue and the completion queue of the same number, driven from private state.
//!
//! Commands are only ever written here, never read back. A completion counts if its phase is the expected one, and then
//! everything in it is checked: which queue it names, how far that queue is consumed, and, by who asked, the command.

use userlib::memory::{Memory, acquire, publish};
use userlib::registers::Registers;

use crate::command::Command;
use crate::layout::{COMMAND_LEN, COMPLETION_LEN};
use crate::registers::Capabilities;
use crate::status::Status;

/// The controller broke the protocol. It is not used again without a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceFault {
    /// A completion names another queue.
    Queue,
    /// A completion says that more commands were taken than there were.
    Head,
    /// A completion names no command that is in flight.
    Command,
}

impl DeviceFault {
    /// For a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "completion of another queue",
            Self::Head => "submission queue head beyond what was submitted",
            Self::Command => "completion of a command that is not in flight",
        }
    }
}

/// A completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// The command that it names.
    pub command: u16,
    /// How that ended.
    pub status: Status,
    /// Offset of the entry.
    pub at: usize,
}

/// The two queues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ring {
    id: u16,
    entries: u16,
    /// Offsets of the two queues in the driver's memory.
    commands: usize,
    completions: usize,
    /// Where the next command goes, and up to where the controller was told.
    tail: u16,
    told: u16,
    /// Up to where the controller said that it took commands.
    taken: u16,
    /// Where the next completion is, and up to where completions were given back.
    head: u16,
    given: u16,
    phase: bool,
}

impl Ring {
    /// Two queues of `entries`, 2 at least, at these offsets. The controller must not have them.
    pub fn new(
        memory: &impl Memory,
        id: u16,
        entries: u16,
        commands: usize,
        completions: usize,
    ) -> Self {
        // The phase of what was never written is 0.
        for at in (0..usize::from(entries) * COMPLETION_LEN).step_by(8) {
            memory.write64(completions + at, 0);
        }
        Self {
            id,
            entries,
            commands,
            completions,
            tail: 0,
            told: 0,
            taken: 0,
            head: 0,
            given: 0,
            phase: true,
        }
    }

    /// The number of both queues.
    pub const fn id(&self) -> u16 {
        self.id
    }
    /// Offset of the submission queue.
    pub const fn commands(&self) -> usize {
        self.commands
    }
    /// Offset of the completion queue.
    pub const fn completions(&self) -> usize {
        self.completions
    }
    /// Entries of each.
    pub const fn entries(&self) -> u16 {
        self.entries
    }

    #[inline(always)]
    const fn after(&self, index: u16) -> u16 {
        if index + 1 >= self.entries {
            0
        } else {
            index + 1
        }
    }

    /// Entries from `first` up to `end`.
    #[inline(always)]
    const fn between(&self, first: u16, end: u16) -> u16 {
        if end >= first {
            end - first
        } else {
            end + self.entries - first
        }
    }

    /// Puts a command in, for the controller to see when it is [told](Self::tell). The caller has fewer
    /// commands in flight than the queue has entries.
    #[inline(always)]
    pub fn put(&mut self, memory: &impl Memory, command: &Command, id: u16) {
        let at = self.commands + usize::from(self.tail) * COMMAND_LEN;
        for (offset, word) in (0..).step_by(8).zip(command.words(id)) {
            memory.write64(at + offset, word);
        }
        self.tail = self.after(self.tail);
    }

    /// Tells the controller of what was put in since the last time, if anything was.
    #[inline(always)]
    pub fn tell(&mut self, registers: &impl Registers, capabilities: Capabilities) {
        if self.tail != self.told {
            self.told = self.tail;
            // The controller must not see the doorbell before the commands and the lists behind them.
            publish();
            registers.write32(capabilities.tail_doorbell(self.id), u32::from(self.tail));
        }
    }

    /// The next completion. Who gets it has to see that its command is in flight.
    #[inline(always)]
    pub fn next(&mut self, memory: &impl Memory) -> Result<Option<Completion>, DeviceFault> {
        let at = self.completions + usize::from(self.head) * COMPLETION_LEN;
        let last = memory.read32(at + 12);
        if (last & 1 << 16 != 0) != self.phase {
            return Ok(None);
        }
        // The rest of the entry, and the data, were written before its phase; they must not be read before it.
        acquire();
        let third = memory.read32(at + 8);
        if (third >> 16) as u16 != self.id {
            return Err(DeviceFault::Queue);
        }
        let taken = third as u16;
        let most = self.between(self.taken, self.told);
        if taken >= self.entries || self.between(self.taken, taken) > most {
            return Err(DeviceFault::Head);
        }
        self.taken = taken;
        self.head = self.after(self.head);
        if self.head == 0 {
            self.phase = !self.phase;
        }
        Ok(Some(Completion {
            command: last as u16,
            status: Status((last >> 17) as u16),
            at,
        }))
    }

    /// Gives the completions that were taken back to the controller, which then lowers its interrupt line.
    #[inline(always)]
    pub fn give_back(&mut self, registers: &impl Registers, capabilities: Capabilities) {
        if self.head != self.given {
            self.given = self.head;
            registers.write32(capabilities.head_doorbell(self.id), u32::from(self.head));
        }
    }
}
