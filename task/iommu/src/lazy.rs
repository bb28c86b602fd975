//! Domains with lazy invalidation: what is unmapped is *parted*, and forgotten by the SMMU together with more.
//!
//! A parted entry translates nothing and is not free yet. Its IOVA, its pin and its pages stay counted until a flush:
//! the SMMU was told to forget it, and a CMD_SYNC has completed. So many pages are parted at most, for so long
//! at most, as the plan says. A claim that ends in whatever way is flushed first, and a successor of this server, which
//! makes the SMMU forget everything, clears the parted entries that it finds.

use abi::TaskId;
use iommu_api::{Error, Operation};
use smmu::Command;

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, DomainIndex};
use crate::limits::SINGLE_INVALIDATIONS_MAX;
use crate::map::Changed;
use crate::requests::MapWords;
use crate::server::{Parts, Server};
use crate::session::Recorded;
use crate::space::{Kind, Parted, Run};
use crate::stream;

impl<H: Hardware, S: System> Parts<'_, H, S> {
    /// Whether a run that is unmapped may be left to a later flush.
    #[cold]
    pub(crate) fn may_part(&mut self, kind: Kind, run: Run) -> bool {
        let pages = run.count * self.space.part(kind).entry_pages();
        self.may_part_each(pages, 1)
    }

    /// Whether so many pages, unmapped in so many runs, may be left to a later flush. Those of a pool whose lender is dead
    /// are given back at once.
    pub(crate) fn may_part_each(&mut self, pages: u64, runs: usize) -> bool {
        let lazy = &mut self.space.lazy;
        let room = self.kept.parted.capacity() - self.kept.parted.len();
        let fits = pages <= lazy.most - lazy.parted && runs <= room;
        lazy.full |= lazy.is_lazy() && !fits;
        fits && !self.kept.lent.is_ending(self.slot.device())
    }

    /// Leaves the invalidation of a run, which is mapped, to the next flush.
    pub(crate) fn part(&mut self, kind: Kind, run: Run) {
        let parted = Parted::new(self.slot.domain(), self.slot.device(), kind, run);
        // There is room: it was asked for.
        if self.kept.parted.push(parted).is_ok() {
            let part = self.space.part(kind);
            part.part(self.hardware, run);
            let pages = run.count * part.entry_pages();
            self.space.lazy.parted += pages;
        }
    }
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Completes every unmap of a domain: the SMMU has forgotten what was parted, and all of it is given back.
    #[inline(always)]
    pub(crate) fn flush_domain(&mut self, domain: DomainIndex) -> Result<(), Error> {
        match self.spaces.get(domain) {
            Some(space) if space.lazy.is_lazy() => self.flush_lazy(domain),
            _ => Ok(()),
        }
    }

    #[cold]
    #[inline(never)]
    fn flush_lazy(&mut self, domain: DomainIndex) -> Result<(), Error> {
        let Some(space) = self.spaces.get_mut(domain) else {
            return Ok(());
        };
        space.lazy.full = false;
        if space.lazy.parted == 0 {
            return Ok(());
        }
        let smmu = &mut self.smmus[space.smmu];
        let (Some(running), hardware) = (&mut smmu.running, &mut smmu.hardware) else {
            return Err(Error::HardwareFailure);
        };
        let mine = |parted: &&Parted| parted.domain == domain;
        let queue = &mut running.queue;
        let (asid, all) = (space.asid, space.lazy.parted > SINGLE_INVALIDATIONS_MAX);
        let queued = if all {
            queue.push(hardware, Command::TlbAsid { asid })
        } else {
            self.kept.parted.iter().filter(mine).try_for_each(|parted| {
                let part = space.part_of(parted.kind);
                stream::forget(hardware, queue, &running.features, part, parted.run(), asid)
            })
        };
        let done = queued.and_then(|()| queue.sync(hardware));
        done.map_err(|_| Error::HardwareFailure)?;
        for parted in self.kept.parted.iter().filter(mine) {
            let (part, run) = (space.part(parted.kind), parted.run());
            part.clear(hardware, run);
            part.give(run);
            let pages = run.count * part.entry_pages();
            if let Some(slot) = self.devices.slot_mut(parted.device) {
                slot.count_unmapped(pages);
            }
        }
        space.lazy.parted = 0;
        space.lazy.due = None;
        self.kept.parted.retain(|parted| parted.domain != domain);
        self.unpin_cleared(domain);
        Ok(())
    }

    /// Lifts the pins of those leases in a domain whose entries are cleared: an unmap clears a lease as a whole.
    fn unpin_cleared(&mut self, domain: DomainIndex) {
        let Some(space) = self.spaces.get(domain) else {
            return;
        };
        let hardware = &mut self.smmus[space.smmu].hardware;
        let (devices, system) = (&mut self.devices, &mut self.system);
        self.kept.pins.retain(|pin| {
            let slot = devices.slot_mut(pin.device);
            let slot = slot.filter(|slot| slot.domain() == domain && pin.run != Run::NONE);
            let first = Run {
                count: 1,
                ..pin.run
            };
            let Some(slot) = slot.filter(|_| space.pages.is_free(hardware, first)) else {
                return true;
            };
            let _ = system.unpin(pin.slot);
            slot.count_unpin();
            false
        });
    }

    /// The same for the domain of a device whose claim ends, or which is cut off. An SMMU that does not confirm it
    /// confirms nothing of what follows either, and so nothing is given back.
    pub(crate) fn flush_before(&mut self, index: DeviceIndex) {
        if let Some(domain) = self.devices[index].domain() {
            let _ = self.flush_domain(domain);
        }
    }

    /// The same for the domain of a device whose claim goes on. An SMMU that does not confirm it has stopped for good.
    pub(crate) fn flush_or_stop(&mut self, index: DeviceIndex) {
        let Some(domain) = self.devices[index].domain() else {
            return;
        };
        if self.flush_domain(domain).is_err()
            && let Some(smmu) = self.smmu_of(index)
        {
            self.cut_off_all(smmu);
        }
    }

    /// Records the result of a request in a lazy domain. One that is refused for what waits is not recorded, but served
    /// anew after a flush.
    #[cold]
    #[inline(never)]
    pub(crate) fn record_lazily(
        &mut self,
        index: DeviceIndex,
        operation: Operation,
        mut result: Changed,
    ) -> Recorded {
        if let Err(error) = result {
            match self.make_room(index, error) {
                Ok(true) => {
                    self.anew = true;
                    return Recorded::refusal(error);
                }
                Ok(false) => {}
                Err(error) => result = Err(error),
            }
        } else if matches!(operation, Operation::Unmap | Operation::UnmapList) {
            result = self.after_unmap(index).map(|()| None);
        }
        let Some(slot) = self.devices.slot_mut(index) else {
            return Recorded::refusal(Error::StaleHandle);
        };
        let recorded = slot.record(operation, result);
        self.judge_result(index, recorded);
        recorded
    }

    /// Whether a request that was refused is to be served anew: what was in its way is flushed.
    fn make_room(&mut self, index: DeviceIndex, error: Error) -> Result<bool, Error> {
        let domain = self.devices.slot(index).domain();
        let space = self.spaces.get(domain);
        if !space.is_some_and(|space| space.lazy.is_in_the_way(error)) {
            return Ok(false);
        }
        self.flush_domain(domain)?;
        if let Some(slot) = self.devices.slot_mut(index) {
            slot.begin_anew();
        }
        Ok(true)
    }

    /// The result of a map that was refused for what waits.
    #[cold]
    #[inline(never)]
    pub(crate) fn map_with_room(
        &mut self,
        index: DeviceIndex,
        error: Error,
        sender: TaskId,
        words: MapWords,
    ) -> Recorded {
        match self.make_room(index, error) {
            // Nothing waits any more, so this is the last time.
            Ok(true) => self.map(sender, words),
            Ok(false) => self.record_lazily(index, Operation::Map, Err(error)),
            Err(error) => self.record_lazily(index, Operation::Map, Err(error)),
        }
    }

    /// Whether the request that was served last is to be served anew.
    #[inline(always)]
    pub(crate) fn take_anew(&mut self) -> bool {
        core::mem::take(&mut self.anew)
    }

    /// After an unmap in a lazy domain: flushes if there is no room for more, else within the time that the plan
    /// says.
    fn after_unmap(&mut self, index: DeviceIndex) -> Result<(), Error> {
        let domain = self.devices.slot(index).domain();
        let Some(space) = self.spaces.get_mut(domain) else {
            return Ok(());
        };
        let lazy = space.lazy;
        if lazy.full || lazy.parted >= lazy.most {
            return self.flush_domain(domain);
        }
        if lazy.parted > 0 && lazy.due.is_none() {
            let hardware = &mut self.smmus[space.smmu].hardware;
            let due = hardware.now().saturating_add(hardware.ticks(lazy.within));
            space.lazy.due = Some(due);
            self.wake_at(due);
            if let Some(deadline) = self.take_new_deadline() {
                self.system.set_timer(deadline);
            }
        }
        Ok(())
    }

    /// Flushes the domains whose time has come, and asks to be woken for the others.
    pub(crate) fn flush_due(&mut self) {
        for domain in self.spaces.all() {
            let Some(space) = self.spaces.get(domain) else {
                continue;
            };
            let (smmu, lazy) = (space.smmu, space.lazy);
            let now = self.smmus[smmu].hardware.now();
            if lazy.is_due(now) {
                if self.flush_domain(domain).is_err() {
                    self.cut_off_all(smmu);
                }
            } else if let Some(due) = lazy.due {
                self.wake_at(due);
            }
        }
    }
}
