//! The calls that decide what IPC costs, in their most frequent form. These are a message without
//! leases to a server that waits openly, the reply to such a call together with the next open
//! receive, and `WhoAmI`. Messages and replies beyond the registers are copied if they lie in the
//! task's span. (A post goes on in `wake_path`.)
//!
//! What they do is what the core's `send` and `reply_receive` do in these cases, word for word of the
//! task's state; the core does everything else. Payload stays in `x0` to `x7` from one task to the
//! other, nothing is stored of a caller but where it goes on, and all other registers are cleared.
//!
//! Each test is one of [`kern::fast`], or an exact comparison. Nothing is changed before the last test has
//! passed, and every register that is used until then is one whose value is stored or is put back, so that
//! giving up is always possible: the core, and whoever looks at a task that dies in a call, find the
//! registers that it made the call with.

use core::arch::global_asm;

use abi::{MESSAGE_MAX, REGISTER_BYTES, Syscall};
use kern::{State, offsets};

use super::entry::KERNEL;

/// `ESR_EL1` of `SVC #0`: exception class 0x15, a 32-bit instruction.
const SVC: u64 = 0x15 << 26 | 1 << 25;

global_asm!(
    // On to the task at x16, whose translation root is in x18; x0 to x9 hold its results.
    ".macro enter_task",
    "ldp x27, x28, [x16, #{sp_pc}]",
    "msr ttbr0_el1, x18",
    "msr sp_el0, x27",
    "msr elr_el1, x28",
    "msr spsr_el1, xzr",
    "msr tpidr_el0, xzr",
    "mov sp, x16",
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
    "dsb nsh",
    "isb",
    ".endm",

    // The task that the id in x8 names, whichever life it means; the kernel's alignment leaves the bits free.
    ".macro find_task",
    "adrp x16, {kernel}",
    "bfi x16, x8, #{task_shift}, #6",
    ".endm",

    // The task at x16 has a run limit, in x17: its run starts now (`run_needs_no_timer`), else the core starts it.
    // Uses x19; x18 is the translation root again at the end.
    ".macro start_run",
    "adrp x18, {kernel} + {schedule}",
    "mrs x19, cntvct_el0",
    "add x17, x17, x19",
    "ldr x19, [x18, #{timer_at}]",
    "cmp x17, x19",
    "b.lo fast_give_up",
    "ldr x19, [x16, #{run_limit}]",
    "sub x17, x17, x19",
    "str x17, [x18, #{running_since}]",
    "str xzr, [x16, #{used}]",
    "ldr x18, [x16, #{ttbr0}]",
    ".endm",

    // A task with device registers, whose `Slow` bits are in `flags`, leaves the processor: its accesses must be
    // complete, and if one failed, the core charges the task with it.
    ".macro complete_accesses flags, scratch, failed",
    "dsb sy",
    "isb",                              // a barrier of memory accesses holds back no read of a register
    "mrs \\scratch, isr_el1",
    "tbnz \\scratch, #8, \\failed",
    "tbz \\flags, #{deferred_errors}, 30f",
    "hint #16",                         // ESB
    "mrs \\scratch, S3_0_C12_C1_1",     // DISR_EL1
    "tbnz \\scratch, #31, \\failed",
    "30:",
    ".endm",

    // The receive half of a reply and receive: nothing to receive at once (`nothing_to_receive`), an open receive
    // (`is_plain_open`) into the buffer of the last time, and nobody ready who comes before the caller, at x16
    // (`nobody_before`). If there are `Slow` bits, or the receive is closed, the code at `other`, which finds them in
    // x18, decides, and may come back to `open`.
    ".macro check_receive other, open",
    "ldp x17, x18, [sp, #{notifications}]",
    "tst w17, w11",
    "b.ne fast_give_up",
    "cbnz x18, fast_give_up",
    "ldr x18, [sp, #{slow}]",
    "orn x17, x18, x12",
    "cbnz x17, \\other",
    "\\open:",
    "ldp x17, x18, [sp, #{receive_address}]",
    "cmp x13, x17",
    "ccmp x14, x18, #0, eq",
    "b.ne fast_give_up",
    "adrp x17, {kernel} + {schedule}",
    "ldr x17, [x17, #{ready}]",
    "ldr x18, [x16, #{at_least}]",
    "tst x17, x18",
    "b.ne fast_give_up",
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
    "cmp w17, #({post} - {send})",
    "b.eq fast_post",
    "cmn w17, #{send}",
    "b.ne synchronous_slow",
    // WhoAmI
    "ldr x16, [sp, #{slow_lengths}]",
    "tbnz w16, #0, synchronous_slow",
    "ldr x0, [sp, #{id}]",
    "ldp x16, x17, [sp, #{zeros}]",
    "eret",
    "dsb nsh",
    "isb",

    "fast_send:",
    // `may_send`
    "ldr x16, [sp, #{fast_send_to}]",
    "lsr x16, x16, x8",
    "tbz w16, #0, send_slow",
    "send_granted:",
    "stp x18, x19, [sp, #{x} + 144]",
    "find_task",
    // `is_short_send`
    "ldp x17, x18, [sp, #{slow_lengths}]",
    "add x18, x18, x9",
    "orr x18, x18, x9",
    "tst x18, x17",
    // The life that is meant, waiting for anybody.
    "ldp x17, x18, [x16, #{id}]",
    "ccmp x17, x8, #0, eq",
    "ccmp x18, #{receiving}, #0, eq",
    "b.ne long_send",
    "ldp x17, x18, [x16, #{run_limit}]",
    "cbnz x17, 2f",
    "1:",
    // No leases and no reserved bits: what is above the message's length is the reply's.
    "lsr x28, x9, #32",
    "stp x28, x28, [sp, #{reply_limit}]",
    // No leases, and no address to copy a reply to.
    "stp xzr, xzr, [sp, #{lease_count}]",
    "send_commit:",
    "mrs x27, sp_el0",
    "mrs x28, elr_el1",
    "stp x27, x28, [sp, #{sp_pc}]",
    "mov x27, #{awaiting_reply}",
    "stp x27, x8, [sp, #{state}]",
    "str xzr, [x16, #{state}]",
    // The sender pays for what is done for it.
    "ldp x27, x8, [sp, #{account}]",
    "str x27, [x16, #{account}]",
    "enter_task",
    "2:",
    "start_run",
    "b 1b",

    "fast_reply_receive:",
    "stp x18, x19, [sp, #{x} + 144]",
    "find_task",
    // The life that is meant, waiting for this one's reply; and who paid for the call pays on.
    "ldp x17, x18, [x16, #{account}]",
    "cmp x18, x8",
    "ldp x18, x19, [sp, #{account}]",
    "ccmp x17, x18, #0, eq",
    "ldp x17, x18, [x16, #{state}]",
    "ccmp x17, #{awaiting_reply}, #0, eq",
    "ccmp x18, x19, #0, eq",
    "ldr x18, [x16, #{reply_limit}]",
    "b.ne fast_give_up",
    // `is_reply_within`, which refuses reserved bits as well, and `is_plain_code`
    "cmp x18, x9, lsr #32",
    "b.lo long_reply",
    "tbnz w9, #31, fast_give_up",
    "check_receive reply_slow, reply_open",
    "ldp x17, x18, [x16, #{run_limit}]",
    "cbnz x17, 4f",
    "3:",
    "reply_commit:",
    "mrs x27, sp_el0",
    "mrs x28, elr_el1",
    "stp x27, x28, [sp, #{sp_pc}]",
    "ldr x28, [sp, #{own_account}]",
    "mov x27, #{receiving}",
    "str x28, [sp, #{account}]",
    "str x27, [sp, #{state}]",
    "str w11, [sp, #{mask}]",
    "str xzr, [x16, #{state}]",
    "mov w8, w9",
    "lsr x9, x9, #32",
    "enter:",
    "enter_task",
    "4:",
    "start_run",
    "b 3b",

    // Message or reply are longer than the registers, or there is something wrong or unusual. The target's id and
    // state are in x17 and x18.
    "long_send:",
    "cmp x17, x8",
    "ccmp x18, #{receiving}, #0, eq",
    "b.ne fast_give_up",
    "stp x20, x21, [sp, #{x} + 160]",
    "stp x22, x23, [sp, #{x} + 176]",
    // `is_long_send`
    "lsr x17, x9, #48",
    "cbnz x17, long_give_up",
    "ubfx x17, x9, #16, #16",
    "lsr x18, x9, #32",
    "cmp x17, #{message_max}",
    "b.hi long_give_up",
    "cmp x18, #{message_max}",
    "b.hi long_give_up",
    "ldp x19, x20, [sp, #{span_address}]",
    "ldr x21, [sp, #{span_physical}]",
    // Where the reply goes, 0 if it fits in registers; `is_in_span`
    "mov x22, xzr",
    "cmp x18, #{register_bytes}",
    "b.ls 6f",
    "sub x22, x20, x18",
    "sub x23, x11, x19",
    "cmp x23, x22",
    "b.hi long_give_up",
    "add x22, x21, x23",
    "6:",
    "cmp x17, #{register_bytes}",
    "b.ls 7f",
    "sub x20, x20, x17",
    "sub x23, x10, x19",
    "cmp x23, x20",
    "b.hi long_give_up",
    "add x23, x21, x23",
    "7:",
    "ldr x19, [x16, #{run_limit}]",
    "cbnz x19, long_give_up",
    "stp xzr, x22, [sp, #{lease_count}]",
    "cmp x17, #{register_bytes}",
    "b.ls 8f",
    "ldr x24, [x16, #{receive_capacity}]",
    "ldr x21, [x16, #{receive_physical}]",
    "mov x22, x23",
    "cmp x17, x24",
    "csel x23, x17, x24, lo",
    "bl copy_physical",
    "8:",
    "mov w24, #{register_bytes}",
    "cmp x18, x24",
    "csel x17, x18, x24, lo",
    "stp x17, x18, [sp, #{reply_limit}]",
    "ldr x18, [x16, #{ttbr0}]",
    "b send_commit",

    "long_reply:",
    // `is_reply_within`, `is_plain_code`, `is_in_span`
    "ldr x17, [x16, #{reply_capacity}]",
    "cmp x17, x9, lsr #32",
    "b.lo fast_give_up",
    "tbnz w9, #31, fast_give_up",
    "ldp x17, x18, [sp, #{span_address}]",
    "sub x19, x10, x17",
    "sub x18, x18, x9, lsr #32",
    "cmp x19, x18",
    "b.hi fast_give_up",
    "check_receive long_reply_slow, long_reply_open",
    "ldp x17, x18, [x16, #{run_limit}]",
    "cbnz x17, fast_give_up",
    "ldr x21, [x16, #{reply_physical}]",
    "ldr x22, [sp, #{span_physical}]",
    "add x22, x22, x19",
    "lsr x23, x9, #32",
    "bl copy_physical",
    "b reply_commit",

    // No right to send, as far as the fast path sees.
    "send_slow:",
    "ldr x17, [sp, #{slow}]",
    "tbnz w17, #{armed}, synchronous_slow",
    "tbnz w17, #{spent}, synchronous_slow",
    "tbz w17, #{devices}, synchronous_slow",
    "complete_accesses x17, x16, synchronous_slow",
    "ldr x16, [sp, #{send_to}]",
    "lsr x16, x16, x8",
    "tbnz w16, #0, send_granted",
    "b synchronous_slow",

    ".macro open_receive open",
    "tbnz w18, #{armed}, fast_give_up",
    "tbnz w18, #{spent}, fast_give_up",
    "tbz w18, #{devices}, fast_give_up",
    "complete_accesses x18, x17, fast_give_up",
    "cmn x12, #1",
    "b.eq \\open",
    "b fast_give_up",
    ".endm",
    "reply_slow:",
    "open_receive reply_open",
    "long_reply_slow:",
    "open_receive long_reply_open",

    "long_give_up:",
    "ldp x20, x21, [sp, #{x} + 160]",
    "ldp x22, x23, [sp, #{x} + 176]",
    "fast_give_up:",
    "ldp x18, x19, [sp, #{x} + 144]",
    "b synchronous_slow",

    ".balign 4",
    "5: .word {svc} + {send}",

    kernel = sym KERNEL,
    svc = const SVC,
    send = const Syscall::Send as u16,
    reply_receive = const Syscall::ReplyReceive as u16,
    post = const Syscall::Post as u16,
    receiving = const State::Receiving as u64,
    awaiting_reply = const State::AwaitingReply as u64,
    x = const offsets::FRAME_X,
    sp_pc = const offsets::FRAME_SP,
    slow = const offsets::SLOW,
    armed = const offsets::SLOW_ARMED_BIT,
    spent = const offsets::SLOW_SPENT_BIT,
    devices = const offsets::SLOW_DEVICES_BIT,
    deferred_errors = const offsets::SLOW_DEFERRED_ERRORS_BIT,
    send_to = const offsets::SEND_TO,
    id = const offsets::ID,
    state = const offsets::STATE,
    reply_limit = const offsets::REPLY_LIMIT,
    lease_count = const offsets::LEASE_COUNT,
    notifications = const offsets::NOTIFICATIONS,
    mask = const offsets::MASK,
    receive_address = const offsets::RECEIVE_ADDRESS,
    fast_send_to = const offsets::FAST_SEND_TO,
    run_limit = const offsets::RUN_LIMIT,
    ttbr0 = const offsets::TTBR0,
    account = const offsets::ACCOUNT,
    own_account = const offsets::OWN_ACCOUNT,
    at_least = const offsets::AT_LEAST,
    slow_lengths = const offsets::SLOW_LENGTHS,
    zeros = const offsets::ZEROS,
    used = const offsets::USED,
    receive_capacity = const offsets::RECEIVE_CAPACITY,
    receive_physical = const offsets::RECEIVE_PHYSICAL,
    reply_capacity = const offsets::REPLY_CAPACITY,
    reply_physical = const offsets::REPLY_PHYSICAL,
    span_address = const offsets::SPAN_ADDRESS,
    span_physical = const offsets::SPAN_PHYSICAL,
    message_max = const MESSAGE_MAX,
    register_bytes = const REGISTER_BYTES,
    task_shift = const offsets::TASK_SHIFT,
    schedule = const offsets::SCHEDULE,
    ready = const offsets::READY,
    timer_at = const offsets::TIMER_AT,
    running_since = const offsets::RUNNING_SINCE,
);

// `Runnable` is stored from the zero register.
const _: () = assert!(State::Runnable as u64 == 0);
// A receive is open if its filter is all ones.
const _: () = assert!(abi::TaskId::ANY.0 == u64::MAX);
const _: () = assert!(Syscall::WhoAmI as u16 == 0);
