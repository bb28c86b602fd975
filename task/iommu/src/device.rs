//! One device: what the plan says of it, its life, the claim that it is in, and what is counted for it.

use abi::TaskId;
use iommu_api::{Error, Handle};
use plan::iommu::DeviceEntry;

use crate::events::FaultLog;
use crate::indices::{DeviceIndex, DeviceSet};
use crate::life::Life;
use crate::refusals::Refusals;
use crate::session::Session;
use crate::why::{NotQuiet, Why};

/// The entry of a device that the plan does not have.
static NO_ENTRY: DeviceEntry = DeviceEntry {
    name: plan::Name::EMPTY,
    domain: plan::NONE,
    owner: plan::NONE,
    streams: 0,
    stream_count: 0,
    group: plan::NONE,
    reset_unit: plan::NONE,
    pins: 0,
    always_open: 0,
    non_pci: 0,
    watched: 0,
    auditors: plan::TaskList { first: 0, count: 0 },
};

/// The judgement of a device by the PCI task's life that was up last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Judgement {
    /// Why it cannot be claimed.
    pub(crate) unusable: Option<Why>,
    /// The device is absent, as the plan allows: another alternative of its hotplug slot may have its
    /// StreamIDs.
    pub(crate) absent: bool,
}

/// One device.
#[derive(Debug)]
pub struct Device<'p> {
    entry: &'p DeviceEntry,
    index: DeviceIndex,
    /// The device's mark in the leaf entries of the domain: its position in the alias set.
    member: u64,
    /// First of its owner's pools in the plan's table.
    pools: usize,
    sharers: DeviceSet,
    pub(crate) life: Life,
    pub(crate) session: Session,
    pub(crate) faults: FaultLog,
    /// Claims that its owner was refused, and those that everybody else was.
    refusals: [Refusals; 2],
    judgement: Judgement,
    /// A life of the PCI task has said what was found of it.
    judged: bool,
    /// Why it could not be made quiet the last time that this was so.
    not_quiet: Option<NotQuiet>,
    /// Pages mapped for it.
    mapped: u64,
    /// Leases mapped for it.
    pins: u32,
    /// An earlier life of this server was ending its claim, and had retracted what was mapped.
    retracted: bool,
    /// A storm was seen in this turn.
    storm: bool,
}

impl<'p> Device<'p> {
    /// In the place of a device that the plan does not have.
    pub(crate) const NOBODYS: Device<'static> = Device {
        entry: &NO_ENTRY,
        index: DeviceIndex::FIRST,
        member: 0,
        pools: 0,
        sharers: DeviceSet::EMPTY,
        life: Life::new(&NO_ENTRY),
        session: Session::new(0),
        faults: FaultLog::EMPTY,
        refusals: [Refusals::NONE; 2],
        judgement: Judgement {
            unusable: Some(Why::NoPci),
            absent: false,
        },
        judged: false,
        not_quiet: None,
        mapped: 0,
        pins: 0,
        retracted: false,
        storm: false,
    };

    /// A device that nobody has. Generations start above `generation`.
    pub(crate) fn new(
        entry: &'p DeviceEntry,
        index: DeviceIndex,
        member: u64,
        pools: usize,
        generation: u64,
    ) -> Self {
        Self {
            entry,
            index,
            member,
            pools,
            life: Life::new(entry),
            session: Session::new(generation),
            ..Self::NOBODYS
        }
    }

    /// The device's entry in the plan.
    #[inline(always)]
    pub const fn entry(&self) -> &'p DeviceEntry {
        self.entry
    }
    /// The device's number.
    #[inline(always)]
    pub const fn index(&self) -> DeviceIndex {
        self.index
    }
    /// The device's mark in the leaf entries of the domain.
    #[inline(always)]
    pub(crate) const fn member(&self) -> u64 {
        self.member
    }
    /// First of its owner's pools in the plan's table.
    #[inline(always)]
    pub(crate) const fn pools(&self) -> usize {
        self.pools
    }
    /// The other devices of its alias set, which share its streams.
    pub(crate) const fn sharers(&self) -> DeviceSet {
        self.sharers
    }
    /// A device that shares its streams was added to the table.
    pub(crate) fn share_with(&mut self, others: DeviceSet) {
        self.sharers.join(others);
    }

    /// The handle of the current claim.
    pub fn handle(&self) -> Handle {
        Handle::new(self.index.number() as u16, self.session.generation())
    }

    /// Whether `handle` is the current claim and `sender` has it.
    #[inline(always)]
    pub fn is_claimed_as(&self, handle: Handle, sender: TaskId) -> bool {
        self.life.claimant() == Some(sender) && handle.generation() == self.session.generation()
    }

    /// Whether `sender` may claim it.
    pub fn may_claim(&self, sender: TaskId) -> Result<(), Error> {
        if self.entry.owner == u32::from(sender.number()) {
            Ok(())
        } else {
            Err(Error::NotOwner)
        }
    }

    /// The refusals that a claim of `sender` is counted with.
    pub(crate) fn refusals_of(&mut self, sender: TaskId) -> &mut Refusals {
        let [owners, others] = &mut self.refusals;
        if self.entry.owner == u32::from(sender.number()) {
            owners
        } else {
            others
        }
    }

    /// The device was opened for a claim.
    pub(crate) fn grant(&mut self, owner: TaskId) {
        self.life.grant(owner);
        self.begin_session(owner);
    }

    /// A task that is held for it has the claim again, under a new handle.
    pub(crate) fn inherit(&mut self, owner: TaskId) {
        self.life.inherit(owner);
        self.begin_session(owner);
    }

    fn begin_session(&mut self, owner: TaskId) {
        self.storm = false;
        self.session.begin_claim(owner);
        self.faults.begin_claim();
    }

    /// Why it cannot be claimed.
    pub(crate) const fn unusable(&self) -> Option<Why> {
        self.judgement.unusable
    }
    /// Whether it is not there, as the plan allows.
    pub(crate) const fn is_absent(&self) -> bool {
        self.judgement.absent
    }
    /// Takes what a life of the PCI task says: whether it is the first one, and whether that is news.
    pub(crate) fn judge(&mut self, judgement: Judgement, on: bool) -> (bool, bool) {
        let first = !core::mem::replace(&mut self.judged, true);
        let before = core::mem::replace(&mut self.judgement, judgement);
        self.life.found_master(on);
        (first, first || before != judgement)
    }

    /// Notes why it cannot be made quiet.
    pub(crate) fn note_not_quiet(&mut self, why: NotQuiet) {
        self.not_quiet = Some(why);
    }
    /// Why it could not be made quiet, if that was tried.
    pub(crate) const fn not_quiet(&self) -> Option<NotQuiet> {
        self.not_quiet
    }
    /// Why it stays cut off.
    pub(crate) fn why_not_quiet(&self) -> Why {
        Why::NotQuiet(self.not_quiet.unwrap_or(NotQuiet::Unknown))
    }

    /// Notes a storm.
    pub(crate) fn note_storm(&mut self, storm: bool) {
        self.storm |= storm;
    }
    /// Whether there was a storm since this was asked last.
    pub(crate) fn take_storm(&mut self) -> bool {
        core::mem::take(&mut self.storm)
    }

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
    /// Whether a request mapped something for it that was not unmapped.
    pub(crate) const fn has_mappings(&self) -> bool {
        self.mapped != 0 || self.pins != 0
    }
    /// Notes that mappings of the device were found retracted.
    pub(crate) const fn note_retracted(&mut self) {
        self.retracted = true;
    }
    /// Whether mappings of the device were found retracted at this server's start.
    pub(crate) const fn was_retracted(&self) -> bool {
        self.retracted
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
