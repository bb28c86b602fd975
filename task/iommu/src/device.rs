//! One device: what the plan says of it, its life, the claim that it is in, and what is counted for it.

use core::ops::{Deref, DerefMut};

use abi::TaskId;
use iommu_api::Error;
use plan::iommu::DeviceEntry;

use crate::events::FaultLog;
use crate::indices::{DeviceIndex, DeviceSet, DomainIndex};
use crate::life::Life;
use crate::refusals::Refusals;
use crate::session::Session;
use crate::slot::Slot;
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
    /// The number of its slot; 0 if it cannot be claimed.
    slot: u16,
    sharers: DeviceSet,
    neighbours: DeviceSet,
    life: Life,
    pub(crate) session: Session,
    pub(crate) faults: FaultLog,
    /// Claims that its owner was refused, and those that everybody else was.
    refusals: [Refusals; 2],
    judgement: Judgement,
    /// A life of the PCI task has said what was found of it.
    judged: bool,
    /// Why it could not be made quiet the last time that this was so.
    not_quiet: Option<NotQuiet>,
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
        slot: 0,
        sharers: DeviceSet::EMPTY,
        neighbours: DeviceSet::EMPTY,
        life: Life::new(&NO_ENTRY),
        session: Session::NONE,
        faults: FaultLog::EMPTY,
        refusals: [Refusals::NONE; 2],
        judgement: Judgement {
            unusable: Some(Why::NoPci),
            absent: false,
        },
        judged: false,
        not_quiet: None,
        retracted: false,
        storm: false,
    };

    /// A device that nobody has.
    pub(crate) fn new(entry: &'p DeviceEntry, index: DeviceIndex, member: u64, slot: u16) -> Self {
        Self {
            entry,
            index,
            member,
            slot,
            life: Life::new(entry),
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
    /// The number of its slot; 0 if it cannot be claimed.
    pub(crate) const fn slot(&self) -> u16 {
        self.slot
    }
    /// The device's domain, if it has one.
    pub(crate) fn domain(&self) -> Option<DomainIndex> {
        DomainIndex::of(self.entry)
    }
    /// The other devices of its alias set, which share its streams.
    pub(crate) const fn sharers(&self) -> DeviceSet {
        self.sharers
    }
    /// A device that shares its streams was added to the table.
    pub(crate) fn share_with(&mut self, others: DeviceSet) {
        self.sharers.join(others);
    }

    /// The other devices that use a stream of it: its alias set, and alternatives of its hotplug slot.
    pub(crate) const fn neighbours(&self) -> DeviceSet {
        self.neighbours
    }
    pub(crate) fn be_beside(&mut self, others: DeviceSet) {
        self.neighbours.join(others);
    }

    /// The device's life.
    #[inline(always)]
    pub const fn life(&self) -> &Life {
        &self.life
    }
    /// The device's life, to change it; the slot follows.
    pub(crate) fn life_mut<'a>(&'a mut self, slot: Option<&'a mut Slot>) -> LifeMut<'a> {
        LifeMut {
            life: &mut self.life,
            slot,
        }
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

    /// A claim by `owner` begins.
    pub(crate) fn begin_session(&mut self, owner: TaskId) {
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

    /// Notes that mappings of the device were found retracted.
    pub(crate) const fn note_retracted(&mut self) {
        self.retracted = true;
    }
    /// Whether mappings of the device were found retracted at this server's start.
    pub(crate) const fn was_retracted(&self) -> bool {
        self.retracted
    }
}

/// The life of a device while it is changed. At the end, whatever the change was, the device's slot follows it.
pub(crate) struct LifeMut<'a> {
    life: &'a mut Life,
    slot: Option<&'a mut Slot>,
}

impl Deref for LifeMut<'_> {
    type Target = Life;

    fn deref(&self) -> &Life {
        self.life
    }
}

impl DerefMut for LifeMut<'_> {
    fn deref_mut(&mut self) -> &mut Life {
        self.life
    }
}

impl Drop for LifeMut<'_> {
    fn drop(&mut self) {
        if let Some(slot) = &mut self.slot {
            slot.follow(self.life);
        }
    }
}
