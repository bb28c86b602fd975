//! The solution, from what was decided.

use super::Given;
use super::sets::Partition;
use crate::allocate;
use crate::diagnostic::Diagnostic;
use crate::domain::Decision;
use crate::model::{DomainType, Machine, NodeId, OwnerId};
use crate::solution::{AliasSet, Device, Domain, Group, ResetUnit, UsableIds};

/// The domain of every unit that is not blocked, with contexts and windows, and the domain of each node.
pub fn domains(
    given: &Given<'_>,
    decisions: &[Decision],
    found: &mut Vec<Diagnostic>,
) -> (Vec<Domain>, Vec<Option<usize>>) {
    let machine = given.machine;
    let mut domains = Vec::new();
    let mut domain_of: Vec<Option<usize>> = vec![None; machine.nodes.len()];
    let units = given.sets.units(given.mode).members.iter().zip(decisions);
    for (members, decision) in units {
        if decision.domain_type == DomainType::Blocked {
            continue;
        }
        let devices = domain_members(machine, members, &given.sets.alias);
        for node in &devices {
            domain_of[*node] = Some(domains.len());
        }
        domains.push(Domain {
            domain_type: decision.domain_type,
            owners: owners(machine, &devices),
            devices: nodes(&devices),
            contexts: Vec::new(),
            window: None,
        });
    }
    let streams = |node: usize| given.ids[node].streams.clone();
    allocate::contexts(machine, &mut domains, streams, found);
    allocate::windows(machine, &mut domains, found);
    (domains, domain_of)
}

/// The results for every node.
pub fn devices(
    given: &Given<'_>,
    decisions: &[Decision],
    domain_of: &[Option<usize>],
) -> Vec<Device> {
    let sets = given.sets;
    let units = sets.units(given.mode);
    let device = |node: usize| {
        let decision = &decisions[units.of[node]];
        let open = domain_of[node].is_some();
        let placed = &given.topology.placed[node];
        Device {
            requester: placed.requester,
            aliases: given.ids[node].aliases.clone(),
            streams: given.ids[node].streams.clone(),
            buses: placed.buses,
            alias_set: sets.alias.of[node],
            group: sets.groups.of[node],
            reset_unit: sets.resets.of[node],
            neighbours: sets.neighbours.of[node],
            ports: nodes(&given.isolation.open_registers(node)),
            usable_ids: given.usables.position(given.topology, node),
            domain_type: if open {
                decision.domain_type
            } else {
                DomainType::Blocked
            },
            domain_because: because(decision, open),
            domain: domain_of[node],
        }
    };
    (0..given.machine.nodes.len()).map(device).collect()
}

/// What devices may use under ids that are not their own.
pub fn usable_ids(given: &Given<'_>) -> Vec<UsableIds> {
    let list = given.usables.list().iter();
    list.map(|usable| {
        let (segment, buses) = usable.scope.ids(given.topology);
        UsableIds {
            segment,
            buses,
            checked_by: usable.scope.checked_by().map(NodeId::new),
            users: nodes(&usable.users),
        }
    })
    .collect()
}

/// The alias sets with the domain type that each has.
pub fn alias_sets(alias: &Partition, devices: &[Device]) -> Vec<AliasSet> {
    let sets = alias.members.iter();
    sets.map(|set| AliasSet {
        devices: nodes(set),
        domain_type: devices[set[0]].domain_type,
    })
    .collect()
}

/// The groups with their names and owners.
pub fn groups(machine: &Machine, groups: &Partition) -> Vec<Group> {
    let sets = groups.members.iter().enumerate();
    sets.map(|(number, set)| group(machine, &groups.of, number, set))
        .collect()
}

pub fn reset_units(resets: &Partition) -> Vec<ResetUnit> {
    let sets = resets.members.iter();
    sets.map(|set| ResetUnit {
        devices: nodes(set),
    })
    .collect()
}

pub fn neighbours(neighbours: &Partition) -> Vec<Vec<NodeId>> {
    neighbours.members.iter().map(|set| nodes(set)).collect()
}

fn because(decision: &Decision, open: bool) -> String {
    if open || decision.domain_type == DomainType::Blocked {
        decision.because.clone()
    } else {
        "a bridge: its own stream stays blocked".into()
    }
}

pub fn nodes(list: &[usize]) -> Vec<NodeId> {
    list.iter().copied().map(NodeId::new).collect()
}

/// Members of a unit that its domain serves. A bridge is one only if it shares a StreamID with a device,
/// since the SMMU could not tell its requests from that device's.
fn domain_members(machine: &Machine, members: &[usize], alias: &Partition) -> Vec<usize> {
    let endpoint = |node: &usize| !machine.nodes[*node].function.kind.is_bridge();
    members
        .iter()
        .copied()
        .filter(|node| endpoint(node) || alias.members[alias.of[*node]].iter().any(endpoint))
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
