//! The command queue: fetching, consuming, completing.
//!
//! Consumed is not completed: an invalidation may take effect at any time up to the completion of a
//! later SYNC, in any order with others (rules E4 to E10).

use super::Model;
use super::registers::{CMDQ_ERR, CMDQEN, Registers};
use crate::command::{self, Command};
use crate::finding::Check;

/// State of the queue beside its registers.
#[derive(Clone, Default, Debug)]
pub struct Commands {
    /// Index and wrap bit up to which commands are consumed.
    consumer: u32,
    /// What the processor may read for it: it lags behind.
    shown: u32,
    /// Code of the error that stopped the queue.
    error: u32,
    /// Commands that were read before their turn, by slot.
    early: Vec<(u32, [u64; 2])>,
    /// Consumed, but without a guarantee yet.
    incomplete: Vec<Command>,
    /// SYNCs that are completed before the next command may be refused.
    calm: u32,
    /// Commands consumed, by kind: configuration, translation, SYNC.
    pub counts: [u64; 3],
}

/// More than what repairs one: the SYNC in its place, two of the rest of a batch, four of a successor that starts and
/// repairs. Counted in SYNCs, since a batch may have any number of other commands.
const CALM: u32 = 8;

impl Model {
    /// How many configuration invalidations, translation invalidations and SYNCs were consumed.
    #[must_use]
    pub fn command_counts(&self) -> [u64; 3] {
        self.commands.counts
    }

    pub(crate) fn command_consumer(&self) -> u32 {
        self.commands.consumer
    }

    pub(crate) fn read_command_consumer(&mut self) -> u32 {
        if self.chooser.once_in(2) {
            self.commands.shown = self.commands.consumer;
        }
        self.commands.shown | self.commands.error << 24
    }

    /// What is consumed shows: long ago it was.
    pub(crate) fn show_command_consumer(&mut self) {
        self.commands.shown = self.commands.consumer;
    }

    pub(crate) fn set_command_consumer(&mut self, value: u32) {
        let mask = (2u32 << self.registers.command_log2()) - 1;
        self.commands.consumer = value & mask;
        self.commands.shown = value & mask;
        self.commands.error = 0;
    }

    pub(crate) fn write_command_producer(&mut self, value: u32) {
        let log2 = self.registers.command_log2();
        let mask = (2u32 << log2) - 1;
        let active = self.registers.cr0_ack & CMDQEN != 0;
        let old = self.registers.command_producer & mask;
        let consumed = self.commands.consumer;
        let ahead = (value & mask).wrapping_sub(consumed) & mask;
        let before = old.wrapping_sub(consumed) & mask;
        let stopped = (self.registers.gerror ^ self.registers.gerror_ack) & CMDQ_ERR != 0;
        if active && (ahead > 1 << log2 || (ahead < before && !stopped)) {
            self.findings.note(Check::Queue, || {
                format!("CMDQ_PROD {value:#x} is inconsistent with CONS {consumed:#x}")
            });
            return;
        }
        self.registers.command_producer = value & mask;
        if active && self.chooser.once_in(2) {
            // Rule E4: the commands are read now and executed later.
            self.commands.early.clear();
            for step in 0..ahead {
                let slot = consumed.wrapping_add(step) & mask;
                if let Some(words) = self.fetch_command(slot) {
                    self.commands.early.push((slot, words));
                }
            }
        }
    }

    fn fetch_command(&mut self, slot: u32) -> Option<[u64; 2]> {
        let log2 = self.registers.command_log2();
        let base = Registers::queue_address(self.registers.command_base, log2, 16);
        let at = base + u64::from(slot & ((1 << log2) - 1)) * 16;
        let second = self.memory.fetch(at + 8, &mut self.chooser)?;
        let first = self.memory.fetch(at, &mut self.chooser)?;
        Some([first, second])
    }

    /// Consumes the next command, if there is one: false if not.
    pub(crate) fn consume(&mut self) -> bool {
        if self.stopped {
            return false;
        }
        let enabled = self.registers.cr0_ack & CMDQEN != 0;
        let stopped = (self.registers.gerror ^ self.registers.gerror_ack) & CMDQ_ERR != 0;
        if !enabled || stopped || self.commands.consumer == self.registers.command_producer {
            return false;
        }
        if self.commands.calm == 0 && self.chooser.once_in(self.liberties.abort) {
            self.commands.calm = CALM;
            self.stop(2);
            return false;
        }
        let slot = self.commands.consumer;
        let early = self
            .commands
            .early
            .iter()
            .find(|&&(at, _)| at == slot)
            .map(|&(_, words)| words);
        let Some(words) = early.or_else(|| self.fetch_command(slot)) else {
            self.stop_with(2, "fetch outside memory");
            return false;
        };
        if early.is_some() {
            self.commands.early.retain(|&(at, _)| at != slot);
            if self.memory_command(slot) != Some(words) {
                self.findings.note(Check::Queue, || {
                    format!("command in slot {slot:#x} was not in memory when submitted, or changed later")
                });
            }
        }
        match command::decode(words, &self.features) {
            Err(reason) => {
                self.stop_with(1, reason);
                return false;
            }
            Ok(Command::Ineffective(reason)) => {
                self.findings.note(Check::Command, || {
                    format!("command without effect: {reason}")
                });
            }
            Ok(Command::Sync) => {
                self.commands.counts[2] += 1;
                self.commands.calm = self.commands.calm.saturating_sub(1);
                self.complete();
            }
            Ok(Command::Hint) => {}
            Ok(command @ Command::Translations(_)) => {
                self.commands.counts[1] += 1;
                self.begin_invalidation(command);
            }
            Ok(command) => {
                self.commands.counts[0] += 1;
                self.begin_invalidation(command);
            }
        }
        let mask = (2u32 << self.registers.command_log2()) - 1;
        self.commands.consumer = self.commands.consumer.wrapping_add(1) & mask;
        true
    }

    fn memory_command(&self, slot: u32) -> Option<[u64; 2]> {
        let log2 = self.registers.command_log2();
        let base = Registers::queue_address(self.registers.command_base, log2, 16);
        let at = base + u64::from(slot & ((1 << log2) - 1)) * 16;
        Some([self.memory.latest(at)?, self.memory.latest(at + 8)?])
    }

    /// Rule E12: consumption stops at the bad command.
    fn stop(&mut self, code: u32) {
        self.commands.error = code;
        self.commands.shown = self.commands.consumer;
        self.commands.early.clear();
        self.registers.gerror ^= CMDQ_ERR;
        self.error_interrupt = true;
    }

    fn stop_with(&mut self, code: u32, reason: &'static str) {
        self.stop(code);
        self.findings.note(Check::Command, || {
            format!("command queue stopped: {reason}")
        });
    }

    /// Rule E13: commands are read again once the error is acknowledged.
    pub(crate) fn restart_commands(&mut self) {
        self.commands.early.clear();
    }

    /// Rule E15: disabling loses what was not completed by a SYNC, as far as guarantees go.
    pub(crate) fn stop_commands(&mut self) {
        self.commands.early.clear();
        self.commands.incomplete.clear();
        self.commands.shown = self.commands.consumer;
    }

    /// An invalidation waits for the SYNC, or takes effect at once, on what is visible by now (rules C6,
    /// E7).
    fn begin_invalidation(&mut self, command: Command) {
        if self.chooser.once_in(3) {
            self.apply(command);
            self.speculate();
        } else {
            self.commands.incomplete.push(command);
        }
    }

    /// An invalidation takes effect before anybody asked.
    pub(crate) fn complete_one(&mut self) {
        let index = self.chooser.below(self.commands.incomplete.len());
        if index < self.commands.incomplete.len() {
            let command = self.commands.incomplete.swap_remove(index);
            self.apply(command);
        }
    }

    /// Completion of a SYNC (rules C5, E8, E10, F7): what was asked for takes effect in any order, with
    /// whatever the SMMU does by itself in between.
    fn complete(&mut self) {
        let mut incomplete = std::mem::take(&mut self.commands.incomplete);
        self.chooser.shuffle(&mut incomplete);
        for command in incomplete {
            if self.chooser.once_in(2) {
                self.speculate();
            }
            self.apply(command);
        }
        self.perform_flights();
        self.flush_events();
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::Streams { first, last, leaf } => {
                let split = self.registers.table_config >> 6 & 0x1f;
                self.cache
                    .forget_streams(first, last, (!leaf).then_some(split));
            }
            Command::Contexts { stream } => self.cache.forget_contexts(stream, stream),
            Command::Translations(scope) => self.tlb.invalidate(scope),
            Command::Hint | Command::Sync | Command::Ineffective(_) => {}
        }
    }
}
