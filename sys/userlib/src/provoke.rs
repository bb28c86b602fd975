//! What a kernel has to stop: instructions and system calls that no task makes by accident. For
//! conformance tests; each either leaves the task as it was or kills it.

use abi::Syscall;

use crate::stubs;

/// A system call with a number that is not defined.
pub fn undefined_syscall() {
    stubs::plain::<0xfff0>([0; 6]);
}

/// `Interrupt` with every argument as given.
pub fn interrupt(bits: u64, enable: u64) -> u64 {
    stubs::plain::<{ Syscall::Interrupt as u16 }>([bits, enable, 0, 0, 0, 0])[0]
}

/// `Post` with every argument as given.
pub fn post(target: u64, bits: u64) -> u64 {
    stubs::plain::<{ Syscall::Post as u16 }>([target, bits, 0, 0, 0, 0])[0]
}

/// Division by zero, which the architecture defines as 0.
pub fn divide_by_zero(dividend: u64) -> u64 {
    target::divide_by_zero(dividend)
}

/// A floating-point instruction, which traps: tasks have no floating-point state.
pub fn floating_point() {
    target::floating_point();
}

/// An instruction that is permanently undefined.
pub fn undefined_instruction() {
    target::undefined_instruction();
}

/// A breakpoint without a debugger.
pub fn breakpoint() {
    target::breakpoint();
}

/// A read of a register of EL1.
pub fn privileged_register() {
    target::privileged_register();
}

/// Calls what is at `address`, which must not be executable.
pub fn jump(address: u64) {
    target::jump(address);
}

/// A load through a stack pointer that is not a multiple of 16.
pub fn unaligned_stack() {
    target::unaligned_stack();
}

#[cfg(target_os = "none")]
mod target {
    use core::arch::asm;

    pub(super) fn divide_by_zero(dividend: u64) -> u64 {
        let quotient: u64;
        // SAFETY: UDIV by zero gives 0 and does not trap (Arm ARM, C6.2 UDIV).
        unsafe {
            asm!("udiv {q}, {d}, xzr", q = out(reg) quotient, d = in(reg) dividend,
                options(nomem, nostack, preserves_flags));
        }
        quotient
    }
    pub(super) fn floating_point() {
        // SAFETY: it traps before it changes a register that the compiler does not use.
        unsafe {
            asm!(
                ".arch_extension fp",
                "fmov d0, xzr",
                options(nomem, nostack)
            )
        };
    }
    pub(super) fn undefined_instruction() {
        // SAFETY: UDF always traps.
        unsafe { asm!("udf #0", options(nomem, nostack)) };
    }
    pub(super) fn breakpoint() {
        // SAFETY: BRK always traps.
        unsafe { asm!("brk #7", options(nomem, nostack)) };
    }
    pub(super) fn privileged_register() {
        // SAFETY: the read traps at EL0; were it allowed, it would have no effect.
        unsafe { asm!("mrs {}, sctlr_el1", out(reg) _, options(nomem, nostack)) };
    }
    pub(super) fn jump(address: u64) {
        // SAFETY: for addresses that are not executable, as the callers give, the fetch traps; registers that
        // a call may change are declared.
        unsafe { asm!("blr {}", in(reg) address, clobber_abi("C")) };
    }
    pub(super) fn unaligned_stack() {
        // SAFETY: the load traps while the stack pointer is off by 8; if it did not, that is undone.
        unsafe {
            asm!("sub sp, sp, #8", "ldr {0}, [sp]", "add sp, sp, #8", out(reg) _);
        }
    }
}

#[cfg(not(target_os = "none"))]
mod target {
    const NOT_A_TASK: &str = "only a task can provoke the kernel";

    pub(super) fn divide_by_zero(_: u64) -> u64 {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn floating_point() {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn undefined_instruction() {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn breakpoint() {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn privileged_register() {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn jump(_: u64) {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn unaligned_stack() {
        unreachable!("{NOT_A_TASK}")
    }
}
