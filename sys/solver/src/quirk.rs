//! Devices whose behaviour does not follow from their capabilities, as data.
//!
//! A row is a fact about a device with the place it was learned from. `linux` mode believes rows that
//! declare isolation; `strict` mode does not, as nothing in the hardware confirms them. Rows about
//! aliases hold in both modes: they make sets larger.

use crate::model::{FunctionKind, Identity};

/// Which devices a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// One vendor and device id.
    Device(u16, u16),
    /// Every device of a vendor that is of this kind.
    Vendor(u16, FunctionKind),
}

/// What a row says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The vendor says that its functions do not reach each other, although they lack ACS.
    DeclaresIsolation,
    /// It also issues requests under another function number of its own device.
    AliasFunction(u8),
    /// It also issues requests under another device and function number, `device << 3 | function`.
    AliasSlot(u8),
    /// A bridge without PCIe capability that yet issues requests as (secondary bus, 00.0).
    UsesSecondary,
}

/// One fact.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// About whom.
    pub applies: Match,
    /// What.
    pub effect: Effect,
    /// Where it was learned.
    pub source: &'static str,
}

const INTEL: u16 = 0x8086;

/// All rows.
pub const TABLE: &[Row] = &[Row {
    applies: Match::Vendor(INTEL, FunctionKind::RootComplexEndpoint),
    effect: Effect::DeclaresIsolation,
    source: "Linux 6.12 drivers/pci/quirks.c, pci_dev_acs_enabled: Intel functions integrated in the root complex",
}];

fn rows(identity: &Identity, kind: Option<FunctionKind>) -> impl Iterator<Item = &'static Row> {
    let identity = *identity;
    TABLE.iter().filter(move |row| match row.applies {
        Match::Device(vendor, device) => (vendor, device) == (identity.vendor, identity.device),
        Match::Vendor(vendor, of) => vendor == identity.vendor && kind == Some(of),
    })
}

/// The row by which a function is said to be isolated.
pub(crate) fn declares_isolation(identity: &Identity, kind: FunctionKind) -> Option<&'static Row> {
    rows(identity, Some(kind)).find(|row| row.effect == Effect::DeclaresIsolation)
}

/// Further device and function numbers that the function at `devfn` uses.
pub(crate) fn dma_aliases(identity: &Identity, devfn: u8) -> Vec<u8> {
    rows(identity, None)
        .filter_map(|row| match row.effect {
            Effect::AliasFunction(function) => Some(devfn & !7 | function),
            Effect::AliasSlot(slot) => Some(slot),
            _ => None,
        })
        .filter(|alias| *alias != devfn)
        .collect()
}

/// True for a conventional bridge that issues requests as (secondary bus, 00.0).
pub(crate) fn uses_secondary(identity: &Identity) -> bool {
    rows(identity, None).any(|row| row.effect == Effect::UsesSecondary)
}
