//! The features of an implementation, from its ID registers.

use crate::registers::{aidr, idr0, idr1, idr3, idr5};

/// Decoded IDR0, IDR1, IDR3, IDR5 and AIDR (§6.3.1 to §6.3.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// Architecture revision: 1 for SMMUv3.1.
    pub minor: u32,
    /// Stage 1 translation.
    pub stage1: bool,
    /// Stage 2 translation.
    pub stage2: bool,
    /// VMSAv8-64 tables.
    pub aarch64_tables: bool,
    /// Tables may be little-endian.
    pub little_endian: bool,
    /// Tables and queues are accessed coherently, given the attributes for it.
    pub coherent: bool,
    /// EL2 stream worlds exist: their TLB entries have their own invalidation.
    pub hypervisor: bool,
    /// ATS: translated traffic has to be checked.
    pub ats: bool,
    /// ASIDs of 16 bits; else 8.
    pub asid16: bool,
    /// The SMMU has two-level stream tables.
    pub two_level_streams: bool,
    /// 0 stall and terminate, 1 terminate only, 2 stall only.
    pub stall_model: u32,
    /// StreamID bits.
    pub stream_bits: u32,
    /// Largest command queue, log2.
    pub command_log2: u32,
    /// Largest event queue, log2.
    pub event_log2: u32,
    /// The table's base cannot be set.
    pub tables_preset: bool,
    /// The queues' bases cannot be set.
    pub queues_preset: bool,
    /// Stream table entries can override memory types and shareability.
    pub overrides_types: bool,
    /// Range invalidation.
    pub range_invalidation: bool,
    /// Hierarchical attributes can be disabled.
    pub hierarchical_disable: bool,
    /// Break-before-make level, 0 to 2.
    pub break_before_make: u32,
    /// Output address bits; 0 if the code is not one this edition defines.
    pub output_bits: u32,
    /// 4 KiB granule.
    pub granule_4k: bool,
}

impl Features {
    /// Reads the features from the values of the registers.
    pub const fn decode(idr0: u32, idr1: u32, idr3: u32, idr5: u32, aidr: u32) -> Self {
        let endian = idr0::TTENDIAN.get32(idr0);
        Self {
            minor: aidr::MINOR.get32(aidr),
            stage1: idr0::S1P.is_set32(idr0),
            stage2: idr0::S2P.is_set32(idr0),
            aarch64_tables: idr0::TTF.get32(idr0) & 0b10 != 0,
            little_endian: endian == 0 || endian == 2,
            coherent: idr0::COHACC.is_set32(idr0),
            hypervisor: idr0::HYP.is_set32(idr0),
            ats: idr0::ATS.is_set32(idr0),
            asid16: idr0::ASID16.is_set32(idr0),
            two_level_streams: idr0::ST_LEVEL.get32(idr0) & 1 != 0,
            stall_model: idr0::STALL_MODEL.get32(idr0),
            stream_bits: idr1::SIDSIZE.get32(idr1),
            command_log2: idr1::CMDQS.get32(idr1),
            event_log2: idr1::EVENTQS.get32(idr1),
            tables_preset: idr1::TABLES_PRESET.is_set32(idr1),
            queues_preset: idr1::QUEUES_PRESET.is_set32(idr1),
            overrides_types: idr1::ATTR_TYPES_OVR.is_set32(idr1),
            range_invalidation: idr3::RIL.is_set32(idr3),
            hierarchical_disable: idr3::HAD.is_set32(idr3),
            break_before_make: idr3::BBML.get32(idr3),
            output_bits: address_bits(idr5::OAS.get32(idr5)),
            granule_4k: idr5::GRAN4K.is_set32(idr5),
        }
    }
}

/// Bits of an address size code of IDR5.OAS and CD.IPS; 0 for an undefined one.
pub const fn address_bits(code: u32) -> u32 {
    match code {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        6 => 52,
        7 => 56,
        _ => 0,
    }
}

/// The code of the largest defined size that is not above `bits`; 0 (32 bits) for anything smaller.
/// 52 bits and more need larger descriptors and are cut to 48.
pub const fn address_code(bits: u32) -> u64 {
    match bits {
        0..=35 => 0,
        36..=39 => 1,
        40..=41 => 2,
        42..=43 => 3,
        44..=47 => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemu_7_2() {
        let f = Features::decode(0x0d40_101a, 0x0273_0010, 0x1404, 0x74, 1);
        assert!(f.stage1 && !f.stage2 && f.aarch64_tables && f.little_endian && f.coherent);
        assert!(f.asid16 && f.two_level_streams && f.range_invalidation && f.granule_4k);
        assert!(f.hierarchical_disable && !f.ats && !f.hypervisor);
        assert!(!f.tables_preset && !f.queues_preset);
        assert_eq!((f.stall_model, f.minor, f.output_bits), (1, 1, 44));
        assert_eq!((f.stream_bits, f.command_log2, f.event_log2), (16, 19, 19));
        assert_eq!(f.break_before_make, 2);
    }

    #[test]
    fn qemu_10_has_stage_2() {
        let f = Features::decode(0x0d44_101b, 0x0273_0010, 0x1414, 0x74, 1);
        assert!(f.stage1 && f.stage2);
    }

    #[test]
    fn one_bit_one_feature() {
        let none = Features::decode(1 << 21, 0, 0, 0, 0);
        assert!(!none.stage1 && !none.little_endian && !none.two_level_streams);
        assert!(Features::decode(1 << 1, 0, 0, 0, 0).stage1);
        assert!(Features::decode(1 << 9, 0, 0, 0, 0).hypervisor);
        assert!(Features::decode(1 << 10, 0, 0, 0, 0).ats);
        assert!(Features::decode(1 << 12, 0, 0, 0, 0).asid16);
        assert_eq!(Features::decode(1 << 25, 0, 0, 0, 0).stall_model, 2);
        assert!(Features::decode(0, 1 << 29, 0, 0, 0).queues_preset);
        assert!(Features::decode(0, 1 << 30, 0, 0, 0).tables_preset);
        assert!(Features::decode(0, 0, 1 << 10, 0, 0).range_invalidation);
    }

    #[test]
    fn address_sizes_round_trip() {
        for code in 0..6 {
            assert_eq!(address_code(address_bits(code)), u64::from(code));
        }
        assert_eq!(address_code(30), 0);
        assert_eq!(address_code(52), 5);
        assert_eq!(address_bits(8), 0);
    }
}
