//! Holds and pins, by the role with `dma-authority`.

use abi::privileged::TaskState;
use abi::{Code, FaultKind, Lease, LeaseAttributes, SendDescriptor, notification};
use suite::{Case, Failure, Part, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::privileged::{self, Held, HeldKind};
use userlib::{config, provoke};

use crate::help::{call_server, calls_next, elsewhere, next_message, reply, serve, stale, waits};
use crate::{CLIENT, LAST, MIDDLE, SERVER};

const DEVICE: u32 = 17;
const PAGE: u64 = abi::layout::PAGE;

/// The only hold or pin there is.
fn only() -> core::result::Result<Held, Failure> {
    let held = privileged::enumerate(0);
    check!(held.kind != HeldKind::None);
    let rest = privileged::enumerate(held.next);
    check!(held.next == 0 || rest.kind == HeldKind::None);
    Ok(held)
}

/// More holds than a kernel has slots.
const MORE_THAN_ANY: u32 = 1 << 16;

/// How many holds and pins there are.
fn count() -> u32 {
    let mut cursor = 0;
    let mut count = 0;
    loop {
        let held = privileged::enumerate(cursor);
        if held.kind == HeldKind::None {
            return count;
        }
        count += 1;
        if held.next == 0 {
            return count;
        }
        cursor = held.next;
    }
}

/// A driver that asks the authority, with its own caller's id, and answers that.
const DRIVER: Part = Part::serves(MIDDLE, |stage| {
    let message = next_message()?;
    calls_next(stage, MIDDLE);
    let answer = call_server(stage, 1, message.sender.0);
    reply(message.sender, answer.payload[0]);
    Ok(())
});

/// A client that lends the driver its pool.
const LENDER: Part = Part::serves(CLIENT, |stage| {
    let pool = check_is!(config::mapping("pool"), Some(pool) => pool);
    let lease = Lease::new(pool.len as u32, LeaseAttributes::all()).0;
    let descriptor = SendDescriptor::new(1, 0, 8, 1).0;
    let target = stage.id(MIDDLE).0;
    provoke::send([target, descriptor, 0, 0, pool.va, lease, 0, 0], &[0; 8]);
    Ok(())
});

pub const CASES: &[Case] = &[
    Case::new(
        "a-held-task-dies",
        &["IPC-HOLD-2", "IPC-DEATH-3"],
        &[
            Part::returns(SERVER, |stage| {
                let id = stage.id(LAST);
                check_eq!(privileged::hold(id, DEVICE).0, 0);
                check_eq!(stage.stop(LAST).0, 0);
                let received = ipc::receive(notification::HELD_DEATH);
                let bits = check_is!(received, Received::Notification(bits) => bits);
                check_eq!(bits, notification::HELD_DEATH);
                check_eq!(stage.status(LAST).state, TaskState::DeadHeld as u64);
                check_eq!(stage.restart(LAST).0, Code::REFUSED.0);
                let held = only()?;
                check!(held.dead);
                check_eq!(held.task.index(), id.index());
                check_eq!(privileged::lift(id.index(), DEVICE).0, 0);
                check_eq!(stage.status(LAST).state, TaskState::Dead as u64);
                check_eq!(stage.restart(LAST).0, 0);
                Ok(())
            }),
            Part::serves(LAST, serve),
        ],
    ),
    Case::new(
        "two-holds-are-two",
        &["IPC-HOLD-1", "IPC-HOLD-2", "IPC-HOLD-3"],
        &[
            Part::returns(SERVER, |stage| {
                let index = stage.index(LAST);
                for device in [1, 2, 2] {
                    check_eq!(privileged::hold(stage.id(LAST), device).0, 0);
                }
                check_eq!(stage.stop(LAST).0, 0);
                check_eq!(privileged::lift(index, 2).0, 0);
                check_eq!(privileged::lift(index, 2).0, Code::REFUSED.0);
                check_eq!(stage.restart(LAST).0, Code::REFUSED.0);
                check_eq!(only()?.device, 1);
                check_eq!(privileged::lift(index, 1).0, 0);
                check_eq!(stage.restart(LAST).0, 0);
                check!(privileged::enumerate(0).kind == HeldKind::None);
                Ok(())
            }),
            Part::serves(LAST, serve),
        ],
    ),
    Case::new(
        "a-hold-names-a-life",
        &["IPC-HOLD-1", "IPC-HOLD-6", "IPC-ID-7"],
        &[
            Part::returns(SERVER, |stage| {
                let id = stage.id(LAST);
                check_eq!(privileged::hold(stale(id), DEVICE).0, Code::DEAD.0);
                for other in elsewhere(id) {
                    check_eq!(privileged::hold(other, DEVICE).0, Code::DEAD.0);
                }
                check_eq!(privileged::lift(id.index(), DEVICE).0, Code::REFUSED.0);
                check_eq!(stage.stop(LAST).0, 0);
                check_eq!(privileged::hold(id, DEVICE).0, Code::DEAD.0);
                check!(privileged::enumerate(0).kind == HeldKind::None);
                Ok(())
            }),
            Part::dies(LAST, FaultKind::Stopped, serve),
        ],
    ),
    Case::new(
        "holds-outlive-the-authority",
        &["IPC-HOLD-2", "IPC-DEATH-3", "IPC-HOLD-1", "IPC-HOLD-6"],
        &[
            Part::returns(SERVER, |stage| {
                if stage.life == 0 {
                    check_eq!(privileged::hold(stage.id(LAST), DEVICE).0, 0);
                    check_eq!(only()?.device, DEVICE);
                    serve(stage)?;
                }
                // Between its lives the role program lifted what it found, as a successor may.
                check!(privileged::enumerate(0).kind == HeldKind::None);
                check_eq!(stage.restart(LAST).0, 0);
                Ok(())
            }),
            Part::returns(MIDDLE, |stage| {
                check_eq!(stage.stop(SERVER).0, 0);
                check_eq!(stage.stop(LAST).0, 0);
                check_eq!(stage.status(LAST).state, TaskState::DeadHeld as u64);
                check_eq!(stage.restart(SERVER).0, 0);
                Ok(())
            }),
            Part::serves(LAST, serve),
        ],
    ),
    Case::new(
        "pin-a-lent-page",
        &["IPC-HOLD-4", "IPC-HOLD-5", "IPC-HOLD-6"],
        &[
            Part::returns(SERVER, |stage| {
                let message = next_message()?;
                let driver = message.sender;
                let lender = stage.id(CLIENT);
                check_eq!(message.payload[0], lender.0);
                let pinned = privileged::pin(driver, lender, 0, DEVICE, PAGE, 2 * PAGE);
                let pinned = check_is!(pinned, Ok(pinned) => pinned);
                check_eq!(pinned.pa % PAGE, 0);
                check_eq!(pinned.attributes, LeaseAttributes::all().bits());
                let held = only()?;
                check!(held.kind == HeldKind::Pin);
                check_eq!(held.task.0, lender.0);
                check_eq!(held.device, DEVICE);
                check_eq!(held.slot, pinned.slot);
                check_eq!(held.pa, pinned.pa);
                check_eq!(held.access.bits(), pinned.attributes);
                check_eq!(held.len, 2 * PAGE);
                check_eq!(stage.stop(CLIENT).0, 0);
                check_eq!(stage.restart(CLIENT).0, Code::REFUSED.0);
                check_eq!(privileged::unpin(pinned.slot).0, 0);
                check_eq!(privileged::unpin(pinned.slot).0, Code::REFUSED.0);
                check_eq!(stage.restart(CLIENT).0, 0);
                Ok(())
            }),
            DRIVER,
            LENDER,
        ],
    ),
    Case::new(
        "pin-parts-of-pages",
        &["IPC-HOLD-4"],
        &[
            Part::returns(SERVER, |stage| {
                let driver = next_message()?.sender;
                let lender = stage.id(CLIENT);
                let pin =
                    |offset, len| privileged::pin(driver, lender, 0, DEVICE, offset, len).err();
                for (offset, len) in [
                    (8, PAGE),
                    (0, 100),
                    (0, 0),
                    (0, 5 * PAGE),
                    (u64::MAX - 4095, PAGE),
                ] {
                    check!(pin(offset, len) == Some(Code::LEASE_BOUNDS));
                }
                let none = privileged::pin(driver, lender, 1, DEVICE, 0, PAGE).err();
                check!(none == Some(Code::NO_LEASE));
                check!(privileged::enumerate(0).kind == HeldKind::None);
                reply(driver, 0);
                Ok(())
            }),
            DRIVER,
            LENDER,
        ],
    ),
    Case::new(
        "pin-without-the-chain",
        &["IPC-HOLD-4"],
        &[
            Part::returns(SERVER, |stage| {
                let driver = stage.id(MIDDLE);
                let lender = stage.id(CLIENT);
                waits(stage, MIDDLE);
                // The lender waits for the driver, but the driver is queued here and not received yet.
                let pin = || privileged::pin(driver, lender, 0, DEVICE, 0, PAGE).err();
                check!(pin() == Some(Code::NO_LEASE));
                let message = next_message()?;
                check_eq!(message.sender.0, driver.0);
                let stranger = privileged::pin(driver, stage.id(LAST), 0, DEVICE, 0, PAGE).err();
                check!(stranger == Some(Code::NO_LEASE));
                reply(driver, 0);
                check!(pin() == Some(Code::NO_LEASE));
                Ok(())
            }),
            DRIVER,
            LENDER,
        ],
    ),
    Case::new(
        "holds-until-there-is-no-slot",
        &["IPC-HOLD-7", "IPC-HOLD-6"],
        &[
            Part::returns(SERVER, |stage| {
                let last = stage.id(LAST);
                let mut held = 0;
                while held < MORE_THAN_ANY && privileged::hold(last, held).0 == Code::OK.0 {
                    held += 1;
                }
                check!(held > 0 && held < MORE_THAN_ANY);
                check_eq!(privileged::hold(last, held).0, Code::EXHAUSTED.0);
                // The refused one is not there, what was held before still is, and a repeat needs no slot.
                check_eq!(privileged::lift(last.index(), held).0, Code::REFUSED.0);
                check_eq!(privileged::hold(last, 0).0, 0);
                check_eq!(count(), held);
                for device in 0..held {
                    check_eq!(privileged::lift(last.index(), device).0, 0);
                }
                check_eq!(count(), 0);
                check_eq!(privileged::hold(last, DEVICE).0, 0);
                check_eq!(privileged::lift(last.index(), DEVICE).0, 0);
                Ok(())
            }),
            Part::serves(LAST, serve),
        ],
    ),
    Case::new(
        "lift-of-what-was-never-held",
        &["IPC-HOLD-3"],
        &[
            Part::returns(SERVER, |stage| {
                let index = stage.index(LAST);
                check_eq!(privileged::lift(index, DEVICE).0, Code::REFUSED.0);
                check_eq!(privileged::hold(stage.id(LAST), DEVICE).0, 0);
                check_eq!(privileged::lift(index, DEVICE + 1).0, Code::REFUSED.0);
                check_eq!(
                    privileged::lift(stage.index(CLIENT), DEVICE).0,
                    Code::REFUSED.0
                );
                check_eq!(only()?.device, DEVICE);
                check_eq!(privileged::lift(index, DEVICE).0, 0);
                Ok(())
            }),
            Part::serves(LAST, serve),
        ],
    ),
    Case::new(
        "unpin-of-what-was-never-pinned",
        &["IPC-HOLD-8"],
        &[Part::returns(SERVER, |_| {
            for slot in [0, 1, 100, 255] {
                check_eq!(privileged::unpin(slot).0, Code::REFUSED.0);
            }
            Ok(())
        })],
    ),
    Case::new(
        "unpin-of-no-slot",
        &["IPC-PRIV-8"],
        &[Part::dies(SERVER, FaultKind::SyscallUsage, |_| {
            privileged::unpin(256);
            Ok(())
        })],
    ),
    Case::new(
        "lift-of-no-task",
        &["IPC-PRIV-8"],
        &[Part::dies(SERVER, FaultKind::SyscallUsage, |_| {
            privileged::lift(200, DEVICE);
            Ok(())
        })],
    ),
    Case::new(
        "hold-of-no-task",
        &["IPC-PRIV-8"],
        &[Part::dies(SERVER, FaultKind::SyscallUsage, |_| {
            privileged::hold(abi::TaskId::new(200, 1), DEVICE);
            Ok(())
        })],
    ),
    // The supervisor is told of a death only when nothing holds the task any more.
    Case::new(
        "the-supervisor-hears-of-it-last",
        &["IPC-DEATH-3"],
        &[
            Part::returns(SERVER, |stage| {
                check_eq!(privileged::hold(stage.id(LAST), DEVICE).0, 0);
                stage.note(1);
                let received = ipc::receive(notification::HELD_DEATH);
                check!(matches!(
                    received,
                    Received::Notification(notification::HELD_DEATH)
                ));
                check_eq!(stage.status(LAST).state, TaskState::DeadHeld as u64);
                check_eq!(privileged::lift(stage.index(LAST), DEVICE).0, 0);
                check_eq!(stage.status(LAST).state, TaskState::Dead as u64);
                check_eq!(
                    privileged::lift(stage.index(LAST), DEVICE).0,
                    Code::REFUSED.0
                );
                Ok(())
            }),
            Part::dies(LAST, FaultKind::NoRight, |stage| {
                crate::help::notes(stage, 1);
                ipc::post(stage.id(SERVER), 1 << 15);
                Ok(())
            }),
        ],
    ),
];
