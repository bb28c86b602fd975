//! Why a claim is refused, for people: the protocol's code tells a driver what it can do, not what is wrong.
//!
//! Whoever is refused may ask again at once and for ever. So of each device, and of its owner apart from everybody
//! else, the first refusal is a line of the log, then each doubling of their number, and a new reason once a second.

use abi::TaskId;
use iommu_api::Error;
use pci_api::QuiesceFailure;
use pci_api::client::Failure;

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, TaskIndex};
use crate::limits::REFUSAL_PAUSE_NS;
use crate::log::{Line, RefusalLine};
use crate::server::Server;

/// Why a claim is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The plan has no device of that number.
    NoSuchDevice,
    /// The plan gives it to another task, or to none.
    NotOwner,
    /// The plan blocks it.
    ByPlan,
    /// The machine is not the one planned for, and then nothing is started.
    BootRefused,
    /// The PCI task did not find it as planned.
    NotAsPlanned,
    /// Another alternative of its hotplug slot is there, or none.
    Absent,
    /// The device's SMMU is not used.
    NoSmmu,
    /// The device's tables were altered before this server took them over.
    Altered,
    /// The PCI task has not said what it found of it.
    NoPci,
    /// An earlier life of its owner has it.
    EarlierLife,
    /// The device is being made quiet.
    BeingMadeQuiet,
    /// The device could not be made quiet.
    NotQuiet(NotQuiet),
    /// A device that shares its streams is being made quiet.
    SharerNotYet(DeviceIndex),
    /// A device that shares its streams could not be made quiet.
    SharerNotQuiet(DeviceIndex),
    /// The kernel has no slot for the hold.
    NoSlot,
    /// The kernel does not hold that life.
    NotHeld,
    /// The SMMU does not confirm that its streams are open or closed.
    Smmu,
    /// The PCI task does not turn bus mastering on.
    NoBusMaster(Option<pci_api::Error>),
}

/// Why a device could not be made quiet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotQuiet {
    /// The recipe did not work.
    Failed(QuiesceFailure),
    /// The PCI task refuses to try.
    Refused(pci_api::Error),
    /// The reason is not known: there is no PCI task and will be none, or only an earlier life of
    /// this server knew.
    Unknown,
}

impl From<Failure> for NotQuiet {
    fn from(error: Failure) -> Self {
        match error {
            Failure::Refused(error) => Self::Refused(error),
            _ => Self::Unknown,
        }
    }
}

impl NotQuiet {
    /// For a log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed(QuiesceFailure::Deadline) => {
                "it was not quiet, or did not answer, in time"
            }
            Self::Failed(QuiesceFailure::Unsupported) => {
                "it cannot do what `quiesce` says (no function-level reset?)"
            }
            Self::Failed(QuiesceFailure::NotRestored) => {
                "after the reset it did not keep what was written to its registers"
            }
            Self::Failed(QuiesceFailure::Identity) => {
                "after the reset another device answers in its place"
            }
            Self::Refused(pci_api::Error::NoRecipe) => {
                "it has no `quiesce`, and somebody may have used it before"
            }
            Self::Refused(error) => error.name(),
            Self::Unknown => "there is no pci task to do it",
        }
    }
}

impl Why {
    /// The error with which the task is answered.
    #[must_use]
    pub const fn error(self) -> Error {
        match self {
            Self::NoSuchDevice => Error::NoSuchDevice,
            Self::NotOwner => Error::NotOwner,
            Self::ByPlan | Self::BootRefused | Self::NotAsPlanned | Self::Absent => Error::Blocked,
            Self::NoSmmu | Self::Altered | Self::NoPci | Self::NoBusMaster(_) => Error::Unavailable,
            Self::EarlierLife | Self::BeingMadeQuiet | Self::SharerNotYet(_) | Self::NotHeld => {
                Error::Busy
            }
            Self::NotQuiet(_) | Self::SharerNotQuiet(_) => Error::NotQuiet,
            Self::NoSlot => Error::PinsExhausted,
            Self::Smmu => Error::HardwareFailure,
        }
    }

    /// For a log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSuchDevice => "the plan has no such device",
            Self::NotOwner => "the plan does not give it to that task",
            Self::ByPlan => "the plan blocks it",
            Self::BootRefused => "the machine is not the one planned for",
            Self::NotAsPlanned => "pci did not find it, or its group, as planned",
            Self::Absent => "it is not in its slot",
            Self::NoSmmu => "its SMMU is not used",
            Self::Altered => "its tables were altered",
            Self::NoPci => "pci has not said yet what it found",
            Self::EarlierLife => "an earlier life of its owner has it",
            Self::BeingMadeQuiet => "it is being made quiet",
            Self::NotQuiet(why) => why.name(),
            Self::SharerNotYet(_) => "what shares its streams is being made quiet",
            Self::SharerNotQuiet(_) => "what shares its streams could not be made quiet",
            Self::NoSlot => "the kernel has no slot left for the hold",
            Self::NotHeld => "the task is gone",
            Self::Smmu => "the SMMU does not confirm commands",
            Self::NoBusMaster(Some(error)) => error.name(),
            Self::NoBusMaster(None) => "pci does not turn bus mastering on",
        }
    }

    /// The device that it is because of.
    pub(crate) const fn other(self) -> Option<DeviceIndex> {
        match self {
            Self::SharerNotYet(other) | Self::SharerNotQuiet(other) => Some(other),
            _ => None,
        }
    }
}

/// Refusals so far, and which of them were told.
#[derive(Clone, Copy, Debug)]
pub struct Refusals {
    count: u64,
    told: Option<(Why, u64)>,
}

impl Refusals {
    /// None so far.
    pub(crate) const NONE: Self = Self {
        count: 0,
        told: None,
    };

    /// Counts one; how many there are now, if that is to be told.
    pub fn add(&mut self, why: Why, now: u64, pause: u64) -> Option<u64> {
        self.count += 1;
        let is_new = match self.told {
            None => true,
            Some((told, at)) => told != why && now.saturating_sub(at) >= pause,
        };
        if !is_new && !self.count.is_power_of_two() {
            return None;
        }
        self.told = Some((why, now));
        Some(self.count)
    }
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// A claim is refused: the log may say so. Returns what the task is answered.
    #[cold]
    pub(crate) fn note_refusal(&mut self, index: DeviceIndex, by: TaskId, why: Why) -> Error {
        let (now, pause) = self.refusal_time();
        let told = self.devices[index].refusals_of(by);
        if let Some(times) = told.add(why, now, pause) {
            self.tell_refusal(Some(index), index.number(), by, why, times);
        }
        why.error()
    }

    /// Notes a refused claim of a device that does not exist, by the number that was asked for.
    #[cold]
    pub(crate) fn note_unknown(&mut self, number: u32, by: TaskId) -> Error {
        let (now, pause) = self.refusal_time();
        let why = Why::NoSuchDevice;
        if let Some(times) = self.refusals.add(why, now, pause) {
            self.tell_refusal(None, number, by, why, times);
        }
        why.error()
    }

    /// Now, and the pause between two lines of one device.
    fn refusal_time(&mut self) -> (u64, u64) {
        self.smmus.first_mut().map_or((0, 0), |smmu| {
            let pause = smmu.hardware.ticks(REFUSAL_PAUSE_NS);
            (smmu.hardware.now(), pause)
        })
    }

    fn tell_refusal(
        &mut self,
        index: Option<DeviceIndex>,
        number: u32,
        by: TaskId,
        why: Why,
        times: u64,
    ) {
        self.system.log(Line::ClaimRefused(RefusalLine {
            name: self.plan.name_of(index),
            device: number,
            by: TaskIndex::of(by).number(),
            why,
            other: self.plan.name_of(why.other()),
            times,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: u64 = 1000;

    /// Whatever is tried, and however the reasons change, lines are few.
    #[test]
    fn a_flood_of_refusals_is_no_flood_of_lines() {
        let reasons = [Why::NotOwner, Why::BeingMadeQuiet, Why::NoPci];
        for reasons in [&reasons[..1], &reasons[..]] {
            let mut refusals = Refusals::NONE;
            let told = |count: u64| {
                let why = reasons[count as usize % reasons.len()];
                refusals.add(why, count, PAUSE)
            };
            let lines = (0..100 * PAUSE).filter_map(told).count();
            let changes = if reasons.len() == 1 { 0 } else { 100 };
            assert!((17..=17 + changes).contains(&lines), "{lines}");
        }
    }

    #[test]
    fn a_new_reason_is_told_after_a_while() {
        let mut refusals = Refusals::NONE;
        assert_eq!(refusals.add(Why::NoPci, 0, PAUSE), Some(1));
        assert_eq!(refusals.add(Why::NoPci, 1, PAUSE), Some(2));
        assert_eq!(refusals.add(Why::Absent, 2, PAUSE), None);
        assert_eq!(refusals.add(Why::Absent, PAUSE + 1, PAUSE), Some(4));
        assert_eq!(refusals.add(Why::Absent, 3 * PAUSE, PAUSE), None);
        assert_eq!(refusals.add(Why::NoPci, 3 * PAUSE, PAUSE), Some(6));
    }
}
