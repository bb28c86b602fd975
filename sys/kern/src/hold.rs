//! Holds: memory of a task may be reached by a device, so the task must not come back before the
//! authority has made the device quiet.

use abi::{Code, FaultKind, TaskId};
use plan::kernel::LifeEvent;
use plan::limits::HOLDS_MAX;

use crate::kernel::{Kernel, Outcome, violation};
use crate::machine::Arch;
use crate::schedule::NextTask;
use crate::task_set::TaskIndex;

/// A hold of a task for one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// The task's number.
    pub task: u32,
    pub device: u32,
}

/// All holds, in slots: number of the task and device of each as one word, so that a search is a compare a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holds {
    used: u128,
    slots: [u64; HOLDS_MAX],
}

/// No hold's word: a number has 16 bits.
const FREE: u64 = u64::MAX;

const fn word(task: u32, device: u32) -> u64 {
    (task as u64) << 32 | device as u64
}

impl Holds {
    pub const NONE: Self = Self {
        used: 0,
        slots: [FREE; HOLDS_MAX],
    };

    /// The first used slot from `from` up.
    pub fn next(&self, from: usize) -> Option<(usize, Hold)> {
        let rest = self.used.checked_shr(u32::try_from(from).ok()?)?;
        if rest == 0 {
            return None;
        }
        let slot = from.checked_add(rest.trailing_zeros() as usize)?;
        let word = *self.slots.get(slot)?;
        let hold = Hold {
            task: (word >> 32) as u32,
            device: word as u32,
        };
        Some((slot, hold))
    }

    fn find(&self, task: u32, device: u32) -> Option<usize> {
        let wanted = word(task, device);
        self.slots.iter().position(|word| *word == wanted)
    }

    fn add(&mut self, task: u32, device: u32) -> bool {
        let slot = (!self.used).trailing_zeros() as usize;
        let Some(place) = self.slots.get_mut(slot) else {
            return false;
        };
        *place = word(task, device);
        self.used |= 1u128.checked_shl(slot as u32).unwrap_or(0);
        true
    }

    fn remove(&mut self, slot: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = FREE;
        }
        self.used &= !1u128.checked_shl(slot as u32).unwrap_or(0);
    }
}

impl<A: Arch> Kernel<'_, A> {
    /// `Hold`: `x9` task id, `x10` device index.
    pub(crate) fn hold(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let (id, device) = (TaskId(x[9]), device_argument(x[10])?);
        let task = self.id_argument(id)?;
        let number = u32::from(id.number());
        let code = match self.not_up(id, task) {
            Some(code) => code,
            None if self.holds.find(number, device).is_some() => Code::OK,
            None if self.holds.add(number, device) => {
                self.add_hold(task);
                Code::OK
            }
            None => Code::EXHAUSTED,
        };
        self.task_mut(caller).frame.set_result(u64::from(code.0));
        Ok(NextTask::Same)
    }

    /// `Lift`: `x9` task's number, `x10` device index.
    pub(crate) fn lift(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let device = device_argument(x[10])?;
        let number = x[9];
        let task = self.number_argument(number)?;
        let found = self.holds.find(number as u32, device);
        let code = match found {
            None => Code::REFUSED,
            Some(_) => Code::OK,
        };
        self.task_mut(caller).frame.set_result(u64::from(code.0));
        let Some(slot) = found else {
            return Ok(NextTask::Same);
        };
        self.holds.remove(slot);
        Ok(self.drop_hold(task, caller))
    }

    pub(crate) fn add_hold(&mut self, held: TaskIndex) {
        let task = self.task_mut(held);
        task.holds = task.holds.saturating_add(1);
    }

    /// One hold or pin less. After the last one of a dead task it can be started again.
    pub(crate) fn drop_hold(&mut self, held: TaskIndex, caller: TaskIndex) -> NextTask {
        let task = self.task_mut(held);
        task.holds = task.holds.saturating_sub(1);
        if task.holds == 0 && !task.is_up() {
            self.tell(held, LifeEvent::Fault);
            return self.preempt_for_ready(caller);
        }
        NextTask::Same
    }
}

/// A device index as an argument.
pub(crate) fn device_argument(value: u64) -> Result<u32, crate::kernel::Violation> {
    u32::try_from(value).map_err(|_| violation(FaultKind::SyscallUsage, value))
}
