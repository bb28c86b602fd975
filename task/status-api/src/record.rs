//! What servers tell of their state.

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};

use crate::Name;

/// One record of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub enum Record {
    /// A task, as the supervisor knows it.
    Task(Task),
    /// A device, as the IOMMU server knows it.
    Device(Device),
    /// An SMMU and its queues.
    Smmu(Smmu),
    /// A function or device, as the PCI task found it.
    Function(Function),
}

/// The state of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub enum TaskState {
    /// It runs, or waits.
    Up,
    /// The plan does not start it, and nobody has.
    NeverStarted,
    /// It died, and may be started again.
    Dead,
    /// It died, and is held until its devices are quiet.
    Held,
    /// It was stopped for good.
    Retired,
}

/// A task's part of the verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub enum Verdict {
    /// Nobody waits for its report.
    None,
    /// Its report is awaited.
    Awaited,
    /// It reported a pass.
    Passed,
    /// It reported a fail, or is gone without a report.
    Failed,
}

/// A task.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub struct Task {
    /// The task's name.
    pub name: Name,
    /// Its state.
    pub state: TaskState,
    /// Lives of it that have ended.
    pub generation: u64,
    /// How often the supervisor has started it again.
    pub restarts: u32,
    /// The kind of its last fault, a number of `abi::fault::FaultKind`; 0 if it never died.
    pub last_fault: u16,
    /// Its part of the verdict.
    pub verdict: Verdict,
}

/// Who has a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub enum Claim {
    /// Nobody.
    Free,
    /// A task waits for its claim; the device is being made quiet.
    Claiming,
    /// A task waits for the refusal of its claim; the device is being made quiet.
    Refusing,
    /// A task has it.
    Claimed,
    /// A task gives it back; the device is being made quiet.
    Releasing,
    /// The task that had it died, or it was taken away from it; the device is being made quiet.
    Dying,
    /// It could not be made quiet: the task that had it stays held.
    HeldForever,
}

/// A device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub struct Device {
    /// The device's name.
    pub name: Name,
    /// The index of its SMMU, if it has a domain.
    pub smmu: Option<u8>,
    /// Who has it.
    pub claim: Claim,
    /// The index of the task that has it, waits for it, or is held for it.
    pub task: Option<u8>,
    /// [`Device::OPEN`] and the other bits.
    pub flags: u8,
    /// Pages of 4 KiB that are mapped for it.
    pub mapped_pages: u32,
    /// Pages of 4 KiB in the page part of its domain's window.
    pub window_pages: u32,
    /// Blocks of 2 MiB in the block part.
    pub window_blocks: u32,
    /// Leases that are mapped for it, each pinned.
    pub pins: u16,
    /// Faults that were recorded for it in this life of the server; what is more than fits is not counted.
    pub faults: u32,
    /// Claims of it in this life of the server.
    pub claims: u32,
}

impl Device {
    /// It reaches memory: its streams translate.
    pub const OPEN: u8 = 1 << 0;
    /// It is open whether or not anybody has claimed it: it has direct regions.
    pub const ALWAYS_OPEN: u8 = 1 << 1;
    /// It was cut off while it was claimed: it faulted too often, or its reset unit was reset.
    pub const CUT_OFF: u8 = 1 << 2;
    /// It cannot be claimed: it is not as planned.
    pub const BLOCKED: u8 = 1 << 3;
    /// All of them, each with a word for people.
    pub const FLAGS: [(u8, &'static str); 4] = [
        (Self::OPEN, "open"),
        (Self::ALWAYS_OPEN, "always-open"),
        (Self::CUT_OFF, "cut-off"),
        (Self::BLOCKED, "blocked"),
    ];

    /// The words of the flags that are set.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> + use<> {
        let flags = self.flags;
        let set = Self::FLAGS.iter().filter(move |flag| flags & flag.0 != 0);
        set.map(|flag| flag.1)
    }

    pub(crate) fn is_good(&self) -> bool {
        let known = Self::FLAGS.iter().fold(0, |all, flag| all | flag.0);
        self.flags & !known == 0
    }
}

/// What the IOMMU server does with an SMMU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub enum SmmuUse {
    /// Nothing yet: it waits for the PCI task.
    NotYet,
    /// It is not the planned one, and is not used.
    Refused,
    /// It translates.
    Running,
    /// It no longer confirms commands: nothing is opened behind it any more.
    Broken,
}

/// An SMMU and its queues.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub struct Smmu {
    /// The SMMU's name.
    pub name: Name,
    /// What is done with it.
    pub used: SmmuUse,
    /// An earlier life of the server brought it up.
    pub adopted: bool,
    /// Commands that its queue has room for.
    pub commands: u32,
    /// Records that its event queue has room for.
    pub events: u32,
    /// Records that wait in it.
    pub events_waiting: u32,
    /// How often records were lost.
    pub lost: u32,
}

/// What the PCI task found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub enum Found {
    /// It is as planned.
    Ready,
    /// It is absent, as the plan allows.
    Absent,
    /// It is not as planned and stays off.
    Blocked,
}

/// How a function's last quiesce went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub enum Quiesce {
    /// There was none since it was let be bus master.
    Never,
    /// It is under way.
    Running,
    /// It ended.
    Quiet,
    /// It failed.
    Failed,
}

/// A function of the PCI fabric, or a device that is not on PCI.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub struct Function {
    /// The function's name.
    pub name: Name,
    /// Whether it was found.
    pub found: Found,
    /// The first difference from the plan, a number of `pci_api::Mismatch`; 0 for none.
    pub reason: u8,
    /// Requester id: bus << 8 | device << 3 | function.
    pub requester_id: u16,
    /// Vendor id as found, 0xffff if nothing answered.
    pub vendor_id: u16,
    /// Device id as found.
    pub device_id: u16,
    /// The PCI task lets it be bus master.
    pub bus_master: bool,
    /// How its last quiesce went.
    pub quiesce: Quiesce,
}
