//! A task's timer.

use abi::Code;
use abi::notification::TIMER;
use suite::{Case, Part, Stage, check, check_eq, check_is};
use userlib::delay::{Delay, DelayNs};
use userlib::ipc::{self, Received};
use userlib::time::{self, Ticks};

use crate::help::{call_server, next_message, notes, reply};
use crate::notify::{ping, post_ping};
use crate::{CLIENT, LAST, SERVER};

const MILLISECOND: u64 = 1_000_000;

fn wait_for_timer() -> Option<u32> {
    match ipc::receive(TIMER) {
        Received::Notification(bits) => Some(bits),
        _ => None,
    }
}

/// Sleeps, and leaves a note of it.
fn sleeps(stage: &Stage, milliseconds: u32) -> suite::Result {
    let end = time::now().after(u64::from(milliseconds) * MILLISECOND);
    stage.pause(milliseconds);
    check!(time::now() >= end);
    stage.note(u64::from(milliseconds));
    Ok(())
}

pub const CASES: &[Case] = &[
    Case::new(
        "timer-not-before-its-time",
        &["IPC-TIMER-1"],
        &[Part::returns(CLIENT, |_| {
            let deadline = time::now().after(10 * MILLISECOND);
            time::set_timer(Some(deadline));
            check!(wait_for_timer() == Some(TIMER));
            check!(time::now() >= deadline);
            Ok(())
        })],
    ),
    Case::new(
        "timer-in-the-past",
        &["IPC-TIMER-1"],
        &[Part::returns(CLIENT, |_| {
            for past in [Ticks(0), time::now()] {
                time::set_timer(Some(past));
                check!(wait_for_timer() == Some(TIMER));
            }
            Ok(())
        })],
    ),
    // A message comes only when the second timer, if there were one, would have fired long ago.
    Case::new(
        "timer-fires-once",
        &["IPC-TIMER-1"],
        &[
            Part::returns(SERVER, |_| {
                time::set_timer(Some(time::now().after(MILLISECOND)));
                check!(wait_for_timer() == Some(TIMER));
                let message = check_is!(ipc::receive(TIMER), Received::Message(message) => message);
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                stage.pause(20);
                check_eq!(call_server(stage, 1, 0).code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "timer-stopped",
        &["IPC-TIMER-2"],
        &[
            Part::returns(SERVER, |_| {
                time::set_timer(Some(time::now().after(10 * MILLISECOND)));
                time::set_timer(None);
                let message = check_is!(ipc::receive(TIMER), Received::Message(message) => message);
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                stage.pause(30);
                check_eq!(call_server(stage, 1, 0).code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "timer-replaced",
        &["IPC-TIMER-2"],
        &[Part::returns(CLIENT, |_| {
            let start = time::now();
            time::set_timer(Some(start.after(3_600_000 * MILLISECOND)));
            time::set_timer(Some(start.after(5 * MILLISECOND)));
            check!(wait_for_timer() == Some(TIMER));
            // Far enough away that a slow machine sets both before the first one is due.
            let start = time::now();
            let end = start.after(600 * MILLISECOND);
            time::set_timer(Some(start.after(500 * MILLISECOND)));
            time::set_timer(Some(end));
            check!(wait_for_timer() == Some(TIMER));
            check!(time::now() >= end);
            Ok(())
        })],
    ),
    // Neither the bit of an earlier deadline, nor a post, nor a message ends a delay, and it takes none of them but
    // that bit.
    Case::new(
        "timer-bit-that-stayed-ends-no-delay",
        &["IPC-TIMER-1", "IPC-TIMER-2"],
        &[
            Part::returns(SERVER, |_| {
                time::set_timer(Some(Ticks(0)));
                let end = time::now().after(20 * MILLISECOND);
                Delay::new().delay_ms(20);
                check!(time::now() >= end);
                let bits = ping()? | TIMER;
                let bits = check_is!(ipc::receive(bits), Received::Notification(bits) => bits);
                check_eq!(bits, ping()?);
                let message = next_message()?;
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(post_ping(stage)?.0, Code::OK.0);
                check_eq!(call_server(stage, 1, 0).code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "timer-ends-with-its-life",
        &["IPC-TIMER-3", "IPC-DEATH-4"],
        &[
            Part::returns(SERVER, |stage| {
                if stage.life == 0 {
                    time::set_timer(Some(time::now().after(10 * MILLISECOND)));
                    next_message()?;
                }
                let message = check_is!(ipc::receive(TIMER), Received::Message(message) => message);
                check_eq!(message.operation, 2);
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(stage.stop(SERVER).0, 0);
                check_eq!(stage.restart(SERVER).0, 0);
                stage.pause(30);
                check_eq!(call_server(stage, 2, 0).code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "timers-of-several-tasks",
        &["IPC-TIMER-1"],
        &[
            Part::returns(SERVER, |stage| sleeps(stage, 9)),
            Part::returns(CLIENT, |stage| sleeps(stage, 3)),
            Part::returns(LAST, |stage| {
                sleeps(stage, 6)?;
                notes(stage, 3);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "timer-at-the-last-tick",
        &["IPC-TIMER-1", "IPC-TIMER-2"],
        &[
            Part::returns(SERVER, |_| {
                for last in [u64::MAX, u64::MAX - 1, 1 << 63] {
                    time::set_timer(Some(Ticks(last)));
                    let message =
                        check_is!(ipc::receive(TIMER), Received::Message(message) => message);
                    reply(message.sender, 0);
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for _ in 0..3 {
                    stage.pause(5);
                    check_eq!(call_server(stage, 1, 0).code.0, 0);
                }
                Ok(())
            }),
        ],
    ),
    // What is set stays set: a timer that fired is not taken back.
    Case::new(
        "timer-stopped-too-late",
        &["IPC-TIMER-2"],
        &[Part::returns(CLIENT, |_| {
            time::set_timer(Some(Ticks(0)));
            time::set_timer(None);
            check!(wait_for_timer() == Some(TIMER));
            Ok(())
        })],
    ),
];
