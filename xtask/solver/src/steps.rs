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
use crate::open_unowned::OpenUnowned;
use crate::pairs::Pairs;
use crate::relation::Chains;
use crate::solution::{Mode, Solution};
use crate::topology::Topology;
use crate::unowned::Outcome;
use crate::usable::Usables;
use sets::Sets;

/// The input that every step looks at.
struct Given<'a> {
    machine: &'a Machine,
    mode: Mode,
    topology: &'a Topology,
    isolation: &'a Isolation<'a>,
    ids: &'a [Ids],
    usables: &'a Usables,
    sets: &'a Sets,
    chains: &'a Chains<'a>,
    pairs: &'a Pairs<'a>,
    open_unowned: &'a OpenUnowned,
}

/// Solves `machine`, without remedies for what is wrong.
pub(crate) fn solve(machine: &Machine, mode: Mode) -> Solution {
    let mut topology = Topology::new(machine);
    let mut found = core::mem::take(&mut topology.diagnostics);
    let ids = alias::ids(machine, &topology);
    let isolation = Isolation::new(machine, &topology, mode);
    let edges = sets::edges(machine, &topology, &ids, &isolation);
    let sets = Sets::new(machine, &topology, &edges, mode);
    let usables = Usables::new(machine, &topology, &isolation, &ids);
    let pairs = Pairs::new(machine);
    let open_unowned = OpenUnowned::new(machine, &pairs, &sets.units(mode).members);
    let given = Given {
        machine,
        mode,
        topology: &topology,
        isolation: &isolation,
        ids: &ids,
        usables: &usables,
        sets: &sets,
        chains: &Chains::new(machine.nodes.len(), &edges),
        pairs: &pairs,
        open_unowned: &open_unowned,
    };
    let waivers = checks::check(&given, &mut found);
    let decisions = decide(&given, &mut found);
    let (domains, domain_of) = answer::domains(&given, &decisions, &mut found);
    check_outcome(&given, &decisions, &domain_of, &mut found);
    let alias = &sets.alias;
    let exceptions = direct::exceptions(machine, &topology, &alias.members, &alias.of, &mut found);
    let contradicts_itself = |node: &usize| decisions[sets.units(mode).of[*node]].conflict;
    let (left_out, found): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|diagnostic| diagnostic.presumes.iter().any(contradicts_itself));
    let devices = answer::devices(&given, &decisions, &domain_of);
    Solution {
        mode,
        order: answer::nodes(&topology.order),
        alias_sets: answer::alias_sets(alias, &devices),
        groups: answer::groups(machine, &sets.groups),
        reset_units: answer::reset_units(&sets.resets),
        neighbours: answer::neighbours(&sets.neighbours),
        usable_ids: answer::usable_ids(&given),
        devices,
        domains,
        waivers,
        exceptions,
        diagnostics: found,
        left_out,
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
        because: &|node| decision(node).because.clone(),
    };
    outcome.check(found);
}
