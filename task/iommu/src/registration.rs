//! Registering pools that are lent as a whole, and giving them back.

use abi::{LeaseAttributes, TaskId};
use iommu_api::{Error, PAGE, REGISTERED, Register};
use plan::iommu::LentPoolEntry;

use crate::hardware::{Hardware, Pinning, System};
use crate::indices::{DeviceIndex, PerDevice, TaskIndex};
use crate::lent::{FoundPool, Lent};
use crate::life::Purpose;
use crate::limits::{DEVICES_MAX, LENDER_DEADLINE_NS, LENT_POOLS_MAX};
use crate::log::Line;
use crate::map::Changed;
use crate::plan_view::PlanView;
use crate::server::{Parts, Server};
use crate::slot::Slot;
use crate::space::{MEMBER_SHIFT, Part};

/// Whether any entry of a window that was made for a device leads to a pool.
fn maps_any<H: Hardware>(hardware: &mut H, part: &Part, slot: &Slot, lent: &Lent) -> bool {
    let mut from = 0;
    while slot.mapped() > 0
        && let Some(stretch) = part.next_stretch(hardware, from)
    {
        from = stretch.run.end();
        let output = stretch.output();
        let beyond = output + stretch.run.count * PAGE;
        let overlaps = output < lent.pa + lent.pages * PAGE && lent.pa < beyond;
        if stretch.mark() == slot.mark() >> MEMBER_SHIFT && overlaps {
            return true;
        }
    }
    false
}

impl<H: Hardware, S: System> Parts<'_, H, S> {
    /// Pins a pool that a client lends, for as long as both live.
    pub(crate) fn register(&mut self, plan: &PlanView<'_>, register: &Register) -> Changed {
        let pages = u64::from(register.extent.pages);
        if pages == 0 || register.extent.first != 0 {
            return Err(Error::Malformed);
        }
        if self.space.pages.is_empty() {
            return Err(Error::NoSpace);
        }
        let device = self.slot.device();
        let lender = TaskId(register.lender);
        let (at, planned) = plan.lent_pool(device, lender).ok_or(Error::BadMemory)?;
        if let Some(lent) = self.kept.lent.get(at) {
            return match lent.lender == lender && lent.ends.is_none() {
                true if lent.pages == pages => Ok(Some(number(at))),
                true => Err(Error::Overlap),
                false => Err(Error::Busy),
            };
        }
        let pinned = self.system.pin(
            self.slot.user(),
            lender,
            u32::from(register.lease),
            Pinning::of_pool(device, at),
            0,
            pages * PAGE,
        );
        let pinned = pinned.map_err(|code| match code {
            abi::Code::EXHAUSTED => Error::PinsExhausted,
            _ => Error::NoLease,
        })?;
        let access = (pinned.readable, pinned.writable);
        if let Err(error) = judge(plan, planned, (pinned.pa, pages), access) {
            let _ = self.system.unpin(pinned.slot);
            return Err(error);
        }
        let lent = Lent {
            device,
            lender,
            pin: pinned.slot,
            pa: pinned.pa,
            pages,
            writable: planned.writable == 1,
            ends: None,
        };
        self.kept.lent.put(at, Some(lent));
        Ok(Some(number(at)))
    }

    /// Gives a pool back of which nothing is mapped.
    pub(crate) fn unregister(&mut self, number: u16) -> Changed {
        let device = self.slot.device();
        let at = usize::from(number.wrapping_sub(REGISTERED));
        let lent = self.kept.lent.get(at).filter(|lent| lent.device == device);
        let lent = lent.ok_or(Error::BadMemory)?;
        // What looks free may be in the caches of an SMMU that has stopped.
        if self.running.queue.is_broken() {
            return Err(Error::HardwareFailure);
        }
        if maps_any(self.hardware, &self.space.pages, self.slot, &lent) {
            return Err(Error::Overlap);
        }
        self.kept.lent.put(at, None);
        let _ = self.system.unpin(lent.pin);
        Ok(None)
    }

    /// After something was unmapped: gives back the pools of dead lenders of which that was the last.
    #[cold]
    pub(crate) fn give_back_ended(&mut self) {
        // What looks free may be in the caches of an SMMU that has stopped.
        if self.running.queue.is_broken() {
            return;
        }
        for at in self.kept.lent.of(self.slot.device()) {
            let lent = self.kept.lent.get(at).filter(|lent| lent.ends.is_some());
            if let Some(lent) = lent
                && !maps_any(self.hardware, &self.space.pages, self.slot, &lent)
            {
                self.kept.lent.put(at, None);
                let _ = self.system.unpin(lent.pin);
            }
        }
    }
}

/// Whether what the kernel has pinned, an address with so many pages, is what the plan lends: the pool from its first page
/// on and no more of it, with the access that is planned; `readable` and `writable` as the lease was (IOMMU-POOL-1, -2).
fn judge(
    plan: &PlanView<'_>,
    planned: &LentPoolEntry,
    (pa, pages): (u64, u64),
    (readable, writable): (bool, bool),
) -> Result<(), Error> {
    let pool = plan.pool(planned.task, planned.pool);
    if pool.is_none_or(|pool| pool.pa != pa) || !(1..=planned.pages).contains(&pages) {
        Err(Error::BadMemory)
    } else if !readable || planned.writable == 1 && !writable {
        Err(Error::BadPermissions)
    } else {
        Ok(())
    }
}

/// The number by which a claimant names a pool.
const fn number(at: usize) -> u64 {
    REGISTERED as u64 + at as u64
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Nothing of a device is mapped, and it is quiet: all pools that were lent to it are given back.
    #[inline(always)]
    pub(crate) fn give_back_pools(&mut self, index: DeviceIndex) {
        if self.kept.lent.has_any(index) {
            self.give_back_all(index);
        }
    }

    #[cold]
    fn give_back_all(&mut self, index: DeviceIndex) {
        for at in self.kept.lent.of(index) {
            if let Some(lent) = self.kept.lent.get(at) {
                let _ = self.system.unpin(lent.pin);
            }
            self.kept.lent.put(at, None);
        }
    }

    /// Takes over a pool that an earlier life of this server registered. One that the plan does not know stays held, and
    /// memory that is not the planned pool is given back.
    pub(crate) fn adopt_pool(&mut self, at: usize, found: FoundPool) {
        let Some(planned) = self.plan.lent_pools.get(at) else {
            return;
        };
        let lent = Lent {
            device: found.device,
            lender: found.lender,
            pin: found.pin,
            pa: found.pa,
            pages: found.pages,
            writable: planned.writable == 1,
            ends: None,
        };
        if planned.device != found.device.number() {
            return;
        }
        // An earlier life may have ended between the kernel's pin and its own look at what was pinned. It has answered
        // nobody then, so that nothing of it was ever mapped.
        let access = [LeaseAttributes::READ, LeaseAttributes::WRITE];
        let [readable, writable] = access.map(|access| found.access.contains(access));
        let place = (found.pa, found.pages);
        if judge(&self.plan, planned, place, (readable, writable)).is_ok() {
            self.kept.lent.put(at, Some(lent));
        } else {
            let _ = self.system.unpin(found.pin);
        }
    }

    /// The pools of dead lenders, by what the kernel says: those of which nothing is mapped are given back. Drivers
    /// have until a deadline to unmap what is mapped of the others, and are told: one that keeps a pool mapped would not
    /// learn of the death otherwise, and lose its device.
    pub(crate) fn lenders_died(&mut self, dead: impl Fn(usize) -> bool) {
        let due = self.end_of(LENDER_DEADLINE_NS);
        for at in 0..LENT_POOLS_MAX {
            let Some(mut lent) = self.kept.lent.get(at).filter(|lent| lent.ends.is_none()) else {
                continue;
            };
            if !dead(at) {
                continue;
            }
            lent.ends = Some(due);
            self.kept.lent.put(at, Some(lent));
            // What was unmapped of it and waits for a flush: the lender's next life must not wait for it.
            self.flush_or_stop(lent.device);
            if let Some(mut parts) = self.parts(lent.device) {
                parts.give_back_ended();
            }
            let claimant = self.devices[lent.device].life().claimant();
            if let Some(claimant) = claimant.filter(|_| self.kept.lent.get(at).is_some()) {
                self.system.post_fault(TaskIndex::of(claimant));
            }
        }
        if let Some(due) = self.kept.lent.due() {
            self.wake_at(due);
        }
    }

    /// Takes the devices of those drivers away that did not unmap in time what a dead lender's pool has. What they
    /// reach is given back when they are quiet, as if their owners had died.
    pub(crate) fn end_overdue(&mut self) {
        if self.kept.lent.due().is_none() {
            return;
        }
        let now = self.now();
        let mut overdue = PerDevice([false; DEVICES_MAX]);
        for at in 0..LENT_POOLS_MAX {
            if let Some(lent) = self.kept.lent.get(at)
                && lent.ends.is_some_and(|due| due <= now)
            {
                overdue[lent.device] = true;
                self.kept.lent.put(
                    at,
                    Some(Lent {
                        ends: Some(u64::MAX),
                        ..lent
                    }),
                );
            }
        }
        for index in self.devices.all() {
            if overdue[index] {
                self.take_away(index);
            }
        }
        if let Some(due) = self.kept.lent.due().filter(|due| *due != u64::MAX) {
            self.wake_at(due);
        }
    }

    fn take_away(&mut self, index: DeviceIndex) {
        let Some(owner) = self.devices[index].life().claimant() else {
            return;
        };
        let name = self.name(index);
        self.system.log(Line::Overdue {
            name: name.as_str(),
        });
        // Whoever has it now may touch its registers at any time: it will be known to be quiet for nobody.
        self.contain(index, Purpose::Taken(owner));
        self.system.post_fault(TaskIndex::of(owner));
    }
}

impl<'p> PlanView<'p> {
    /// The pool that a task may lend to a device, and its place in the table.
    fn lent_pool(&self, device: DeviceIndex, lender: TaskId) -> Option<(usize, &'p LentPoolEntry)> {
        let mut pools = self.lent_pools.iter().enumerate();
        let task = u32::from(lender.number());
        pools.find(|(_, pool)| pool.device == device.number() && pool.task == task)
    }
}
