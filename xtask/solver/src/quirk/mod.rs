//! Devices whose behaviour does not follow from their capabilities, as data.
//!
//! A row is a fact about devices with the place it was learned from. `linux` mode believes rows that
//! declare isolation; `strict` mode does not, as nothing in the hardware confirms them. Rows about
//! aliases, and rows that deny isolation, hold in both modes: they make sets larger.
//!
//! The source is `drivers/pci/quirks.c` of Linux 6.12.y, whose partition `linux` mode gives; rows name the
//! table and the function there. Some are about chipsets of x86: with them the groups of a dump of such a machine can be
//! compared with Linux's. Linux believes some of these only beside an AMD IOMMU, and others once it has set them up through
//! their chipset; a machine that has groups has the one, and is set up.
//!
//! Rows about errata say which ACS bits must not be enabled. The PCI task does not set them, and the plan does not count
//! on them.

mod alias;
mod errata;
mod isolation;

use crate::model::{Acs, Function, FunctionKind, Identity};

/// Which devices of a vendor a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Devices {
    /// All devices of the vendor.
    Any,
    /// Functions with one of these device ids, ascending.
    Ids(&'static [u16]),
    /// Functions whose device id is between these two, both included.
    Range(u16, u16),
}

impl Devices {
    fn contain(&self, device: u16) -> bool {
        match *self {
            Self::Any => true,
            Self::Ids(ids) => ids.binary_search(&device).is_ok(),
            Self::Range(first, last) => (first..=last).contains(&device),
        }
    }
}

/// The effect of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The vendor says that requests are kept apart (all wanted bits), although ACS does not say so.
    DeclaresIsolation,
    /// The same of functions of a slot on a root bus that has several.
    DeclaresRootSlot,
    /// The function is not isolated, whatever its ACS says.
    DeniesIsolation,
    /// The function also issues requests under another function number of its own device.
    AliasFunction(u8),
    /// The function also issues requests under these device and function numbers, `device << 3 |
    /// function`.
    AliasSlots(&'static [u8]),
    /// The function also issues requests under any device and function number of its bus.
    AliasBus,
    /// A bridge below a PCIe port that hides its PCIe capability: it issues requests as (secondary bus, 00.0).
    UsesSecondary,
    /// Ids are those seen here; what a bridge above it does to them does not matter.
    TranslatesHere,
    /// These ACS bits must not be enabled, for the reason given.
    WithoutAcs(u16, &'static str),
}

/// A fact about certain functions.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Vendor id.
    pub vendor: u16,
    /// The devices of that vendor that the row is about.
    pub devices: Devices,
    /// The kinds of functions that the row is about; all kinds if empty.
    pub kinds: &'static [FunctionKind],
    /// The effect of the row.
    pub effect: Effect,
    /// The source of the row.
    pub source: &'static str,
}

impl Row {
    fn about(&self, identity: Identity, kind: FunctionKind) -> bool {
        self.vendor == identity.vendor
            && self.devices.contain(identity.device)
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

/// All tables of facts. Of the rows about isolation the first that is about a function holds.
pub const TABLES: [&[Row]; 3] = [isolation::ROWS, alias::ROWS, errata::ROWS];

fn rows(
    table: &'static [Row],
    identity: Identity,
    kind: FunctionKind,
) -> impl Iterator<Item = &'static Row> {
    table.iter().filter(move |row| row.about(identity, kind))
}

/// The isolation that a row declares for a function: that there is none, or that there is.
pub(crate) fn isolation(identity: Identity, kind: FunctionKind) -> Option<Effect> {
    rows(isolation::ROWS, identity, kind)
        .next()
        .map(|row| row.effect)
}

/// The ACS bits that an erratum rules out for a function, and which erratum.
pub fn erratum(function: &Function) -> Option<(u16, &'static str)> {
    let mut rows = rows(errata::ROWS, function.identity, function.kind);
    rows.find_map(|row| match row.effect {
        Effect::WithoutAcs(bits, erratum) => Some((bits, erratum)),
        _ => None,
    })
}

/// The access control of a function as the PCI task sets it: without the bits that an erratum rules out. `None`: it has
/// none, or none that can be set.
pub fn settable_acs(function: &Function) -> Option<Acs> {
    let ruled_out = erratum(function).map_or(0, |(bits, _)| bits);
    let acs = function.acs.filter(|_| ruled_out != u16::MAX)?;
    Some(Acs {
        enabled: acs.enabled & !ruled_out,
        ..acs
    })
}

/// Further device and function numbers that the function at `devfn` uses, ascending.
pub(crate) fn dma_aliases(identity: Identity, kind: FunctionKind, devfn: u8) -> Vec<u8> {
    let mut aliases = Vec::new();
    for row in rows(alias::ROWS, identity, kind) {
        match row.effect {
            Effect::AliasFunction(function) => aliases.push(devfn & !7 | function),
            Effect::AliasSlots(slots) => aliases.extend_from_slice(slots),
            Effect::AliasBus => aliases.extend(0..=u8::MAX),
            _ => {}
        }
    }
    aliases.retain(|alias| *alias != devfn);
    aliases.sort_unstable();
    aliases.dedup();
    aliases
}

/// True if a row with `effect` is about this bridge.
pub(crate) fn has(identity: Identity, kind: FunctionKind, effect: Effect) -> bool {
    rows(alias::ROWS, identity, kind).any(|row| row.effect == effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vendor: u16, device: u16) -> Identity {
        Identity { vendor, device }
    }

    #[test]
    fn every_row_has_a_source_and_a_subject() {
        for row in TABLES.into_iter().flatten() {
            assert!(
                row.source
                    .starts_with("Linux 6.12.y drivers/pci/quirks.c, "),
                "{row:?}"
            );
            assert_ne!(row.vendor, 0, "{row:?}");
            match row.devices {
                Devices::Any => {}
                Devices::Ids(ids) => {
                    assert!(!ids.is_empty(), "{row:?}");
                    assert!(
                        ids.is_sorted_by(|a, b| a < b),
                        "ascending, each once: {row:?}"
                    );
                }
                Devices::Range(first, last) => assert!(first < last, "{row:?}"),
            }
        }
    }

    /// A device that a row never reaches, as an earlier one is about it, has a row too many.
    #[test]
    fn no_id_is_in_two_rows() {
        for table in TABLES {
            for (index, row) in table.iter().enumerate() {
                let Devices::Ids(ids) = row.devices else {
                    continue;
                };
                for other in &table[..index] {
                    let shadowed = ids.iter().find(|id| {
                        other.vendor == row.vendor
                            && other.kinds == row.kinds
                            && other.devices.contain(**id)
                    });
                    assert_eq!(shadowed, None, "{row:?} and {other:?}");
                }
            }
        }
    }

    #[test]
    fn tables_hold_what_is_theirs() {
        let about_isolation = |effect| {
            use Effect::*;
            matches!(
                effect,
                DeclaresIsolation | DeclaresRootSlot | DeniesIsolation
            )
        };
        let about_errata =
            |row: &Row| matches!(row.effect, Effect::WithoutAcs(bits, _) if bits != 0);
        assert!(errata::ROWS.iter().all(about_errata));
        assert!(!alias::ROWS.iter().any(about_errata));
        assert!(
            isolation::ROWS
                .iter()
                .all(|row| about_isolation(row.effect))
        );
        assert!(alias::ROWS.iter().all(|row| !about_isolation(row.effect)));
        for row in alias::ROWS {
            if let Effect::AliasFunction(function) = row.effect {
                assert!(function < 8, "{row:?}");
            }
        }
    }

    #[test]
    fn an_alias_of_itself_is_none() {
        let marvell = of(0x1b4b, 0x9230);
        assert_eq!(dma_aliases(marvell, FunctionKind::Endpoint, 0x20), [0x21]);
        assert!(dma_aliases(marvell, FunctionKind::Endpoint, 0x21).is_empty());
    }

    #[test]
    fn aliases_of_whole_buses() {
        let bus = dma_aliases(of(0x10b5, 0x87b0), FunctionKind::Endpoint, 8);
        assert_eq!(bus.len(), 255);
        assert!(!bus.contains(&8));
        let slots = dma_aliases(of(0x8086, 0x2954), FunctionKind::Endpoint, 0);
        assert_eq!(slots.len(), 32 * 5 - 1);
        assert!(slots.iter().all(|devfn| devfn & 7 < 5));
    }

    #[test]
    fn the_first_row_about_isolation_holds() {
        let endpoint = |vendor, device| isolation(of(vendor, device), FunctionKind::Endpoint);
        assert_eq!(endpoint(0x8088, 0x010f), Some(Effect::DeclaresIsolation));
        assert_eq!(endpoint(0x8088, 0x0110), Some(Effect::DeniesIsolation));
        assert_eq!(endpoint(0x8086, 0x10d3), None);
        let integrated = FunctionKind::RootComplexEndpoint;
        assert_eq!(
            isolation(of(0x8086, 0x10d3), integrated),
            Some(Effect::DeclaresIsolation)
        );
    }
}
