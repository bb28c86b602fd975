//! Decoding of stream table entries, context descriptors and page table descriptors.
//!
//! Written from the field tables of IHI 0070 G.b (5.1, 5.2, 5.4) and of the Arm ARM, not from the crates that
//! write these structures: a wrong position there must show here.

use crate::Features;

const fn bits(word: u64, high: u32, low: u32) -> u64 {
    word >> low & (u64::MAX >> (63 - (high - low)))
}

/// The address of a level-2 array; `None` if the descriptor is invalid (5.1).
#[must_use]
pub const fn level1(word: u64, split: u32) -> Option<u64> {
    let span = bits(word, 4, 0);
    if span == 0 || span > 11 || span > split as u64 + 1 {
        return None;
    }
    // The array is aligned to its size by hardware.
    Some(bits(word, 55, 6) << 6 & !((64u64 << (span - 1)) - 1))
}

/// STEs in the array of a level-1 descriptor.
#[must_use]
pub const fn level1_entries(word: u64) -> u64 {
    match bits(word, 4, 0) {
        0 => 0,
        span => 1 << (span - 1),
    }
}

/// What an STE does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// V=0 or illegal: abort with C_BAD_STE; the reason.
    Bad(&'static str),
    /// Abort without an event.
    Abort,
    /// Untranslated.
    Bypass,
    /// Stage 1.
    Translate {
        /// The context descriptor.
        context: u64,
        /// Tag of TLB entries where stage 2 is implemented.
        vmid: u16,
        /// STE.S1STALLD.
        stall_disabled: bool,
    },
}

/// Words of an STE that [`stream`] looks at.
pub const STREAM_WORDS: usize = 3;
/// Words of a CD that [`context`] looks at.
pub const CONTEXT_WORDS: usize = 4;

/// Reads an STE (5.2): words 0 to 2.
#[must_use]
pub fn stream(words: [u64; STREAM_WORDS], features: &Features) -> Stream {
    let [first, second, third] = words;
    if first & 1 == 0 {
        return Stream::Bad("V=0");
    }
    match bits(first, 3, 1) {
        0b000..=0b011 => return Stream::Abort,
        0b100 => return Stream::Bypass,
        0b101 => {}
        _ => return Stream::Bad("stage 2 configuration"),
    }
    let stall_disabled = bits(second, 27, 27) != 0;
    if stall_disabled && features.stall_model != 0 {
        return Stream::Bad("S1STALLD without a stall model that allows it");
    }
    if bits(first, 63, 59) != 0 {
        return Stream::Bad("S1CDMax without substreams");
    }
    let world = bits(second, 31, 30);
    if world & 1 != 0 || world != 0 && !features.hyp {
        return Stream::Bad("STRW");
    }
    if world != 0 {
        // Rule C11: one address space for all, which no invalidation by ASID touches.
        return Stream::Bad("a world without ASIDs");
    }
    if features.strict {
        // No substreams, no ATS, no overrides, no CONT: all of these are RES0 or dangerous here.
        if bits(first, 58, 56) != 0 || bits(first, 5, 4) != 0 {
            return Stream::Bad("reserved bits of word 0");
        }
        let allowed = 0xfc | 1 << 19 | 1 << 27 | 0b11 << 30;
        if second & !allowed != 0 {
            return Stream::Bad("reserved bits of word 1");
        }
        if bits(third, 63, 16) != 0 {
            return Stream::Bad("reserved bits of word 2");
        }
    }
    Stream::Translate {
        context: bits(first, 55, 6) << 6,
        vmid: bits(third, 15, 0) as u16,
        stall_disabled,
    }
}

/// The inner and outer cacheability and the shareability an STE gives to reads of its CDs: write-back and
/// inner shareable are 1, 1, 3.
#[must_use]
pub const fn context_attributes(second: u64) -> (u64, u64, u64) {
    (bits(second, 3, 2), bits(second, 5, 4), bits(second, 7, 6))
}

/// An address space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Context {
    /// Tag of its translations.
    pub asid: u16,
    /// The first table.
    pub root: u64,
    /// Bits of an input address.
    pub input_bits: u32,
    /// log2 of a page.
    pub page_shift: u32,
    /// Bits of an output address that a table may hold.
    pub output_bits: u32,
    /// Faults are recorded.
    pub record: bool,
    /// Memory attributes by index.
    pub mair: u64,
    /// EPD0: no walks, though hits may translate.
    pub walks_disabled: bool,
}

/// Reads a CD (5.4): words 0 to 3. An error is what makes it illegal.
///
/// # Errors
/// The reason.
pub fn context(
    words: [u64; CONTEXT_WORDS],
    stall_disabled: bool,
    features: &Features,
) -> Result<Context, &'static str> {
    let [first, second, third, mair] = words;
    if bits(first, 31, 31) == 0 {
        return Err("V=0");
    }
    if bits(first, 41, 41) == 0 {
        return Err("AA64=0");
    }
    if bits(first, 15, 15) != 0 {
        return Err("big-endian tables");
    }
    let size = bits(first, 5, 0) as u32;
    if !(16..=39).contains(&size) {
        return Err("T0SZ");
    }
    let page_shift = match bits(first, 7, 6) {
        0b00 => 12,
        0b01 => 16,
        0b10 => 14,
        _ => return Err("TG0"),
    };
    if bits(first, 30, 30) == 0 {
        return Err("TTB1 is not disabled");
    }
    let asid = bits(first, 63, 48) as u16;
    if !features.asid16 && asid > 0xff {
        return Err("16-bit ASID");
    }
    if bits(first, 43, 42) != 0 {
        return Err("HA or HD without hardware update");
    }
    let stall = bits(first, 44, 44) != 0;
    if stall && (features.stall_model == 1 || stall_disabled) {
        return Err("S=1 where stalls are not allowed");
    }
    if bits(first, 46, 46) == 0 && features.terminate_only {
        return Err("A=0");
    }
    if bits(second, 1, 1) != 0 && !features.hierarchical_disable && features.strict {
        return Err("HAD0 without support");
    }
    let root = bits(second, 55, 4) << 4;
    let output_bits = match bits(first, 34, 32) {
        code @ 0..=5 => [32, 36, 40, 42, 44, 48][code as usize],
        _ => return Err("IPS"),
    }
    .min(features.output_bits());
    if root >> output_bits != 0 {
        return Err("TTB0 beyond IPS");
    }
    if features.strict && (third != 0 || bits(second, 63, 56) != 0 || bits(second, 3, 2) != 0) {
        return Err("reserved bits of words 1 and 2");
    }
    Ok(Context {
        asid,
        root,
        input_bits: 64 - size,
        page_shift,
        output_bits,
        record: bits(first, 45, 45) != 0,
        mair,
        walks_disabled: bits(first, 14, 14) != 0,
    })
}

/// Cacheability and shareability of walks: inner, outer, shareability; write-back and inner shareable
/// are 1, 1, 3.
#[must_use]
pub const fn walk_attributes(first: u64) -> (u64, u64, u64) {
    (bits(first, 9, 8), bits(first, 11, 10), bits(first, 13, 12))
}

/// Which of A and R a CD sets: both are needed to abort and to record.
#[must_use]
pub const fn fault_model(first: u64) -> (bool, bool) {
    (bits(first, 46, 46) != 0, bits(first, 45, 45) != 0)
}

/// An entry of a page table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Nothing.
    Invalid,
    /// The next table.
    Table(u64),
    /// A page or a block.
    Leaf(u64),
}

/// Reads a descriptor at `level` (0 to 3).
#[must_use]
pub const fn entry(descriptor: u64, level: u32, page_shift: u32) -> Entry {
    let blocks = matches!((page_shift, level), (12, 1 | 2) | (14 | 16, 2));
    match descriptor & 3 {
        3 if level < 3 => Entry::Table(bits(descriptor, 47, page_shift) << page_shift),
        3 => Entry::Leaf(bits(descriptor, 47, page_shift) << page_shift),
        1 if blocks => {
            let shift = page_shift + (3 - level) * (page_shift - 3);
            Entry::Leaf(bits(descriptor, 47, shift) << shift)
        }
        _ => Entry::Invalid,
    }
}

/// Why an unprivileged data access through a leaf faults, if it does: `Err(true)` for its access flag,
/// `Err(false)` for its permissions.
///
/// # Errors
/// The kind of fault.
pub const fn permits(leaf: u64, write: bool) -> Result<(), bool> {
    if bits(leaf, 10, 10) == 0 {
        return Err(true);
    }
    let unprivileged = bits(leaf, 6, 6) != 0;
    let read_only = bits(leaf, 7, 7) != 0;
    if unprivileged && !(write && read_only) {
        Ok(())
    } else {
        Err(false)
    }
}

/// Whether a leaf is non-global, never executable and inner shareable.
#[must_use]
pub const fn is_well_formed(leaf: u64) -> bool {
    bits(leaf, 11, 11) == 1 && bits(leaf, 54, 53) == 3 && bits(leaf, 9, 8) == 3
}

/// Whether a leaf is global.
#[must_use]
pub const fn is_global(leaf: u64) -> bool {
    bits(leaf, 11, 11) == 0
}

/// The memory attribute byte of a leaf.
#[must_use]
pub const fn attribute(leaf: u64, mair: u64) -> u8 {
    (mair >> (bits(leaf, 4, 2) * 8)) as u8
}
