//! The whole answer: what follows from the machine, and what would mend its mistakes.

use crate::model::Machine;
use crate::remedy;
use crate::solution::{Mode, Solution};
use crate::steps;

/// The choices of the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// How much the hardware is believed.
    pub mode: Mode,
    /// How many errors get remedies, in order; each costs a few solutions of the changed machine. Of a machine
    /// with more than a few hundred nodes it may be fewer, so that the answer takes no longer than a second.
    pub remedies: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Strict,
            remedies: 48,
        }
    }
}

/// Solves `machine`. Never fails: what is wrong is in the diagnostics, and the rest is solved as far as
/// it goes, so that all mistakes are found at once.
pub fn solve(machine: &Machine, options: &Options) -> Solution {
    let mut solution = steps::solve(machine, options.mode);
    if options.remedies > 0 {
        remedy::attach(machine, options.remedies, &mut solution);
    }
    solution
}
