//! Isolation that vendors declare, in the order of Linux's table.

use super::{Devices, Effect, Row};
use crate::model::FunctionKind;

const ANY: &[FunctionKind] = &[];
const ROOT_PORT: &[FunctionKind] = &[FunctionKind::RootPort];
const PORTS: &[FunctionKind] = &[FunctionKind::RootPort, FunctionKind::DownstreamPort];

/// The source of rows from Linux's `pci_dev_acs_enabled`.
macro_rules! source {
    ($row:literal) => {
        concat!(
            "Linux 6.12.y drivers/pci/quirks.c, pci_dev_acs_enabled, ",
            $row
        )
    };
}

const fn declares(
    vendor: u16,
    devices: Devices,
    kinds: &'static [FunctionKind],
    source: &'static str,
) -> Row {
    Row {
        vendor,
        devices,
        kinds,
        effect: Effect::DeclaresIsolation,
        source,
    }
}

const fn denies(
    vendor: u16,
    devices: Devices,
    kinds: &'static [FunctionKind],
    source: &'static str,
) -> Row {
    Row {
        effect: Effect::DeniesIsolation,
        ..declares(vendor, devices, kinds, source)
    }
}

/// A slot of an AMD southbridge, of a machine with an AMD IOMMU.
const fn southbridge(vendor: u16, ids: &'static [u16]) -> Row {
    Row {
        effect: Effect::DeclaresRootSlot,
        ..declares(
            vendor,
            Devices::Ids(ids),
            ANY,
            source!("pci_quirk_amd_sb_acs: AMD southbridges"),
        )
    }
}

const fn chipset(devices: Devices) -> Row {
    declares(
        0x8086,
        devices,
        ROOT_PORT,
        source!("pci_quirk_intel_pch_acs: root ports of Intel chipsets without ACS"),
    )
}

pub(super) const ROWS: &[Row] = &[
    southbridge(0x1002, &[0x4383, 0x4384, 0x4385, 0x4399, 0x439c, 0x439d]),
    southbridge(0x1022, &[0x7809, 0x780f]),
    declares(
        0x1924,
        Devices::Ids(&[0x0903, 0x0923, 0x0a03]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Solarflare"),
    ),
    declares(
        0x8086,
        Devices::Ids(&[
            0x10c6, 0x10db, 0x10dd, 0x10e1, 0x10f1, 0x10f7, 0x10f8, 0x10f9, 0x10fa, 0x10fb, 0x10fc,
            0x1507, 0x1514, 0x151c, 0x1529, 0x152a, 0x154d, 0x154f, 0x1551, 0x1558,
        ]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Intel 82598, 82599, X540"),
    ),
    declares(
        0x8086,
        Devices::Ids(&[0x1509, 0x150e, 0x150f, 0x1510, 0x1511, 0x1516, 0x1527]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Intel 82580"),
    ),
    declares(
        0x8086,
        Devices::Ids(&[
            0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x150a, 0x150d, 0x1518, 0x1526,
        ]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Intel 82576"),
    ),
    declares(
        0x8086,
        Devices::Ids(&[0x10a7, 0x10a9, 0x10d6]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Intel 82575"),
    ),
    declares(
        0x8086,
        Devices::Ids(&[0x1521, 0x1522, 0x1523, 0x1524]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Intel I350"),
    ),
    declares(
        0x8086,
        Devices::Ids(&[0x105e, 0x105f, 0x1060, 0x10d9]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Intel 82571"),
    ),
    declares(
        0x8086,
        Devices::Ids(&[0x15b7, 0x15b8]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Intel I219"),
    ),
    declares(
        0x8086,
        Devices::Any,
        &[FunctionKind::RootComplexEndpoint],
        source!("pci_quirk_rciep_acs: Intel functions integrated in the root complex"),
    ),
    declares(
        0x17cb,
        Devices::Ids(&[0x0115, 0x0400, 0x0401]),
        ANY,
        source!("pci_quirk_qcom_rp_acs: root ports of Qualcomm SA8775P and QDF2xxx"),
    ),
    declares(
        0x1dbf,
        Devices::Ids(&[0x0401]),
        ANY,
        source!("pci_quirk_qcom_rp_acs: root ports of HXT SD4800"),
    ),
    // Ibex Peak, Cougar Point, Panther Point, Lynx Point, Wildcat Point, Patsburg, Wellsburg.
    chipset(Devices::Range(0x3b42, 0x3b51)),
    chipset(Devices::Range(0x1c10, 0x1c1f)),
    chipset(Devices::Range(0x1e10, 0x1e1f)),
    chipset(Devices::Range(0x8c10, 0x8c1f)),
    chipset(Devices::Range(0x9c10, 0x9c1b)),
    chipset(Devices::Range(0x9c90, 0x9c9b)),
    chipset(Devices::Ids(&[
        0x1d10, 0x1d12, 0x1d14, 0x1d16, 0x1d18, 0x1d1a, 0x1d1c, 0x1d1e,
    ])),
    chipset(Devices::Range(0x8d10, 0x8d1e)),
    chipset(Devices::Ids(&[
        0x8c90, 0x8c92, 0x8c94, 0x8c96, 0x8c98, 0x8c9a, 0x8c9c, 0x8c9e,
    ])),
    declares(
        0x19a2,
        Devices::Ids(&[0x0710]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Emulex BE3-R"),
    ),
    declares(
        0x10df,
        Devices::Ids(&[0x0720]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Emulex Skyhawk-R"),
    ),
    declares(
        0x177d,
        Devices::Range(0xa000, 0xa7ff),
        ROOT_PORT,
        source!("pci_quirk_cavium_acs: root ports of Cavium ThunderX"),
    ),
    declares(
        0x177d,
        Devices::Ids(&[0xaf84, 0xb884]),
        ROOT_PORT,
        source!("pci_quirk_cavium_acs: root ports of ThunderX2 and ThunderX3"),
    ),
    declares(
        0x177d,
        Devices::Ids(&[0xa026, 0xa059, 0xa060]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Cavium multifunction devices"),
    ),
    declares(
        0x10e8,
        Devices::Ids(&[0xe004]),
        ANY,
        source!("pci_quirk_xgene_acs: root ports of APM X-Gene"),
    ),
    declares(
        0x1def,
        Devices::Ids(&[
            0xe005, 0xe006, 0xe007, 0xe008, 0xe009, 0xe00a, 0xe00b, 0xe00c,
        ]),
        ANY,
        source!("pci_quirk_xgene_acs: root ports of Ampere"),
    ),
    declares(
        0x14e4,
        Devices::Ids(&[
            0x16d7, 0x1750, 0x1751, 0x1752, 0x1760, 0x1761, 0x1762, 0x1763,
        ]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Broadcom multifunction network devices"),
    ),
    declares(
        0x14e4,
        Devices::Ids(&[0xd714]),
        ANY,
        source!("pci_quirk_brcm_acs: root ports of Broadcom PAXB"),
    ),
    declares(
        0x0014,
        Devices::Ids(&[
            0x3c09, 0x3c19, 0x3c29, 0x7a09, 0x7a19, 0x7a29, 0x7a39, 0x7a49, 0x7a59, 0x7a69,
        ]),
        ANY,
        source!("pci_quirk_loongson_acs: root ports of Loongson"),
    ),
    declares(
        0x1c36,
        Devices::Ids(&[0x0031]),
        ROOT_PORT,
        source!("pci_quirk_al_acs: root ports of Annapurna Labs"),
    ),
    declares(
        0x1d17,
        Devices::Ids(&[0x3038, 0x3104, 0x9083]),
        ANY,
        source!("pci_quirk_mf_endpoint_acs: Zhaoxin multifunction devices"),
    ),
    declares(
        0x1957,
        Devices::Ids(&[
            0x8d80, 0x8d81, 0x8d82, 0x8d83, 0x8d88, 0x8d89, 0x8d8a, 0x8d8b, 0x8d90, 0x8d91, 0x8d92,
            0x8d93, 0x8d98, 0x8d99, 0x8d9a, 0x8d9b, 0x8da0, 0x8da1, 0x8da8, 0x8da9, 0x8db0, 0x8db1,
            0x8db8, 0x8db9,
        ]),
        ANY,
        source!("pci_quirk_nxp_rp_acs: root ports of NXP LX2"),
    ),
    declares(
        0x1d17,
        Devices::Range(0x0710, 0x071e),
        PORTS,
        source!("pci_quirk_zhaoxin_pcie_ports_acs: Zhaoxin root and downstream ports"),
    ),
    declares(
        0x1d17,
        Devices::Ids(&[0x0721]),
        PORTS,
        source!("pci_quirk_zhaoxin_pcie_ports_acs: Zhaoxin root and downstream ports"),
    ),
    declares(
        0x1d17,
        Devices::Range(0x0723, 0x0752),
        PORTS,
        source!("pci_quirk_zhaoxin_pcie_ports_acs: Zhaoxin root and downstream ports"),
    ),
    denies(
        0x1d17,
        Devices::Any,
        PORTS,
        source!("pci_quirk_zhaoxin_pcie_ports_acs: its other ports"),
    ),
    declares(
        0x8088,
        Devices::Range(0x0100, 0x010f),
        ANY,
        source!("pci_quirk_wangxun_nic_acs: Wangxun 1G"),
    ),
    declares(
        0x8088,
        Devices::Ids(&[
            0x1001, 0x2001, 0x5010, 0x5025, 0x5040, 0x5110, 0x5125, 0x5140,
        ]),
        ANY,
        source!("pci_quirk_wangxun_nic_acs: Wangxun 10G to 40G"),
    ),
    denies(
        0x8088,
        Devices::Any,
        ANY,
        source!("pci_quirk_wangxun_nic_acs: its other devices"),
    ),
];
