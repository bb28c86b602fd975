//! The meaning of a task's status.

use abi::fault::FaultKind;
use abi::privileged::TaskState;

/// A task as the supervisor has to see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// The task is up.
    Up,
    /// The plan does not start it, and nobody has. It is down, but it has not died: no policy of restarts applies to
    /// it, and whoever waits for it waits on.
    NeverStarted,
    /// The task died, and may be started again.
    Dead,
    /// The task died, and is held: it cannot be started yet.
    Held,
    /// The task was stopped for good, and is not held.
    Retired,
}

impl Look {
    /// Reads a task's state from its status: the state's number, and the first word of the last fault.
    pub fn at(state: u64, fault: u64) -> Self {
        let died = fault as u16 != FaultKind::None as u16;
        match (state == TaskState::Dead as u64, died) {
            (true, false) => Self::NeverStarted,
            (true, true) => Self::Dead,
            (false, _) if state == TaskState::DeadHeld as u64 => Self::Held,
            (false, _) if state == TaskState::Retired as u64 => Self::Retired,
            (false, _) => Self::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_started_is_not_dead() {
        let none = FaultKind::None as u64;
        // The number of the system call is above the fault's kind.
        let panic = FaultKind::Panic as u64 | 7 << 16;
        let states = [
            (TaskState::Dead, none, Look::NeverStarted),
            (TaskState::Dead, none | 7 << 16, Look::NeverStarted),
            (TaskState::Dead, panic, Look::Dead),
            (TaskState::DeadHeld, panic, Look::Held),
            (TaskState::DeadHeld, none, Look::Held),
            (TaskState::Ready, none, Look::Up),
            (TaskState::Ready, panic, Look::Up),
            (TaskState::Blocked, panic, Look::Up),
            (TaskState::Retired, panic, Look::Retired),
            (TaskState::Retired, none, Look::Retired),
        ];
        for (state, fault, look) in states {
            assert_eq!(Look::at(state as u64, fault), look, "{state:?} {fault:#x}");
        }
    }
}
