//! Status snapshots: the state of every task.

use abi::TaskId;
use status_api::{Ask, Error, Name, Record, Snapshot, Subject, Task, TaskState, Verdict};
use supervisor_api::Outcome;
use userlib::ipc::Message;
use userlib::protocol::Wire;

use crate::look::Look;
use crate::plan_view::PlanView;
use crate::verdict;

/// The index of the task that a message asks about.
///
/// # Errors
/// The message is malformed, or the plan does not let its sender ask.
pub fn asked(plan: PlanView<'_>, message: &Message) -> Result<usize, Error> {
    if message.lease_count != 0 || message.reply_capacity < Snapshot::LEN {
        return Err(Error::Malformed);
    }
    let ask = Ask::from_message(&message.payload, message.len).ok_or(Error::Malformed)?;
    if ask.subject != Subject::Task {
        return Err(Error::Malformed);
    }
    if !plan.inspects(usize::from(message.sender.number())) {
        return Err(Error::NotInspector);
    }
    let index = ask.index as usize;
    (index < plan.tasks.len())
        .then_some(index)
        .ok_or(Error::NoSuchRecord)
}

/// What the supervisor knows of a task: its id and state in the kernel, the first word of its last fault, and how often
/// it was started again.
pub fn record(
    plan: PlanView<'_>,
    verdict: &verdict::Verdict,
    task: usize,
    (id, state, fault): (TaskId, u64, u64),
    restarts: u32,
) -> Snapshot {
    let record = Record::Task(Task {
        name: Name::new(plan.name(task)),
        state: match Look::at(state, fault) {
            Look::Up => TaskState::Up,
            Look::NeverStarted => TaskState::NeverStarted,
            Look::Dead => TaskState::Dead,
            Look::Held => TaskState::Held,
            Look::Retired => TaskState::Retired,
        },
        generation: id.generation(),
        restarts,
        last_fault: fault as u16,
        verdict: match verdict.of(task) {
            None => Verdict::None,
            Some(None) => Verdict::Awaited,
            Some(Some(Outcome::Pass)) => Verdict::Passed,
            Some(Some(Outcome::Fail)) => Verdict::Failed,
        },
    });
    Snapshot::new(plan.tasks.len(), record)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use abi::fault::FaultKind;
    use abi::privileged::TaskState as State;
    use userlib::abi::Lease;
    use userlib::plan::task::RestartEntry;
    use userlib::plan::{Blob, Builder, Name as PlanName, TaskList, TaskNumber};
    use zerocopy::IntoBytes;

    use super::*;

    /// Does something with a plan of the tasks `supervisor`, `driver` and `status`, of which the last inspects.
    fn with_plan<R>(does: impl FnOnce(PlanView<'_>) -> R) -> R {
        let tasks: Vec<_> = [("supervisor", 0), ("driver", 0), ("status", 1)]
            .map(|(name, inspects)| RestartEntry {
                name: PlanName::new(name),
                after: 0,
                limit: 0,
                reports: 0,
                period: 0,
                dependants: TaskList::default(),
                together: TaskList::default(),
                shut_down: 0,
                inspects,
            })
            .into();
        let numbers: [TaskNumber; 0] = [];
        let bytes = Builder::new().push(&tasks).push(&numbers).finish();
        let mut words = std::vec![0u64; bytes.len() / 8];
        words.as_mut_bytes().copy_from_slice(&bytes);
        let blob = Blob::new(words.as_bytes()).unwrap();
        does(PlanView::new(&blob).unwrap())
    }

    fn message(sender: u8, subject: Subject, index: u32) -> Message {
        Message {
            sender: TaskId::new(sender, 7),
            operation: status_api::OPERATION,
            len: Ask::LEN,
            reply_capacity: Snapshot::LEN,
            payload: Ask { subject, index }.to_words(),
            leases: [Lease(0); 2],
            lease_count: 0,
        }
    }

    #[test]
    fn who_inspects_is_told_and_nobody_else() {
        with_plan(|plan| {
            assert_eq!(asked(plan, &message(2, Subject::Task, 1)), Ok(1));
            for sender in [0, 1, 3, 63] {
                let of_another = message(sender, Subject::Task, 1);
                assert_eq!(asked(plan, &of_another), Err(Error::NotInspector));
            }
            let beyond = message(2, Subject::Task, 3);
            assert_eq!(asked(plan, &beyond), Err(Error::NoSuchRecord));
            let of_devices = message(2, Subject::Device, 0);
            assert_eq!(asked(plan, &of_devices), Err(Error::Malformed));
            let (mut short, mut no_room, mut lends) = (beyond, beyond, beyond);
            short.len = 0;
            no_room.reply_capacity = Snapshot::LEN - 1;
            lends.lease_count = 1;
            for bad in [short, no_room, lends] {
                assert_eq!(asked(plan, &bad), Err(Error::Malformed));
            }
        });
    }

    #[test]
    fn a_record_says_how_a_task_is() {
        let mut verdict = verdict::Verdict::new();
        verdict.await_report(1);
        let state = |state: State, fault: FaultKind| {
            // The number of the system call is above the kind.
            (TaskId::new(1, 4), state as u64, fault as u64 | 9 << 16)
        };
        with_plan(|plan| {
            let of = |verdict: &verdict::Verdict, state| match record(plan, verdict, 1, state, 3) {
                Snapshot {
                    count: 3,
                    record: Record::Task(task),
                    ..
                } => task,
                other => panic!("{other:?}"),
            };
            let task = of(&verdict, state(State::Blocked, FaultKind::MaxRun));
            assert_eq!((task.name.as_str(), task.state), ("driver", TaskState::Up));
            assert_eq!((task.generation, task.restarts), (4, 3));
            assert_eq!(task.last_fault, FaultKind::MaxRun as u16);
            assert_eq!(task.verdict, Verdict::Awaited);
            let held = of(&verdict, state(State::DeadHeld, FaultKind::Panic));
            assert_eq!(held.state, TaskState::Held);
            verdict.report(1, Outcome::Pass);
            let passed = of(&verdict, state(State::Ready, FaultKind::None));
            assert_eq!((passed.last_fault, passed.verdict), (0, Verdict::Passed));
            verdict.report(1, Outcome::Fail);
            let failed = of(&verdict, state(State::Retired, FaultKind::Panic));
            assert_eq!(
                (failed.state, failed.verdict),
                (TaskState::Retired, Verdict::Failed)
            );
        });
        assert_eq!(verdict::Verdict::new().of(1), None);
    }
}
