//! What the tasks of the hostile image tell the judge, and what it makes of it.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use userlib::ipc::Payload;

/// From the fuzzer: its rounds are done; the payload is a [`Finished`].
pub const FINISHED: u16 = 0xf1;
/// From the victim: its last life, in which it does nothing illegal; the payload is empty.
pub const LAST_LIFE: u16 = 0xf2;
/// From the victim: an illegal call returned. Word 0 is the call's number in its table.
pub const SURVIVED: u16 = 0xf3;
/// Code of the reply to anything else.
pub const MALFORMED: u32 = 1;

/// What the fuzzer says of its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Finished {
    /// Messages, posts and leases sent.
    pub rounds: u64,
    /// Calls that a server carried out.
    pub accepted: u64,
    /// Transfers of its own device that were started.
    pub transfers: u64,
    /// The number of that device.
    pub device: u32,
}

impl Finished {
    /// Bytes of the message.
    pub const LEN: usize = 32;

    /// As words.
    pub const fn to_words(self) -> Payload {
        [
            self.rounds,
            self.accepted,
            self.transfers,
            self.device as u64,
            0,
            0,
            0,
            0,
        ]
    }

    /// From the words of a message.
    pub const fn from_words(payload: &Payload) -> Self {
        let [rounds, accepted, transfers, device, ..] = *payload;
        Self {
            rounds,
            accepted,
            transfers,
            device: device as u32,
        }
    }
}

/// What there is to judge.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// What the fuzzer said.
    pub finished: Finished,
    /// Rounds it was to do.
    pub rounds: u64,
    /// Lives of the victim that ended.
    pub deaths: u64,
    /// Lives that were to end.
    pub lives: u64,
    /// An illegal call returned.
    pub survived: bool,
    /// A task other than the victim is not in its first life, or not up.
    pub disturbed: bool,
    /// The judge's own pool holds what it wrote there.
    pub canary_intact: bool,
    /// Accesses of the fuzzer's device that the SMMU refused.
    pub faults: u64,
    /// Claims of the fuzzer's device.
    pub claims: u64,
}

/// The verdict, with the first reason against.
///
/// That the fuzzer got through is demanded as well: one whose messages are all refused at the door, or
/// whose device never reached for anything, would let every server pass.
pub fn judge(evidence: &Evidence) -> Result<(), &'static str> {
    let e = evidence;
    let reasons = [
        (e.disturbed, "a task other than the victim died"),
        (!e.canary_intact, "the canary changed"),
        (e.survived, "an illegal call returned"),
        (
            e.deaths != e.lives,
            "the victim died too often or too rarely",
        ),
        (e.finished.rounds != e.rounds, "the fuzzer left out rounds"),
        (
            e.finished.accepted < e.rounds / 20,
            "hardly any message was accepted",
        ),
        (e.claims < 2, "the fuzzer's device was hardly ever claimed"),
        (
            e.finished.transfers == 0 || e.faults == 0,
            "the fuzzer's device reached for nothing",
        ),
    ];
    match reasons.iter().find(|(against, _)| *against) {
        Some((_, reason)) => Err(reason),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Evidence = Evidence {
        finished: Finished {
            rounds: 1000,
            accepted: 300,
            transfers: 5,
            device: 6,
        },
        rounds: 1000,
        deaths: 48,
        lives: 48,
        survived: false,
        disturbed: false,
        canary_intact: true,
        faults: 4,
        claims: 3,
    };

    #[test]
    fn each_reason_counts_alone() {
        assert_eq!(judge(&GOOD), Ok(()));
        let bad = [
            Evidence {
                disturbed: true,
                ..GOOD
            },
            Evidence {
                canary_intact: false,
                ..GOOD
            },
            Evidence {
                survived: true,
                ..GOOD
            },
            Evidence { deaths: 47, ..GOOD },
            Evidence { deaths: 49, ..GOOD },
            Evidence {
                rounds: 1001,
                ..GOOD
            },
            Evidence { claims: 1, ..GOOD },
            Evidence { faults: 0, ..GOOD },
            Evidence {
                finished: Finished {
                    accepted: 49,
                    ..GOOD.finished
                },
                ..GOOD
            },
            Evidence {
                finished: Finished {
                    transfers: 0,
                    ..GOOD.finished
                },
                ..GOOD
            },
        ];
        let mut reasons: std::vec::Vec<_> = bad.iter().map(judge).collect();
        assert!(reasons.iter().all(Result::is_err));
        reasons.sort_by_key(|reason| reason.err());
        reasons.dedup();
        assert_eq!(reasons.len(), 8, "{reasons:?}");
    }

    #[test]
    fn what_the_fuzzer_says_survives_the_registers() {
        assert_eq!(
            Finished::from_words(&GOOD.finished.to_words()),
            GOOD.finished
        );
    }
}
