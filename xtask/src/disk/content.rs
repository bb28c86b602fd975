//! Content of a disk that the tool makes.

/// A sequence without structure that a compressor could find (SplitMix64, Steele, Lea and Flood 2014).
pub fn words() -> impl Iterator<Item = u64> {
    (1u64..).map(|index| {
        let mut word = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_sequence() {
        // First outputs of SplitMix64 with seed 0.
        let first: Vec<u64> = super::words().take(2).collect();
        assert_eq!(first, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }
}
