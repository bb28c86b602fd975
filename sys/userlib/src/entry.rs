//! The first instructions of a task, and what a panic does.

use core::arch::global_asm;

// The kernel starts a task with the stack pointer set and all other registers zero. `.data` is copied
// from its read-only original and `.bss` cleared at every start, so that a restarted task finds nothing of
// the life before.
global_asm!(
    ".section .text._start, \"ax\"",
    ".global _start",
    "_start:",
    "ldr x0, =__data_start",
    "ldr x1, =__data_end",
    "ldr x2, =__data_load",
    "1: cmp x0, x1",
    "b.hs 2f",
    "ldp x3, x4, [x2], #16",
    "stp x3, x4, [x0], #16",
    "b 1b",
    "2: ldr x0, =__bss_start",
    "ldr x1, =__bss_end",
    "3: cmp x0, x1",
    "b.hs 4f",
    "stp xzr, xzr, [x0], #16",
    "b 3b",
    "4: mov x29, xzr",
    "mov x30, xzr",
    "bl portcullis_task_main",
    "brk #0",
    ".ltorg",
);

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => crate::last_words::give_up(format_args!(
            "{} ({}:{})",
            info.message(),
            at.file(),
            at.line()
        )),
        None => crate::last_words::give_up(format_args!("{}", info.message())),
    }
}
