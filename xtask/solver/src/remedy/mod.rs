//! Remedies, tried before they are proposed: the changed machine is solved again, and only what makes
//! the error go away without a new one is reported.

mod candidate;

use std::collections::BTreeSet;

use crate::change::Change;
use crate::diagnostic::{Code, Diagnostic, Remedy, Severity};
use crate::model::{Machine, NodeId, Place, Upstream};
use crate::solution::{Mode, Solution};
use crate::steps;

/// Size of a machine from which on trials are counted.
const LARGE: usize = 300;
/// Nodes that all trials together may solve in a large machine: a second's work at most.
const WORK: usize = 40_000;
/// Trials there are in any case.
const LEAST: usize = 2;
/// Most ports beside the way of a request that are tried one by one.
const NARROWED: usize = 32;

/// The kind of an error, and what it says.
type Cause = (Code, String);

/// Attaches remedies to the first errors of `solution`.
pub(crate) fn attach(machine: &Machine, remedies: usize, solution: &mut Solution) {
    let nodes = machine.nodes.len();
    let mut trials = Trials {
        machine,
        mode: solution.mode,
        // What was left out may show after a change.
        before: solution
            .errors()
            .chain(&solution.left_out)
            .map(cause)
            .collect(),
        left: if nodes > LARGE {
            (WORK / nodes).max(LEAST)
        } else {
            usize::MAX
        },
    };
    let mut diagnostics = core::mem::take(&mut solution.diagnostics);
    let errors = diagnostics
        .iter_mut()
        .filter(|diagnostic| diagnostic.severity == Severity::Error);
    for diagnostic in errors.take(remedies) {
        let candidates = candidate::all(machine, solution, diagnostic);
        diagnostic.remedies = trials.remedies(diagnostic, candidates);
    }
    solution.diagnostics = diagnostics;
}

/// Changed machines that are solved.
struct Trials<'a> {
    machine: &'a Machine,
    mode: Mode,
    /// The causes of all errors of the machine as it is.
    before: BTreeSet<Cause>,
    /// How many may still be solved.
    left: usize,
}

impl Trials<'_> {
    /// The candidates that mend an error without a new one.
    fn remedies(&mut self, diagnostic: &Diagnostic, candidates: Vec<Remedy>) -> Vec<Remedy> {
        let mut found: Vec<Remedy> = Vec::new();
        for candidate in candidates {
            // What does more than is needed is no further remedy.
            let is_needed = !found.iter().any(|known| includes(&candidate, known));
            if is_needed && self.solves(&candidate.changes, diagnostic) {
                found.push(self.narrowed(candidate, diagnostic));
            }
        }
        found
    }

    /// A remedy that enables access control, without the ports that do not matter. The devices that the
    /// error is about and the ports above them stay: on what is beside their way it depends whether that matters.
    fn narrowed(&mut self, remedy: Remedy, diagnostic: &Diagnostic) -> Remedy {
        let above = |node: &NodeId| match self.machine.nodes[node.index()].place {
            Place::Slot {
                upstream: Upstream::Bridge(bridge),
                ..
            } => Some(bridge),
            Place::Virtual { physical, .. } => Some(physical),
            _ => None,
        };
        // A way that is longer than the list is a circle.
        let most = self.machine.nodes.len();
        let way = |node: &NodeId| std::iter::successors(Some(*node), above).take(most);
        let on_way: BTreeSet<NodeId> = diagnostic.nodes.iter().flat_map(way).collect();
        let changes = remedy.changes.iter();
        let ports: Option<Vec<NodeId>> = changes
            .map(|change| match change {
                Change::EnableAcs(port) => Some(*port),
                _ => None,
            })
            .collect();
        let Some(mut ports) = ports else {
            return remedy;
        };
        let beside = ports.iter().copied();
        let beside: Vec<NodeId> = beside.filter(|port| !on_way.contains(port)).collect();
        if beside.is_empty() || beside.len() > NARROWED {
            return remedy;
        }
        for port in beside {
            let others: Vec<NodeId> = ports.iter().copied().filter(|p| *p != port).collect();
            let changes: Vec<Change> = others.iter().copied().map(Change::EnableAcs).collect();
            if self.solves(&changes, diagnostic) {
                ports = others;
            }
        }
        candidate::enabling(self.machine, &ports)
    }

    /// Whether changes mend an error without a new one.
    fn solves(&mut self, changes: &[Change], diagnostic: &Diagnostic) -> bool {
        let Some(left) = self.left.checked_sub(1) else {
            return false;
        };
        self.left = left;
        let mut changed = self.machine.clone();
        for change in changes {
            change.apply(&mut changed);
        }
        let after = steps::solve(&changed, self.mode);
        let after: BTreeSet<Cause> = after.errors().map(cause).collect();
        !after.contains(&cause(diagnostic)) && after.is_subset(&self.before)
    }
}

/// Whether a candidate has all changes of a remedy.
fn includes(candidate: &Remedy, remedy: &Remedy) -> bool {
    let mut changes = remedy.changes.iter();
    changes.all(|change| candidate.changes.contains(change))
}

/// The cause of the error: after a change the same cause may show at another device.
fn cause(diagnostic: &Diagnostic) -> Cause {
    let cause = diagnostic.cause.as_ref().unwrap_or(&diagnostic.message);
    (diagnostic.code, cause.clone())
}
