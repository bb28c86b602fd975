//! Unmapping, and the pins that go with it.

use iommu_api::{Error, PAGE};
use plan::iommu::PremappedEntry;

use crate::hardware::{Hardware, System};
use crate::kept::Pin;
use crate::map::{Changed, premapped_pools};
use crate::plan_view::PlanView;
use crate::server::Parts;
use crate::space::{Kind, PAGE_SHIFT, Run};
use crate::stream;

impl<H: Hardware, S: System> Parts<'_, H, S> {
    #[inline(always)]
    pub(crate) fn unmap(&mut self, plan: &PlanView<'_>, iova: u64, pages: u64) -> Changed {
        let (kind, run) = match self.removable(iova, pages) {
            Ok(found) => found,
            Err(error) => return self.not_removable(error, iova, pages, plan.premapped),
        };
        self.take_away(kind, run)
    }

    /// Unmaps a run that may be unmapped.
    #[inline(always)]
    pub(crate) fn take_away(&mut self, kind: Kind, run: Run) -> Changed {
        if self.space.lazy.is_lazy() && self.may_part(kind, run) {
            self.part(kind, run);
            return Ok(None);
        }
        self.remove_now(kind, run)?;
        self.give_back(kind, run);
        self.after_unmap();
        Ok(None)
    }

    /// Stores invalid entries, and waits until the SMMU has forgotten them: [`Self::remove`] and [`Self::complete`] of one
    /// run.
    #[inline(always)]
    pub(crate) fn remove_now(&mut self, kind: Kind, run: Run) -> Result<(), Error> {
        let asid = self.space.asid;
        let part = self.space.part(kind);
        part.clear(self.hardware, run);
        let running = &mut *self.running;
        let (queue, features) = (&mut running.queue, &running.features);
        stream::forget_now(self.hardware, queue, features, part, run, asid)
            .map_err(|_| Error::HardwareFailure)
    }

    /// The entries of a range that may be unmapped: all mapped by this device, no lease cut.
    #[inline(always)]
    pub(crate) fn removable(&mut self, iova: u64, pages: u64) -> Result<(Kind, Run), Error> {
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
        let part = self.space.part(kind);
        if !part.is_mapped(self.hardware, run, self.slot.tag()) {
            return Err(Error::NotMapped);
        }
        if self.slot.pins() > 0 && kind == Kind::Pages && self.cuts_lease(run) {
            return Err(Error::PartOfLease);
        }
        Ok(())
    }

    /// An unmap of what no request mapped: nothing is to be done if it is a pool that stays mapped.
    #[cold]
    fn not_removable(
        &self,
        error: Error,
        iova: u64,
        pages: u64,
        premapped: &[PremappedEntry],
    ) -> Changed {
        let within = |range: &PremappedEntry| {
            let offset = iova.wrapping_sub(range.iova);
            iova >= range.iova
                && iova.is_multiple_of(PAGE)
                && offset < range.len
                && pages <= (range.len - offset) / PAGE
        };
        let stays = || pages > 0 && premapped_pools(premapped, self.slot).any(within);
        if error == Error::NotMapped && stays() {
            return Ok(None);
        }
        Err(error)
    }

    /// Two devices of one alias set share the domain's entries, not their pins.
    fn is_own(&self, pin: &Pin) -> bool {
        pin.device == self.slot.device()
    }

    fn cuts_lease(&self, run: Run) -> bool {
        self.kept
            .pins
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

    /// What was unmapped may have been the last of a pool whose lender is dead.
    #[inline(always)]
    pub(crate) fn after_unmap(&mut self) {
        if self.kept.lent.is_any_ending() {
            self.give_back_ended();
        }
    }

    /// After completion: IOVAs, counts and pins of a run.
    #[inline(always)]
    pub(crate) fn give_back(&mut self, kind: Kind, run: Run) {
        self.space.part(kind).give(run);
        self.slot
            .count_unmapped(run.count << (kind.shift() - PAGE_SHIFT));
        if self.slot.pins() > 0 && kind == Kind::Pages {
            self.unpin(run);
        }
    }

    #[cold]
    pub(crate) fn unpin(&mut self, run: Run) {
        while let Some(at) = self
            .kept
            .pins
            .iter()
            .position(|pin| self.is_own(pin) && run.contains(pin.run))
        {
            let pin = self.kept.pins.swap_remove(at);
            let _ = self.system.unpin(pin.slot);
            self.slot.count_unpin();
        }
    }
}
