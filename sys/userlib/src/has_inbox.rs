//! Whether the task has an inbox, for what receives without one.

use core::sync::atomic::{AtomicBool, Ordering};

/// Whether the task has an inbox. There is one thread of control, and no order with anything else to keep.
pub(crate) static INBOX: AtomicBool = AtomicBool::new(false);

/// For every receive that is none of the inbox: the kernel would take the next reply to it for one that receives as this
/// one did, into memory that may be used otherwise by then.
#[inline(always)]
pub(crate) fn only_without_inbox() {
    if INBOX.load(Ordering::Relaxed) {
        past_the_inbox();
    }
}

#[cold]
fn past_the_inbox() -> ! {
    crate::give_up!("received past the inbox");
}
