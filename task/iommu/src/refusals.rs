//! How often claims are refused, and which of the refusals the log is told of.
//!
//! Whoever is refused may ask again at once and for ever. So of each device, and of its owner apart from everybody
//! else, the first refusal is a line of the log, then each doubling of their number, and a new reason once a second.

use crate::why::Why;

/// Refusals so far, and which of them were told.
#[derive(Clone, Copy, Debug)]
pub struct Refusals {
    count: u64,
    told: Option<(Why, u64)>,
}

impl Refusals {
    /// None so far.
    pub(crate) const NONE: Self = Self {
        count: 0,
        told: None,
    };

    /// Counts one; how many there are now, if that is to be told.
    pub fn add(&mut self, why: Why, now: u64, pause: u64) -> Option<u64> {
        self.count += 1;
        let is_new = match self.told {
            None => true,
            Some((told, at)) => told != why && now.saturating_sub(at) >= pause,
        };
        if !is_new && !self.count.is_power_of_two() {
            return None;
        }
        self.told = Some((why, now));
        Some(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: u64 = 1000;

    /// Whatever is tried, and however the reasons change, lines are few.
    #[test]
    fn a_flood_of_refusals_is_no_flood_of_lines() {
        let reasons = [Why::NotOwner, Why::BeingMadeQuiet, Why::NoPci];
        for reasons in [&reasons[..1], &reasons[..]] {
            let mut refusals = Refusals::NONE;
            let told = |count: u64| {
                let why = reasons[count as usize % reasons.len()];
                refusals.add(why, count, PAUSE)
            };
            let lines = (0..100 * PAUSE).filter_map(told).count();
            let changes = if reasons.len() == 1 { 0 } else { 100 };
            assert!((17..=17 + changes).contains(&lines), "{lines}");
        }
    }

    #[test]
    fn a_new_reason_is_told_after_a_while() {
        let mut refusals = Refusals::NONE;
        assert_eq!(refusals.add(Why::NoPci, 0, PAUSE), Some(1));
        assert_eq!(refusals.add(Why::NoPci, 1, PAUSE), Some(2));
        assert_eq!(refusals.add(Why::Absent, 2, PAUSE), None);
        assert_eq!(refusals.add(Why::Absent, PAUSE + 1, PAUSE), Some(4));
        assert_eq!(refusals.add(Why::Absent, 3 * PAUSE, PAUSE), None);
        assert_eq!(refusals.add(Why::NoPci, 3 * PAUSE, PAUSE), Some(6));
    }
}
