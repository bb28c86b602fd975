//! The supervisor: notes every death, starts tasks again by policy, and ends the run with the verdict.
//!
//! It never polls and calls nobody: it waits for faults, its timer, and reports. Plan: a `RestartEntry` for
//! each task by index; the notification `drain` of the log task and its own `drained`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

mod deaths;
mod end;

use abi::notification;
use deaths::Deaths;
use supervisor::plan_view::PlanView;
use supervisor::verdict::Verdict;
use supervisor_api::{Error, Operation, Outcome, Report};
use userlib::config;
use userlib::ipc::{self, Message, Received};
use userlib::plan::task::{RestartEntry, reports};
use userlib::protocol::Wire;

userlib::task!(main);

/// Replies and records a report.
fn hear(verdict: &mut Verdict, tasks: &[RestartEntry], message: &Message) {
    let report = Operation::from_number(message.operation).and_then(|operation| match operation {
        Operation::Report => Report::from_message(&message.payload, message.len),
    });
    let Some(Report { outcome, detail }) = report else {
        ipc::reply(message.sender, Error::Malformed as u32, &[0; 8], 0);
        return;
    };
    let task = usize::from(message.sender.number());
    let name = tasks.get(task).map_or("", |task| task.name.as_str());
    if verdict.report(task, outcome) {
        match outcome {
            Outcome::Pass => defmt::info!("{=str} pass: {=str}", name, detail.as_str()),
            Outcome::Fail => defmt::error!("{=str} FAIL: {=str}", name, detail.as_str()),
        }
    }
    ipc::reply(message.sender, 0, &[0; 8], 0);
}

fn main() -> ! {
    let Some(plan) = PlanView::new(&config::blob()) else {
        panic!("the plan's records of restarts are wrong");
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
    loop {
        deaths.set_timer();
        match ipc::receive(notification::FAULT | notification::TIMER) {
            Received::Message(message) => hear(&mut verdict, tasks, &message),
            Received::Notification(bits) => {
                if bits & notification::FAULT != 0 {
                    deaths.look(&mut verdict);
                    deaths.look_at_errors();
                }
                deaths.restart_due(&mut verdict);
            }
            Received::Dead => {}
        }
        if let Some(outcome) = verdict.outcome() {
            end::end(outcome, &verdict, tasks);
        }
    }
}
