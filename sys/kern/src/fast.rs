//! The conditions that the machine's fast path tests before it does a call itself, in the operations of
//! its instructions.
//!
//! The assembly carries these out word for word and names the one it carries out; the host compares each with
//! what the core decides. What the fast path tests beside them are comparisons of whole words for equality: ids
//! of 64 bits, the state of the peer, its partner, the account that both work on, and the receive buffer with the one
//! found valid last.

use abi::{MESSAGE_MAX, REGISTER_BYTES, TAKES_WIDE, WIDE, WIDE_BYTES};
use plan::limits::{MESSAGE_INTERRUPTS, MESSAGES_MAX};

/// Bits that a send in registers has neither in its descriptor nor in the sum of that and [`LENGTH_ADD`]. A length
/// or capacity from 128 up, leases and reserved bits show in the descriptor; below 128 one beyond the registers
/// carries into bit 7 of its field, and nothing carries out of a field.
pub const SLOW_LENGTHS: u64 = 0xffff_ff80_ff80_0000;
/// Added to a send's descriptor before that test: 63 in the length and in the capacity.
pub const LENGTH_ADD: u64 = 63 << 16 | 63 << 32;
const _: () = assert!(REGISTER_BYTES + 63 < 128 && REGISTER_BYTES + 64 == 128);

/// Bits that a wide send, known by its own bit, has neither in its descriptor nor in the sum of that and
/// [`WIDE_LENGTH_ADD`]: as [`SLOW_LENGTHS`], for lengths up to 128.
pub const SLOW_WIDE_LENGTHS: u64 = 0xffff_ff00_ff00_0000 & !WIDE;
/// Added to a wide send's descriptor before that test: 127 in the length and in the capacity.
pub const WIDE_LENGTH_ADD: u64 = 127 << 16 | 127 << 32;
const _: () = assert!(WIDE_BYTES + 127 < 256 && WIDE_BYTES + 128 == 256);

/// Number of the bit of a wide descriptor.
pub const WIDE_BIT: u32 = WIDE.trailing_zeros();
/// Number of the bit of the mask of a receive that takes wide messages.
pub const TAKES_WIDE_BIT: u32 = TAKES_WIDE.trailing_zeros();

/// Whether a task has the right to send to the index in the low six bits of an id; that the id is one of a task
/// is told by comparing it with that task's.
pub const fn may_send(send_to: u64, target: u64) -> bool {
    send_to >> (target & 63) & 1 != 0
}

/// Whether message and reply of a send fit in registers, and nothing else is asked for.
pub const fn is_short_send(descriptor: u64) -> bool {
    (descriptor.wrapping_add(LENGTH_ADD) | descriptor) & SLOW_LENGTHS == 0
}

/// Whether a send is wide, message and reply fit in the registers of one, and nothing else is asked for.
pub const fn is_wide_send(descriptor: u64) -> bool {
    descriptor >> WIDE_BIT & 1 != 0
        && (descriptor.wrapping_add(WIDE_LENGTH_ADD) | descriptor) & SLOW_WIDE_LENGTHS == 0
}

/// Whether a receive with this mask takes a wide message in registers.
pub const fn takes_wide(mask: u64) -> bool {
    mask >> TAKES_WIDE_BIT & 1 != 0
}

/// Whether a reply is wide, has no reserved bits, and is not longer than its client takes, which awaits a wide one; `room` is
/// what the client keeps of its send's descriptor.
pub const fn is_wide_reply_within(descriptor: u64, room: u32) -> bool {
    room as u64 >= descriptor >> 32 && descriptor >> WIDE_BIT & 1 != 0
}

/// Whether a send has no leases, no reserved bits, is not wide, and has lengths as the interface permits.
pub const fn is_long_send(descriptor: u64) -> bool {
    descriptor >> 48 == 0
        && descriptor >> 16 & 0xffff <= MESSAGE_MAX as u64
        && descriptor >> 32 <= MESSAGE_MAX as u64
}

/// Whether a slice lies in a span that is at least as long as the slice.
pub const fn is_in_span(address: u64, len: u64, span_address: u64, span_len: u64) -> bool {
    address.wrapping_sub(span_address) <= span_len.wrapping_sub(len)
}

/// Whether a reply is not longer than `limit`, at most a message's length, and has no reserved bits.
pub const fn is_reply_within(descriptor: u64, limit: u64) -> bool {
    limit >= descriptor >> 32
}

/// Whether a reply's code is one of the lower half, all of which a server may give.
pub const fn is_plain_code(descriptor: u64) -> bool {
    descriptor & 1 << 31 == 0
}

/// Whether nothing at all keeps a task from waiting: it has no bits pending, whatever the mask, nobody is queued to send to it,
/// and nothing else has to be done for it; see `Slow`.
pub const fn is_quiet(slow: u64) -> bool {
    slow == 0
}

/// Whether a receive is open, of a task that is quiet.
pub const fn is_plain_open(filter: u64, slow: u64) -> bool {
    slow | !filter == 0
}

/// The `Slow` bits for which every call is the core's.
pub const SLOW_CALL: u64 = 0b11;
/// The `Slow` bits for which every receive is the core's.
pub const SLOW_RECEIVE: u64 = 0b1111;

/// Whether the core has to decide every call of the task.
pub const fn is_call_of_core(slow: u64) -> bool {
    slow & SLOW_CALL != 0
}

/// Whether the core has to decide every receive of the task.
pub const fn is_receive_of_core(slow: u64) -> bool {
    slow & SLOW_RECEIVE != 0
}

/// Whether nobody who is ready has the priority of a task or a higher one.
pub const fn nobody_before(ready: u64, at_least: u64) -> bool {
    ready & at_least == 0
}

/// Whether a run that starts now ends no earlier than the hardware timer fires anyway.
pub const fn run_needs_no_timer(now: u64, limit: u64, timer_at: u64) -> bool {
    now.wrapping_add(limit) >= timer_at
}

/// Whether a post is of bits that were found granted, to the target of the last granted post.
pub const fn is_granted_post(target: u64, bits: u64, last: u64, granted: u64) -> bool {
    last == target && bits & !granted == 0
}

/// Whether a task that waits for `mask` is woken with just these bits, and has none pending then.
pub const fn wakes_with(notifications: u64, bits: u64, mask: u64) -> bool {
    bits != 0 && (bits & !mask | notifications) == 0
}

/// Whether the index in the low six bits of an id is among the tasks above the running one.
pub const fn is_above(above: u64, target: u64) -> bool {
    above >> (target & 63) & 1 != 0
}

/// The first notification bit of an interrupt, and how many there are.
pub const FIRST_LINE: u32 = abi::notification::INTERRUPTS.trailing_zeros();
/// Interrupts of a task at most.
pub const LINES: u32 = abi::notification::INTERRUPTS.count_ones();

/// Whether these are the bit of one interrupt, which is to be let through.
pub const fn is_one_line(bits: u64, enable: u64) -> bool {
    let number = bits.trailing_zeros().wrapping_sub(FIRST_LINE);
    bits.wrapping_sub(1) & bits == 0 && enable == 1 && number < LINES
}

/// Whether the first of those that are ready is the only one of its priority among them; `equals` are those of that.
pub const fn stands_alone(ready: u64, equals: u64, itself: u64) -> bool {
    ready & equals == itself
}

/// The number of the first message's route: lines have those below.
pub const MESSAGE_PLACE: u32 = 1024;
/// The first INTID of a message, the only bit that all of them have, and no line.
pub const FIRST_MESSAGE: u32 = *MESSAGE_INTERRUPTS.start();

/// Whether the INTID that was acknowledged is that of a message with a route.
pub const fn is_routed_message(intid: u32) -> bool {
    intid.wrapping_sub(FIRST_MESSAGE) < MESSAGES_MAX as u32
}

/// The number of the route of an interrupt that a task has.
pub const fn route_number(intid: u32) -> u32 {
    if intid & FIRST_MESSAGE == 0 {
        intid
    } else {
        (intid & (FIRST_MESSAGE - 1)) + MESSAGE_PLACE
    }
}
