//! Instructions, accesses and system calls that a kernel has to stop and that no task makes by accident.
//! For conformance tests; each either leaves the task as it was or kills it.
//!
//! What is here takes addresses as they come, and the kernel protects only the other tasks from them: Rust's rules
//! hold only for a caller that names no memory which it uses otherwise. Everything else in this crate is safe whatever it
//! is given, so this is behind a feature of its own, `provoke`, which nobody outside `tests/` asks for.

mod calls;
#[cfg(feature = "every-instruction")]
pub mod every_instruction;

pub use calls::*;

/// Reads a byte, wherever it is.
pub fn load(address: u64) -> u8 {
    target::load(address)
}

/// Writes a byte, wherever it is.
pub fn store(address: u64, value: u8) {
    target::store(address, value);
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

/// Computes a pointer authentication code. No control of EL1 forbids it: where a core has it, only EL2 and EL3
/// can.
pub fn generic_authentication() {
    target::generic_authentication();
}

/// Reads `CTR_EL0` with `x0` to `x2` as given, for an image whose EL2 takes that read and does what they say.
pub fn read_cache_type(first: u64, second: u64, third: u64) {
    target::read_cache_type(first, second, third);
}

/// A write of the debug communications channel, whose words would pass from task to task.
pub fn debug_channel() {
    target::debug_channel();
}

/// Writes `TPIDR_EL0`, and gives what it holds when `wait` has returned.
pub fn thread_register(value: u64, wait: impl FnOnce()) -> u64 {
    target::write_thread_register(value);
    wait();
    target::read_thread_register()
}

/// Calls what is at `address`, which must not be executable.
pub fn jump(address: u64) {
    target::jump(address);
}

/// A load through a stack pointer that is not a multiple of 16.
pub fn unaligned_stack() {
    target::unaligned_stack();
}

/// Every general register, `x0..=x30`.
pub type Registers = [u64; 31];

/// A system call with every general register as given; returns every one as it was found afterwards. The
/// stack pointer has to be kept: if it is not, the task does not survive.
pub fn call_with<const CALL: u16>(registers: &Registers) -> Registers {
    target::call_with::<CALL>(registers)
}

/// Counts `x0` down to zero with every other general register as given; returns every one as it was found
/// afterwards.
pub fn spin_with(registers: &Registers) -> Registers {
    target::spin_with(registers)
}

#[cfg(target_os = "none")]
mod target {
    use super::Registers;
    use core::arch::asm;

    pub(super) fn load(address: u64) -> u8 {
        // SAFETY: the caller names a byte that it does not use otherwise; a load does not change it.
        unsafe { (address as *const u8).read_volatile() }
    }
    pub(super) fn store(address: u64, value: u8) {
        // SAFETY: the caller names a byte that it can spare.
        unsafe { (address as *mut u8).write_volatile(value) };
    }

    /// Loads every general register from `input`, does `$body`, and stores every one in `output`.
    ///
    /// What the compiler needs afterwards lies below its stack pointer meanwhile, with the address of the
    /// output, so that no register has to survive.
    macro_rules! with_registers {
        ($input:expr, $output:expr, [$($body:literal),+], $($operand:tt)*) => {
            asm!(
                "sub sp, sp, #128",
                "str x1, [sp]",
                "stp x19, x20, [sp, #16]",
                "stp x21, x22, [sp, #32]",
                "stp x23, x24, [sp, #48]",
                "stp x25, x26, [sp, #64]",
                "stp x27, x28, [sp, #80]",
                "stp x29, x30, [sp, #96]",
                "ldp x2, x3, [x0, #16]",
                "ldp x4, x5, [x0, #32]",
                "ldp x6, x7, [x0, #48]",
                "ldp x8, x9, [x0, #64]",
                "ldp x10, x11, [x0, #80]",
                "ldp x12, x13, [x0, #96]",
                "ldp x14, x15, [x0, #112]",
                "ldp x16, x17, [x0, #128]",
                "ldp x18, x19, [x0, #144]",
                "ldp x20, x21, [x0, #160]",
                "ldp x22, x23, [x0, #176]",
                "ldp x24, x25, [x0, #192]",
                "ldp x26, x27, [x0, #208]",
                "ldp x28, x29, [x0, #224]",
                "ldr x30, [x0, #240]",
                "ldp x0, x1, [x0]",
                $($body,)+
                "stp x0, x1, [sp, #112]",
                "ldr x0, [sp]",
                "stp x2, x3, [x0, #16]",
                "stp x4, x5, [x0, #32]",
                "stp x6, x7, [x0, #48]",
                "stp x8, x9, [x0, #64]",
                "stp x10, x11, [x0, #80]",
                "stp x12, x13, [x0, #96]",
                "stp x14, x15, [x0, #112]",
                "stp x16, x17, [x0, #128]",
                "stp x18, x19, [x0, #144]",
                "stp x20, x21, [x0, #160]",
                "stp x22, x23, [x0, #176]",
                "stp x24, x25, [x0, #192]",
                "stp x26, x27, [x0, #208]",
                "stp x28, x29, [x0, #224]",
                "str x30, [x0, #240]",
                "ldp x2, x3, [sp, #112]",
                "stp x2, x3, [x0]",
                "ldp x19, x20, [sp, #16]",
                "ldp x21, x22, [sp, #32]",
                "ldp x23, x24, [sp, #48]",
                "ldp x25, x26, [sp, #64]",
                "ldp x27, x28, [sp, #80]",
                "ldp x29, x30, [sp, #96]",
                "add sp, sp, #128",
                $($operand)*
                inout("x0") $input => _,
                inout("x1") $output => _,
                clobber_abi("C"),
            )
        };
    }

    pub(super) fn call_with<const CALL: u16>(registers: &Registers) -> Registers {
        let mut after = [0; 31];
        // SAFETY: registers that the compiler may count on are saved on the stack and restored. The array
        // that is read and the one that is written have the size of the accesses. Slices in the arguments
        // are the kernel's to check, and describe memory of the calling case.
        unsafe {
            with_registers!(registers.as_ptr(), after.as_mut_ptr(), ["svc #{call}"], call = const CALL,);
        }
        after
    }
    pub(super) fn spin_with(registers: &Registers) -> Registers {
        let mut after = [0; 31];
        // SAFETY: as above; the loop changes x0 and the flags only.
        unsafe {
            with_registers!(
                registers.as_ptr(),
                after.as_mut_ptr(),
                ["2:", "subs x0, x0, #1", "b.ne 2b"],
            );
        }
        after
    }

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
    pub(super) fn generic_authentication() {
        // SAFETY: PACGA X9, X9, X9 changes that register or is undefined.
        unsafe { asm!(".inst 0x9ac93129", out("x9") _, options(nomem, nostack)) };
    }
    pub(super) fn read_cache_type(first: u64, second: u64, third: u64) {
        // SAFETY: a read without effect, or an exception that leaves all other registers as they are.
        unsafe {
            asm!(
                "mrs x9, ctr_el0",
                in("x0") first, in("x1") second, in("x2") third, out("x9") _,
                options(nostack)
            );
        }
    }
    pub(super) fn debug_channel() {
        // SAFETY: the write traps at EL0; were it allowed, only a debugger would see it.
        unsafe { asm!("msr dbgdtr_el0, {}", in(reg) 0x5eed_u64, options(nomem, nostack)) };
    }
    pub(super) fn write_thread_register(value: u64) {
        // SAFETY: nothing in a task depends on this register.
        unsafe { asm!("msr tpidr_el0, {}", in(reg) value, options(nomem, nostack)) };
    }
    pub(super) fn read_thread_register() -> u64 {
        let value;
        // SAFETY: a read without effect.
        unsafe { asm!("mrs {}, tpidr_el0", out(reg) value, options(nomem, nostack)) };
        value
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
    use super::Registers;

    const NOT_A_TASK: &str = "only a task can provoke the kernel";

    pub(super) fn load(_: u64) -> u8 {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn store(_: u64, _: u8) {
        unreachable!("{NOT_A_TASK}")
    }

    pub(super) fn call_with<const CALL: u16>(_: &Registers) -> Registers {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn spin_with(_: &Registers) -> Registers {
        unreachable!("{NOT_A_TASK}")
    }

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
    pub(super) fn generic_authentication() {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn read_cache_type(_: u64, _: u64, _: u64) {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn debug_channel() {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn write_thread_register(_: u64) {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn read_thread_register() -> u64 {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn jump(_: u64) {
        unreachable!("{NOT_A_TASK}")
    }
    pub(super) fn unaligned_stack() {
        unreachable!("{NOT_A_TASK}")
    }
}
