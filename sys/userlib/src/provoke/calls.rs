//! System calls with every argument as given, valid or not.

use abi::{Code, Lease, Syscall, TaskId};

use crate::ipc::{Answer, LeaseBuffer, Payload, Received, answer, received};
use crate::stubs::{self, Carried};

/// A system call with a number that is not defined.
pub fn undefined_syscall() {
    stubs::plain::<0xfff0>([0; 6]);
}

/// `Interrupt`.
pub fn interrupt(bits: u64, enable: u64) -> u64 {
    stubs::plain::<{ Syscall::Interrupt as u16 }>([bits, enable, 0, 0, 0, 0])[0]
}

/// `Post`.
pub fn post(target: u64, bits: u64) -> u64 {
    stubs::plain::<{ Syscall::Post as u16 }>([target, bits, 0, 0, 0, 0])[0]
}

/// `Panic` with a text of the caller's.
pub fn panic(text: &[u8]) -> ! {
    stubs::panic(text)
}

/// `Send`: `x8..=x15`.
pub fn send(arguments: [u64; 8], payload: &Payload) -> Answer {
    answer(&carry::<{ Syscall::Send as u16 }>(arguments, payload))
}

/// `Receive`.
pub fn receive(mask: u32, sender: TaskId, buffer: u64, capacity: u64) -> Received {
    received(&stubs::receive([
        u64::from(mask),
        sender.0,
        buffer,
        capacity,
    ]))
}

/// `Reply`: `x8..=x15`.
pub fn reply(arguments: [u64; 8], payload: &Payload) {
    carry::<{ Syscall::Reply as u16 }>(arguments, payload);
}

/// `ReplyReceive`: `x8..=x15`.
pub fn reply_receive(arguments: [u64; 8], payload: &Payload) -> Received {
    received(&carry::<{ Syscall::ReplyReceive as u16 }>(
        arguments, payload,
    ))
}

/// `ReplyAgain`: `x8..=x10`. Whoever calls this answers for the buffer of the last receive.
pub fn reply_again(arguments: [u64; 3], payload: &Payload) -> Received {
    let [to, descriptor, address] = arguments;
    received(&carry::<{ Syscall::ReplyAgain as u16 }>(
        [to, descriptor, address, 0, 0, 0, 0, 0],
        payload,
    ))
}

fn carry<const CALL: u16>(arguments: [u64; 8], payload: &Payload) -> stubs::Returned {
    stubs::carry::<CALL>(&Carried {
        payload: *payload,
        arguments,
    })
}

/// `BorrowRead` to an address of this task.
pub fn borrow_read(lender: TaskId, lease: u64, offset: u64, to: u64, len: u64) -> Code {
    let arguments = [lender.0, lease, offset, to, len, 0];
    Code(stubs::plain::<{ Syscall::BorrowRead as u16 }>(arguments)[0] as u32)
}

/// `BorrowWrite` from an address of this task.
pub fn borrow_write(lender: TaskId, lease: u64, offset: u64, from: u64, len: u64) -> Code {
    let arguments = [lender.0, lease, offset, from, len, 0];
    Code(stubs::plain::<{ Syscall::BorrowWrite as u16 }>(arguments)[0] as u32)
}

/// `Privileged` with any number.
pub fn privileged(number: u64, arguments: [u64; 5]) -> [u64; 8] {
    let a = arguments;
    stubs::plain::<{ Syscall::Privileged as u16 }>([number, a[0], a[1], a[2], a[3], a[4]])
}

/// A lease of any address, for a call that is otherwise as it should be.
pub fn lease(address: u64, lease: Lease) -> LeaseBuffer<'static> {
    LeaseBuffer::at(address, lease)
}
