//! Messages as they arrive in registers, and replies of a word: for a server whose most frequent requests need no more.
//!
//! A [`Delivery`] is looked at by word, so that one of these requests is told by its form before anything is made of it,
//! and never leaves the registers.

use abi::{Lease, ReplyDescriptor, SendDescriptor, TaskId};
use zerocopy::{FromBytes, IntoBytes};

use crate::inbox::Inbox;
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
    pub(crate) const fn new(returned: &Returned) -> Self {
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
    pub fn received(&self) -> Received {
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

/// The same receives and replies as the inbox has, brought in words.
impl<'a, T: IntoBytes + FromBytes + ?Sized> Inbox<'a, T> {
    /// The first receive: from anybody, or a notification of the mask. `None` if the task has an inbox already.
    #[inline(always)]
    pub fn open_for_words(mask: u32, buffer: &'a mut T) -> Option<(Self, Delivery)> {
        let mut inbox = Self::claim(mask, buffer)?;
        let delivery = inbox.deliver();
        Some((inbox, delivery))
    }

    /// Receives from anybody, or a notification of the mask.
    #[inline(always)]
    pub fn deliver(&mut self) -> Delivery {
        let mask = u64::from(self.mask());
        let bytes = self.buffer().as_mut_bytes();
        let (address, len) = (bytes.as_mut_ptr() as u64, bytes.len() as u64);
        Delivery::new(&stubs::receive([mask, TaskId::ANY.0, address, len]))
    }

    /// Replies with a word at most, and receives, in one entry. The bytes of the reply must not exceed what the caller
    /// can take. Does nothing if the caller no longer waits.
    #[inline(always)]
    pub fn reply_word(&mut self, to: TaskId, reply: ReplyDescriptor, value: u64) -> Delivery {
        self.reply_words(to, reply, &[value, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Replies with up to 64 bytes and receives, in one entry.
    #[inline(always)]
    pub fn reply_words(
        &mut self,
        to: TaskId,
        reply: ReplyDescriptor,
        payload: &Payload,
    ) -> Delivery {
        // The last receive was one of this inbox, which has its buffer for as long as it lives.
        Delivery::new(&stubs::reply_registers_again(payload, [to.0, reply.0]))
    }
}
