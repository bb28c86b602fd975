//! The comparison of a function with its entry in the plan.

use pci_api::Mismatch;
use plan::pci::{FunctionEntry, FunctionFlags, Quiesce, port_type};

use crate::address::Address;
use crate::bar;
use crate::config::{ConfigSpace, Function};
use crate::fabric::{self, has};
use crate::registers::{
    EXPRESS_DEVICE, EXPRESS_REGISTER, EXPRESS_RESETS, EXPRESS_TYPE_SHIFT, HEADER_LAYOUT,
    HEADER_MULTIFUNCTION, LAYOUT_BRIDGE, LAYOUT_ENDPOINT, VENDOR_ABSENT,
};

/// A difference from the plan, without the function that has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    pub mismatch: Mismatch,
    pub bar: Option<usize>,
    pub planned: u64,
    pub found: u64,
}

impl Finding {
    /// A difference that is no number.
    pub(crate) const fn plain(mismatch: Mismatch) -> Self {
        Self::number(mismatch, 0, 0)
    }
    pub(crate) const fn number(mismatch: Mismatch, planned: u64, found: u64) -> Self {
        Self {
            mismatch,
            bar: None,
            planned,
            found,
        }
    }
}

/// Vendor id in bits 31:16, device id below, as reports show them.
pub(crate) fn identity_number((vendor_id, device_id): (u16, u16)) -> u64 {
    u64::from(vendor_id) << 16 | u64::from(device_id)
}

fn planned_identity(entry: &FunctionEntry) -> u64 {
    identity_number((entry.vendor_id, entry.device_id))
}

pub(crate) fn missing(entry: &FunctionEntry) -> Finding {
    let nobody = identity_number((VENDOR_ABSENT, VENDOR_ABSENT));
    Finding::number(Mismatch::Missing, planned_identity(entry), nobody)
}

pub(crate) fn identity(entry: &FunctionEntry, found: (u16, u16)) -> Option<Finding> {
    let (planned, found) = (planned_identity(entry), identity_number(found));
    (planned != found).then_some(Finding::number(Mismatch::Identity, planned, found))
}

/// Bit 7 of the header type counts in function 0 only.
pub(crate) fn multifunction(entry: &FunctionEntry, header: u8) -> Option<Finding> {
    let planned = has(entry, FunctionFlags::MULTIFUNCTION);
    let found = header & HEADER_MULTIFUNCTION != 0;
    (Address(entry.rid).function() == 0 && planned != found).then_some(Finding::number(
        Mismatch::Multifunction,
        u64::from(planned),
        u64::from(found),
    ))
}

pub(crate) fn layout(entry: &FunctionEntry, header: u8) -> Option<Finding> {
    let planned = if has(entry, FunctionFlags::BRIDGE) {
        LAYOUT_BRIDGE
    } else {
        LAYOUT_ENDPOINT
    };
    let found = header & HEADER_LAYOUT;
    (planned != found).then_some(Finding::number(
        Mismatch::HeaderType,
        u64::from(planned),
        u64::from(found),
    ))
}

/// `express` is the offset of the PCI Express capability, if there is one.
pub(crate) fn port_type<C: ConfigSpace>(
    entry: &FunctionEntry,
    function: &Function<'_, C>,
    express: Option<u16>,
) -> Option<Finding> {
    let found = match express {
        Some(at) => u32::from(function.read16(at + EXPRESS_REGISTER) >> EXPRESS_TYPE_SHIFT & 0xf),
        None => port_type::CONVENTIONAL,
    };
    let planned = entry.port_type;
    (planned != port_type::ANY && planned != found).then_some(Finding::number(
        Mismatch::PortType,
        u64::from(planned),
        u64::from(found),
    ))
}

/// A recipe that the function cannot carry out: its owner would never be given it.
pub(crate) fn recipe<C: ConfigSpace>(
    entry: &FunctionEntry,
    function: &Function<'_, C>,
    express: Option<u16>,
) -> Option<Finding> {
    let resets = |at| function.read32(at + EXPRESS_DEVICE) & EXPRESS_RESETS != 0;
    let lacks = fabric::recipe(entry) == Quiesce::FunctionReset && !express.is_some_and(resets);
    lacks.then_some(Finding::plain(Mismatch::Recipe))
}

/// Probes the BARs and tells every difference. The host bridge's own function is left alone: what looks
/// like its BARs may be the system's view of memory. An I/O BAR that is not planned is none: I/O is never
/// decoded.
pub(crate) fn bars<C: ConfigSpace>(
    entry: &FunctionEntry,
    function: &Function<'_, C>,
    mut tell: impl FnMut(Finding),
) {
    if has(entry, FunctionFlags::HOST_BRIDGE) || has(entry, FunctionFlags::ANY_BARS) {
        return;
    }
    let probed = bar::probe(function, has(entry, FunctionFlags::BRIDGE));
    let lens = entry.bar_len.iter().zip(&probed.len);
    let kinds = entry.bar_kind.iter().zip(&probed.kind);
    for (index, ((len, found_len), (kind, found_kind))) in lens.zip(kinds).enumerate() {
        let mut differs = |mismatch, planned, found| {
            tell(Finding {
                mismatch,
                bar: Some(index),
                planned,
                found,
            });
        };
        if *len == 0 && found_kind & bar::IO != 0 {
            continue;
        }
        if len != found_len {
            differs(Mismatch::BarSize, *len, *found_len);
        } else if *len != 0 && kind != found_kind {
            differs(Mismatch::BarKind, u64::from(*kind), u64::from(*found_kind));
        }
    }
}
