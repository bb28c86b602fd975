//! What was played, so that a run in which nothing happens does not pass.

use abi::FaultKind;
use fast_path_calls::Call;
use fast_path_calls::compare::{Ended, Way};
use fast_path_calls::draw::{Step, resolve};
use fast_path_calls::ids::Ids;
use fast_path_calls::path::{Path, has_devices};

use crate::print;

/// Faults that calls can die of, by their numbers.
const FAULTS: usize = 16;

/// Paths as [`Tally::missing`] names them.
const NAMES: [&str; Path::ALL.len()] = [
    "the path of WhoAmI",
    "the path of short sends",
    "the path of long sends",
    "the path of short replies",
    "the path of long replies",
    "the path of short replies again",
    "the path of posts",
    "the path of receives",
    "the path of interrupts let through",
    "the path of wide sends",
    "the path of wide replies again",
];

/// Counts of calls.
#[derive(Default)]
pub struct Tally {
    returned: [u64; Call::ALL.len()],
    waited: [u64; Call::ALL.len()],
    died: [u64; Call::ALL.len()],
    faults: [u64; FAULTS],
    /// Rounds of which both playings say who paid how much.
    pub paid: u64,
    /// Those of which it is known who has to.
    pub owed: u64,
    /// Calls that were carried out, by path: of actors without device registers and with them.
    paths: [[u64; 2]; Path::ALL.len()],
}

fn total(counts: &[u64; Call::ALL.len()], of: impl Fn(Call) -> bool) -> u64 {
    Call::ALL
        .iter()
        .zip(counts)
        .filter(|(call, _)| of(**call))
        .map(|(_, count)| *count)
        .sum()
}

impl Tally {
    /// Counts the steps of an actor.
    pub fn count(&mut self, actor: usize, steps: &[Step], ended: &Ended, ids: &Ids) {
        let made = ended.outcome.count as usize;
        let waits = usize::from(ended.way == Way::Waits);
        for step in steps.iter().take(made + waits) {
            if let Some(path) = Path::of(step.call, &resolve(step, ids)) {
                self.paths[path as usize][usize::from(has_devices(actor))] += 1;
            }
        }
        for step in steps.iter().take(made) {
            self.returned[step.call as usize] += 1;
        }
        let Some(last) = steps.get(made) else {
            return;
        };
        match ended.way {
            Way::Reported => {}
            Way::Waits => self.waited[last.call as usize] += 1,
            Way::Died => {
                self.died[last.call as usize] += 1;
                if let Some(count) = self.faults.get_mut((ended.fault[0] & 0xffff) as usize) {
                    *count += 1;
                }
            }
        }
    }

    /// Calls of those that the fast path decides some of.
    pub fn calls(&self) -> u64 {
        [&self.returned, &self.waited, &self.died]
            .into_iter()
            .map(|counts| total(counts, Call::is_fast))
            .sum()
    }

    /// Prints the counts; what of all this has hardly happened, if anything.
    pub fn missing(&self) -> Option<&'static str> {
        for call in Call::ALL {
            let number = call as usize;
            print(format_args!(
                "  {call:?}: {} returned, {} wait, {} died",
                self.returned[number], self.waited[number], self.died[number]
            ));
        }
        let few = self.calls() / 1000;
        for path in Path::ALL {
            let [without, with] = self.paths[path as usize];
            print(format_args!(
                "  {path:?}: {without}, with device registers {with}"
            ));
            if without.min(with) <= few {
                return Some(NAMES[path as usize]);
            }
        }
        let fault = |kind: FaultKind| self.faults[kind as usize];
        let needed = [
            ("rounds whose payments are known", self.paid),
            ("rounds of which it is known who pays", self.owed),
            ("WhoAmI", self.returned[Call::WhoAmI as usize]),
            ("Send that returned", self.returned[Call::Send as usize]),
            ("Send that waits", self.waited[Call::Send as usize]),
            ("Send that died", self.died[Call::Send as usize]),
            (
                "ReplyReceive that returned",
                self.returned[Call::ReplyReceive as usize],
            ),
            (
                "ReplyReceive that waits",
                self.waited[Call::ReplyReceive as usize],
            ),
            (
                "ReplyReceive that died",
                self.died[Call::ReplyReceive as usize],
            ),
            (
                "ReplyAgain that returned",
                self.returned[Call::ReplyAgain as usize],
            ),
            (
                "ReplyAgain that waits",
                self.waited[Call::ReplyAgain as usize],
            ),
            ("ReplyAgain that died", self.died[Call::ReplyAgain as usize]),
            ("Post that returned", self.returned[Call::Post as usize]),
            ("Post that died", self.died[Call::Post as usize]),
            ("death of SyscallUsage", fault(FaultKind::SyscallUsage)),
            ("death of BadSlice", fault(FaultKind::BadSlice)),
            ("death of NoRight", fault(FaultKind::NoRight)),
            ("death of ReplyTooLong", fault(FaultKind::ReplyTooLong)),
        ];
        needed
            .into_iter()
            .find(|(_, count)| *count <= few)
            .map(|(what, _)| what)
    }
}
