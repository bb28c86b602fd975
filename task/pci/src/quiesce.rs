//! Recipes that make a device quiet, as steps between which nobody sleeps.
//!
//! | recipe | steps |
//! |---|---|
//! | function reset | bus mastering off; pending requests complete; FLR; 100 ms; it answers; restored |
//! | bus reset | bus mastering off; the bridge's reset on, 1 ms, off; 100 ms; all below answer; restored |
//! | poll | bus mastering off; a register in a BAR shows the planned value |
//! | write, then poll | bus mastering off; write; as above |
//! | wait | bus mastering off; the planned time |
//!
//! A reset that an earlier life of this task had begun is not gone on with: what it took is waited for and brought
//! back, and nothing is known of it then.
//!
//! Times: PCI Express Base 4.0, 6.6.1 (a link needs up to 100 ms after a reset, a device a second) and
//! 6.6.2 (a function-level reset takes up to 100 ms).

use pci_api::{Error, QuiesceFailure, QuiesceState};
use plan::pci::{FunctionEntry, Quiesce};

use crate::config::{BarRegisters, ConfigSpace, Function};
use crate::fabric::{Fabric, recipe};
use crate::link::DEVICE_CONTROL;
use crate::progress::{MILLISECOND, Next, Progress, RESET_DEADLINE, RESET_PAUSE, Running};
use crate::registers::{
    EXPRESS_CONTROL, EXPRESS_DEVICE, EXPRESS_PENDING, EXPRESS_RESET, EXPRESS_RESETS, EXPRESS_STATUS,
};
use crate::restore::Restored;

/// Longest time that pending requests are waited for before a function-level reset.
const PENDING: u64 = 100 * MILLISECOND;
/// How long a bridge's reset is held.
const RESET_HELD: u64 = MILLISECOND;
/// Between two looks at something that changes by itself.
const INTERVAL: u64 = MILLISECOND;

/// The outcome of a step.
enum Outcome {
    Quiet,
    /// The function works again, and it is not known to be quiet.
    Back,
    Failed(QuiesceFailure),
    Later(Running),
}

/// What a step asks of its caller: when to step again, and whether to tell the authority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wake {
    /// The earliest time at which a step has something to do, nanoseconds; none if nothing is running.
    pub at: Option<u64>,
    /// True if at least one quiesce ended.
    pub ended: bool,
}

impl Fabric<'_> {
    /// Begins a function's recipe. `now` in nanoseconds.
    pub(crate) fn quiesce_start<H: ConfigSpace + BarRegisters>(
        &mut self,
        hardware: &H,
        index: usize,
        now: u64,
    ) -> Result<(), Error> {
        let (Some(entry), Some(state)) = (self.plan.get(index), self.states.get(index)) else {
            return Err(Error::NoSuchDevice);
        };
        if !self.is_ready(index) {
            return Err(Error::Blocked);
        }
        if state.covered || state.progress.is_running() {
            return Err(Error::Quiescing);
        }
        let quiesce = recipe(entry);
        match quiesce {
            Quiesce::None => return Err(Error::NoRecipe),
            Quiesce::BusReset => {
                if let Err(error) = self.may_reset_bus(index) {
                    // What is under way is not its own reset: what became of an earlier one says nothing of now.
                    self.forget_progress(index);
                    return Err(error);
                }
            }
            _ => {}
        }
        if let Some(state) = self.states.get_mut(index) {
            // Whatever the owner wanted ends with its hold on the device.
            state.intx_off = false;
        }
        self.set_master(hardware, index, false);
        let running = self.begin(hardware, index, entry, quiesce, now);
        self.set_progress(index, Outcome::Later(running));
        Ok(())
    }

    /// How a function's last quiesce went; a reset that takes it along is one of its own.
    pub(crate) fn quiesce_state(&self, index: usize) -> Result<QuiesceState, Error> {
        let state = self.states.get(index).ok_or(Error::NoSuchDevice)?;
        Ok(if state.covered {
            QuiesceState::Running
        } else {
            state.progress.state()
        })
    }

    fn forget_progress(&mut self, index: usize) {
        if let Some(state) = self.states.get_mut(index) {
            state.progress = Progress::Never;
        }
    }

    /// A bus reset takes everything below the bridge: nothing else there may be in use.
    fn may_reset_bus(&self, index: usize) -> Result<(), Error> {
        let bridge = self.parent(index).ok_or(Error::NoRecipe)?;
        if self.active_below(bridge, index) {
            return Err(Error::UnitActive);
        }
        let busy = self.states.iter().enumerate().any(|(at, state)| {
            self.is_below(at, bridge) && (state.covered || state.progress.is_running())
        });
        if busy { Err(Error::Quiescing) } else { Ok(()) }
    }

    fn begin<H: ConfigSpace + BarRegisters>(
        &mut self,
        hardware: &H,
        index: usize,
        entry: &FunctionEntry,
        quiesce: Quiesce,
        now: u64,
    ) -> Running {
        let planned = now.saturating_add(entry.quiesce_wait);
        let reset_deadline = match entry.quiesce_wait {
            0 => now.saturating_add(RESET_DEADLINE),
            _ => planned,
        };
        let (next, wake, deadline) = match quiesce {
            Quiesce::None => (Next::Unsupported, now, now),
            Quiesce::FunctionReset if !self.can_reset(hardware, index) => {
                (Next::Unsupported, now, now)
            }
            Quiesce::FunctionReset => {
                let until = now.saturating_add(PENDING);
                (Next::Pending { until }, now, reset_deadline)
            }
            Quiesce::BusReset => {
                self.cover(index, true);
                (Next::Hold, now, reset_deadline)
            }
            Quiesce::Poll => (Next::Poll, now, planned),
            Quiesce::WriteThenPoll => {
                let (offset, value) = (entry.quiesce_offset, entry.quiesce_write);
                hardware.write32(entry.quiesce_va, bar_len(entry), offset, value);
                (Next::Poll, now, planned)
            }
            Quiesce::Wait => (Next::Over, planned, planned),
        };
        Running {
            next,
            wake,
            deadline,
        }
    }

    /// Whether the function says that it can be reset alone.
    fn can_reset<C: ConfigSpace>(&self, space: &C, index: usize) -> bool {
        let Some((function, express)) = self.express_of(space, index) else {
            return false;
        };
        function.read32(express + EXPRESS_DEVICE) & EXPRESS_RESETS != 0
    }

    fn express_of<'a, C: ConfigSpace>(
        &self,
        space: &'a C,
        index: usize,
    ) -> Option<(Function<'a, C>, u16)> {
        let entry = self.plan.get(index)?;
        let express = self.states.get(index)?.express;
        (express != 0).then(|| (Function::new(space, Self::address(entry)), express))
    }

    /// Does what is due at `now` and says when to come again.
    pub(crate) fn step<H: ConfigSpace + BarRegisters>(&mut self, hardware: &H, now: u64) -> Wake {
        let mut wake = Wake::default();
        let mut from = 0;
        while let Some(index) = self.states.next_running(from) {
            from = index + 1;
            // Every step either ends the recipe or moves its time behind `now`.
            while let Some(Progress::Running(running)) = self.states.get(index).map(|s| s.progress)
            {
                if running.wake > now {
                    wake.at = Some(wake.at.map_or(running.wake, |at| at.min(running.wake)));
                    break;
                }
                let outcome = self.advance(hardware, index, running, now);
                wake.ended |= !matches!(outcome, Outcome::Later(_));
                self.set_progress(index, outcome);
            }
        }
        wake
    }

    fn advance<H: ConfigSpace + BarRegisters>(
        &mut self,
        hardware: &H,
        index: usize,
        running: Running,
        now: u64,
    ) -> Outcome {
        let later = |next, after: u64| {
            let wake = now.saturating_add(after);
            Outcome::Later(Running {
                next,
                wake,
                ..running
            })
        };
        match running.next {
            Next::Unsupported => Outcome::Failed(QuiesceFailure::Unsupported),
            Next::Over => Outcome::Quiet,
            Next::Pending { until } => {
                let Some((function, express)) = self.express_of(hardware, index) else {
                    return Outcome::Failed(QuiesceFailure::Unsupported);
                };
                let pending = function.read16(express + EXPRESS_STATUS) & EXPRESS_PENDING != 0;
                if pending && now < until {
                    return later(running.next, INTERVAL);
                }
                function.write16(express + EXPRESS_CONTROL, DEVICE_CONTROL | EXPRESS_RESET);
                later(Next::Answer, RESET_PAUSE)
            }
            Next::Hold => {
                self.hold_reset(hardware, index);
                later(Next::Release, RESET_HELD)
            }
            Next::Release => {
                self.release_reset(hardware, index);
                later(Next::Answer, RESET_PAUSE)
            }
            Next::Answer => match self.restore_after(hardware, index, now >= running.deadline) {
                Restored::Yes => Outcome::Quiet,
                Restored::NotYet => later(Next::Answer, INTERVAL),
                Restored::Failed(failure) => Outcome::Failed(failure),
            },
            Next::Return => match self.bring_back(hardware, index, now >= running.deadline) {
                Restored::Yes => Outcome::Back,
                Restored::NotYet => later(Next::Return, INTERVAL),
                Restored::Failed(failure) => Outcome::Failed(failure),
            },
            Next::Poll if self.shows_quiet(hardware, index) => Outcome::Quiet,
            Next::Poll if now >= running.deadline => Outcome::Failed(QuiesceFailure::Deadline),
            Next::Poll => later(Next::Poll, INTERVAL),
        }
    }

    /// All ones come from a device that does not answer, whatever the mask says.
    fn shows_quiet<H: BarRegisters>(&self, hardware: &H, index: usize) -> bool {
        self.plan.get(index).is_some_and(|entry| {
            let offset = entry.quiesce_offset;
            let value = hardware.read32(entry.quiesce_va, bar_len(entry), offset);
            value != u32::MAX && value & entry.quiesce_mask == entry.quiesce_expect
        })
    }

    fn set_progress(&mut self, index: usize, outcome: Outcome) {
        if let Some(state) = self.states.get_mut(index) {
            state.progress = match outcome {
                Outcome::Quiet => Progress::Quiet,
                Outcome::Back => state.before.progress(),
                Outcome::Failed(failure) => Progress::Failed(failure),
                Outcome::Later(running) => Progress::Running(running),
            };
        }
    }
}

/// Bytes of the BAR that a recipe uses.
fn bar_len(entry: &FunctionEntry) -> u64 {
    let bar = entry.quiesce_bar as usize;
    entry.bar_len.get(bar).copied().unwrap_or(0)
}
