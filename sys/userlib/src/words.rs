//! Messages as they arrive in registers, and replies of a word: for a server whose most frequent requests need no more.
//!
//! A [`Delivery`] is looked at by word, so that one of these requests is told by its form before anything is made of it,
//! and never leaves the registers.

use abi::{Lease, REGISTER_BYTES, ReplyDescriptor, SendDescriptor, TaskId};

use crate::has_inbox::only_without_inbox;
use crate::ipc::{Payload, Received, received};
use crate::stubs::{self, Returned};

/// What a receive brought, in the words that it came in.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// The payload of a message of at most 64 bytes.
    pub payload: Payload,
    /// The sender of a message; [`TaskId::KERNEL`] if it is none.
    pub sender: TaskId,
    /// The form of a message.
    pub form: SendDescriptor,
    code: u64,
    leases: [Lease; 2],
}

impl Delivery {
    #[inline(always)]
    const fn new(returned: &Returned) -> Self {
        Self {
            payload: returned.payload,
            sender: TaskId(returned.x8),
            form: SendDescriptor(returned.x9),
            code: returned.x10,
            leases: [Lease(returned.x12), Lease(returned.x13)],
        }
    }

    /// Whether it is a message of a form.
    #[inline(always)]
    pub fn is_message(&self) -> bool {
        self.sender != TaskId::KERNEL
    }

    /// What it is.
    #[inline(always)]
    pub fn received(self) -> Received {
        let [first, second] = self.leases;
        received(&Returned {
            payload: self.payload,
            x8: self.sender.0,
            x9: self.form.0,
            x10: self.code,
            x12: first.0,
            x13: second.0,
        })
    }
}

#[inline(always)]
fn arguments(mask: u32, buffer: &mut [u8]) -> [u64; 4] {
    only_without_inbox();
    [
        u64::from(mask),
        TaskId::ANY.0,
        buffer.as_mut_ptr() as u64,
        buffer.len() as u64,
    ]
}

/// Receives from anybody, or a notification in `mask`; a message of over 64 bytes arrives in the buffer.
#[inline(always)]
pub fn receive(mask: u32, buffer: &mut [u8]) -> Delivery {
    Delivery::new(&stubs::receive(arguments(mask, buffer)))
}

/// Replies with a word at most, and receives, in one entry. The bytes of the reply must not exceed what the caller can
/// take. Does nothing if the caller no longer waits.
#[inline(always)]
pub fn reply_receive(
    to: TaskId,
    reply: ReplyDescriptor,
    value: u64,
    mask: u32,
    buffer: &mut [u8],
) -> Delivery {
    Delivery::new(&stubs::reply_registers_receive(
        &[value, 0, 0, 0, 0, 0, 0, 0],
        [to.0, reply.0],
        arguments(mask, buffer),
    ))
}

/// Replies with up to 64 bytes and receives, in one entry.
#[inline(always)]
pub fn reply_all_receive(
    to: TaskId,
    code: u32,
    payload: &Payload,
    len: usize,
    mask: u32,
    buffer: &mut [u8],
) -> Delivery {
    let reply = ReplyDescriptor::new(code, len.min(REGISTER_BYTES) as u16);
    Delivery::new(&stubs::reply_registers_receive(
        payload,
        [to.0, reply.0],
        arguments(mask, buffer),
    ))
}
