//! The command queue: batches, completion, errors.

use smmu::command::COMMAND_BYTES;
use smmu::registers::{
    CMDQ_CONS, CMDQ_CONS_ERR, CMDQ_PROD, GERROR, GERRORN, command_error, gerror,
};
use smmu::{Command, QueueIndex};

use crate::hardware::{Hardware, wait_for};
use crate::limits::{BATCH_MAX, CONSUMER_LOOKS, SYNC_DEADLINE_NS};

/// The SMMU no longer confirms commands: nothing can be proved about what it has cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// A command the SMMU refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// `CMDQ_CONS.ERR`.
    pub code: u32,
    /// Word 0 of the command.
    pub command: u64,
}

/// Commands between two CMD_SYNCs: there is a slot for the second one.
const fn batch(log2: u32) -> u32 {
    let slots = 1 << log2;
    if slots > BATCH_MAX {
        BATCH_MAX
    } else {
        slots - 1
    }
}

/// The only writer of one command queue. It is empty between two batches.
#[derive(Debug)]
pub struct CommandQueue {
    /// Offset of the queue in table memory.
    offset: u64,
    log2: u32,
    producer: QueueIndex,
    /// Commands that may follow before a CMD_SYNC has to.
    room: u32,
    /// Set when commands did not complete in time, or their repair was refused, for good: no later
    /// completion says what the SMMU has forgotten.
    broken: bool,
    /// The end of a batch is no completion: one of its commands was refused and replaced, or the queue
    /// is broken, as it always is if [`Self::broken`] is set.
    repaired: bool,
    /// The last refused command, until it is taken for the log.
    refused: Option<Refused>,
}

impl CommandQueue {
    /// A queue of 2^`log2` commands at `offset`, empty, both of its indices at `index`.
    pub fn new(offset: u64, log2: u32, index: u32) -> Self {
        Self {
            offset,
            log2,
            producer: QueueIndex::new(index, log2),
            room: batch(log2),
            broken: false,
            repaired: false,
            refused: None,
        }
    }

    /// Whether commands still complete.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The command refused last, once.
    pub fn take_refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }

    /// Writes a command; the SMMU sees it at the next [`Self::sync`], or before when the batch is full.
    #[inline(always)]
    pub fn push<H: Hardware>(&mut self, hardware: &mut H, command: Command) -> Result<(), Broken> {
        if self.room == 0 {
            self.make_room(hardware)?;
        }
        self.append(hardware, command);
        self.room -= 1;
        Ok(())
    }

    #[inline(always)]
    fn append<H: Hardware>(&mut self, hardware: &mut H, command: Command) {
        self.put(hardware, self.producer, command);
        self.producer = self.producer.advance(1);
    }

    /// Writes a command into the slot of an index.
    #[inline(always)]
    fn put<H: Hardware>(&self, hardware: &mut H, index: QueueIndex, command: Command) {
        let at = self.offset + index.slot() * COMMAND_BYTES;
        hardware.store_words(at, command.encode());
    }

    /// Does one command, and waits until it completed: a batch of it and its CMD_SYNC, of which the SMMU learns at once.
    /// Nothing else is pushed.
    #[inline(always)]
    pub fn do_one<H: Hardware>(
        &mut self,
        hardware: &mut H,
        command: Command,
    ) -> Result<(), Broken> {
        debug_assert!(
            self.broken || self.room == batch(self.log2),
            "a batch is under way"
        );
        // Two commands in a row are one store, unless they lie on both ends of the queue.
        let slot = self.producer.slot();
        if self.broken || self.repaired || slot + 1 == 1 << self.log2 {
            self.push(hardware, command)?;
            return self.sync(hardware);
        }
        let ([a, b], [c, d]) = (command.encode(), Command::Sync.encode());
        hardware.store_words(self.offset + slot * COMMAND_BYTES, [a, b, c, d]);
        self.producer = self.producer.advance(2);
        self.submit(hardware);
        if self.is_consumed(hardware) {
            return Ok(());
        }
        self.end_late(hardware)
    }

    /// Waits for a batch that was not consumed at once.
    #[cold]
    fn end_late<H: Hardware>(&mut self, hardware: &mut H) -> Result<(), Broken> {
        self.wait(hardware)?;
        if self.repaired {
            return self.forget_everything(hardware);
        }
        Ok(())
    }

    /// Ends the batch with a CMD_SYNC and waits until it completed: everything pushed before has then
    /// taken effect, and what was translated with forgotten entries is visible (§4.7.3).
    #[inline(always)]
    pub fn sync<H: Hardware>(&mut self, hardware: &mut H) -> Result<(), Broken> {
        self.complete(hardware)?;
        if self.repaired {
            return self.forget_everything(hardware);
        }
        Ok(())
    }

    /// Ends a full batch in the midst of what a later [`Self::sync`] completes.
    #[cold]
    fn make_room<H: Hardware>(&mut self, hardware: &mut H) -> Result<(), Broken> {
        self.complete(hardware)
    }

    #[inline(always)]
    fn complete<H: Hardware>(&mut self, hardware: &mut H) -> Result<(), Broken> {
        if self.broken {
            return Err(Broken);
        }
        // A batch leaves a slot for it.
        self.append(hardware, Command::Sync);
        self.submit(hardware);
        self.wait(hardware)
    }

    /// Waits for what an earlier life of the server had queued. Nothing of it counts as done: everything has to
    /// be forgotten afterwards.
    pub fn catch_up<H: Hardware>(&mut self, hardware: &mut H) -> Result<(), Broken> {
        self.wait(hardware)?;
        self.repaired = self.broken;
        Ok(())
    }

    #[inline(always)]
    fn submit<H: Hardware>(&mut self, hardware: &mut H) {
        // The commands, and the entries they are about, before the index that publishes them.
        hardware.publish();
        hardware.write32(CMDQ_PROD, self.producer.raw());
    }

    /// Waits until everything was consumed, and so completed, as the last command is a CMD_SYNC.
    #[inline(always)]
    fn wait<H: Hardware>(&mut self, hardware: &mut H) -> Result<(), Broken> {
        if !self.is_consumed(hardware) {
            self.wait_longer(hardware)?;
        }
        self.room = batch(self.log2);
        Ok(())
    }

    /// Whether the queue is empty. A consumer index that makes no sense counts as no progress, so that the wait
    /// ends at its deadline.
    #[inline(always)]
    fn is_consumed<H: Hardware>(&self, hardware: &mut H) -> bool {
        let consumer = self.producer.at(hardware.read32(CMDQ_CONS));
        self.producer == consumer
    }

    #[cold]
    fn wait_longer<H: Hardware>(&mut self, hardware: &mut H) -> Result<(), Broken> {
        // Most CMD_SYNCs take a microsecond or some. Each look at anything else but the index would add its own time, as
        // a read of a register takes a tenth of it: errors are looked for when it takes longer.
        for _ in 0..CONSUMER_LOOKS {
            if self.is_consumed(hardware) {
                return Ok(());
            }
        }
        // An SMMU that stopped at a bad command waits for this task, which may not have run meanwhile: if the last
        // look repaired something, the time begins again, once.
        for _ in 0..2 {
            let mut repaired = false;
            let done = wait_for(hardware, SYNC_DEADLINE_NS, |hardware| {
                repaired = self.repair(hardware);
                self.repaired |= repaired;
                self.is_consumed(hardware).then_some(())
            });
            if done.is_some() {
                return Ok(());
            }
            if !repaired {
                break;
            }
        }
        Err(self.give_up())
    }

    /// An error interrupt came: repairs the queue, unless it is broken. It is, for good, and one that stops at
    /// whatever it is given would otherwise be set going again by each interrupt that this causes.
    /// True if there was something to repair.
    pub fn on_error<H: Hardware>(&mut self, hardware: &mut H) -> bool {
        let repaired = !self.broken && self.repair(hardware);
        self.repaired |= repaired;
        repaired
    }

    /// If consumption stopped at a bad command: replaces it by a CMD_SYNC and lets the SMMU go on (§7.1).
    /// True if it did.
    fn repair<H: Hardware>(&mut self, hardware: &mut H) -> bool {
        let acknowledged = hardware.read32(GERRORN);
        let active = hardware.read32(GERROR) ^ acknowledged;
        if !gerror::CMDQ_ERR.is_set32(active) {
            return false;
        }
        let raw = hardware.read32(CMDQ_CONS);
        let consumer = self.producer.at(raw);
        let at = self.offset + consumer.slot() * COMMAND_BYTES;
        let code = CMDQ_CONS_ERR.get32(raw);
        let command = hardware.load(at);
        if self.refused.is_none() && code != command_error::NONE {
            self.refused = Some(Refused { code, command });
        }
        self.put(hardware, consumer, Command::Sync);
        hardware.publish();
        hardware.write32(GERRORN, acknowledged ^ gerror::CMDQ_ERR.put32(1));
        true
    }

    /// Makes the SMMU forget everything, because it is not known any more here what the refused
    /// command should have made it forget. If one of these commands is refused too, the queue is
    /// broken.
    #[cold]
    fn forget_everything<H: Hardware>(&mut self, hardware: &mut H) -> Result<(), Broken> {
        self.repaired = false;
        self.push(hardware, Command::ConfigAll)?;
        self.push(hardware, Command::Sync)?;
        self.push(hardware, Command::TlbAll)?;
        self.complete(hardware)?;
        if self.repaired {
            return Err(self.give_up());
        }
        Ok(())
    }

    /// Takes the queue for broken, for good.
    pub fn give_up(&mut self) -> Broken {
        self.broken = true;
        self.repaired = true;
        self.room = 0;
        Broken
    }
}
