//! The state of a domain's tables after a restart, read once: pages mapped for each member, the entries of each
//! pin, and whether this server could have written all of them.
//!
//! The entries of a pin are a row as long as the pin, but those of a request that an earlier life did not survive:
//! a part of such a row at most. The same pages may be pinned several times, so that rows cannot always be told apart.

use heapless::Vec;
use iommu_api::PAGE;
use plan::iommu::PREMAPPED_MARK;

use crate::estate::{Estate, HeldPin};
use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, DomainIndex};
use crate::kept::Pin;
use crate::premapped;
use crate::server::Server;
use crate::space::{Kind, Run, Stretch};

/// Rows of entries that belong to no pin as a whole. A request leaves one; with more of them it is not known any more
/// which pin is whose.
const GAPS_MAX: usize = 8;

/// A row of entries made for a device that is neither of its owner's pools nor a whole pin.
#[derive(Clone, Copy, Debug)]
struct Gap {
    device: DeviceIndex,
    run: Run,
    output: u64,
}

/// The entries of a domain that are not explained yet.
struct Gaps {
    known: Vec<Gap, GAPS_MAX>,
    /// There were more such entries than fit.
    more: bool,
}

impl Gaps {
    /// One entry more; beside the last one it makes that longer.
    fn add(&mut self, device: DeviceIndex, entry: u64, output: u64) {
        if let Some(last) = self.known.last_mut()
            && last.device == device
            && last.run.first + last.run.count == entry
            && last.output + last.run.count * PAGE == output
        {
            last.run.count += 1;
            return;
        }
        let run = Run {
            first: entry,
            count: 1,
        };
        let gap = Gap {
            device,
            run,
            output,
        };
        self.more |= self.known.push(gap).is_err();
    }
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Reads the window of a domain, each entry once. Nothing is opened any more to one that maps what the plan does
    /// not and no claim could.
    pub(crate) fn survey(&mut self, domain: DomainIndex, estate: &mut Estate) {
        if !self.is_taken_over(domain) {
            return;
        }
        let (mut good, mut premapped) = (true, 0);
        let mut gaps = Gaps {
            known: Vec::new(),
            more: false,
        };
        self.free_parted(domain);
        for kind in [Kind::Pages, Kind::Blocks] {
            let mut from = 0;
            while let Some(stretch) = self.next_stretch(domain, kind, from) {
                from = stretch.run.first + stretch.run.count;
                if stretch.mark() == PREMAPPED_MARK {
                    premapped += stretch.run.count * stretch.entry_pages * PAGE;
                    good &= self.is_planned(domain, kind, &stretch);
                    continue;
                }
                let Some(device) = self.member(domain, stretch.mark()) else {
                    good = false;
                    continue;
                };
                good &= self.is_mapping(domain, kind, &stretch);
                if let Some(slot) = self.devices.slot_mut(device) {
                    slot.count_mapped(stretch.run.count * stretch.entry_pages);
                }
                if stretch.retracted {
                    self.devices[device].note_retracted();
                }
                good &= match kind {
                    Kind::Pages => {
                        self.match_pins(device, &stretch, estate.pins_of(device), &mut gaps)
                    }
                    Kind::Blocks => self.is_of_pools(device, &stretch),
                };
            }
        }
        if !good || premapped != self.planned_in_window(domain) {
            self.distrust(domain, "page table entry");
        }
        let members = self.devices.those(|device| device.domain() == Some(domain));
        for device in members {
            let pins = estate.pins_of(device);
            if gaps.more || !explain(&gaps.known, device, pins) {
                for pin in pins {
                    pin.run = Run::NONE;
                    pin.ambiguous = true;
                }
            }
        }
    }

    /// What an earlier life of this server left to a flush is free: the SMMU was made to forget everything. In the
    /// window of a strict domain no entry looks like that, unless somebody else wrote it.
    fn free_parted(&mut self, domain: DomainIndex) {
        let Some(space) = self.spaces.get_mut(domain).filter(|s| s.lazy.is_lazy()) else {
            return;
        };
        let hardware = &mut self.smmus[space.smmu].hardware;
        space.pages.free_parted(hardware);
        space.blocks.free_parted(hardware);
    }

    fn next_stretch(&mut self, domain: DomainIndex, kind: Kind, from: u64) -> Option<Stretch> {
        let space = self.spaces.get_mut(domain)?;
        let smmu = &mut self.smmus[space.smmu];
        let part = space.part(kind);
        let stretch = part.next_stretch(&mut smmu.hardware, from)?;
        part.found_used(stretch.run);
        Some(stretch)
    }

    /// Whether the SMMU of a domain was taken over, and the domain can be used.
    fn is_taken_over(&self, domain: DomainIndex) -> bool {
        let smmu = self.spaces.get(domain).map(|space| space.smmu);
        let running = smmu.and_then(|smmu| self.smmus[smmu].running.as_ref());
        running.is_some_and(|running| running.adopted)
    }

    /// Whether a stretch of the build step's entries is what the plan says, of one range or of several in a row.
    fn is_planned(&self, domain: DomainIndex, kind: Kind, stretch: &Stretch) -> bool {
        let Some(part) = self.spaces.get(domain).map(|space| space.part_of(kind)) else {
            return false;
        };
        let ranges = self.plan.premapped_of(domain);
        (0..stretch.run.count).all(|entry| {
            let iova = part.iova(stretch.run.first + entry);
            let size = stretch.entry_pages * PAGE;
            let word = stretch.word + entry * size;
            ranges.clone().any(|range| {
                let from = iova.checked_sub(range.iova);
                let from = from.filter(|from| *from < range.len && size <= range.len - from);
                let leaf = |from| premapped::leaf_of(range, part.level(), range.pa + from);
                from.and_then(leaf) == Some(word)
            })
        })
    }

    /// Whether a stretch's entries are what a request writes.
    fn is_mapping(&self, domain: DomainIndex, kind: Kind, stretch: &Stretch) -> bool {
        let space = self.spaces.get(domain);
        space.is_some_and(|space| {
            let part = space.part_of(kind);
            part.is_mapping(stretch.word, stretch.mark())
        })
    }

    /// Whether all that a stretch leads to is in pools of a device's owner.
    fn is_of_pools(&self, device: DeviceIndex, stretch: &Stretch) -> bool {
        let mut at = stretch.output();
        let end = at + stretch.run.count * stretch.entry_pages * PAGE;
        while at < end {
            match self.pool_end(device, at) {
                Some(beyond) => at = beyond,
                None => return false,
            }
        }
        true
    }

    /// Bytes that the plan maps in the window of a domain.
    fn planned_in_window(&self, domain: DomainIndex) -> u64 {
        let Some(entry) = self.plan.domain(domain) else {
            return 0;
        };
        let ranges = self.plan.premapped_of(domain);
        let within = ranges.filter(|range| premapped::is_in_window(entry, range));
        within.fold(0, |sum, range| sum + range.len)
    }

    /// The device that a mark in a domain's leaves names.
    fn member(&self, domain: DomainIndex, mark: u64) -> Option<DeviceIndex> {
        let mut devices = self.devices.all();
        devices.find(|&index| {
            let device = &self.devices[index];
            device.domain() == Some(domain) && device.slot() != 0 && device.member() == mark
        })
    }

    /// Gives each whole row of a stretch to a pin of just that memory; the longest that fits where there are several.
    /// False if an entry leads neither to a pool of the device's owner nor to a pin.
    fn match_pins(
        &self,
        device: DeviceIndex,
        stretch: &Stretch,
        pins: &mut [HeldPin],
        gaps: &mut Gaps,
    ) -> bool {
        let mut at = 0;
        while at < stretch.run.count {
            let output = stretch.output() + at * PAGE;
            let left = stretch.run.count - at;
            let from = pins.partition_point(|pin| pin.pa < output);
            let beyond = pins.partition_point(|pin| pin.pa <= output);
            let next = pins.get(beyond).map_or(u64::MAX, |pin| pin.pa);
            let here = pins.get_mut(from..beyond).unwrap_or_default().iter_mut();
            let whole = here
                .filter(|pin| pin.run == Run::NONE && pin.len / PAGE <= left)
                .max_by_key(|pin| pin.len);
            let first = stretch.run.first + at;
            if let Some(pin) = whole {
                let count = pin.len / PAGE;
                pin.run = Run { first, count };
                at += count;
            } else if let Some(end) = self.pool_end(device, output) {
                at += ((end.min(next) - output) / PAGE).clamp(1, left);
            } else if pins.iter().any(|pin| pin.contains(output)) {
                gaps.add(device, first, output);
                at += 1;
            } else {
                return false;
            }
        }
        true
    }

    /// The end of the pool that has an address: of a device's owner, or one that was lent to it.
    fn pool_end(&self, device: DeviceIndex, address: u64) -> Option<u64> {
        let lent = self.kept.lent.end_of(device, address);
        if lent.is_some() {
            return lent;
        }
        let owner = self.devices[device].entry().owner;
        let mut pools = self.plan.pools.iter();
        let pool = pools.find(|pool| {
            let offset = address.checked_sub(pool.pa);
            pool.task == owner && offset.is_some_and(|offset| offset < pool.len)
        })?;
        Some(pool.pa + pool.len)
    }

    /// Takes over the pins of the devices that were taken over.
    ///
    /// A pin that nothing is mapped for is lifted: its request was never completed, or its unmapping was
    /// confirmed by the invalidation of everything. If entries that lead to pinned memory cannot all be
    /// told apart (the same pages pinned several times, in overlapping pieces), no pin of the device is
    /// lifted before all of it is unmapped.
    pub(crate) fn adopt_pins(&mut self, estate: &Estate) {
        for pin in &estate.pins {
            let known = estate.hold(pin.device).is_some() && self.is_adopted(pin.device);
            if !known {
                continue;
            }
            if pin.run == Run::NONE && !pin.ambiguous {
                let _ = self.system.unpin(pin.slot);
                continue;
            }
            let kept = Pin {
                device: pin.device,
                run: pin.run,
                slot: pin.slot,
            };
            if self.kept.pins.push(kept).is_ok()
                && let Some(slot) = self.devices.slot_mut(pin.device)
            {
                slot.count_pin();
            }
        }
    }
}

/// Gives what is left of a device's entries to pins that have none yet: each a part of one. False if some lead to
/// pinned memory and are no such part.
fn explain(gaps: &[Gap], device: DeviceIndex, pins: &mut [HeldPin]) -> bool {
    for gap in gaps.iter().filter(|gap| gap.device == device) {
        let end = gap.output + gap.run.count * PAGE;
        let contains = |pin: &HeldPin| pin.pa <= gap.output && end <= pin.pa + pin.len;
        let mut free = pins.iter_mut().filter(|pin| pin.run == Run::NONE);
        if let Some(pin) = free.find(|pin| contains(pin)) {
            pin.run = gap.run;
        } else if pins
            .iter()
            .any(|pin| pin.pa < end && gap.output < pin.pa + pin.len)
        {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: DeviceIndex = DeviceIndex::new(1).unwrap();
    const OTHER: DeviceIndex = DeviceIndex::new(2).unwrap();
    /// Where the row of these tests leads: two entries from the tenth on.
    const OUTPUT: u64 = 0x7000_1000;

    fn gaps(entries: &[(DeviceIndex, u64, u64)]) -> Gaps {
        let mut gaps = Gaps {
            known: Vec::new(),
            more: false,
        };
        for &(device, entry, output) in entries {
            gaps.add(device, entry, output);
        }
        gaps
    }

    #[test]
    fn entries_beside_each_other_are_one_row() {
        let row = [
            (DISK, 10, OUTPUT),
            (DISK, 11, OUTPUT + PAGE),
            (DISK, 12, OUTPUT + 2 * PAGE),
        ];
        let one = gaps(&row);
        let [gap] = &one.known[..] else {
            panic!("one row");
        };
        assert_eq!((gap.device, gap.run.first, gap.run.count), (DISK, 10, 3));
        assert_eq!(gap.output, OUTPUT);
        for other in [
            (OTHER, 13, OUTPUT + 3 * PAGE),
            (DISK, 14, OUTPUT + 3 * PAGE),
            (DISK, 7, OUTPUT + 3 * PAGE),
            (DISK, 13, OUTPUT + 2 * PAGE),
            (DISK, 13, OUTPUT - 3 * PAGE),
        ] {
            let two = gaps(&[row[0], row[1], row[2], other]);
            assert_eq!(two.known.len(), 2, "{other:?}");
            assert_eq!((two.known[0].run.count, two.known[1].run.count), (3, 1));
        }
    }

    #[test]
    fn more_rows_than_fit_are_noticed_for_good() {
        let apart: std::vec::Vec<_> = (0..GAPS_MAX as u64 + 2)
            .map(|number| (DISK, 2 * number, OUTPUT))
            .collect();
        assert!(!gaps(&apart[..GAPS_MAX]).more);
        assert!(gaps(&apart[..GAPS_MAX + 1]).more);
        assert!(gaps(&apart).more);
    }

    fn pin(pa: u64, len: u64) -> HeldPin {
        HeldPin {
            device: DISK,
            pa,
            len,
            slot: 0,
            run: Run::NONE,
            ambiguous: false,
        }
    }

    /// What becomes of a row of two entries beside one pin.
    fn explained(pa: u64, len: u64) -> (bool, bool) {
        let row = gaps(&[(DISK, 10, OUTPUT), (DISK, 11, OUTPUT + PAGE)]);
        let mut pins = [pin(pa, len)];
        let good = explain(&row.known, DISK, &mut pins);
        (good, pins[0].run != Run::NONE)
    }

    #[test]
    fn a_row_is_a_part_of_one_pin_or_of_none() {
        for (pa, pages) in [(OUTPUT, 2), (OUTPUT - PAGE, 3), (OUTPUT, 5)] {
            let found = explained(pa, pages * PAGE);
            assert_eq!(found, (true, true), "{pa:x} {pages}");
        }
        // They have a page of it, but not all.
        for (pa, pages) in [(OUTPUT, 1), (OUTPUT + PAGE, 1), (OUTPUT + PAGE, 3)] {
            let found = explained(pa, pages * PAGE);
            assert_eq!(found, (false, false), "{pa:x} {pages}");
        }
        // Beside it on either side, and far away.
        for (pa, pages) in [(OUTPUT - PAGE, 1), (OUTPUT + 2 * PAGE, 2), (0x1000, 1)] {
            let found = explained(pa, pages * PAGE);
            assert_eq!(found, (true, false), "{pa:x} {pages}");
        }
    }

    #[test]
    fn a_pin_has_one_row_and_each_device_its_own() {
        let rows = gaps(&[(DISK, 10, OUTPUT), (DISK, 20, OUTPUT)]);
        let mut pins = [pin(OUTPUT, PAGE)];
        assert!(!explain(&rows.known, DISK, &mut pins));
        let mut pins = [pin(OUTPUT, PAGE), pin(OUTPUT, 2 * PAGE)];
        assert!(explain(&rows.known, DISK, &mut pins));
        assert_eq!((pins[0].run.first, pins[1].run.first), (10, 20));
        let mut pins = [pin(OUTPUT + PAGE, PAGE)];
        assert!(explain(&rows.known, OTHER, &mut pins));
        assert!(pins[0].run == Run::NONE);
    }
}
