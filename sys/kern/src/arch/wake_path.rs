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
    // A post of bits that the core found granted before.
    ".global fast_post",
    "fast_post:",
    "save_task",
    "mov x25, xzr",
    "ldp x21, x22, [sp, #{post_to}]",
    "bic x22, x9, x22",
    "cmp x21, x8",
    "ccmp x22, #0, #0, eq",
    "b.ne wake_refused",
    "find_task",
    "ldr x21, [x16, #{id}]",
    "cmp x21, x8",
    "b.ne wake_refused",
    "b try_wake",

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
    "b.hs interrupt_saved",
    "adrp x17, {kernel} + {routes_page}",
    "add x17, x17, #{routes}",
    "add x17, x17, x25, lsl #{route_shift}",
    "ldr w21, [x17]",
    "tbz w21, #(8 * {route_unmasked}), interrupt_saved", // masked, or nobody's
    "sub w8, w21, #1",                  // its first byte is the index of its task plus 1
    "find_task",
    "lsr w21, w21, #(8 * {route_bit})", // number of its bit; a shift takes the low five bits
    "mov w9, #1",
    "lsl w9, w9, w21",

    // The task at x16, whose index is in the low six bits of x8, gets the bits in x9 and runs at once, if
    // it waits for them, has none that it posted to itself, is above the running task, and needs no hardware timer.
    "try_wake:",
    "ldr x22, [x16, #{state}]",
    "cmp x22, #{receiving}",
    "b.ne wake_refused",
    "ldr x23, [x16, #{mask}]",
    "ldr x24, [x16, #{notifications}]",
    "orr x24, x24, x9",
    "ands x9, x24, x23",
    "b.eq wake_refused",
    "ldr x21, [x16, #{own_bits}]",
    "cbnz x21, wake_refused",           // others set bits here that the task also set itself
    "ldr x21, [sp, #{fast_above}]",
    "lsr x21, x21, x8",
    "tbz w21, #0, wake_slow",
    "wake_above:",
    "adrp x29, {kernel} + {schedule}",
    "ldr x23, [sp, #{run_limit}]",
    "ldp x21, x18, [x16, #{run_limit}]",
    "ldr x22, [x16, #{account}]",       // who waits in a receive works on its own
    "ldr x28, [x29, #{paying}]",
    "orr x27, x21, x23",
    "orr x30, x22, x28",
    "orr x27, x27, x30",
    "cbz x27, 10f",
    // One of them has a run limit, or one of the accounts that pay is limited.
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
    "add x12, x27, x22, lsl #{account_shift}",
    "ldr x12, [x12]",
    "add x12, x12, x26",
    "cmp x12, x30",
    "b.lo wake_refused",
    "14:",
    // The account that paid until now does so up to now (`Accounts::settle`); nobody owes the same time, or the
    // running task would be marked.
    "add x27, x27, x28, lsl #{account_shift}",
    "ldr x10, [x29, #{paid_until}]",
    "sub x10, x26, x10",
    "ldr x11, [x27]",
    "sub x11, x11, x10",
    "str x11, [x27]",
    "stp x22, x26, [x29, #{paying}]",
    "cbz x23, 9f",
    "ldr x30, [x29, #{running_since}]",
    "sub x28, x26, x30",
    "ldr x30, [sp, #{used}]",
    "add x30, x30, x28",
    "str x30, [sp, #{used}]",
    "9:",
    "str x26, [x29, #{running_since}]",
    "10:",
    "bic x24, x24, x9",
    "str x24, [x16, #{notifications}]",
    "str xzr, [x16, #{state}]",
    "str xzr, [x16, #{used}]",
    // The running task is ready from now on.
    "ldr x22, [x29, #{ready}]",
    "ldrb w23, [sp, #{id}]",
    "mov w24, #1",
    "lsl x24, x24, x23",
    "orr x22, x22, x24",
    "str x22, [x29, #{ready}]",
    "cbz x25, 11f",
    // Hold the interrupt back, and end it when that has arrived: a level would fire again.
    "strb wzr, [x17, #{route_unmasked}]",
    "lsr w21, w25, #5",
    "mov w22, #1",
    "lsl w22, w22, w25",
    "ldr x23, 13f",
    "str w22, [x23, x21, lsl #2]",
    "dsb sy",
    "msr S3_0_C12_C12_1, x25",          // ICC_EOIR1_EL1
    "b 12f",
    "11:",
    "str xzr, [sp, #{x}]",
    "12:",
    "ldp x0, x1, [sp, #{zeros}]",
    "ldp x2, x3, [sp, #{zeros}]",
    "ldp x4, x5, [sp, #{zeros}]",
    "ldp x6, x7, [sp, #{zeros}]",
    "mov x8, #-1",
    "b enter",

    // Not above the running task, or that has device registers.
    "wake_slow:",
    "ldr x22, [sp, #{slow}]",
    "tbnz w22, #{spent}, wake_refused",
    "tbz w22, #{devices}, wake_refused",
    "complete_accesses x22, x23, wake_refused",
    "ldr x21, [sp, #{above}]",
    "lsr x21, x21, x8",
    "tbnz w21, #0, wake_above",

    "wake_refused:",
    "cbz x25, synchronous_saved",
    "b interrupt_saved",

    ".balign 8",
    "13: .quad {clear_enable}",

    kernel = sym KERNEL,
    receiving = const State::Receiving as u64,
    x = const offsets::FRAME_X,
    id = const offsets::ID,
    state = const offsets::STATE,
    notifications = const offsets::NOTIFICATIONS,
    mask = const offsets::MASK,
    own_bits = const offsets::OWN_BITS,
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
    first_spi = const gic::FIRST_SPI,
    special = const gic::SPECIAL,
    clear_enable = const gic::CLEAR_ENABLE,
);

// The index in an id is its low byte, of which shifts take six bits.
const _: () = assert!(abi::TASKS_MAX == 64);
