//! Remedies, tried before they are proposed: the changed machine is solved again, and only what makes
//! the error go away without a new one is reported.

mod candidate;

use std::collections::BTreeSet;

use crate::change::Change;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::model::Machine;
use crate::solution::{Mode, Solution};
use crate::steps;

/// Size of a machine from which on trials are counted.
const LARGE: usize = 300;
/// Nodes that all trials together may solve in a large machine: a second's work at most.
const WORK: usize = 40_000;
/// Trials there are in any case.
const LEAST: usize = 2;

/// Attaches remedies to the first errors of `solution`.
pub(crate) fn attach(machine: &Machine, remedies: usize, solution: &mut Solution) {
    let before = causes(solution);
    let mut left = remedies;
    let nodes = machine.nodes.len();
    let mut trials = if nodes > LARGE {
        (WORK / nodes).max(LEAST)
    } else {
        usize::MAX
    };
    let mut diagnostics = core::mem::take(&mut solution.diagnostics);
    for diagnostic in &mut diagnostics {
        if diagnostic.severity != Severity::Error || left == 0 {
            continue;
        }
        left -= 1;
        for candidate in candidate::all(machine, solution, diagnostic) {
            if trials == 0 {
                break;
            }
            trials -= 1;
            if solves(
                machine,
                solution.mode,
                &candidate.changes,
                diagnostic,
                &before,
            ) {
                diagnostic.remedies.push(candidate);
            }
        }
    }
    solution.diagnostics = diagnostics;
}

/// The cause of the error: after a change the same cause may show at another device.
fn cause(diagnostic: &Diagnostic) -> (Code, String) {
    let cause = diagnostic.cause.as_ref().unwrap_or(&diagnostic.message);
    (diagnostic.code, cause.clone())
}

fn causes(solution: &Solution) -> BTreeSet<(Code, String)> {
    solution.errors().map(cause).collect()
}

fn solves(
    machine: &Machine,
    mode: Mode,
    changes: &[Change],
    diagnostic: &Diagnostic,
    before: &BTreeSet<(Code, String)>,
) -> bool {
    let mut changed = machine.clone();
    for change in changes {
        change.apply(&mut changed);
    }
    let after = steps::solve(&changed, mode);
    let stays = after
        .errors()
        .any(|found| cause(found) == cause(diagnostic));
    !stays && causes(&after).is_subset(before)
}
