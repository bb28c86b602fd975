//! Who dies next, and what the other tasks of a chaos system ask the reaper.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use heapless::Vec;
use oorandom::Rand64;
use userlib::server::Server;

/// The one operation, open to all: is it time to finish? The reply's word 0 is 1 if nobody is killed any more.
pub const ASK: u16 = 0xc1;
/// Bytes of its reply.
pub const ANSWER_LEN: usize = 8;
/// Code of the reply to anything else.
pub const MALFORMED: u32 = 1;
/// Most victims.
pub const VICTIMS_MAX: usize = 16;

/// Whether the reaper has finished its work; false as well if it does not answer.
pub fn is_over(reaper: &Server) -> bool {
    reaper
        .call(ASK, &[0; 8], 0, ANSWER_LEN, &[])
        .is_ok_and(|answer| answer.payload[0] == 1)
}

/// A task that may be killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Victim {
    /// Its index in the plan's table of tasks.
    pub index: usize,
    /// How often it is chosen, beside the others.
    pub weight: u64,
    /// Deaths that were asked for.
    pub asked: u64,
}

/// Draws victims and the calls at which they die.
pub struct Choice {
    random: Rand64,
    /// All victims.
    pub victims: Vec<Victim, VICTIMS_MAX>,
}

impl Choice {
    /// With a seed, nobody in danger yet.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Rand64::new(u128::from(seed)),
            victims: Vec::new(),
        }
    }

    /// A number from `low` to `high`, both included; `low` if there is none between them.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if low >= high {
            return low;
        }
        self.random.rand_range(low..high.saturating_add(1))
    }

    /// The next victim, by weight, of those that can die; none if there is none. The death is counted as asked for.
    pub fn next(&mut self, can_die: impl Fn(usize) -> bool) -> Option<usize> {
        let weight = |victim: &Victim| {
            if can_die(victim.index) {
                victim.weight
            } else {
                0
            }
        };
        let total: u64 = self.victims.iter().map(weight).sum();
        let mut drawn = self.between(0, total.checked_sub(1)?);
        for victim in &mut self.victims {
            let weight = weight(victim);
            if drawn < weight {
                victim.asked += 1;
                return Some(victim.index);
            }
            drawn -= weight;
        }
        None
    }
}

/// Whether a victim died more often than it was asked to.
pub fn died_by_itself(victims: &[Victim], deaths: &[u64]) -> bool {
    victims
        .iter()
        .zip(deaths)
        .any(|(victim, &died)| died > victim.asked)
}

/// The verdict on the reaper's own work: `deaths` of each victim, in the order of `victims`. One that was asked for often
/// and hardly ever died makes the whole run prove nothing.
pub fn judge(victims: &[Victim], deaths: &[u64], disturbed: bool) -> Result<u64, &'static str> {
    if disturbed {
        return Err("a task that was no victim died");
    }
    let hardly = |(victim, died): (&Victim, &u64)| died.saturating_mul(3) < victim.asked;
    if victims.iter().zip(deaths).any(hardly) {
        return Err("a victim hardly ever died");
    }
    match deaths.iter().sum() {
        0 if !victims.is_empty() => Err("nobody died"),
        total => Ok(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victim(index: usize, weight: u64, asked: u64) -> Victim {
        Victim {
            index,
            weight,
            asked,
        }
    }

    #[test]
    fn victims_are_drawn_by_weight() {
        let mut choice = Choice::new(1);
        assert_eq!(choice.next(|_| true), None);
        for (index, weight) in [(3, 1), (5, 0), (7, 3)] {
            assert!(choice.victims.push(victim(index, weight, 0)).is_ok());
        }
        let drawn: std::vec::Vec<usize> = (0..400).filter_map(|_| choice.next(|_| true)).collect();
        let times = |index| drawn.iter().filter(|&&one| one == index).count();
        assert_eq!((times(3) + times(7), times(5)), (400, 0));
        assert!(times(7) > 2 * times(3) && times(3) > 50);
        assert_eq!(choice.victims[0].asked as usize, times(3));
        assert!((0..50).all(|_| choice.next(|index| index != 7) == Some(3)));
        assert_eq!(choice.next(|_| false), None);
    }

    #[test]
    fn numbers_lie_between_their_bounds() {
        let mut choice = Choice::new(2);
        let drawn: std::vec::Vec<u64> = (0..100).map(|_| choice.between(2, 4)).collect();
        assert_eq!(drawn.iter().min(), Some(&2));
        assert_eq!(drawn.iter().max(), Some(&4));
        assert_eq!(choice.between(5, 5), 5);
        assert_eq!(choice.between(9, 5), 9);
    }

    #[test]
    fn who_dies_by_itself_is_found() {
        let victims = [victim(1, 1, 3), victim(2, 1, 0)];
        assert!(!died_by_itself(&victims, &[3, 0]));
        assert!(!died_by_itself(&victims, &[2, 0]));
        assert!(died_by_itself(&victims, &[4, 0]));
        assert!(died_by_itself(&victims, &[2, 1]));
    }

    #[test]
    fn a_run_in_which_hardly_anybody_died_proves_nothing() {
        let victims = [victim(1, 1, 30), victim(2, 1, 3)];
        assert_eq!(judge(&victims, &[10, 1], false), Ok(11));
        assert!(judge(&victims, &[9, 1], false).is_err());
        assert!(judge(&victims, &[10, 0], false).is_err());
        assert!(judge(&victims, &[30, 3], true).is_err());
        assert!(judge(&[victim(1, 1, 0)], &[0], false).is_err());
        assert_eq!(judge(&[], &[], false), Ok(0));
        assert!(judge(&[], &[], true).is_err());
    }
}
