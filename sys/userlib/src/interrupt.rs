//! Interrupts arrive as notification bits; delivery masks them.

use abi::Syscall;

use crate::stubs;

/// Unmasks the interrupts of these own bits; call it after the device stopped asking.
#[inline(always)]
pub fn unmask(bits: u32) {
    stubs::plain::<{ Syscall::Interrupt as u16 }>([u64::from(bits), 1, 0, 0, 0, 0]);
}

/// Masks them.
pub fn mask(bits: u32) {
    stubs::plain::<{ Syscall::Interrupt as u16 }>([u64::from(bits), 0, 0, 0, 0, 0]);
}
