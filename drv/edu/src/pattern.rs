//! Bytes that are recognised again.

use userlib::memory::Memory;

/// Byte number `at` of the pattern with this seed: never 0, so that it differs from what an aborted
/// read leaves, and different in every position and for every seed nearby.
pub const fn byte(seed: u8, at: usize) -> u8 {
    let mixed = (at as u32)
        .wrapping_add((seed as u32) << 16)
        .wrapping_mul(0x9e37_79b1);
    (mixed >> 24) as u8 | 1
}

/// Writes the pattern.
pub fn write(memory: &impl Memory, offset: usize, len: usize, seed: u8) {
    for at in 0..len {
        memory.write8(offset + at, byte(seed, at));
    }
}

/// Bytes that differ from the pattern.
pub fn differences(memory: &impl Memory, offset: usize, len: usize, seed: u8) -> usize {
    (0..len)
        .filter(|&at| memory.read8(offset + at) != byte(seed, at))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_zero_and_seeds_differ() {
        assert!((0..4096).all(|at| byte(3, at) != 0));
        let same = (0..4096).filter(|&at| byte(3, at) == byte(4, at)).count();
        assert!(same < 4096 / 16, "{same}");
    }

    #[test]
    fn shifted_bytes_are_noticed() {
        let same = (0..4095)
            .filter(|&at| byte(3, at) == byte(3, at + 1))
            .count();
        assert!(same < 4096 / 16, "{same}");
    }
}
