//! Bus numbers and windows of a bridge.

use plan::pci::FunctionEntry;

use crate::config::{ConfigSpace, Function};
use crate::registers::{
    BRIDGE_CONTROL, BRIDGE_RESET, BUS_NUMBERS, IO_UPPER, IO_WINDOW, MEMORY_WINDOW,
    PREFETCH_BASE_UPPER, PREFETCH_LIMIT_UPPER, PREFETCH_WINDOW,
};

/// An I/O window whose base is above its limit: forwards nothing.
const IO_CLOSED: u16 = 0x00f0;
/// Bits of a memory window's register that are addresses.
const WINDOW_BITS: u32 = 0xfff0_fff0;

/// A window's base and limit as its register holds them, and the upper halves; base above limit
/// forwards nothing.
pub(crate) fn encode([base, limit]: [u64; 2]) -> (u32, u32, u32) {
    if base > limit {
        return (0x0000_fff0, u32::MAX, 0);
    }
    let low = (base >> 16) as u32 & 0xfff0 | limit as u32 & 0xfff0_0000;
    (low, (base >> 32) as u32, (limit >> 32) as u32)
}

/// Takes a bridge's bus numbers and windows away: it forwards nothing and answers for no bus.
pub(crate) fn close<C: ConfigSpace>(function: &Function<'_, C>) {
    const CLOSED: [u64; 2] = [u64::MAX, 0];
    function.write32(BUS_NUMBERS, 0);
    windows(function, CLOSED, CLOSED);
}

fn windows<C: ConfigSpace>(function: &Function<'_, C>, memory: [u64; 2], prefetch: [u64; 2]) {
    let (low, ..) = encode(memory);
    function.write32(MEMORY_WINDOW, low);
    let (low, base, limit) = encode(prefetch);
    function.write32(PREFETCH_WINDOW, low);
    function.write32(PREFETCH_BASE_UPPER, base);
    function.write32(PREFETCH_LIMIT_UPPER, limit);
    function.write16(IO_WINDOW, IO_CLOSED);
    function.write32(IO_UPPER, 0);
    // Also ends a reset that was left on, and the forwarding of VGA addresses.
    function.write16(BRIDGE_CONTROL, 0);
}

/// Sets the planned bus numbers and windows and reads them back; false if they are not kept.
pub(crate) fn open<C: ConfigSpace>(function: &Function<'_, C>, entry: &FunctionEntry) -> bool {
    function.write32(BUS_NUMBERS, numbers(entry));
    windows(function, entry.memory_window, entry.prefetch_window);
    function.read32(BUS_NUMBERS) & 0x00ff_ffff == numbers(entry) && kept(function, entry)
}

fn numbers(entry: &FunctionEntry) -> u32 {
    let [primary, secondary, subordinate, _] = entry.buses;
    u32::from_le_bytes([primary, secondary, subordinate, 0])
}

/// Whether a bridge has the planned bus numbers and windows, and resets nothing.
pub(crate) fn is_open<C: ConfigSpace>(function: &Function<'_, C>, entry: &FunctionEntry) -> bool {
    function.read32(BUS_NUMBERS) & 0x00ff_ffff == numbers(entry)
        && function.read16(BRIDGE_CONTROL) & BRIDGE_RESET == 0
        && kept(function, entry)
}

fn kept<C: ConfigSpace>(function: &Function<'_, C>, entry: &FunctionEntry) -> bool {
    let (low, ..) = encode(entry.memory_window);
    if function.read32(MEMORY_WINDOW) & WINDOW_BITS != low {
        return false;
    }
    let (low, base, limit) = encode(entry.prefetch_window);
    let found = function.read32(PREFETCH_WINDOW);
    // A bridge without a prefetchable window reads 0 in all of it, which is as good as a closed one.
    if entry.prefetch_window[0] > entry.prefetch_window[1] {
        return found == 0 || found & WINDOW_BITS == low;
    }
    found & WINDOW_BITS == low
        && function.read32(PREFETCH_BASE_UPPER) == base
        && function.read32(PREFETCH_LIMIT_UPPER) == limit
}
