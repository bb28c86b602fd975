//! Leases and borrows: who may borrow what, and until when.

use abi::{Code, Lease, LeaseAttributes};
use suite::{Case, Part, Stage, check, check_eq};
use userlib::ipc::{self, LeaseBuffer};
use userlib::provoke;

use crate::help::{NOWHERE, call_server, calls_next, next_message, notes, reply, waits};
use crate::{CLIENT, LAST, MIDDLE, SECOND, SERVER};

const READ: LeaseAttributes = LeaseAttributes::READ;
const WRITE: LeaseAttributes = LeaseAttributes::WRITE;

/// A client that lends 64 bytes for reading and waits, whatever the server does with them.
pub const LENDER: Part = Part::returns(CLIENT, |stage| {
    let buffer = [0x77; 64];
    let leases = [LeaseBuffer::read(&buffer)];
    calls_next(stage, CLIENT);
    ipc::call(stage.id(SERVER), 1, &[0; 8], 0, 8, &leases);
    Ok(())
});

/// The server borrows and looks at its client, which sees nothing of it but what was written.
fn borrow_unnoticed(stage: &Stage) -> suite::Result {
    let message = next_message()?;
    let mut buffer = [0; 64];
    for _ in 0..3 {
        check_eq!(ipc::borrow_read(message.sender, 0, 0, &mut buffer).0, 0);
        check_eq!(provoke::borrow_read(message.sender, 0, 0, NOWHERE, 0).0, 0);
        let client = stage.status(CLIENT);
        check_eq!(client.state, abi::privileged::TaskState::Blocked as u64);
        check_eq!(client.id.0, message.sender.0);
    }
    check!(buffer == [0x77; 64]);
    reply(message.sender, 5);
    Ok(())
}

pub const CASES: &[Case] = &[
    Case::new(
        "borrow-without-notice",
        &["IPC-LEASE-8", "IPC-LEASE-7"],
        &[
            Part::serves(SERVER, borrow_unnoticed),
            Part::returns(CLIENT, |stage| {
                let buffer = [0x77; 64];
                let leases = [LeaseBuffer::read(&buffer)];
                let answer = ipc::call(stage.id(SERVER), 1, &[0; 8], 0, 8, &leases);
                check_eq!(answer.code.0, 0);
                check_eq!(answer.payload[0], 5);
                check!(core::hint::black_box(&buffer) == &[0x77; 64]);
                Ok(())
            }),
        ],
    ),
    // The same memory twice, and the borrower's copy over the lender's own message.
    Case::new(
        "leases-of-one-place",
        &["IPC-LEASE-5"],
        &[
            Part::serves(SERVER, |_| {
                let from = next_message()?.sender;
                let mut seen = [0; 32];
                check_eq!(ipc::borrow_write(from, 0, 0, &[7; 32]).0, 0);
                check_eq!(ipc::borrow_read(from, 1, 0, &mut seen).0, 0);
                check!(seen == [7; 32]);
                check_eq!(ipc::borrow_write(from, 1, 16, &[8; 16]).0, 0);
                check_eq!(ipc::borrow_read(from, 0, 0, &mut seen).0, 0);
                check!(seen[..16] == [7; 16] && seen[16..] == [8; 16]);
                reply(from, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let mut place = [0u8; 32];
                let lease = || {
                    let all = Lease::new(32, LeaseAttributes::all());
                    provoke::lease(place.as_ptr() as u64, all)
                };
                let leases = [lease(), lease()];
                check_eq!(
                    ipc::call(stage.id(SERVER), 1, &[0; 8], 0, 8, &leases)
                        .code
                        .0,
                    0
                );
                let seen = core::hint::black_box(&mut place);
                check!(seen[..16] == [7; 16] && seen[16..] == [8; 16]);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "lease-read-and-write",
        &["IPC-LEASE-5"],
        &[
            Part::serves(SERVER, |_| {
                let message = next_message()?;
                check_eq!(message.lease_count, 2);
                check_eq!(message.leases[0].0, Lease::new(5000, READ).0);
                check_eq!(message.leases[1].0, Lease::new(10, WRITE).0);
                let mut buffer = [0; 5000];
                check_eq!(ipc::borrow_read(message.sender, 0, 0, &mut buffer).0, 0);
                check!(
                    buffer
                        .iter()
                        .enumerate()
                        .all(|(at, byte)| *byte == (at % 251) as u8)
                );
                check_eq!(
                    ipc::borrow_read(message.sender, 0, 4990, &mut buffer[..10]).0,
                    0
                );
                check_eq!(buffer[9], (4999 % 251) as u8);
                check_eq!(ipc::borrow_write(message.sender, 1, 3, &[1, 2, 3]).0, 0);
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let lent: [u8; 5000] = core::array::from_fn(|at| (at % 251) as u8);
                let mut filled = [9; 10];
                let leases = [LeaseBuffer::read(&lent), LeaseBuffer::write(&mut filled)];
                let answer = ipc::call(stage.id(SERVER), 1, &[0; 8], 0, 8, &leases);
                check_eq!(answer.code.0, 0);
                check!(filled == [9, 9, 9, 1, 2, 3, 9, 9, 9, 9]);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "lease-bounds",
        &["IPC-LEASE-2"],
        &[
            Part::serves(SERVER, |_| {
                let from = next_message()?.sender;
                let mut buffer = [0; 65];
                let bounds = Code::LEASE_BOUNDS.0;
                check_eq!(ipc::borrow_read(from, 0, 0, &mut buffer).0, bounds);
                check_eq!(ipc::borrow_read(from, 0, 1, &mut buffer[..64]).0, bounds);
                check_eq!(ipc::borrow_read(from, 0, 64, &mut buffer[..1]).0, bounds);
                check_eq!(ipc::borrow_read(from, 0, 65, &mut []).0, bounds);
                check_eq!(
                    ipc::borrow_read(from, 0, usize::MAX, &mut buffer[..2]).0,
                    bounds
                );
                check_eq!(ipc::borrow_read(from, 0, 64, &mut []).0, 0);
                check_eq!(ipc::borrow_read(from, 0, 63, &mut buffer[..1]).0, 0);
                check_eq!(ipc::borrow_write(from, 0, 0, &buffer[..1]).0, bounds);
                reply(from, 0);
                Ok(())
            }),
            LENDER,
        ],
    ),
    Case::new(
        "lease-not-readable",
        &["IPC-LEASE-2"],
        &[
            Part::serves(SERVER, |_| {
                let from = next_message()?.sender;
                let mut buffer = [0; 1];
                check_eq!(
                    ipc::borrow_read(from, 0, 0, &mut buffer).0,
                    Code::LEASE_BOUNDS.0
                );
                check_eq!(ipc::borrow_write(from, 0, 0, &buffer).0, 0);
                reply(from, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let mut buffer = [9; 4];
                let leases = [LeaseBuffer::write(&mut buffer)];
                ipc::call(stage.id(SERVER), 1, &[0; 8], 0, 8, &leases);
                check_eq!(buffer[0], 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "lease-that-was-not-given",
        &["IPC-LEASE-1"],
        &[
            Part::serves(SERVER, |stage| {
                let from = next_message()?.sender;
                let mut buffer = [0; 1];
                let none = Code::NO_LEASE.0;
                for number in [1, 2, 1 << 40] {
                    check_eq!(ipc::borrow_read(from, number, 0, &mut buffer).0, none);
                }
                check_eq!(ipc::borrow_read(stage.id(LAST), 0, 0, &mut buffer).0, none);
                check_eq!(
                    ipc::borrow_read(stage.id(SERVER), 0, 0, &mut buffer).0,
                    none
                );
                reply(from, 0);
                check_eq!(ipc::borrow_read(from, 0, 0, &mut buffer).0, none);
                Ok(())
            }),
            LENDER,
        ],
    ),
    // Two, then one, then none: what a call lent ends with it, by whatever way the next one goes.
    Case::new(
        "leases-of-the-call-before",
        &["IPC-LEASE-1", "IPC-LEASE-6"],
        &[
            Part::serves(SERVER, |_| {
                let none = Code::NO_LEASE.0;
                for lent in [2, 1, 0] {
                    let message = next_message()?;
                    check_eq!(message.lease_count, lent);
                    let mut buffer = [0; 1];
                    for number in 0..4 {
                        let code = ipc::borrow_read(message.sender, number, 0, &mut buffer);
                        check_eq!(code.0, if number < lent { Code::OK.0 } else { none });
                    }
                    reply(message.sender, 0);
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let [a, b] = [[1; 8]; 2];
                let leases = [&a, &b].map(|lent| LeaseBuffer::read(lent));
                for lent in [2, 1, 0] {
                    let answer = ipc::call(stage.id(SERVER), 1, &[0; 8], 0, 8, &leases[..lent]);
                    check_eq!(answer.code.0, 0);
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "lease-for-another-server",
        &["IPC-LEASE-1"],
        &[
            Part::serves(SERVER, |stage| {
                let from = next_message()?.sender;
                // The stranger has tried meanwhile.
                notes(stage, 2);
                reply(from, 0);
                Ok(())
            }),
            LENDER,
            Part::returns(LAST, |stage| {
                let mut buffer = [0; 1];
                let code = ipc::borrow_read(stage.id(CLIENT), 0, 0, &mut buffer);
                stage.note(LAST as u64);
                check_eq!(code.0, Code::NO_LEASE.0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "lease-before-it-is-received",
        &["IPC-LEASE-1", "IPC-SEND-11"],
        &[
            Part::returns(SERVER, |stage| {
                waits(stage, CLIENT);
                let mut buffer = [0; 1];
                let code = ipc::borrow_read(stage.id(CLIENT), 0, 0, &mut buffer);
                check_eq!(code.0, Code::NO_LEASE.0);
                reply(next_message()?.sender, 0);
                Ok(())
            }),
            LENDER,
        ],
    ),
    Case::new(
        "lender-dies-in-mid-borrow",
        &["IPC-LEASE-4", "IPC-LEASE-6"],
        &[
            Part::returns(SERVER, |stage| {
                let from = next_message()?.sender;
                let mut buffer = [0; 8];
                check_eq!(ipc::borrow_read(from, 0, 0, &mut buffer).0, 0);
                check_eq!(stage.stop(CLIENT).0, 0);
                check_eq!(ipc::borrow_read(from, 0, 0, &mut buffer).0, Code::DEAD.0);
                check_eq!(stage.restart(CLIENT).0, 0);
                // It lends again, in another life.
                let again = next_message()?.sender;
                check_eq!(ipc::borrow_read(from, 0, 0, &mut buffer).0, Code::DEAD.0);
                check_eq!(ipc::borrow_read(again, 0, 0, &mut buffer).0, 0);
                reply(again, 0);
                Ok(())
            }),
            LENDER,
        ],
    ),
    Case::new(
        "a-lease-is-not-passed-on",
        &["IPC-LEASE-1"],
        &[
            Part::serves(SERVER, |stage| {
                let from = next_message()?.sender;
                let mut buffer = [0; 8];
                let code = ipc::borrow_read(stage.id(SECOND), 0, 0, &mut buffer);
                check_eq!(code.0, Code::NO_LEASE.0);
                reply(from, 0);
                Ok(())
            }),
            Part::serves(MIDDLE, |stage| {
                let from = next_message()?.sender;
                check_eq!(call_server(stage, 1, 0).code.0, 0);
                reply(from, 0);
                Ok(())
            }),
            Part::returns(SECOND, |stage| {
                let buffer = [1; 8];
                let leases = [LeaseBuffer::read(&buffer)];
                let answer = ipc::call(stage.id(MIDDLE), 1, &[0; 8], 0, 8, &leases);
                check_eq!(answer.code.0, 0);
                Ok(())
            }),
        ],
    ),
];
