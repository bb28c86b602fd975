//! Measures how much processor time it has beside those that take all they can.
//!
//! Under `-icount` an instruction takes a nanosecond of the guest's clock. A task that looks at that clock over and
//! over sees it stand still but for its own instructions, and jump where somebody else ran.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::abi::notification;
use userlib::time::Ticks;
use userlib::{config, ipc, time};

userlib::task!(main);

type Reason = &'static str;

fn check(holds: bool, otherwise: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// Nanoseconds that are measured.
const SPAN: u64 = 1_000_000_000;
/// A look at the clock that takes longer, in nanoseconds, was interrupted.
const GAP: u64 = 200;
/// Others have started, and those that take all they can are at it, after as many.
const SETTLED: u64 = 50_000_000;

/// Processor time had from now until `until`, and how long it was kept from the processor at most, in ticks.
fn had_until(until: Ticks) -> (u64, u64) {
    let gap = time::ticks(GAP);
    let (mut had, mut longest) = (0, 0);
    let mut last = time::now();
    while last < until {
        let now = time::now();
        let passed = now.0.wrapping_sub(last.0);
        if passed < gap {
            had += passed;
        } else if passed > longest {
            longest = passed;
        }
        last = now;
    }
    (had, longest)
}

/// Waits until the clock says so.
fn sleep_until(until: Ticks) {
    time::set_timer(Some(until));
    ipc::receive(notification::TIMER);
}

/// Never waits: has at least its budget in every period, to within two in a hundred.
fn hungry(budget: u64, period: u64) -> Result<(), Reason> {
    let (had, longest) = had_until(time::now().after(SPAN));
    let due = time::ticks(SPAN / period * budget);
    defmt::info!(
        "had {} us of {} us due, kept waiting {} us at most",
        Ticks(had).nanoseconds() / 1_000,
        Ticks(due).nanoseconds() / 1_000,
        Ticks(longest).nanoseconds() / 1_000
    );
    check(had * 100 >= due * 98, "it had less than its budget")
}

/// Works for nine tenths of its budget every now and then, at every phase of the others' periods: is done before a
/// period has passed.
fn punctual(budget: u64, period: u64) -> Result<(), Reason> {
    let work = time::ticks(budget / 10 * 9);
    let gap = time::ticks(GAP);
    let mut start = time::now().after(period);
    let mut latest = 0;
    let apart = period + period / 16;
    for _ in 0..SPAN / apart {
        sleep_until(start);
        let mut had = 0;
        let mut last = time::now();
        while had < work {
            let now = time::now();
            let passed = now.0.wrapping_sub(last.0);
            had += if passed < gap { passed } else { 0 };
            last = now;
        }
        latest = latest.max(last.0.saturating_sub(start.0));
        check(
            last < start.after(period),
            "it was not done within a period",
        )?;
        start = start.after(apart);
    }
    defmt::info!(
        "done {} us after it was ready at the latest",
        Ticks(latest).nanoseconds() / 1_000
    );
    Ok(())
}

/// Has something to say every now and then; all of it has to be printed.
fn talkative() {
    const LINES: u64 = 8;
    let mut at = time::now();
    for line in 1..=LINES {
        at = at.after(SPAN / LINES);
        sleep_until(at);
        defmt::info!("told {} of {}", line, LINES);
    }
}

fn innocent() -> Result<(), Reason> {
    let parameter = |name| config::parameter(name).ok_or("a parameter is missing in the plan");
    let (budget, period) = (parameter("budget")?, parameter("period")?);
    sleep_until(time::now().after(SETTLED));
    match parameter("does")? {
        0 => hungry(budget, period),
        1 => punctual(budget, period),
        _ => {
            talkative();
            Ok(())
        }
    }
}

fn main() -> ! {
    let sent = match innocent() {
        Ok(()) => report(Outcome::Pass, "it had its time"),
        Err(reason) => report(Outcome::Fail, reason),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    loop {
        // Done; there is nothing to wait for.
        let _ = ipc::receive(0);
    }
}
