//! The supervisor: notes every death, starts tasks again by policy, and ends the run with the verdict, or in order when
//! the power key is pressed.
//!
//! It never polls and calls nobody: it waits for faults, its timer, reports, and the key. Plan: a `RestartEntry` for
//! each task by index; the notification `drain` of the log task and its own `drained`; its own `power-key`, if there is a
//! task that watches the key, and `shut-down` of the tasks that are asked to finish.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod deaths;
mod end;
mod ending;

use abi::{TaskId, notification};
use deaths::Deaths;
use ending::Ending;
use status_api::Snapshot;
use supervisor::plan_view::PlanView;
use supervisor::shutdown::Progress;
use supervisor::snapshot;
use supervisor::verdict::Verdict;
use supervisor_api::{Error, Operation, Outcome, POWER_KEY, Report};
use userlib::config;
use userlib::ipc::{self, Message, Received};
use userlib::plan::task::{RestartEntry, reports};
use userlib::privileged;
use userlib::protocol::Wire;

userlib::task!(main);

/// Replies to a message, whatever it is.
fn hear(verdict: &mut Verdict, ending: &mut Ending, tasks: &[RestartEntry], message: &Message) {
    let result = match Operation::from_number(message.operation) {
        Some(Operation::Report) => Report::from_message(&message.payload, message.len)
            .map(|report| record(verdict, tasks, message.sender, &report))
            .ok_or(Error::Malformed),
        Some(Operation::Finished) => <()>::from_message(&message.payload, message.len)
            .ok_or(Error::Malformed)
            .and_then(|()| ending.finished(message.sender)),
        None => Err(Error::Malformed),
    };
    let code = result.map_or_else(|error| error as u32, |()| 0);
    ipc::reply(message.sender, code, &[0; 8], 0);
}

/// Replies to a request for the state of a task.
fn inspect(plan: PlanView<'_>, deaths: &Deaths, verdict: &Verdict, message: &Message) {
    let snapshot = snapshot::asked(plan, message).and_then(|task| {
        let status = privileged::status(task).ok_or(status_api::Error::NoSuchRecord)?;
        let state = (status.id, status.state, status.fault[0]);
        let restarts = deaths.restarts(task);
        Ok(snapshot::record(plan, verdict, task, state, restarts))
    });
    match snapshot {
        Ok(snapshot) => ipc::reply(message.sender, 0, &snapshot.to_words(), Snapshot::LEN),
        Err(error) => ipc::reply(message.sender, error as u32, &[0; 8], 0),
    }
}

fn record(verdict: &mut Verdict, tasks: &[RestartEntry], sender: TaskId, report: &Report) {
    let Report { outcome, detail } = report;
    let task = usize::from(sender.number());
    let name = tasks.get(task).map_or("", |task| task.name.as_str());
    if verdict.report(task, *outcome) {
        match outcome {
            Outcome::Pass => defmt::info!("{=str} pass: {=str}", name, detail.as_str()),
            Outcome::Fail => defmt::error!("{=str} FAIL: {=str}", name, detail.as_str()),
        }
    }
}

fn main() -> ! {
    let Some(plan) = PlanView::new(&config::blob()) else {
        userlib::give_up!("the plan's records of restarts are wrong");
    };
    let tasks = plan.tasks;
    let mut verdict = Verdict::new();
    for (task, entry) in tasks.iter().enumerate() {
        match entry.reports {
            reports::AWAITED => verdict.await_report(task),
            reports::FATAL => verdict.end_at_failure_of(task),
            _ => {}
        }
    }
    let mut deaths = Deaths::new(plan);
    // Those of the time before there was a supervisor.
    deaths.look_at_errors();
    let mut ending = Ending::new(plan);
    let power_key = config::notification(POWER_KEY).unwrap_or(0);
    loop {
        let progress = ending.advance();
        if progress == Some(Progress::Over) {
            end::switch_off(&verdict);
        }
        deaths.set_timer(ending::wake(progress));
        match ipc::receive(notification::FAULT | notification::TIMER | power_key) {
            Received::Message(message) if message.operation == status_api::OPERATION => {
                inspect(plan, &deaths, &verdict, &message);
            }
            Received::Message(message) => hear(&mut verdict, &mut ending, tasks, &message),
            Received::Notification(bits) => {
                if bits & power_key != 0 {
                    ending.begin(&mut deaths);
                }
                if bits & notification::FAULT != 0 {
                    deaths.look(&mut verdict);
                    deaths.look_at_errors();
                }
                deaths.restart_due(&mut verdict);
            }
            Received::Dead => {}
        }
        // On the way down the run ends when all tasks have.
        if let Some(outcome) = verdict.outcome().filter(|_| !ending.is_under_way()) {
            end::end(outcome, &verdict, tasks);
        }
    }
}
