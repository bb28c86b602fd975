//! The fast path's tests against the core's decisions.

use std::vec::Vec;

use abi::{
    Code, MESSAGE_MAX, REGISTER_BYTES, ReplyDescriptor, SendDescriptor, TAKES_WIDE, TaskId, WIDE,
    WIDE_BYTES,
};
use plan::kernel::{RegionAttributes, RegionEntry};

use super::world::*;
use crate::claim::Claim;
use crate::fast::*;
use crate::task::{Slow, Task};
use crate::{reply, send};

/// Values at which a field of 16 bits changes its meaning, or a sum leaves it.
const EDGES: [u16; 24] = [
    0, 1, 63, 64, 65, 127, 128, 129, 0xff, 0x100, 4095, 4096, 4097, 0x7fff, 0x8000, 0xff80, 0xff81,
    0xffbf, 0xffc0, 0xffc1, 0xffc2, 0xfffe, 0xffff, 0xaaaa,
];

fn fits_in_registers(descriptor: SendDescriptor) -> bool {
    send::is_well_formed(descriptor)
        && descriptor.len() <= REGISTER_BYTES
        && descriptor.reply_capacity() <= REGISTER_BYTES
        && descriptor.leases() == 0
        && !descriptor.is_wide()
}

/// Compares the three tests of a send with the core's.
fn send_agrees(word: u64) -> bool {
    let descriptor = SendDescriptor(word);
    let plain = send::is_well_formed(descriptor) && descriptor.leases() == 0;
    is_short_send(word) == fits_in_registers(descriptor)
        && is_long_send(word) == (plain && !descriptor.is_wide())
        && is_wide_send(word) == (plain && descriptor.is_wide())
}

/// Whether both tests are as they should be for these lengths with these capacities. What the core says to a length and a
/// capacity without anything else, the next test asks it.
fn lengths_are_told(
    lens: impl Iterator<Item = u64>,
    capacities: impl Iterator<Item = u64> + Clone,
) {
    const FITS: u64 = REGISTER_BYTES as u64;
    const LONG: u64 = MESSAGE_MAX as u64;
    const WIDE_FITS: u64 = WIDE_BYTES as u64;
    for len in lens {
        let wrong = |capacity: u64| {
            let word = len << 16 | capacity << 32;
            let short = (len <= FITS) & (capacity <= FITS);
            let long = (len <= LONG) & (capacity <= LONG);
            let wide = (len <= WIDE_FITS) & (capacity <= WIDE_FITS);
            u64::from(
                (is_short_send(word) != short)
                    | (is_long_send(word) != long)
                    | (is_wide_send(word | WIDE) != wide),
            )
        };
        assert_eq!(
            capacities.clone().map(wrong).sum::<u64>(),
            0,
            "length {len}"
        );
    }
}

const ALL: core::ops::Range<u64> = 0..1 << 16;

#[test]
fn every_length_with_every_capacity_at_the_edges() {
    let edges = || EDGES.into_iter().map(u64::from);
    // And one in 251, which meets every value of a byte.
    let some = || edges().chain(ALL.step_by(251));
    lengths_are_told(ALL, some());
    lengths_are_told(some(), ALL);
}

/// All of them: 2^32.
#[test]
#[ignore = "a long run: `cargo xtask test long::lengths`"]
fn every_length_with_every_capacity() {
    lengths_are_told(ALL, ALL);
}

/// Each length, and each capacity, as the core takes it.
#[test]
fn lengths_and_capacities_as_the_core_takes_them() {
    for value in 0..=u16::MAX {
        for word in [u64::from(value) << 16, u64::from(value) << 32] {
            assert!(send_agrees(word), "{word:#x}");
        }
    }
}

#[test]
fn leases_and_reserved_bits_at_the_edges_of_both_fields() {
    for (len, capacity) in EDGES.iter().flat_map(|a| EDGES.map(|b| (*a, b))) {
        for upper in 0..=u16::MAX {
            let word = SendDescriptor::new(0, len, capacity, 0).0 | u64::from(upper) << 48;
            assert!(send_agrees(word) && send_agrees(word | 0xffff), "{word:#x}");
        }
    }
}

#[test]
fn each_bit_above_with_every_value_of_a_field() {
    let uppers = (0..16).map(|bit| 1u64 << (48 + bit));
    for upper in uppers.chain([0xffff << 48, 0xfffc << 48, 3 << 48, 5 << 48, 12 << 48]) {
        for (edge, value) in EDGES
            .iter()
            .flat_map(|edge| (0..=u16::MAX).map(|value| (*edge, value)))
        {
            for (len, capacity) in [(edge, value), (value, edge)] {
                let word = SendDescriptor::new(edge, len, capacity, 0).0 | upper;
                assert!(send_agrees(word), "{word:#x}");
            }
        }
    }
}

#[test]
fn replies_that_the_core_takes() {
    let codes = [
        0,
        1,
        0x7fff_ffff,
        0x8000_0000,
        Code::SERVER_LAST,
        Code::KERNEL_FIRST,
        u32::MAX,
    ];
    let uppers = (0..16)
        .map(|bit| 1u64 << (48 + bit))
        .chain([0, u64::from(u16::MAX) << 48]);
    for upper in uppers {
        for (code, len) in codes
            .iter()
            .flat_map(|code| (0..=u16::MAX).map(|len| (*code, len)))
        {
            let word = ReplyDescriptor::new(code, len).0 | upper;
            let core = reply::is_well_formed(ReplyDescriptor(word));
            for limit in [0, 1, 63, 64, 65, 4095, MESSAGE_MAX as u64] {
                let takes = core && u64::from(len) <= limit;
                let fast = is_reply_within(word, limit) && is_plain_code(word);
                // A code of the upper half is left to the core, and so is a wide reply.
                let plain = takes && code < 1 << 31 && word & WIDE == 0;
                assert_eq!(fast, plain, "{word:#x} {limit}");
            }
        }
    }
}

/// By every word that a client can have kept, every length, and each bit above.
#[test]
fn wide_replies_that_the_core_takes() {
    let uppers = (0..16).map(|bit| 1u64 << (48 + bit)).chain([
        0,
        WIDE | 1 << 51,
        WIDE | 1 << 48,
        u64::from(u16::MAX) << 48,
    ]);
    for upper in uppers {
        for len in 0..=u16::MAX {
            let word = ReplyDescriptor::new(7, len).0 | upper;
            let core = reply::is_well_formed(ReplyDescriptor(word)) && word & WIDE != 0;
            // Of a send that was not wide it is 0.
            assert!(!is_wide_reply_within(word, 0), "{word:#x}");
            for capacity in 0..=WIDE_BYTES as u32 {
                let room = (WIDE >> 32) as u32 | capacity;
                let takes = core && u32::from(len) <= capacity;
                assert_eq!(is_wide_reply_within(word, room), takes, "{word:#x} {room}");
            }
        }
    }
}

/// What the core keeps of a send is the word that a wide reply is compared with, whatever its leases are.
#[test]
fn what_a_client_keeps_is_what_a_wide_reply_is_compared_with() {
    for (capacity, leases) in (0..=128).flat_map(|capacity| (0..2).map(move |n| (capacity, n))) {
        let narrow = SendDescriptor::new(5, 0, capacity, leases);
        let mut task = Task::VACANT;
        task.frame_mut().x[13] = 0;
        task.check_send(narrow.wide()).unwrap();
        assert!(task.awaits_wide());
        assert_eq!(task.wide_room(), (WIDE >> 32) as u32 | u32::from(capacity));
        let room = |task: &Task, len| task.reply_room(len);
        assert_eq!(room(&task, 0), u64::from(capacity.min(64)));
        assert_eq!(room(&task, 65), u64::from(capacity));
        if capacity <= 64 {
            task.check_send(narrow).unwrap();
            assert!(!task.awaits_wide());
            assert_eq!((task.wide_room(), room(&task, 65)), (0, capacity.into()));
        }
    }
}

#[test]
fn wide_messages_are_taken_by_one_bit_of_the_mask() {
    for bit in 0..64 {
        let mut task = Task::VACANT;
        task.keep_mask(1 << bit);
        assert_eq!(takes_wide(task.mask()), 1 << bit == TAKES_WIDE);
        assert_eq!(task.takes_wide(), 1 << bit == TAKES_WIDE);
    }
}

#[test]
fn slices_in_the_span_are_those_that_the_core_finds_there() {
    let region = RegionEntry {
        va: 0x1000,
        pa: 0x4000_0000,
        len: 0x2000,
        attributes: (RegionAttributes::READ | RegionAttributes::WRITE).bits(),
        reserved: 0,
    };
    let mut task = Task::VACANT;
    task.remember(&region);
    let around = |address: u64| (0..80).map(move |i| address.wrapping_sub(40).wrapping_add(i));
    let addresses: Vec<u64> = [0, 0x1000, 0x2000, 0x3000, 1 << 63]
        .into_iter()
        .flat_map(around)
        .collect();
    for address in addresses {
        for len in (1..130).chain(around(4096).filter(|len| *len <= MESSAGE_MAX as u64)) {
            let core = task.check(Claim::new(address, len), RegionAttributes::READ);
            let (span_address, span_len, span_physical) = task.span();
            let fast = is_in_span(address, len, span_address, span_len);
            assert_eq!(fast, core.is_some(), "{address:#x} {len}");
            let physical = span_physical.wrapping_add(address.wrapping_sub(span_address));
            assert!(core.is_none_or(|checked| checked.physical == physical));
        }
    }
}

#[test]
fn rights_and_priorities_by_every_bit() {
    for bit in 0..64 {
        for target in 0..=255u64 {
            let own = target % 64 == bit;
            assert_eq!(may_send(1 << bit, target), own);
            assert_eq!(is_above(1 << bit, target), own);
            // Only ids of tasks are compared with, and an index from 64 up is in none.
            assert_eq!(TaskId(target).index(), target as usize);
        }
        assert!(!nobody_before(1 << bit, u64::MAX) && nobody_before(1 << bit, !(1 << bit)));
    }
}

/// A task in each combination of what `Slow` says of it, and the bits for that.
#[test]
fn a_receive_at_once_is_one_that_finds_nothing() {
    for slow in 0..64u64 {
        assert_eq!(is_quiet(slow), slow == 0);
        let (call, receive) = (Slow::CALL.bits(), Slow::RECEIVE.bits());
        assert_eq!(is_call_of_core(slow), slow & call != 0);
        assert_eq!(is_receive_of_core(slow), slow & receive != 0);
    }
    // What is left to the core in a call is so in a receive; device registers alone are left to it in neither.
    assert!(Slow::RECEIVE.contains(Slow::CALL));
    let devices = (Slow::DEVICES | Slow::DEFERRED_ERRORS).bits();
    assert!(!is_receive_of_core(devices) && !is_call_of_core(devices) && !is_quiet(devices));
    assert!(is_plain_open(TaskId::ANY.0, 0));
    for filter in (0..64).map(|bit| !(1u64 << bit)).chain([0, 0xff]) {
        assert!(!is_plain_open(filter, 0), "{filter:#x}");
    }
    // Whatever the filter is while a fault is armed or with device registers.
    for slow in (0..64).map(|bit| 1u64 << bit) {
        assert!(!is_plain_open(TaskId::ANY.0, slow) && !is_plain_open(!slow, slow));
        assert!(!is_plain_open(0xff, slow));
    }
}

/// Every change of pending bits and of the queue says so at once, by any of the methods.
#[test]
fn bits_and_senders_are_noted() {
    let mut task = Task::VACANT;
    let quiet = |task: &Task| is_quiet(task.slow());
    task.notify(4);
    assert!(!quiet(&task) && is_receive_of_core(task.slow()) && !is_call_of_core(task.slow()));
    assert_eq!(task.take_bits(3), (0, false));
    assert!(!quiet(&task));
    assert_eq!(task.take_bits(4), (4, true));
    assert!(quiet(&task));
    task.notify_itself(1);
    assert!(!quiet(&task));
    task.take_bits(1);
    assert!(quiet(&task));
    task.add_sender(index(LEFT));
    task.add_sender(index(RIGHT));
    task.remove_sender(index(LEFT));
    assert!(!quiet(&task) && is_receive_of_core(task.slow()));
    task.remove_sender(index(RIGHT));
    assert!(quiet(&task));
    task.add_sender(index(LEFT));
    task.remove_sender(index(LEFT));
    assert!(quiet(&task));
    // A waiting task gets what it waits for, and keeps the rest.
    task.receive(1);
    assert_eq!(task.notify(1), 1);
    assert!(quiet(&task));
    assert_eq!(task.notify(3), 1);
    assert!(!quiet(&task));
    task.notify_itself(8);
    let fault = *task.fault();
    task.go_down(&fault);
    assert!(quiet(&task) && task.pending() == 0);
}

/// The wake path gives a task what the core gives it, and leaves it without bits, as it had none.
#[test]
fn who_is_woken_at_once_has_no_other_bits() {
    let some = [
        0,
        1,
        2,
        3,
        1 << 16,
        1 << 31,
        0xffff,
        0xffff_ffff,
        0x8001_0000,
    ];
    let mut woken = 0;
    for (mask, bits) in some.iter().flat_map(|mask| some.map(|bits| (*mask, bits))) {
        for pending in some.iter().map(|pending| pending & !mask) {
            let mut task = Task::VACANT;
            task.notify(pending);
            task.receive(mask);
            let wakes = wakes_with(task.pending(), bits, task.mask());
            let core = task.notify(bits);
            if wakes {
                assert_eq!((core, task.pending()), (bits, 0), "{mask:#x} {bits:#x}");
                woken += 1;
            }
            // The core wakes in other cases too, but in none of these less.
            assert!(wakes || core != bits || bits == 0 || pending != 0);
        }
    }
    assert!(woken > 10);
}

#[test]
fn a_run_without_timer_is_one_that_the_core_would_set_none_for() {
    let values = [0, 1, 499, 500, 501, 1 << 40, u64::MAX - 1, u64::MAX];
    for (now, limit) in values.iter().flat_map(|a| values.map(|b| (*a, b))) {
        for timer_at in values {
            // What ends behind the last tick is left to the core.
            let ends = now.checked_add(limit);
            let agrees = match run_needs_no_timer(now, limit, timer_at) {
                true => now.saturating_add(limit) >= timer_at,
                false => ends.is_none_or(|end| end < timer_at),
            };
            assert!(agrees, "{now} {limit} {timer_at}");
        }
    }
}

#[test]
fn posts_by_what_was_granted_last() {
    for bit in 0..64 {
        assert_eq!(is_granted_post(7, 1 << bit, 7, 0xff), bit < 8);
        assert!(!is_granted_post(7, 1, 7 ^ 1 << bit, 0xff));
    }
    // While a fault is armed nothing was granted: there is no task with the id of all ones.
    assert!(is_granted_post(u64::MAX, 1, u64::MAX, 0xff));
    let mut world = World::waiting_down_to(LEFT);
    world.call(LEFT, abi::Syscall::Post as u16, &[u64::MAX, 1]);
    assert_eq!(world.fault(LEFT), abi::FaultKind::SyscallUsage);
}

#[test]
fn one_interrupt_is_let_through_and_no_other_bits() {
    let all = u64::from(abi::notification::INTERRUPTS);
    for (a, b) in (0..64).flat_map(|a| (0..64).map(move |b| (a, b))) {
        let bits: u64 = 1 << a | 1 << b;
        for enable in [0, 1, 2, 3, 1 << 32 | 1, u64::MAX] {
            let expected = a == b && bits & !all == 0 && enable == 1;
            assert_eq!(is_one_line(bits, enable), expected, "{bits:#x} {enable}");
        }
    }
    assert!(!is_one_line(0, 1) && !is_one_line(u64::MAX, 1) && !is_one_line(all, 1));
}

/// Of every set of the tasks of this world: who is chosen without a look at tickets is whom the core chooses.
#[test]
fn who_stands_alone_is_the_foremost() {
    let world = World::new();
    let mut alone = 0;
    for ready in 1..1u64 << COUNT {
        let first = crate::TaskSet(ready).first().unwrap();
        let task = world.kernel.task(first);
        if stands_alone(ready, task.equals().0, first.set().0) {
            assert_eq!(world.kernel.foremost(crate::TaskSet(ready)), Some(first));
            alone += 1;
        } else {
            assert_eq!(first, index(LEFT));
            assert_eq!(ready >> LEFT & 3, 3);
        }
    }
    // Not those in which LEFT and RIGHT are the foremost, with LOW or without it.
    assert_eq!(alone, (1 << COUNT) - 1 - 2);
}
