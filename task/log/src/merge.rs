//! Which ring is next: the one whose record is oldest, as far as the writers can be believed.

/// Records taken from one ring in a row while others wait. A task that lies about its times, or floods
/// its ring, delays the others by no more.
const RUN_MAX: u32 = 16;

/// Picks rings by time.
#[derive(Debug, Default)]
pub struct Merge {
    last: Option<usize>,
    run: u32,
}

impl Merge {
    /// No ring was picked yet.
    pub const fn new() -> Self {
        Self { last: None, run: 0 }
    }

    /// The next ring: `waiting` gives ring and time of each that has a record. `None` if none has.
    pub fn pick(&mut self, waiting: impl Iterator<Item = (usize, u64)> + Clone) -> Option<usize> {
        let tired = if self.run >= RUN_MAX { self.last } else { None };
        let oldest = |(ring, time): &(usize, u64)| (*time, *ring);
        let others = waiting.clone().filter(|(ring, _)| Some(*ring) != tired);
        let (ring, _) = others
            .min_by_key(oldest)
            .or_else(|| waiting.min_by_key(oldest))?;
        self.run = if self.last == Some(ring) {
            self.run.saturating_add(1)
        } else {
            1
        };
        self.last = Some(ring);
        Some(ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_first_and_ties_go_to_the_lower_index() {
        let mut merge = Merge::new();
        assert_eq!(merge.pick([].into_iter()), None);
        assert_eq!(merge.pick([(0, 30), (1, 10), (2, 20)].into_iter()), Some(1));
        assert_eq!(merge.pick([(2, 5), (1, 5)].into_iter()), Some(1));
    }

    #[test]
    fn a_liar_delays_others_by_a_bounded_run() {
        let mut merge = Merge::new();
        let waiting = [(0, 0), (1, 1000)];
        for _ in 0..RUN_MAX {
            assert_eq!(merge.pick(waiting.into_iter()), Some(0));
        }
        assert_eq!(merge.pick(waiting.into_iter()), Some(1));
        assert_eq!(merge.pick(waiting.into_iter()), Some(0));
    }

    #[test]
    fn alone_there_is_no_limit() {
        let mut merge = Merge::new();
        for _ in 0..100 {
            assert_eq!(merge.pick([(4, 9)].into_iter()), Some(4));
        }
    }
}
