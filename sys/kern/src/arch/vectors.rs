//! Exception vectors, and saving and restoring of a task.
//!
//! While a task runs, the kernel's stack pointer is the address of its [`kern::Task`], so that entry
//! code can store registers without a scratch register, and the fast path never needs a stack. The core
//! runs on the kernel's stack, which is empty at every entry.

use core::arch::global_asm;

use abi::layout::KERNEL_STACK_TOP;
use kern::offsets;

global_asm!(
    // One entry of the table: 32 instructions of room.
    ".macro vector name",
    ".balign 128",
    "\\name",
    ".endm",

    // Stores what the first instruction of an entry has not stored.
    ".macro save_task",
    "stp x0, x1, [sp, #{x} + 0]",
    "stp x2, x3, [sp, #{x} + 16]",
    "stp x4, x5, [sp, #{x} + 32]",
    "stp x6, x7, [sp, #{x} + 48]",
    "stp x8, x9, [sp, #{x} + 64]",
    "stp x10, x11, [sp, #{x} + 80]",
    "stp x12, x13, [sp, #{x} + 96]",
    "stp x14, x15, [sp, #{x} + 112]",
    "stp x18, x19, [sp, #{x} + 144]",
    "stp x20, x21, [sp, #{x} + 160]",
    "stp x22, x23, [sp, #{x} + 176]",
    "stp x24, x25, [sp, #{x} + 192]",
    "stp x26, x27, [sp, #{x} + 208]",
    "stp x28, x29, [sp, #{x} + 224]",
    "mrs x1, sp_el0",
    "mrs x2, elr_el1",
    "mrs x3, spsr_el1",
    "stp x30, x1, [sp, #{x} + 240]",
    "stp x2, x3, [sp, #{pc}]",
    ".endm",

    // On to the core's stack; its first argument is the task's index.
    ".macro enter_core",
    "ldrb w0, [sp, #{id}]",
    "ldr x4, =kernel_stack_top",
    "mov sp, x4",
    ".endm",

    ".section .vectors, \"ax\"",
    ".balign 2048",
    ".global vectors",
    "vectors:",
    // From the kernel itself: nothing of it may happen but an error that it waits for.
    "vector \"b kernel_fault\"",
    "vector \"b kernel_fault\"",
    "vector \"b kernel_fault\"",
    "vector \"b kernel_fault\"",
    "vector \"b kernel_fault\"",
    "vector \"b kernel_fault\"",
    "vector \"b kernel_fault\"",
    "vector \"b system_error_taken\"",
    // From a task in AArch64.
    "vector \"b synchronous\"",
    "vector \"b interrupt\"",
    "vector \"b fast_interrupt\"",
    "vector \"b system_error\"",
    // From AArch32, which no task can enter.
    "vector \"b kernel_fault\"",
    "vector \"b kernel_fault\"",
    "vector \"b kernel_fault\"",
    "vector \"b kernel_fault\"",

    ".section .entry, \"ax\"",
    // The fast path comes here with what it does not do; x16 and x17 are stored.
    ".global synchronous_slow",
    "synchronous_slow:",
    "save_task",
    ".global synchronous_saved",
    "synchronous_saved:",
    "enter_core",
    "mrs x1, esr_el1",
    "b kernel_synchronous",

    // x0 is the task to go on with.
    ".global resume_task",
    "resume_task:",
    "mov sp, x0",
    "ldr x1, [sp, #{ttbr0}]",
    "ldp x30, x2, [sp, #{x} + 240]",
    "ldp x3, x4, [sp, #{pc}]",
    "msr ttbr0_el1, x1",
    "msr sp_el0, x2",
    "msr elr_el1, x3",
    "msr spsr_el1, x4",
    // Writable at EL0 and not part of a task's state: it would carry words from task to task.
    "msr tpidr_el0, xzr",
    "ldp x0, x1, [sp, #{x} + 0]",
    "ldp x2, x3, [sp, #{x} + 16]",
    "ldp x4, x5, [sp, #{x} + 32]",
    "ldp x6, x7, [sp, #{x} + 48]",
    "ldp x8, x9, [sp, #{x} + 64]",
    "ldp x10, x11, [sp, #{x} + 80]",
    "ldp x12, x13, [sp, #{x} + 96]",
    "ldp x14, x15, [sp, #{x} + 112]",
    "ldp x16, x17, [sp, #{x} + 128]",
    "ldp x18, x19, [sp, #{x} + 144]",
    "ldp x20, x21, [sp, #{x} + 160]",
    "ldp x22, x23, [sp, #{x} + 176]",
    "ldp x24, x25, [sp, #{x} + 192]",
    "ldp x26, x27, [sp, #{x} + 208]",
    "ldp x28, x29, [sp, #{x} + 224]",
    "eret",
    // Nobody goes on here in earnest; a processor that guesses past the return stops.
    "dsb nsh",
    "isb",

    // The fast path comes here with an interrupt that it does not deliver; x25 is what was acknowledged, x26 when it
    // arrived.
    ".global interrupt_saved",
    "interrupt_saved:",
    "enter_core",
    "mov x1, x25",
    "mov x2, x26",
    "b kernel_interrupt",

    "system_error:",
    "stp x16, x17, [sp, #{x} + 128]",
    "save_task",
    "enter_core",
    "mrs x1, esr_el1",
    "b kernel_system_error",

    // Of the interrupt controller's group 0, which the kernel neither routes nor can acknowledge: going on would
    // take it for ever.
    "fast_interrupt:",
    "ldr x4, =kernel_stack_top",
    "mov sp, x4",
    "b kernel_fast_interrupt",

    // The stack may be what is wrong: start on an empty one.
    "kernel_fault:",
    "ldr x4, =kernel_stack_top",
    "mov sp, x4",
    "mrs x0, esr_el1",
    "mrs x1, elr_el1",
    "mrs x2, far_el1",
    "b kernel_died",
    ".ltorg",

    ".global kernel_stack_top",
    ".set kernel_stack_top, {stack_top}",

    x = const offsets::FRAME_X,
    pc = const offsets::FRAME_PC,
    id = const offsets::ID,
    ttbr0 = const offsets::TTBR0,
    stack_top = const KERNEL_STACK_TOP,
);

// Pairs that the code above stores together.
const _: () = assert!(
    offsets::FRAME_SP == offsets::FRAME_X + 248
        && offsets::FRAME_PC == offsets::FRAME_SP + 8
        && offsets::FRAME_PSTATE == offsets::FRAME_PC + 8
);
