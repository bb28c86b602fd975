//! The record that a life of this task leaves to the next one.
//!
//! Registers do not say who turned bus mastering on, firmware or this task, nor whether a reset is under way. That
//! is noted in memory which outlives the task, and which the image has as zeros: a word for each function, made of nothing but its state, so
//! that at any instruction a death leaves either what was before or what is now. The next life believes it only
//! where the registers agree ([`crate::fabric::Fabric::enumerate`]).

use pci_api::QuiesceFailure;

use crate::before::Before;
use crate::config::Record;
use crate::fabric::Fabric;
use crate::progress::Progress;
use crate::states::State;

/// The record's first word, once a life has enumerated to the end. Since then nothing is on that firmware left on.
const COMPLETE: u64 = u64::from_le_bytes(*b"pcirec01");

const READY: u64 = 1 << 0;
const MASTER: u64 = 1 << 1;
const RESETTING: u64 = 1 << 2;
/// How the last quiesce failed: bits 15:8, 0 if it did not.
const FAILURE_SHIFT: u32 = 8;

impl Before {
    /// The record of a function in this state, for the next life.
    fn of(state: &State) -> Self {
        Self {
            ready: state.reason.is_none() && !state.absent,
            master: state.master,
            resetting: state.covered || state.progress.is_reset(),
            // That one was quiet says nothing to whoever waits for a quiesce that was to begin meanwhile.
            failure: match state.progress {
                Progress::Failed(failure) => Some(failure),
                Progress::Never | Progress::Quiet | Progress::Running(_) => None,
            },
        }
    }

    fn to_word(self) -> u64 {
        let failure = self.failure.map_or(0, |failure| failure as u64);
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        flag(self.ready, READY)
            | flag(self.master, MASTER)
            | flag(self.resetting, RESETTING)
            | failure << FAILURE_SHIFT
    }

    fn from_word(word: u64) -> Self {
        let failures = [
            QuiesceFailure::Deadline,
            QuiesceFailure::Unsupported,
            QuiesceFailure::NotRestored,
            QuiesceFailure::Identity,
        ];
        let number = (word >> FAILURE_SHIFT) as u8;
        Self {
            ready: word & READY != 0,
            master: word & MASTER != 0,
            resetting: word & RESETTING != 0,
            failure: failures.into_iter().find(|f| *f as u8 == number),
        }
    }
}

impl Fabric<'_> {
    /// Reads what an earlier life left, if it left all of it.
    pub(crate) fn recall<R: Record>(&mut self, record: &R) {
        self.resumed = record.load(0) == COMPLETE;
        if self.resumed {
            for (index, state) in (1..).zip(self.states.iter_mut()) {
                state.before = Before::from_word(record.load(index));
            }
        }
    }

    /// Notes what has changed.
    pub(crate) fn keep<R: Record>(&mut self, record: &R) {
        self.states.note(|index, state| {
            let word = Before::of(state).to_word();
            if record.load(index + 1) != word {
                record.store(index + 1, word);
            }
        });
    }

    /// All of it is noted.
    pub(crate) fn complete<R: Record>(&mut self, record: &R) {
        self.keep(record);
        record.store(0, COMPLETE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_what_was_put_in() {
        let failed = [1, 2, 3, 4].map(|number| {
            let failure = Before::from_word(number << FAILURE_SHIFT).failure;
            assert_eq!(failure.map(|failure| failure as u64), Some(number));
            failure
        });
        for failure in core::iter::once(None).chain(failed) {
            for bits in 0..8 {
                let before = Before {
                    ready: bits & 1 != 0,
                    master: bits & 2 != 0,
                    resetting: bits & 4 != 0,
                    failure,
                };
                assert_eq!(Before::from_word(before.to_word()), before);
            }
        }
    }
}
