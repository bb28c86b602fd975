//! Filling the kernel's state from the checked plan.

use core::num::NonZeroU64;

use plan::kernel::{InterruptClass, InterruptEntry, RegionAttributes, RegionEntry};

use crate::accounts::AccountIndex;
use crate::interrupt::FIRST_BIT;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::tables::{PlanError, Tables};
use crate::task::{Task, ticks};
use crate::task_set::{TaskIndex, TaskSet};

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
        self.open_accounts(tables, frequency)?;
        for (number, entry) in tables.tasks.iter().enumerate() {
            let index = TaskIndex::new(number).ok_or(PlanError::TaskCount)?;
            let mut task = Task::planned(tables, index, entry, frequency);
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
                self.task_mut(server).add_caller(index);
            }
        }
        self.translator = TaskIndex::new(tables.system.translator as usize);
        if let Some(messages) = tables.messages {
            let core = self
                .arch
                .start_messages(messages.configuration, messages.pending);
            self.message_core = core.ok_or(PlanError::Messages)?;
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

    #[inline(never)]
    fn open_accounts(
        &mut self,
        tables: &Tables<'p>,
        frequency: NonZeroU64,
    ) -> Result<(), PlanError> {
        let now = self.arch.now();
        self.accounts.settle(now);
        for (number, entry) in tables.accounts.iter().enumerate() {
            let (budget, period) = (entry.budget, entry.period);
            u32::try_from(number)
                .ok()
                .and_then(AccountIndex::of_plan)
                .filter(|_| budget <= period)
                .and_then(|index| {
                    let (budget, period) = (ticks(budget, frequency), ticks(period, frequency));
                    self.accounts.open(index, budget, period, now)
                })
                .ok_or(PlanError::Account(number))?;
        }
        Ok(())
    }

    fn route(&mut self, interrupt: &InterruptEntry) -> Option<()> {
        let index = TaskIndex::new(interrupt.task as usize)?;
        let bit = interrupt.bit.trailing_zeros();
        let own = bit.checked_sub(FIRST_BIT)? as usize;
        let intid = u16::try_from(interrupt.intid).ok()?;
        self.task_mut(index).add_interrupt(own, intid)?;
        let class = InterruptClass::from_number(interrupt.class)?;
        let routed = self.routes.add(interrupt.intid, index, bit, class)
            && (class == InterruptClass::Message
                || self
                    .arch
                    .route_interrupt(interrupt.intid, class == InterruptClass::Edge));
        routed.then_some(())
    }
}
