//! The end of a run: summary, drained log, verdict.

use abi::notification;
use supervisor::drain::{Drain, Step};
use supervisor::verdict::Verdict;
use supervisor_api::Outcome;
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
    if !drained {
        last_words(outcome);
    }
    if outcome == Outcome::Fail || !drained {
        who_failed(verdict, tasks);
    }
    privileged::exit(u8::from(outcome == Outcome::Fail));
}

/// Everything has ended: waits for the log, and switches the machine off, or ends the run as what it is.
pub fn switch_off(verdict: &Verdict) -> ! {
    defmt::info!("all tasks have ended; the machine is switched off");
    if !drain() {
        privileged::console("\nsupervisor: the log did not drain; the machine is switched off\n");
    }
    privileged::exit(u8::from(verdict.has_any_failed()));
}

/// Asks the log task to empty the rings and waits until it did; false at the deadline.
fn drain() -> bool {
    let log = config::own().log_task;
    let bit = config::notification_of(log, "drain");
    let (Some(bit), Some(drained)) = (bit, config::notification("drained")) else {
        return false;
    };
    time::set_timer(Some(time::now().after(DRAIN_DEADLINE)));
    let ask = || ipc::post(ipc::refresh(log as usize).0, bit);
    let mut drain = Drain::new();
    ask();
    loop {
        match ipc::receive(drained | notification::TIMER) {
            Received::Notification(bits) if bits & drained == 0 => return false,
            Received::Notification(_) => match drain.answered() {
                Step::Ask => {
                    ask();
                }
                Step::Drained => return true,
            },
            // The verdict is spoken; whoever still reports is not kept waiting.
            Received::Message(message) => ipc::reply(message.sender, 0, &[0; 8], 0),
            Received::Dead => {}
        }
    }
}

/// The verdict on the polled console, which works even where the log does not. It begins a line of its own: the log
/// task may have stopped anywhere.
fn last_words(outcome: Outcome) {
    privileged::console("\nsupervisor: the log did not drain\n");
    privileged::console(match outcome {
        Outcome::Pass => "supervisor: verdict: pass\n",
        Outcome::Fail => "supervisor: verdict: FAIL\n",
    });
}

fn who_failed(verdict: &Verdict, tasks: &[RestartEntry]) {
    for (task, entry) in tasks.iter().enumerate() {
        if verdict.has_failed(task) {
            privileged::console("supervisor: failed: ");
            privileged::console(entry.name.as_str());
            privileged::console("\n");
        }
    }
}
