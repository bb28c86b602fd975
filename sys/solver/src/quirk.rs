//! Devices whose behaviour does not follow from their capabilities, as data.
//!
//! A row is a fact about devices with the place it was learned from. `linux` mode believes rows that
//! declare isolation; `strict` mode does not, as nothing in the hardware confirms them. Rows about
//! aliases hold in both modes: they make sets larger. Chipsets that never meet an SMMU (x86 hosts) are
//! left out.

use crate::model::{FunctionKind, Identity};

/// Which devices of a vendor a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Devices {
    /// All.
    Any,
    /// Those with one of these device ids.
    Ids(&'static [u16]),
    /// Those whose device id has this value under this mask.
    Masked(u16, u16),
}

/// What a row says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The vendor says that requests are kept apart, although ACS does not say so.
    DeclaresIsolation,
    /// It also issues requests under another function number of its own device.
    AliasFunction(u8),
    /// It also issues requests under these device and function numbers, `device << 3 | function`.
    AliasSlots(&'static [u8]),
    /// A bridge below a PCIe port that hides its PCIe capability: it issues requests as (secondary bus, 00.0).
    UsesSecondary,
    /// Ids are those seen here; what a bridge above it does to them does not matter.
    TranslatesHere,
}

/// One fact.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Vendor id.
    pub vendor: u16,
    /// Which of its devices.
    pub devices: Devices,
    /// Only functions of this kind.
    pub kind: Option<FunctionKind>,
    /// What.
    pub effect: Effect,
    /// Where it was learned.
    pub source: &'static str,
}

const ROOT_PORT: Option<FunctionKind> = Some(FunctionKind::RootPort);

const fn isolated(
    vendor: u16,
    devices: Devices,
    kind: Option<FunctionKind>,
    source: &'static str,
) -> Row {
    Row {
        vendor,
        devices,
        kind,
        effect: Effect::DeclaresIsolation,
        source,
    }
}

const fn alias(vendor: u16, ids: &'static [u16], effect: Effect, source: &'static str) -> Row {
    Row {
        vendor,
        devices: Devices::Ids(ids),
        kind: None,
        effect,
        source,
    }
}

/// All rows.
pub const TABLE: &[Row] = &[
    isolated(
        0x8086,
        Devices::Any,
        Some(FunctionKind::RootComplexEndpoint),
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Intel functions integrated in the root complex",
    ),
    isolated(
        0x8086,
        Devices::Ids(&[
            0x10c6, 0x10db, 0x10dd, 0x10e1, 0x10f1, 0x10f7, 0x10f8, 0x10f9, 0x10fa, 0x10fb, 0x10fc,
            0x1507, 0x1514, 0x151c, 0x1529, 0x152a, 0x154d, 0x154f, 0x1551, 0x1558,
        ]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Intel 82598, 82599, X540",
    ),
    isolated(
        0x8086,
        Devices::Ids(&[0x1509, 0x150e, 0x150f, 0x1510, 0x1511, 0x1516, 0x1527]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Intel 82580",
    ),
    isolated(
        0x8086,
        Devices::Ids(&[
            0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x150a, 0x150d, 0x1518, 0x1526,
        ]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Intel 82576",
    ),
    isolated(
        0x8086,
        Devices::Ids(&[0x10a7, 0x10a9, 0x10d6]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Intel 82575",
    ),
    isolated(
        0x8086,
        Devices::Ids(&[0x1521, 0x1522, 0x1523, 0x1524]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Intel I350",
    ),
    isolated(
        0x8086,
        Devices::Ids(&[0x105e, 0x105f, 0x1060, 0x10d9]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Intel 82571",
    ),
    isolated(
        0x8086,
        Devices::Ids(&[0x15b7, 0x15b8]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Intel I219",
    ),
    isolated(
        0x1924,
        Devices::Ids(&[0x0903, 0x0923, 0x0a03]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Solarflare",
    ),
    isolated(
        0x19a2,
        Devices::Ids(&[0x0710]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Emulex BE3-R",
    ),
    isolated(
        0x10df,
        Devices::Ids(&[0x0720]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Emulex Skyhawk-R",
    ),
    isolated(
        0x14e4,
        Devices::Ids(&[
            0x16d7, 0x1750, 0x1751, 0x1752, 0x1760, 0x1761, 0x1762, 0x1763,
        ]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Broadcom multi-function NICs",
    ),
    isolated(
        0x8088,
        Devices::Masked(0xfff0, 0x0100),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Wangxun 1G",
    ),
    isolated(
        0x8088,
        Devices::Ids(&[0x1001, 0x2001]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Wangxun 10G",
    ),
    isolated(
        0x177d,
        Devices::Ids(&[0xa026, 0xa059, 0xa060]),
        None,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Cavium multi-function devices",
    ),
    isolated(
        0x177d,
        Devices::Masked(0xf800, 0xa000),
        ROOT_PORT,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Cavium ThunderX root ports",
    ),
    isolated(
        0x177d,
        Devices::Ids(&[0xaf84, 0xb884]),
        ROOT_PORT,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Marvell ThunderX2 and 3 root ports",
    ),
    isolated(
        0x17cb,
        Devices::Ids(&[0x0400, 0x0401]),
        ROOT_PORT,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Qualcomm QDF2xxx root ports",
    ),
    isolated(
        0x1dbf,
        Devices::Ids(&[0x0401]),
        ROOT_PORT,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: HXT SD4800 root ports",
    ),
    isolated(
        0x10e8,
        Devices::Ids(&[0xe004]),
        ROOT_PORT,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: APM X-Gene root ports",
    ),
    isolated(
        0x1def,
        Devices::Ids(&[
            0xe005, 0xe006, 0xe007, 0xe008, 0xe009, 0xe00a, 0xe00b, 0xe00c,
        ]),
        ROOT_PORT,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Ampere root ports",
    ),
    isolated(
        0x14e4,
        Devices::Ids(&[0xd714]),
        ROOT_PORT,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Broadcom PAXB root ports",
    ),
    isolated(
        0x1c36,
        Devices::Ids(&[0x0031]),
        ROOT_PORT,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: Annapurna Labs root ports",
    ),
    isolated(
        0x1957,
        Devices::Ids(&[
            0x8d80, 0x8d81, 0x8d82, 0x8d83, 0x8d88, 0x8d89, 0x8d8a, 0x8d8b, 0x8d90, 0x8d91, 0x8d92,
            0x8d93, 0x8d98, 0x8d99, 0x8d9a, 0x8d9b, 0x8da0, 0x8da1, 0x8da8, 0x8da9, 0x8db0, 0x8db1,
            0x8db8, 0x8db9,
        ]),
        ROOT_PORT,
        "Linux 6.12 drivers/pci/quirks.c, ACS table: NXP LX2 root ports",
    ),
    alias(
        0x1180,
        &[0xe832, 0xe476],
        Effect::AliasFunction(0),
        "Linux 6.12 drivers/pci/quirks.c, DMA alias to function 0: Ricoh",
    ),
    alias(
        0x1b4b,
        &[
            0x9120, 0x9123, 0x9125, 0x9128, 0x9130, 0x9170, 0x9172, 0x917a, 0x9182, 0x9183, 0x91a0,
            0x9215, 0x9220, 0x9230, 0x9235,
        ],
        Effect::AliasFunction(1),
        "Linux 6.12 drivers/pci/quirks.c, DMA alias to function 1: Marvell SATA",
    ),
    alias(
        0x1103,
        &[0x0642, 0x0645],
        Effect::AliasFunction(1),
        "Linux 6.12 drivers/pci/quirks.c, DMA alias to function 1: Highpoint",
    ),
    alias(
        0x197b,
        &[0x2392],
        Effect::AliasFunction(1),
        "Linux 6.12 drivers/pci/quirks.c, DMA alias to function 1: JMicron JMB388",
    ),
    alias(
        0x1c28,
        &[0x0122],
        Effect::AliasFunction(1),
        "Linux 6.12 drivers/pci/quirks.c, DMA alias to function 1: Lite-On SSD",
    ),
    alias(
        0x8086,
        &[0x2260, 0x2264],
        Effect::AliasSlots(&[0x10 << 3, 0x11 << 3, 0x12 << 3 | 3]),
        "Linux 6.12 drivers/pci/quirks.c, DMA aliases: Intel MIC x200",
    ),
    alias(
        0x1b21,
        &[0x1080],
        Effect::UsesSecondary,
        "Linux 6.12 drivers/pci/quirks.c, PCIe bridge alias: ASMedia",
    ),
    alias(
        0x10e3,
        &[0x8113],
        Effect::UsesSecondary,
        "Linux 6.12 drivers/pci/quirks.c, PCIe bridge alias: Tundra",
    ),
    alias(
        0x1283,
        &[0x8892, 0x8893],
        Effect::UsesSecondary,
        "Linux 6.12 drivers/pci/quirks.c, PCIe bridge alias: ITE",
    ),
    alias(
        0x8086,
        &[0x244e],
        Effect::UsesSecondary,
        "Linux 6.12 drivers/pci/quirks.c, PCIe bridge alias: Intel 82801",
    ),
    alias(
        0x14e4,
        &[0x9000, 0x9084],
        Effect::TranslatesHere,
        "Linux 6.12 drivers/pci/quirks.c, bridge of the translation unit: ThunderX2",
    ),
];

fn rows(identity: Identity, kind: FunctionKind) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| {
        row.vendor == identity.vendor
            && row.kind.is_none_or(|of| of == kind)
            && match row.devices {
                Devices::Any => true,
                Devices::Ids(ids) => ids.contains(&identity.device),
                Devices::Masked(mask, value) => identity.device & mask == value,
            }
    })
}

/// The row by which a function is said to be isolated.
pub(crate) fn declares_isolation(identity: Identity, kind: FunctionKind) -> Option<&'static Row> {
    rows(identity, kind).find(|row| row.effect == Effect::DeclaresIsolation)
}

/// Further device and function numbers that the function at `devfn` uses.
pub(crate) fn dma_aliases(identity: Identity, kind: FunctionKind, devfn: u8) -> Vec<u8> {
    let mut aliases = Vec::new();
    for row in rows(identity, kind) {
        match row.effect {
            Effect::AliasFunction(function) => aliases.push(devfn & !7 | function),
            Effect::AliasSlots(slots) => aliases.extend_from_slice(slots),
            _ => {}
        }
    }
    aliases.retain(|alias| *alias != devfn);
    aliases
}

/// True if a row with `effect` is about this bridge.
pub(crate) fn has(identity: Identity, kind: FunctionKind, effect: Effect) -> bool {
    rows(identity, kind).any(|row| row.effect == effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_source_and_a_subject() {
        for row in TABLE {
            assert!(row.source.len() > 20, "{row:?}");
            if let Devices::Ids(ids) = row.devices {
                assert!(!ids.is_empty(), "{row:?}");
            }
            if let Devices::Masked(mask, value) = row.devices {
                assert_eq!(value & !mask, 0, "{row:?}");
            }
        }
    }

    #[test]
    fn an_alias_of_itself_is_none() {
        let marvell = Identity {
            vendor: 0x1b4b,
            device: 0x9230,
        };
        assert_eq!(dma_aliases(marvell, FunctionKind::Endpoint, 0x20), [0x21]);
        assert!(dma_aliases(marvell, FunctionKind::Endpoint, 0x21).is_empty());
    }
}
