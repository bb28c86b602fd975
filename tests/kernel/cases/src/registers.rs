//! What system calls and interrupts do to registers.

use abi::{ReplyDescriptor, SendDescriptor, Syscall, TaskId};
use suite::role::Stage;
use suite::{Case, Part, Result, check, check_eq};
use userlib::provoke::{self, Registers};

use crate::help::next_message;
use crate::{CLIENT, MIDDLE, SERVER};

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
