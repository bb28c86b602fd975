//! Claim slots: for a device and its user, the one record that an authorised request works on.
//!
//! A handle has the number of its slot, which is not the device's. What decides on a request is compared with three
//! words of the slot, and nothing else is looked at: whether the claim's requests are served, who sends, and which
//! number comes next. `Slot::follow` alone says whether they are served, after each change of the device's life. All
//! else is the state itself, not a copy: what a request changes it changes here.

use abi::TaskId;
use iommu_api::{Error, Handle, Operation, Sequenced};
use plan::iommu::{DomainEntry, Invalidation, PoolEntry};

use crate::indices::{DeviceIndex, DomainIndex};
use crate::life::Life;
use crate::session::Recorded;
use crate::space::{LeafTemplates, MEMBER_SHIFT, VALID};

/// In the place of the handle of a claim whose requests are not served. No request has it: slot 0 is nobody's, so
/// that a handle of 0 never comes to a slot in use.
const NOT_SERVED: u64 = 0;

/// A device and its user.
///
/// In this order: what most requests need lies in the first 128 bytes, which are two lines of the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(128))]
pub struct Slot {
    /// The handle of the claim, while its requests are served.
    served: u64,
    /// The life that has the claim, or had the last one.
    user: TaskId,
    /// Number of the last sequenced request.
    sequence: u64,
    /// The result of the last sequenced request.
    recorded: Recorded,
    /// Entries of the page part, without an address: for a device that may read, and for one that may write as well.
    pages: [u64; 2],
    /// Pages mapped for it.
    mapped: u64,
    /// The bits of an entry that say that it is mapped, and for whom, as they are if it is mapped for this one.
    tag: u64,
    /// Leases mapped for it, and most that may be.
    pins: u32,
    pins_max: u32,
    /// First of the user's pools in the plan's table, and how many there are.
    first_pool: u32,
    pools: u32,
    domain: DomainIndex,
    device: DeviceIndex,
    /// The build step has mapped pools of the user in the domain.
    premapped: bool,
    /// The handle of the claim that there is, or of the last one.
    handle: Handle,
}

impl Slot {
    /// Of nobody.
    pub(crate) const UNUSED: Self = Self {
        served: NOT_SERVED,
        user: TaskId::KERNEL,
        sequence: 0,
        recorded: Recorded::NOTHING,
        pages: [0; 2],
        mapped: 0,
        tag: 0,
        pins: 0,
        pins_max: 0,
        first_pool: 0,
        pools: 0,
        domain: DomainIndex::FIRST,
        device: DeviceIndex::FIRST,
        premapped: false,
        handle: Handle(0),
    };

    /// Slot 0, which is nobody's: the handles that lead to it end in 0, and neither of its own does.
    pub(crate) const FIRST: Self = Self {
        served: 1,
        handle: Handle(2),
        ..Self::UNUSED
    };

    /// The slot of a device that nobody has claimed; claims are counted from `generation` on.
    pub(crate) fn new(
        number: u16,
        device: DeviceIndex,
        (domain, entry): (DomainIndex, &DomainEntry),
        (member, pins_max): (u64, u32),
        pools: (usize, usize),
        generation: u64,
    ) -> Self {
        let templates = LeafTemplates::new(3, entry.snoops != 0);
        let mark = member << MEMBER_SHIFT;
        Self {
            served: NOT_SERVED,
            pages: [false, true].map(|writable| templates.of(writable) | mark),
            tag: VALID | mark,
            pins_max,
            first_pool: pools.0 as u32,
            pools: pools.1 as u32,
            domain,
            device,
            premapped: entry.invalidation == Invalidation::Premapped as u32,
            handle: Handle::new(number, generation),
            ..Self::UNUSED
        }
    }

    /// A new claim by `user`, under a new handle. It is served when the device's life says so.
    pub(crate) fn begin_claim(&mut self, user: TaskId) {
        self.served = NOT_SERVED;
        self.handle = Handle::new(self.handle.slot() as u16, self.handle.generation() + 1);
        self.user = user;
        self.sequence = 0;
        self.recorded = Recorded::NOTHING;
    }

    /// Follows the life of the device: its requests are served while the claim of this user was not cut off.
    pub(crate) fn follow(&mut self, life: &Life) {
        let served = life.claimant() == Some(self.user) && !life.is_revoked();
        self.served = if served { self.handle.0 } else { NOT_SERVED };
    }

    /// Begins the next request of a claim that is served; false if it is anything else.
    #[inline(always)]
    pub(crate) fn serves(&mut self, head: Sequenced, sender: TaskId) -> bool {
        let next = self.sequence.wrapping_add(1);
        // Not one after the other: three comparisons to one branch.
        let same = (self.served == head.handle.0) & (self.user == sender) & (next == head.sequence);
        if same {
            self.sequence = next;
        }
        same
    }

    /// The request that was begun last is begun again, as what was in its way is gone.
    pub(crate) const fn begin_anew(&mut self) {
        self.sequence = self.sequence.wrapping_sub(1);
    }

    /// Begins a request of the claim; the recorded result if it is the last one again.
    pub(crate) fn begin(
        &mut self,
        operation: Operation,
        sequence: u64,
    ) -> Result<Option<Recorded>, Error> {
        if sequence == self.sequence.wrapping_add(1) {
            self.sequence = sequence;
            return Ok(None);
        }
        let last = sequence == self.sequence && sequence != 0;
        if last && self.recorded.operation() == operation as u16 {
            Ok(Some(self.recorded))
        } else {
            Err(Error::OutOfSequence)
        }
    }

    /// Records the result of the last request.
    #[inline(always)]
    pub(crate) fn record(
        &mut self,
        operation: Operation,
        result: Result<Option<u64>, Error>,
    ) -> Recorded {
        self.recorded = Recorded::new(operation, result);
        self.recorded
    }

    /// The user's pool of that number: where it begins, and its pages.
    #[inline(always)]
    pub(crate) fn pool(&self, pools: &[PoolEntry], number: u16) -> Option<(u64, u64)> {
        let number = u32::from(number);
        if number >= self.pools {
            return None;
        }
        let pool = pools.get((self.first_pool + number) as usize)?;
        Some((pool.pa, pool.len / iommu_api::PAGE))
    }
}

/// What a slot says.
impl Slot {
    /// Whether requests under this handle come to it, and are the claim's; who sends is another question.
    pub(crate) fn is_of(&self, handle: Handle) -> bool {
        self.handle == handle
    }
    /// The handle of the claim that there is, or of the last one.
    pub const fn handle(&self) -> Handle {
        self.handle
    }
    /// The handle whose requests are served, if any are.
    pub fn served(&self) -> Option<Handle> {
        (self.served != NOT_SERVED && self.served == self.handle.0).then_some(self.handle)
    }
    /// The life that has the claim, or had the last one.
    pub const fn user(&self) -> TaskId {
        self.user
    }
    /// Number of the last sequenced request.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
    /// The answer to the last sequenced request.
    pub const fn recorded(&self) -> Recorded {
        self.recorded
    }
    /// The device.
    #[inline(always)]
    pub const fn device(&self) -> DeviceIndex {
        self.device
    }
    /// Where it maps.
    #[inline(always)]
    pub(crate) const fn domain(&self) -> DomainIndex {
        self.domain
    }
    /// Entries of the page part, without an address.
    #[inline(always)]
    pub(crate) const fn page_template(&self, writable: bool) -> u64 {
        let [read, write] = self.pages;
        if writable { write } else { read }
    }
    /// Its mark in an entry.
    pub(crate) const fn mark(&self) -> u64 {
        self.tag & !VALID
    }
    /// The bits of an entry that is mapped for it.
    #[inline(always)]
    pub(crate) const fn tag(&self) -> u64 {
        self.tag
    }
    /// Whether the build step has mapped pools of the user in the domain.
    #[inline(always)]
    pub(crate) const fn is_premapped(&self) -> bool {
        self.premapped
    }
}

/// What is mapped.
impl Slot {
    /// Pages mapped for it.
    #[inline(always)]
    pub const fn mapped(&self) -> u64 {
        self.mapped
    }
    /// Leases mapped for it.
    #[inline(always)]
    pub const fn pins(&self) -> u32 {
        self.pins
    }
    /// Whether no more leases may be mapped for it.
    pub(crate) const fn has_all_pins(&self) -> bool {
        self.pins >= self.pins_max
    }
    /// Whether a request mapped something for it that was not unmapped.
    pub(crate) const fn has_mappings(&self) -> bool {
        self.mapped != 0 || self.pins != 0
    }
    /// Counts pages that were mapped.
    #[inline(always)]
    pub(crate) const fn count_mapped(&mut self, pages: u64) {
        self.mapped += pages;
    }
    /// Counts pages that were unmapped.
    #[inline(always)]
    pub(crate) const fn count_unmapped(&mut self, pages: u64) {
        self.mapped = self.mapped.saturating_sub(pages);
    }
    /// Counts a lease that was mapped.
    pub(crate) const fn count_pin(&mut self) {
        self.pins += 1;
    }
    /// Counts a lease that was unmapped.
    pub(crate) const fn count_unpin(&mut self) {
        self.pins = self.pins.saturating_sub(1);
    }
    /// All its leases were unmapped.
    pub(crate) const fn count_no_pins(&mut self) {
        self.pins = 0;
    }
}
