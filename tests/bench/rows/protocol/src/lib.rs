//! What the tasks of the images that count instructions say to each other, and how they count.
#![no_std]
#![forbid(unsafe_code)]

pub mod row;

/// Operations of the echo task, a server above the client.
pub mod echo {
    /// Replies with as many bytes as it was sent.
    pub const ECHO: u16 = 0;
    /// Replies with the counter at its last wake-up by a notification or interrupt (first word).
    pub const WOKEN_AT: u16 = 1;
}

/// Operations of the benchmark's supervisor.
pub mod supervisor {
    /// Replies with the instructions from the victim's faulting access to the first instruction of the
    /// supervisor's handler (first word), after the victim was started and died.
    pub const FAULT: u16 = 0;
    /// The rows are complete: ends the run; the first word is the verdict.
    pub const FINISH: u16 = 1;
}

/// The victim loads from this address plus its instruction counter: unmapped whatever the counter is,
/// so that the fault's address tells when the access was made.
pub const VICTIM_ADDRESS: u64 = 0x40_0000_0000;

/// Operations of the supervisor of the image that counts the longest times with interrupts masked, and what it
/// tells its many clients to do. A client asks, does it, and asks again.
pub mod longest {
    /// Asks what to do: the first word of the reply is one of the numbers below, the second its argument.
    pub const WHAT_NEXT: u16 = 0;
    /// A long message, for a long reply.
    pub const LONG: u16 = 1;
    /// Lends memory.
    pub const LEND: u16 = 2;
    /// The rows of the task with `dma-authority` are complete; the first word is 1 if one of them is too large.
    pub const COUNTED: u16 = 3;

    /// Call the victim, which does not receive.
    pub const CALL_VICTIM: u64 = 0;
    /// Wait for the supervisor alone; its notifications are not waited for.
    pub const PARK: u64 = 1;
    /// Wait for the victim's new life.
    pub const AWAIT_PEER: u64 = 2;
    /// Wait for the timer, which is set to the argument.
    pub const SLEEP: u64 = 3;
    /// Send [`LONG`].
    pub const SEND_LONG: u64 = 4;
    /// Send [`LEND`].
    pub const SEND_LEASE: u64 = 5;
    /// Wait for any notification.
    pub const AWAIT_POST: u64 = 6;
}
