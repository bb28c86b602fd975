//! Context descriptors (§5.4).

use crate::Field;
use crate::features::{Features, address_bits, address_code};

/// 64-bit words of a descriptor.
pub const CD_WORDS: usize = 8;
/// Bytes of a descriptor.
pub const CD_BYTES: u64 = 64;

/// Fields of a CD: word 0, then TTB0 and HAD0 in word 1 (bits 127:64), MAIR in word 3.
pub mod cd {
    use super::Field;
    /// 64 minus the bits of an input address.
    pub const T0SZ: Field = Field::bits(5, 0);
    /// Granule of TTB0: 0 is 4 KiB, 1 64 KiB, 2 16 KiB.
    pub const TG0: Field = Field::bits(7, 6);
    /// Inner cacheability of walks: 0 none, 1 write-back.
    pub const IR0: Field = Field::bits(9, 8);
    /// Outer cacheability.
    pub const OR0: Field = Field::bits(11, 10);
    /// Shareability: 3 inner.
    pub const SH0: Field = Field::bits(13, 12);
    /// No walks through TTB0.
    pub const EPD0: Field = Field::bit(14);
    /// Big-endian tables.
    pub const ENDI: Field = Field::bit(15);
    /// No walks through TTB1.
    pub const EPD1: Field = Field::bit(30);
    /// Valid.
    pub const V: Field = Field::bit(31);
    /// Size of output addresses, coded as in [`crate::features::address_bits`].
    pub const IPS: Field = Field::bits(34, 32);
    /// Access flag faults are disabled.
    pub const AFFD: Field = Field::bit(35);
    /// Writable is never executable.
    pub const WXN: Field = Field::bit(36);
    /// Top byte of an address in TTB0's range is ignored.
    pub const TBI0: Field = Field::bit(38);
    /// VMSAv8-64 tables.
    pub const AA64: Field = Field::bit(41);
    /// Hardware update of dirty state.
    pub const HD: Field = Field::bit(42);
    /// Hardware update of the access flag.
    pub const HA: Field = Field::bit(43);
    /// Faults stall.
    pub const S: Field = Field::bit(44);
    /// Faults are recorded.
    pub const R: Field = Field::bit(45);
    /// Faults abort; else reads give 0 and writes vanish.
    pub const A: Field = Field::bit(46);
    /// Broadcast invalidation by ASID need not apply.
    pub const ASET: Field = Field::bit(47);
    /// Address space identifier.
    pub const ASID: Field = Field::bits(63, 48);
    /// Word 1, bit 65: hierarchical attributes of TTB0 are ignored.
    pub const HAD0: Field = Field::bit(1);
    /// Word 1, 119:68: the root table.
    pub const TTB0: Field = Field::bits(55, 4);
}

/// The fields of a context descriptor that differ in this system; all others are fixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContextDescriptor {
    /// Root table, physical, page-aligned.
    pub root: u64,
    /// Address space identifier, unique on the SMMU for each set of tables.
    pub asid: u16,
    /// Bits of an input address, 25 to 48.
    pub input_bits: u32,
    /// Bits of an output address.
    pub output_bits: u32,
    /// `MAIR` of the leaf entries' attribute indices.
    pub mair: u64,
    /// Walks are coherent.
    pub coherent: bool,
}

impl ContextDescriptor {
    /// Encodes a valid descriptor: little-endian VMSAv8-64 tables with 4 KiB granule under TTB0, TTB1
    /// off. Faults abort and are recorded; ASET = 1, because this system invalidates by command only.
    /// There are no hardware updates, so that tables stay read-only to the SMMU.
    pub const fn encode(&self) -> [u64; CD_WORDS] {
        let walk = if self.coherent {
            cd::IR0.put(1) | cd::OR0.put(1) | cd::SH0.put(3)
        } else {
            0
        };
        let word0 = cd::T0SZ.put(64 - self.input_bits as u64)
            | walk
            | cd::EPD1.put(1)
            | cd::V.put(1)
            | cd::IPS.put(address_code(self.output_bits))
            | cd::AA64.put(1)
            | cd::R.put(1)
            | cd::A.put(1)
            | cd::ASET.put(1)
            | cd::ASID.put(self.asid as u64);
        [word0, cd::TTB0.address(self.root), 0, self.mair, 0, 0, 0, 0]
    }

    /// Reads a descriptor back; `None` if it is not one that [`Self::encode`] writes.
    #[allow(
        clippy::indexing_slicing,
        reason = "a constant function has no iterator; the loop ends before both lengths"
    )]
    pub const fn decode(words: &[u64; CD_WORDS]) -> Option<Self> {
        let word0 = words[0];
        let bits = 64 - cd::T0SZ.get(word0) as u32;
        let value = Self {
            root: cd::TTB0.address(words[1]),
            asid: cd::ASID.get(word0) as u16,
            input_bits: bits,
            output_bits: address_bits(cd::IPS.get(word0) as u32),
            mair: words[3],
            coherent: cd::IR0.get(word0) != 0,
        };
        let again = value.encode();
        let mut word = 0;
        while word < CD_WORDS {
            if again[word] != words[word] {
                return None;
            }
            word += 1;
        }
        Some(value)
    }

    /// Whether an SMMU with `features` accepts the descriptor (§5.4.2): sizes and ASID within what it has.
    pub const fn legal(&self, features: &Features) -> bool {
        self.input_bits >= 25
            && self.input_bits <= 48
            && self.output_bits <= features.output_bits
            && (features.asid16 || self.asid <= 0xff)
            && (features.output_bits >= 64 || self.root >> features.output_bits == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: ContextDescriptor = ContextDescriptor {
        root: 0x0000_0765_4321_0000,
        asid: 0xa5c3,
        input_bits: 39,
        output_bits: 44,
        mair: 0x0404_00ff,
        coherent: true,
    };

    #[test]
    fn bit_positions() {
        let words = SAMPLE.encode();
        let expected: u64 = 25
            | 0b01 << 8
            | 0b01 << 10
            | 0b11 << 12
            | 1 << 30
            | 1 << 31
            | 4 << 32
            | 1 << 41
            | 1 << 45
            | 1 << 46
            | 1 << 47
            | 0xa5c3 << 48;
        assert_eq!(words[0], expected);
        assert_eq!(words[1], 0x0000_0765_4321_0000);
        assert_eq!(words[3], 0x0404_00ff);
        for word in [2, 4, 5, 6, 7] {
            assert_eq!(words[word], 0);
        }
    }

    #[test]
    fn round_trip() {
        assert_eq!(ContextDescriptor::decode(&SAMPLE.encode()), Some(SAMPLE));
        let plain = ContextDescriptor {
            coherent: false,
            asid: 1,
            ..SAMPLE
        };
        assert_eq!(ContextDescriptor::decode(&plain.encode()), Some(plain));
    }

    #[test]
    fn any_other_bit_is_refused() {
        let words = SAMPLE.encode();
        let harmless = |word, bit: u32| {
            let field = 1u64 << bit;
            match word {
                0 => {
                    let free = cd::T0SZ.mask() | cd::IPS.mask() | cd::ASID.mask();
                    free & field != 0
                }
                1 => cd::TTB0.mask() & field != 0,
                3 => true,
                _ => false,
            }
        };
        for word in 0..CD_WORDS {
            for bit in 0..64 {
                let mut changed = words;
                changed[word] ^= 1 << bit;
                if !harmless(word, bit) {
                    assert_eq!(ContextDescriptor::decode(&changed), None, "{word}:{bit}");
                }
            }
        }
    }

    #[test]
    fn legality() {
        let qemu = Features::decode(0x0d40_101a, 0x0273_0010, 0x1404, 0x74, 1);
        assert!(SAMPLE.legal(&qemu));
        let wide = ContextDescriptor {
            output_bits: 48,
            ..SAMPLE
        };
        assert!(!wide.legal(&qemu));
        let high = ContextDescriptor {
            root: 1 << 44,
            ..SAMPLE
        };
        assert!(!high.legal(&qemu));
        let mut narrow = qemu;
        narrow.asid16 = false;
        assert!(!SAMPLE.legal(&narrow));
    }
}
