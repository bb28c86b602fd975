//! When to say how far it is.

/// Disks up to this are read without a word, bytes.
const QUIET: u64 = 64 << 20;

/// Steps of ten per cent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    total: u64,
    said: u64,
}

impl Progress {
    /// For `total` bytes.
    pub const fn new(total: u64) -> Self {
        Self { total, said: 0 }
    }

    /// `done` bytes are read: the percentage to say now, if there is one. 100 is said by the result.
    pub fn at(&mut self, done: u64) -> Option<u64> {
        if self.total <= QUIET {
            return None;
        }
        let tenth = (u128::from(done) * 10 / u128::from(self.total)) as u64;
        if tenth <= self.said || tenth >= 10 {
            return None;
        }
        self.said = tenth;
        Some(tenth * 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_large_disk_says_each_step_once() {
        let total = 1 << 30;
        let mut progress = Progress::new(total);
        let said: Vec<_> = (0..=1024)
            .filter_map(|mib| progress.at(mib << 20))
            .collect();
        assert_eq!(said, [10, 20, 30, 40, 50, 60, 70, 80, 90]);
        let mut huge = Progress::new(u64::MAX);
        assert_eq!(huge.at(u64::MAX / 2 + 1), Some(50));
    }

    #[test]
    fn a_small_disk_says_nothing() {
        let mut progress = Progress::new(QUIET);
        assert!((0..=QUIET >> 20).all(|mib| progress.at(mib << 20).is_none()));
    }
}
