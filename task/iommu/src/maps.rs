//! Mapping and unmapping in one domain, and the pins that go with it.

use abi::TaskId;
use iommu_api::{Error, Extent, Map, MapFlags, MapLease, MapList, PAGE};
use plan::iommu::{PoolEntry, PremappedEntry, PremappedKind};

use crate::device::Device;
use crate::hardware::{Hardware, System};
use crate::lists::name_a_page_twice;
use crate::server::{Parts, Pin};
use crate::space::{Kind, Run};
use crate::stream;

/// Result of a request that changes something: the IOVA, for those that map.
pub(crate) type Changed = Result<Option<u64>, Error>;

/// Pool `number` of `sender`, which has claimed the device.
#[inline(always)]
pub(crate) fn pool_of<'p>(
    device: &Device<'_>,
    pools: &'p [PoolEntry],
    sender: TaskId,
    number: u16,
) -> Result<&'p PoolEntry, Error> {
    pools
        .get(device.pools().wrapping_add(usize::from(number)))
        .filter(|pool| pool.task == u32::from(sender.number()) && pool.pool == u32::from(number))
        .ok_or(Error::BadMemory)
}

/// The error of the first extent of a list that is empty or beyond a pool's end.
#[cold]
fn wrong_extent(extents: &[u64], limit: u64) -> Error {
    let empty = |extent: &Extent| extent.pages == 0;
    let beyond = |extent: &Extent| u64::from(extent.first) + u64::from(extent.pages) > limit;
    extents
        .iter()
        .map(|&word| Extent::from_word(word))
        .find(|extent| empty(extent) || beyond(extent))
        .filter(empty)
        .map_or(Error::BadMemory, |_| Error::Malformed)
}

impl<H: Hardware, S: System> Parts<'_, '_, H, S> {
    /// Maps contiguous memory of a pool.
    #[inline(always)]
    pub(crate) fn map(
        &mut self,
        map: &Map,
        sender: TaskId,
        pools: &[PoolEntry],
        premapped: &[PremappedEntry],
    ) -> Changed {
        let (first, pages) = (u64::from(map.extent.first), u64::from(map.extent.pages));
        check_content(map.flags, pages, map.iova)?;
        let pool = pool_of(self.device, pools, sender, map.pool)?;
        if first + pages > pool.len / PAGE {
            return Err(Error::BadMemory);
        }
        let pa = pool.pa + first * PAGE;
        if self.space.premapped && map.flags == MapFlags::READ_WRITE {
            let covers = |range: &&PremappedEntry| {
                range.pool == u32::from(map.pool) && first + pages <= range.len / PAGE
            };
            let mut ranges = self.in_window(premapped, sender);
            if let Some(range) = ranges.find(covers) {
                return Ok(Some(range.iova + first * PAGE));
            }
        }
        if map.flags.has(MapFlags::BLOCKS) {
            return self.map_blocks(map, pa, pages);
        }
        let run = self.place(Kind::Pages, map.flags, pages, map.iova)?;
        self.map_run(Kind::Pages, map.flags, run, pa)
    }

    fn map_blocks(&mut self, map: &Map, pa: u64, pages: u64) -> Changed {
        check_rights(map.flags)?;
        let block = self.space.blocks.entry_pages();
        if !pages.is_multiple_of(block) || !pa.is_multiple_of(block * PAGE) {
            return Err(Error::BadMemory);
        }
        let run = self.place(Kind::Blocks, map.flags, pages, map.iova)?;
        self.map_run(Kind::Blocks, map.flags, run, pa)
    }

    /// Finds the entries for a mapping.
    #[inline(always)]
    fn place(&mut self, kind: Kind, flags: MapFlags, pages: u64, iova: u64) -> Result<Run, Error> {
        check_rights(flags)?;
        let part = self.space.part(kind);
        if flags.has(MapFlags::FIXED) {
            let run = part.locate(iova, pages).ok_or(Error::BadRange)?;
            return if part.is_free(self.hardware, run) {
                Ok(run)
            } else {
                Err(Error::Overlap)
            };
        }
        part.find(self.hardware, pages / part.entry_pages())
            .ok_or(Error::NoSpace)
    }

    /// Writes the entries of a run that was found free.
    #[inline(always)]
    fn map_run(&mut self, kind: Kind, flags: MapFlags, run: Run, pa: u64) -> Changed {
        let part = self.space.part(kind);
        let template = part.template(flags.writable(), self.device.member());
        part.write(self.hardware, run, pa, template);
        Ok(Some(self.mapped(kind, run)))
    }

    /// The entries of a run were written: what it is from then on, and its first IOVA.
    #[inline(always)]
    fn mapped(&mut self, kind: Kind, run: Run) -> u64 {
        let part = self.space.part(kind);
        part.take(run);
        self.device.count_mapped(run.count * part.entry_pages());
        // Visible to the SMMU before the driver can tell the device. Entries that translate nothing are
        // never cached, so there is nothing to forget (Arm ARM D8.16).
        self.hardware.publish();
        part.iova(run.first)
    }

    /// Maps extents of a pool; one that does not exist is one without pages.
    pub(crate) fn map_extents(
        &mut self,
        map: &MapList,
        pool: Result<&PoolEntry, Error>,
        extents: &[u64],
    ) -> Changed {
        // An empty extent is judged with those that are too long: the first that is wrong decides.
        check_content(map.flags, 1, map.iova)?;
        // No sum overflows: both numbers of an extent have 32 bits, and there are some hundred extents.
        let (mut pages, mut least, mut end) = (0u64, u64::MAX, 0u64);
        for &word in extents {
            let Extent {
                first,
                pages: count,
            } = Extent::from_word(word);
            let count = u64::from(count);
            pages += count;
            least = least.min(count);
            end = end.max(u64::from(first) + count);
        }
        let limit = pool.map_or(0, |pool| pool.len / PAGE);
        if least == 0 || end > limit {
            return Err(wrong_extent(extents, limit));
        }
        let pool = pool?;
        let run = self.place(Kind::Pages, map.flags, pages, map.iova)?;
        let part = &mut self.space.pages;
        let template = part.template(map.flags.writable(), self.device.member());
        let mut extents = extents.iter().map(|&word| Extent::from_word(word));
        if run.count == extents.len() as u64 {
            // Single pages, as most lists are.
            part.write_each(self.hardware, run, template, || {
                let extent = extents.next().unwrap_or_default();
                pool.pa + u64::from(extent.first) * PAGE
            });
            return Ok(Some(self.mapped(Kind::Pages, run)));
        }
        let (mut pa, mut left) = (0, 0);
        part.write_each(self.hardware, run, template, || {
            if left == 0 {
                let extent = extents.next().unwrap_or_default();
                pa = pool.pa + u64::from(extent.first) * PAGE;
                left = extent.pages;
            }
            left = left.wrapping_sub(1);
            let this = pa;
            pa += PAGE;
            this
        });
        Ok(Some(self.mapped(Kind::Pages, run)))
    }

    pub(crate) fn map_lease(&mut self, map: &MapLease, driver: TaskId) -> Changed {
        let pages = u64::from(map.extent.pages);
        check_content(map.flags, pages, map.iova)?;
        if map.flags.has(MapFlags::BLOCKS) {
            return Err(Error::Malformed);
        }
        let run = self.place(Kind::Pages, map.flags, pages, map.iova)?;
        if self.device.pins() >= self.device.entry().pins || self.pins.is_full() {
            return Err(Error::PinsExhausted);
        }
        let pinned = self
            .system
            .pin(
                driver,
                TaskId(map.lender),
                u32::from(map.lease),
                self.device.index(),
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
            device: self.device.index(),
            run,
            slot: pinned.slot,
        };
        if self.pins.push(pin).is_err() {
            let _ = self.system.unpin(pinned.slot);
            return Err(Error::PinsExhausted);
        }
        self.device.count_pin();
        self.map_run(Kind::Pages, map.flags, run, pinned.pa)
    }

    /// Pools of `owner` that the build step has mapped in the device's domain.
    fn in_window<'t>(
        &self,
        premapped: &'t [PremappedEntry],
        owner: TaskId,
    ) -> impl Iterator<Item = &'t PremappedEntry> {
        let domain = self.device.entry().domain;
        premapped.iter().filter(move |range| {
            range.domain == domain
                && range.kind == PremappedKind::Pool as u32
                && range.task == u32::from(owner.number())
        })
    }

    /// An unmap of what no request mapped: nothing is to be done if it is a pool that stays mapped.
    #[cold]
    fn not_removable(
        &self,
        error: Error,
        iova: u64,
        pages: u64,
        owner: TaskId,
        premapped: &[PremappedEntry],
    ) -> Changed {
        if error == Error::NotMapped && self.stays_mapped(premapped, owner, iova, pages) {
            return Ok(None);
        }
        Err(error)
    }

    /// Whether a range lies wholly in a pool of `owner` that stays mapped.
    fn stays_mapped(
        &self,
        premapped: &[PremappedEntry],
        owner: TaskId,
        iova: u64,
        pages: u64,
    ) -> bool {
        let within = |range: &PremappedEntry| {
            let offset = iova.wrapping_sub(range.iova);
            iova >= range.iova
                && iova.is_multiple_of(PAGE)
                && offset < range.len
                && pages <= (range.len - offset) / PAGE
        };
        pages > 0 && self.in_window(premapped, owner).any(within)
    }

    #[inline(always)]
    pub(crate) fn unmap(
        &mut self,
        iova: u64,
        pages: u64,
        sender: TaskId,
        premapped: &[PremappedEntry],
    ) -> Changed {
        let (kind, run) = match self.removable(iova, pages) {
            Ok(found) => found,
            Err(error) => return self.not_removable(error, iova, pages, sender, premapped),
        };
        self.remove(kind, run)?;
        self.complete()?;
        self.give_back(kind, run);
        Ok(None)
    }

    /// The entries of a range that may be unmapped: all mapped by this device, no lease cut.
    #[inline(always)]
    fn removable(&mut self, iova: u64, pages: u64) -> Result<(Kind, Run), Error> {
        if pages == 0 {
            return Err(Error::Malformed);
        }
        let (kind, run) = self.space.locate(iova, pages).ok_or(Error::BadRange)?;
        self.judge_removal(kind, run)?;
        Ok((kind, run))
    }

    /// Whether all entries of a run are mapped by this device, and no lease is cut.
    #[inline(always)]
    pub(crate) fn judge_removal(&mut self, kind: Kind, run: Run) -> Result<(), Error> {
        let member = self.device.member();
        if !self.space.part(kind).is_mapped(self.hardware, run, member) {
            return Err(Error::NotMapped);
        }
        if self.device.pins() > 0 && kind == Kind::Pages && self.cuts_lease(run) {
            return Err(Error::PartOfLease);
        }
        Ok(())
    }

    /// Unmaps several ranges, or none.
    pub(crate) fn unmap_extents(&mut self, extents: &[u64]) -> Changed {
        let (mut ascending, mut end) = (true, 0);
        // What is mapped, less the pages looked at: beyond that some are named twice or not mapped.
        let mut left = self.device.mapped();
        for (place, &word) in extents.iter().enumerate() {
            let (iova, pages) = iova_range(word);
            if pages > left {
                return Err(self.names_too_much(extents.get(place..).unwrap_or_default()));
            }
            left -= pages;
            self.removable(iova, pages)?;
            ascending &= iova >= end;
            end = iova + pages * PAGE;
        }
        let named = extents.iter().map(|&word| Extent::from_word(word));
        if !ascending && name_a_page_twice(named) {
            return Err(Error::NotMapped);
        }
        for &word in extents {
            let (iova, pages) = iova_range(word);
            if let Some((kind, run)) = self.space.locate(iova, pages) {
                self.remove(kind, run)?;
            }
        }
        self.complete()?;
        for &word in extents {
            let (iova, pages) = iova_range(word);
            if let Some((kind, run)) = self.space.locate(iova, pages) {
                self.give_back(kind, run);
            }
        }
        Ok(None)
    }

    /// The error of a list that names more pages than are mapped. No entry is looked at any more, so that a list
    /// of many large extents costs no more than one of them.
    #[cold]
    fn names_too_much(&self, rest: &[u64]) -> Error {
        let wrong = |&word: &u64| {
            let (iova, pages) = iova_range(word);
            if pages == 0 {
                return Some(Error::Malformed);
            }
            let located = self.space.locate(iova, pages);
            located.is_none().then_some(Error::BadRange)
        };
        rest.iter().find_map(wrong).unwrap_or(Error::NotMapped)
    }

    /// Two devices of one alias set share the domain's entries, not their pins.
    fn is_own(&self, pin: &Pin) -> bool {
        pin.device == self.device.index()
    }

    fn cuts_lease(&self, run: Run) -> bool {
        self.pins
            .iter()
            .any(|pin| self.is_own(pin) && run.overlaps(pin.run) && !run.contains(pin.run))
    }

    /// Stores invalid entries and queues their invalidation. If that fails they look free although the SMMU may still
    /// translate them. They are given to nobody: a queue that failed is broken for good, so nothing of this SMMU is
    /// opened any more, and a successor either makes it forget everything or does not use it.
    #[inline(always)]
    pub(crate) fn remove(&mut self, kind: Kind, run: Run) -> Result<(), Error> {
        let asid = self.space.asid;
        let part = self.space.part(kind);
        part.clear(self.hardware, run);
        let running = &mut *self.running;
        stream::forget(
            self.hardware,
            &mut running.queue,
            &running.features,
            part,
            run,
            asid,
        )
        .map_err(|_| Error::HardwareFailure)
    }

    /// Waits until the SMMU has forgotten what [`Self::remove`] queued.
    #[inline(always)]
    pub(crate) fn complete(&mut self) -> Result<(), Error> {
        self.running
            .queue
            .sync(self.hardware)
            .map_err(|_| Error::HardwareFailure)
    }

    /// After completion: IOVAs, counts and pins of a run.
    #[inline(always)]
    fn give_back(&mut self, kind: Kind, run: Run) {
        let part = self.space.part(kind);
        part.give(run);
        let pages = run.count * part.entry_pages();
        self.device.count_unmapped(pages);
        if self.device.pins() > 0 && kind == Kind::Pages {
            self.unpin(run);
        }
    }

    #[cold]
    pub(crate) fn unpin(&mut self, run: Run) {
        while let Some(at) = self
            .pins
            .iter()
            .position(|pin| self.is_own(pin) && run.contains(pin.run))
        {
            let pin = self.pins.swap_remove(at);
            let _ = self.system.unpin(pin.slot);
            self.device.count_unpin();
        }
    }
}

/// First IOVA and pages of an extent of a list.
#[inline(always)]
fn iova_range(word: u64) -> (u64, u64) {
    let Extent { first, pages } = Extent::from_word(word);
    (u64::from(first) * PAGE, u64::from(pages))
}

/// Checks what can be wrong with a mapping in any state.
#[inline(always)]
fn check_content(flags: MapFlags, pages: u64, iova: u64) -> Result<(), Error> {
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
