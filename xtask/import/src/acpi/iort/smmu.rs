//! Nodes of SMMUs (DEN 0049, tables 8 and 10).

use super::super::finding::{FIRMWARE, Findings};
use super::head::Head;
use super::mapping::Mapping;
use super::node::Node;

/// An SMMUv3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SmmuV3 {
    /// What every node has.
    pub head: Head,
    /// Address of its registers.
    pub base: u64,
    /// Flags.
    pub flags: u32,
    /// Address of its page for address translation operations, 0 for none.
    pub vatos: u64,
    /// Implementation: 1 and 2 have errata that only this field tells.
    pub model: u32,
    /// Its wired interrupts.
    pub interrupts: SmmuInterrupts,
    /// Part of the machine's memory that it is near to, if that is said.
    pub proximity_domain: Option<u32>,
    /// Index of the mapping that is its own DeviceID, as the table has it; revision 0 has no such field.
    pub device_id_index: Option<u32>,
    /// Index of that mapping where it counts.
    pub device_id_mapping: Option<usize>,
}

/// Wired interrupts of an SMMUv3; 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SmmuInterrupts {
    /// An event was recorded.
    pub event: u32,
    /// A page request came.
    pub pri: u32,
    /// A global error happened.
    pub error: u32,
    /// A `CMD_SYNC` is complete.
    pub sync: u32,
}

impl SmmuInterrupts {
    /// All of them under the names of the binding `arm,smmu-v3`.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u32); 4] {
        [
            ("event", self.event),
            ("priq", self.pri),
            ("error", self.error),
            ("cmdq-sync", self.sync),
        ]
    }

    fn all_wired(&self) -> bool {
        self.named().iter().all(|(_, gsiv)| *gsiv != 0)
    }
}

impl SmmuV3 {
    /// The table says that its walks snoop the caches; otherwise its `SMMU_IDR0` decides.
    #[must_use]
    pub fn coherent_override(&self) -> bool {
        self.flags & 1 != 0
    }

    /// How hardware updates of flags are overridden.
    #[must_use]
    pub fn update_override(&self) -> u32 {
        self.flags >> 1 & 3
    }

    /// The flag that says that the DeviceID index counts, from revision 5 on.
    #[must_use]
    pub fn device_id_flag(&self) -> bool {
        self.flags & DEVICE_ID_VALID != 0
    }

    /// The mappings that make DeviceIDs of StreamIDs.
    pub fn ranges(&self) -> impl Iterator<Item = &Mapping> {
        let mappings = self.head.mappings.iter().enumerate();
        mappings
            .filter(|(index, mapping)| Some(*index) != self.device_id_mapping && !mapping.single)
            .map(|(_, mapping)| mapping)
    }

    /// Bytes of its registers, which no table says: two frames of 64 KiB, or one (Cavium CN99xx, erratum 74).
    #[must_use]
    pub fn register_bytes(&self) -> u64 {
        let frames = if self.model == ONE_FRAME { 1 } else { 2 };
        frames * (64 << 10)
    }

    /// Name of the implementation.
    #[must_use]
    pub fn model_name(&self) -> &'static str {
        match self.model {
            0 => "generic",
            1 => "hisilicon hi161x",
            2 => "cavium cn99xx",
            _ => "unknown",
        }
    }
}

/// Model of an SMMUv3 that has one frame of registers.
const ONE_FRAME: u32 = 2;
/// Flags of an SMMUv3.
const PROXIMITY_VALID: u32 = 1 << 3;
const DEVICE_ID_VALID: u32 = 1 << 4;
/// Bytes of a node of revision 0, and revision in which a flag says whether the DeviceID index counts.
const OLDEST: usize = 60;
const DEVICE_ID_FLAG: u8 = 5;

pub fn v3(node: &Node<'_>, head: Head, findings: &mut Findings<'_>) -> Option<SmmuV3> {
    let fields = node.fields(OLDEST);
    let flags = fields.u32(24)?;
    let interrupts = SmmuInterrupts {
        event: fields.u32(44)?,
        pri: fields.u32(48)?,
        error: fields.u32(52)?,
        sync: fields.u32(56)?,
    };
    let newer = node.revision >= 1;
    let mut smmu = SmmuV3 {
        base: fields.u64(16)?,
        flags,
        vatos: fields.u64(32)?,
        model: fields.u32(40)?,
        interrupts,
        proximity_domain: fields
            .u32(60)
            .filter(|_| newer && flags & PROXIMITY_VALID != 0),
        device_id_index: fields.u32(64).filter(|_| newer),
        device_id_mapping: None,
        head,
    };
    let counts = if node.revision >= DEVICE_ID_FLAG {
        smmu.device_id_flag()
    } else {
        newer && !interrupts.all_wired()
    };
    if let Some(index) = smmu.device_id_index.filter(|_| counts) {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match smmu.head.mappings.get(index) {
            Some(mapping) => {
                smmu.device_id_mapping = Some(index);
                if !mapping.single {
                    findings.warning(
                        node.offset + 64,
                        format!("mapping {index} is to give the SMMU's own DeviceID, and has no single flag: the DeviceID is not known"),
                        FIRMWARE,
                    );
                }
            }
            // An index without any mapping is how older firmware says that there is none.
            None if index == 0 && smmu.head.mappings.is_empty() => {}
            None => findings.warning(
                node.offset + 64,
                format!(
                    "the DeviceID mapping index is {index}, and the SMMU has {} mappings: its own DeviceID is not known",
                    smmu.head.mappings.len()
                ),
                FIRMWARE,
            ),
        }
    }
    for (index, mapping) in smmu.head.mappings.iter().enumerate() {
        if mapping.single && Some(index) != smmu.device_id_mapping {
            findings.warning(
                node.offset,
                format!("mapping {index} of the SMMUv3 node has the single flag, which counts for the SMMU's own DeviceID only: DeviceIDs of StreamIDs at the ITS are not known by it"),
                FIRMWARE,
            );
        }
    }
    Some(smmu)
}

/// An SMMUv1 or SMMUv2, which is not driven here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OldSmmu {
    /// What every node has.
    pub head: Head,
    /// Address of its registers.
    pub base: u64,
    /// Bytes of them.
    pub span: u64,
    /// Implementation.
    pub model: u32,
    /// Flags; bit 1 says that walks snoop the caches.
    pub flags: u32,
    /// How many interrupts its contexts have.
    pub context_interrupts: u32,
}

impl OldSmmu {
    /// Name of the implementation.
    #[must_use]
    pub fn model_name(&self) -> &'static str {
        match self.model {
            0 => "SMMUv1",
            1 => "SMMUv2",
            2 => "MMU-400 or MMU-401",
            3 => "MMU-500",
            4 => "MMU-401",
            5 => "SMMUv2 of ThunderX",
            _ => "SMMUv1 or SMMUv2",
        }
    }
}

pub fn old(node: &Node<'_>, head: Head) -> Option<OldSmmu> {
    let fields = node.bytes;
    Some(OldSmmu {
        base: fields.u64(16)?,
        span: fields.u64(24)?,
        model: fields.u32(32)?,
        flags: fields.u32(36)?,
        context_interrupts: fields.u32(44)?,
        head,
    })
}
