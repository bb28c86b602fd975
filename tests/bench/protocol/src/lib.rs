//! What the tasks of the benchmark image say to each other.
#![no_std]
#![forbid(unsafe_code)]

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
