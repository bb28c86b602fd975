//! One function: what its configuration space says.

use solver::model::{Acs, FunctionKind};

use crate::address::Address;
use crate::bar::{Bar, BarKind, SMALLEST};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::text::Block;

/// A memory window of a bridge, both ends inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowRange {
    /// First address.
    pub base: u64,
    /// Last address.
    pub limit: u64,
}

/// SR-IOV as enabled when the dump was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtualFunctions {
    /// The number of virtual functions.
    pub count: u16,
    /// Requester id of the first, less that of the physical function.
    pub offset: u16,
    /// Distance between two.
    pub stride: u16,
    /// Device id of the virtual functions.
    pub device: u16,
}

/// A function as the listing shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// Line of its header in the text, from 1.
    pub line: usize,
    /// The function's address.
    pub address: Address,
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Class code, 24 bits.
    pub class: u32,
    /// The function's kind.
    pub kind: FunctionKind,
    /// Header type bit 7.
    pub multifunction: bool,
    /// The function's ACS capability.
    pub acs: Option<Acs>,
    /// Primary, secondary and subordinate bus, of a bridge.
    pub buses: Option<[u8; 3]>,
    /// The function's memory window, of a bridge, if open.
    pub memory_window: Option<WindowRange>,
    /// The function's prefetchable window, of a bridge, if open.
    pub prefetch_window: Option<WindowRange>,
    /// The function's BARs.
    pub bars: Vec<Bar>,
    /// The function has function-level reset.
    pub function_reset: bool,
    /// Interrupt pin, 1 to 4 for A to D; 0: none.
    pub pin: u8,
    /// The function has MSI.
    pub msi: bool,
    /// MSI-X vectors; 0: none.
    pub msix: u16,
    /// Offset of its MSI-X capability.
    pub(crate) msix_at: Option<usize>,
    /// A root port or downstream port with a hot-plug capable slot.
    pub hotplug: bool,
    /// The function's virtual functions.
    pub virtual_functions: Option<VirtualFunctions>,
    /// Address of its physical function, if it is a virtual one.
    pub physical: Option<Address>,
    /// It reads as ones: nothing is known but its address, ids and class.
    pub asleep: bool,
    /// What somebody should know who relies on this function, each in a sentence.
    pub notes: Vec<String>,
    /// The configuration space, for who wants more.
    pub config: Config,
}

const PCI_EXPRESS: u8 = 0x10;
const MSI: u8 = 0x05;
const MSI_X: u8 = 0x11;
const ADVANCED_FEATURES: u8 = 0x13;
const EXTENDED_ACS: u16 = 0x0d;
const EXTENDED_SRIOV: u16 = 0x10;
const EXTENDED_RESIZABLE: u16 = 0x15;
const CLASS_HOST_BRIDGE: u32 = 0x0600;

/// Reads one function.
pub(crate) fn read(block: &Block) -> Result<Function, Vec<Error>> {
    let config = Config::new(block.bytes.clone());
    let contradiction = |message: String| {
        vec![Error::new(
            block.line,
            ErrorKind::Contradiction,
            format!("{}: {message}", block.address),
        )]
    };
    if config.bytes().iter().take(64).all(|byte| *byte == 0xff) {
        return Err(vec![Error::new(
            block.line,
            ErrorKind::Asleep,
            format!("the configuration space of {} reads as ones", block.address),
        )]);
    }
    let (vendor, device) = identity(block, &config).map_err(contradiction)?;
    let header = config.byte(0x0e) & 0x7f;
    let class = config.double(0x08) >> 8;
    let mut notes = Vec::new();
    let mut take = |found: Result<Option<usize>, String>| {
        found.unwrap_or_else(|fault| {
            let note = format!(
                "{}: {fault}: what is in it is taken, and what may follow is taken for missing",
                block.address
            );
            if !notes.contains(&note) {
                notes.push(note);
            }
            None
        })
    };
    let express = match config.capability(PCI_EXPRESS) {
        // A bridge without it is conventional, which changes whose requests pass under which id.
        Err(fault) if header != 0 => return Err(contradiction(fault)),
        found => take(found),
    };
    let kind = kind(&config, header, class, express).map_err(contradiction)?;
    let bridge = kind.is_bridge();
    let acs = express.and_then(|_| take(config.extended_capability(EXTENDED_ACS)));
    let advanced = take(config.capability(ADVANCED_FEATURES));
    let msi = take(config.capability(MSI));
    let msix = take(config.capability(MSI_X));
    let sriov = take(config.extended_capability(EXTENDED_SRIOV));
    let resizable = take(config.extended_capability(EXTENDED_RESIZABLE));
    if block.from_text {
        notes.extend(unsaid(block, kind));
    }
    let acs = acs.map(|at| access_control(&config, at, (vendor, device), kind));
    Ok(Function {
        line: block.line,
        address: block.address,
        vendor,
        device,
        class,
        kind,
        multifunction: config.byte(0x0e) & 0x80 != 0,
        acs,
        buses: bridge.then(|| [config.byte(0x18), config.byte(0x19), config.byte(0x1a)]),
        memory_window: if bridge { memory_window(&config) } else { None },
        prefetch_window: if bridge {
            prefetch_window(&config)
        } else {
            None
        },
        bars: bars(&config, header, &block.told.sizes, resizable).map_err(contradiction)?,
        function_reset: express.is_some_and(|at| config.double(at + 4) & 1 << 28 != 0)
            || advanced.is_some_and(|at| config.byte(at + 3) & 1 << 1 != 0),
        pin: config.byte(0x3d).min(4),
        msi: msi.is_some(),
        msix: msix.map_or(0, |at| (config.word(at + 2) & 0x7ff) + 1),
        msix_at: msix,
        hotplug: express.is_some_and(|at| hotplug(&config, at, kind)),
        virtual_functions: sriov.and_then(|at| virtual_functions(&config, at)),
        physical: None,
        asleep: false,
        notes,
        config,
    })
}

/// What text does not say of a function.
fn unsaid(block: &Block, kind: FunctionKind) -> Option<String> {
    let what = match (kind, block.address.function) {
        (FunctionKind::RootPort | FunctionKind::DownstreamPort, _) => "sizes of windows",
        (_, 0) => "whether its slot has further functions that are not listed",
        _ => return None,
    };
    Some(format!(
        "{} was read from text, which does not say {what}",
        block.address
    ))
}

/// Root ports of Intel's Sunrise Point and later chipsets, whose ACS registers have 32 bits each, so that control is
/// where others have nothing (Linux 6.12.y drivers/pci/quirks.c, `pci_quirk_intel_spt_pch_acs`).
const WIDE_ACS: [core::ops::RangeInclusive<u16>; 5] = [
    0x9d10..=0x9d1b,
    0xa110..=0xa11f,
    0xa167..=0xa16a,
    0xa290..=0xa29f,
    0xa2e7..=0xa2ee,
];

fn access_control(config: &Config, at: usize, ids: (u16, u16), kind: FunctionKind) -> Acs {
    let is_wide = kind == FunctionKind::RootPort
        && ids.0 == 0x8086
        && WIDE_ACS.iter().any(|range| range.contains(&ids.1));
    Acs {
        implemented: config.word(at + 4),
        enabled: config.word(at + if is_wide { 8 } else { 6 }),
    }
}

/// A function that reads as ones, if its line tells what it is.
pub(crate) fn asleep(block: &Block) -> Option<Function> {
    let ((vendor, device), class) = (block.identity?, block.class?);
    let note = format!(
        "{} reads as ones, so it sleeps or is gone: only its ids and class are known, and it stays blocked (to have it \
         read, `echo on > /sys/bus/pci/devices/{}/power/control` and dump again)",
        block.address, block.address
    );
    Some(Function {
        line: block.line,
        address: block.address,
        vendor,
        device,
        class: u32::from(class) << 8,
        kind: FunctionKind::Endpoint,
        multifunction: false,
        acs: None,
        buses: None,
        memory_window: None,
        prefetch_window: None,
        bars: Vec::new(),
        function_reset: false,
        pin: 0,
        msi: false,
        msix: 0,
        msix_at: None,
        hotplug: false,
        virtual_functions: None,
        physical: None,
        asleep: true,
        notes: vec![note],
        config: Config::new(Vec::new()),
    })
}

/// Vendor and device id.
fn identity(block: &Block, config: &Config) -> Result<(u16, u16), String> {
    let vendor = config.word(0);
    // A virtual function's own registers read as ones; the header line knows what it is.
    let seen = (vendor, config.word(2));
    match block.identity {
        Some(ids) if vendor == u16::MAX || ids == seen => Ok(ids),
        Some(ids) => Err(format!(
            "the line says {:04x}:{:04x}, the configuration space {:04x}:{:04x}",
            ids.0, ids.1, seen.0, seen.1
        )),
        None if vendor == u16::MAX => {
            Err("its ids are neither in its line nor in its configuration space".into())
        }
        None => Ok(seen),
    }
}

/// PCI Express Capabilities Register, bits 7:4, or the header type where there is no such capability.
fn kind(
    config: &Config,
    header: u8,
    class: u32,
    express: Option<usize>,
) -> Result<FunctionKind, String> {
    if header > 2 {
        return Err(format!("header type {header:#x} does not exist"));
    }
    let Some(at) = express else {
        return Ok(match header {
            1 | 2 => FunctionKind::ConventionalBridge,
            _ if class >> 8 == CLASS_HOST_BRIDGE => FunctionKind::HostBridge,
            _ => FunctionKind::Conventional,
        });
    };
    let port = config.word(at + 2) >> 4 & 0xf;
    let kind = match port {
        0 | 1 => FunctionKind::Endpoint,
        4 => FunctionKind::RootPort,
        5 => FunctionKind::UpstreamPort,
        6 => FunctionKind::DownstreamPort,
        7 => FunctionKind::PcieToPci,
        8 => FunctionKind::PciToPcie,
        9 => FunctionKind::RootComplexEndpoint,
        10 => FunctionKind::EventCollector,
        _ => return Err(format!("PCIe port type {port:#x} does not exist")),
    };
    match (kind.is_bridge(), header) {
        (true, 1) | (false, 0) => Ok(kind),
        // The host bridges of some chipsets call themselves root ports.
        (true, 0) if class >> 8 == CLASS_HOST_BRIDGE => Ok(FunctionKind::HostBridge),
        _ => Err(format!(
            "header type {header:#x} is not that of a {}",
            kind.text()
        )),
    }
}

fn memory_window(config: &Config) -> Option<WindowRange> {
    let base = u64::from(config.word(0x20) & 0xfff0) << 16;
    let limit = u64::from(config.word(0x22) & 0xfff0) << 16 | 0xf_ffff;
    // Zero and zero is a bridge that nobody set up, not a window over the first megabyte.
    (base <= limit && (base, limit) != (0, 0xf_ffff)).then_some(WindowRange { base, limit })
}

fn prefetch_window(config: &Config) -> Option<WindowRange> {
    let upper = |offset| u64::from(config.double(offset)) << 32;
    let wide = config.word(0x24) & 0xf == 1;
    let mut base = u64::from(config.word(0x24) & 0xfff0) << 16;
    let mut limit = u64::from(config.word(0x26) & 0xfff0) << 16 | 0xf_ffff;
    if wide {
        base |= upper(0x28);
        limit |= upper(0x2c);
    }
    (base <= limit && (base, limit) != (0, 0xf_ffff)).then_some(WindowRange { base, limit })
}

fn bars(
    config: &Config,
    header: u8,
    sizes: &[Option<u64>; 6],
    resizable: Option<usize>,
) -> Result<Vec<Bar>, String> {
    let count = match header {
        0 => 6,
        1 => 2,
        _ => 1,
    };
    let mut bars = Vec::new();
    let mut index = 0;
    while index < count {
        let low = config.double(0x10 + 4 * index);
        let size = sizes[index].or_else(|| resized(config, resizable?, index));
        let bar = |kind, prefetchable, address| Bar {
            index: index as u8,
            kind,
            prefetchable,
            address,
            size,
        };
        let wide = low & 0b111 == 0b100 && index + 1 < count;
        if low & 1 != 0 {
            bars.push(bar(BarKind::Io, false, u64::from(low & !0b11)));
        } else if low != 0 || size.is_some() {
            let upper = if wide {
                u64::from(config.double(0x14 + 4 * index)) << 32
            } else {
                0
            };
            let kind = if wide {
                BarKind::Memory64
            } else {
                BarKind::Memory32
            };
            bars.push(bar(kind, low & 1 << 3 != 0, u64::from(low & !0xf) | upper));
        }
        index += if wide { 2 } else { 1 };
    }
    for bar in &mut bars {
        if bar.address > LARGEST && !config.decodes_memory() {
            // What does not decode may hold anything.
            bar.address = 0;
        }
        check_bar(bar)?;
    }
    Ok(bars)
}

/// No address, and so no size, of the architecture has more bits.
const LARGEST: u64 = 1 << 52;

/// An address or size that the BAR cannot have means that the dump is damaged.
fn check_bar(bar: &Bar) -> Result<(), String> {
    if bar.address > LARGEST {
        return Err(format!("BAR {} cannot be at {:#x}", bar.index, bar.address));
    }
    let (Some(size), false) = (bar.size, bar.kind == BarKind::Io) else {
        return Ok(());
    };
    let possible = size.is_power_of_two() && (SMALLEST..=LARGEST).contains(&size);
    if !possible || bar.kind == BarKind::Memory32 && size > 1 << 31 {
        return Err(format!("BAR {} cannot have {size:#x} bytes", bar.index));
    }
    if !bar.address.is_multiple_of(size) {
        return Err(format!(
            "BAR {} of {size:#x} bytes cannot be at {:#x}",
            bar.index, bar.address
        ));
    }
    Ok(())
}

/// Size of a BAR by the Resizable BAR capability's control register, bits 13:8: 2^(20 + n).
fn resized(config: &Config, at: usize, index: usize) -> Option<u64> {
    let count = usize::try_from(config.double(at + 8) >> 5 & 0b111).ok()?;
    (0..count.min(6))
        .map(|n| config.double(at + 8 + 8 * n))
        .find(|control| (control & 0b111) as usize == index)
        .and_then(|control| 1u64.checked_shl(20 + (control >> 8 & 0x3f)))
}

/// Slot implemented, and hot-plug capable (Slot Capabilities Register, bit 6).
fn hotplug(config: &Config, at: usize, kind: FunctionKind) -> bool {
    matches!(kind, FunctionKind::RootPort | FunctionKind::DownstreamPort)
        && config.word(at + 2) & 1 << 8 != 0
        && config.double(at + 0x14) & 1 << 6 != 0
}

fn virtual_functions(config: &Config, at: usize) -> Option<VirtualFunctions> {
    let enabled = config.word(at + 8) & 1 != 0;
    let count = config.word(at + 0x10);
    (enabled && count > 0).then(|| VirtualFunctions {
        count,
        offset: config.word(at + 0x14),
        stride: config.word(at + 0x16),
        device: config.word(at + 0x1a),
    })
}
