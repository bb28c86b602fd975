//! Base address registers: what they are, and setting them.

use plan::pci::FunctionEntry;

use crate::config::{ConfigSpace, Function};
use crate::registers::{BAR, BRIDGE_ROM, ENDPOINT_ROM, ROM_ENABLE};

/// Bit 0 of a BAR: I/O space.
pub(crate) const IO: u32 = 1 << 0;
/// Bits 2:1 of a memory BAR.
const TYPE: u32 = 3 << 1;
/// The type bits of a BAR of 64 bits, in this register and the next.
const WIDE: u32 = 2 << 1;
/// Bits of a memory BAR that are no address.
const MEMORY_FLAGS: u32 = 0xf;
/// Bits of an I/O BAR that are no address.
const IO_FLAGS: u32 = 0x3;

/// The BARs of a function as probed; the upper half of a 64-bit BAR counts as none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Probed {
    /// Bytes, 0: none.
    pub len: [u64; 6],
    /// Bits 3:0 as the device shows them (of an I/O BAR bit 0 alone).
    pub kind: [u32; 6],
}

/// BARs that a header of this layout has.
pub(crate) const fn count(bridge: bool) -> usize {
    if bridge { 2 } else { 6 }
}

const fn offset(index: usize) -> u16 {
    BAR + 4 * index as u16
}

/// Finds kind and size of every BAR: the kind as the BAR shows it, the size by writing ones, which some devices keep in
/// the bits of the kind as well. Decoding must be off: with it on, the device would answer wherever the ones
/// point. The BARs are left 0.
pub(crate) fn probe<C: ConfigSpace>(function: &Function<'_, C>, bridge: bool) -> Probed {
    let mut probed = Probed::default();
    let count = count(bridge);
    let mut index = 0;
    while index < count {
        let shown = function.read32(offset(index));
        let low = ones(function, index);
        let wide = is_wide(shown) && index + 1 < count;
        let high = if wide { ones(function, index + 1) } else { 0 };
        let (len, kind) = decode(shown, low, wide.then_some(high));
        if let (Some(to_len), Some(to_kind)) =
            (probed.len.get_mut(index), probed.kind.get_mut(index))
        {
            *to_len = len;
            *to_kind = kind;
        }
        index += if wide { 2 } else { 1 };
    }
    probed
}

fn ones<C: ConfigSpace>(function: &Function<'_, C>, index: usize) -> u32 {
    function.write32(offset(index), u32::MAX);
    let value = function.read32(offset(index));
    function.write32(offset(index), 0);
    value
}

/// Whether a BAR with these low bits goes on in the next register. A type of 3 is reserved, and no such BAR is planned.
const fn is_wide(low: u32) -> bool {
    low & IO == 0 && low & TYPE == WIDE
}

/// Size and kind from what a BAR shows, and what ones read back as.
pub(crate) fn decode(shown: u32, low: u32, high: Option<u32>) -> (u64, u32) {
    if low == 0 && high.unwrap_or(0) == 0 {
        return (0, 0);
    }
    if shown & IO != 0 {
        // The upper half of an I/O BAR may be fixed to 0.
        let mask = low & !IO_FLAGS | if low >> 16 == 0 { 0xffff_0000 } else { 0 };
        return (u64::from(mask.wrapping_neg()), IO);
    }
    let kind = shown & MEMORY_FLAGS;
    let mask = u64::from(low & !MEMORY_FLAGS);
    let len = match high {
        Some(high) => (mask | u64::from(high) << 32).wrapping_neg(),
        None => u64::from((mask as u32).wrapping_neg()),
    };
    (len, kind)
}

/// Writes the planned addresses and reads them back; false if one is not kept. I/O BARs and the
/// expansion ROM stay 0: I/O decoding is never turned on, and a ROM has its own enable bit.
pub(crate) fn program<C: ConfigSpace>(
    function: &Function<'_, C>,
    entry: &FunctionEntry,
    bridge: bool,
) -> bool {
    function.write32(if bridge { BRIDGE_ROM } else { ENDPOINT_ROM }, 0);
    let planned = entry
        .bar_len
        .iter()
        .zip(&entry.bar_kind)
        .zip(&entry.bar_address);
    let mut kept = true;
    for (index, ((len, kind), address)) in planned.enumerate().take(count(bridge)) {
        if *len == 0 || kind & IO != 0 {
            continue;
        }
        function.write32(offset(index), *address as u32);
        kept &= function.read32(offset(index)) & !MEMORY_FLAGS == *address as u32;
        if is_wide(*kind) {
            function.write32(offset(index + 1), (*address >> 32) as u32);
            kept &= function.read32(offset(index + 1)) == (*address >> 32) as u32;
        } else {
            kept &= *address >> 32 == 0;
        }
    }
    kept
}

/// Whether the BARs are as [`program`] leaves them, the expansion ROM off.
pub(crate) fn is_programmed<C: ConfigSpace>(
    function: &Function<'_, C>,
    entry: &FunctionEntry,
    bridge: bool,
) -> bool {
    let rom = function.read32(if bridge { BRIDGE_ROM } else { ENDPOINT_ROM });
    let mut programmed = rom & ROM_ENABLE == 0;
    let planned = entry.bar_len.iter().zip(&entry.bar_kind);
    let planned = planned.zip(&entry.bar_address).take(count(bridge));
    let mut upper = None;
    for (index, ((len, kind), address)) in planned.enumerate() {
        let found = function.read32(offset(index));
        let memory = *len != 0 && kind & IO == 0;
        let expected = match upper.take() {
            Some(high) => Some(high),
            None if memory => Some(*address as u32 | kind & MEMORY_FLAGS),
            None => None,
        };
        programmed &= match expected {
            Some(expected) => found == expected,
            // Not there, or I/O, which is not decoded.
            None => found & !MEMORY_FLAGS == 0,
        };
        if memory && is_wide(*kind) {
            upper = Some((*address >> 32) as u32);
        }
    }
    programmed
}

/// Whether the plan has a memory BAR to decode.
pub(crate) fn decodes(entry: &FunctionEntry) -> bool {
    entry
        .bar_len
        .iter()
        .zip(&entry.bar_kind)
        .any(|(len, kind)| *len != 0 && kind & IO == 0)
}
