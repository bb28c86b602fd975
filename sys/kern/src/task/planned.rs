//! Tasks as the plan has them, before their first life.

use core::num::NonZeroU64;

use abi::{Fault, FaultKind, LEASES_MAX, TaskId};
use plan::kernel::{LifeEvent, RegionEntry, TaskEntry};

use super::{Frame, HeldLease, State, Task};
use crate::accounts::AccountIndex;
use crate::claim::Span;
use crate::fast;
use crate::tables::{Tables, low_bits};
use crate::task_set::{TaskIndex, TaskSet};

const NANOSECONDS: u64 = 1_000_000_000;

impl<'p> Task<'p> {
    /// A place in the table without a task in it; all bytes zero.
    pub(crate) const VACANT: Self = Self {
        frame: Frame::CLEAR,
        last_target: 0,
        slow: 0,
        account: AccountIndex::FREE,
        id: TaskId(0),
        state: State::Runnable,
        partner: TaskId(0),
        reply_limit: 0,
        reply_capacity: 0,
        lease_count: 0,
        wide_room: 0,
        reply_physical: 0,
        notifications: 0,
        mask: 0,
        own_account: AccountIndex::FREE,
        receive_address: 0,
        receive_capacity: 0,
        run_limit: 0,
        ttbr0: 0,
        at_least: TaskSet::EMPTY,
        lengths: [0; 2],
        wide_lengths: [0; 2],
        zeros: [0; 2],
        post_to: 0,
        post_bits: 0,
        receive_physical: 0,
        span: Span::NONE,
        message_physical: 0,
        descriptor: 0,
        leases: [HeldLease::NONE; LEASES_MAX],
        senders: TaskSet::EMPTY,
        send_to: TaskSet::EMPTY,
        callers: TaskSet::EMPTY,
        above: TaskSet::EMPTY,
        fast_above: TaskSet::EMPTY,
        equals: TaskSet::EMPTY,
        itself: TaskSet::EMPTY,
        own_bits: 0,
        ticket: 0,
        used: 0,
        deadline: 0,
        armed: 0,
        holds: 0,
        retired: false,
        fault: Fault {
            kind: FaultKind::None,
            syscall: 0,
            address: 0,
            pc: 0,
            sp: 0,
            detail: 0,
        },
        interrupts: [0; 12],
        has_interrupts: false,
        regions: None,
        posts: None,
        listeners: [None; LifeEvent::ALL.len()],
        rights: 0,
    };

    /// A task of the plan, down. Who may call it and its interrupts are added apart.
    pub(crate) fn planned(
        tables: &Tables<'p>,
        index: TaskIndex,
        entry: &TaskEntry,
        frequency: NonZeroU64,
    ) -> Self {
        let with = |matches: fn(u32, u32) -> bool| {
            let bits = tables
                .tasks
                .iter()
                .enumerate()
                .fold(0, |bits, (number, other)| {
                    if matches(other.priority, entry.priority) {
                        bits | low_bits(number.saturating_add(1)) & !low_bits(number)
                    } else {
                        bits
                    }
                });
            TaskSet(bits)
        };
        let mut task = Self::VACANT;
        task.id = TaskId::new(index.number() as u8, 0);
        task.state = State::Down;
        task.partner = TaskId::KERNEL;
        task.send_to = TaskSet(entry.send_to);
        task.above = with(|other, own| other < own);
        task.itself = index.set();
        task.lengths = [fast::SLOW_LENGTHS, fast::LENGTH_ADD];
        task.wide_lengths = [fast::SLOW_WIDE_LENGTHS, fast::WIDE_LENGTH_ADD];
        task.equals = with(|other, own| other == own);
        task.at_least = with(|other, own| other <= own);
        task.run_limit = ticks(entry.max_run, frequency);
        task.ttbr0 = entry.ttbr0;
        task.set_fast_view();
        task.regions = tables.regions_of(entry);
        task.posts = tables.posts_of(entry);
        for (listeners, event) in task.listeners.iter_mut().zip(LifeEvent::ALL) {
            *listeners = tables.listeners_of(entry, event);
        }
        task.rights = entry.rights;
        task.own_account = AccountIndex::of_plan(entry.account).unwrap_or(AccountIndex::FREE);
        task.work_for_itself();
        let stack = |region: &&RegionEntry| {
            region.va <= entry.stack_base && entry.stack_base.wrapping_sub(region.va) < region.len
        };
        if let Some(region) = task.regions().iter().find(stack).copied() {
            task.span.remember(&region);
        }
        task
    }

    /// A task has the right to send to this one.
    pub(crate) fn add_caller(&mut self, caller: TaskIndex) {
        self.callers.insert(caller);
    }

    /// One of its bits from the first of [`abi::notification::INTERRUPTS`] stands for a line. None if there is no such
    /// bit, or another line has it: two lines on one bit could not be unmasked apart.
    pub(crate) fn add_interrupt(&mut self, bit: usize, intid: u16) -> Option<()> {
        let place = self.interrupts.get_mut(bit)?;
        if *place != 0 {
            return None;
        }
        *place = intid;
        self.has_interrupts = true;
        Some(())
    }
}

/// Nanoseconds in ticks, rounded up so that a limit never becomes none. In two parts, so that 64 bits
/// are enough for any limit that makes sense; beyond, the limit is the longest there is.
#[inline(never)]
pub(crate) fn ticks(nanoseconds: u64, frequency: NonZeroU64) -> u64 {
    let frequency = frequency.get();
    let seconds = (nanoseconds / NANOSECONDS).saturating_mul(frequency);
    let rest = (nanoseconds % NANOSECONDS).saturating_mul(frequency);
    seconds.saturating_add(rest.div_ceil(NANOSECONDS))
}
