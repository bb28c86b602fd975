//! What a request of a claim is to be answered, found out slowly: from what was answered before, the plan, the device's
//! life and the tables, each read anew. The server has all of it in the slot of the claim.

mod lists;

use abi::TaskId;
use iommu::indices::DeviceIndex;
use iommu_api::{BLOCK_PAGES, Error, Extent, MapFlags, Operation, PAGE};
use plan::iommu::DomainEntry;
use vmsa::{MARK_MASK, MARK_SHIFT};

use super::History;
use crate::layout::{POOLS, TABLES};
use crate::sabotage::Kind;
use crate::world::is_parted;
use smmu_model::Check;

/// Words of the longest list, and one more.
const LIST_END: usize = abi::MESSAGE_MAX / 8 + 1;

/// A claim as its claimant knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    handle: u64,
    user: TaskId,
    sequence: u64,
    /// The last numbered request, its code and value, if it was one of those that are looked at here.
    last: Option<(Operation, u32, u64)>,
}

/// The answer that there has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expected {
    /// Some success.
    Served,
    /// An error; the request has not used up a number.
    Refused(Error),
    /// An error of the request with the next number.
    Failed(Error),
    /// What the same request was answered before.
    Same(u32, u64),
    /// The request has the next number, and what it is answered is not known here.
    Unknown,
}

/// What the content of a request comes to; none if too little is known.
type Content = Option<Result<(), Error>>;

/// A run of entries in table memory.
struct Entries {
    offset: u64,
    count: u64,
}

/// Entries of `pages` pages from `iova` in one part of a window.
fn locate(domain: &DomainEntry, blocks: bool, iova: u64, pages: u64) -> Option<Entries> {
    let (offset, base, all, each) = if blocks {
        let all = domain.blocks;
        (domain.block_entries, domain.block_base, all, BLOCK_PAGES)
    } else {
        (domain.leaf, domain.iova_base, domain.pages, 1)
    };
    let from = iova.checked_sub(base)?;
    if !from.is_multiple_of(each * PAGE) || !pages.is_multiple_of(each) || pages == 0 {
        return None;
    }
    let (first, count) = (from / (each * PAGE), pages / each);
    let inside = first < all && count <= all - first;
    inside.then_some(Entries {
        offset: offset + first * 8,
        count,
    })
}

/// Whether an entry can be taken: it is free, or becomes free by a flush, which the server does before it refuses.
fn can_be_taken(domain: &DomainEntry, blocks: bool, word: u64) -> bool {
    let waits = || is_parted(word, if blocks { 2 } else { 3 });
    word == 0 || domain.lazy_pages > 0 && waits()
}

impl History<'_> {
    /// A claim was answered.
    pub(super) fn begin_session(&mut self, device: usize, user: TaskId, claim: &iommu_api::Claim) {
        if let Some(session) = self.sessions.get_mut(device) {
            *session = Some(Session {
                handle: claim.handle.0,
                user,
                sequence: claim.sequence,
                last: None,
            });
        }
        self.begin_leases(device);
    }

    /// A successor gives other handles, and what it has recorded nobody knows.
    pub(super) fn end_sessions(&mut self) {
        self.sessions.fill(None);
        self.leases.fill(None);
    }

    /// The device whose claim has this handle; an error if nobody's has, none if that is not known.
    fn session_of(&self, handle: u64) -> Option<Result<(usize, Session), Error>> {
        let devices = 0..self.machine.devices.len();
        let claimant = |device: usize| {
            let life = DeviceIndex::new(device).map(|index| self.server.life(index));
            life.and_then(|life| life.claimant())
        };
        let known = |device: &usize| self.sessions.get(*device).copied().flatten();
        for device in devices.clone() {
            if let Some(session) = known(&device).filter(|session| session.handle == handle) {
                return Some(Ok((device, session)));
            }
        }
        let mut claimed = devices.filter(|&device| claimant(device).is_some());
        claimed
            .all(|device| known(&device).is_some())
            .then_some(Err(Error::StaleHandle))
    }

    /// What a request is to be answered; none if it is none that is looked at here, or if too little is known.
    pub(super) fn expect(
        &self,
        sender: TaskId,
        operation: Operation,
        words: &[u64],
    ) -> Option<Expected> {
        let world = self.world.borrow();
        let other_fault = !matches!(world.sabotage.kind(), None | Some(Kind::Message(_)));
        if other_fault || world.model.has_stopped() {
            return None;
        }
        drop(world);
        let (lengths, what) = match operation {
            Operation::Map | Operation::Exchange => (5..6, words.get(3)),
            Operation::MapLease => (6..7, words.get(3)),
            Operation::Unmap => (4..5, None),
            // Its head, and one extent at least.
            Operation::UnmapList => (3..LIST_END, None),
            Operation::MapList => (5..LIST_END, words.get(2)),
            Operation::ExchangeList => (4..LIST_END, words.get(2)),
            _ => return None,
        };
        if !lengths.contains(&words.len()) {
            return None;
        }
        if what.is_some_and(|what| what >> 16 > 0xf) {
            return Some(Expected::Refused(Error::Malformed));
        }
        let (device, session) = match self.session_of(words[0])? {
            Ok(found) => found,
            Err(error) => return Some(Expected::Refused(error)),
        };
        let life = self.server.life(DeviceIndex::new(device)?);
        if life.claimant() != Some(sender) || session.user != sender {
            return Some(Expected::Refused(Error::StaleHandle));
        }
        if words[1] != session.sequence.wrapping_add(1) {
            let again = words[1] == session.sequence && words[1] != 0;
            return match session.last {
                _ if !again => Some(Expected::Refused(Error::OutOfSequence)),
                Some((last, code, value)) if last == operation => Some(Expected::Same(code, value)),
                Some(_) => Some(Expected::Refused(Error::OutOfSequence)),
                None => None,
            };
        }
        if life.is_revoked() {
            return Some(Expected::Failed(Error::StreamBlocked));
        }
        Some(match self.content(device, sender, operation, words) {
            Some(Ok(())) => Expected::Served,
            Some(Err(error)) => Expected::Failed(error),
            None => Expected::Unknown,
        })
    }

    /// What the content of the next request of a claim comes to.
    fn content(&self, device: usize, user: TaskId, operation: Operation, words: &[u64]) -> Content {
        let world = self.world.borrow();
        let domain = *world.layout.domain_of(device)?;
        drop(world);
        if self.machine.premapped_of(device).is_some() {
            return None;
        }
        match operation {
            Operation::MapList | Operation::UnmapList | Operation::ExchangeList => {
                return self.list_content((device, user), &domain, operation, words);
            }
            Operation::MapLease => return self.lease_content((device, user), &domain, words),
            _ => {}
        }
        if operation == Operation::Unmap {
            let (iova, pages) = (words[2], words[3]);
            if pages == 0 {
                return Some(Err(Error::Malformed));
            }
            let in_pages = locate(&domain, false, iova, pages);
            let in_blocks = || locate(&domain, true, iova, pages);
            return match in_pages.or_else(in_blocks) {
                Some(entries) => self.removed(device, &entries, (iova, pages)),
                None => Some(Err(Error::BadRange)),
            };
        }
        let (extent, flags) = (
            Extent::from_word(words[2]),
            MapFlags((words[3] >> 16) as u16),
        );
        let (first, pages) = (u64::from(extent.first), u64::from(extent.pages));
        let (number, iova) = (words[3] as u16, words[4]);
        let malformed = match operation {
            Operation::Map => iova != 0 && !flags.has(MapFlags::FIXED),
            _ => !flags.only_rights(),
        };
        if pages == 0 || malformed {
            return Some(Err(Error::Malformed));
        }
        // Others are lent.
        let own =
            |pool: &&(usize, u32, u64, u64)| (pool.0, pool.1) == (user.index(), u32::from(number));
        let &(_, _, pa, len) = POOLS.iter().find(own)?;
        if first + pages > len / PAGE {
            return Some(Err(Error::BadMemory));
        }
        if !flags.readable() {
            return Some(Err(Error::BadPermissions));
        }
        if operation == Operation::Exchange {
            return match locate(&domain, false, iova, pages) {
                Some(entries) => self.removed(device, &entries, (iova, pages)),
                None => Some(Err(Error::BadRange)),
            };
        }
        let whole = |pages: u64| pages.is_multiple_of(BLOCK_PAGES);
        let blocks = flags.has(MapFlags::BLOCKS);
        if blocks && (!whole(pages) || !whole(pa / PAGE + first)) {
            return Some(Err(Error::BadMemory));
        }
        Some(self.placed(&domain, flags, iova, pages))
    }

    /// A word of table memory, as it was stored last.
    fn word(&self, offset: u64) -> u64 {
        let world = self.world.borrow();
        world.model.memory.latest(TABLES + offset).unwrap_or(0)
    }

    fn every(&self, entries: &Entries, is: impl Fn(u64) -> bool) -> bool {
        (0..entries.count).all(|entry| is(self.word(entries.offset + entry * 8)))
    }

    /// Whether entries, of so many pages from an address, may be unmapped for a device.
    fn removed(&self, device: usize, entries: &Entries, run: (u64, u64)) -> Content {
        let mark = self.plan.member(DeviceIndex::new(device)?) << MARK_SHIFT;
        if !self.every(entries, |word| word & 1 == 1 && word & MARK_MASK == mark) {
            return Some(Err(Error::NotMapped));
        }
        Some(if self.cuts_lease(device, run)? {
            Err(Error::PartOfLease)
        } else {
            Ok(())
        })
    }

    /// Whether there is room for pages.
    fn placed(
        &self,
        domain: &DomainEntry,
        flags: MapFlags,
        iova: u64,
        pages: u64,
    ) -> Result<(), Error> {
        let blocks = flags.has(MapFlags::BLOCKS);
        if flags.has(MapFlags::FIXED) {
            let entries = locate(domain, blocks, iova, pages).ok_or(Error::BadRange)?;
            let free = self.every(&entries, |word| can_be_taken(domain, blocks, word));
            return if free { Ok(()) } else { Err(Error::Overlap) };
        }
        let (offset, all, count) = if blocks {
            let count = pages / BLOCK_PAGES;
            (domain.block_entries, domain.blocks, count)
        } else {
            (domain.leaf, domain.pages, pages)
        };
        let mut free = 0;
        for entry in 0..all {
            let is_free = can_be_taken(domain, blocks, self.word(offset + entry * 8));
            free = if is_free { free + 1 } else { 0 };
            if free >= count {
                return Ok(());
            }
        }
        Err(Error::NoSpace)
    }

    /// Compares an answer, and follows the numbers of the claim.
    pub(super) fn compare(
        &mut self,
        expected: Option<Expected>,
        (sender, operation, words): (TaskId, Operation, &[u64]),
        (code, value): (u32, u64),
    ) {
        // An SMMU that stops is nothing that the reference foresees.
        let broken = code == Error::HardwareFailure as u32;
        let right = match expected {
            None | Some(Expected::Unknown) => true,
            _ if broken => true,
            Some(Expected::Served) => code == 0,
            Some(Expected::Refused(error) | Expected::Failed(error)) => code == error as u32,
            Some(Expected::Same(before, result)) => (code, value) == (before, result),
        };
        if !right {
            self.note(Check::Protocol, || {
                format!("{operation:?} {words:x?} of {sender:x?}: {code}, not {expected:?}")
            });
        }
        let handle = words.first().copied().unwrap_or(0);
        let Some(Ok((device, _))) = self.session_of(handle) else {
            return;
        };
        let told = DeviceIndex::new(device).map(|index| self.server.slot(index).sequence());
        let Some(session) = self.sessions.get_mut(device).and_then(Option::as_mut) else {
            return;
        };
        let again = matches!(expected, Some(Expected::Refused(_) | Expected::Same(..)));
        let served = code == 0 && !again && told != Some(session.sequence);
        match expected {
            Some(Expected::Refused(_) | Expected::Same(..)) => {}
            Some(_) => {
                session.sequence = session.sequence.wrapping_add(1);
                session.last = Some((operation, code, value));
            }
            // One that is not looked at: what it did to the number is found out by the next of those that are.
            None => {
                let told = told.unwrap_or(session.sequence);
                if told != session.sequence {
                    session.sequence = told;
                    session.last = None;
                }
            }
        }
        if served {
            self.follow_leases(device, operation, words, value);
        }
    }

    /// A request of somebody, with parts that are nearly right: sent if it has to be refused.
    pub(super) fn probe(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let Some(Some(session)) = self.sessions.get(device).copied() else {
            return;
        };
        let sender = if self.chooser.once_in(4) {
            let world = self.world.borrow();
            world.kernel.id(3 + self.chooser.below(5))
        } else {
            held.owner
        };
        if self.is_waiting(sender) || !self.world.borrow().kernel.is_current(sender) {
            return;
        }
        let Some((operation, words)) = self.nearly_right(device, held.owner, &session) else {
            return;
        };
        let expected = self.expect(sender, operation, &words);
        if matches!(expected, Some(Expected::Refused(_) | Expected::Failed(_))) {
            self.ask(sender, operation, &words);
            let session = self.sessions.get(device).copied().flatten();
            let held = self.held.get_mut(device).and_then(Option::as_mut);
            if let (Some(session), Some(held)) = (session, held) {
                held.sequence = session.sequence;
            }
        }
    }

    /// Words of a request with parts that are nearly right.
    fn nearly_right(
        &mut self,
        device: usize,
        owner: TaskId,
        session: &Session,
    ) -> Option<(Operation, Vec<u64>)> {
        let near = |chooser: &mut smmu_model::Chooser, value: u64, step: u64| {
            value.wrapping_add(step.wrapping_mul([0, 1, u64::MAX, 2][chooser.below(4)]))
        };
        let domain = *self.world.borrow().layout.domain_of(device)?;
        let chooser = &mut self.chooser;
        let handle = match chooser.below(8) {
            0 => near(chooser, session.handle, 1 << 16),
            1 => chooser.word() >> chooser.below(64),
            _ => session.handle,
        };
        let sequence = match chooser.below(4) {
            0 => near(chooser, session.sequence, 1),
            _ => session.sequence.wrapping_add(1),
        };
        let pages = [0, 1, 1, 1, 2, 512, 513, 1 << 40][chooser.below(8)];
        let window = [
            (domain.iova_base, PAGE),
            (domain.iova_base + domain.pages * PAGE, PAGE),
            (domain.iova_base + chooser.below(512) as u64 * PAGE, 8),
            (domain.block_base, BLOCK_PAGES * PAGE),
            (domain.block_base + domain.blocks * BLOCK_PAGES * PAGE, PAGE),
        ];
        let (at, step) = window[chooser.below(window.len())];
        let iova = near(chooser, at, step);
        if chooser.once_in(2) {
            return Some((Operation::Unmap, vec![handle, sequence, iova, pages]));
        }

        let own: Vec<u64> = POOLS
            .iter()
            .filter(|pool| pool.0 == owner.index())
            .map(|pool| pool.3 / PAGE)
            .collect();
        let number = chooser.below(own.len().max(1));
        let limit = own.get(number).copied().unwrap_or(1);
        let first = near(chooser, limit.wrapping_sub(pages), 1);
        let flags = [3, 1, 3, 7, 15, 11, 2, 16][chooser.below(8)];
        let extent = Extent {
            first: first as u32,
            pages: pages as u32,
        };
        let what = number as u64 | flags << 16;
        let fixed = flags & 4 != 0 || chooser.once_in(3);
        let iova = if fixed { iova } else { 0 };
        let words = vec![handle, sequence, extent.to_word(), what, iova];
        let exchange = chooser.once_in(3);
        let operation = if exchange {
            Operation::Exchange
        } else {
            Operation::Map
        };
        Some((operation, words))
    }
}
