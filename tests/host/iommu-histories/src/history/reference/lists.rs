//! What lists come to, and leases: each part of a list is judged by itself, and none of it by what the server counts.

use abi::TaskId;
use iommu::indices::DeviceIndex;
use iommu_api::{BLOCK_PAGES, Error, Extent, MapFlags, Operation, PAGE, Replacement};
use plan::iommu::DomainEntry;
use vmsa::{MARK_MASK, MARK_SHIFT};

use super::{Content, locate};
use crate::history::History;
use crate::layout::POOLS;

/// First page and pages of what a word of a list names.
fn extent(word: u64) -> (u64, u64) {
    let Extent { first, pages } = Extent::from_word(word);
    (u64::from(first), u64::from(pages))
}

/// Page of the window that a replacement names, and page of the pool.
fn replacement(word: u64) -> (u64, u64) {
    let Replacement { page, at } = Replacement::from_word(word);
    (u64::from(at), u64::from(page))
}

/// Whether two of several runs of pages have one in common.
fn overlap(runs: impl Iterator<Item = (u64, u64)>) -> bool {
    let mut sorted: Vec<_> = runs.collect();
    sorted.sort_unstable();
    let mut pairs = sorted.windows(2);
    pairs.any(|pair| pair[1].0 < pair[0].0 + pair[0].1)
}

/// Pages of one of a task's own pools; none if it has no such pool, for others are lent.
fn own_pool(user: TaskId, number: u16) -> Option<(u64, u64)> {
    let own = |pool: &&(usize, u32, u64, u64)| (pool.0, pool.1) == (user.index(), number.into());
    let pool = POOLS.iter().find(own)?;
    Some((pool.2, pool.3 / PAGE))
}

impl History<'_> {
    /// What the content of a list comes to.
    pub(super) fn list_content(
        &self,
        (device, user): (usize, TaskId),
        domain: &DomainEntry,
        operation: Operation,
        words: &[u64],
    ) -> Content {
        match (operation, words) {
            (Operation::UnmapList, [_, _, named @ ..]) => self.list_removed(device, domain, named),
            (Operation::MapList, &[_, _, what, iova, ref named @ ..]) => {
                let flags = MapFlags((what >> 16) as u16);
                if flags.has(MapFlags::BLOCKS) || iova != 0 && !flags.has(MapFlags::FIXED) {
                    return Some(Err(Error::Malformed));
                }
                let (_, limit) = own_pool(user, what as u16)?;
                for (first, pages) in named.iter().map(|&word| extent(word)) {
                    if pages == 0 {
                        return Some(Err(Error::Malformed));
                    }
                    if first + pages > limit {
                        return Some(Err(Error::BadMemory));
                    }
                }
                if !flags.readable() {
                    return Some(Err(Error::BadPermissions));
                }
                let pages = named.iter().map(|&word| extent(word).1).sum();
                Some(self.placed(domain, flags, iova, pages))
            }
            (Operation::ExchangeList, &[_, _, what, ref named @ ..]) => {
                let flags = MapFlags((what >> 16) as u16);
                if !flags.only_rights() {
                    return Some(Err(Error::Malformed));
                }
                let (_, limit) = own_pool(user, what as u16)?;
                if named.iter().any(|&word| replacement(word).1 >= limit) {
                    return Some(Err(Error::BadMemory));
                }
                if !flags.readable() {
                    return Some(Err(Error::BadPermissions));
                }
                for (at, _) in named.iter().map(|&word| replacement(word)) {
                    let Some(entries) = locate(domain, false, at * PAGE, 1) else {
                        return Some(Err(Error::BadRange));
                    };
                    match self.removed(device, &entries, (at * PAGE, 1)) {
                        Some(Ok(())) => {}
                        other => return other,
                    }
                }
                let runs = named.iter().map(|&word| (replacement(word).0, 1));
                Some(if overlap(runs) {
                    Err(Error::NotMapped)
                } else {
                    Ok(())
                })
            }
            _ => None,
        }
    }

    /// Whether the runs of a list may be unmapped. One that names more pages than there are ends before all of them are
    /// looked at: then it is malformed, or beyond the window, only by what is left.
    fn list_removed(&self, device: usize, domain: &DomainEntry, named: &[u64]) -> Content {
        let mut left = self.mapped_pages(device, domain)?;
        for (place, (first, pages)) in named.iter().map(|&word| extent(word)).enumerate() {
            if pages > left && named.len() > 1 {
                let rest = named.iter().skip(place).map(|&word| extent(word));
                let mut wrong =
                    rest.filter_map(|(first, pages)| self.misplaced(domain, first, pages));
                return Some(Err(wrong.next().unwrap_or(Error::NotMapped)));
            }
            left = left.saturating_sub(pages);
            if let Some(error) = self.misplaced(domain, first, pages) {
                return Some(Err(error));
            }
            let in_pages = locate(domain, false, first * PAGE, pages);
            let in_blocks = || locate(domain, true, first * PAGE, pages);
            let entries = in_pages.or_else(in_blocks)?;
            match self.removed(device, &entries, (first * PAGE, pages)) {
                Some(Ok(())) => {}
                other => return other,
            }
        }
        let runs = named.iter().map(|&word| extent(word));
        Some(if overlap(runs) {
            Err(Error::NotMapped)
        } else {
            Ok(())
        })
    }

    /// What is wrong with a run of pages, whatever is mapped.
    fn misplaced(&self, domain: &DomainEntry, first: u64, pages: u64) -> Option<Error> {
        if pages == 0 {
            return Some(Error::Malformed);
        }
        let parts = [false, true].map(|blocks| locate(domain, blocks, first * PAGE, pages));
        parts.iter().all(Option::is_none).then_some(Error::BadRange)
    }

    /// Pages of a device's entries, those included that wait for a flush.
    fn mapped_pages(&self, device: usize, domain: &DomainEntry) -> Option<u64> {
        let mark = self.plan.member(DeviceIndex::new(device)?) << MARK_SHIFT;
        let of = |offset: u64, all: u64| {
            let words = (0..all).map(|entry| self.word(offset + entry * 8));
            words
                .filter(|word| *word != 0 && word & MARK_MASK == mark)
                .count() as u64
        };
        let blocks = of(domain.block_entries, domain.blocks);
        Some(of(domain.leaf, domain.pages) + blocks * BLOCK_PAGES)
    }

    /// What the content of a `map_lease` comes to.
    pub(super) fn lease_content(
        &self,
        (device, user): (usize, TaskId),
        domain: &DomainEntry,
        words: &[u64],
    ) -> Content {
        let &[_, _, what, how, iova, lender] = words else {
            return None;
        };
        let ((first, pages), flags) = (extent(what), MapFlags((how >> 16) as u16));
        let elsewhere = iova != 0 && !flags.has(MapFlags::FIXED);
        if pages == 0 || elsewhere || flags.has(MapFlags::BLOCKS) {
            return Some(Err(Error::Malformed));
        }
        if !flags.readable() {
            return Some(Err(Error::BadPermissions));
        }
        if let Err(error) = self.placed(domain, flags, iova, pages) {
            return Some(Err(error));
        }
        let own = self.leases.get(device)?.as_ref()?.len() as u32;
        if own >= self.plan.devices.get(device)?.pins {
            return Some(Err(Error::PinsExhausted));
        }
        let world = self.world.borrow();
        let pins = &world.kernel.pins;
        // The server has as many for all devices; what of it a flush would give back is not known here.
        let full = pins.iter().flatten().count() >= iommu::limits::MAPPED_LEASES_MAX;
        if full || pins.iter().all(Option::is_some) {
            return None;
        }
        let of = |lent: &crate::kernel::Lent| (lent.driver, lent.lender) == (user, TaskId(lender));
        let lease = world.kernel.lease.filter(of);
        let lease = lease.filter(|lent| how as u16 == 0 && (first + pages) * PAGE <= lent.len);
        Some(match lease {
            None => Err(Error::NoLease),
            Some(lent) if flags.writable() && !lent.writable => Err(Error::BadPermissions),
            Some(_) => Ok(()),
        })
    }

    /// Whether unmapping a run would cut a lease of a device; none if it is not known where all of them are.
    pub(super) fn cuts_lease(&self, device: usize, (iova, pages): (u64, u64)) -> Option<bool> {
        if !self.has_pins(device) {
            return Some(false);
        }
        let leases = self.leases.get(device)?.as_ref()?;
        let end = iova + pages * PAGE;
        Some(leases.iter().any(|&(from, pages)| {
            let beyond = from + pages * PAGE;
            from < end && iova < beyond && (from < iova || end < beyond)
        }))
    }

    fn has_pins(&self, device: usize) -> bool {
        let world = self.world.borrow();
        let mut pins = world.kernel.pins.iter().flatten();
        pins.any(|pin| pin.number() == device && !pin.is_of_pool())
    }

    /// A claim was answered: it has no leases, or those that an earlier life of the server mapped for it.
    pub(super) fn begin_leases(&mut self, device: usize) {
        let known = (!self.has_pins(device)).then(Vec::new);
        if let Some(leases) = self.leases.get_mut(device) {
            *leases = known;
        }
    }

    /// A request of a claim was served: where its leases are from then on.
    pub(super) fn follow_leases(
        &mut self,
        device: usize,
        operation: Operation,
        words: &[u64],
        value: u64,
    ) {
        let gone: Vec<(u64, u64)> = match (operation, words) {
            (Operation::Unmap, &[_, _, iova, pages]) => vec![(iova, pages)],
            (Operation::Exchange, &[_, _, what, _, iova]) => vec![(iova, extent(what).1)],
            (Operation::UnmapList, [_, _, named @ ..]) => {
                let runs = named.iter().map(|&word| extent(word));
                runs.map(|(first, pages)| (first * PAGE, pages)).collect()
            }
            (Operation::ExchangeList, [_, _, _, named @ ..]) => {
                let pages = named.iter().map(|&word| replacement(word).0);
                pages.map(|at| (at * PAGE, 1)).collect()
            }
            _ => Vec::new(),
        };
        let Some(leases) = self.leases.get_mut(device).and_then(Option::as_mut) else {
            return;
        };
        for (iova, pages) in gone {
            let end = iova.saturating_add(pages.saturating_mul(PAGE));
            leases.retain(|&(from, pages)| from < iova || from + pages * PAGE > end);
        }
        if let (Operation::MapLease, &[_, _, what, ..]) = (operation, words) {
            leases.push((value, extent(what).1));
        }
    }
}
