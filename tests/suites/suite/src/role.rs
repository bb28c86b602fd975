//! The program of a role task.

use core::fmt::Write;

use heapless::String;
use userlib::ipc;

use crate::protocol::{FAILED, NEXT, RETURNED, SKIPPED, TEXT_MAX};
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
        Some(Ok(())) => stage.tell(RETURNED, ""),
        Some(Err(failure)) => fail(&stage, &failure),
        None => stage.tell(FAILED, "the runner named no part of this suite"),
    }
    // The runner does not reply to a report; it restarts the task.
    loop {
        ipc::receive_from(runner, 0);
    }
}

/// Tells the runner why the part failed.
fn fail(stage: &Stage, failure: &Failure) {
    if failure.skipped {
        stage.tell(SKIPPED, failure.what);
        return;
    }
    let mut text = String::<TEXT_MAX>::new();
    // Text that does not fit is cut; where it failed comes first.
    let _ = write!(text, "line {}: ", failure.line);
    if let Some((found, expected)) = failure.values {
        let _ = write!(text, "{found:#x} instead of {expected:#x}: ");
    }
    for character in failure.what.chars() {
        if text.push(character).is_err() {
            break;
        }
    }
    stage.tell(FAILED, &text);
}
