//! The places at which the machine's entry code and fast path find what they need, in bytes.
//!
//! The fast path does in a few instructions what `send` and `reply_receive` of the core do in their
//! most frequent case, and leaves everything else to them; a field it reads or writes is in this
//! list.

use core::mem::{offset_of, size_of};

use abi::TASKS_MAX;

use super::slow::Slow;
use super::{Frame, Task};
use crate::accounts;
use crate::claim::Span;
use crate::kernel::Kernel;
use crate::routes::{self, Route};
use crate::signal::Signal;

/// log2 of a task's size.
pub const TASK_SHIFT: usize = 10;
const _: () = assert!(size_of::<Task>() == 1 << TASK_SHIFT);
/// The alignment of the kernel's address: the task table's size. So a task's address is made by inserting its
/// index, for which six bits of the low byte of an id are taken.
pub const KERNEL_ALIGNMENT: usize = TASKS_MAX << TASK_SHIFT;
const _: () = assert!(TASKS_MAX == 64);

/// `x0`; the other registers follow.
pub const FRAME_X: usize = offset_of!(Task, frame) + offset_of!(Frame, x);
/// Stack pointer; the program counter follows.
pub const FRAME_SP: usize = offset_of!(Task, frame) + offset_of!(Frame, sp);
/// Program counter.
pub const FRAME_PC: usize = offset_of!(Task, frame) + offset_of!(Frame, pc);
/// Processor state.
pub const FRAME_PSTATE: usize = offset_of!(Task, frame) + offset_of!(Frame, pstate);
/// Address of the task that it sent to last; the `Slow` bits follow.
pub const LAST_TARGET: usize = offset_of!(Task, last_target);
/// `Slow` bits.
pub const SLOW: usize = offset_of!(Task, slow);
/// Number of the bit of a task with device registers.
pub const SLOW_DEVICES_BIT: u32 = Slow::DEVICES.bits().trailing_zeros();
/// Number of the bit of a task whose processor defers errors.
pub const SLOW_DEFERRED_ERRORS_BIT: u32 = Slow::DEFERRED_ERRORS.bits().trailing_zeros();
/// Number of the bit of a task whose account is exhausted.
pub const SLOW_SPENT_BIT: u32 = Slow::SPENT.bits().trailing_zeros();
/// Number of the bit of a task with a fault armed.
pub const SLOW_ARMED_BIT: u32 = Slow::ARMED.bits().trailing_zeros();
/// The account that it works on; the id follows.
pub const ACCOUNT: usize = offset_of!(Task, account);
/// Its own account.
pub const OWN_ACCOUNT: usize = offset_of!(Task, own_account);
/// Id; state and partner follow.
pub const ID: usize = offset_of!(Task, id);
/// State.
pub const STATE: usize = offset_of!(Task, state);
/// Partner; the reply limit follows.
pub const PARTNER: usize = offset_of!(Task, partner);
/// Reply limit; the reply capacity follows.
pub const REPLY_LIMIT: usize = offset_of!(Task, reply_limit);
/// Lease count; the room for a wide reply follows, and where the reply buffer is.
pub const LEASE_COUNT: usize = offset_of!(Task, lease_count);
/// What is awaited by a wide send.
pub const WIDE_ROOM: usize = offset_of!(Task, wide_room);
/// Number of the bit of a task with notifications pending.
pub const SLOW_PENDING_BIT: u32 = Slow::PENDING.bits().trailing_zeros();
/// Number of the bit of a task with senders queued.
pub const SLOW_SENDERS_BIT: u32 = Slow::SENDERS.bits().trailing_zeros();
/// Of its pending bits those that it set itself.
pub const OWN_BITS: usize = offset_of!(Task, own_bits);
/// Tasks of the same priority.
pub const EQUALS: usize = offset_of!(Task, equals);
/// INTIDs of its interrupts, two bytes each.
pub const INTERRUPTS: usize = offset_of!(Task, interrupts);
/// Pending notifications; the mask of the receive follows.
pub const NOTIFICATIONS: usize = offset_of!(Task, notifications);
/// Mask of the receive.
pub const MASK: usize = offset_of!(Task, mask);
/// Validated receive buffer; its capacity follows.
pub const RECEIVE_ADDRESS: usize = offset_of!(Task, receive_address);
/// Run limit; the translation root follows.
pub const RUN_LIMIT: usize = offset_of!(Task, run_limit);
/// Translation root.
pub const TTBR0: usize = offset_of!(Task, ttbr0);
/// Tasks of at least this priority.
pub const AT_LEAST: usize = offset_of!(Task, at_least);
/// `fast::SLOW_LENGTHS`; `fast::LENGTH_ADD` follows.
pub const LENGTHS: usize = offset_of!(Task, lengths);
/// `fast::SLOW_WIDE_LENGTHS`; `fast::WIDE_LENGTH_ADD` follows.
pub const WIDE_LENGTHS: usize = offset_of!(Task, wide_lengths);
/// 16 zero bytes.
pub const ZEROS: usize = offset_of!(Task, zeros);
/// Validated receive buffer's capacity.
pub const RECEIVE_CAPACITY: usize = offset_of!(Task, receive_capacity);
/// Offset of the physical address of the receive buffer.
pub const RECEIVE_PHYSICAL: usize = offset_of!(Task, receive_physical);
/// Bytes that the sender can take.
pub const REPLY_CAPACITY: usize = offset_of!(Task, reply_capacity);
/// Offset of the physical address of the reply buffer.
pub const REPLY_PHYSICAL: usize = offset_of!(Task, reply_physical);
/// Address of the span; its length follows.
pub const SPAN_ADDRESS: usize = offset_of!(Task, span) + Span::ADDRESS;
/// Offset of the physical address of the span.
pub const SPAN_PHYSICAL: usize = offset_of!(Task, span) + Span::PHYSICAL;
/// Ticks of the run so far.
pub const USED: usize = offset_of!(Task, used);

/// Last target of a granted post; the bits granted follow.
pub const POST_TO: usize = offset_of!(Task, post_to);
/// The task as a set.
pub const ITSELF: usize = offset_of!(Task, itself);
/// Tasks of higher priority.
pub const ABOVE: usize = offset_of!(Task, above);
/// Offset of the set of tasks above this one as the fast path sees it: empty for a task with device
/// registers or a run limit.
pub const FAST_ABOVE: usize = offset_of!(Task, fast_above);
/// Rights to send.
pub const SEND_TO: usize = offset_of!(Task, send_to);
/// Routes of interrupts, from the kernel's start.
pub const ROUTES: usize = offset_of!(Kernel<()>, routes);
/// log2 of a route's size.
pub const ROUTE_SHIFT: usize = 2;
/// Byte of a route that holds the number of its bit.
pub const ROUTE_BIT: usize = offset_of!(Route, bit);
/// Byte of a route that says whether it is unmasked.
pub const ROUTE_UNMASKED: usize = offset_of!(Route, unmasked);
/// Byte of a route that says how the interrupt is signalled.
pub const ROUTE_SIGNAL: usize = offset_of!(Route, signal);
/// That byte of a message of which none is remembered, and that is not cut off.
pub const PLAIN_MESSAGE: u8 = Signal::MESSAGE.number();
/// The first INTID of a message.
pub const FIRST_MESSAGE: u32 = routes::FIRST_MESSAGE;
/// How many messages have a route.
pub const MESSAGES: usize = routes::MESSAGES;
/// Number of the first message's route.
pub const MESSAGE_PLACE: usize = routes::LINES;
/// The bit that the INTID of each message has, and of no line.
pub const MESSAGE_BIT: u32 = FIRST_MESSAGE.trailing_zeros();

/// Offset of the scheduler's words: behind the task table, which is at the start of the kernel.
pub const SCHEDULE: usize = TASKS_MAX << TASK_SHIFT;
/// Ready tasks, from there.
pub const READY: usize = offset_of!(Kernel<()>, ready) - SCHEDULE;
/// Offset, from there, of the time to which the hardware timer is set.
pub const TIMER_AT: usize = offset_of!(Kernel<()>, timer_at) - SCHEDULE;
/// When the running task was dispatched, from there.
pub const RUNNING_SINCE: usize = offset_of!(Kernel<()>, running_since) - SCHEDULE;

/// Number of the account that pays, from there; up to when it has paid follows.
pub const PAYING: usize = offset_of!(Kernel<()>, accounts.paying) - SCHEDULE;
/// Up to when it has paid, from there.
pub const PAID_UNTIL: usize = offset_of!(Kernel<()>, accounts.paid_until) - SCHEDULE;
/// Accounts without anything left, from there.
pub const EXHAUSTED: usize = offset_of!(Kernel<()>, accounts.exhausted) - SCHEDULE;
/// The accounts, from there, each beginning with what is left of its budget.
pub const ACCOUNTS: usize = offset_of!(Kernel<()>, accounts.table) - SCHEDULE;
/// log2 of an account's size.
pub const ACCOUNT_SHIFT: usize = accounts::ACCOUNT_SHIFT;

const _: () = assert!(
    FIRST_MESSAGE == 1 << MESSAGE_BIT && MESSAGES <= 1 << MESSAGE_BIT && MESSAGE_PLACE < 4096
);
const _: () = assert!(offset_of!(Kernel<()>, tasks) == 0);
// Pairs that are loaded or stored together.
const _: () = assert!(ID == ACCOUNT + 8 && PAID_UNTIL == PAYING + 8);
const _: () = assert!(offset_of!(accounts::Account, left) == 0);
// Reach of a pair's offset, and of an addition.
const _: () = assert!(PAYING <= 504 && ACCOUNTS < 4096);
const _: () = assert!(STATE == ID + 8 && PARTNER == ID + 16);
const _: () = assert!(REPLY_PHYSICAL == LEASE_COUNT + 8 && WIDE_ROOM == LEASE_COUNT + 4);
const _: () = assert!(REPLY_LIMIT == PARTNER + 8);
const _: () = assert!(offset_of!(Task, reply_capacity) == REPLY_LIMIT + 8);
const _: () = assert!(MASK == NOTIFICATIONS + 8 && SLOW == LAST_TARGET + 8);
const _: () = assert!(offset_of!(Task, receive_capacity) == RECEIVE_ADDRESS + 8);
const _: () = assert!(TTBR0 == RUN_LIMIT + 8);
const _: () = assert!(offset_of!(Task, post_bits) == POST_TO + 8);
// A route is loaded as one word, and the index of its task taken from the lowest byte.
const _: () =
    assert!(size_of::<Route>() == 1 << ROUTE_SHIFT && offset_of!(Route, task_plus_one) == 0);
// Reach of a pair's offset.
const _: () = assert!(SPAN_ADDRESS <= 504);
// A span is at least a page, so its length less that of a message does not wrap.
const _: () = assert!(abi::MESSAGE_MAX as u64 <= abi::layout::PAGE);
