//! Message-signalled interrupts: a function that has them is told where to write what, exactly while it is bus master.
//!
//! Address and data come from the plan, never from a driver. A driver that has the BAR with the MSI-X table mapped can rewrite
//! it, and gains nothing: which interrupt a write is, the interrupt translation service decides by the id of the function.

use pci_api::Mismatch;
use plan::pci::{FunctionEntry, Signalling};

use crate::capability::{Broken, ordinary};
use crate::compare::Finding;
use crate::config::{BarRegisters, ConfigSpace, Function};
use crate::registers::{CAPABILITY_MSI, CAPABILITY_MSIX};

/// Control, 16 bits, of both capabilities.
const CONTROL: u16 = 2;
/// Control of MSI: messages are sent.
const MSI_ENABLE: u16 = 1 << 0;
/// Control of MSI: shift of log2 of how many vectors there are, and of how many are in use; three bits each.
const MSI_CAPABLE: u16 = 1;
const MSI_IN_USE: u16 = 4;
/// Control of MSI: addresses have 64 bits.
const MSI_WIDE: u16 = 1 << 7;
/// Control of MSI: each vector has a mask.
const MSI_MASKS: u16 = 1 << 8;
/// Control of MSI-X: messages are sent.
const MSIX_ENABLE: u16 = 1 << 15;
/// Control of MSI-X: all vectors are masked.
const MSIX_MASK: u16 = 1 << 14;
/// Control of MSI-X: entries less one.
const MSIX_ENTRIES: u16 = 0x7ff;
/// Place of the MSI-X table: BAR in bits 2:0, the rest is the offset.
const MSIX_TABLE: u16 = 4;
/// Bytes of an entry of the table: address, upper half, data, control.
const ENTRY: u32 = 16;
/// Control of an entry: the vector is masked.
const ENTRY_MASK: u32 = 1;
const PAGE: u32 = 4096;

/// How the plan lets a function signal.
fn signalling(entry: &FunctionEntry) -> Signalling {
    const MSI: u32 = Signalling::Msi as u32;
    const MSIX: u32 = Signalling::MsiX as u32;
    match entry.signalling {
        MSI => Signalling::Msi,
        MSIX => Signalling::MsiX,
        _ => Signalling::Line,
    }
}

/// The difference of a function from what the plan says of its messages.
pub(crate) fn compare<C: ConfigSpace>(
    entry: &FunctionEntry,
    function: &Function<'_, C>,
) -> Option<Finding> {
    let vectors = match signalling(entry) {
        Signalling::Line => return None,
        Signalling::Msi => msi_vectors(entry, function),
        Signalling::MsiX => msix_vectors(entry, function),
    };
    let found = match vectors {
        Err(Broken) => return Some(Finding::plain(Mismatch::Capabilities)),
        Ok(found) => found.unwrap_or(0),
    };
    let few = found < entry.vectors;
    few.then_some(Finding::number(
        Mismatch::Messages,
        entry.vectors.into(),
        found.into(),
    ))
}

/// How many messages the function has by MSI, if it can write to the planned address.
fn msi_vectors<C: ConfigSpace>(
    entry: &FunctionEntry,
    function: &Function<'_, C>,
) -> Result<Option<u32>, Broken> {
    let found = ordinary(function, CAPABILITY_MSI)?;
    Ok(found.and_then(|at| {
        let control = function.read16(at + CONTROL);
        let reaches = control & MSI_WIDE != 0 || entry.message_address >> 32 == 0;
        reaches.then_some(1 << (control >> MSI_CAPABLE & 7))
    }))
}

/// How many entries the MSI-X table has, if it is where the plan says.
fn msix_vectors<C: ConfigSpace>(
    entry: &FunctionEntry,
    function: &Function<'_, C>,
) -> Result<Option<u32>, Broken> {
    let found = ordinary(function, CAPABILITY_MSIX)?;
    Ok(found.and_then(|at| {
        let place = function.read32(at + MSIX_TABLE);
        let is_planned = place == entry.table_offset | entry.table_bar & 7;
        is_planned.then(|| u32::from(function.read16(at + CONTROL) & MSIX_ENTRIES) + 1)
    }))
}

/// Tells a function its messages and lets it send them. Its BARs are decoded. False if it does not keep what it is told.
pub(crate) fn enable<H: ConfigSpace + BarRegisters>(
    hardware: &H,
    function: &Function<'_, H>,
    entry: &FunctionEntry,
) -> bool {
    let enabled = match signalling(entry) {
        Signalling::Line => return true,
        Signalling::Msi => enable_msi(function, entry),
        Signalling::MsiX => enable_msix(hardware, function, entry),
    };
    enabled == Some(true)
}

fn enable_msi<C: ConfigSpace>(function: &Function<'_, C>, entry: &FunctionEntry) -> Option<bool> {
    let at = ordinary(function, CAPABILITY_MSI).ok()??;
    let control = function.read16(at + CONTROL);
    let [low, high] = halves(entry.message_address);
    function.write32(at + 4, low);
    let data = if control & MSI_WIDE != 0 {
        function.write32(at + 8, high);
        at + 12
    } else {
        at + 8
    };
    function.write16(data, 0);
    if control & MSI_MASKS != 0 {
        function.write32(data + 4, 0);
    }
    let in_use = entry.vectors.max(1).ilog2() as u16;
    let wanted = in_use << MSI_IN_USE | MSI_ENABLE;
    function.write16(at + CONTROL, wanted);
    let relevant = 7 << MSI_IN_USE | MSI_ENABLE;
    Some(function.read16(at + CONTROL) & relevant == wanted && function.read32(at + 4) == low)
}

fn enable_msix<H: ConfigSpace + BarRegisters>(
    hardware: &H,
    function: &Function<'_, H>,
    entry: &FunctionEntry,
) -> Option<bool> {
    let at = ordinary(function, CAPABILITY_MSIX).ok()??;
    function.write16(at + CONTROL, MSIX_ENABLE | MSIX_MASK);
    let [low, high] = halves(entry.message_address);
    let first = entry.table_offset % PAGE;
    let entries = u32::from(function.read16(at + CONTROL) & MSIX_ENTRIES) + 1;
    let write = |offset, value| hardware.write32(entry.table_va, entry.table_len, offset, value);
    for vector in 0..entries {
        let place = first + vector * ENTRY;
        if vector < entry.vectors {
            write(place, low);
            write(place + 4, high);
            write(place + 8, vector);
            write(place + 12, 0);
        } else {
            write(place + 12, ENTRY_MASK);
        }
    }
    // The last read is behind all writes to the same device.
    let kept = (0..entry.vectors).all(|vector| {
        let place = first + vector * ENTRY + 8;
        hardware.read32(entry.table_va, entry.table_len, place) == vector
    });
    function.write16(at + CONTROL, MSIX_ENABLE);
    let control = function.read16(at + CONTROL) & (MSIX_ENABLE | MSIX_MASK);
    Some(kept && control == MSIX_ENABLE)
}

fn halves(address: u64) -> [u32; 2] {
    [address as u32, (address >> 32) as u32]
}

/// Lets a function send no more messages. It is no bus master any more.
pub(crate) fn disable<C: ConfigSpace>(function: &Function<'_, C>, entry: &FunctionEntry) {
    let id = match signalling(entry) {
        Signalling::Line => return,
        Signalling::Msi => CAPABILITY_MSI,
        Signalling::MsiX => CAPABILITY_MSIX,
    };
    if let Ok(Some(at)) = ordinary(function, id) {
        function.write16(at + CONTROL, 0);
    }
}

/// Whether a function sends messages by the planned capability exactly if it is bus master, and by no other.
pub(crate) fn are_as_set<C: ConfigSpace>(
    function: &Function<'_, C>,
    entry: &FunctionEntry,
    master: bool,
) -> Result<bool, Broken> {
    for (by, id, enable) in [
        (Signalling::Msi, CAPABILITY_MSI, MSI_ENABLE),
        (Signalling::MsiX, CAPABILITY_MSIX, MSIX_ENABLE),
    ] {
        let planned = master && signalling(entry) == by;
        let found = ordinary(function, id)?;
        let on = found.is_some_and(|at| function.read16(at + CONTROL) & enable != 0);
        if on != planned {
            return Ok(false);
        }
    }
    Ok(true)
}
