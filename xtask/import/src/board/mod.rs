//! What a board states of itself, whether a device tree says it or ACPI's tables.
//!
//! Only what is stated is here: a host without a map has no rows, and a part that cannot be used is left out
//! with a [`Word`] that says so. Nothing is filled in that looks like an answer.

mod word;

pub use word::{Place, Word};

/// A board.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Board {
    /// Its name, for a person.
    pub model: Option<String>,
    /// Its SMMUs of every architecture, enabled ones only.
    pub smmus: Vec<Smmu>,
    /// Its PCI host bridges, enabled ones only.
    pub hosts: Vec<Host>,
    /// Devices outside PCI whose requests pass an SMMU.
    pub masters: Vec<Master>,
    /// Memory that streams use from the start, where a board states it by StreamID.
    pub direct: Vec<Direct>,
    /// RAM.
    pub memory: Vec<Range>,
    /// Parts of the RAM that somebody else uses.
    pub reserved: Vec<Part>,
    /// The UART that firmware and Linux print to.
    pub console: Option<Registers>,
    /// Its kind of UART.
    pub uart: Uart,
    /// The interrupt controller, a GICv3 or later.
    pub gic: Option<Gic>,
    /// How firmware is called.
    pub conduit: Option<Conduit>,
    /// The cores.
    pub cores: Vec<Core>,
    /// What was left out or is doubtful.
    pub words: Vec<Word>,
}

/// Addresses that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first.
    pub base: u64,
    /// How many.
    pub len: u64,
}

impl Range {
    /// The address after the last one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.base.saturating_add(self.len)
    }

    /// Whether the two have an address in common.
    #[must_use]
    pub fn overlaps(&self, other: &Range) -> bool {
        self.base < other.end() && other.base < self.end()
    }
}

/// A part of the memory with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The name that the board gives it.
    pub name: String,
    /// Its addresses.
    pub range: Range,
}

/// A line to the interrupt controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interrupt {
    /// Its name: `event`, `error`, `priq` and `cmdq-sync` of an SMMU.
    pub name: String,
    /// INTID.
    pub intid: u32,
    /// Edge-triggered.
    pub edge: bool,
}

/// Kinds of UART, as far as somebody can write to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Uart {
    /// Arm's, whole or the part that SBSA wants.
    #[default]
    Pl011,
    /// The registers of a 16550, `1 << shift` bytes apart.
    Uart16550 {
        /// Registers are `1 << shift` bytes apart.
        shift: u32,
        /// Bytes of an access.
        width: u32,
    },
    /// Another one: nothing is written to it.
    Other,
}

/// Registers and their interrupts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registers {
    /// A short name.
    pub name: String,
    /// Where the board states it.
    pub place: Place,
    /// What it is: the tree's first `compatible`, ACPI's kind.
    pub kind: String,
    /// Physical addresses.
    pub range: Range,
    /// Its lines.
    pub interrupts: Vec<Interrupt>,
}

/// A unit that translates what devices address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Smmu {
    /// `smmu`, `smmu1` and so on, for those that are SMMUv3.
    pub name: String,
    /// Where the board states it.
    pub place: Place,
    /// What it is.
    pub architecture: Architecture,
    /// Physical addresses of its registers.
    pub range: Range,
    /// Its wired interrupts.
    pub interrupts: Vec<Interrupt>,
    /// Its table walks snoop the caches, as far as the board says.
    pub coherent: bool,
}

impl Smmu {
    /// Whether it is of the architecture that the IOMMU server drives.
    #[must_use]
    pub fn is_v3(&self) -> bool {
        self.architecture == Architecture::V3
    }
}

/// The architecture of a unit that translates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Architecture {
    /// SMMUv3.
    V3,
    /// Another one, by the name that the board gives it.
    Other(String),
}

/// Index of an SMMU in [`Board::smmus`].
pub type SmmuIndex = usize;

/// A PCI host bridge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// `pci`, `pci1` and so on.
    pub name: String,
    /// Where the board states it.
    pub place: Place,
    /// PCI segment.
    pub segment: u16,
    /// Its first and its last bus.
    pub buses: [u8; 2],
    /// Physical addresses of the configuration space of all its buses, laid out as the PCI Express
    /// specification says (ECAM); or why there are none.
    pub configuration: Result<Range, String>,
    /// What it passes on to its devices.
    pub apertures: Vec<Aperture>,
    /// Where its requests go. Without a row, no SMMU sees them.
    pub streams: Vec<StreamRow>,
    /// Bits of a requester id that `streams` look at.
    pub stream_mask: u16,
    /// Where its messages go.
    pub messages: Vec<MessageRow>,
    /// Lines of the pins of its slots, as far as they are stated.
    pub lines: Vec<Line>,
    /// Its devices snoop the caches.
    pub coherent: bool,
}

/// Which line a pin of a slot of the host's first bus is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Device number.
    pub slot: u8,
    /// 1 for INTA to 4 for INTD.
    pub pin: u8,
    /// INTID.
    pub intid: u32,
}

/// Bus addresses that a host passes on to its devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aperture {
    /// What it is for.
    pub kind: ApertureKind,
    /// The first address as devices see it.
    pub bus: u64,
    /// The first address as the processor sees it.
    pub processor: u64,
    /// Bytes.
    pub len: u64,
}

impl Aperture {
    /// The addresses that devices see.
    #[must_use]
    pub fn on_bus(&self) -> Range {
        Range {
            base: self.bus,
            len: self.len,
        }
    }
}

/// What an aperture is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApertureKind {
    /// I/O ports.
    Io,
    /// BARs of 32 bits.
    Narrow,
    /// BARs of 64 bits.
    Wide,
}

/// Requester ids that become StreamIDs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamRow {
    /// First requester id.
    pub requester: u32,
    /// How many.
    pub len: u32,
    /// The SMMU that sees them.
    pub smmu: SmmuIndex,
    /// StreamID of the first one.
    pub stream: u32,
}

/// Requester ids that become DeviceIDs of a translation service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageRow {
    /// First requester id.
    pub requester: u32,
    /// How many.
    pub len: u32,
    /// The service.
    pub service: Place,
    /// DeviceID of the first one.
    pub device: u32,
}

/// A device outside PCI.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Master {
    /// A short name.
    pub name: String,
    /// Where the board states it.
    pub place: Place,
    /// What it is: the tree's first `compatible`, ACPI's object name.
    pub kind: String,
    /// Its SMMU and its StreamIDs there, a row for each SMMU.
    pub streams: Vec<(SmmuIndex, Vec<u32>)>,
    /// It snoops the caches.
    pub coherent: bool,
    /// Its registers, if they are stated.
    pub range: Option<Range>,
    /// Memory that it uses from the start, at the same addresses.
    pub direct: Vec<Part>,
}

/// Memory that streams use from the start, at the same addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Direct {
    /// Where the board states it.
    pub place: Place,
    /// The SMMU that sees the streams.
    pub smmu: SmmuIndex,
    /// The first StreamID.
    pub stream: u32,
    /// How many.
    pub len: u32,
    /// The memory.
    pub part: Part,
}

/// A GICv3 or later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gic {
    /// Where the board states it.
    pub place: Place,
    /// Address of the distributor's registers.
    pub distributor: u64,
    /// Where the redistributors are, at least one range.
    pub redistributors: Vec<Range>,
    /// Addresses of the translation services.
    pub services: Vec<u64>,
}

/// How firmware is called (PSCI).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conduit {
    /// `SMC`.
    Smc,
    /// `HVC`.
    Hvc,
}

/// A core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Core {
    /// Its affinity, as `MPIDR_EL1` has it.
    pub affinity: u64,
    /// How it is started: `psci`, `spin-table`.
    pub started_by: Option<String>,
}
