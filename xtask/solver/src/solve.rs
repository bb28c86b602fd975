//! The order of the steps.

use crate::alias;
use crate::allocate;
use crate::bypass;
use crate::diagnostic::{Code, Diagnostic};
use crate::direct::{self, Overlaps};
use crate::disjoint::Disjoint;
use crate::domain::{Decision, Domains};
use crate::forgery::Forgery;
use crate::holder::Holders;
use crate::isolation::Isolation;
use crate::model::{DomainType, Machine, NodeId, OwnerId};
use crate::ownership::{Ownership, Pairs};
use crate::relation::{Chains, Edges};
use crate::remedy;
use crate::reset;
use crate::solution::{
    AliasSet, Device, Domain, Edge, EdgeKind, Group, Mode, ResetUnit, Solution, Stream,
};
use crate::stranger::Strangers;
use crate::topology::Topology;
use crate::unowned::Outcome;
use crate::waiver;

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
    let mut solution = once(machine, options.mode);
    if options.remedies > 0 {
        remedy::attach(machine, options, &mut solution);
    }
    solution
}

fn once(machine: &Machine, mode: Mode) -> Solution {
    let mut topology = Topology::new(machine);
    let mut found = core::mem::take(&mut topology.diagnostics);
    let ids = alias::ids(machine, &topology);

    let mut edges = Edges::default();
    alias::edges(machine, &topology, &ids, &mut edges);
    let isolation = Isolation::new(machine, &topology, mode);
    isolation.edges(&ids, &mut edges);
    reset::edges(machine, &topology, &mut edges);
    let edges = edges.list;

    let sets = |kinds: &[EdgeKind]| partition(&topology, machine.nodes.len(), &edges, kinds);
    let (alias_sets, alias_of) = sets(&[EdgeKind::Alias]);
    let (groups, group_of) = sets(&[EdgeKind::Alias, EdgeKind::Isolation]);
    let (reset_units, reset_of) = sets(&[EdgeKind::Reset]);
    let (neighbours, neighbours_of) = sets(&[EdgeKind::Isolation]);
    // The unit of a domain, and with the resets that of containment.
    let (units, unit_of, (containment, _)) = match mode {
        Mode::Strict => (
            &alias_sets,
            &alias_of,
            sets(&[EdgeKind::Alias, EdgeKind::Reset]),
        ),
        Mode::Linux => (
            &groups,
            &group_of,
            sets(&[EdgeKind::Alias, EdgeKind::Isolation, EdgeKind::Reset]),
        ),
    };

    let chains = Chains::new(machine.nodes.len(), &edges);
    let pairs = Pairs::new(machine);
    check_streams(machine, &topology, &ids, &mut found);
    check_routing(machine, &isolation, &mut found);
    let ownership = Ownership {
        machine,
        topology: &topology,
        chains: &chains,
        pairs: &pairs,
        mode,
        units,
        unit_of,
        groups: &groups,
        containment: &containment,
    };
    let mut waivers = ownership.check(&mut found);
    let strangers = Strangers {
        machine,
        topology: &topology,
        isolation: &isolation,
        ids: &ids,
        chains: &chains,
        mode,
        units,
        groups: &groups,
        group_of: &group_of,
    };
    strangers.check(&mut found);
    let forgery = Forgery {
        machine,
        topology: &topology,
        isolation: &isolation,
        ids: &ids,
        pairs: &pairs,
        group_of: &group_of,
    };
    if mode == Mode::Strict {
        forgery.check(&mut waivers, &mut found);
    }
    let holders = Holders {
        machine,
        topology: &topology,
        isolation: &isolation,
        ids: &ids,
        pairs: &pairs,
        chains: &chains,
        mode,
        unit_of,
        groups: &groups,
        group_of: &group_of,
    };
    holders.check(&mut found);
    let overlaps = Overlaps {
        machine,
        topology: &topology,
        pairs: &pairs,
        units,
        unit_of,
        group_of: &group_of,
    };
    overlaps.check(&mut waivers, &mut found);
    waivers.sort_by_key(|used| (used.group, used.waiver));
    waivers.dedup();
    waiver::check(machine, &waivers, &mut found);
    let exposed = |node: usize| strangers.socket_in_group(node);
    bypass::check(machine, &chains, units, exposed, &mut found);
    let decisions = Domains {
        machine,
        topology: &topology,
        chains: &chains,
        pairs: &pairs,
        mode,
        units,
        unit_of,
        groups: &groups,
        group_of: &group_of,
    }
    .decide(&mut found);

    let mut domains = Vec::new();
    let mut domain_of: Vec<Option<usize>> = vec![None; machine.nodes.len()];
    for (unit, members) in units.iter().enumerate() {
        if decisions[unit].domain_type == DomainType::Blocked {
            continue;
        }
        let devices = domain_members(machine, members, &alias_sets, &alias_of);
        for node in &devices {
            domain_of[*node] = Some(domains.len());
        }
        domains.push(Domain {
            domain_type: decisions[unit].domain_type,
            owners: owners(machine, &devices),
            devices: devices.into_iter().map(NodeId::new).collect(),
            contexts: Vec::new(),
            window: None,
        });
    }
    allocate::contexts(
        machine,
        &mut domains,
        |node| ids[node].streams.clone(),
        &mut found,
    );
    allocate::windows(machine, &mut domains, &mut found);
    let outcome = Outcome {
        machine,
        topology: &topology,
        open: &|node| domain_of[node].is_some(),
        conflict: &|node| decisions[unit_of[node]].conflict,
        because: &|node| decisions[unit_of[node]].because.clone(),
    };
    outcome.check(&mut found);
    let exceptions = direct::exceptions(machine, &topology, &alias_sets, &alias_of, &mut found);

    let device = |node: usize| {
        let decision = &decisions[unit_of[node]];
        let open = domain_of[node].is_some();
        Device {
            requester: topology.placed[node].requester,
            aliases: ids[node].aliases.clone(),
            streams: ids[node].streams.clone(),
            buses: topology.placed[node].buses,
            alias_set: alias_of[node],
            group: group_of[node],
            reset_unit: reset_of[node],
            neighbours: neighbours_of[node],
            ports: nodes(&isolation.open_registers(node)),
            unvalidated: isolation.unvalidated(node).map(NodeId::new),
            domain_type: if open {
                decision.domain_type
            } else {
                DomainType::Blocked
            },
            domain_because: because(decision, open),
            domain: domain_of[node],
        }
    };
    let devices: Vec<Device> = (0..machine.nodes.len()).map(device).collect();
    Solution {
        mode,
        order: nodes(&topology.order),
        alias_sets: alias_sets
            .iter()
            .map(|set| AliasSet {
                devices: nodes(set),
                domain_type: devices[set[0]].domain_type,
            })
            .collect(),
        groups: groups
            .iter()
            .enumerate()
            .map(|(number, set)| group(machine, &group_of, number, set))
            .collect(),
        reset_units: reset_units
            .iter()
            .map(|set| ResetUnit {
                devices: nodes(set),
            })
            .collect(),
        neighbours: neighbours.iter().map(|set| nodes(set)).collect(),
        devices,
        edges,
        domains,
        waivers,
        exceptions,
        diagnostics: found,
    }
}

fn because(decision: &Decision, open: bool) -> String {
    if open || decision.domain_type == DomainType::Blocked {
        decision.because.clone()
    } else {
        "a bridge: its own stream stays blocked".into()
    }
}

fn nodes(list: &[usize]) -> Vec<NodeId> {
    list.iter().copied().map(NodeId::new).collect()
}

fn partition(
    topology: &Topology,
    len: usize,
    edges: &[Edge],
    kinds: &[EdgeKind],
) -> (Vec<Vec<usize>>, Vec<usize>) {
    let mut sets = Disjoint::new(len);
    for edge in edges.iter().filter(|edge| kinds.contains(&edge.kind)) {
        sets.join(edge.from.index(), edge.to.index());
    }
    sets.sets(&topology.order)
}

/// Members of a unit that its domain serves. A bridge is one only if it shares a StreamID with a device,
/// since the SMMU could not tell its requests from that device's.
fn domain_members(
    machine: &Machine,
    members: &[usize],
    alias_sets: &[Vec<usize>],
    alias_of: &[usize],
) -> Vec<usize> {
    let endpoint = |node: &usize| !machine.nodes[*node].function.kind.is_bridge();
    members
        .iter()
        .copied()
        .filter(|node| endpoint(node) || alias_sets[alias_of[*node]].iter().any(endpoint))
        .collect()
}

fn owners(machine: &Machine, members: &[usize]) -> Vec<OwnerId> {
    let mut owners: Vec<OwnerId> = members
        .iter()
        .filter_map(|n| machine.nodes[*n].owner)
        .filter(|o| o.index() < machine.owners.len())
        .collect();
    owners.sort_unstable_by(|a, b| {
        machine.owners[a.index()]
            .name
            .cmp(&machine.owners[b.index()].name)
    });
    owners.dedup();
    owners
}

fn group(machine: &Machine, group_of: &[usize], number: usize, set: &[usize]) -> Group {
    let mut declared: Vec<&str> = machine
        .groups
        .iter()
        .filter(|g| {
            g.members
                .first()
                .is_some_and(|m| group_of.get(m.index()) == Some(&number))
        })
        .map(|g| g.name.as_str())
        .collect();
    declared.sort_unstable();
    let named = set
        .iter()
        .find(|n| machine.nodes[**n].owner.is_some())
        .unwrap_or(&set[0]);
    Group {
        name: declared
            .first()
            .map_or_else(|| machine.nodes[*named].name.clone(), |name| (*name).into()),
        devices: nodes(set),
        owners: owners(machine, set),
    }
}

/// Every owned device has StreamIDs, and every StreamID an SMMU that takes it.
fn check_streams(
    machine: &Machine,
    topology: &Topology,
    ids: &[alias::Ids],
    found: &mut Vec<Diagnostic>,
) {
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
