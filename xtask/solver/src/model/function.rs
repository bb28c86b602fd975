//! Functions of the fabric and platform devices.

use super::{DomainType, NodeId, OwnerId, Region, RootId, SmmuId, Source};

/// One function of the fabric, or one platform device.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The node's name, unique in the machine.
    pub name: String,
    /// The place where the node was declared.
    pub source: Source,
    /// The node's place.
    pub place: Place,
    /// The properties that the fabric sees; meaningless for a platform device.
    pub function: Function,
    /// The task that drives it. Bridges have none.
    pub owner: Option<OwnerId>,
    /// Tasks beside that one which have its registers, and can make it do what its driver could.
    pub holders: Vec<Holder>,
    /// The domain type it demands; none: neutral.
    pub demand: Option<DomainType>,
    /// The place of the node's demand; 0: the place of its declaration.
    pub demand_source: Source,
    /// How it is made quiet.
    pub quiesce: Quiesce,
    /// Address ranges that firmware or hardware needs mapped 1:1 at any time.
    pub direct: Vec<Region>,
    /// IOVA space it asks for.
    pub window: Window,
    /// True for a port whose link leaves the machine: what is plugged in there is not trusted.
    pub external: bool,
    /// True for a port with a slot whose devices come and go.
    pub hotplug: bool,
    /// True for a port that has a memory BAR of its own.
    pub registers: bool,
    /// The stream bypasses the SMMU, for this written reason. Nothing else switches translation off.
    pub unsafe_bypass: Option<String>,
}

/// A task that has registers of a device it does not drive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The task.
    pub task: OwnerId,
    /// The place where the task was given the registers.
    pub source: Source,
}

/// The place of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A function in a slot.
    Slot {
        /// The bus above it.
        upstream: Upstream,
        /// Device number, 0 to 31.
        device: u8,
        /// Function number, 0 to 7.
        function: u8,
    },
    /// A virtual function: its requester id is that of its physical function plus `offset`
    /// (First VF Offset + index * VF Stride of the SR-IOV capability).
    Virtual {
        /// The physical function.
        physical: NodeId,
        /// Distance of the requester ids.
        offset: u16,
    },
    /// The node is not on PCI. It has the StreamIDs given, which it may share with other platform
    /// devices.
    Platform {
        /// SMMU and StreamID.
        streams: Vec<(SmmuId, u32)>,
    },
}

impl Default for Place {
    fn default() -> Self {
        Self::Platform {
            streams: Vec::new(),
        }
    }
}

/// The bridge or root bus above a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upstream {
    /// A root bus.
    Root(RootId),
    /// The secondary bus of a bridge or port.
    Bridge(NodeId),
}

/// The properties of a function that the fabric sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Function {
    /// The function's kind.
    pub kind: FunctionKind,
    /// The function's ids, where known.
    pub identity: Identity,
    /// The function's ACS capability; `None`: it has none.
    pub acs: Option<Acs>,
    /// Header type bit 7. Needless to set in a slot with several declared functions.
    pub multifunction: bool,
    /// The bus numbers of a bridge, where they are pinned.
    pub buses: Buses,
}

/// Kind of a function: its PCIe capability's device/port type (PCIe base specification, PCI Express
/// Capabilities Register) or, without one, its header type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum FunctionKind {
    /// PCIe endpoint, legacy endpoint included.
    #[default]
    Endpoint,
    /// Endpoint integrated in the root complex.
    RootComplexEndpoint,
    /// Root complex event collector.
    EventCollector,
    /// Function without PCIe capability.
    Conventional,
    /// The host bridge's own function, with or without a PCIe capability.
    HostBridge,
    /// Root port.
    RootPort,
    /// Upstream port of a switch.
    UpstreamPort,
    /// Downstream port of a switch.
    DownstreamPort,
    /// PCIe to PCI or PCI-X bridge.
    PcieToPci,
    /// PCI or PCI-X to PCIe bridge.
    PciToPcie,
    /// PCI-to-PCI bridge without PCIe capability.
    ConventionalBridge,
}

impl FunctionKind {
    /// True if it has a bus below it.
    pub fn is_bridge(self) -> bool {
        matches!(
            self,
            Self::RootPort
                | Self::UpstreamPort
                | Self::DownstreamPort
                | Self::PcieToPci
                | Self::PciToPcie
                | Self::ConventionalBridge
        )
    }

    /// True for a bridge whose bus is a PCIe link, with one device on it.
    pub fn leads_to_link(self) -> bool {
        matches!(
            self,
            Self::RootPort | Self::DownstreamPort | Self::PciToPcie
        )
    }

    /// The kind's name in reports.
    pub fn text(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::RootComplexEndpoint => "root complex endpoint",
            Self::EventCollector => "root complex event collector",
            Self::Conventional => "conventional function",
            Self::HostBridge => "host bridge",
            Self::RootPort => "root port",
            Self::UpstreamPort => "switch upstream port",
            Self::DownstreamPort => "switch downstream port",
            Self::PcieToPci => "PCIe-to-PCI bridge",
            Self::PciToPcie => "PCI-to-PCIe bridge",
            Self::ConventionalBridge => "conventional bridge",
        }
    }
}

/// Vendor and device id; 0 where unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
}

/// An ACS capability: what it implements and what will be enabled when the first device is claimed.
/// The two differ: an implemented bit keeps nobody apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Acs {
    /// ACS Capability register.
    pub implemented: u16,
    /// ACS Control register.
    pub enabled: u16,
}

impl Acs {
    /// Source validation.
    pub const SOURCE_VALIDATION: u16 = 1 << 0;
    /// P2P request redirect.
    pub const REQUEST_REDIRECT: u16 = 1 << 2;
    /// P2P completion redirect.
    pub const COMPLETION_REDIRECT: u16 = 1 << 3;
    /// Translation blocking.
    pub const TRANSLATION_BLOCKING: u16 = 1 << 1;
    /// Upstream forwarding.
    pub const UPSTREAM_FORWARDING: u16 = 1 << 4;
    /// P2P egress control: with a bit of the vector at 0, its value after a reset, a request goes to that peer
    /// directly, redirection or not.
    pub const EGRESS_CONTROL: u16 = 1 << 5;
    /// Direct translated P2P: a request that calls itself translated goes to the peer, redirection or not.
    pub const DIRECT_TRANSLATED: u16 = 1 << 6;
    /// ACS Enhanced Capability, of the capability register only: the control register has the bits below.
    pub const ENHANCED: u16 = 1 << 7;
    /// I/O request blocking, both target access controls and unclaimed request redirect.
    const ENHANCED_CONTROL: u16 = 0x1f80;
    /// The bits that isolation needs.
    pub const WANTED: u16 = Self::SOURCE_VALIDATION
        | Self::REQUEST_REDIRECT
        | Self::COMPLETION_REDIRECT
        | Self::UPSTREAM_FORWARDING;

    /// A port that has all wanted bits, and all of them on.
    pub const ON: Self = Self {
        implemented: Self::WANTED,
        enabled: Self::WANTED,
    };
    /// A port that has all wanted bits, and none of them on.
    pub const OFF: Self = Self {
        implemented: Self::WANTED,
        enabled: 0,
    };

    /// This capability with every wanted bit that it implements enabled, and nothing enabled that undoes
    /// it.
    pub fn all_enabled(self) -> Self {
        let undone = Self::EGRESS_CONTROL | Self::DIRECT_TRANSLATED;
        Self {
            enabled: self.enabled & !undone | (self.implemented & Self::WANTED),
            ..self
        }
    }

    /// The bits of the control register that a function with this capability register has. The upper byte of the
    /// capability is the size of the egress vector; one bit of it stands for all enhanced controls.
    pub fn controls(implemented: u16) -> u16 {
        let enhanced = implemented & Self::ENHANCED != 0;
        implemented & 0x7f | if enhanced { Self::ENHANCED_CONTROL } else { 0 }
    }

    /// The value of a memory target access control at `shift`: 1 blocks requests, 2 redirects them.
    fn guards(self, shift: u16) -> bool {
        self.implemented & Self::ENHANCED != 0 && matches!(self.enabled >> shift & 3, 1 | 2)
    }

    /// Requests from below do not get at memory BARs of this port and of downstream ports beside it (DSP Memory
    /// Target Access Control).
    pub fn guards_downstream(self) -> bool {
        self.guards(8)
    }

    /// Requests from below do not get at memory BARs of the upstream port above (USP Memory Target Access Control).
    pub fn guards_upstream(self) -> bool {
        self.guards(10)
    }
}

/// Bus numbers of a bridge; what is `None` is assigned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Buses {
    /// Secondary bus, pinned.
    pub secondary: Option<u8>,
    /// Subordinate bus, pinned.
    pub subordinate: Option<u8>,
    /// Bus numbers to keep free below a hotplug slot, beyond those of the devices it expects.
    pub spare: u8,
}

/// How a device is made quiet, so that no earlier DMA of it can land. Decides the reset units: only a
/// bus reset reaches beyond the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Quiesce {
    /// No recipe is known: the device is reset with its bus if there is a bridge above it, and otherwise not at all.
    #[default]
    Unknown,
    /// Function-level reset.
    FunctionReset,
    /// Secondary bus reset of the bridge above it.
    BusReset,
    /// A recipe of its own (a register and a poll, or a wait) that touches no other function.
    Own,
    /// The device cannot be made quiet: memory that it could reach stays held until power-off.
    Never,
}

/// IOVA space that a device asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Window {
    /// Bytes to be mapped by pages; rounded up to 2 MiB. 0 takes [`super::Policy::window`].
    pub page_bytes: u64,
    /// Bytes to be mapped by 2 MiB blocks; rounded up.
    pub block_bytes: u64,
    /// Address bits the device can drive, 0: no limit below the SMMU's.
    pub address_bits: u32,
    /// First IOVA, where it is fixed; a multiple of 2 MiB.
    pub base: Option<u64>,
}
