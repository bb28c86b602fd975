//! Lists of capabilities, read from devices that may lie.
//!
//! A list can be circular, leave its space, or change while it is read. Every walk visits each
//! 32-bit word at most once, so it ends; what it finds lies within the space it belongs to.

use crate::config::{ConfigSpace, Function};
use crate::registers::{CAPABILITIES, CAPABILITY_EXPRESS, EXTENDED, STATUS, STATUS_CAPABILITIES};

/// The list is circular or leaves its space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Broken;

/// End of the space of ordinary capabilities.
const ORDINARY_END: u16 = 0x100;
/// First offset of a capability: behind the header.
const ORDINARY_FIRST: u16 = 0x40;
/// End of a function's configuration space.
const EXTENDED_END: u16 = 0x1000;

/// Which 32-bit words of a function's configuration space were visited.
struct Visited([u64; 16]);

impl Visited {
    const fn new() -> Self {
        Self([0; 16])
    }
    /// Marks the word at `offset`; an error if it was marked or does not exist.
    fn visit(&mut self, offset: u16) -> Result<(), Broken> {
        let word = self.0.get_mut(usize::from(offset >> 8)).ok_or(Broken)?;
        let bit = 1 << (offset >> 2 & 63);
        if *word & bit != 0 {
            return Err(Broken);
        }
        *word |= bit;
        Ok(())
    }
}

/// Offset of the ordinary capability `id`. Walks to the end of the list even if it is found, so that a
/// broken list is noticed.
pub(crate) fn ordinary<C: ConfigSpace>(
    function: &Function<'_, C>,
    id: u8,
) -> Result<Option<u16>, Broken> {
    if function.read16(STATUS) & STATUS_CAPABILITIES == 0 {
        return Ok(None);
    }
    let mut found = None;
    let mut visited = Visited::new();
    let mut at = u16::from(function.read8(CAPABILITIES) & 0xfc);
    while at != 0 {
        if !(ORDINARY_FIRST..ORDINARY_END).contains(&at) {
            return Err(Broken);
        }
        visited.visit(at)?;
        let header = function.read16(at);
        if header as u8 == id && found.is_none() {
            found = Some(at);
        }
        at = header >> 8 & 0xfc;
    }
    Ok(found)
}

/// Offset of the PCI Express capability, whose registers up to device status must fit.
pub(crate) fn express<C: ConfigSpace>(function: &Function<'_, C>) -> Result<Option<u16>, Broken> {
    match ordinary(function, CAPABILITY_EXPRESS)? {
        Some(at) if at > ORDINARY_END - 0x0c => Err(Broken),
        found => Ok(found),
    }
}

/// Offset of the extended capability `id`; a function without the PCI Express capability has none.
/// Registers up to +0x0b lie within the space.
pub(crate) fn extended<C: ConfigSpace>(
    function: &Function<'_, C>,
    id: u16,
) -> Result<Option<u16>, Broken> {
    if express(function)?.is_none() {
        return Ok(None);
    }
    let mut found = None;
    let mut visited = Visited::new();
    let mut at = EXTENDED;
    while at != 0 {
        if !(EXTENDED..EXTENDED_END - 0x0c).contains(&at) {
            return Err(Broken);
        }
        visited.visit(at)?;
        let header = function.read32(at);
        // An empty list is a first header of zeros, or of ones where the extended space is missing.
        if at == EXTENDED && (header == 0 || header == u32::MAX) {
            return Ok(None);
        }
        if header as u16 == id && found.is_none() {
            found = Some(at);
        }
        at = (header >> 20) as u16 & 0xffc;
    }
    Ok(found)
}
