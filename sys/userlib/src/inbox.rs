//! A server's standing receive: the same mask and buffer all the time, so that a reply need not name them again.

use core::sync::atomic::Ordering;

use abi::{ReplyDescriptor, TaskId};
use zerocopy::{FromBytes, IntoBytes};

use crate::has_inbox::INBOX;
use crate::ipc::{self, Payload, Received, received};
use crate::stubs;

/// Mask and buffer of a server's receives. While a task has an inbox, it receives by nothing else; if it tries, it dies.
#[derive(Debug)]
pub struct Inbox<'a, T: ?Sized> {
    mask: u32,
    buffer: &'a mut T,
}

impl<'a, T: IntoBytes + FromBytes + ?Sized> Inbox<'a, T> {
    /// The first receive: from anybody, or a notification of the mask. `None` if the task has an inbox already.
    #[inline(always)]
    pub fn open(mask: u32, buffer: &'a mut T) -> Option<(Self, Received)> {
        let mut inbox = Self::claim(mask, buffer)?;
        let received = inbox.receive();
        Some((inbox, received))
    }

    /// The task's inbox, before its first receive.
    #[inline(always)]
    pub(crate) fn claim(mask: u32, buffer: &'a mut T) -> Option<Self> {
        if INBOX.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(Self { mask, buffer })
    }

    /// The notifications that it receives.
    #[inline(always)]
    pub(crate) const fn mask(&self) -> u32 {
        self.mask
    }

    /// What a message of over 64 bytes was received into, and what is sent as a reply in place.
    #[inline(always)]
    pub fn buffer(&mut self) -> &mut T {
        self.buffer
    }

    /// Receives from anybody, or a notification of the mask.
    #[inline(always)]
    pub fn receive(&mut self) -> Received {
        ipc::receive_in(self.mask, self.buffer.as_mut_bytes())
    }

    /// Replies with up to 64 bytes and receives, in one entry.
    #[inline(always)]
    pub fn reply_receive(
        &mut self,
        to: TaskId,
        code: u32,
        payload: &Payload,
        len: usize,
    ) -> Received {
        let descriptor = ReplyDescriptor::new(code, len.min(64) as u16);
        // The last receive was one of this inbox, which has its buffer for as long as it lives.
        received(&stubs::reply_registers_again(payload, [to.0, descriptor.0]))
    }

    /// Replies with the first `len` bytes of the buffer, up to 4096, and receives into it, in one entry: the kernel has
    /// copied the reply before it receives.
    pub fn reply_receive_in_place(&mut self, to: TaskId, code: u32, len: usize) -> Received {
        ipc::reply_receive_in(to, code, len, self.mask, self.buffer.as_mut_bytes())
    }
}

impl<T: ?Sized> Drop for Inbox<'_, T> {
    fn drop(&mut self) {
        INBOX.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::has_inbox::only_without_inbox;

    #[test]
    fn a_task_has_one_inbox_and_receives_by_nothing_else() {
        let (mut first, mut second) = ([0u64; 4], [0u8; 3]);
        // As opened; on the host there is no receive.
        INBOX.store(true, Ordering::Relaxed);
        let mut inbox = Inbox {
            mask: 1,
            buffer: &mut first,
        };
        assert!(Inbox::open(2, &mut second).is_none());
        assert!(crate::wide::WideInbox::open(2, &mut second).is_none());
        assert!(std::panic::catch_unwind(only_without_inbox).is_err());
        inbox.buffer().fill(7);
        drop(inbox);
        only_without_inbox();
        assert_eq!(first, [7; 4]);
    }
}
