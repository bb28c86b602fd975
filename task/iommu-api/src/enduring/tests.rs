//! Requests to a server that dies at any step.

use super::*;
use core::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

const DEAD: Failure = Failure::Dead;
const DOWN: Failure = Failure::Down;
const LENDER: TaskId = TaskId::new(6, 0);
const BASE: u64 = 0x1_0000_0000;
const POOL: u16 = crate::REGISTERED + 3;

/// A server that dies when it is told to: before, after, or between two entries of a request.
#[derive(Default)]
struct Fake {
    /// Mapped pages, with the number of the lease that each belongs to.
    pages: BTreeMap<u64, u64>,
    /// Steps until the server dies; a step is an entry, or a reply.
    fuse: Option<u64>,
    /// Answers that it is down, before its next life serves.
    down: u64,
    /// How often it answers so after a death, unless twice.
    outage: Option<u64>,
    leases: u64,
    /// The pool that is registered.
    registered: Option<u16>,
    stale: bool,
    /// Looks at its state until it dies of one.
    looks: Cell<Option<u64>>,
    died_of_a_look: Cell<bool>,
    /// The next life does not know the claim.
    forgets: bool,
    claims: u64,
}

impl Fake {
    fn step(&mut self) -> Result<(), Failure> {
        match self.fuse {
            Some(0) => {
                self.fuse = None;
                self.stale = true;
                self.down = self.outage.unwrap_or(2);
                if self.forgets {
                    self.pages.clear();
                }
                // What is left of a lease is a lease of its own.
                Err(DEAD)
            }
            left => {
                self.fuse = left.map(|left| left - 1);
                Ok(())
            }
        }
    }
    fn ready(&self) -> Result<(), Failure> {
        match self.stale || self.died_of_a_look.get() {
            true => Err(Failure::Refused(Error::StaleHandle)),
            false => Ok(()),
        }
    }
    fn put(&mut self, iova: u64, pages: u64) -> Result<(), Failure> {
        self.ready()?;
        self.step()?;
        let range = iova / PAGE..iova / PAGE + pages;
        if range.clone().any(|page| self.pages.contains_key(&page)) {
            return Err(Failure::Refused(Error::Overlap));
        }
        self.leases += 1;
        for page in range {
            self.pages.insert(page, self.leases);
            self.step()?;
        }
        self.step()
    }
    /// Maps pages each of which can be unmapped alone.
    fn put_pages(&mut self, iova: u64, pages: u64) -> Result<u64, Failure> {
        self.put(iova, pages)?;
        for page in iova / PAGE..iova / PAGE + pages {
            self.leases += 1;
            self.pages.insert(page, self.leases);
        }
        Ok(iova)
    }
    fn remove(&mut self, ranges: &[(u64, u64)]) -> Result<(), Failure> {
        self.ready()?;
        self.step()?;
        for &(first, count) in ranges {
            let range = first..first + count;
            let leases: BTreeSet<_> = range.clone().map(|page| self.pages.get(&page)).collect();
            if leases.contains(&None) {
                return Err(Failure::Refused(Error::NotMapped));
            }
            let cut = |(page, lease): (&u64, &u64)| {
                leases.contains(&Some(lease)) && !range.contains(page)
            };
            if self.pages.iter().any(cut) {
                return Err(Failure::Refused(Error::PartOfLease));
            }
        }
        for &(first, count) in ranges {
            for page in first..first + count {
                self.pages.remove(&page);
                self.step()?;
            }
        }
        self.step()
    }
}

impl Requests for Fake {
    fn claim_again(&mut self) -> Result<(), Failure> {
        if self.down > 0 {
            self.down -= 1;
            return Err(if self.down > 0 {
                DOWN
            } else {
                Failure::Refused(Error::Unavailable)
            });
        }
        self.stale = false;
        self.died_of_a_look.set(false);
        self.claims += 1;
        Ok(())
    }
    fn map(&mut self, _: u16, extent: Extent, _: MapFlags) -> Result<u64, Failure> {
        let iova = (BASE..).step_by(PAGE as usize);
        let mut free = iova.filter(|iova| !self.pages.contains_key(&(iova / PAGE)));
        let iova = free.next().expect("room");
        self.put(iova, u64::from(extent.pages)).map(|()| iova)
    }
    fn map_lease_at(
        &mut self,
        lender: TaskId,
        _: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        assert!(lender == LENDER && flags.has(MapFlags::FIXED));
        self.put(iova, u64::from(extent.pages)).map(|()| iova)
    }
    fn map_at(
        &mut self,
        pool: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        assert!(self.registered == Some(pool) && flags.has(MapFlags::FIXED));
        self.put_pages(iova, u64::from(extent.pages))
    }
    fn map_list_at(
        &mut self,
        pool: u16,
        list: &mut PoolList,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        assert!(self.registered == Some(pool) && flags.has(MapFlags::FIXED));
        let pages = list.extents().map(|extent| u64::from(extent.pages)).sum();
        self.put_pages(iova, pages)
    }
    fn register(&mut self, lender: TaskId, _: u16, _: Extent) -> Result<u16, Failure> {
        assert_eq!(lender, LENDER);
        self.ready()?;
        self.step()?;
        self.registered = Some(POOL);
        self.step().map(|()| POOL)
    }
    fn unregister(&mut self, pool: u16) -> Result<(), Failure> {
        self.ready()?;
        self.step()?;
        if self.registered != Some(pool) {
            return Err(Failure::Refused(Error::BadMemory));
        }
        self.registered = None;
        self.step()
    }
    fn unmap(&mut self, iova: u64, pages: u64) -> Result<(), Failure> {
        self.remove(&[(iova / PAGE, pages)])
    }
    fn unmap_list(&mut self, list: &mut IovaList) -> Result<(), Failure> {
        let ranges = list.extents();
        let ranges = ranges.map(|extent| (u64::from(extent.first), u64::from(extent.pages)));
        self.remove(&ranges.collect::<Vec<_>>())
    }
    fn release(&mut self) -> Result<(), Failure> {
        self.ready()?;
        self.step()?;
        self.pages.clear();
        self.step()
    }
    fn next_fault(&self) -> Result<Option<FaultRecord>, Failure> {
        self.ready().map(|()| None)
    }
    fn status(&self) -> Result<Status, Failure> {
        self.ready()?;
        if let Some(left) = self.looks.get() {
            self.looks.set(left.checked_sub(1));
            if left == 0 {
                self.died_of_a_look.set(true);
                return Err(DEAD);
            }
        }
        Ok(Status {
            mapped_pages: self.pages.len() as u64,
            ..Status::default()
        })
    }
}

/// Counts what is waited, nanoseconds.
#[derive(Default)]
struct Waited(u64);

impl DelayNs for Waited {
    fn delay_ns(&mut self, ns: u32) {
        self.0 += u64::from(ns);
    }
}

fn claim() -> Enduring<Fake, Waited> {
    Enduring::new(Fake::default(), Waited::default())
}

fn extent(pages: u32) -> Extent {
    Extent { first: 0, pages }
}

fn lend(claim: &mut Enduring<Fake, Waited>, page: u64, pages: u32) -> Result<(), Failure> {
    let iova = BASE + page * PAGE;
    claim.map_lease_at(LENDER, 0, extent(pages), MapFlags::READ, iova)
}

fn mapped(claim: &Enduring<Fake, Waited>) -> Vec<u64> {
    let pages = claim.claim.pages.keys();
    pages.map(|page| page - BASE / PAGE).collect()
}

/// Whatever the server was doing when it died, and however often it does.
#[test]
fn a_death_at_any_step_changes_nothing() {
    for fuse in 0..12 {
        for second in 0..12 {
            let mut claim = claim();
            lend(&mut claim, 0, 2).expect("mapped");
            claim.claim.fuse = Some(fuse);
            lend(&mut claim, 8, 4).expect("mapped in the end");
            assert_eq!(mapped(&claim), [0, 1, 8, 9, 10, 11], "{fuse}");
            claim.claim.fuse = Some(second);
            claim.unmap(BASE + 8 * PAGE, 4).expect("unmapped");
            assert_eq!(mapped(&claim), [0, 1], "{fuse}");
            claim.claim.fuse = None;
            lend(&mut claim, 8, 4).expect("mapped");
            let mut list = IovaList::new();
            let first = (BASE / PAGE) as u32;
            list.push(Extent { first, pages: 2 });
            list.push(Extent {
                first: first + 8,
                pages: 4,
            });
            claim.claim.fuse = Some(second);
            claim.unmap_list(&mut list).expect("unmapped");
            assert_eq!(mapped(&claim), [], "{second}");
            assert_eq!(claim.mapped, 0);
        }
    }
}

#[test]
fn a_pool_that_may_be_mapped_twice_is_counted() {
    for fuse in 0..4 {
        let mut claim = claim();
        claim.claim.fuse = Some(fuse);
        claim.map(0, extent(1), MapFlags::READ).expect("mapped");
        assert_eq!(claim.mapped, claim.claim.pages.len() as u64);
        claim.claim.fuse = Some(0);
        lend(&mut claim, 8, 1).expect("mapped");
        claim.claim.fuse = None;
    }
}

/// The next life may die as well, before it has told what is mapped.
#[test]
fn a_death_while_the_claim_is_found_again_changes_nothing() {
    for looks in 0..3 {
        for fuse in 0..4 {
            let begun = || {
                let mut claim = claim();
                claim.claim.registered = Some(POOL);
                lend(&mut claim, 8, 2).expect("mapped");
                claim.claim.fuse = Some(fuse);
                claim.claim.looks.set(Some(looks));
                claim
            };
            let mut claim = begun();
            claim.map(0, extent(1), MapFlags::READ).expect("mapped");
            assert_eq!(claim.mapped, claim.claim.pages.len() as u64);
            let mut claim = begun();
            lend(&mut claim, 16, 2).expect("mapped");
            let mut claim = begun();
            claim.unmap(BASE + 8 * PAGE, 2).expect("unmapped");
            assert_eq!(mapped(&claim), []);
            let mut claim = begun();
            claim.unregister(POOL).expect("given back");
            let mut claim = begun();
            claim.status().expect("told");
            assert_eq!(begun().release(), Ok(()));
        }
    }
}

#[test]
fn a_claim_that_was_lost_is_no_claim() {
    let mut claim = claim();
    lend(&mut claim, 0, 2).expect("mapped");
    claim.claim.forgets = true;
    claim.claim.fuse = Some(0);
    assert_eq!(lend(&mut claim, 8, 1), Err(LOST));
}

#[test]
fn a_release_is_made_until_it_is_confirmed() {
    for fuse in 0..3 {
        let mut claim = claim();
        lend(&mut claim, 0, 2).expect("mapped");
        claim.claim.fuse = Some(fuse);
        assert_eq!(claim.release(), Ok(()), "{fuse}");
    }
}

#[test]
fn patience_ends() {
    let mut claim = claim();
    claim.claim.fuse = Some(0);
    claim.claim.outage = Some(u64::MAX);
    assert_eq!(lend(&mut claim, 0, 1), Err(DOWN));
    assert_eq!(
        claim.delay.0, 10_000_000_000,
        "as long as a server may be down"
    );
    // The next request has as much of it again.
    claim.claim.down = 10_000;
    claim.claim.stale = true;
    assert_eq!(claim.next_fault(), Ok(None));
    assert_eq!(claim.delay.0, 20_000_000_000);
    claim.claim.down = 10_001;
    claim.claim.stale = true;
    assert_eq!(
        claim.next_fault(),
        Err(Failure::Refused(Error::Unavailable))
    );
}

#[test]
fn what_is_only_asked_is_asked_again() {
    let mut claim = claim();
    claim.claim.stale = true;
    assert_eq!(claim.next_fault(), Ok(None));
    claim.claim.stale = true;
    assert!(claim.status().is_ok());
    assert_eq!(claim.claim.claims, 2);
}
