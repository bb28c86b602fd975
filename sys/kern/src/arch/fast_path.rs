//! The three calls that decide what IPC costs, in their most frequent form: a short message without
//! leases to a server that waits openly, the reply to such a call together with the next open receive,
//! and `WhoAmI`.
//!
//! What they do is what the core's `send` and `reply_receive` do in these cases, word for word of the
//! task's state; the core does everything else. Payload stays in `x0` to `x7` from one task to the
//! other, nothing is stored of a caller but where it goes on, and all other registers are cleared.
//!
//! Nothing is changed before the last test has passed, so that giving up is always possible. The
//! registers used until then are those that the call clobbers anyway; they are cleared before the
//! core stores them.

use core::arch::global_asm;

use abi::Syscall;
use kern::{State, offsets};

use super::entry::KERNEL;

/// `ESR_EL1` of `SVC #0`: exception class 0x15, a 32-bit instruction.
const SVC: u64 = 0x15 << 26 | 1 << 25;

global_asm!(
    // On to the task at x20, whose translation root is in x26; x0 to x9 hold its results.
    ".macro enter_task",
    "ldp x27, x28, [x20, #{sp_pc}]",
    "msr ttbr0_el1, x26",
    "msr sp_el0, x27",
    "msr elr_el1, x28",
    "msr spsr_el1, xzr",
    "msr tpidr_el0, xzr",
    "mov sp, x20",
    "ldp x10, x11, [sp, #{zeros}]",
    "ldp x12, x13, [sp, #{zeros}]",
    "ldp x14, x15, [sp, #{zeros}]",
    "ldp x16, x17, [sp, #{zeros}]",
    "ldp x18, x19, [sp, #{zeros}]",
    "ldp x20, x21, [sp, #{zeros}]",
    "ldp x22, x23, [sp, #{zeros}]",
    "ldp x24, x25, [sp, #{zeros}]",
    "ldp x26, x27, [sp, #{zeros}]",
    "ldp x28, x29, [sp, #{zeros}]",
    "mov x30, xzr",
    "eret",
    ".endm",

    // The task at x20 has a run limit, in x25: its run starts now. If that needs the hardware timer
    // to be set, the core does it.
    ".macro start_run",
    "mrs x27, cntvct_el0",
    "add x28, x27, x25",
    "add x29, x19, #{schedule_pages}, lsl #12",
    "ldr x30, [x29, #{timer_at}]",
    "cmp x28, x30",
    "b.lo fast_give_up",
    "str x27, [x29, #{running_since}]",
    "str xzr, [x20, #{used}]",
    ".endm",

    ".section .text.fast_path, \"ax\"",
    ".balign 64",
    ".global synchronous",
    "synchronous:",
    "stp x16, x17, [sp, #{x} + 128]",
    "mrs x16, esr_el1",
    // A syndrome of SVC is this one plus the number of the call.
    "ldr w17, 5f",
    "subs w17, w16, w17",
    "b.eq fast_send",
    "cmp w17, #({reply_receive} - {send})",
    "b.eq fast_reply_receive",
    "cmn w17, #{send}",
    "b.ne synchronous_slow",
    // WhoAmI
    "ldr x16, [sp, #{slow_lengths}]",
    "tbnz w16, #0, synchronous_slow",
    "ldr x0, [sp, #{id}]",
    "eret",

    "fast_send:",
    "adrp x19, {kernel}",
    "and x20, x8, #63",
    "ldr x18, [sp, #{fast_send_to}]",
    "lsr x18, x18, x20",
    "tbz w18, #0, fast_give_up",
    "add x20, x19, x20, lsl #{task_shift}",
    // The life that is meant, waiting for anybody.
    "ldp x21, x22, [x20, #{id}]",
    "cmp x21, x8",
    "ccmp x22, #{receiving}, #0, eq",
    "b.ne fast_give_up",
    // Short both ways, no leases, no reserved bits.
    "ldp x23, x24, [sp, #{slow_lengths}]",
    "add x24, x24, x9",
    "tst x24, x23",
    "b.ne fast_give_up",
    "ldp x25, x26, [x20, #{run_limit}]",
    "cbnz x25, 2f",
    "1:",
    "mrs x27, sp_el0",
    "mrs x28, elr_el1",
    "stp x27, x28, [sp, #{sp_pc}]",
    "mov x27, #{awaiting_reply}",
    "stp x27, x8, [sp, #{state}]",
    "ubfx x28, x9, #32, #16",
    "stp x28, x28, [sp, #{reply_limit}]",
    "str xzr, [sp, #{lease_count}]",
    "str xzr, [x20, #{state}]",
    "ldr x8, [sp, #{id}]",
    "enter_task",
    "2:",
    "start_run",
    "b 1b",

    "fast_reply_receive:",
    "adrp x19, {kernel}",
    "and x20, x8, #63",
    "add x20, x19, x20, lsl #{task_shift}",
    // The life that is meant, waiting for this one's reply.
    "ldp x21, x22, [x20, #{id}]",
    "ldp x23, x25, [x20, #{partner}]",
    "ldp x29, x24, [sp, #{fast_filter}]",
    "cmp x21, x8",
    "ccmp x22, #{awaiting_reply}, #0, eq",
    "ccmp x23, x24, #0, eq",
    "b.ne fast_give_up",
    // Not longer than it can take, which also refuses reserved bits; a code below the kernel's.
    "lsr x24, x9, #32",
    "cmp x24, x25",
    "b.hi fast_give_up",
    "tbnz w9, #31, fast_give_up",
    // Nothing to receive at once, and an open receive into the buffer of the last time.
    "ldp x27, x28, [sp, #{notifications}]",
    "tst w27, w11",
    "b.ne fast_give_up",
    "cbnz x28, fast_give_up",
    "cmp x12, x29",
    "b.ne fast_give_up",
    "ldp x27, x28, [sp, #{receive_address}]",
    "cmp x13, x27",
    "ccmp x14, x28, #0, eq",
    "b.ne fast_give_up",
    // Nobody ready comes before the caller.
    "add x21, x19, #{schedule_pages}, lsl #12",
    "ldr x22, [x21, #{ready}]",
    "ldr x23, [x20, #{at_least}]",
    "tst x22, x23",
    "b.ne fast_give_up",
    "ldp x25, x26, [x20, #{run_limit}]",
    "cbnz x25, 4f",
    "3:",
    "mrs x27, sp_el0",
    "mrs x28, elr_el1",
    "stp x27, x28, [sp, #{sp_pc}]",
    "mov x27, #{receiving}",
    "str x27, [sp, #{state}]",
    "str w11, [sp, #{mask}]",
    "str xzr, [x20, #{state}]",
    "mov w8, w9",
    "mov x9, x24",
    "enter_task",
    "4:",
    "start_run",
    "b 3b",

    "fast_give_up:",
    "mov x18, xzr",
    "mov x19, xzr",
    "mov x20, xzr",
    "mov x21, xzr",
    "mov x22, xzr",
    "mov x23, xzr",
    "mov x24, xzr",
    "mov x25, xzr",
    "mov x26, xzr",
    "mov x27, xzr",
    "mov x28, xzr",
    "mov x29, xzr",
    "mov x30, xzr",
    "b synchronous_slow",

    ".balign 4",
    "5: .word {svc} + {send}",

    kernel = sym KERNEL,
    svc = const SVC,
    send = const Syscall::Send as u16,
    reply_receive = const Syscall::ReplyReceive as u16,
    receiving = const State::Receiving as u64,
    awaiting_reply = const State::AwaitingReply as u64,
    x = const offsets::FRAME_X,
    sp_pc = const offsets::FRAME_SP,
    fast_filter = const offsets::FAST_FILTER,
    id = const offsets::ID,
    state = const offsets::STATE,
    partner = const offsets::PARTNER,
    reply_limit = const offsets::REPLY_LIMIT,
    lease_count = const offsets::LEASE_COUNT,
    notifications = const offsets::NOTIFICATIONS,
    mask = const offsets::MASK,
    receive_address = const offsets::RECEIVE_ADDRESS,
    fast_send_to = const offsets::FAST_SEND_TO,
    run_limit = const offsets::RUN_LIMIT,
    at_least = const offsets::AT_LEAST,
    slow_lengths = const offsets::SLOW_LENGTHS,
    zeros = const offsets::ZEROS,
    used = const offsets::USED,
    task_shift = const offsets::TASK_SHIFT,
    schedule_pages = const offsets::SCHEDULE >> 12,
    ready = const offsets::READY,
    timer_at = const offsets::TIMER_AT,
    running_since = const offsets::RUNNING_SINCE,
);

// `Runnable` is stored from the zero register, and the ids' index is taken from their low byte.
const _: () = assert!(State::Runnable as u64 == 0 && abi::TASKS_MAX == 64);
const _: () = assert!(Syscall::WhoAmI as u16 == 0);
