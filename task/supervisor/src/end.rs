//! The end of a run: summary, drained log, verdict.

use abi::notification;
use supervisor::report::Outcome;
use supervisor::verdict::Verdict;
use userlib::ipc::{self, Received};
use userlib::plan::task::RestartEntry;
use userlib::{config, privileged, time};

/// Nanoseconds that the log has to drain: more than all rings take at 115200 baud. It ends the run in
/// time even if the log task is dead.
const DRAIN_DEADLINE: u64 = 5_000_000_000;

/// Logs the summary, waits for the log, and ends the run.
pub fn end(outcome: Outcome, verdict: &Verdict, tasks: &[RestartEntry]) -> ! {
    let (passed, awaited) = verdict.counts();
    match outcome {
        Outcome::Pass => defmt::info!("verdict: pass ({=u32} of {=u32})", passed, awaited),
        Outcome::Fail => defmt::error!("verdict: FAIL ({=u32} of {=u32} passed)", passed, awaited),
    }
    let drained = drain();
    if outcome == Outcome::Fail || !drained {
        last_words(verdict, tasks, drained);
    }
    privileged::exit(u8::from(outcome == Outcome::Fail));
}

/// Asks the log task to empty the rings and waits until it did; false at the deadline.
fn drain() -> bool {
    let log = config::own().log_task;
    let drain = config::notification_of(log, "drain");
    let (Some(drain), Some(drained)) = (drain, config::notification("drained")) else {
        return false;
    };
    time::set_timer(Some(time::now().after(DRAIN_DEADLINE)));
    let (log, _) = ipc::refresh(log as usize);
    ipc::post(log, drain);
    loop {
        match ipc::receive(drained | notification::TIMER) {
            Received::Notification(bits) => return bits & drained != 0,
            // The verdict is spoken; whoever still reports is not kept waiting.
            Received::Message(message) => ipc::reply(message.sender, 0, &[0; 8], 0),
            Received::Dead => {}
        }
    }
}

/// Plain text on the polled console, which works even where the log does not.
fn last_words(verdict: &Verdict, tasks: &[RestartEntry], drained: bool) {
    if !drained {
        privileged::console("supervisor: the log did not drain\n");
    }
    for (task, entry) in tasks.iter().enumerate() {
        if verdict.has_failed(task) {
            privileged::console("supervisor: failed: ");
            privileged::console(entry.name.as_str());
            privileged::console("\n");
        }
    }
}
