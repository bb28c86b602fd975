//! Ports whose ACS does harm, or is not where the specification has it, when it is enabled.

use super::{Devices, Effect, Row};
use crate::model::{Acs, FunctionKind};

const PERICOM: Effect = Effect::WithoutAcs(
    Acs::REQUEST_REDIRECT,
    "Pericom erratum E5: with request redirect, unless in store-and-forward mode, the switch holds requests back under load",
);
const IDT: Effect = Effect::WithoutAcs(
    Acs::SOURCE_VALIDATION,
    "IDT erratum 36: source validation takes completions of configuration reads after a reset for forged ones",
);
const SUNRISE_POINT: Effect = Effect::WithoutAcs(
    u16::MAX,
    "Intel errata 22 and 23 of the 100 and 200 series chipsets: the ACS registers have 32 bits each, so that control is not where it belongs",
);

const fn downstream(vendor: u16, ids: &'static [u16], effect: Effect, source: &'static str) -> Row {
    Row {
        vendor,
        devices: Devices::Ids(ids),
        kinds: &[FunctionKind::DownstreamPort],
        effect,
        source,
    }
}

const fn sunrise_point(first: u16, last: u16) -> Row {
    Row {
        vendor: 0x8086,
        devices: Devices::Range(first, last),
        kinds: &[FunctionKind::RootPort],
        effect: SUNRISE_POINT,
        source: "Linux 6.12.y drivers/pci/quirks.c, pci_quirk_intel_spt_pch_acs",
    }
}

pub(super) const ROWS: &[Row] = &[
    downstream(
        0x12d8,
        &[0x2303, 0x2304, 0x2404, 0xb404],
        PERICOM,
        "Linux 6.12.y drivers/pci/quirks.c, pci_fixup_pericom_acs_store_forward",
    ),
    downstream(
        0x111d,
        &[0x80b5],
        IDT,
        "Linux 6.12.y drivers/pci/quirks.c, pci_idt_bus_quirk",
    ),
    sunrise_point(0x9d10, 0x9d1b),
    sunrise_point(0xa110, 0xa11f),
    sunrise_point(0xa167, 0xa16a),
    sunrise_point(0xa290, 0xa29f),
    sunrise_point(0xa2e7, 0xa2ee),
];
