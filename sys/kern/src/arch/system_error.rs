//! Taking an asynchronous error (SError) where it can be charged to its task.
//!
//! They are masked while the kernel runs. A task with device registers leaves the processor only after its
//! accesses are complete: an error of one is pending then, and is taken here.

use core::arch::{asm, global_asm};

use kern::syndrome::{deferred, worse};

use super::instructions::{dsb, isb, read_register, write_register};

/// Errors that are taken at once. One that is pending again all the same comes in the next entry.
const AT_ONCE: u32 = 8;

global_asm!(
    ".section .entry, \"ax\"",
    // Returns the syndrome of a pending error in x0, 0 if there is none. Clobbers x1.
    ".global take_system_error",
    "take_system_error:",
    "mov x0, xzr",
    "msr daifclr, #4",
    "hint #16", // ESB: with FEAT_RAS no error of before is unknown behind it
    "isb",
    "msr daifset, #4",
    "ret",
    // The vector of an error taken in the kernel, which is between the two writes above: back with the
    // syndrome, and with errors masked, so that a stream of them has an end.
    ".global system_error_taken",
    "system_error_taken:",
    "mrs x0, esr_el1",
    "mrs x1, spsr_el1",
    "orr x1, x1, #(1 << 8)",
    "msr spsr_el1, x1",
    "eret",
);

/// Whether the processor has FEAT_RAS: barriers, also those of the fast path, put errors into `DISR_EL1`.
pub fn are_deferred() -> bool {
    read_register!("id_aa64pfr0_el1") >> 28 & 0xf != 0
}

/// Whether an error is pending, of what is complete so far.
pub fn is_pending() -> bool {
    const SERROR: u64 = 1 << 8;
    // A barrier of memory accesses holds back no read of a register.
    isb();
    read_register!("isr_el1") & SERROR != 0
}

/// Waits until all accesses so far are complete, and takes the errors of them: the syndrome of the worst. To be
/// called after what an exception left in registers was read.
#[inline(always)]
pub fn take() -> Option<u64> {
    dsb();
    if is_pending() || are_deferred() {
        take_pending()
    } else {
        None
    }
}

/// One error can be pending while another is deferred: taking one alone would charge the next task with the other.
#[inline(never)]
fn take_pending() -> Option<u64> {
    let mut worst = None;
    for _ in 0..AT_ONCE {
        let (taken, deferred) = (take_taken(), take_deferred());
        if taken.or(deferred).is_none() {
            break;
        }
        worst = worse(worst, worse(taken, deferred));
    }
    worst
}

/// Lets a pending error be taken as an exception.
fn take_taken() -> Option<u64> {
    let syndrome: u64;
    // SAFETY: what is called touches no memory and no stack; an error taken meanwhile changes the exception
    // registers, whose values for the task are stored in its frame.
    unsafe {
        asm!(
            "bl take_system_error",
            out("x0") syndrome,
            out("x1") _,
            out("x30") _,
            options(nostack)
        );
    }
    (syndrome != 0).then_some(syndrome)
}

/// The error that a barrier deferred.
fn take_deferred() -> Option<u64> {
    if !are_deferred() {
        return None;
    }
    let syndrome = deferred(read_register!("S3_0_C12_C1_1"))?; // DISR_EL1
    // SAFETY: the register only holds what was just read.
    unsafe { write_register!("S3_0_C12_C1_1", 0) };
    Some(syndrome)
}
