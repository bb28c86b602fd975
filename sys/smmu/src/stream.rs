//! Stream table: level-1 descriptors (§5.1) and entries (§5.2).

use crate::Field;
use crate::features::Features;

/// 64-bit words of an entry.
pub const STE_WORDS: usize = 8;
/// Bytes of an entry.
pub const STE_BYTES: u64 = 64;
/// StreamID bits of the second level that this system uses (`STRTAB_BASE_CFG.SPLIT`): a PCI bus.
pub const SPLIT: u32 = 8;

/// Fields of an STE: word 0, and word 1 from bit 64.
pub mod ste {
    use super::Field;
    /// Valid.
    pub const V: Field = Field::bit(0);
    /// See [`StreamConfig`](super::StreamConfig).
    pub const CONFIG: Field = Field::bits(3, 1);
    /// Format of the table of context descriptors; ignored when `S1CDMAX` is 0.
    pub const S1FMT: Field = Field::bits(5, 4);
    /// The context descriptor.
    pub const S1CONTEXTPTR: Field = Field::bits(55, 6);
    /// log2 of the context descriptors; 0: one, and no substreams.
    pub const S1CDMAX: Field = Field::bits(63, 59);
    /// Word 1, bits 67:66 of the entry: inner cacheability of the CD's fetch.
    pub const S1CIR: Field = Field::bits(3, 2);
    /// Word 1, 69:68: outer cacheability.
    pub const S1COR: Field = Field::bits(5, 4);
    /// Word 1, 71:70: shareability.
    pub const S1CSH: Field = Field::bits(7, 6);
    /// Word 1, 80:77: contiguous neighbours.
    pub const CONT: Field = Field::bits(16, 13);
    /// Word 1, 83: events may be merged.
    pub const MEV: Field = Field::bit(19);
    /// Word 1, 91: no stalls in stage 1. Illegal unless the stall model is configurable.
    pub const S1STALLD: Field = Field::bit(27);
    /// Word 1, 93:92: address translation services.
    pub const EATS: Field = Field::bits(29, 28);
    /// Word 1, 95:94: stream world; 0 is EL1.
    pub const STRW: Field = Field::bits(31, 30);
    /// Word 1, 109:108: shareability override; 1 uses the incoming attribute.
    pub const SHCFG: Field = Field::bits(45, 44);
}

/// `STE.Config`; undefined values abort as `Abort` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum StreamConfig {
    /// Abort, no event.
    Abort = 0b000,
    /// No translation.
    Bypass = 0b100,
    /// Stage 1.
    Stage1 = 0b101,
    /// Stage 2.
    Stage2 = 0b110,
    /// Both stages translate.
    Nested = 0b111,
}

/// A stream table entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamTableEntry(pub [u64; STE_WORDS]);

impl StreamTableEntry {
    /// Aborts every transaction without an event. Its other words are those of [`Self::stage1`] for an
    /// SMMU that cannot stall, so that word 0 alone opens and closes the stream: the SMMU
    /// reads words one by one in any order (§3.21.3), and only a change within one word is never
    /// seen half done.
    pub const fn abort(coherent: bool) -> Self {
        Self([
            abort_word(),
            attributes_word(coherent, false),
            0,
            0,
            0,
            0,
            0,
            0,
        ])
    }
    /// Stage 1 through the context descriptor at `context` (physical, 64-byte aligned), no
    /// substreams, no ATS.
    pub const fn stage1(context: u64, coherent: bool, stall_disable: bool) -> Self {
        Self([
            stage1_word(context),
            attributes_word(coherent, stall_disable),
            0,
            0,
            0,
            0,
            0,
            0,
        ])
    }
    /// Whether the entry is valid.
    pub const fn valid(&self) -> bool {
        ste::V.is_set(self.0[0])
    }
    /// The way in which the entry treats transactions.
    pub const fn config(&self) -> StreamConfig {
        match ste::CONFIG.get(self.0[0]) {
            0b100 => StreamConfig::Bypass,
            0b101 => StreamConfig::Stage1,
            0b110 => StreamConfig::Stage2,
            0b111 => StreamConfig::Nested,
            _ => StreamConfig::Abort,
        }
    }
    /// Physical address of the context descriptor.
    pub const fn context(&self) -> u64 {
        ste::S1CONTEXTPTR.address(self.0[0])
    }
}

/// Word 0 of an aborting entry.
pub const fn abort_word() -> u64 {
    ste::V.put(1) | ste::CONFIG.put(StreamConfig::Abort as u64)
}

/// Word 0 of an entry that translates through the context descriptor at `context`.
pub const fn stage1_word(context: u64) -> u64 {
    ste::V.put(1)
        | ste::CONFIG.put(StreamConfig::Stage1 as u64)
        | ste::S1CONTEXTPTR.address(context)
}

/// Word 0 of an entry that lets transactions through untranslated.
pub const fn bypass_word() -> u64 {
    ste::V.put(1) | ste::CONFIG.put(StreamConfig::Bypass as u64)
}

/// Word 1 of an entry that alternates between aborting and bypass: the shareability of what passes stays as it
/// comes. Where overrides do not exist the field is RES0, and this is what happens anyway (§5.2, SHCFG).
pub const fn bypass_attributes_word(features: &Features) -> u64 {
    ste::SHCFG.put(features.overrides_types as u64)
}

/// Word 1 of both: attributes of the context descriptor's fetch. Everything that overrides
/// attributes stays 0, which is also right where those fields are RES0 (§5.2, SHCFG and on).
pub const fn attributes_word(coherent: bool, stall_disable: bool) -> u64 {
    let attributes = if coherent {
        ste::S1CIR.put(1) | ste::S1COR.put(1) | ste::S1CSH.put(3)
    } else {
        0
    };
    attributes | ste::S1STALLD.put(stall_disable as u64)
}

/// Whether `STE.S1STALLD` must be set: where stalling can be configured, PCIe streams must not
/// (§5.2); elsewhere setting it is illegal.
pub const fn stall_disable(features: &Features) -> bool {
    features.stall_model == 0
}

/// Fields of a level-1 descriptor (§5.1).
pub mod l1std {
    use super::Field;
    /// 0 invalid; n: 2^(n-1) entries.
    pub const SPAN: Field = Field::bits(4, 0);
    /// The array of entries, aligned to its size.
    pub const L2PTR: Field = Field::bits(55, 6);
}

/// A level-1 descriptor of a full level-2 array (2^[`SPLIT`] entries) at `array`, aligned to
/// 16 KiB.
pub const fn level1_descriptor(array: u64) -> u64 {
    l1std::SPAN.put(SPLIT as u64 + 1) | l1std::L2PTR.address(array)
}

/// The array and the number of entries a level-1 descriptor leads to; `None` if its span is invalid.
pub const fn level1_decode(word: u64) -> Option<(u64, u32)> {
    let span = l1std::SPAN.get(word) as u32;
    if span == 0 || span > SPLIT + 1 {
        return None;
    }
    let entries = 1 << (span - 1);
    // The low bits up to the array's size are taken as 0 (§5.1).
    let array = l1std::L2PTR.address(word) & !(entries as u64 * STE_BYTES - 1);
    Some((array, entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abort_is_valid_and_passes_nothing() {
        let entry = StreamTableEntry::abort(true);
        assert!(entry.valid());
        assert_eq!(entry.config(), StreamConfig::Abort);
        assert_eq!(entry.0[0], 1);
    }

    #[test]
    fn stage1_bit_positions() {
        let entry = StreamTableEntry::stage1(0x0000_0fff_1234_5640, true, false);
        assert_eq!(entry.0[0], 0x0000_0fff_1234_5640 | 0b1011);
        assert_eq!(entry.0[1], 0b11_01_01_00);
        assert_eq!(entry.context(), 0x0000_0fff_1234_5640);
        assert_eq!(entry.config(), StreamConfig::Stage1);
        assert!(entry.0[2..].iter().all(|&word| word == 0));
    }

    #[test]
    fn only_word_0_differs_between_open_and_closed() {
        for coherent in [false, true] {
            let open = StreamTableEntry::stage1(0x4000_0040, coherent, false);
            let closed = StreamTableEntry::abort(coherent);
            assert_ne!(open.0[0], closed.0[0]);
            assert_eq!(open.0[1..], closed.0[1..]);
        }
    }

    #[test]
    fn stall_disable_is_bit_91() {
        assert_eq!(attributes_word(false, true), 1 << (91 - 64));
        let configurable = Features::decode(0, 0, 0, 0, 0);
        let terminate = Features::decode(1 << 24, 0, 0, 0, 0);
        assert!(stall_disable(&configurable) && !stall_disable(&terminate));
    }

    #[test]
    fn word_1_positions_are_entry_positions_minus_64() {
        assert_eq!(ste::S1CIR.mask(), 0b11 << (66 - 64));
        assert_eq!(ste::S1COR.mask(), 0b11 << (68 - 64));
        assert_eq!(ste::S1CSH.mask(), 0b11 << (70 - 64));
        assert_eq!(ste::CONT.mask(), 0b1111 << (77 - 64));
        assert_eq!(ste::MEV.mask(), 1 << (83 - 64));
        assert_eq!(ste::EATS.mask(), 0b11 << (92 - 64));
        assert_eq!(ste::STRW.mask(), 0b11 << (94 - 64));
        assert_eq!(ste::SHCFG.mask(), 0b11 << (108 - 64));
    }

    #[test]
    fn level_1() {
        let word = level1_descriptor(0x4321_4000);
        assert_eq!(word, 0x4321_4009);
        assert_eq!(level1_decode(word), Some((0x4321_4000, 256)));
        assert_eq!(level1_decode(0x4321_4000), None);
        assert_eq!(level1_decode(0x4321_400a), None);
        assert_eq!(level1_decode(0x4321_4fc1), Some((0x4321_4fc0, 1)));
        assert_eq!(level1_decode(0x4321_4fc9), Some((0x4321_4000, 256)));
    }

    #[test]
    fn undefined_config_aborts() {
        for config in 0..4 {
            let entry = StreamTableEntry([1 | config << 1, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(entry.config(), StreamConfig::Abort);
        }
    }
}
