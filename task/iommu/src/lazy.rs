//! Domains with lazy invalidation: what is unmapped is *parted*, and forgotten by the SMMU together with more.
//!
//! A parted entry translates nothing and is not free yet. Its IOVA, its pin and its pages stay counted until a flush:
//! the SMMU was told to forget it, and a CMD_SYNC has completed. So many pages are parted at most, for so long
//! at most, as the plan says. A claim that ends in whatever way is flushed first, and a successor of this server, which
//! makes the SMMU forget everything, clears the parted entries that it finds.

use iommu_api::{Error, Operation};
use smmu::Command;

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, DomainIndex};
use crate::limits::SINGLE_INVALIDATIONS_MAX;
use crate::map::Changed;
use crate::server::{Parts, Server};
use crate::session::Recorded;
use crate::space::{Kind, Parted, Run};
use crate::stream;

impl<H: Hardware, S: System> Parts<'_, H, S> {
    /// Whether so many pages, unmapped in so many runs, may be left to a later flush.
    pub(crate) fn may_part(&mut self, pages: u64, runs: usize) -> bool {
        let lazy = &mut self.space.lazy;
        let room = self.parted.capacity() - self.parted.len();
        let fits = pages <= lazy.most - lazy.parted && runs <= room;
        lazy.full |= lazy.is_lazy() && !fits;
        fits
    }

    /// Leaves the invalidation of a run, which is mapped, to the next flush.
    pub(crate) fn part(&mut self, kind: Kind, run: Run) {
        let parted = Parted {
            domain: self.slot.domain(),
            device: self.slot.device(),
            kind,
            run,
        };
        // There is room: it was asked for.
        if self.parted.push(parted).is_ok() {
            let part = self.space.part(kind);
            part.part(self.hardware, run);
            let pages = run.count * part.entry_pages();
            self.space.lazy.parted += pages;
        }
    }
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Completes every unmap of a domain: the SMMU has forgotten what was parted, and all of it is given back.
    pub(crate) fn flush_domain(&mut self, domain: DomainIndex) -> Result<(), Error> {
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
            self.parted.iter().filter(mine).try_for_each(|parted| {
                let part = space.part_of(parted.kind);
                stream::forget(hardware, queue, &running.features, part, parted.run, asid)
            })
        };
        let done = queued.and_then(|()| queue.sync(hardware));
        done.map_err(|_| Error::HardwareFailure)?;
        for parted in self.parted.iter().filter(mine) {
            let part = space.part(parted.kind);
            part.clear(hardware, parted.run);
            part.give(parted.run);
            let pages = parted.run.count * part.entry_pages();
            let Some(slot) = self.devices.slot_mut(parted.device) else {
                continue;
            };
            slot.count_unmapped(pages);
            let pinned = parted.kind == Kind::Pages && slot.pins() > 0;
            while let Some(at) = self.pins.iter().position(|pin| {
                pinned && pin.device == parted.device && parted.run.contains(pin.run)
            }) {
                let pin = self.pins.swap_remove(at);
                let _ = self.system.unpin(pin.slot);
                slot.count_unpin();
            }
        }
        self.parted.retain(|parted| parted.domain != domain);
        space.lazy.parted = 0;
        space.lazy.due = None;
        Ok(())
    }

    /// The same for the domain of a device whose claim ends, or which is cut off. An SMMU that does not confirm it
    /// confirms nothing of what follows either, and so nothing is given back.
    pub(crate) fn flush_before(&mut self, index: DeviceIndex) {
        if let Some(domain) = self.devices[index].domain() {
            let _ = self.flush_domain(domain);
        }
    }

    /// After an unmap in a lazy domain: flushes if there is no room for more, else within the time that the plan
    /// says.
    #[cold]
    pub(crate) fn after_unmap(
        &mut self,
        index: DeviceIndex,
        operation: Operation,
        recorded: Recorded,
    ) -> Recorded {
        let domain = self.devices.slot(index).domain();
        let Some(space) = self.spaces.get_mut(domain) else {
            return recorded;
        };
        let lazy = space.lazy;
        if recorded.code() == 0 && (lazy.full || lazy.parted >= lazy.most) {
            return self.after_flush(index, operation, |_| Ok(None));
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
        self.judge_result(index, recorded);
        recorded
    }

    /// The result of a request after a flush.
    #[cold]
    pub(crate) fn after_flush(
        &mut self,
        index: DeviceIndex,
        operation: Operation,
        change: impl FnOnce(&mut Parts<'_, H, S>) -> Changed,
    ) -> Recorded {
        let flushed = self.flush_domain(self.devices.slot(index).domain());
        let result = match (flushed, self.parts(index)) {
            (Ok(()), Some(mut parts)) => change(&mut parts),
            (Ok(()), None) => Err(Error::Unavailable),
            (Err(error), _) => Err(error),
        };
        let Some(slot) = self.devices.slot_mut(index) else {
            return Recorded::refusal(Error::StaleHandle);
        };
        let recorded = slot.record(operation, result);
        self.judge_result(index, recorded);
        recorded
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
