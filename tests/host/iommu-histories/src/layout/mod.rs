//! The planned systems that histories run in: their records, and the table memory the build step would
//! have written.

mod image;
mod machines;

use plan::iommu::{DomainEntry, DomainKind, PremappedEntry, PremappedKind, SmmuEntry};

pub use image::{Faults, build};
pub use machines::{EVERYDAY, RESETS, SHARED};

/// All machines.
pub static MACHINES: [&Machine; 3] = [&EVERYDAY, &SHARED, &RESETS];

/// Physical address of the SMMU's table memory: both halves of a word that leads there matter.
pub const TABLES: u64 = 0x5_4800_0000;
/// Bytes of it.
pub const TABLES_LEN: usize = 0x4_0000;
/// Index of the task that audits devices it does not own.
pub const AUDITOR: usize = 3;
/// Drivers.
pub const DRIVERS: [usize; 3] = [4, 5, 6];
/// The client that lends memory to drivers.
pub const CLIENT: usize = 7;
/// Tasks in all.
pub const TASKS: usize = 8;
/// Memory that is nobody's pool.
pub const FOREIGN: u64 = 0x4000_0000;
/// Where windows begin.
pub const WINDOW: u64 = 0x1_0000_0000;
/// Offset of the page tables, which go on to the end.
pub const PAGE_TABLES: u64 = 0x1_8000;

/// Pools: task, number in it, physical address, bytes.
pub const POOLS: [(usize, u32, u64, u64); 5] = [
    (4, 0, 0x5000_0000, 24 * 4096),
    (4, 1, 0x5010_0000, 8 * 4096),
    (5, 0, 0x5020_0000, 16 * 4096),
    (6, 0, 0x6000_0000, 6 << 20),
    (CLIENT, 0, 0x5030_0000, 16 * 4096),
];

/// Pages of its pool that the client lends as a whole, to each driven device of others.
pub const LENT_PAGES: u64 = 12;

/// Whether the client lends its pool to a device.
#[must_use]
pub fn is_lent_to(planned: &Planned) -> bool {
    planned.owner != plan::NONE && planned.owner != CLIENT as u32
}

/// One device of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// Its name.
    pub name: &'static str,
    /// Who may claim it, or [`plan::NONE`].
    pub owner: u32,
    /// Its domain, or [`plan::NONE`].
    pub domain: u32,
    /// Its streams.
    pub streams: &'static [u32],
    /// Devices that cannot be reset apart.
    pub reset_unit: u32,
    /// It has a direct region.
    pub always_open: bool,
    /// It is not on PCI: nothing but its streams keeps it from memory.
    pub platform: bool,
    /// How it is made quiet.
    pub recipe: Recipe,
    /// The bridge above it, whose bus reset takes it.
    pub below: Option<usize>,
}

impl Planned {
    /// A bridge.
    pub const BRIDGE: Self = Self {
        name: "bridge",
        owner: plan::NONE,
        domain: plan::NONE,
        streams: &[],
        reset_unit: 0,
        always_open: false,
        platform: false,
        recipe: Recipe::None,
        below: None,
    };
}

/// How a device is made quiet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recipe {
    /// Alone.
    Own,
    /// With all others below its bridge.
    Bus,
    /// It cannot be.
    None,
}

/// The window of a domain.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// What its devices reach.
    pub kind: DomainKind,
    /// Pages.
    pub pages: u64,
    /// Blocks.
    pub blocks: u64,
    /// Pages that may be unmapped and not flushed; 0 in a strict domain.
    pub lazy: u64,
}

/// Milliseconds after which what was unmapped in a lazy domain is flushed.
pub const LAZY_MS: u64 = 2;

impl Window {
    /// A window of pages only.
    pub const PAGES: Self = Self {
        kind: DomainKind::Dma,
        pages: 512,
        blocks: 0,
        lazy: 0,
    };
    /// The same, lazy.
    pub const LAZY: Self = Self {
        lazy: 6,
        ..Self::PAGES
    };
    /// One with blocks behind them.
    pub const BLOCKS: Self = Self {
        blocks: 3,
        ..Self::PAGES
    };
}

/// Devices and what they are to reach.
#[derive(Debug)]
pub struct Machine {
    /// Devices, by number.
    pub devices: &'static [Planned],
    /// Windows, by domain.
    pub windows: &'static [Window],
    /// What the build step maps for good.
    pub premapped: &'static [PremappedEntry],
    /// StreamIDs, the last one planned for no domain.
    pub streams: &'static [u32],
    /// Devices alone on their StreamIDs, whose faults are counted.
    pub watched: &'static [usize],
}

impl Machine {
    /// A device by number.
    #[must_use]
    pub fn device(&self, device: usize) -> Option<&'static Planned> {
        self.devices.get(device)
    }

    /// Streams of a device.
    #[must_use]
    pub fn streams_of(&self, device: usize) -> &'static [u32] {
        self.device(device).map_or(&[], |planned| planned.streams)
    }

    /// Whether two devices share their StreamIDs and so a domain.
    #[must_use]
    pub fn share(&self, device: usize, other: usize) -> bool {
        let domain = |device| self.device(device).map(|planned| planned.domain);
        domain(device) == domain(other) && domain(device) != Some(plan::NONE)
    }

    /// Whether two devices are cut off together at a death: they share streams or cannot be reset apart, directly or
    /// through others.
    #[must_use]
    pub fn contained_together(&self, device: usize, other: usize) -> bool {
        let unit = |device| self.device(device).map(|planned| planned.reset_unit);
        let related = |a, b| self.share(a, b) || unit(a) == unit(b);
        let mut reached = vec![device];
        let mut next = 0;
        while let Some(&from) = reached.get(next) {
            next += 1;
            let new = |at: &usize| !reached.contains(at) && related(from, *at);
            let found: Vec<usize> = (0..self.devices.len()).filter(new).collect();
            reached.extend(found);
        }
        reached.contains(&other)
    }

    /// What a device's recipe resets, if that is more than the device.
    pub fn reset_with(&self, device: usize) -> impl Iterator<Item = usize> + use<> {
        let own = self.device(device);
        let bridge = own
            .filter(|own| own.recipe == Recipe::Bus)
            .and_then(|own| own.below);
        let devices = self.devices.iter().enumerate();
        let below = move |planned: &Planned| bridge.is_some() && planned.below == bridge;
        let taken: Vec<usize> = devices
            .filter_map(|(at, planned)| below(planned).then_some(at))
            .collect();
        taken.into_iter()
    }

    /// The other alternatives of a device's slot: they have its StreamIDs and domains of their own.
    pub fn alternatives(&self, device: usize) -> impl Iterator<Item = usize> + '_ {
        let streams = self.streams_of(device);
        let devices = self.devices.iter().enumerate();
        devices
            .filter(move |&(other, planned)| {
                other != device
                    && !self.share(other, device)
                    && planned
                        .streams
                        .iter()
                        .any(|stream| streams.contains(stream))
            })
            .map(|(other, _)| other)
    }

    /// Whether a stream translates in the image.
    #[must_use]
    pub fn is_always_open(&self, stream: u32) -> bool {
        let mut devices = self.devices.iter();
        devices.any(|planned| planned.always_open && planned.streams.contains(&stream))
    }

    /// The pool that the build step has mapped for a device.
    #[must_use]
    pub fn pool_of(&self, device: usize) -> Option<&'static PremappedEntry> {
        let planned = self.device(device)?;
        let mut ranges = self.premapped.iter();
        ranges.find(|range| range.domain == planned.domain && range.is_pool())
    }

    /// The pool that the build step has mapped in the window of a device.
    #[must_use]
    pub fn premapped_of(&self, device: usize) -> Option<&'static PremappedEntry> {
        let in_window = PremappedKind::Pool as u32;
        self.pool_of(device).filter(|range| range.kind == in_window)
    }

    /// Pages that may be unmapped for a domain and not flushed.
    #[must_use]
    pub fn lazy(&self, domain: u32) -> u64 {
        let window = self.windows.get(domain as usize);
        window.map_or(0, |window| window.lazy)
    }

    /// Whether a device is not translated.
    #[must_use]
    pub fn bypasses(&self, device: usize) -> bool {
        let window = self
            .device(device)
            .and_then(|planned| self.windows.get(planned.domain as usize));
        window.is_some_and(|window| window.kind == DomainKind::Bypass)
    }
}

const LEVEL1: u64 = 0;
const ARRAYS: [(u32, u64); 3] = [(1, 0x4000), (2, 0x8000), (3, 0xc000)];
const CONTEXTS: u64 = 0x1_0000;
const COMMANDS: u64 = 0x1_1000;
const EVENTS: u64 = 0x1_2000;

/// The blob of the server and what its offsets are.
pub struct Layout {
    /// The machine.
    pub machine: &'static Machine,
    /// Words of the plan's blob.
    pub blob: Vec<u64>,
    /// The SMMU's record.
    pub smmu: SmmuEntry,
    /// The domains' records.
    pub domains: Vec<DomainEntry>,
}

impl Layout {
    /// The record of a device's domain, or `None` without one.
    #[must_use]
    pub fn domain_of(&self, device: usize) -> Option<&DomainEntry> {
        self.domains
            .get(self.machine.device(device)?.domain as usize)
    }

    /// Offset and bytes of the command queue.
    #[must_use]
    pub fn command_queue(&self) -> (u64, u64) {
        (self.smmu.command_queue, 16 << self.smmu.command_log2)
    }
}

/// Offset of a stream's entry.
pub(super) fn entry_of(stream: u32) -> u64 {
    let array = ARRAYS
        .iter()
        .find(|&&(bus, _)| bus == stream >> 8)
        .map_or(0, |&(_, at)| at);
    array + u64::from(stream & 0xff) * 64
}
