//! What system calls and interrupts do to registers.

use abi::{Code, FaultKind, ReplyDescriptor, SendDescriptor, Syscall, TaskId};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};
use userlib::ipc;
use userlib::provoke::{self, Registers};

use crate::help::{NOWHERE, next_message, read_only, serve_others, told};
use crate::{CLIENT, LAST, MIDDLE, SECOND, SERVER};

/// Marks in the upper half of a register, one for each role.
const OF_SERVER: u64 = 0x5e5e_5e5e;
const OF_CLIENT: u64 = 0xc1c1_c1c1;
const OF_MIDDLE: u64 = 0x3d3d_3d3d;

/// Registers that all say whose they are.
fn marked(mark: u64) -> Registers {
    core::array::from_fn(|number| mark << 32 | number as u64)
}

fn arguments(mark: u64, values: &[u64]) -> Registers {
    let mut registers = marked(mark);
    for (register, value) in registers.iter_mut().skip(8).zip(values) {
        *register = *value;
    }
    registers
}

/// No register from `first` up holds what is another task's or the kernel's.
fn nothing_foreign(registers: &Registers, first: usize, foreign: u64) -> Result {
    for register in registers.iter().skip(first) {
        check!(register >> 32 != foreign);
        check!(register >> 48 != 0xffff);
    }
    Ok(())
}

/// After a call without payload: the results apart, own values.
fn own(before: &Registers, after: &Registers) -> Result {
    for (found, given) in after.iter().zip(before).skip(18) {
        check_eq!(*found, *given);
    }
    // An argument may stay, whatever it looks like.
    for (found, _) in after
        .iter()
        .zip(before)
        .skip(8)
        .filter(|(found, given)| found != given)
    {
        check!(found >> 32 != OF_SERVER && found >> 32 != OF_MIDDLE);
        check!(found >> 48 != 0xffff);
    }
    Ok(())
}

/// Makes a call without payload, and looks at what is left in the registers.
fn keeps<const CALL: u16>(values: &[u64]) -> Result {
    let before = arguments(OF_CLIENT, values);
    own(&before, &provoke::call_with::<CALL>(&before))
}

/// Sends to the server that it dies of, each with the registers from `x8` up: a descriptor that is wrong, a slice
/// that is, two ids that are.
fn deadly(stage: &Stage, number: u64) -> Registers {
    let server = stage.id(SERVER).0;
    let long = |len, capacity| SendDescriptor::new(1, len, capacity, 0).0;
    let values = match number {
        0 => [server, u64::MAX, 0, 0],
        1 => [server, long(4097, 0), 0, 0],
        2 => [server, long(100, 0), NOWHERE, 0],
        3 => [server, long(0, 100), 0, NOWHERE],
        4 => [stage.id(SECOND).0, 0, 0, 0],
        5 => [server + 64, 0, 0, 0],
        // By its number of calls, of which the request for it is one.
        _ => [server, long(64, 64), 0, 0],
    };
    arguments(OF_CLIENT, &values)
}

/// How many there are.
const DEADLY: u64 = 7;

/// Replies that a server dies of whose client can take 100 bytes: too long, with a reserved bit, from nowhere.
fn deadly_reply(number: u64, client: TaskId) -> Registers {
    let (descriptor, address) = match number {
        0 => (ReplyDescriptor::new(9, 101).0, read_only()),
        1 => (ReplyDescriptor::new(9, 8).0 | 1 << 48, 0),
        _ => (ReplyDescriptor::new(9, 100).0, NOWHERE),
    };
    let call = [client.0, descriptor, address, 0, TaskId::ANY.0, 0, 0];
    arguments(OF_SERVER, &call)
}

/// How many there are.
const DEADLY_REPLIES: u64 = 3;

/// All general registers of a dead role are these.
fn died_with(stage: &Stage, role: usize, expected: &Registers) -> Result {
    for first in (0..31).step_by(7) {
        let found = check_is!(stage.registers(role, first as u64), Ok(found) => found);
        for (found, expected) in found.iter().zip(&expected[first..]) {
            check_eq!(*found, *expected);
        }
    }
    Ok(())
}

/// A call to the server with marked registers, and its reply likewise.
fn client_calls(stage: &Stage) -> Result {
    let descriptor = SendDescriptor::new(1, 64, 64, 0).0;
    let before = arguments(OF_CLIENT, &[stage.id(SERVER).0, descriptor]);
    let after = provoke::call_with::<{ Syscall::Send as u16 }>(&before);
    check_eq!(after[8], 9);
    check_eq!(after[9], 64);
    for (number, word) in after.iter().take(8).enumerate() {
        check_eq!(*word, OF_SERVER << 32 | number as u64);
    }
    nothing_foreign(&after, 8, OF_SERVER)
}

pub const CASES: &[Case] = &[
    Case::new(
        "registers-after-a-reply",
        &["IPC-REG-1", "IPC-REG-2", "IPC-REG-3", "IPC-REG-5"],
        &[
            Part::returns(SERVER, |_| {
                let client = next_message()?.sender;
                let descriptor = ReplyDescriptor::new(9, 64).0;
                let reply = arguments(OF_SERVER, &[client.0, descriptor]);
                let after = provoke::call_with::<{ Syscall::Reply as u16 }>(&reply);
                nothing_foreign(&after, 8, OF_CLIENT)
            }),
            Part::returns(CLIENT, client_calls),
        ],
    ),
    Case::new(
        "registers-after-a-delivery",
        &["IPC-REG-1", "IPC-REG-2", "IPC-REG-3", "IPC-REG-5"],
        &[
            Part::returns(SERVER, |stage| {
                let receive = arguments(OF_SERVER, &[0, TaskId::ANY.0, 0, 0]);
                let after = provoke::call_with::<{ Syscall::Receive as u16 }>(&receive);
                check_eq!(after[8], stage.id(CLIENT).0);
                for (number, word) in after.iter().take(8).enumerate() {
                    check_eq!(*word, OF_CLIENT << 32 | number as u64);
                }
                nothing_foreign(&after, 8, OF_CLIENT)?;
                let descriptor = ReplyDescriptor::new(9, 64).0;
                let reply = arguments(OF_SERVER, &[after[8], descriptor]);
                provoke::call_with::<{ Syscall::Reply as u16 }>(&reply);
                Ok(())
            }),
            Part::returns(CLIENT, client_calls),
        ],
    ),
    Case::new(
        "registers-after-reply-and-receive",
        &["IPC-REG-1", "IPC-REG-2", "IPC-REG-3", "IPC-REPLY-7"],
        &[
            Part::returns(SERVER, |stage| {
                let client = next_message()?.sender;
                let descriptor = ReplyDescriptor::new(9, 64).0;
                let call = [client.0, descriptor, 0, 0, TaskId::ANY.0, 0, 0];
                let call = arguments(OF_SERVER, &call);
                let after = provoke::call_with::<{ Syscall::ReplyReceive as u16 }>(&call);
                check_eq!(after[8], stage.id(CLIENT).0);
                nothing_foreign(&after, 8, OF_CLIENT)?;
                let reply = arguments(OF_SERVER, &[after[8], descriptor]);
                provoke::call_with::<{ Syscall::Reply as u16 }>(&reply);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                client_calls(stage)?;
                client_calls(stage)
            }),
        ],
    ),
    // Each life of the client makes another such call.
    Case::new(
        "registers-of-the-dead-in-a-send",
        &["IPC-PRIV-7", "IPC-PRIV-6", "IPC-ID-5"],
        &[
            Part::serves(SERVER, serve_others),
            Part::dies(CLIENT, FaultKind::Injected, |stage| {
                let call = deadly(stage, stage.life);
                if stage.life + 1 == DEADLY {
                    stage.arm_fault(CLIENT, 1);
                }
                provoke::call_with::<{ Syscall::Send as u16 }>(&call);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                for life in 0..DEADLY {
                    let kind = match life {
                        2 | 3 => FaultKind::BadSlice,
                        4 => FaultKind::NoRight,
                        6 => FaultKind::Injected,
                        _ => FaultKind::SyscallUsage,
                    };
                    told(stage, CLIENT, kind, Syscall::Send as u16, None)?;
                    died_with(stage, CLIENT, &deadly(stage, life))?;
                    if life + 1 < DEADLY {
                        check_eq!(stage.restart(CLIENT).0, 0);
                    }
                }
                Ok(())
            }),
        ],
    ),
    // Each life of the server makes another such reply.
    Case::new(
        "registers-of-the-dead-in-a-reply",
        &["IPC-PRIV-7", "IPC-REPLY-3", "IPC-REPLY-6"],
        &[
            Part::dies(SERVER, FaultKind::BadSlice, |stage| {
                let client = next_message()?.sender;
                let call = deadly_reply(stage.life, client);
                provoke::call_with::<{ Syscall::ReplyReceive as u16 }>(&call);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for life in 0..DEADLY_REPLIES {
                    let mut buffer = [0; 200];
                    let answer = ipc::call_long(stage.id(SERVER), 1, &[], &mut buffer[..100], &[]);
                    check_eq!(answer.code.0, Code::DEAD.0);
                    check!(buffer == [0; 200]);
                    let kind = [
                        FaultKind::ReplyTooLong,
                        FaultKind::SyscallUsage,
                        FaultKind::BadSlice,
                    ][life as usize];
                    let call = Syscall::ReplyReceive as u16;
                    told(stage, SERVER, kind, call, None)?;
                    let own = stage.id(CLIENT);
                    died_with(stage, SERVER, &deadly_reply(life, own))?;
                    if life + 1 < DEADLY_REPLIES {
                        check_eq!(stage.restart(SERVER).0, 0);
                    }
                }
                Ok(())
            }),
        ],
    ),
    // A task gives its registers away with the call that it waits in.
    Case::new(
        "registers-of-the-dead-that-waited",
        &["IPC-PRIV-7"],
        &[
            Part::serves(SERVER, |_| {
                // Twice, so that the second wait is one of `ReplyReceive`.
                let message = next_message()?;
                ipc::reply_receive(message.sender, 0, &[0; 8], 8, 0, &mut []);
                loop {
                    next_message()?;
                }
            }),
            Part::dies(CLIENT, FaultKind::Stopped, |stage| {
                let descriptor = SendDescriptor::new(1, 64, 64, 0).0;
                for _ in 0..2 {
                    let call = arguments(OF_CLIENT, &[stage.id(SERVER).0, descriptor]);
                    provoke::call_with::<{ Syscall::Send as u16 }>(&call);
                }
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                for role in [CLIENT, SERVER] {
                    check_eq!(stage.stop(role).0, 0);
                    died_with(stage, role, &[0; 31])?;
                    let fault = stage.status(role).fault;
                    let special = check_is!(stage.registers(role, 31), Ok(registers) => registers);
                    check_eq!(special[0], fault[3]);
                    check_eq!(special[1], fault[2]);
                    check!(fault[2] != 0 && fault[3] != 0);
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "registers-after-other-calls",
        &["IPC-REG-1", "IPC-REG-4", "IPC-REG-5"],
        &[Part::returns(CLIENT, |stage| {
            let server = stage.id(SERVER).0;
            keeps::<{ Syscall::WhoAmI as u16 }>(&[])?;
            keeps::<{ Syscall::Refresh as u16 }>(&[stage.index(SERVER) as u64])?;
            keeps::<{ Syscall::Post as u16 }>(&[server, 0])?;
            keeps::<{ Syscall::Timer as u16 }>(&[u64::MAX])?;
            keeps::<{ Syscall::Interrupt as u16 }>(&[0, 0])?;
            let word = 0u64;
            let at = core::ptr::from_ref(&word) as u64;
            keeps::<{ Syscall::BorrowWrite as u16 }>(&[server, 0, 0, at, 8])?;
            Ok(())
        })],
    ),
    // It would carry a word from one task to the next, so it is nobody's.
    Case::new(
        "thread-register-is-nobodys",
        &["IPC-REG-10"],
        &[Part::returns(CLIENT, |stage| {
            let after_call = provoke::thread_register(OF_CLIENT, || {
                provoke::call_with::<{ Syscall::Send as u16 }>(&arguments(
                    OF_CLIENT,
                    &[
                        stage.runner().0,
                        SendDescriptor::new(suite::protocol::NOTES, 0, 64, 0).0,
                    ],
                ));
            });
            check_eq!(after_call, 0);
            check_eq!(provoke::thread_register(OF_CLIENT, || stage.pause(1)), 0);
            Ok(())
        })],
    ),
    // The middle role preempts the client again and again, with other values in its registers.
    Case::new(
        "registers-of-the-preempted",
        &["IPC-REG-6", "IPC-SCHED-2"],
        &[
            Part::returns(MIDDLE, |stage| {
                let mut other = marked(OF_MIDDLE);
                other[0] = 10;
                for _ in 0..20 {
                    stage.pause(1);
                    provoke::spin_with(&other);
                    stage.note(1);
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let mut before = marked(OF_CLIENT);
                before[0] = 1_000_000;
                while stage.notes().0 < 20 {
                    let after = provoke::spin_with(&before);
                    check_eq!(after[0], 0);
                    check!(after[1..] == before[1..]);
                }
                Ok(())
            }),
        ],
    ),
];
