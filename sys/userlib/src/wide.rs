//! Messages and replies of up to 128 bytes that stay in registers, where both sides want them there.
//!
//! A client calls with [`call`]; the server may be any: one that has a [`WideInbox`] gets such a message in registers,
//! any other in its buffer.

use core::sync::atomic::Ordering;

use abi::{Code, REGISTER_BYTES, ReplyDescriptor, SendDescriptor, TAKES_WIDE, TaskId, WIDE_BYTES};
use zerocopy::{FromBytes, IntoBytes};

use crate::has_inbox::INBOX;
use crate::ipc::{self, Message, Payload, received, room};
use crate::stubs::{self, WideReturned};
use crate::words::Delivery;

/// 128 bytes.
pub type WidePayload = [u64; 16];

/// The two halves of a payload as one.
#[inline(always)]
fn joined(first: &Payload, rest: &[u64; 8]) -> WidePayload {
    let mut words = [0; 16];
    for (to, from) in words.iter_mut().zip(first.iter().chain(rest)) {
        *to = *from;
    }
    words
}

/// The result of a wide call.
#[derive(Clone, Copy, Debug)]
pub struct WideAnswer {
    /// The server's code, or one of the kernel's.
    pub code: Code,
    /// The reply.
    pub payload: WidePayload,
    /// Its length, bytes.
    pub len: usize,
}

/// Calls with up to 128 bytes each way and waits for the reply.
#[inline(always)]
pub fn call(
    target: TaskId,
    operation: u16,
    payload: &WidePayload,
    len: usize,
    reply_capacity: usize,
) -> WideAnswer {
    let descriptor = SendDescriptor::new(
        operation,
        len.min(WIDE_BYTES) as u16,
        reply_capacity.min(WIDE_BYTES) as u16,
        0,
    );
    let returned = stubs::send_wide(payload, target.0, descriptor.wide().0);
    let answer = ipc::answer(&returned.narrow);
    WideAnswer {
        code: answer.code,
        payload: joined(&answer.payload, &returned.rest),
        len: answer.len,
    }
}

/// The result of a receive that takes wide messages.
#[derive(Clone, Copy, Debug)]
pub enum WideReceived {
    /// Bits of the mask that were set; they are cleared.
    Notification(u32),
    /// A message that is not wide: in its payload, or in the buffer.
    Message(Message),
    /// A wide one: the first half of its words is its payload, and the second half follows.
    Wide(Message, [u64; 8]),
}

impl WideReceived {
    #[inline(always)]
    fn new(returned: &WideReturned) -> Self {
        match received(&returned.narrow) {
            ipc::Received::Message(message) if SendDescriptor(returned.narrow.x9).is_wide() => {
                Self::Wide(message, returned.rest)
            }
            ipc::Received::Message(message) => Self::Message(message),
            ipc::Received::Notification(bits) => Self::Notification(bits),
            // Of a receive from one sender only.
            ipc::Received::Dead => Self::Notification(0),
        }
    }
}

/// What a receive brought, in the words that it came in: a message is told by its form, and never leaves the registers.
#[derive(Clone, Copy, Debug)]
pub struct WideDelivery {
    /// Sender, form and first half.
    pub first: Delivery,
    /// The second half, of a wide message.
    pub rest: [u64; 8],
}

impl WideDelivery {
    #[inline(always)]
    fn new(returned: &WideReturned) -> Self {
        Self {
            first: Delivery::new(&returned.narrow),
            rest: returned.rest,
        }
    }

    /// Whether it is a message of which both halves are in registers.
    #[inline(always)]
    pub fn is_wide(&self) -> bool {
        self.first.is_message() && self.first.form.is_wide()
    }
}

/// Mask and buffer of a server's receives, all of which take wide messages in registers. As [`crate::inbox::Inbox`], of
/// which a task cannot have one beside it.
#[derive(Debug)]
pub struct WideInbox<'a, T: ?Sized> {
    mask: u32,
    buffer: &'a mut T,
}

impl<'a, T: IntoBytes + FromBytes + ?Sized> WideInbox<'a, T> {
    /// The first receive: from anybody, or a notification of the mask. `None` if the task has an inbox already.
    #[inline(always)]
    pub fn open(mask: u32, buffer: &'a mut T) -> Option<(Self, WideReceived)> {
        let mut inbox = Self::claim(mask, buffer)?;
        let received = inbox.receive();
        Some((inbox, received))
    }

    /// As [`Self::open`], brought in words.
    #[inline(always)]
    pub fn open_for_words(mask: u32, buffer: &'a mut T) -> Option<(Self, WideDelivery)> {
        let mut inbox = Self::claim(mask, buffer)?;
        let delivery = inbox.deliver();
        Some((inbox, delivery))
    }

    #[inline(always)]
    fn claim(mask: u32, buffer: &'a mut T) -> Option<Self> {
        if INBOX.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(Self { mask, buffer })
    }

    /// What a message that is in no registers was received into.
    #[inline(always)]
    pub fn buffer(&mut self) -> &mut T {
        self.buffer
    }

    /// Receives from anybody, or a notification of the mask.
    #[inline(always)]
    pub fn receive(&mut self) -> WideReceived {
        WideReceived::new(&self.receive_any())
    }

    /// The same, brought in words.
    #[inline(always)]
    pub fn deliver(&mut self) -> WideDelivery {
        WideDelivery::new(&self.receive_any())
    }

    #[inline(always)]
    fn receive_any(&mut self) -> WideReturned {
        let (address, capacity) = room(self.buffer.as_mut_bytes());
        let mask = u64::from(self.mask) | TAKES_WIDE;
        stubs::receive_wide([mask, TaskId::ANY.0, address, capacity])
    }

    /// Replies in registers and receives, in one entry, both in words: the bytes of the reply, wide or not, must not exceed
    /// what the caller can take. Does nothing if the caller no longer waits.
    #[inline(always)]
    pub fn reply_words(
        &mut self,
        to: TaskId,
        reply: ReplyDescriptor,
        payload: &Payload,
        rest: &[u64; 8],
    ) -> WideDelivery {
        // The last receive was one of this inbox, which has its buffer for as long as it lives.
        WideDelivery::new(&stubs::reply_wide_again(
            &joined(payload, rest),
            [to.0, reply.0],
        ))
    }

    /// Replies with up to 64 bytes and receives, in one entry.
    #[inline(always)]
    pub fn reply_receive(
        &mut self,
        to: TaskId,
        code: u32,
        payload: &Payload,
        len: usize,
    ) -> WideReceived {
        let reply = ReplyDescriptor::new(code, len.min(REGISTER_BYTES) as u16);
        // The last receive was one of this inbox, which has its buffer for as long as it lives.
        WideReceived::new(&stubs::reply_wide_again(
            &joined(payload, &[0; 8]),
            [to.0, reply.0],
        ))
    }

    /// Replies with up to 128 bytes in registers and receives, in one entry. To a client whose call was not wide, what is
    /// over 64 bytes goes to its buffer.
    #[inline(always)]
    pub fn reply_wide_receive(
        &mut self,
        to: TaskId,
        code: u32,
        payload: &WidePayload,
        len: usize,
    ) -> WideReceived {
        let reply = ReplyDescriptor::new(code, len.min(WIDE_BYTES) as u16).wide();
        WideReceived::new(&stubs::reply_wide_again(payload, [to.0, reply.0]))
    }
}

impl<T: ?Sized> Drop for WideInbox<'_, T> {
    fn drop(&mut self) {
        INBOX.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::stubs::Returned;

    fn returned(x8: u64, x9: u64) -> WideReturned {
        WideReturned {
            narrow: Returned {
                payload: [1, 2, 3, 4, 5, 6, 7, 8],
                x8,
                x9,
                x10: 0,
                x12: 0,
                x13: 0,
            },
            rest: [9, 10, 11, 12, 13, 14, 15, 16],
        }
    }

    #[test]
    fn what_is_wide_the_delivered_descriptor_says() {
        let narrow = SendDescriptor::new(7, 100, 128, 0);
        let found = WideReceived::new(&returned(5, narrow.wide().0));
        let WideReceived::Wide(message, rest) = found else {
            panic!("{found:?}");
        };
        assert_eq!((message.operation, message.len), (7, 100));
        assert_eq!(
            joined(&message.payload, &rest),
            core::array::from_fn(|word| word as u64 + 1)
        );
        let found = WideReceived::new(&returned(5, narrow.0));
        assert!(matches!(found, WideReceived::Message(message) if message.len == 100));
        let delivered = |x8, x9| WideDelivery::new(&returned(x8, x9));
        let found = delivered(5, narrow.wide().0);
        assert!(found.is_wide() && !delivered(5, narrow.0).is_wide());
        assert_eq!((found.first.payload[7], found.rest[0]), (8, 9));
        assert!(!delivered(u64::MAX, narrow.wide().0).is_wide());
        // Bits of notifications, whatever they look like.
        let found = WideReceived::new(&returned(u64::MAX, 0x8000_0001));
        assert!(matches!(found, WideReceived::Notification(0x8000_0001)));
    }
}
