//! Seeded choices.

use oorandom::Rand64;

/// A source of choices.
#[derive(Debug)]
pub struct Choice(Rand64);

impl Choice {
    /// The same seed gives the same choices.
    pub fn new(seed: u64) -> Self {
        Self(Rand64::new(u128::from(seed)))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.rand_u64()
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits().checked_rem(end).unwrap_or(0)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of several; there must be one.
    pub fn of<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        const { assert!(N > 0) };
        from[self.below(N as u64) as usize]
    }

    /// A number at which code likes to go wrong.
    pub fn edge(&mut self) -> u64 {
        let near = self.of([0, 0, 1, 2, u64::MAX, u64::MAX - 1]);
        let at = match self.below(4) {
            0 => 0,
            1 => 1 << self.below(64),
            2 => self.of([0xffff, u64::from(u32::MAX), 4096, 512 * 4096]),
            _ => self.bits(),
        };
        at.wrapping_add(near)
    }
}
