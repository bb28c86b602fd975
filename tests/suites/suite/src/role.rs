//! The program of a role task.

use userlib::ipc;

use crate::protocol::NEXT;
use crate::report::Report;
use crate::{Failure, Stage, Suite};

/// Index of the runner: the supervisor.
const RUNNER: usize = 0;

/// The program of a role task: one part after another.
pub fn run(suite: &Suite) -> ! {
    let runner = ipc::refresh(RUNNER).0;
    let [case, part, life, indices, ..] = ipc::call(runner, NEXT, &[0; 8], 0, 32, &[]).payload;
    let stage = Stage::new(runner, indices, life);
    let part = suite
        .cases()
        .nth(case as usize)
        .and_then(|case| case.parts.get(part as usize));
    match part.map(|part| (part.act)(&stage)) {
        Some(Ok(())) => stage.tell(Report::Returned),
        Some(Err(failure)) => stage.tell(report(&failure)),
        None => stage.tell(Report::Failed {
            line: 0,
            values: None,
            what: "the runner named no part of this suite",
        }),
    }
    // The runner does not reply to a report; it restarts the task.
    loop {
        ipc::receive_from(runner, 0);
    }
}

/// What the runner is told of a part that did not return well.
fn report(failure: &Failure) -> Report<'static> {
    match failure.skipped {
        true => Report::Skipped(failure.what),
        false => Report::Failed {
            line: failure.line,
            values: failure.values,
            what: failure.what,
        },
    }
}
