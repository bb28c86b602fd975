//! Why a claim is refused, for people: the protocol's code tells a driver what it can do, not what is wrong.

use iommu_api::Error;
use pci_api::QuiesceFailure;
use pci_api::client::Failure;

use crate::indices::DeviceIndex;

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
