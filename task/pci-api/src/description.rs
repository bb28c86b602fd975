//! The state of devices, as the server tells it.

use userlib::ipc::{Payload, words};
use userlib::protocol::Wire;

/// Whether a device may be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DeviceState {
    /// Found as planned.
    Ready = 0,
    /// The device is absent, which the plan allows.
    Absent = 1,
    /// Stays off; [`Description::reason`] says why.
    Blocked = 2,
}

/// A kind of difference between the machine and the plan. The first difference of a device is its reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mismatch {
    /// Nothing answers where the plan has a function.
    Missing = 1,
    /// The function has another vendor or device id.
    Identity = 2,
    /// Header type of a bridge where an endpoint is planned, or the reverse, or neither.
    HeaderType = 3,
    /// The function says there are several functions in its slot, or denies it, unlike the plan.
    Multifunction = 4,
    /// A BAR has another size, or is missing, or is not planned.
    BarSize = 5,
    /// A BAR is of another kind (I/O, 64-bit, prefetchable).
    BarKind = 6,
    /// A BAR does not keep the address that was written.
    BarAddress = 7,
    /// A bridge does not keep bus numbers or windows.
    BridgeRegisters = 8,
    /// ACS control cannot be set as planned.
    Acs = 9,
    /// The command register does not keep what is written: bus mastering, or decoding.
    Command = 10,
    /// The list of capabilities is circular or leaves its space.
    Capabilities = 11,
    /// A function where the plan has none; blocks the bridge above it and that bridge's group.
    Undeclared = 12,
    /// The function itself is as planned; another of its isolation group, or a bridge above it, is not.
    Group = 13,
    /// A bridge of another kind, by its PCI Express capability: it may hide other requester ids.
    PortType = 14,
    /// The function stays in a low-power state.
    Power = 15,
    /// The function lacks what the planned recipe needs to make it quiet: function-level reset.
    Recipe = 16,
    /// The function lacks the planned messages: their capability, as many, or their table where the plan has it; or it does
    /// not keep them.
    Messages = 17,
}

impl Mismatch {
    const ALL: [Self; 17] = [
        Self::Missing,
        Self::Identity,
        Self::HeaderType,
        Self::Multifunction,
        Self::BarSize,
        Self::BarKind,
        Self::BarAddress,
        Self::BridgeRegisters,
        Self::Acs,
        Self::Command,
        Self::Capabilities,
        Self::Undeclared,
        Self::Group,
        Self::PortType,
        Self::Power,
        Self::Recipe,
        Self::Messages,
    ];

    /// The difference with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mismatch| *mismatch as u8 == number)
    }

    /// A few words for a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Identity => "other vendor or device id",
            Self::HeaderType => "other header type",
            Self::Multifunction => "other number of functions",
            Self::BarSize => "other BAR size",
            Self::BarKind => "other BAR kind",
            Self::BarAddress => "BAR does not keep its address",
            Self::BridgeRegisters => "bridge does not keep its numbers",
            Self::Acs => "ACS cannot be set as planned",
            Self::Command => "command register does not keep its value",
            Self::Capabilities => "broken list of capabilities",
            Self::Undeclared => "undeclared function",
            Self::Group => "another of its group differs",
            Self::PortType => "other kind of bridge",
            Self::Power => "does not leave its low-power state",
            Self::Recipe => "planned `flr`, has no function-level reset",
            Self::Messages => "messages are not as planned",
        }
    }

    /// The remedy for the difference, for a log; `None` where the place says everything.
    pub const fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("plug it in, or declare the port above it `hotplug`"),
            Self::Identity => Some("correct `id`, or put the planned device there"),
            Self::Multifunction => Some("set `multifunction`"),
            Self::BarSize | Self::BarKind => Some("declare the BAR as found, in `bars`"),
            Self::Acs => Some("leave out `acs`, or declare what it implements"),
            Self::Undeclared => Some("declare it, or remove it"),
            Self::PortType => Some("correct `kind`"),
            Self::Recipe => Some("choose another `quiesce`"),
            Self::Messages => Some("correct `interrupt`, `vectors` or `msi-x`"),
            Self::HeaderType
            | Self::BarAddress
            | Self::BridgeRegisters
            | Self::Command
            | Self::Capabilities
            | Self::Group
            | Self::Power => None,
        }
    }
}

/// Answer of [`crate::Describe`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Description {
    /// Whether it may be started.
    pub state: DeviceState,
    /// The first difference from the plan, for a blocked device.
    pub reason: Option<Mismatch>,
    /// Whether the server has its bus mastering on.
    pub bus_master: bool,
    /// Requester id: bus << 8 | device << 3 | function.
    pub requester_id: u16,
    /// Vendor id as found, 0xffff if nothing answered.
    pub vendor_id: u16,
    /// Device id as found.
    pub device_id: u16,
    /// Index of its isolation group.
    pub group: u32,
    /// Secondary and subordinate bus number as the bridge holds them now; 0 of what is no bridge, or is
    /// kept closed.
    pub buses: [u8; 2],
}

impl Wire for Description {
    const LEN: usize = 24;
    fn to_words(&self) -> Payload {
        words([
            self.state as u64
                | self.reason.map_or(0, |reason| reason as u64) << 8
                | u64::from(self.bus_master) << 16,
            u64::from(self.requester_id)
                | u64::from(self.vendor_id) << 16
                | u64::from(self.device_id) << 32,
            u64::from(self.group) | u64::from(self.buses[0]) << 32 | u64::from(self.buses[1]) << 40,
        ])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let state = match payload[0] as u8 {
            0 => DeviceState::Ready,
            1 => DeviceState::Absent,
            2 => DeviceState::Blocked,
            _ => return None,
        };
        let reason = match (payload[0] >> 8) as u8 {
            0 => None,
            number => Some(Mismatch::from_number(number)?),
        };
        let bus_master = match payload[0] >> 16 {
            0 => false,
            1 => true,
            _ => return None,
        };
        if payload[1] >> 48 != 0 || payload[2] >> 48 != 0 {
            return None;
        }
        Some(Self {
            state,
            reason,
            bus_master,
            requester_id: payload[1] as u16,
            vendor_id: (payload[1] >> 16) as u16,
            device_id: (payload[1] >> 32) as u16,
            group: payload[2] as u32,
            buses: [(payload[2] >> 32) as u8, (payload[2] >> 40) as u8],
        })
    }
}

/// Answer of [`crate::GetBootStatus`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BootStatus {
    /// Functions found as planned.
    pub ready: u32,
    /// Differences between machine and plan, undeclared functions included.
    pub mismatches: u32,
    /// Undeclared functions alone.
    pub undeclared: u32,
    /// The PCI task refuses the boot: there are differences and the policy is to refuse, so no
    /// device will be started.
    pub refused: bool,
}

impl Wire for BootStatus {
    const LEN: usize = 16;
    fn to_words(&self) -> Payload {
        words([
            u64::from(self.ready) | u64::from(self.mismatches) << 32,
            u64::from(self.undeclared) | u64::from(self.refused) << 32,
        ])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let refused = match payload[1] >> 32 {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self {
            ready: payload[0] as u32,
            mismatches: (payload[0] >> 32) as u32,
            undeclared: payload[1] as u32,
            refused,
        })
    }
}

/// Why a quiesce failed; bus mastering of the device stays off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum QuiesceFailure {
    /// The device was not quiet, or did not answer again, by the recipe's deadline.
    Deadline = 1,
    /// The function cannot do what the recipe asks (no function-level reset).
    Unsupported = 2,
    /// After the reset the device did not keep its bus numbers, windows, BARs or command register.
    NotRestored = 3,
    /// After the reset something else answers in the device's place.
    Identity = 4,
}

/// Answer of [`crate::QuiesceResult`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QuiesceState {
    /// No quiesce was started in this life of the server, since bus mastering was last turned on.
    Never,
    /// The quiesce has not ended yet.
    Running,
    /// The device is quiet.
    Quiet,
    /// The quiesce failed: the device is not known to be quiet.
    Failed(QuiesceFailure),
}

impl Wire for QuiesceState {
    const LEN: usize = 8;
    fn to_words(&self) -> Payload {
        words([match self {
            Self::Never => 0,
            Self::Running => 1,
            Self::Quiet => 2,
            Self::Failed(failure) => 3 | (*failure as u64) << 8,
        }])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        Some(match (payload[0] as u8, payload[0] >> 8) {
            (0, 0) => Self::Never,
            (1, 0) => Self::Running,
            (2, 0) => Self::Quiet,
            (3, 1) => Self::Failed(QuiesceFailure::Deadline),
            (3, 2) => Self::Failed(QuiesceFailure::Unsupported),
            (3, 3) => Self::Failed(QuiesceFailure::NotRestored),
            (3, 4) => Self::Failed(QuiesceFailure::Identity),
            _ => return None,
        })
    }
}
