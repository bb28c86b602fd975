//! Requester ids that devices use beside their own.

use super::{Devices, Effect, Row};

macro_rules! source {
    ($row:literal) => {
        concat!("Linux 6.12.y drivers/pci/quirks.c, ", $row)
    };
}

const fn alias(vendor: u16, ids: &'static [u16], effect: Effect, source: &'static str) -> Row {
    Row {
        vendor,
        devices: Devices::Ids(ids),
        kinds: &[],
        effect,
        source,
    }
}

/// Functions 0 to 4 of every slot.
const FIVE_FUNCTIONS: [u8; 160] = {
    let mut slots = [0; 160];
    let mut index = 0;
    while index < slots.len() {
        slots[index] = (((index / 5) << 3) | (index % 5)) as u8;
        index += 1;
    }
    slots
};

pub(super) const ROWS: &[Row] = &[
    alias(
        0x1180,
        &[0xe476, 0xe832],
        Effect::AliasFunction(0),
        source!("quirk_dma_func0_alias: Ricoh"),
    ),
    alias(
        0x6766,
        &[0x3d40, 0x3d41],
        Effect::AliasFunction(0),
        source!("quirk_dma_func0_alias: Glenfly"),
    ),
    alias(
        0x1b4b,
        &[
            0x9120, 0x9123, 0x9125, 0x9128, 0x9130, 0x9170, 0x9172, 0x917a, 0x9182, 0x9183, 0x91a0,
            0x9215, 0x9220, 0x9230, 0x9235,
        ],
        Effect::AliasFunction(1),
        source!("quirk_dma_func1_alias: Marvell SATA"),
    ),
    alias(
        0x1103,
        &[0x0642, 0x0645],
        Effect::AliasFunction(1),
        source!("quirk_dma_func1_alias: HighPoint"),
    ),
    alias(
        0x197b,
        &[0x2392],
        Effect::AliasFunction(1),
        source!("quirk_dma_func1_alias: JMicron JMB388"),
    ),
    alias(
        0x1c28,
        &[0x0122],
        Effect::AliasFunction(1),
        source!("quirk_dma_func1_alias: Plextor M6e"),
    ),
    // Linux also looks at the subsystem, which identities here do not have.
    alias(
        0x9005,
        &[0x0285],
        Effect::AliasSlots(&[1 << 3]),
        source!("fixed_dma_alias_tbl: Adaptec 3405 and 3805"),
    ),
    alias(
        0x8086,
        &[0x2260, 0x2264],
        Effect::AliasSlots(&[0x10 << 3, 0x11 << 3, 0x12 << 3 | 3]),
        source!("quirk_mic_x200_dma_alias: Intel MIC x200"),
    ),
    alias(
        0x8086,
        &[0x2954, 0x2955, 0x2956, 0x2958, 0x2959, 0x295a],
        Effect::AliasSlots(&FIVE_FUNCTIONS),
        source!("quirk_pex_vca_alias: Intel Visual Compute Accelerator"),
    ),
    // Linux reads which ids these are from registers of the device.
    alias(
        0x11f8,
        &[
            0x4000, 0x4028, 0x4036, 0x4052, 0x4068, 0x4084, 0x4100, 0x4128, 0x4136, 0x4152, 0x4168,
            0x4184, 0x4200, 0x4228, 0x4236, 0x4252, 0x4268, 0x4284, 0x4328, 0x4336, 0x4352, 0x4428,
            0x4436, 0x4452, 0x4528, 0x4536, 0x4552, 0x5000, 0x5028, 0x5036, 0x5052, 0x5068, 0x5084,
            0x5100, 0x5128, 0x5136, 0x5152, 0x5168, 0x5184, 0x5200, 0x5228, 0x5236, 0x5252, 0x5268,
            0x5284, 0x5300, 0x5328, 0x5336, 0x5352, 0x5368, 0x5384, 0x5400, 0x5428, 0x5436, 0x5452,
            0x5468, 0x5484, 0x5500, 0x5528, 0x5536, 0x5552, 0x5568, 0x5584, 0x8531, 0x8532, 0x8533,
            0x8534, 0x8535, 0x8536, 0x8541, 0x8542, 0x8543, 0x8544, 0x8545, 0x8546, 0x8551, 0x8552,
            0x8553, 0x8554, 0x8555, 0x8556, 0x8561, 0x8562, 0x8563, 0x8564, 0x8565, 0x8566, 0x8571,
            0x8572, 0x8573, 0x8574, 0x8575, 0x8576,
        ],
        Effect::AliasBus,
        source!("quirk_switchtec_ntb_dma_alias: Switchtec"),
    ),
    alias(
        0x10b5,
        &[0x87b0, 0x87b1],
        Effect::AliasBus,
        source!("quirk_plx_ntb_dma_alias: PLX"),
    ),
    alias(
        0x1b21,
        &[0x1080],
        Effect::UsesSecondary,
        source!("quirk_use_pcie_bridge_dma_alias: ASMedia ASM1083 and 1085"),
    ),
    alias(
        0x10e3,
        &[0x8113],
        Effect::UsesSecondary,
        source!("quirk_use_pcie_bridge_dma_alias: Tundra 8113"),
    ),
    alias(
        0x1283,
        &[0x8892, 0x8893],
        Effect::UsesSecondary,
        source!("quirk_use_pcie_bridge_dma_alias: ITE 8892 and 8893"),
    ),
    alias(
        0x8086,
        &[0x244e],
        Effect::UsesSecondary,
        source!("quirk_use_pcie_bridge_dma_alias: Intel 82801"),
    ),
    alias(
        0x14e4,
        &[0x9000, 0x9084],
        Effect::TranslatesHere,
        source!("quirk_bridge_cavm_thrx2_pcie_root: ThunderX2"),
    ),
];
