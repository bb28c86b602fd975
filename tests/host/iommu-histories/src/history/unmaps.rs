//! Unmapping.

use iommu_api::{Error, Extent, Operation, Sequenced, Unmap, UnmapList};
use userlib::protocol::Wire;

use super::History;
use crate::intent::Intent;
use crate::layout::{Machine, WINDOW};
use smmu_model::Check;

/// Whether a run is of a pool that stays mapped.
fn stays(machine: &Machine, device: usize, input: u64, pages: u64) -> bool {
    machine
        .premapped_of(device)
        .is_some_and(|range| input >= range.iova && input + pages * 4096 <= range.iova + range.len)
}

impl History<'_> {
    /// A device ends what it does, as its driver promises by unmapping.
    pub(super) fn quieten(&mut self, device: usize) {
        let mut world = self.world.borrow_mut();
        for other in 0..self.machine.devices.len() {
            // What shares its StreamIDs could have used the same pages.
            if self.machine.share(other, device) {
                world
                    .model
                    .ambient
                    .retain(|ambient| ambient.device as usize != other);
                world.model.finish_device(other as u32);
            }
        }
        world.check_landed();
    }

    /// Those that share streams with a device, and go on, know that it is released: they use nothing of it any more.
    pub(super) fn agree(&mut self, device: usize) {
        for other in 0..self.machine.devices.len() {
            let mut world = self.world.borrow_mut();
            let agrees = world.has_claimant(other) && world.is_open(other);
            if other != device && self.machine.share(other, device) && agrees {
                let ambient = &mut world.model.ambient;
                ambient.retain(|ambient| ambient.device as usize != other);
                world.model.finish_device(other as u32);
            }
        }
        self.world.borrow_mut().check_landed();
    }

    pub(super) fn unmap(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let grants = self.world.borrow().oracle.grants(device).to_vec();
        let newest = grants.last().filter(|_| self.chooser.once_in(3));
        let mut target = newest
            .or_else(|| self.chooser.pick(&grants))
            .map(|grant| (grant.input, grant.bytes / 4096));
        if self.chooser.once_in(8) {
            target = Some((WINDOW + self.chooser.below(513) as u64 * 4096, 1));
        }
        if let Some(range) = self.machine.premapped_of(device)
            && self.chooser.once_in(2)
        {
            target = Some((range.iova, range.len / 4096));
        }
        let Some((mut input, mut pages)) = target else {
            return;
        };
        if pages < 512 && self.chooser.once_in(4) {
            let skip = self.chooser.below(pages as usize) as u64;
            input += skip * 4096;
            pages -= skip;
        }
        let words = |head| {
            let unmap = Unmap {
                head,
                iova: input,
                pages,
            };
            unmap.to_words()[..4].to_vec()
        };
        let intent = Intent::unmap(device, vec![(input, pages * 4096)]);
        let Some((code, _)) = self.change((device, held), Operation::Unmap, words, &intent) else {
            return;
        };
        self.changed(device, code);
        if code == 0 {
            self.counts[2] += 1;
            if !stays(self.machine, device, input, pages) {
                self.unmapped_by_request(device, input, pages);
            }
        } else if code == Error::NotMapped as u32
            && (self.is_granted(device, input, pages) || stays(self.machine, device, input, pages))
        {
            self.note(Check::Protocol, || {
                format!("device {device}: {input:#x} and {pages} pages refused")
            });
        }
    }

    pub(super) fn is_granted(&self, device: usize, input: u64, pages: u64) -> bool {
        let world = self.world.borrow();
        (0..pages).all(|page| world.oracle.is_granted(device, input + page * 4096))
    }

    /// The same by an unmap, which in a lazy domain is completed later.
    fn unmapped_by_request(&mut self, device: usize, input: u64, pages: u64) {
        let domain = self.machine.device(device).map(|planned| planned.domain);
        if domain.is_none_or(|domain| self.machine.lazy(domain) == 0) {
            return self.unmapped(device, input, pages);
        }
        if !self.is_granted(device, input, pages) {
            return self.unmapped(device, input, pages);
        }
        let mut world = self.world.borrow_mut();
        let now = world.model.now();
        world.oracle.part_lazily(device, input, pages * 4096, now);
    }

    pub(super) fn unmapped(&mut self, device: usize, input: u64, pages: u64) {
        if !self.is_granted(device, input, pages) {
            self.note(Check::Protocol, || {
                format!("device {device}: unmapped what was not mapped")
            });
        }
        self.world
            .borrow_mut()
            .oracle
            .revoke(device, input, pages * 4096);
    }

    pub(super) fn unmap_list(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let mut grants = self.world.borrow().oracle.grants(device).to_vec();
        self.chooser.shuffle(&mut grants);
        grants.truncate(1 + self.chooser.below(9));
        let mut extents: Vec<Extent> = grants
            .iter()
            .map(|grant| Extent {
                first: (grant.input / 4096) as u32,
                pages: (grant.bytes / 4096) as u32,
            })
            .collect();
        let stray = Extent {
            first: (WINDOW / 4096) as u32 + 500,
            pages: 1,
        };
        if self.chooser.once_in(4) {
            extents.push(stray);
        }
        let twice = self.chooser.once_in(6) && self.repeat_page(&mut extents);
        if extents.is_empty() {
            return;
        }
        let words = |head| {
            let mut words = UnmapList { head }.to_words().to_vec();
            words.extend(extents.iter().map(|extent| extent.to_word()));
            words
        };
        let bytes = |pages: u32| u64::from(pages) * 4096;
        let runs = extents
            .iter()
            .map(|extent| (bytes(extent.first), bytes(extent.pages)));
        let intent = Intent::unmap(device, runs.collect());
        let Some((code, _)) = self.change((device, held), Operation::UnmapList, words, &intent)
        else {
            return;
        };
        self.changed(device, code);
        if code == 0 && twice {
            self.note(Check::Protocol, || {
                format!("device {device}: {extents:x?} name a page twice")
            });
        }
        if code == 0 {
            for extent in extents {
                self.counts[2] += 1;
                self.unmapped_by_request(
                    device,
                    u64::from(extent.first) * 4096,
                    u64::from(extent.pages),
                );
            }
        }
    }

    /// Names a page again, somewhere in the list: it is refused, and everything stays mapped.
    fn repeat_page(&mut self, extents: &mut Vec<Extent>) -> bool {
        let Some(&of) = self.chooser.pick(extents) else {
            return false;
        };
        let page = Extent {
            first: of.first + self.chooser.below(of.pages as usize) as u32,
            pages: 1,
        };
        let at = self.chooser.below(extents.len() + 1);
        extents.insert(at, page);
        true
    }

    pub(super) fn flush(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let words = |head: Sequenced| head.to_words()[..2].to_vec();
        let intent = Intent::default();
        if let Some((code, _)) = self.change((device, held), Operation::Flush, words, &intent) {
            self.changed(device, code);
            if code == 0 {
                self.world.borrow_mut().oracle.flush(device);
            }
        }
    }
}
