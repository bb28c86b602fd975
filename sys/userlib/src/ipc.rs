//! Messages, replies, leases, notifications.

use core::marker::PhantomData;

use abi::{
    Code, LEASES_MAX, Lease, LeaseAttributes, MESSAGE_MAX, REGISTER_BYTES, ReplyDescriptor,
    SendDescriptor, Syscall, TaskId,
};

use crate::has_inbox::only_without_inbox;
use crate::memory::{Memory, PoolMemory};
use crate::stubs::{self, Carried, Returned};

/// The part of a message that travels in registers: up to 64 bytes.
pub type Payload = [u64; 8];

/// The payload with these first words, the rest 0.
#[inline(always)]
pub fn words<const N: usize>(first: [u64; N]) -> Payload {
    let mut payload = [0; 8];
    for (to, from) in payload.iter_mut().zip(first) {
        *to = from;
    }
    payload
}

/// A message as received.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// The sender, which waits for the reply.
    pub sender: TaskId,
    /// The operation that is asked for.
    pub operation: u16,
    /// True length of the message, bytes; it may exceed the buffer into which the message was
    /// received.
    pub len: usize,
    /// Bytes the sender can take in the reply.
    pub reply_capacity: usize,
    /// The payload if it is not longer than 64 bytes; otherwise undefined.
    pub payload: Payload,
    /// Length and access of what was lent.
    pub leases: [Lease; LEASES_MAX],
    /// How many leases there are.
    pub lease_count: usize,
}

/// The result of a receive.
#[derive(Clone, Copy, Debug)]
pub enum Received {
    /// Bits of the mask that were set; they are cleared.
    Notification(u32),
    /// A message.
    Message(Message),
    /// The only sender waited for is dead.
    Dead,
}

/// The result of a call.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The server's code, or one of the kernel's.
    pub code: Code,
    /// The reply if it is not longer than 64 bytes.
    pub payload: Payload,
    /// The reply's length, bytes.
    pub len: usize,
}

/// Memory lent to the server until it replies.
#[derive(Clone, Copy)]
pub struct LeaseBuffer<'a> {
    address: u64,
    lease: Lease,
    lent: PhantomData<&'a mut [u8]>,
}

/// The lease of a slice longer than 4 GiB is cut there; no region is as long.
fn lease_len(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl<'a> LeaseBuffer<'a> {
    /// Lends for reading.
    pub fn read(slice: &'a [u8]) -> Self {
        Self {
            address: slice.as_ptr() as u64,
            lease: Lease::new(lease_len(slice.len()), LeaseAttributes::READ),
            lent: PhantomData,
        }
    }
    /// Lends for writing.
    pub fn write(slice: &'a mut [u8]) -> Self {
        Self {
            address: slice.as_mut_ptr() as u64,
            lease: Lease::new(lease_len(slice.len()), LeaseAttributes::WRITE),
            lent: PhantomData,
        }
    }
    /// Lends for both.
    pub fn read_write(slice: &'a mut [u8]) -> Self {
        Self {
            address: slice.as_mut_ptr() as u64,
            lease: Lease::new(lease_len(slice.len()), LeaseAttributes::all()),
            lent: PhantomData,
        }
    }
    /// Lends all of a pool, or of a part of one.
    pub fn pool(memory: PoolMemory, attributes: LeaseAttributes) -> Self {
        let lease = Lease::new(lease_len(memory.len()), attributes);
        Self::at(memory.address(0), lease)
    }
    /// A lease of the memory at `address`. Nobody else may use that memory in a way that the lease allows the server,
    /// for as long as the lease lives.
    pub(crate) const fn at(address: u64, lease: Lease) -> Self {
        Self {
            address,
            lease,
            lent: PhantomData,
        }
    }
}

/// Number and registers of the leases of a call. More than two are passed on as three, which the kernel faults: a
/// lease left out would be missed only by the server.
fn leased(leases: &[LeaseBuffer<'_>]) -> (u8, [u64; 4]) {
    match leases {
        [] => (0, [0; 4]),
        [a] => (1, [a.address, a.lease.0, 0, 0]),
        [a, b, rest @ ..] => {
            let count = if rest.is_empty() { 2 } else { 3 };
            (count, [a.address, a.lease.0, b.address, b.lease.0])
        }
    }
}

pub(crate) fn answer(returned: &Returned) -> Answer {
    Answer {
        code: Code(returned.x8 as u32),
        payload: returned.payload,
        len: (returned.x9 & 0xffff) as usize,
    }
}

/// Calls with up to 64 bytes each way and waits for the reply.
#[inline(always)]
pub fn call(
    target: TaskId,
    operation: u16,
    payload: &Payload,
    len: usize,
    reply_capacity: usize,
    leases: &[LeaseBuffer<'_>],
) -> Answer {
    let (count, l) = leased(leases);
    let descriptor = SendDescriptor::new(
        operation,
        len.min(64) as u16,
        reply_capacity.min(64) as u16,
        count,
    );
    if count == 0 {
        return answer(&stubs::send_registers(payload, target.0, descriptor.0));
    }
    answer(&stubs::carry::<{ Syscall::Send as u16 }>(&Carried {
        payload: *payload,
        arguments: [target.0, descriptor.0, 0, 0, l[0], l[1], l[2], l[3]],
    }))
}

/// Calls with up to 4096 bytes each way. A reply of at most 64 bytes is in the answer's payload, a
/// longer one in `reply`.
pub fn call_long(
    target: TaskId,
    operation: u16,
    message: &[u8],
    reply: &mut [u8],
    leases: &[LeaseBuffer<'_>],
) -> Answer {
    let (count, l) = leased(leases);
    let descriptor = SendDescriptor::new(
        operation,
        message.len().min(MESSAGE_MAX) as u16,
        reply.len().min(MESSAGE_MAX) as u16,
        count,
    );
    answer(&stubs::carry::<{ Syscall::Send as u16 }>(&Carried {
        payload: payload_of(message),
        arguments: [
            target.0,
            descriptor.0,
            message.as_ptr() as u64,
            reply.as_mut_ptr() as u64,
            l[0],
            l[1],
            l[2],
            l[3],
        ],
    }))
}

/// First 64 bytes of `bytes` as register payload; zero if there are more, which travel through memory.
pub fn payload_of(bytes: &[u8]) -> Payload {
    let mut payload = [0; 8];
    if bytes.len() > REGISTER_BYTES {
        return payload;
    }
    let (whole, rest) = bytes.as_chunks::<8>();
    let mut words = payload.iter_mut();
    // In this order: a zip that finds its second side empty has already taken from the first.
    for (eight, word) in whole.iter().zip(words.by_ref()) {
        *word = u64::from_le_bytes(*eight);
    }
    if let Some(word) = words.next() {
        let mut eight = [0; 8];
        for (to, from) in eight.iter_mut().zip(rest) {
            *to = *from;
        }
        *word = u64::from_le_bytes(eight);
    }
    payload
}

#[inline(always)]
pub(crate) fn received(returned: &Returned) -> Received {
    if returned.x8 == TaskId::KERNEL.0 {
        if returned.x10 == u64::from(Code::DEAD.0) {
            return Received::Dead;
        }
        return Received::Notification(returned.x9 as u32);
    }
    let delivery = SendDescriptor(returned.x9);
    Received::Message(Message {
        sender: TaskId(returned.x8),
        operation: delivery.operation(),
        len: delivery.len(),
        reply_capacity: delivery.reply_capacity(),
        payload: returned.payload,
        leases: [Lease(returned.x12), Lease(returned.x13)],
        lease_count: delivery.leases(),
    })
}

/// Receives from anybody, or a notification in `mask`.
#[inline(always)]
pub fn receive(mask: u32) -> Received {
    receive_with(mask, TaskId::ANY, 0, 0)
}

/// Receives only from `sender`, or a notification in `mask`.
pub fn receive_from(sender: TaskId, mask: u32) -> Received {
    receive_with(mask, sender, 0, 0)
}

/// Receives with a buffer for messages of over 64 bytes.
#[inline(always)]
pub fn receive_into(mask: u32, buffer: &mut [u8]) -> Received {
    only_without_inbox();
    receive_in(mask, buffer)
}

#[inline(always)]
pub(crate) fn receive_in(mask: u32, buffer: &mut [u8]) -> Received {
    let (address, capacity) = room(buffer);
    let arguments = [u64::from(mask), TaskId::ANY.0, address, capacity];
    received(&stubs::receive(arguments))
}

/// Address and capacity of a receive's buffer. One without room is always the same one, whatever slice it is: the kernel
/// knows the buffer of the last time again.
#[inline(always)]
pub(crate) fn room(buffer: &mut [u8]) -> (u64, u64) {
    match buffer {
        [] => (0, 0),
        _ => (buffer.as_mut_ptr() as u64, buffer.len() as u64),
    }
}

/// `buffer` is where `capacity` bytes may be written.
#[inline(always)]
fn receive_with(mask: u32, sender: TaskId, buffer: u64, capacity: u64) -> Received {
    only_without_inbox();
    received(&stubs::receive([
        u64::from(mask),
        sender.0,
        buffer,
        capacity,
    ]))
}

/// Replies with up to 64 bytes. `len` must not exceed what the caller can take; `code` is at most
/// [`Code::SERVER_LAST`]. Does nothing if the caller no longer waits.
#[inline(always)]
pub fn reply(to: TaskId, code: u32, payload: &Payload, len: usize) {
    reply_with(
        [
            to.0,
            ReplyDescriptor::new(code, len.min(64) as u16).0,
            0,
            0,
            0,
            0,
            0,
            0,
        ],
        payload,
    );
}

/// Replies with up to 4096 bytes.
pub fn reply_long(to: TaskId, code: u32, bytes: &[u8]) {
    let descriptor = ReplyDescriptor::new(code, bytes.len().min(MESSAGE_MAX) as u16);
    reply_with(
        [to.0, descriptor.0, bytes.as_ptr() as u64, 0, 0, 0, 0, 0],
        &payload_of(bytes),
    );
}

#[inline(always)]
fn reply_with(arguments: [u64; 8], payload: &Payload) {
    stubs::carry::<{ Syscall::Reply as u16 }>(&Carried {
        payload: *payload,
        arguments,
    });
}

/// Replies with up to 64 bytes and receives, in one entry.
#[inline(always)]
pub fn reply_receive(
    to: TaskId,
    code: u32,
    payload: &Payload,
    len: usize,
    mask: u32,
    buffer: &mut [u8],
) -> Received {
    let (address, capacity) = room(buffer);
    only_without_inbox();
    received(&stubs::reply_registers_receive(
        payload,
        [to.0, ReplyDescriptor::new(code, len.min(64) as u16).0],
        [u64::from(mask), TaskId::ANY.0, address, capacity],
    ))
}

/// Replies with the first `len` bytes of `buffer`, up to 4096, and receives into the same buffer, in one
/// entry: the kernel has copied the reply before it receives.
pub fn reply_receive_in_place(
    to: TaskId,
    code: u32,
    len: usize,
    mask: u32,
    buffer: &mut [u8],
) -> Received {
    only_without_inbox();
    reply_receive_in(to, code, len, mask, buffer)
}

pub(crate) fn reply_receive_in(
    to: TaskId,
    code: u32,
    len: usize,
    mask: u32,
    buffer: &mut [u8],
) -> Received {
    let len = len.min(buffer.len()).min(MESSAGE_MAX);
    let payload = if len <= REGISTER_BYTES {
        payload_of(buffer.get(..len).unwrap_or_default())
    } else {
        [0; 8]
    };
    let (address, capacity) = room(buffer);
    received(&stubs::carry::<{ Syscall::ReplyReceive as u16 }>(
        &Carried {
            payload,
            arguments: [
                to.0,
                ReplyDescriptor::new(code, len as u16).0,
                address,
                u64::from(mask),
                TaskId::ANY.0,
                address,
                capacity,
                0,
            ],
        },
    ))
}

/// The calling task's id.
#[inline(always)]
pub fn who_am_i() -> TaskId {
    TaskId(stubs::plain_pair::<{ Syscall::WhoAmI as u16 }>(0, 0))
}

/// Sets notification bits of `to`; needs the plan's grant.
#[inline(always)]
pub fn post(to: TaskId, bits: u32) -> Code {
    Code(stubs::plain_pair::<{ Syscall::Post as u16 }>(to.0, u64::from(bits)) as u32)
}

/// Current id of the task with `index`, and `OK`, `DOWN` or `RETIRED`.
pub fn refresh(index: usize) -> (TaskId, Code) {
    let result = stubs::plain::<{ Syscall::Refresh as u16 }>([index as u64, 0, 0, 0, 0, 0]);
    (TaskId(result[0]), Code(result[1] as u32))
}

/// Copies from a lease of `lender`, which waits for this task's reply. What is longer than the kernel copies at once
/// is copied in pieces: if the lender dies meanwhile, or has lent less, some of them are there.
pub fn borrow_read(lender: TaskId, lease: usize, offset: usize, to: &mut [u8]) -> Code {
    in_pieces(to.len(), |from, len| {
        let piece = to.get_mut(from..).unwrap_or_default().as_mut_ptr() as u64;
        let offset = offset.saturating_add(from);
        borrow::<{ Syscall::BorrowRead as u16 }>(lender, lease, offset, piece, len)
    })
}

/// Copies into a lease of `lender`, as [`borrow_read`] from one.
pub fn borrow_write(lender: TaskId, lease: usize, offset: usize, from: &[u8]) -> Code {
    in_pieces(from.len(), |start, len| {
        let piece = from.get(start..).unwrap_or_default().as_ptr() as u64;
        let offset = offset.saturating_add(start);
        borrow::<{ Syscall::BorrowWrite as u16 }>(lender, lease, offset, piece, len)
    })
}

/// One borrow of at most [`MESSAGE_MAX`] bytes, to or from `len` bytes at `piece`.
fn borrow<const CALL: u16>(
    lender: TaskId,
    lease: usize,
    offset: usize,
    piece: u64,
    len: usize,
) -> Code {
    let arguments = [lender.0, lease as u64, offset as u64, piece, len as u64, 0];
    Code(stubs::plain::<CALL>(arguments)[0] as u32)
}

/// Carries out a borrow piece by piece until one is refused; none at all is one of no bytes.
fn in_pieces(len: usize, mut borrow: impl FnMut(usize, usize) -> Code) -> Code {
    let mut done = 0;
    loop {
        let piece = (len - done).min(MESSAGE_MAX);
        let code = borrow(done, piece);
        done += piece;
        if code != Code::OK || done == len {
            return code;
        }
    }
}
