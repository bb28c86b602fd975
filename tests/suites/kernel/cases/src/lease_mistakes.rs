//! Leases and borrows that fault the task that asks for them, up to the last byte that is allowed.

use abi::{FaultKind, Lease, LeaseAttributes, SendDescriptor, TaskId};
use suite::{Case, Part, Stage, check_eq, check_is};
use userlib::ipc::{self, Answer, LeaseBuffer};
use userlib::{config, provoke};

use crate::help::{
    KERNEL_HALF, NOWHERE, next_message, only_the_client_died, read_only, reply, serve, serve_others,
};
use crate::leases::LENDER;
use crate::{CLIENT, LAST, SERVER};

const READ: LeaseAttributes = LeaseAttributes::READ;
const WRITE: LeaseAttributes = LeaseAttributes::WRITE;

/// A call to the server with one lease as given.
fn lend(stage: &Stage, address: u64, lease: u64) -> Answer {
    let descriptor = SendDescriptor::new(1, 0, 8, 1).0;
    let target = stage.id(SERVER).0;
    provoke::send([target, descriptor, 0, 0, address, lease, 0, 0], &[0; 8])
}

/// A client that dies of the lease it gives.
macro_rules! bad {
    ($name:literal, $kind:ident, |$stage:ident| $call:expr) => {
        Case::new(
            $name,
            &["IPC-SEND-6"],
            &[
                Part::serves(SERVER, serve),
                Part::dies(CLIENT, FaultKind::$kind, |$stage| {
                    $call;
                    Ok(())
                }),
            ],
        )
    };
}

pub const CASES: &[Case] = &[
    Case::new(
        "three-leases",
        &["IPC-SEND-5"],
        &[
            Part::serves(SERVER, serve_others),
            Part::dies(CLIENT, FaultKind::SyscallUsage, |stage| {
                let [a, b, c] = [[1; 8]; 3];
                let leases = [&a, &b, &c].map(|lent| LeaseBuffer::read(lent));
                ipc::call(stage.id(SERVER), 1, &[0; 8], 0, 8, &leases);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                let argument = Some(SendDescriptor::new(1, 0, 8, 3).0);
                only_the_client_died(stage, FaultKind::SyscallUsage, argument)
            }),
        ],
    ),
    bad!("lease-nowhere", BadSlice, |stage| lend(
        stage,
        NOWHERE,
        Lease::new(8, READ).0
    )),
    bad!("lease-of-the-kernel", BadSlice, |stage| {
        lend(stage, KERNEL_HALF, Lease::new(8, READ).0)
    }),
    bad!("lease-around-the-end", BadSlice, |stage| {
        lend(stage, u64::MAX - 9, Lease::new(100, READ).0)
    }),
    bad!("lease-of-all-there-is", BadSlice, |stage| {
        lend(stage, read_only(), Lease::new(u32::MAX, READ).0)
    }),
    bad!("lease-for-writing-read-only-memory", BadSlice, |stage| {
        lend(stage, read_only(), Lease::new(8, WRITE).0)
    }),
    bad!("lease-reserved-bits", SyscallUsage, |stage| {
        lend(stage, read_only(), Lease::new(8, READ).0 | 1 << 34)
    }),
    bad!("lease-beyond-its-region", BadSlice, |stage| {
        lend(
            stage,
            abi::layout::TASK_STACK_TOP - 8,
            Lease::new(9, READ).0,
        )
    }),
    bad!("lease-of-device-registers", BadSlice, |stage| {
        let registers = check_is!(config::mapping("rtc"), Some(registers) => registers);
        lend(stage, registers.va, Lease::new(8, READ).0)
    }),
    bad!("second-lease-is-bad", BadSlice, |stage| {
        let descriptor = SendDescriptor::new(1, 0, 8, 2).0;
        let good = Lease::new(8, READ).0;
        let target = stage.id(SERVER).0;
        let arguments = [target, descriptor, 0, 0, read_only(), good, NOWHERE, good];
        provoke::send(arguments, &[0; 8])
    }),
    Case::new(
        "lease-to-the-end-of-its-region",
        &["IPC-LEASE-5"],
        &[
            Part::serves(SERVER, |_| {
                let from = next_message()?.sender;
                let mut buffer = [1; 8];
                check_eq!(ipc::borrow_read(from, 0, 0, &mut buffer).0, 0);
                reply(from, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let answer = lend(
                    stage,
                    abi::layout::TASK_STACK_TOP - 8,
                    Lease::new(8, READ).0,
                );
                check_eq!(answer.code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "borrow-into-read-only-memory",
        &["IPC-LEASE-3"],
        &[
            Part::dies(SERVER, FaultKind::BadSlice, |_| {
                let from = next_message()?.sender;
                provoke::borrow_read(from, 0, 0, read_only(), 8);
                Ok(())
            }),
            LENDER,
        ],
    ),
    Case::new(
        "borrow-from-the-kernel",
        &["IPC-LEASE-3"],
        &[
            Part::dies(SERVER, FaultKind::BadSlice, |_| {
                let from = next_message()?.sender;
                provoke::borrow_write(from, 0, 0, KERNEL_HALF, 8);
                Ok(())
            }),
            LENDER,
        ],
    ),
    Case::new(
        "borrow-too-much",
        &["IPC-LEASE-7"],
        &[
            Part::dies(SERVER, FaultKind::SyscallUsage, |_| {
                let from = next_message()?.sender;
                provoke::borrow_read(from, 0, 0, read_only(), 4097);
                Ok(())
            }),
            LENDER,
        ],
    ),
    Case::new(
        "borrow-from-no-task",
        &["IPC-ID-5"],
        &[Part::dies(SERVER, FaultKind::SyscallUsage, |_| {
            ipc::borrow_read(TaskId::new(200, 0), 0, 0, &mut [0]);
            Ok(())
        })],
    ),
];
