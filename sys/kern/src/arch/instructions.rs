//! Single instructions.

/// Reads a system register.
macro_rules! read_register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: only registers whose read has no side effect are named.
        unsafe {
            core::arch::asm!(
                concat!("mrs {}, ", $name),
                out(reg) value,
                options(nomem, nostack, preserves_flags)
            );
        }
        value
    }};
}
pub(super) use read_register;

/// Writes a system register. The value must be one that leaves the kernel's own memory accesses as
/// they are; each use says why it is.
macro_rules! write_register {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        core::arch::asm!(
            concat!("msr ", $name, ", {}"),
            in(reg) value,
            options(nostack, preserves_flags)
        );
    }};
}
pub(super) use write_register;

/// Later instructions see the effect of earlier register writes.
pub fn isb() {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) };
}

/// Earlier memory accesses, registers of devices included, are complete.
pub fn dsb() {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("dsb sy", options(nostack, preserves_flags)) };
}

/// Waits for an interrupt. One that is pending ends it, masked or not.
pub fn wait_for_interrupt() {
    dsb();
    // SAFETY: a hint; interrupts stay masked.
    unsafe { core::arch::asm!("wfi", options(nostack, preserves_flags)) };
}
