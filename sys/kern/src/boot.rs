//! Filling the kernel's state from the checked plan.

use core::num::NonZeroU64;

use plan::kernel::{InterruptEntry, LifeEvent, RegionAttributes, RegionEntry, TaskEntry};

use crate::interrupt::FIRST_BIT;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::tables::{PlanError, Tables, low_bits};
use crate::task::{State, Task};
use crate::task_set::{TaskIndex, TaskSet};

const NANOSECONDS: u64 = 1_000_000_000;

impl<'p, A: Arch> Kernel<'p, A> {
    /// Sets up every task, routes the interrupts, and starts what starts at boot.
    pub(crate) fn fill(
        &mut self,
        tables: &Tables<'p>,
        frequency: NonZeroU64,
    ) -> Result<(), PlanError> {
        self.task_count = tables.tasks.len();
        self.tables = Some(*tables);
        self.clear_memory(tables);
        for (number, entry) in tables.tasks.iter().enumerate() {
            let index = TaskIndex::new(number).ok_or(PlanError::TaskCount)?;
            let mut task = describe(tables, index, entry, frequency);
            let is_device = |region: &RegionEntry| {
                RegionAttributes::from_bits_truncate(region.attributes)
                    .contains(RegionAttributes::DEVICE)
            };
            if task.regions().iter().any(is_device) {
                task.set_devices(self.arch.defers_errors());
            }
            task.arm(0);
            *self.task_mut(index) = task;
        }
        for (number, entry) in tables.tasks.iter().enumerate() {
            let index = TaskIndex::new(number).ok_or(PlanError::TaskCount)?;
            for server in TaskSet(entry.send_to) {
                self.task_mut(server).callers.insert(index);
            }
        }
        for (number, interrupt) in tables.interrupts.iter().enumerate() {
            self.route(interrupt).ok_or(PlanError::Interrupt(number))?;
        }
        for (number, entry) in tables.tasks.iter().enumerate() {
            if entry.start != 0 {
                let index = TaskIndex::new(number).ok_or(PlanError::TaskCount)?;
                self.begin_life(index);
            }
        }
        // Errors of the time before.
        self.tell_unclaimed();
        Ok(())
    }

    /// Clears all memory that tasks may write: otherwise a warm reset would show one task what another
    /// left there. The SMMU's tables, which the image brings filled, are device memory to the plan.
    fn clear_memory(&mut self, tables: &Tables<'p>) {
        let regions = tables
            .tasks
            .iter()
            .filter_map(|task| tables.regions_of(task));
        for region in regions.flatten() {
            let attributes = RegionAttributes::from_bits_truncate(region.attributes);
            let is_memory = !attributes.contains(RegionAttributes::DEVICE);
            if attributes.contains(RegionAttributes::WRITE) && is_memory {
                self.arch.clear(region.pa, region.len);
            }
        }
    }

    fn route(&mut self, interrupt: &InterruptEntry) -> Option<()> {
        let index = TaskIndex::new(interrupt.task as usize)?;
        let bit = interrupt.bit.trailing_zeros();
        let own = bit.checked_sub(FIRST_BIT)? as usize;
        let place = self.task_mut(index).interrupts.get_mut(own)?;
        // Two lines on one bit could not be unmasked apart.
        if *place != 0 {
            return None;
        }
        *place = u16::try_from(interrupt.intid).ok()?;
        self.task_mut(index).has_interrupts = true;
        let edge = interrupt.edge == 1;
        let routed = self.routes.add(interrupt.intid, index, bit, edge)
            && self.arch.route_interrupt(interrupt.intid, edge);
        routed.then_some(())
    }
}

fn describe<'p>(
    tables: &Tables<'p>,
    index: TaskIndex,
    entry: &TaskEntry,
    frequency: NonZeroU64,
) -> Task<'p> {
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
    let mut task = Task::VACANT;
    task.id = abi::TaskId::new(index.number() as u8, 0);
    task.state = State::Down;
    task.partner = abi::TaskId::KERNEL;
    task.send_to = TaskSet(entry.send_to);
    task.above = with(|other, own| other < own);
    task.fast_above = task.above;
    task.equals = with(|other, own| other == own);
    task.at_least = with(|other, own| other <= own);
    task.run_limit = ticks(entry.max_run, frequency);
    task.ttbr0 = entry.ttbr0;
    task.regions = tables.regions_of(entry);
    task.posts = tables.posts_of(entry);
    for (listeners, event) in task.listeners.iter_mut().zip(LifeEvent::ALL) {
        *listeners = tables.listeners_of(entry, event);
    }
    task.rights = entry.rights;
    let stack = |region: &&RegionEntry| {
        region.va <= entry.stack_base && entry.stack_base.wrapping_sub(region.va) < region.len
    };
    if let Some(region) = task.regions().iter().find(stack).copied() {
        task.set_span(&region);
    }
    task
}

/// Nanoseconds in ticks, rounded up so that a limit never becomes none. In two parts, so that 64 bits
/// are enough for any limit that makes sense; beyond, the limit is the longest there is.
fn ticks(nanoseconds: u64, frequency: NonZeroU64) -> u64 {
    let frequency = frequency.get();
    let seconds = (nanoseconds / NANOSECONDS).saturating_mul(frequency);
    let rest = (nanoseconds % NANOSECONDS).saturating_mul(frequency);
    seconds.saturating_add(rest.div_ceil(NANOSECONDS))
}
