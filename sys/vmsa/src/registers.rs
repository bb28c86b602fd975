//! Values of the registers that go with the tables.

use crate::Granule;

/// Code of an output size (`TCR_EL1.IPS`, a context descriptor's IPS): the largest one that does not
/// exceed `bits`, at least 32 bits and at most 48.
#[must_use]
pub const fn output_size_code(bits: u32) -> u64 {
    match bits {
        0..=35 => 0,
        36..=39 => 1,
        40..=41 => 2,
        42..=43 => 3,
        44..=47 => 4,
        _ => 5,
    }
}

/// `TCR_EL1` for walks that are write-back cacheable and inner shareable, with 16-bit ASIDs taken from
/// `TTBR0_EL1`, no tagged addresses, and hardware that never writes a descriptor.
///
/// `lower_bits` and `upper_bits` are the input sizes of the two halves, 25 to 48; `output_bits` those of
/// a physical address.
#[must_use]
pub const fn tcr_el1(granule: Granule, lower_bits: u32, upper_bits: u32, output_bits: u32) -> u64 {
    const WRITE_BACK_INNER_SHAREABLE: u64 = 0b01 | 0b01 << 2 | 0b11 << 4;
    const ASID_16_BITS: u64 = 1 << 36;
    let lower_size = 64u64.saturating_sub(lower_bits as u64) & 0x3f;
    let upper_size = 64u64.saturating_sub(upper_bits as u64) & 0x3f;
    lower_size
        | WRITE_BACK_INNER_SHAREABLE << 8
        | granule.lower_code() << 14
        | upper_size << 16
        | WRITE_BACK_INNER_SHAREABLE << 24
        | granule.upper_code() << 30
        | output_size_code(output_bits) << 32
        | ASID_16_BITS
}

/// `TTBRn_EL1`: the root table's physical address and, for `TTBR0_EL1`, the ASID.
#[must_use]
pub const fn ttbr(root: u64, asid: u16) -> u64 {
    (asid as u64) << 48 | root & 0xffff_ffff_fffe
}
