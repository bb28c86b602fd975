//! The command queue.

use its::memory::QUEUE_BYTES;
use its::registers::{CREADR, CWRITER, OFFSET, STALLED};
use its::{COMMAND_BYTES, Command};
use userlib::time::look_until;

use crate::hardware::Hardware;
use crate::refusal::Refusal;

/// Longest time that the service has for what is in its queue: the architecture gives no bound, implementations take microseconds.
const PATIENCE: u64 = 100_000_000;

/// The place of the next command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Queue {
    write: u64,
}

impl Queue {
    /// An empty queue, whose registers were just reset.
    pub(crate) const EMPTY: Self = Self { write: 0 };

    /// The queue of an earlier life, once everything in it has been carried out.
    pub(crate) fn taken_over<H: Hardware>(hardware: &mut H) -> Result<Self, Refusal> {
        // What was written behind the register's value was never given to the service.
        let write = hardware.read64(CWRITER) & OFFSET;
        if write >= QUEUE_BYTES {
            return Err(Refusal::Registers);
        }
        let queue = Self { write };
        queue.wait(hardware)?;
        Ok(queue)
    }

    /// Adds a command, which the service sees with the next [`Self::submit`]; waits for room if there is none.
    pub(crate) fn push<H: Hardware>(
        &mut self,
        hardware: &mut H,
        command: Command,
    ) -> Result<(), Refusal> {
        for (place, word) in command.encode().into_iter().enumerate() {
            hardware.store(self.write + place as u64 * 8, word);
        }
        hardware.publish(self.write, COMMAND_BYTES);
        self.write = (self.write + COMMAND_BYTES) % QUEUE_BYTES;
        // A full queue would look empty, so that one place stays free: the queue is emptied halfway and at its end.
        if self.write.is_multiple_of(QUEUE_BYTES / 2) {
            self.submit(hardware)?;
        }
        Ok(())
    }

    /// Gives all commands to the service and waits until it has carried them out.
    pub(crate) fn submit<H: Hardware>(&self, hardware: &mut H) -> Result<(), Refusal> {
        hardware.write64(CWRITER, self.write);
        self.wait(hardware)
    }

    fn wait<H: Hardware>(&self, hardware: &mut H) -> Result<(), Refusal> {
        let deadline = hardware.now().saturating_add(hardware.ticks(PATIENCE));
        let done = look_until(
            hardware,
            |hardware| hardware.now() > deadline,
            |hardware| match hardware.read64(CREADR) {
                read if read & STALLED != 0 => Some(Err(Refusal::Stalled)),
                read if read & OFFSET == self.write => Some(Ok(())),
                _ => None,
            },
        );
        done.unwrap_or(Err(Refusal::Slow))
    }
}
