//! Mapping: contiguous memory of a pool, and leases with the pins that go with them.

use abi::TaskId;
use iommu_api::{Error, Extent, MapFlags, MapLease, PAGE};
use plan::iommu::{PremappedEntry, PremappedKind};

use crate::hardware::{Hardware, Pinning, System};
use crate::kept::Pin;
use crate::lent::Memory;
use crate::plan_view::PlanView;
use crate::server::{Parts, Target};
use crate::slot::Slot;
use crate::space::{BLOCK_SHIFT, Kind, PAGE_SHIFT, Part, Run};

/// Result of a request that changes something: the IOVA, for those that map.
pub(crate) type Changed = Result<Option<u64>, Error>;

/// The pools of `owner` that the build step has mapped in the domain of its device.
pub(crate) fn premapped_pools<'t>(
    premapped: &'t [PremappedEntry],
    slot: &Slot,
) -> impl Iterator<Item = &'t PremappedEntry> + use<'t> {
    let (domain, owner) = (slot.domain(), slot.user());
    premapped.iter().filter(move |range| {
        range.domain as usize == domain.number()
            && range.kind == PremappedKind::Pool as u32
            && range.task == u32::from(owner.number())
    })
}

impl<H: Hardware> Target<'_, H> {
    /// Maps contiguous memory of a pool.
    #[inline(always)]
    pub(crate) fn map(
        &mut self,
        plan: &PlanView<'_>,
        extent: Extent,
        pool: u16,
        flags: MapFlags,
        iova: u64,
    ) -> Changed {
        let (first, pages) = (u64::from(extent.first), u64::from(extent.pages));
        check_content(flags, pages, iova)?;
        let pool_of_user = self.slot.pool(plan.pools, pool);
        let (base, limit) = pool_of_user.ok_or(Error::BadMemory)?;
        if first + pages > limit {
            return Err(Error::BadMemory);
        }
        let pa = base + first * PAGE;
        if self.slot.is_premapped() && flags == MapFlags::READ_WRITE {
            let found = self.stays_at(plan.premapped, pool, first, pages);
            if found.is_some() {
                return Ok(found);
            }
        }
        if flags.has(MapFlags::BLOCKS) {
            return self.map_blocks(flags, pages, iova, pa);
        }
        check_rights(flags)?;
        let part = &mut self.space.pages;
        let run = if flags.has(MapFlags::FIXED) {
            fixed(part, self.hardware, iova, pages)?
        } else {
            part.find(self.hardware, pages).ok_or(Error::NoSpace)?
        };
        let template = self.slot.page_template(flags.writable());
        part.write(self.hardware, run, pa, template, PAGE_SHIFT);
        Ok(Some(self.mapped(Kind::Pages, run)))
    }

    /// Maps contiguous memory of a pool that was lent as a whole.
    pub(crate) fn map_lent(
        &mut self,
        extent: Extent,
        pool: u16,
        flags: MapFlags,
        iova: u64,
    ) -> Changed {
        let (first, pages) = (u64::from(extent.first), u64::from(extent.pages));
        check_content(flags, pages, iova)?;
        let memory = self.lent.find(self.slot.device(), pool);
        let memory = memory.ok_or(Error::BadMemory)?;
        if first + pages > memory.pages {
            return Err(Error::BadMemory);
        }
        check_rights(flags)?;
        memory.check(flags)?;
        if flags.has(MapFlags::BLOCKS) {
            return Err(Error::BadMemory);
        }
        let run = self.place(flags, pages, iova)?;
        let template = self.slot.page_template(flags.writable());
        let pa = memory.pa + first * PAGE;
        let part = &mut self.space.pages;
        part.write(self.hardware, run, pa, template, PAGE_SHIFT);
        Ok(Some(self.mapped(Kind::Pages, run)))
    }

    /// A pool by its number: the user's own, or one that was lent to it.
    #[inline(always)]
    pub(crate) fn pool(&self, plan: &PlanView<'_>, number: u16) -> Option<Memory> {
        match self.slot.pool(plan.pools, number) {
            Some((pa, pages)) => Some(Memory {
                pa,
                pages,
                writable: true,
            }),
            None => self.lent.find(self.slot.device(), number),
        }
    }

    /// The IOVA of pages of a pool that the build step has mapped.
    #[cold]
    fn stays_at(
        &self,
        premapped: &[PremappedEntry],
        pool: u16,
        first: u64,
        pages: u64,
    ) -> Option<u64> {
        let covers = |range: &&PremappedEntry| {
            range.pool == u32::from(pool) && first + pages <= range.len / PAGE
        };
        let range = premapped_pools(premapped, self.slot).find(covers)?;
        Some(range.iova + first * PAGE)
    }

    #[inline(always)]
    fn map_blocks(&mut self, flags: MapFlags, pages: u64, iova: u64, pa: u64) -> Changed {
        check_rights(flags)?;
        let block = 1 << (BLOCK_SHIFT - PAGE_SHIFT);
        if !pages.is_multiple_of(block) || !pa.is_multiple_of(block * PAGE) {
            return Err(Error::BadMemory);
        }
        let part = &mut self.space.blocks;
        let run = if flags.has(MapFlags::FIXED) {
            fixed(part, self.hardware, iova, pages)?
        } else {
            part.find(self.hardware, pages / block)
                .ok_or(Error::NoSpace)?
        };
        let template = part.template(flags.writable()) | self.slot.mark();
        part.write(self.hardware, run, pa, template, BLOCK_SHIFT);
        Ok(Some(self.mapped(Kind::Blocks, run)))
    }

    /// Finds entries of the page part.
    pub(crate) fn place(&mut self, flags: MapFlags, pages: u64, iova: u64) -> Result<Run, Error> {
        check_rights(flags)?;
        let part = &mut self.space.pages;
        if flags.has(MapFlags::FIXED) {
            return fixed(part, self.hardware, iova, pages);
        }
        part.find(self.hardware, pages).ok_or(Error::NoSpace)
    }

    /// The entries of a run were written: what it is from then on, and its first IOVA.
    #[inline(always)]
    pub(crate) fn mapped(&mut self, kind: Kind, run: Run) -> u64 {
        let part = self.space.part(kind);
        part.take(run);
        self.slot
            .count_mapped(run.count << (kind.shift() - PAGE_SHIFT));
        // Visible to the SMMU before the driver can tell the device. Entries that translate nothing are
        // never cached, so there is nothing to forget (Arm ARM D8.16).
        self.hardware.publish();
        part.base() + (run.first << kind.shift())
    }
}

/// The entries that a claimant names, if they are free.
#[inline(never)]
fn fixed<H: Hardware>(part: &Part, hardware: &mut H, iova: u64, pages: u64) -> Result<Run, Error> {
    let run = part.locate(iova, pages).ok_or(Error::BadRange)?;
    if part.is_free(hardware, run) {
        Ok(run)
    } else {
        Err(Error::Overlap)
    }
}

/// Checks what can be wrong with a mapping in any state.
#[inline(always)]
pub(crate) fn check_content(flags: MapFlags, pages: u64, iova: u64) -> Result<(), Error> {
    if pages == 0 || (iova != 0 && !flags.has(MapFlags::FIXED)) {
        Err(Error::Malformed)
    } else {
        Ok(())
    }
}

#[inline(always)]
pub(crate) fn check_rights(flags: MapFlags) -> Result<(), Error> {
    if flags.readable() {
        Ok(())
    } else {
        Err(Error::BadPermissions)
    }
}

impl<H: Hardware, S: System> Parts<'_, H, S> {
    pub(crate) fn map_lease(&mut self, map: &MapLease) -> Changed {
        let pages = u64::from(map.extent.pages);
        check_content(map.flags, pages, map.iova)?;
        if map.flags.has(MapFlags::BLOCKS) {
            return Err(Error::Malformed);
        }
        let run = self.target().place(map.flags, pages, map.iova)?;
        if self.slot.has_all_pins() || self.kept.pins.is_full() {
            return Err(Error::PinsExhausted);
        }
        let (device, driver) = (self.slot.device(), self.slot.user());
        let pinned = self
            .system
            .pin(
                driver,
                TaskId(map.lender),
                u32::from(map.lease),
                Pinning::of_lease(device),
                u64::from(map.extent.first) * PAGE,
                pages * PAGE,
            )
            .map_err(|code| match code {
                abi::Code::EXHAUSTED => Error::PinsExhausted,
                _ => Error::NoLease,
            })?;
        let granted = pinned.readable && (pinned.writable || !map.flags.writable());
        if !granted || !pinned.pa.is_multiple_of(PAGE) {
            let _ = self.system.unpin(pinned.slot);
            return Err(Error::BadPermissions);
        }
        let pin = Pin {
            device,
            run,
            slot: pinned.slot,
        };
        if self.kept.pins.push(pin).is_err() {
            let _ = self.system.unpin(pinned.slot);
            return Err(Error::PinsExhausted);
        }
        self.slot.count_pin();
        let template = self.slot.page_template(map.flags.writable());
        let part = &self.space.pages;
        part.write(self.hardware, run, pinned.pa, template, PAGE_SHIFT);
        Ok(Some(self.target().mapped(Kind::Pages, run)))
    }
}
