//! What of a round's outcome must be the same, whoever made its calls.
//!
//! Results are, and everything a call must keep. The other registers that a call may change hold what the caller
//! had, or nothing; which of the two differs, and none of another task's or the kernel's may be among them.

use crate::draw::{Owed, Round, resolve};
use crate::ids::{Ids, same};
use crate::wire::Outcome;
use crate::{COUNT, Call, QUEUER, Registers, mark};

/// How an actor ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// All its steps were made.
    Reported,
    /// It waits in one.
    Waits,
    /// It died in one.
    Died,
}

/// What became of an actor.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Whether it is done.
    pub way: Way,
    /// The words of its fault, if it died.
    pub fault: [u64; 5],
    /// Of one that did not report: `x0` to `x30`, `sp` and `pc`, as the kernel shows them once it is down.
    pub registers: [u64; 33],
    /// What its steps returned.
    pub outcome: Outcome,
    /// Digest of its pool.
    pub memory: u64,
}

impl Ended {
    /// Nothing is known.
    pub const NONE: Self = Self {
        way: Way::Reported,
        fault: [0; 5],
        registers: [0; 33],
        outcome: Outcome::NONE,
        memory: 0,
    };
}

/// A round as it was played.
#[derive(Clone, Copy, Debug)]
pub struct Played {
    /// The actors' ids.
    pub ids: Ids,
    /// What became of them.
    pub actors: [Ended; COUNT],
    /// Ticks that each one's account paid, if that is known.
    pub paid: Option<[u64; COUNT]>,
}

impl Played {
    /// Nothing is known.
    pub const NONE: Self = Self {
        ids: [0; COUNT],
        actors: [Ended::NONE; COUNT],
        paid: None,
    };
}

/// Ticks by which payments may differ: half of what a step's work takes, at two instructions a round and 16 nanoseconds a
/// tick.
pub const TOLERANCE: u64 = crate::wire::WORK * 2 / 16 / 2;

/// Where two playings differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Whose.
    pub actor: usize,
    /// After or in which step.
    pub step: usize,
    /// Of what.
    pub what: &'static str,
    /// Number of the word or register.
    pub number: usize,
    /// As the core did it.
    pub core: u64,
    /// As the fast path did it.
    pub fast: u64,
}

/// Both playings of a round.
pub struct Pair<'a> {
    /// What was to be done.
    pub round: &'a Round,
    /// As the core did it.
    pub core: &'a Played,
    /// As the fast path did it.
    pub fast: &'a Played,
}

impl Pair<'_> {
    /// Finds the first difference.
    pub fn compare(&self) -> Result<(), Difference> {
        for actor in 0..COUNT {
            self.actor(actor)?;
        }
        self.ticks()
    }

    /// The core takes longer than the fast path for the same, but not as long as an actor works in a step. The queuer has the
    /// account of the judge, which works for other reasons; but what one pays too much another pays too little.
    fn ticks(&self) -> Result<(), Difference> {
        let (Some(core), Some(fast)) = (self.core.paid, self.fast.paid) else {
            return Ok(());
        };
        for (actor, (core, fast)) in core.into_iter().zip(fast).enumerate() {
            if actor != QUEUER && core.abs_diff(fast) > TOLERANCE {
                return Err(Difference {
                    actor,
                    step: 0,
                    what: "ticks paid",
                    number: 0,
                    core,
                    fast,
                });
            }
        }
        Ok(())
    }

    /// Each paid for the work that it owes, and hardly anything else. The judge has the queuer's account.
    pub fn pay(&self, owed: &Owed) -> Result<(), Difference> {
        let both = self.core.paid.into_iter().chain(self.fast.paid);
        for (actor, paid) in both.flat_map(|paid| paid.into_iter().enumerate()) {
            let due = owed[actor] * TOLERANCE * 2;
            if actor != QUEUER && paid.wrapping_sub(due) > TOLERANCE {
                return Err(Difference {
                    actor,
                    step: 0,
                    what: "ticks paid, beside what is owed",
                    number: 0,
                    core: due,
                    fast: paid,
                });
            }
        }
        Ok(())
    }

    fn actor(&self, actor: usize) -> Result<(), Difference> {
        let (core, fast) = (&self.core.actors[actor], &self.fast.actors[actor]);
        let count = core.outcome.count.min(fast.outcome.count) as usize;
        // Steps first: of several differences the earliest says most.
        for step in 0..count.min(self.round[actor].len()) {
            self.step(actor, step)?;
        }
        let at = |what| (actor, count, what);
        let numbers = |ended: &Ended| [ended.way as u64, ended.outcome.count];
        self.words(at("way and steps"), &numbers(core), &numbers(fast))?;
        self.words(at("fault"), &core.fault, &fast.fault)?;
        self.words(at("register of the dead"), &core.registers, &fast.registers)?;
        self.words(at("memory"), &[core.memory], &[fast.memory])
    }

    fn words(
        &self,
        (actor, step, what): (usize, usize, &'static str),
        core: &[u64],
        fast: &[u64],
    ) -> Result<(), Difference> {
        for (number, (core, fast)) in core.iter().zip(fast).enumerate() {
            if !same(*core, *fast, (&self.core.ids, &self.fast.ids)) {
                return Err(Difference {
                    actor,
                    step,
                    what,
                    number,
                    core: *core,
                    fast: *fast,
                });
            }
        }
        Ok(())
    }

    fn step(&self, actor: usize, step: usize) -> Result<(), Difference> {
        let after = |played: &Played| played.actors[actor].outcome.after[step];
        let (core, fast) = (after(self.core), after(self.fast));
        let Some(call) = self.round[actor].get(step).map(|step| step.call) else {
            return Ok(());
        };
        let results = results(call, &core, &self.given(self.core, actor, step));
        for number in 0..31 {
            let at = (actor, step, "register");
            let (a, b) = (core[number], fast[number]);
            if results >> number & 1 != 0 || keeps(call, number) {
                // `number` is lost in a slice of one word.
                self.words(at, &[a], &[b])
                    .map_err(|difference| Difference {
                        number,
                        ..difference
                    })?;
            }
            let kept = keeps(call, number) && results >> number & 1 == 0;
            for (played, value) in [(self.core, a), (self.fast, b)] {
                let is_right = if kept {
                    value == self.given(played, actor, step)[number]
                } else {
                    results >> number & 1 != 0
                        || number < 8
                        || self.is_own(played, actor, step, value)
                };
                if !is_right {
                    return Err(Difference {
                        actor,
                        step,
                        what: if kept {
                            "not kept: register"
                        } else {
                            "foreign: register"
                        },
                        number,
                        core: a,
                        fast: b,
                    });
                }
            }
        }
        Ok(())
    }

    /// The registers that a step was made with; `x8` may have been another, see [`crate::wire::FROM_LAST`].
    fn given(&self, played: &Played, actor: usize, step: usize) -> Registers {
        self.round[actor]
            .get(step)
            .map_or([0; 31], |step| resolve(step, &played.ids))
    }

    /// Whether a value in a register that holds no result can be its task's own.
    fn is_own(&self, played: &Played, actor: usize, step: usize, value: u64) -> bool {
        let upper = value >> 32;
        let marked = upper & 0xffff_0000 == mark(0) & 0xffff_0000 && upper != mark(actor);
        let kernels = value >> 48 == 0xffff;
        if !marked && !kernels {
            return true;
        }
        // In any register: what an interrupt saved while the task worked between two calls may come back with a later one.
        let had = |step: usize| {
            self.given(played, actor, step).contains(&value)
                || step > 0 && played.actors[actor].outcome.after[step - 1].contains(&value)
        };
        (0..=step).any(had)
    }
}

/// Registers that hold results, as a set of bits.
fn results(call: Call, after: &Registers, given: &Registers) -> u32 {
    const PAYLOAD: u32 = 0xff;
    /// The second half of a wide payload.
    const REST: u32 = 0xff << 20;
    let kernel = after[8] == u64::MAX;
    match call {
        // No reply comes with a code of the kernel's.
        Call::Send if after[8] >= abi::Code::KERNEL_FIRST.into() => 1 << 8 | 1 << 9,
        Call::Send if given[9] & abi::WIDE != 0 => PAYLOAD | 1 << 8 | 1 << 9 | REST,
        Call::Send => PAYLOAD | 1 << 8 | 1 << 9,
        _ if call.receives() && kernel => 0b11_0111 << 8,
        _ if call.receives() && after[9] & abi::WIDE != 0 => PAYLOAD | 0b11_0111 << 8 | REST,
        Call::Receive | Call::ReplyReceive | Call::ReplyAgain => PAYLOAD | 0b11_0111 << 8,
        Call::Reply => 0,
        Call::WhoAmI | Call::Post | Call::Interrupt => 1,
        Call::Spin => 0x7fff_ffff,
    }
}

/// Registers that a call must keep.
const fn keeps(call: Call, number: usize) -> bool {
    match call {
        Call::WhoAmI | Call::Post | Call::Interrupt => number >= 18,
        Call::Spin => number > 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::{CALLER, SERVER, STEPS_MAX};

    /// A round in which every actor makes all its steps, whose registers all are kept.
    fn played(round: &Round, ids: Ids) -> Played {
        let mut played = Played::NONE;
        played.ids = ids;
        for (ended, steps) in played.actors.iter_mut().zip(round) {
            ended.outcome.count = steps.len() as u64;
            for (after, step) in ended.outcome.after.iter_mut().zip(steps) {
                *after = resolve(step, &ids);
            }
        }
        played
    }

    fn pair(seed: u64) -> (Round, Played, Played) {
        let round = Draw::new(seed, [0x4000_0000; COUNT]).round();
        let first = [1, 2, 3, 4, 5, 6].map(|index| index + 7 * crate::ids::LIFE);
        let core = played(&round, first);
        let fast = played(&round, first.map(|id| id + crate::ids::LIFE));
        (round, core, fast)
    }

    fn compare(round: &Round, core: &Played, fast: &Played) -> Result<(), Difference> {
        Pair { round, core, fast }.compare()
    }

    #[test]
    fn ids_of_other_lives_are_the_same() {
        for seed in 0..50 {
            let (round, core, fast) = pair(seed);
            assert_eq!(compare(&round, &core, &fast), Ok(()));
        }
    }

    #[test]
    fn each_part_of_an_outcome_is_compared() {
        let changes: [fn(&mut Ended); 7] = [
            |ended| ended.way = Way::Died,
            |ended| ended.outcome.count += 1,
            |ended| ended.fault[1] ^= 1 << 63,
            |ended| ended.fault[4] ^= 1,
            |ended| ended.registers[30] ^= 1,
            |ended| ended.registers[32] ^= 4,
            |ended| ended.memory ^= 1,
        ];
        for change in changes {
            for actor in 0..COUNT {
                let (round, core, mut fast) = pair(1);
                change(&mut fast.actors[actor]);
                let difference = compare(&round, &core, &fast).unwrap_err();
                assert_eq!(difference.actor, actor);
            }
        }
    }

    #[test]
    fn who_paid_is_compared() {
        let (round, mut core, mut fast) = pair(1);
        core.paid = Some([70_000; COUNT]);
        for actor in 0..COUNT {
            for (more, right) in [(TOLERANCE, true), (TOLERANCE + 1, false)] {
                for paid in [70_000 - more, 70_000 + more] {
                    let mut all = [70_000; COUNT];
                    all[actor] = paid;
                    fast.paid = Some(all);
                    let found = compare(&round, &core, &fast);
                    assert_eq!(found.is_ok(), right || actor == QUEUER, "{paid}");
                    assert!(found.map_or_else(|difference| difference.actor == actor, |()| true));
                }
            }
        }
        fast.paid = None;
        assert_eq!(compare(&round, &core, &fast), Ok(()));
    }

    #[test]
    fn who_owes_is_who_pays() {
        let (round, mut core, mut fast) = pair(1);
        let mut owed = [0; COUNT];
        owed[CALLER] = 2;
        let right = owed.map(|times| times * 2 * TOLERANCE + 1000);
        (core.paid, fast.paid) = (Some(right), Some(right));
        let pay = |core: &Played, fast: &Played| {
            let round = &round;
            Pair { round, core, fast }.pay(&owed).is_ok()
        };
        assert!(pay(&core, &fast));
        for actor in (0..COUNT).filter(|actor| *actor != QUEUER) {
            for wrong in [right[actor] + TOLERANCE, right[actor].wrapping_sub(1001)] {
                let mut paid = right;
                paid[actor] = wrong;
                (core.paid, fast.paid) = (Some(paid), Some(right));
                assert!(!pay(&core, &fast));
                (core.paid, fast.paid) = (Some(right), Some(paid));
                assert!(!pay(&core, &fast));
            }
        }
    }

    #[test]
    fn a_result_or_a_foreign_word_in_any_register_is_found() {
        for seed in 0..20 {
            let (round, core, fast) = pair(seed);
            for (actor, step, number) in (0..COUNT)
                .flat_map(|actor| (0..STEPS_MAX).map(move |step| (actor, step)))
                .flat_map(|(actor, step)| (8..31).map(move |number| (actor, step, number)))
            {
                if step >= round[actor].len() {
                    continue;
                }
                let mut spoilt = fast;
                let other = if actor == SERVER { CALLER } else { SERVER };
                spoilt.actors[actor].outcome.after[step][number] = mark(other) << 32 | 0xfff;
                let found = compare(&round, &core, &spoilt)
                    .map_err(|difference| (difference.actor, difference.step, difference.number));
                assert_eq!(found, Err((actor, step, number)));
            }
        }
    }
}
