//! Seeded choice: the same seed gives the same history.

/// The source of every choice the model makes.
#[derive(Clone, Debug)]
pub struct Chooser(oorandom::Rand32);

impl Chooser {
    /// Choices that follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(oorandom::Rand32::new(seed))
    }

    /// True once in `n` on average; never for 0.
    pub fn once_in(&mut self, n: u32) -> bool {
        n != 0 && self.0.rand_range(0..n) == 0
    }

    /// A number below `end`, 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        let end = u32::try_from(end).unwrap_or(u32::MAX);
        self.0.rand_range(0..end) as usize
    }

    /// One of `items`, by position; `None` of an empty slice.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// A word of any value.
    pub fn word(&mut self) -> u64 {
        u64::from(self.0.rand_u32()) << 32 | u64::from(self.0.rand_u32())
    }

    /// Puts items into any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}
