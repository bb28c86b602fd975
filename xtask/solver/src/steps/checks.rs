//! Mistakes in a machine that are found before any domain is decided.

use super::Given;
use crate::alias::Ids;
use crate::bypass;
use crate::diagnostic::{Code, Diagnostic};
use crate::direct::Overlaps;
use crate::erratum;
use crate::forgery::Forgery;
use crate::holder::Holders;
use crate::isolation::Isolation;
use crate::model::Machine;
use crate::ownership::Ownership;
use crate::solution::{Mode, Stream, UsedWaiver};
use crate::stranger::Strangers;
use crate::topology::Topology;
use crate::waiver;

/// Makes all checks, in the order of their diagnostics, and gives the waivers that were needed.
pub fn check(given: &Given<'_>, found: &mut Vec<Diagnostic>) -> Vec<UsedWaiver> {
    check_streams(given.machine, given.topology, given.ids, found);
    check_routing(given.machine, given.isolation, found);
    erratum::check(given.machine, given.topology, given.mode, found);
    let mut waivers = check_owners(given, found);
    let strangers = strangers(given);
    strangers.check(found);
    if given.mode == Mode::Strict {
        forgery(given).check(&mut waivers, found);
    }
    holders(given).check(found);
    overlaps(given).check(&mut waivers, found);
    waivers.sort_by_key(|used| (used.group, used.waiver));
    waivers.dedup();
    waiver::check(given.machine, &waivers, found);
    let exposed = |node: usize| strangers.socket_in_group(node);
    let units = &given.sets.units(given.mode).members;
    bypass::check(given.machine, given.chains, units, exposed, found);
    waivers
}

fn check_owners(given: &Given<'_>, found: &mut Vec<Diagnostic>) -> Vec<UsedWaiver> {
    let units = given.sets.units(given.mode);
    let ownership = Ownership {
        machine: given.machine,
        topology: given.topology,
        chains: given.chains,
        pairs: given.pairs,
        open_unowned: given.open_unowned,
        mode: given.mode,
        units: &units.members,
        unit_of: &units.of,
        groups: &given.sets.groups.members,
        containment: &given.sets.containment.members,
    };
    ownership.check(found)
}

fn strangers<'a>(given: &Given<'a>) -> Strangers<'a> {
    let units = given.sets.units(given.mode);
    Strangers {
        machine: given.machine,
        topology: given.topology,
        isolation: given.isolation,
        ids: given.ids,
        chains: given.chains,
        open_unowned: given.open_unowned,
        mode: given.mode,
        units: &units.members,
        unit_of: &units.of,
        groups: &given.sets.groups.members,
        group_of: &given.sets.groups.of,
    }
}

fn forgery<'a>(given: &Given<'a>) -> Forgery<'a> {
    let units = given.sets.units(given.mode);
    Forgery {
        machine: given.machine,
        topology: given.topology,
        isolation: given.isolation,
        usables: given.usables,
        pairs: given.pairs,
        open_unowned: given.open_unowned,
        units: &units.members,
        unit_of: &units.of,
        group_of: &given.sets.groups.of,
    }
}

fn holders<'a>(given: &Given<'a>) -> Holders<'a> {
    let units = given.sets.units(given.mode);
    Holders {
        machine: given.machine,
        topology: given.topology,
        usables: given.usables,
        pairs: given.pairs,
        chains: given.chains,
        mode: given.mode,
        units: &units.members,
        unit_of: &units.of,
        groups: &given.sets.groups.members,
        group_of: &given.sets.groups.of,
    }
}

fn overlaps<'a>(given: &Given<'a>) -> Overlaps<'a> {
    let units = given.sets.units(given.mode);
    Overlaps {
        machine: given.machine,
        topology: given.topology,
        pairs: given.pairs,
        units: &units.members,
        unit_of: &units.of,
        group_of: &given.sets.groups.of,
    }
}

/// Every owned device has StreamIDs, and every StreamID an SMMU that takes it.
fn check_streams(machine: &Machine, topology: &Topology, ids: &[Ids], found: &mut Vec<Diagnostic>) {
    for &node in &topology.order {
        let entry = &machine.nodes[node];
        let streams = &ids[node].streams;
        let party = |d: Diagnostic| d.device(machine, node, format!("`{}`", entry.name));
        let missing = match (ids[node].unmapped, topology.placed[node].requester) {
            (Some(id), Some(own)) if id == own => {
                Some(format!("no stream mapping covers `{}` ({own})", entry.name))
            }
            (Some(id), _) => Some(format!(
                "no stream mapping covers {id}, which requests of `{}` may carry",
                entry.name
            )),
            (None, _) => streams
                .is_empty()
                .then(|| format!("`{}` has no StreamID", entry.name)),
        };
        if let (Some(_), Some(message)) = (entry.owner, missing) {
            found.push(party(Diagnostic::new(Code::NoStream, message)));
        }
        for Stream { smmu, id } in streams {
            let fits = machine
                .smmus
                .get(smmu.index())
                .is_some_and(|s| u64::from(*id) < 1 << s.stream_bits.min(32));
            if !fits {
                let message = format!("StreamID {id:#x} of `{}` does not fit its SMMU", entry.name);
                found.push(party(Diagnostic::new(Code::StreamRange, message)));
            }
        }
    }
}

fn check_routing(machine: &Machine, isolation: &Isolation<'_>, found: &mut Vec<Diagnostic>) {
    for (open, closed) in isolation.mixed_root_ports() {
        let fault = isolation.fault(open).unwrap_or_default();
        let (open, closed) = (&machine.nodes[open], &machine.nodes[closed]);
        found.push(
            Diagnostic::new(
                Code::RootComplexRouting,
                format!(
                    "devices below `{}` may reach those below `{}` if the root complex routes between root ports",
                    open.name, closed.name
                ),
            )
            .party(format!("`{}` {fault}", open.name), open.source)
            .party(format!("`{}` keeps requests apart", closed.name), closed.source),
        );
    }
}
