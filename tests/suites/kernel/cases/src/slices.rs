//! Where messages and reply buffers may lie.

use abi::{FaultKind, SendDescriptor};
use suite::{Case, Part, check, check_eq, check_is};
use userlib::{config, ipc, provoke};

use crate::help::{
    KERNEL_HALF, NOWHERE, next_message, only_the_client_died, read_only, reply, reply_to,
    send_from, send_raw, serve, serve_others,
};
use crate::{CLIENT, LAST, SERVER};

/// A client that dies of a bad slice, and a server that notices nothing of it. The address is that of the
/// slice, if it is known at build time.
macro_rules! bad {
    ($name:literal, $requirements:expr, $address:expr, |$stage:ident| $call:expr) => {
        Case::new(
            $name,
            $requirements,
            &[
                Part::serves(SERVER, serve_others),
                Part::dies(CLIENT, FaultKind::BadSlice, |$stage| {
                    $call;
                    Ok(())
                }),
                Part::returns(LAST, |stage| {
                    only_the_client_died(stage, FaultKind::BadSlice, $address)
                }),
            ],
        )
    };
}

/// Ten bytes below the end of the stack, which ends a region.
const STACK_END: u64 = abi::layout::TASK_STACK_TOP - 10;
/// The last addresses of the tasks' half.
const HALF_END: u64 = (1 << abi::layout::TASK_VA_BITS) - 10;

pub const CASES: &[Case] = &[
    bad!(
        "message-at-null",
        &["IPC-SEND-6", "IPC-FAULT-5"],
        Some(0),
        |stage| send_from(stage, 0, 100)
    ),
    bad!("message-nowhere", &["IPC-SEND-6"], Some(NOWHERE), |stage| {
        send_from(stage, NOWHERE, 100)
    }),
    bad!(
        "message-in-the-kernel",
        &["IPC-SEND-6", "IPC-FAULT-4"],
        Some(KERNEL_HALF),
        |stage| send_from(stage, KERNEL_HALF, 100)
    ),
    bad!(
        "message-across-the-halves",
        &["IPC-SEND-6", "IPC-FAULT-4"],
        Some(HALF_END),
        |stage| send_from(stage, HALF_END, 100)
    ),
    bad!(
        "message-around-the-end",
        &["IPC-SEND-6"],
        Some(u64::MAX - 9),
        |stage| send_from(stage, u64::MAX - 9, 100)
    ),
    bad!(
        "message-beyond-its-region",
        &["IPC-SEND-6"],
        Some(STACK_END),
        |stage| { send_from(stage, STACK_END, 100) }
    ),
    bad!("reply-buffer-at-null", &["IPC-SEND-6"], Some(0), |stage| {
        reply_to(stage, 0, 100)
    }),
    bad!(
        "reply-buffer-read-only",
        &["IPC-SEND-6"],
        Some(read_only()),
        |stage| reply_to(stage, read_only(), 100)
    ),
    bad!(
        "reply-buffer-in-the-kernel",
        &["IPC-SEND-6", "IPC-FAULT-4"],
        Some(KERNEL_HALF),
        |stage| reply_to(stage, KERNEL_HALF, 100)
    ),
    bad!(
        "reply-buffer-around-the-end",
        &["IPC-SEND-6"],
        Some(u64::MAX - 9),
        |stage| { reply_to(stage, u64::MAX - 9, 100) }
    ),
    bad!(
        "reply-buffer-beyond-its-region",
        &["IPC-SEND-6"],
        Some(STACK_END),
        |stage| { reply_to(stage, STACK_END, 100) }
    ),
    bad!(
        "message-in-device-registers",
        &["IPC-SEND-6"],
        None,
        |stage| {
            let registers = check_is!(config::mapping("rtc"), Some(registers) => registers);
            send_from(stage, registers.va, 100)
        }
    ),
    bad!(
        "reply-buffer-in-device-registers",
        &["IPC-SEND-6"],
        None,
        |stage| {
            let registers = check_is!(config::mapping("rtc"), Some(registers) => registers);
            reply_to(stage, registers.va, 100)
        }
    ),
    Case::new(
        "message-in-a-pool",
        &["IPC-SEND-6"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let pool = check_is!(config::mapping("pool"), Some(pool) => pool);
                check_eq!(send_from(stage, pool.va + pool.len - 100, 100).code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "nothing-anywhere",
        &["IPC-SEND-6"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let descriptor = SendDescriptor::new(1, 0, 8, 2).0;
                for address in [0, NOWHERE, KERNEL_HALF, u64::MAX] {
                    let target = stage.id(SERVER).0;
                    let arguments = [target, descriptor, address, address, address, 0, address, 0];
                    check_eq!(provoke::send(arguments, &[0; 8]).payload[0], 1);
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "registers-need-no-memory",
        &["IPC-REG-2", "IPC-SEND-6"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let descriptor = SendDescriptor::new(1, 64, 64, 0).0;
                check_eq!(
                    send_raw(stage, descriptor, KERNEL_HALF, KERNEL_HALF).payload[0],
                    1
                );
                Ok(())
            }),
        ],
    ),
    Case::new(
        "message-and-reply-in-one-place",
        &["IPC-SEND-6"],
        &[
            Part::serves(SERVER, |_| {
                let mut buffer = [0; 100];
                let received = ipc::receive_into(0, &mut buffer);
                let message = check_is!(received, ipc::Received::Message(message) => message);
                check!(buffer == [0x11; 100]);
                ipc::reply_long(message.sender, 0, &[0x22; 100]);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let mut buffer = [0x11u8; 100];
                let address = buffer.as_mut_ptr() as u64;
                let descriptor = SendDescriptor::new(1, 100, 100, 0).0;
                check_eq!(send_raw(stage, descriptor, address, address).len, 100);
                check!(core::hint::black_box(&buffer) == &[0x22; 100]);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "a-faulted-send-is-not-seen",
        &["IPC-SEND-6"],
        &[
            Part::returns(SERVER, |stage| {
                // The first message is of the life after the one that faulted.
                let message = next_message()?;
                check_eq!(message.operation, 2);
                check_eq!(message.sender.0, stage.id(CLIENT).0);
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                if stage.life == 0 {
                    send_from(stage, NOWHERE, 100);
                }
                check_eq!(stage.life, 1);
                check_eq!(crate::help::call_server(stage, 2, 0).code.0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                let fault = check_is!(
                crate::help::death_of(stage, CLIENT, FaultKind::BadSlice), Ok(fault) => fault);
                check_eq!(fault[1], NOWHERE);
                check_eq!(stage.restart(CLIENT).0, 0);
                Ok(())
            }),
        ],
    ),
];
