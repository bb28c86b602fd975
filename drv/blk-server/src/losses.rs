//! Fault records that were lost, as lines of the log.
//!
//! Any device can overflow the SMMU's queue as often as it likes, and then the driver is told each time. So each doubling
//! of what was lost in all is a line.

/// The losses that the IOMMU server told of.
#[derive(Clone, Copy, Default, Debug)]
pub struct Losses {
    total: u64,
    told: u64,
}

impl Losses {
    /// Adds what was lost since the last time; how much it is in all, if that is to be told.
    pub fn add(&mut self, lost: u64) -> Option<u64> {
        self.total = self.total.saturating_add(lost);
        let doubled = self.total > 0 && self.total / 2 >= self.told;
        if doubled {
            self.told = self.total;
        }
        doubled.then_some(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_flood_of_losses_is_no_flood_of_lines() {
        let mut losses = Losses::default();
        let told: Vec<u64> = (0..100_000).filter_map(|_| losses.add(1)).collect();
        assert_eq!(told.first(), Some(&1));
        assert_eq!(told.len(), 17, "{told:?}");
        assert!(told.windows(2).all(|pair| pair[1] == 2 * pair[0]));
    }

    #[test]
    fn what_was_not_told_is_in_a_later_sum() {
        let mut losses = Losses::default();
        let told: Vec<Option<u64>> = [3, 1, 0, 2, 600].map(|lost| losses.add(lost)).into();
        assert_eq!(told, [Some(3), None, None, Some(6), Some(606)]);
        assert_eq!(losses.add(u64::MAX), Some(u64::MAX));
        assert_eq!(losses.add(1), None);
        assert_eq!(Losses::default().add(0), None, "nothing is no loss");
    }
}
