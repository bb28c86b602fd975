//! The judgement of an attempt.

use iommu_api::{PAGE, Status};

use crate::attempt::{Attempt, Finished};

/// Why an attempt counts against the system, or the whole against the rogue's account of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The rogue itself says that bytes moved.
    Moved,
    /// The SMMU recorded no further blocked access of the device.
    NotRecorded,
    /// The SMMU recorded another access last.
    OtherAccess,
    /// The address is not the one that the plan gives for this target.
    OtherAddress,
    /// The witness's own memory changed.
    CanaryChanged,
    /// Something was not tried.
    Untried,
    /// A request in another's name was granted, or none was tried.
    Granted,
}

impl Finding {
    /// For a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moved => "bytes moved",
            Self::NotRecorded => "no fault was recorded",
            Self::OtherAccess => "another fault was recorded",
            Self::OtherAddress => "not the address of the plan",
            Self::CanaryChanged => "the canary changed",
            Self::Untried => "not everything was tried",
            Self::Granted => "a request in another's name was granted",
        }
    }
}

/// Keeps account of the attempts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Judge {
    /// Bit `2 * target + read` for each attempt that was blocked.
    blocked: u32,
    /// Faults of the device recorded up to the last attempt.
    faults: u64,
    /// The first finding that counted against the system.
    breach: Option<Finding>,
}

impl Judge {
    /// Nothing was tried; `faults` were recorded of the device before.
    pub const fn new(faults: u64) -> Self {
        Self {
            blocked: 0,
            faults,
            breach: None,
        }
    }

    /// Judges one attempt. `planned` is the target's address by the plan, for targets that have one;
    /// `status` is what the IOMMU server says of the device now.
    pub fn attempt(
        &mut self,
        attempt: &Attempt,
        planned: Option<u64>,
        status: &Status,
        canary_intact: bool,
    ) -> Result<(), Finding> {
        let recorded = status.faults > self.faults;
        self.faults = status.faults;
        let result = if attempt.moved > 0 {
            Err(Finding::Moved)
        } else if !canary_intact {
            Err(Finding::CanaryChanged)
        } else if attempt.target.parameter().is_some() && planned != Some(attempt.iova) {
            Err(Finding::OtherAddress)
        } else if !recorded {
            Err(Finding::NotRecorded)
        } else if !same_access(attempt, status) {
            Err(Finding::OtherAccess)
        } else {
            Ok(())
        };
        match result {
            Ok(()) => self.blocked |= 1 << (2 * attempt.target as u32 + u32::from(attempt.read)),
            Err(finding) => self.breach = self.breach.or(Some(finding)),
        }
        result
    }

    /// Attempts that were blocked, each counted once.
    pub fn blocked(&self) -> u32 {
        self.blocked.count_ones()
    }

    /// The verdict, when the rogue has tried everything.
    pub fn finish(&self, finished: &Finished) -> Result<(), Finding> {
        if finished.granted > 0 || finished.refused == 0 {
            Err(Finding::Granted)
        } else if let Some(breach) = self.breach {
            Err(breach)
        } else if self.blocked() < Attempt::ALL {
            Err(Finding::Untried)
        } else {
            Ok(())
        }
    }
}

/// Whether the fault recorded last is of this attempt: kind, direction, and page.
fn same_access(attempt: &Attempt, status: &Status) -> bool {
    let first = attempt.iova / PAGE;
    let last = attempt.iova.saturating_add(u64::from(attempt.len) - 1) / PAGE;
    status.last_event == attempt.target.event()
        && status.last_read == attempt.read
        && (first..=last).contains(&(status.last_iova / PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Target;

    const IOVA: u64 = 0x4020_0000;

    fn attempt(target: Target, read: bool) -> Attempt {
        Attempt {
            target,
            read,
            device: 3,
            iova: IOVA,
            len: 16,
            moved: 0,
        }
    }

    fn status(attempt: &Attempt, faults: u64) -> Status {
        Status {
            last_event: attempt.target.event(),
            last_read: attempt.read,
            last_iova: attempt.iova + 12,
            faults,
            ..Status::default()
        }
    }

    #[test]
    fn everything_blocked_is_a_pass() {
        let mut judge = Judge::new(5);
        let mut faults = 5;
        for target in Target::ALL {
            for read in [true, false] {
                if read && !target.read_is_forbidden() {
                    continue;
                }
                let attempt = attempt(target, read);
                faults += 4;
                let planned = target.parameter().map(|_| IOVA);
                assert_eq!(
                    judge.attempt(&attempt, planned, &status(&attempt, faults), true),
                    Ok(())
                );
            }
        }
        assert_eq!(judge.blocked(), Attempt::ALL);
        let finished = Finished {
            refused: 1,
            granted: 0,
        };
        assert_eq!(judge.finish(&finished), Ok(()));
        assert_eq!(
            judge.finish(&Finished {
                granted: 1,
                ..finished
            }),
            Err(Finding::Granted)
        );
        assert_eq!(
            judge.finish(&Finished {
                refused: 0,
                ..finished
            }),
            Err(Finding::Granted)
        );
    }

    /// An attempt, the planned address, what the server recorded, whether the canary is whole: each with one thing that
    /// speaks against it.
    type Doubt = (Attempt, Option<u64>, Status, bool, Finding);

    fn doubts() -> [Doubt; 9] {
        let good = attempt(Target::Kernel, true);
        let recorded = status(&good, 1);
        [
            (
                Attempt { moved: 1, ..good },
                Some(IOVA),
                recorded,
                true,
                Finding::Moved,
            ),
            (good, Some(IOVA), recorded, false, Finding::CanaryChanged),
            (good, Some(IOVA + 1), recorded, true, Finding::OtherAddress),
            (good, None, recorded, true, Finding::OtherAddress),
            (
                good,
                Some(IOVA),
                Status {
                    faults: 0,
                    ..recorded
                },
                true,
                Finding::NotRecorded,
            ),
            (
                good,
                Some(IOVA),
                Status {
                    last_read: false,
                    ..recorded
                },
                true,
                Finding::OtherAccess,
            ),
            (
                good,
                Some(IOVA),
                Status {
                    last_event: 0x13,
                    ..recorded
                },
                true,
                Finding::OtherAccess,
            ),
            (
                good,
                Some(IOVA),
                Status {
                    last_iova: IOVA - 1,
                    ..recorded
                },
                true,
                Finding::OtherAccess,
            ),
            (
                good,
                Some(IOVA),
                Status {
                    last_iova: IOVA + 4096,
                    ..recorded
                },
                true,
                Finding::OtherAccess,
            ),
        ]
    }

    #[test]
    fn every_doubt_counts() {
        for (attempt, planned, status, canary, finding) in doubts() {
            let mut judge = Judge::new(0);
            assert_eq!(
                judge.attempt(&attempt, planned, &status, canary),
                Err(finding)
            );
            assert_eq!(judge.blocked(), 0);
            assert!(
                judge
                    .finish(&Finished {
                        refused: 1,
                        granted: 0
                    })
                    .is_err()
            );
        }
    }

    #[test]
    fn a_breach_is_not_forgotten() {
        let mut judge = Judge::new(0);
        let bad = Attempt {
            moved: 16,
            ..attempt(Target::Its, false)
        };
        assert!(
            judge
                .attempt(&bad, Some(IOVA), &status(&bad, 1), true)
                .is_err()
        );
        let again = attempt(Target::Its, false);
        assert_eq!(
            judge.attempt(&again, Some(IOVA), &status(&again, 2), true),
            Ok(())
        );
        assert_eq!(
            judge.finish(&Finished {
                refused: 1,
                granted: 0
            }),
            Err(Finding::Moved)
        );
    }

    #[test]
    fn repeating_one_attempt_is_not_trying_all() {
        let mut judge = Judge::new(0);
        for faults in 1..=20 {
            let attempt = attempt(Target::Unmapped, true);
            assert_eq!(
                judge.attempt(&attempt, None, &status(&attempt, faults), true),
                Ok(())
            );
        }
        assert_eq!(judge.blocked(), 1);
        assert_eq!(
            judge.finish(&Finished {
                refused: 1,
                granted: 0
            }),
            Err(Finding::Untried)
        );
    }

    #[test]
    fn an_attempt_at_the_end_of_the_address_space_does_not_overflow() {
        let high = Attempt {
            iova: u64::MAX,
            len: u32::MAX,
            ..attempt(Target::Unmapped, true)
        };
        let mut judge = Judge::new(0);
        assert_eq!(
            judge.attempt(
                &high,
                None,
                &Status {
                    last_iova: 0,
                    ..status(&attempt(Target::Unmapped, true), 1)
                },
                true
            ),
            Err(Finding::OtherAccess)
        );
    }
}
