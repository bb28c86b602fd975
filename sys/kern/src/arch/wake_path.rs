//! A post or an interrupt that wakes a task above the running one, which then runs at once.
//!
//! What is done here is what the core's `post` and `interrupt` do in this case, word for word of the
//! tasks' state but for one: the woken task keeps its ticket, since nobody of its priority is ready, as
//! after a direct switch. The core does everything else: nothing is changed before the last test has
//! passed, and the running task's registers are all stored first, so that giving up is always possible.
//!
//! The macros are those of `fast_path` and `vectors`, which come before.

use core::arch::global_asm;

use kern::{State, offsets};

use super::entry::KERNEL;
use super::gic;

global_asm!(
    ".section .text.wake_path, \"ax\"",
    // The part of `save_task` without which there are no registers to work with, of which all others can be stored later.
    ".macro save_upper",
    "stp x18, x19, [sp, #{x} + 144]",
    "stp x20, x21, [sp, #{x} + 160]",
    "stp x22, x23, [sp, #{x} + 176]",
    "stp x24, x25, [sp, #{x} + 192]",
    "stp x26, x27, [sp, #{x} + 208]",
    "stp x28, x29, [sp, #{x} + 224]",
    "mrs x20, sp_el0",
    "mrs x21, elr_el1",
    "mrs x22, spsr_el1",
    "stp x30, x20, [sp, #{x} + 240]",
    "stp x21, x22, [sp, #{pc}]",
    ".endm",
    ".macro save_lower",
    "stp x0, x1, [sp, #{x} + 0]",
    "stp x2, x3, [sp, #{x} + 16]",
    "stp x4, x5, [sp, #{x} + 32]",
    "stp x6, x7, [sp, #{x} + 48]",
    "stp x8, x9, [sp, #{x} + 64]",
    "stp x10, x11, [sp, #{x} + 80]",
    "stp x12, x13, [sp, #{x} + 96]",
    "stp x14, x15, [sp, #{x} + 112]",
    ".endm",

    // What is tested of the task at x16 whose state is in x22: it waits openly for all the bits in x9, and has none
    // pending, so that none of them is its own (`wakes_with`).
    ".macro check_waiting",
    "ldp x23, x24, [x16, #{notifications}]",
    "bic x24, x9, x24",
    "orr x24, x24, x23",
    ".endm",

    // A post of bits that the core found granted before (`is_granted_post`).
    ".global fast_post",
    "fast_post:",
    "save_upper",
    "mov x25, xzr",
    "ldp x21, x22, [sp, #{post_to}]",
    "bic x22, x9, x22",
    "cmp x21, x8",
    "ccmp x22, #0, #0, eq",
    "find_task",
    "ldp x21, x22, [x16, #{id}]",
    "ccmp x21, x8, #0, eq",
    "check_waiting",
    "ccmp x22, #{receiving}, #0, eq",
    "ccmp x24, #0, #0, eq",
    "b.ne wake_refused",
    "cbnz x9, wake",
    "b wake_refused",

    // An interrupt while a task ran. x25 is what was acknowledged, never 0 when it comes to waking. x26 is when it
    // arrived: from then on its owner pays.
    ".global interrupt",
    "interrupt:",
    "stp x16, x17, [sp, #{x} + 128]",
    "mrs x16, cntvct_el0",
    "save_task",
    "mov x26, x16",
    "mrs x25, S3_0_C12_C12_0",          // ICC_IAR1_EL1
    "dsb sy",
    "sub w20, w25, #{first_spi}",
    "cmp w20, #({special} - {first_spi})",
    "b.hs interrupt_of_message",
    "adrp x17, {kernel} + {routes_page}",
    "add x17, x17, #{routes}",
    "add x17, x17, x25, lsl #{route_shift}",
    "interrupt_routed:",
    "ldr w21, [x17]",
    "tbz w21, #(8 * {route_unmasked}), interrupt_saved", // masked, or nobody's
    "sub w8, w21, #1",                  // its first byte is the index of its task plus 1
    "find_task",
    "lsr w21, w21, #(8 * {route_bit})", // number of its bit; a shift takes the low five bits
    "mov w9, #1",
    "lsl w9, w9, w21",

    "ldr x22, [x16, #{state}]",
    "check_waiting",
    "cmp x22, #{receiving}",
    "ccmp x24, #0, #0, eq",
    "b.ne wake_refused",

    // The task at x16, whose index is in the low six bits of x8, was found to wait for the bits in x9. It runs at once, if
    // it is above the running task and needs no hardware timer.
    "wake:",
    "ldr x21, [sp, #{fast_above}]",
    "lsr x21, x21, x8",
    "tbz w21, #0, wake_slow",
    "wake_above:",
    "adrp x29, {kernel} + {schedule}",
    "ldp x21, x18, [x16, #{run_limit}]",
    "ldr x22, [x16, #{account}]",       // who waits in a receive works on its own
    "ldr x28, [x29, #{paying}]",
    "orr x27, x21, x22",
    "orr x27, x27, x28",
    "cbz x27, 10f",
    "ldr x23, [sp, #{run_limit}]",
    // One of them has a run limit, that of the running task in x23, or one of the accounts that pay is limited.
    "wake_limited:",
    "cbnz x25, 7f",
    "mrs x26, cntvct_el0",
    "7:",
    "ldr x30, [x29, #{timer_at}]",
    "cbz x21, 8f",
    "add x27, x26, x21",
    "cmp x27, x30",
    "b.lo wake_refused",
    "8:",
    "add x27, x29, #{accounts}",
    "cbz x22, 14f",
    "add x24, x27, x22, lsl #{account_shift}",
    "ldr x24, [x24]",
    "add x24, x24, x26",
    "cmp x24, x30",
    "b.lo wake_refused",
    "14:",
    // The account that paid until now does so up to now (`Accounts::settle`); nobody owes the same time, or the
    // running task would be marked.
    "add x27, x27, x28, lsl #{account_shift}",
    "ldr x19, [x29, #{paid_until}]",
    "sub x19, x26, x19",
    "ldr x20, [x27]",
    "sub x20, x20, x19",
    "str x20, [x27]",
    "stp x22, x26, [x29, #{paying}]",
    "cbz x23, 9f",
    "ldr x30, [x29, #{running_since}]",
    "sub x28, x26, x30",
    "ldr x30, [sp, #{used}]",
    "add x30, x30, x28",
    "str x30, [sp, #{used}]",
    "9:",
    "str x26, [x29, #{running_since}]",
    "str xzr, [x16, #{used}]",
    "10:",
    "str xzr, [x16, #{state}]",
    // The running task is ready from now on.
    "ldr x22, [x29, #{ready}]",
    "ldr x23, [sp, #{itself}]",
    "orr x22, x22, x23",
    "str x22, [x29, #{ready}]",
    "cbz x25, 11f",
    // Hold the interrupt back, and end it when that has arrived: a level would fire again.
    "strb wzr, [x17, #{route_unmasked}]",
    "tbnz w25, #{message_bit}, 16f",    // a message has its mask there alone
    "lsr w21, w25, #5",
    "mov w22, #1",
    "lsl w22, w22, w25",
    "ldr x23, 13f",
    "str w22, [x23, x21, lsl #2]",
    "16:",
    "dsb sy",
    "msr S3_0_C12_C12_1, x25",          // ICC_EOIR1_EL1
    "b 12f",
    "11:",
    "str xzr, [sp, #{x}]",
    "stp x8, x9, [sp, #{x} + 64]",
    "stp x10, x11, [sp, #{x} + 80]",
    "stp x12, x13, [sp, #{x} + 96]",
    "stp x14, x15, [sp, #{x} + 112]",
    "12:",
    "ldp x0, x1, [sp, #{zeros}]",
    "ldp x2, x3, [sp, #{zeros}]",
    "ldp x4, x5, [sp, #{zeros}]",
    "ldp x6, x7, [sp, #{zeros}]",
    "mov x8, #-1",
    "b enter",

    // Not above the running task, or that has device registers or a run limit.
    "wake_slow:",
    "ldr x22, [sp, #{slow}]",
    "tbnz w22, #{spent}, wake_refused",
    "tbz w22, #{devices}, 15f",
    "complete_accesses x22, x23, wake_refused",
    "15:",
    "ldr x21, [sp, #{above}]",
    "lsr x21, x21, x8",
    "tbz w21, #0, wake_refused",
    "ldr x23, [sp, #{run_limit}]",
    "cbz x23, wake_above",
    "adrp x29, {kernel} + {schedule}",
    "ldp x21, x18, [x16, #{run_limit}]",
    "ldr x22, [x16, #{account}]",
    "ldr x28, [x29, #{paying}]",
    "b wake_limited",

    // Not a shared interrupt: a message (`is_routed_message`), or something else.
    "interrupt_of_message:",
    "sub w20, w25, #{first_message}",
    "cmp w20, #{messages}",
    "b.hs interrupt_saved",
    "add w20, w20, #{message_place}",
    "adrp x17, {kernel} + {routes_page}",
    "add x17, x17, #{routes}",
    "add x17, x17, x20, lsl #{route_shift}",
    "b interrupt_routed",

    "wake_refused:",
    "cbnz x25, interrupt_saved",
    "save_lower",
    "b synchronous_saved",

    ".balign 8",
    "13: .quad {clear_enable}",

    kernel = sym KERNEL,
    receiving = const State::Receiving as u64,
    x = const offsets::FRAME_X,
    pc = const offsets::FRAME_PC,
    id = const offsets::ID,
    itself = const offsets::ITSELF,
    state = const offsets::STATE,
    notifications = const offsets::NOTIFICATIONS,
    run_limit = const offsets::RUN_LIMIT,
    account = const offsets::ACCOUNT,
    paying = const offsets::PAYING,
    paid_until = const offsets::PAID_UNTIL,
    accounts = const offsets::ACCOUNTS,
    account_shift = const offsets::ACCOUNT_SHIFT,
    spent = const offsets::SLOW_SPENT_BIT,
    above = const offsets::ABOVE,
    fast_above = const offsets::FAST_ABOVE,
    slow = const offsets::SLOW,
    devices = const offsets::SLOW_DEVICES_BIT,
    zeros = const offsets::ZEROS,
    used = const offsets::USED,
    post_to = const offsets::POST_TO,
    schedule = const offsets::SCHEDULE,
    ready = const offsets::READY,
    timer_at = const offsets::TIMER_AT,
    running_since = const offsets::RUNNING_SINCE,
    routes_page = const offsets::ROUTES & !0xfff,
    routes = const offsets::ROUTES & 0xfff,
    route_shift = const offsets::ROUTE_SHIFT,
    route_bit = const offsets::ROUTE_BIT,
    route_unmasked = const offsets::ROUTE_UNMASKED,
    first_message = const offsets::FIRST_MESSAGE,
    messages = const offsets::MESSAGES,
    message_place = const offsets::MESSAGE_PLACE,
    message_bit = const offsets::MESSAGE_BIT,
    first_spi = const gic::FIRST_SPI,
    special = const gic::SPECIAL,
    clear_enable = const gic::CLEAR_ENABLE,
);

// The index in an id is its low byte, of which shifts take six bits.
const _: () = assert!(abi::TASKS_MAX == 64);
