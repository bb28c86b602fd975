//! Interrupts arrive as notification bits; delivery masks them.

use abi::Syscall;

use crate::stubs;

/// Unmasks the interrupts of these own bits; call it after the device stopped asking. Returns those that arrive from now on:
/// a message that arrived too often is cut off, and its bit is missing.
#[inline(always)]
pub fn unmask(bits: u32) -> u32 {
    let result = stubs::plain::<{ Syscall::Interrupt as u16 }>([u64::from(bits), 1, 0, 0, 0, 0]);
    result[0] as u32
}

/// Masks them.
pub fn mask(bits: u32) {
    stubs::plain::<{ Syscall::Interrupt as u16 }>([u64::from(bits), 0, 0, 0, 0, 0]);
}
