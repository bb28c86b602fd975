//! Sends that fault their sender, and ids that name nobody.

use crate::help::{
    NOWHERE, call, call_server, elsewhere, next_message, only_the_client_died, send_raw, serve,
    serve_others, stale, told,
};
use crate::{CLIENT, LAST, OUTCAST, SECOND, SERVER};
use abi::{Code, FaultKind, Lease, LeaseAttributes, SendDescriptor, TaskId};
use suite::{Case, Part, Stage, check, check_eq};
use userlib::ipc::{self, Received};
use userlib::provoke;

/// How many mistakes a send can have at once.
const MISTAKES: u64 = 8;

/// The registers of a send with the mistakes from number `first` on, what it has to die of, and of which
/// argument.
fn mistakes(stage: &Stage, first: u64) -> ([u64; 8], FaultKind, u64) {
    let wrong = |number: u64, bad: u64, good: u64| if first <= number { bad } else { good };
    let reserved = wrong(0, 1 << 63, 0);
    let descriptor = SendDescriptor::new(1, 100, 100, 2).0 | reserved;
    let stale_server = stale(stage.id(SERVER)).0;
    // Whoever it may send to is as good as the server, by a stale id or not.
    let target = wrong(1, 200, wrong(2, stage.id(OUTCAST).0, stale_server));
    let good = abi::layout::TASK_STACK_TOP - 0x1000;
    let lease = Lease::new(8, LeaseAttributes::READ).0;
    let registers = [
        target,
        descriptor,
        wrong(3, NOWHERE, good),
        wrong(4, NOWHERE + 1, good),
        wrong(6, NOWHERE + 2, good),
        lease | wrong(5, 1 << 34, 0),
        NOWHERE + 3,
        lease,
    ];
    let (kind, argument) = match first {
        0 => (FaultKind::SyscallUsage, descriptor),
        1 => (FaultKind::SyscallUsage, target),
        2 => (FaultKind::NoRight, target),
        3 => (FaultKind::BadSlice, NOWHERE),
        4 => (FaultKind::BadSlice, NOWHERE + 1),
        5 => (FaultKind::SyscallUsage, registers[5]),
        6 => (FaultKind::BadSlice, NOWHERE + 2),
        _ => (FaultKind::BadSlice, NOWHERE + 3),
    };
    (registers, kind, argument)
}

/// Send descriptors of which nothing may arrive: lengths and capacities whose sum with a small number leaves its
/// field, and with it the word.
const MALFORMED: [u64; 10] = [
    u64::MAX,
    0xffff << 16,
    0xffff << 32,
    0xffff_ffff << 32,
    0xffc1 << 16 | 63 << 32,
    0xffc0 << 16,
    0x8000 << 16 | 0x8000 << 32,
    0xffc1 << 16 | 0xffc0 << 32,
    0xffff_ffc1 << 32,
    0xfffc << 48,
];

pub const CASES: &[Case] = &[
    Case::new(
        "send-message-too-long",
        &["IPC-SEND-5"],
        &[
            Part::serves(SERVER, serve_others),
            Part::dies(CLIENT, FaultKind::SyscallUsage, |stage| {
                send_raw(stage, SendDescriptor::new(1, 4097, 0, 0).0, 0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                let argument = Some(SendDescriptor::new(1, 4097, 0, 0).0);
                only_the_client_died(stage, FaultKind::SyscallUsage, argument)
            }),
        ],
    ),
    Case::new(
        "send-capacity-too-large",
        &["IPC-SEND-5"],
        &[
            Part::serves(SERVER, serve_others),
            Part::dies(CLIENT, FaultKind::SyscallUsage, |stage| {
                send_raw(stage, SendDescriptor::new(1, 0, 4097, 0).0, 0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                let argument = Some(SendDescriptor::new(1, 0, 4097, 0).0);
                only_the_client_died(stage, FaultKind::SyscallUsage, argument)
            }),
        ],
    ),
    Case::new(
        "send-three-leases",
        &["IPC-SEND-5"],
        &[
            Part::serves(SERVER, serve_others),
            Part::dies(CLIENT, FaultKind::SyscallUsage, |stage| {
                send_raw(stage, SendDescriptor::new(1, 0, 0, 3).0, 0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                let argument = Some(SendDescriptor::new(1, 0, 0, 3).0);
                only_the_client_died(stage, FaultKind::SyscallUsage, argument)
            }),
        ],
    ),
    Case::new(
        "send-reserved-bits",
        &["IPC-REG-9"],
        &[
            Part::serves(SERVER, serve_others),
            Part::dies(CLIENT, FaultKind::SyscallUsage, |stage| {
                send_raw(stage, 1 << 51, 0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                let argument = Some(1 << 51);
                only_the_client_died(stage, FaultKind::SyscallUsage, argument)
            }),
        ],
    ),
    // Each life of the client makes a send with another descriptor.
    Case::new(
        "send-malformed-descriptors",
        &["IPC-SEND-5", "IPC-REG-9"],
        &[
            Part::serves(SERVER, serve_others),
            Part::dies(CLIENT, FaultKind::SyscallUsage, |stage| {
                let descriptor = MALFORMED.get(stage.life as usize);
                send_raw(stage, descriptor.copied().unwrap_or(0), 0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                for (life, descriptor) in (1..).zip(MALFORMED) {
                    only_the_client_died(stage, FaultKind::SyscallUsage, Some(descriptor))?;
                    if life < MALFORMED.len() {
                        check_eq!(stage.restart(CLIENT).0, 0);
                    }
                }
                Ok(())
            }),
        ],
    ),
    // What the client claimed of its reply buffer decides where the kernel writes.
    Case::new(
        "send-malformed-then-long-reply",
        &["IPC-SEND-5", "IPC-SEND-8"],
        &[
            Part::serves(SERVER, |_| {
                let message = next_message()?;
                ipc::reply_long(message.sender, 0, &[0x22; 100]);
                Ok(())
            }),
            Part::dies(CLIENT, FaultKind::SyscallUsage, |stage| {
                send_raw(stage, u64::MAX, 0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                let send = abi::Syscall::Send as u16;
                let argument = Some(u64::MAX);
                told(stage, CLIENT, FaultKind::SyscallUsage, send, argument)
            }),
        ],
    ),
    Case::new(
        "send-to-no-task",
        &["IPC-ID-5"],
        &[Part::dies(CLIENT, FaultKind::SyscallUsage, |_| {
            call(TaskId::new(200, 0), 1, 0);
            Ok(())
        })],
    ),
    Case::new(
        "send-downhill",
        &["IPC-SEND-1"],
        &[Part::dies(SERVER, FaultKind::NoRight, |stage| {
            call(stage.id(CLIENT), 1, 0);
            Ok(())
        })],
    ),
    Case::new(
        "send-to-an-equal",
        &["IPC-SEND-1"],
        &[Part::dies(CLIENT, FaultKind::NoRight, |stage| {
            call(stage.id(SECOND), 1, 0);
            Ok(())
        })],
    ),
    Case::new(
        "send-to-self",
        &["IPC-SEND-1", "IPC-SEND-9"],
        &[Part::dies(CLIENT, FaultKind::NoRight, |stage| {
            call(stage.id(CLIENT), 1, 0);
            Ok(())
        })],
    ),
    Case::new(
        "send-without-right",
        &["IPC-SEND-1"],
        &[
            Part::serves(SERVER, serve),
            Part::dies(OUTCAST, FaultKind::NoRight, |stage| {
                call_server(stage, 1, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-to-other-lives",
        &["IPC-ID-4"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let id = stage.id(SERVER);
                check_eq!(call(stale(id), 1, 0).code.0, Code::DEAD.0);
                check_eq!(
                    call(TaskId::new(id.index() as u8, 0), 1, 0).code.0,
                    Code::DEAD.0
                );
                let later = TaskId::new(id.index() as u8, id.generation() + 1);
                check_eq!(call(later, 1, 0).code.0, Code::DEAD.0);
                check_eq!(call(id, 1, 6).payload[0], 7);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "ids-that-differ-in-one-bit",
        &["IPC-ID-6", "IPC-ID-4"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let id = stage.id(SERVER);
                for bit in 8..64 {
                    let other = TaskId(id.0 ^ 1 << bit);
                    check_eq!(call(other, 1, 0).code.0, Code::DEAD.0);
                    check_eq!(ipc::post(other, 0).0, Code::DEAD.0);
                    let mut byte = [0];
                    check_eq!(ipc::borrow_read(other, 0, 0, &mut byte).0, Code::DEAD.0);
                }
                check_eq!(call(id, 1, 6).payload[0], 7);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "ids-of-other-cores",
        &["IPC-ID-7"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let id = stage.id(SERVER);
                for other in elsewhere(id) {
                    check_eq!(call(other, 1, 0).code.0, Code::DEAD.0);
                    check_eq!(ipc::post(other, 0).0, Code::DEAD.0);
                    let mut byte = [0];
                    check_eq!(ipc::borrow_read(other, 0, 0, &mut byte).0, Code::DEAD.0);
                    check!(matches!(ipc::receive_from(other, 0), Received::Dead));
                }
                check_eq!(call(id, 1, 6).payload[0], 7);
                Ok(())
            }),
        ],
    ),
    // Each life of the client makes a send with one mistake less.
    Case::new(
        "send-wrong-in-several-ways",
        &["IPC-SEND-12", "IPC-FAULT-5"],
        &[
            Part::serves(SERVER, serve_others),
            Part::dies(CLIENT, FaultKind::BadSlice, |stage| {
                provoke::send(mistakes(stage, stage.life).0, &[0; 8]);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                for life in 0..MISTAKES {
                    let (_, kind, argument) = mistakes(stage, life);
                    told(
                        stage,
                        CLIENT,
                        kind,
                        abi::Syscall::Send as u16,
                        Some(argument),
                    )?;
                    if life + 1 < MISTAKES {
                        check_eq!(stage.restart(CLIENT).0, 0);
                    }
                }
                check_eq!(call_server(stage, 1, 6).payload[0], 7);
                Ok(())
            }),
        ],
    ),
];
