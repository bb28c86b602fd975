//! Which ring is next: the one whose record is oldest, as far as the writers can be believed.

use abi::TASKS_MAX;

/// Records taken from one ring before every other ring that has some is served.
const RUN_MAX: u8 = 16;

/// Picks rings by time, in rounds. In a round each ring gives at most `RUN_MAX` records, and the round ends no
/// sooner than every waiting ring has given one. Between two records of a ring that waits there are therefore at
/// most twice `RUN_MAX` of each other ring, whatever any number of tasks write and whatever times they claim.
#[derive(Debug)]
pub struct Merge {
    /// How many records each ring gave in the round under way.
    given: [u8; TASKS_MAX],
}

impl Merge {
    /// No ring was picked yet.
    pub const fn new() -> Self {
        Self {
            given: [0; TASKS_MAX],
        }
    }

    /// The next ring: `waiting` gives ring and time of each that has a record. `None` if none has. There are at
    /// most as many rings as tasks.
    pub fn pick(&mut self, waiting: impl Iterator<Item = (usize, u64)> + Clone) -> Option<usize> {
        let oldest = |(ring, time): &(usize, u64)| (*time, *ring);
        let (first, _) = waiting.clone().min_by_key(oldest)?;
        let given = |ring: usize| self.given.get(ring).copied().unwrap_or(RUN_MAX);
        let picked = if given(first) < RUN_MAX {
            first
        } else if waiting.clone().all(|(ring, _)| given(ring) > 0) {
            self.given = [0; TASKS_MAX];
            first
        } else {
            let others = waiting.filter(|(ring, _)| given(*ring) < RUN_MAX);
            others.min_by_key(oldest)?.0
        };
        if let Some(given) = self.given.get_mut(picked) {
            *given += 1;
        }
        Some(picked)
    }
}

impl Default for Merge {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_oldest_is_first_and_ties_go_to_the_lower_index() {
        let mut merge = Merge::new();
        assert_eq!(merge.pick([].into_iter()), None);
        assert_eq!(merge.pick([(0, 30), (1, 10), (2, 20)].into_iter()), Some(1));
        assert_eq!(merge.pick([(2, 5), (1, 5)].into_iter()), Some(1));
    }

    /// How many records of others there are before `honest` is picked the first time, and between two picks of it.
    fn delays(waiting: &[(usize, u64)], honest: usize) -> Vec<usize> {
        let mut merge = Merge::new();
        let mut delays = Vec::new();
        let mut others = 0;
        for _ in 0..20_000 {
            match merge.pick(waiting.iter().copied()) {
                Some(ring) if ring == honest => delays.push(std::mem::take(&mut others)),
                _ => others += 1,
            }
        }
        assert!(delays.len() > 10, "{honest} is kept out");
        delays
    }

    #[test]
    fn liars_delay_others_by_a_bounded_run_however_many_they_are() {
        for liars in [1, 2, 3, 10, TASKS_MAX - 1] {
            let mut waiting: Vec<_> = (0..liars).map(|ring| (ring, 0)).collect();
            waiting.push((liars, 1000));
            let longest = delays(&waiting, liars).into_iter().max();
            assert_eq!(longest, Some(liars * usize::from(RUN_MAX)), "{liars} liars");
        }
    }

    #[test]
    fn honest_rings_are_in_the_order_of_their_times() {
        let mut merge = Merge::new();
        let mut next = [0u64, 1, 2];
        for time in 0..1000 {
            let waiting = next.into_iter().enumerate();
            let picked = merge.pick(waiting).expect("they wait");
            assert_eq!(next[picked], time);
            next[picked] += 3;
        }
    }

    #[test]
    fn alone_there_is_no_limit() {
        let mut merge = Merge::new();
        for _ in 0..100 {
            assert_eq!(merge.pick([(4, 9)].into_iter()), Some(4));
        }
    }

    proptest! {
        /// Rings that come and go, at any times: none that stays waits longer than the bound.
        #[test]
        fn who_waits_is_served(
            rounds in proptest::collection::vec(
                proptest::collection::vec(proptest::option::of(0u64..4), 6), 0..300),
        ) {
            let mut merge = Merge::new();
            let mut waited = 0;
            for round in rounds {
                let others = round.iter().enumerate();
                let others = others.filter_map(|(ring, time)| Some((ring, (*time)?)));
                let waiting = others.chain([(6, 5)]);
                let picked = merge.pick(waiting.clone()).expect("somebody waits");
                prop_assert!(waiting.into_iter().any(|(ring, _)| ring == picked));
                waited = if picked == 6 { 0 } else { waited + 1 };
                prop_assert!(waited <= 2 * 6 * usize::from(RUN_MAX));
            }
        }
    }
}
