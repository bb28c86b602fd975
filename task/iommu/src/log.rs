//! The lines that the server logs for people: one line for each fact. The task prints them; tests
//! read them.

use abi::TaskId;
use smmu::{EventKind, Features};

use crate::boot_refusal::Refusal;
use crate::why::{NotQuiet, Why};

/// A line of the log.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Line<'a> {
    /// An SMMU was set up; every stream aborts but those of always-open devices.
    Smmu(SmmuLine<'a>),
    /// What an SMMU says of itself, whether or not it is then used.
    Identification {
        /// The SMMU's name in the platform.
        name: &'a str,
        /// IDR0, IDR1, IDR3, IDR5, IIDR, AIDR.
        registers: [u32; 6],
    },
    /// A device reaches a direct region, or a pool beside one, whether or not anybody has claimed it.
    Direct(DirectLine<'a>),
    /// A device reaches its direct regions from now on.
    AlwaysOpen {
        /// The device's name.
        name: &'a str,
    },
    /// An SMMU is not used, and why; its devices stay off.
    SmmuRefused {
        /// The SMMU's name in the platform.
        name: &'a str,
        /// Why.
        why: Refusal,
    },
    /// A device that may be claimed or stays blocked.
    Device(DeviceLine<'a>),
    /// A device is taken away: what it has mapped of a dead lender was not unmapped in time.
    Overdue {
        /// The device's name.
        name: &'a str,
    },
    /// A device was claimed, for the first time by this life of its owner.
    Claimed {
        /// The device's name.
        name: &'a str,
        /// By whom.
        owner: TaskId,
    },
    /// A device was given back, for the first time by this life of its owner.
    Released {
        /// The device's name.
        name: &'a str,
        /// By whom.
        owner: TaskId,
    },
    /// A claim was refused, and why.
    ClaimRefused(RefusalLine<'a>),
    /// The owner died; the device is cut off and is being made quiet.
    Contained {
        /// The device's name.
        name: &'a str,
        /// Index of the owner.
        owner: u32,
        /// Pages that were mapped.
        mapped: u64,
    },
    /// A contained device is quiet: nothing is mapped for it and nothing held any more.
    Lifted {
        /// The device's name.
        name: &'a str,
    },
    /// A device could not be made quiet: what it could reach stays held.
    Stuck {
        /// The device's name.
        name: &'a str,
        /// Why, if it was tried.
        why: Option<NotQuiet>,
    },
    /// A claimed device was not as it had been left when the PCI task was up again: it is cut off, and its claimant
    /// is told.
    StateLost {
        /// The device's name.
        name: &'a str,
        /// Index of the claimant.
        owner: u32,
    },
    /// Accesses that the SMMU refused.
    Fault(FaultLine<'a>),
    /// Faults that were not listed one by one.
    FaultsOmitted {
        /// How many.
        count: u64,
    },
    /// Records lost in hardware.
    EventsLost {
        /// Name of the SMMU.
        name: &'a str,
        /// How often so far.
        times: u64,
        /// The queue's accesses aborted, or it overflowed where that is reported so.
        aborted: bool,
    },
    /// A device faulted too often; its stream is blocked.
    Storm {
        /// The device's name.
        name: &'a str,
        /// Faults counted.
        faults: u64,
    },
    /// The SMMU reported a global error.
    GlobalError {
        /// Name of the SMMU.
        name: &'a str,
        /// The active bits of `GERROR`.
        bits: u32,
    },
    /// After a restart of this server something was not what it could have written. Streams that it lets translate are
    /// closed.
    Altered {
        /// Name of a device that it is for.
        name: &'a str,
        /// The fact, as text.
        what: &'static str,
    },
    /// The SMMU refused a command; it was replaced by a CMD_SYNC.
    CommandError {
        /// Name of the SMMU.
        name: &'a str,
        /// `CMDQ_CONS.ERR`.
        code: u32,
        /// Word 0 of the command.
        command: u64,
    },
    /// The SMMU did not complete commands in time; nothing can be proved about it any more.
    CommandTimeout {
        /// Name of the SMMU.
        name: &'a str,
    },
}

/// An SMMU that was set up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SmmuLine<'a> {
    /// The SMMU's name in the platform.
    pub name: &'a str,
    /// The SMMU's features.
    pub features: &'a Features,
    /// Whether `GBPA.ABORT` closed it before.
    pub reset_bypass_closed: bool,
    /// Whether tables of an earlier life were adopted.
    pub adopted: bool,
    /// Devices that may be always open.
    pub always_open: usize,
}

/// A range that a device reaches whether or not it is claimed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DirectLine<'a> {
    /// The device's name.
    pub name: &'a str,
    /// A pool, which the plan maps in the same domain.
    pub pool: bool,
    /// First address of the region.
    pub base: u64,
    /// Bytes of it.
    pub len: u64,
    /// The device was found as planned, so it may.
    pub always_open: bool,
}

/// A device and what may become of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DeviceLine<'a> {
    /// The device's name.
    pub name: &'a str,
    /// The device's number.
    pub device: u32,
    /// The device's first StreamID.
    pub stream: u32,
    /// Index of its owner, or [`plan::NONE`].
    pub owner: u32,
    /// Whether it can be claimed.
    pub usable: bool,
    /// Whether it is not there, as the plan allows.
    pub absent: bool,
}

/// A claim that was refused.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RefusalLine<'a> {
    /// The device's name, empty if there is no such device.
    pub name: &'a str,
    /// The device's number.
    pub device: u32,
    /// Index of the task.
    pub by: u32,
    /// Why.
    pub why: Why,
    /// Name of the device that it is because of, if it is another one.
    pub other: &'a str,
    /// Refusals of this device so far, to its owner or to all others.
    pub times: u64,
}

/// Accesses that the SMMU refused.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FaultLine<'a> {
    /// Name of the device, empty if the stream is of none.
    pub name: &'a str,
    /// The stream.
    pub stream: u32,
    /// The kind of event.
    pub kind: EventKind,
    /// Event number.
    pub number: u8,
    /// The device read.
    pub read: bool,
    /// First IOVA.
    pub iova: u64,
    /// Last IOVA.
    pub last: u64,
    /// How many.
    pub count: u64,
    /// Index of the claimant, or [`plan::NONE`].
    pub owner: u32,
}

impl Line<'static> {
    /// The line with the name of the device that a fault is about.
    pub fn named(self, about: &str) -> Line<'_> {
        match self {
            Self::Fault(fault) => Line::Fault(FaultLine {
                name: about,
                ..fault
            }),
            other => other,
        }
    }
}
