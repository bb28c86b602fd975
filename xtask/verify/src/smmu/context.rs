//! Context descriptors (IHI 0070, 5.4).

/// The fields of a context descriptor that differ in this system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    pub asid: u16,
    /// Bits of an address.
    pub bits: u32,
    pub root: u64,
    pub mair: u64,
    /// The walk's cacheability and shareability.
    pub walk: u64,
    /// Size of output addresses, as a code.
    pub output: u64,
}

/// The walks of an SMMU that looks into the caches: write-back, inner shareable. Those of any other have zeros.
pub const COHERENT_WALK: u64 = 0b11_0101 << 8;

/// T0SZ, the walk's cacheability and shareability, the size of output addresses, and the ASID: what differs.
const SIZE: u64 = 0x3f;
const WALK: u64 = 0b11_1111 << 8;
const OUTPUT_SIZE: u64 = 0b111 << 32;
const ASID_SHIFT: u32 = 48;
const ASID: u64 = 0xffff << ASID_SHIFT;
/// EPD1 (30), V (31), AA64 (41), R (45), A (46), ASET (47): 4 KiB little-endian tables of VMSAv8-64 under TTB0 only; a
/// fault aborts and is recorded; no access flag and no dirty state by hardware.
const ALWAYS: u64 = 1 << 30 | 1 << 31 | 1 << 41 | 1 << 45 | 1 << 46 | 1 << 47;
const ROOT: u64 = 0x000f_ffff_ffff_f000;

/// # Errors
/// A descriptor that none of this system's is.
pub fn decode(words: &[u64; 8]) -> Result<Context, &'static str> {
    let [word, root, zero, mair, rest @ ..] = words;
    if word & !(SIZE | WALK | OUTPUT_SIZE | ASID) != ALWAYS {
        return Err("walks otherwise than every table of this system is made");
    }
    if root & !ROOT != 0 || *zero != 0 || rest.iter().any(|word| *word != 0) {
        return Err("has fields beyond those of this system");
    }
    Ok(Context {
        asid: (word >> ASID_SHIFT) as u16,
        bits: 64 - (word & SIZE) as u32,
        root: *root,
        mair: *mair,
        walk: word & WALK,
        output: (word & OUTPUT_SIZE) >> OUTPUT_SIZE.trailing_zeros(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_descriptor_counts() {
        let words = [
            ALWAYS | 25 | 5 << ASID_SHIFT,
            0x4000_1000,
            0,
            0x44,
            0,
            0,
            0,
            0,
        ];
        let read = Context {
            asid: 5,
            bits: 39,
            root: 0x4000_1000,
            mair: 0x44,
            walk: 0,
            output: 0,
        };
        assert_eq!(decode(&words), Ok(read));
        let free = [
            SIZE | WALK | OUTPUT_SIZE | ASID,
            ROOT,
            0,
            u64::MAX,
            0,
            0,
            0,
            0,
        ];
        for word in 0..8 {
            for bit in (0..64).map(|bit| 1u64 << bit) {
                let mut other = words;
                other[word] ^= bit;
                assert_eq!(
                    decode(&other).is_ok(),
                    free[word] & bit != 0,
                    "word {word}, {bit:#x}"
                );
            }
        }
    }
}
