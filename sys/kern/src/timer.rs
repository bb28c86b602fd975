//! One timer a task, without a periodic tick.

use abi::{TIMERS_A_TURN, notification};

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome};
use crate::task_set::TaskIndex;

impl<A: Arch> Kernel<'_, A> {
    /// `Timer`: `x8` deadline. One that has passed already notifies at once.
    pub(crate) fn set_task_timer(&mut self, caller: TaskIndex) -> Outcome {
        let deadline = self.task(caller).frame.x[8];
        self.timers.remove(caller);
        self.task_mut(caller).frame.set_result(0);
        if deadline == u64::MAX {
            return Ok(NextTask::Same);
        }
        if deadline <= self.arch.now() {
            // The caller runs, so this cannot make anybody ready.
            self.notify(caller, u64::from(notification::TIMER));
            return Ok(NextTask::Same);
        }
        self.task_mut(caller).set_deadline(deadline);
        self.timers.insert(caller);
        self.advance_timer(deadline);
        Ok(NextTask::Same)
    }

    /// Sets the hardware timer if it would come too late for `deadline`.
    pub(crate) fn advance_timer(&mut self, deadline: u64) {
        if deadline < self.timer_at {
            self.timer_at = deadline;
            self.arch.set_timer(deadline);
        }
    }

    /// The hardware timer fired: notifies who is due, [`TIMERS_A_TURN`] at most, and sets it for the next
    /// deadline. That has passed if somebody is left, so that the interrupt comes again as soon as this one is over.
    /// The timer may have been set for something that is over; then it is only set.
    pub(crate) fn timer_expired(&mut self) {
        let now = self.arch.now();
        let from = self.timers.at_or_behind(self.timer_turn);
        let before = self.timers.without(from);
        let mut room = TIMERS_A_TURN;
        let mut left = None;
        let mut earliest = self.accounts.next_refill();
        // Two plain loops: chained iterators cost some ten instructions more for each task.
        for part in [from, before] {
            for index in part {
                let deadline = self.task(index).deadline();
                if deadline > now {
                    earliest = earliest.min(deadline);
                } else if room > 0 {
                    room -= 1;
                    self.timers.remove(index);
                    self.notify(index, u64::from(notification::TIMER));
                } else {
                    left = left.or(Some(index));
                    earliest = earliest.min(deadline);
                }
            }
        }
        self.timer_turn = left.unwrap_or(TaskIndex::SUPERVISOR);
        self.timer_at = earliest;
        self.arch.set_timer(earliest);
    }
}
