//! Who runs, and in which order equals come.

use abi::notification::TIMER;
use abi::{Code, FaultKind};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::{config, time};

use crate::help::{call_server, calls_next, next_message, notes, reply, serve, waits};
use crate::notify::{ping, post_ping};
use crate::{CLIENT, LAST, MIDDLE, SECOND, SERVER};

/// Queues at the server after `before`, if any, did.
fn queues_after(stage: &Stage, role: usize, before: Option<usize>) -> Result {
    if let Some(before) = before {
        waits(stage, before);
    }
    calls_next(stage, role);
    check_eq!(call_server(stage, 1, 0).code.0, 0);
    Ok(())
}

/// A server that receives nobody until `last` is queued, and then these in this order.
fn receives(stage: &Stage, last: usize, order: [usize; 3]) -> Result {
    waits(stage, last);
    for role in order {
        let message = next_message()?;
        check_eq!(message.sender.0, stage.id(role).0);
        reply(message.sender, 0);
    }
    Ok(())
}

/// Nanoseconds of spinning, without a system call.
fn spin(nanoseconds: u64) {
    let end = time::now().after(nanoseconds);
    while time::now() < end {
        core::hint::spin_loop();
    }
}

pub const CASES: &[Case] = &[
    Case::new(
        "equals-are-received-as-they-came",
        &["IPC-SEND-3", "IPC-RECV-2"],
        &[
            Part::returns(SERVER, |stage| {
                receives(stage, LAST, [CLIENT, SECOND, LAST])
            }),
            Part::returns(CLIENT, |stage| queues_after(stage, CLIENT, None)),
            Part::returns(SECOND, |stage| queues_after(stage, SECOND, Some(CLIENT))),
            Part::returns(LAST, |stage| queues_after(stage, LAST, Some(SECOND))),
        ],
    ),
    Case::new(
        "equals-are-received-as-they-came-reversed",
        &["IPC-SEND-3", "IPC-RECV-2"],
        &[
            Part::returns(SERVER, |stage| {
                receives(stage, CLIENT, [SECOND, CLIENT, LAST])
            }),
            Part::returns(LAST, |stage| queues_after(stage, LAST, None)),
            Part::returns(SECOND, |stage| queues_after(stage, SECOND, Some(LAST))),
            Part::returns(CLIENT, |stage| queues_after(stage, CLIENT, Some(SECOND))),
        ],
    ),
    // The dead one's message is gone, the one behind it is not.
    Case::new(
        "a-queued-sender-dies",
        &["IPC-SEND-11", "IPC-DEATH-2"],
        &[
            Part::returns(SERVER, |stage| {
                waits(stage, LAST);
                check_eq!(stage.stop(CLIENT).0, 0);
                let message = next_message()?;
                check_eq!(message.sender.0, stage.id(LAST).0);
                reply(message.sender, 0);
                time::set_timer(Some(time::now().after(10_000_000)));
                check!(matches!(ipc::receive(TIMER), Received::Notification(TIMER)));
                Ok(())
            }),
            Part::dies(CLIENT, FaultKind::Stopped, |stage| {
                queues_after(stage, CLIENT, None)
            }),
            Part::returns(LAST, |stage| queues_after(stage, LAST, Some(CLIENT))),
        ],
    ),
    Case::new(
        "a-reply-to-the-dead-and-the-next",
        &["IPC-DEATH-2", "IPC-REPLY-2", "IPC-ID-2"],
        &[
            Part::returns(SERVER, |stage| {
                let first = next_message()?.sender;
                check_eq!(stage.stop(CLIENT).0, 0);
                reply(first, 1);
                check_eq!(stage.restart(CLIENT).0, 0);
                // The new life is up and waits for its own answer, not for that to the old one.
                let second = next_message()?.sender;
                check_eq!(second.generation(), first.generation() + 1);
                reply(first, 1);
                reply(second, 2);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let answer = call_server(stage, 1, 0);
                check_eq!(answer.code.0, Code::OK.0);
                check_eq!(answer.payload[0], 2);
                check_eq!(stage.life, 1);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "a-post-runs-a-higher-task-at-once",
        &["IPC-SCHED-1", "IPC-SCHED-2", "IPC-POST-1"],
        &[
            Part::returns(SERVER, |stage| {
                for _ in 0..3 {
                    let bits =
                        check_is!(ipc::receive(ping()?), Received::Notification(bits) => bits);
                    check_eq!(bits, ping()?);
                    stage.note(1);
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for round in 0..3 {
                    check_eq!(stage.notes().0, round);
                    check_eq!(post_ping(stage)?.0, Code::OK.0);
                    check_eq!(stage.notes().0, round + 1);
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "a-post-to-a-lower-task-lets-it-wait",
        &["IPC-SCHED-1", "IPC-POST-1"],
        &[
            Part::returns(SERVER, |stage| {
                waits(stage, CLIENT);
                let client = stage.index(CLIENT) as u32;
                let wake = check_is!(config::notification_of(client, "wake"), Some(bit) => bit);
                let before = stage.notes().0;
                check_eq!(ipc::post(stage.id(CLIENT), wake).0, Code::OK.0);
                spin(3_000_000);
                check_eq!(stage.notes().0, before);
                notes(stage, before + 1);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let wake = check_is!(config::notification("wake"), Some(bit) => bit);
                calls_next(stage, CLIENT);
                check!(matches!(ipc::receive(wake), Received::Notification(_)));
                stage.note(1);
                Ok(())
            }),
        ],
    ),
    // Two equals are made ready together. The first one spins, is preempted, and still goes on before the
    // second one starts. Notes are times, with the role in the lowest bit.
    Case::new(
        "an-equal-waits-until-the-first-blocks",
        &["IPC-SCHED-1", "IPC-SCHED-4"],
        &[
            Part::returns(SERVER, |stage| {
                waits(stage, SECOND);
                let (first, second) = (next_message()?.sender, next_message()?.sender);
                check_eq!(first.0, stage.id(CLIENT).0);
                check_eq!(second.0, stage.id(SECOND).0);
                reply(first, 0);
                reply(second, 0);
                notes(stage, 4);
                let (count, left) = stage.notes();
                check_eq!(count, 4);
                check_eq!(left[2] & 1, 0);
                check_eq!(left[3] & 1, 1);
                check!(left[2] < left[3]);
                Ok(())
            }),
            Part::serves(MIDDLE, |stage| {
                loop {
                    time::set_timer(Some(time::now().after(1_000_000)));
                    ipc::receive_from(stage.runner(), TIMER);
                }
            }),
            Part::returns(CLIENT, |stage| {
                queues_after(stage, CLIENT, None)?;
                spin(5_000_000);
                stage.note(time::now().0 << 1);
                Ok(())
            }),
            Part::returns(SECOND, |stage| {
                queues_after(stage, SECOND, Some(CLIENT))?;
                stage.note(time::now().0 << 1 | 1);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "the-time-of-others-does-not-count",
        &["IPC-SCHED-3"],
        &[
            Part::returns(SERVER, |stage| {
                notes(stage, 1);
                spin(300_000_000);
                Ok(())
            }),
            Part::returns(crate::OUTCAST, |stage| {
                stage.note(1);
                spin(60_000_000);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "status-tells-who-runs-and-who-waits",
        &["IPC-PRIV-2"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                use abi::privileged::TaskState;
                let server = stage.status(SERVER);
                check_eq!(server.state, TaskState::Blocked as u64);
                check_eq!(server.id.0, stage.id(SERVER).0);
                check_eq!(server.fault[0] & 0xffff, FaultKind::Stopped as u64);
                check_eq!(stage.stop(SERVER).0, 0);
                check_eq!(stage.status(SERVER).state, TaskState::Dead as u64);
                Ok(())
            }),
        ],
    ),
];
