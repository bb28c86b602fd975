//! Exception vectors, and saving and restoring of a task.
//!
//! While a task runs, the kernel's stack pointer is the address of its [`kern::Task`], so that entry
//! code can store registers without a scratch register, and the fast path never needs a stack. The core
//! runs on the kernel's stack, which is empty at every entry.

use core::arch::global_asm;

use abi::Syscall;
use abi::layout::KERNEL_STACK_TOP;
use kern::offsets;

/// `ESR_EL1` of `SVC #0`: exception class 0x15, a 32-bit instruction.
const SVC: u64 = 0x15 << 26 | 1 << 25;

global_asm!(
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
    // From the kernel itself: nothing of it may happen but an error that it waits for. The room of these holds code.
    ".org vectors + 0x000",
    // The stack may be what is wrong: start on an empty one.
    "kernel_fault:",
    "ldr x4, =kernel_stack_top",
    "mov sp, x4",
    "mrs x0, esr_el1",
    "mrs x1, elr_el1",
    "mrs x2, far_el1",
    "b kernel_died",
    ".org vectors + 0x080",
    "b kernel_fault",
    ".org vectors + 0x100",
    "b kernel_fault",
    ".org vectors + 0x180",
    "b kernel_fault",
    ".org vectors + 0x200",
    "b kernel_fault",
    ".org vectors + 0x280",
    "b kernel_fault",
    ".org vectors + 0x300",
    "b kernel_fault",
    ".org vectors + 0x380",
    "b system_error_taken",

    // From a task in AArch64.
    ".org vectors + 0x400",
    "stp x16, x17, [sp, #{x} + 128]",
    "mrs x16, esr_el1",
    // A syndrome of SVC is this one plus the number of the call.
    "ldr w17, 5f",
    "subs w17, w16, w17",
    "b.eq fast_send",
    "cmp w17, #({reply_again} - {send})",
    "b.eq fast_reply_again",
    // A fault, whose class is above that of SVC, or a call that has no fast path: all those that have one are below.
    "b.gt synchronous_slow",
    "cmp w17, #({reply_receive} - {send})",
    "b.eq fast_reply_receive",
    "cmp w17, #({post} - {send})",
    "b.eq fast_post",
    "cmp w17, #({receive} - {send})",
    "b.eq fast_receive",
    "cmp w17, #({interrupt_call} - {send})",
    "b.eq fast_unmask",
    "cmn w17, #{send}",
    "b.ne synchronous_slow",
    // WhoAmI
    "ldr x16, [sp, #{slow}]",
    "tbnz w16, #{armed}, synchronous_slow",
    "ldr x0, [sp, #{id}]",
    "ldp x16, x17, [sp, #{zeros}]",
    "eret",
    "dsb nsh",
    "isb",
    "5: .word {svc} + {send}",

    ".org vectors + 0x480",
    "b interrupt",

    // Of the interrupt controller's group 0, which the kernel neither routes nor can acknowledge: going on would
    // take it for ever.
    ".org vectors + 0x500",
    "ldr x4, =kernel_stack_top",
    "mov sp, x4",
    "b kernel_fast_interrupt",

    ".org vectors + 0x580",
    "stp x16, x17, [sp, #{x} + 128]",
    "save_task",
    "enter_core",
    "mrs x1, esr_el1",
    "b kernel_system_error",

    // From AArch32, which no task can enter.
    ".org vectors + 0x600",
    "b kernel_fault",
    ".org vectors + 0x680",
    "b kernel_fault",
    ".org vectors + 0x700",
    "b kernel_fault",
    ".org vectors + 0x780",
    "b kernel_fault",
    ".ltorg",

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

    ".ltorg",

    ".global kernel_stack_top",
    ".set kernel_stack_top, {stack_top}",

    svc = const SVC,
    send = const Syscall::Send as u16,
    reply_again = const Syscall::ReplyAgain as u16,
    reply_receive = const Syscall::ReplyReceive as u16,
    post = const Syscall::Post as u16,
    receive = const Syscall::Receive as u16,
    interrupt_call = const Syscall::Interrupt as u16,
    armed = const offsets::SLOW_ARMED_BIT,
    slow = const offsets::SLOW,
    zeros = const offsets::ZEROS,
    x = const offsets::FRAME_X,
    pc = const offsets::FRAME_PC,
    id = const offsets::ID,
    ttbr0 = const offsets::TTBR0,
    stack_top = const KERNEL_STACK_TOP,
);

const _: () = assert!(Syscall::WhoAmI as u16 == 0);
const _: () = assert!(
    (Syscall::ReplyReceive as u16) < Syscall::ReplyAgain as u16
        && (Syscall::Post as u16) < Syscall::ReplyAgain as u16
        && (Syscall::Receive as u16) < Syscall::ReplyAgain as u16
        && (Syscall::Interrupt as u16) < Syscall::ReplyAgain as u16
);
// Pairs that the code above stores together.
const _: () = assert!(
    offsets::FRAME_SP == offsets::FRAME_X + 248
        && offsets::FRAME_PC == offsets::FRAME_SP + 8
        && offsets::FRAME_PSTATE == offsets::FRAME_PC + 8
);
