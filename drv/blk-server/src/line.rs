//! An interrupt line that tells of nothing.
//!
//! A line stays raised as long as its device has something to say. One that stays raised for nothing would keep the driver
//! busy for ever, and all tasks below it waiting: QEMU's NVMe controller (7.2 to 11.1) does so after a reset at which
//! completions had not been given back. So after some interrupts in vain the driver leaves it masked, and looks by itself for
//! a while.

/// Interrupts in a row that tell of nothing, after which the line is left masked.
const VAIN_MAX: u32 = 64;
/// Nanoseconds from one look to the next while it is.
pub const POLL_NS: u64 = 1_000_000;
/// Looks after which the line is tried again: a second.
const POLLS: u32 = 1000;

/// A line, and whether it can be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Line {
    vain: u32,
    polls: u32,
    times: u32,
}

impl Line {
    /// It was raised, and the device had something to say or had not; whether it is to be unmasked.
    #[inline(always)]
    pub fn raised(&mut self, found: bool) -> bool {
        if found {
            self.vain = 0;
            return true;
        }
        self.vain += 1;
        if self.vain < VAIN_MAX {
            return true;
        }
        self.vain = 0;
        self.polls = POLLS;
        self.times = self.times.saturating_add(1);
        false
    }

    /// How often it was left masked.
    pub const fn times(&self) -> u32 {
        self.times
    }

    /// Whether it is left masked, so that the driver has to look.
    #[inline(always)]
    pub const fn is_masked(&self) -> bool {
        self.polls > 0
    }

    /// The driver has looked; whether the line is to be unmasked and tried again.
    pub const fn looked(&mut self) -> bool {
        self.polls = self.polls.saturating_sub(1);
        self.polls == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_tells_of_nothing_is_left_alone_for_a_second() {
        let mut line = Line::default();
        for round in 0..3 {
            for _ in 1..VAIN_MAX {
                assert!(line.raised(false) && !line.is_masked());
            }
            assert!(!line.raised(false), "{round}");
            for _ in 1..POLLS {
                assert!(line.is_masked() && !line.looked());
            }
            assert!(line.looked() && !line.is_masked());
            assert_eq!(line.times(), round + 1);
        }
        assert_eq!(u64::from(POLLS) * POLL_NS, 1_000_000_000);
    }

    #[test]
    fn a_line_that_tells_of_something_is_believed() {
        let mut line = Line::default();
        for _ in 0..100 {
            for _ in 1..VAIN_MAX {
                assert!(line.raised(false));
            }
            assert!(line.raised(true) && !line.is_masked());
        }
    }
}
