//! The order of the steps.

mod answer;
mod checks;
mod sets;

use crate::alias::{self, Ids};
use crate::diagnostic::Diagnostic;
use crate::direct;
use crate::domain::{Decision, Domains};
use crate::isolation::Isolation;
use crate::model::Machine;
use crate::ownership::Pairs;
use crate::relation::Chains;
use crate::remedy;
use crate::solution::{Mode, Solution};
use crate::topology::Topology;
use crate::unowned::Outcome;
use sets::Sets;

/// What the caller chooses.
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
    let mut solution = solve_without_remedies(machine, options.mode);
    if options.remedies > 0 {
        remedy::attach(machine, options, &mut solution);
    }
    solution
}

/// What every step looks at.
struct Given<'a> {
    machine: &'a Machine,
    mode: Mode,
    topology: &'a Topology,
    isolation: &'a Isolation<'a>,
    ids: &'a [Ids],
    sets: &'a Sets,
    chains: &'a Chains<'a>,
    pairs: &'a Pairs<'a>,
}

fn solve_without_remedies(machine: &Machine, mode: Mode) -> Solution {
    let mut topology = Topology::new(machine);
    let mut found = core::mem::take(&mut topology.diagnostics);
    let ids = alias::ids(machine, &topology);
    let isolation = Isolation::new(machine, &topology, mode);
    let edges = sets::edges(machine, &topology, &ids, &isolation);
    let sets = Sets::new(machine, &topology, &edges, mode);
    let given = Given {
        machine,
        mode,
        topology: &topology,
        isolation: &isolation,
        ids: &ids,
        sets: &sets,
        chains: &Chains::new(machine.nodes.len(), &edges),
        pairs: &Pairs::new(machine),
    };
    let waivers = checks::check(&given, &mut found);
    let decisions = decide(&given, &mut found);
    let (domains, domain_of) = answer::domains(&given, &decisions, &mut found);
    check_outcome(&given, &decisions, &domain_of, &mut found);
    let alias = &sets.alias;
    let exceptions = direct::exceptions(machine, &topology, &alias.members, &alias.of, &mut found);
    let devices = answer::devices(&given, &decisions, &domain_of);
    Solution {
        mode,
        order: answer::nodes(&topology.order),
        alias_sets: answer::alias_sets(alias, &devices),
        groups: answer::groups(machine, &sets.groups),
        reset_units: answer::reset_units(&sets.resets),
        neighbours: answer::neighbours(&sets.neighbours),
        devices,
        domains,
        waivers,
        exceptions,
        diagnostics: found,
        edges,
    }
}

/// The domain type of every unit.
fn decide(given: &Given<'_>, found: &mut Vec<Diagnostic>) -> Vec<Decision> {
    let units = given.sets.units(given.mode);
    let decisions = Domains {
        machine: given.machine,
        topology: given.topology,
        chains: given.chains,
        pairs: given.pairs,
        mode: given.mode,
        units: &units.members,
        unit_of: &units.of,
        groups: &given.sets.groups.members,
        group_of: &given.sets.groups.of,
    };
    decisions.decide(found)
}

fn check_outcome(
    given: &Given<'_>,
    decisions: &[Decision],
    domain_of: &[Option<usize>],
    found: &mut Vec<Diagnostic>,
) {
    let decision = |node: usize| &decisions[given.sets.units(given.mode).of[node]];
    let outcome = Outcome {
        machine: given.machine,
        topology: given.topology,
        open: &|node| domain_of[node].is_some(),
        conflict: &|node| decision(node).conflict,
        because: &|node| decision(node).because.clone(),
    };
    outcome.check(found);
}
