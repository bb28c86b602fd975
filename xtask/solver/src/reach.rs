//! The most that a device can reach, and how a change of the machine changes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{DomainType, Machine, NodeId, Region};
use crate::solution::Solution;

/// The most that one device can ever reach, by name, whatever its driver does.
///
/// The interrupt doorbell is in nobody's reach unless the stream is untranslated: no domain maps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// The device's domain type.
    pub domain: DomainType,
    /// The device's stream bypasses the SMMU, so all memory and the interrupt doorbell are in
    /// reach.
    pub untranslated: bool,
    /// Owners whose pools, and what clients lent them, can be mapped where it can use it: those of all
    /// devices in its domain.
    pub owners: BTreeSet<String>,
    /// Devices in the same domain: what is mapped for one, all can use.
    pub domain_mates: BTreeSet<String>,
    /// Devices whose registers and memory on the device it can reach without the SMMU.
    pub peers: BTreeSet<String>,
    /// Ports above it, no peers, whose own registers it can reach without the SMMU.
    pub ports: BTreeSet<String>,
    /// The segment of whose StreamIDs it may use any, as no port above it checks ids.
    pub forges: Option<u16>,
    /// Direct regions of its domain, with their addresses: one that was moved or has grown is another.
    pub direct: BTreeSet<String>,
}

/// The maximal reach of `node`.
///
/// # Panics
/// If `node` is not one of `machine`, or `solution` is not of `machine`.
pub fn reach(machine: &Machine, solution: &Solution, node: NodeId) -> Reach {
    let device = solution.device(node);
    let name = |n: &NodeId| machine.nodes[n.index()].name.clone();
    let others = |nodes: &[NodeId]| -> BTreeSet<String> {
        nodes.iter().filter(|n| **n != node).map(name).collect()
    };
    let peers = others(&solution.neighbours[device.neighbours]);
    let mut ports = others(&device.ports);
    ports.retain(|port| !peers.contains(port));
    let segment = device.requester.map(|requester| requester.segment);
    let domain = device.domain.map(|index| &solution.domains[index]);
    let members = domain.map_or(&[][..], |domain| &domain.devices);
    let set = &solution.alias_sets[device.alias_set].devices;
    Reach {
        domain: device.domain_type,
        // What shares a StreamID shares its stream table entry.
        untranslated: set
            .iter()
            .any(|n| machine.nodes[n.index()].unsafe_bypass.is_some()),
        owners: domain
            .into_iter()
            .flat_map(|domain| &domain.owners)
            .map(|owner| machine.owners[owner.index()].name.clone())
            .collect(),
        domain_mates: others(members),
        peers,
        ports,
        forges: device.unvalidated.and(segment),
        direct: members
            .iter()
            .flat_map(|n| &machine.nodes[n.index()].direct)
            .map(Region::to_string)
            .collect(),
    }
}

/// The reach of every device, by name: what two plans are compared by.
pub type Summary = BTreeMap<String, Reach>;

/// The reach of every device of a machine.
///
/// # Panics
/// If `solution` is not of `machine`.
pub fn summary(machine: &Machine, solution: &Solution) -> Summary {
    solution
        .order
        .iter()
        .map(|node| {
            (
                machine.nodes[node.index()].name.clone(),
                reach(machine, solution, *node),
            )
        })
        .collect()
}

/// One thing that differs between two plans.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Difference {
    /// The device that it is about.
    pub device: String,
    /// True if the device reaches more than before, so that somebody should look at it.
    pub widens: bool,
    /// The difference, a clause.
    pub text: String,
}

/// The differences in what each device can reach, by device; empty if there are none.
pub fn diff(old: &Summary, new: &Summary) -> Vec<Difference> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut found = Vec::new();
    for device in names {
        let mut add = |widens, text| {
            found.push(Difference {
                device: device.clone(),
                widens,
                text,
            })
        };
        match (old.get(device), new.get(device)) {
            (Some(_), None) => add(false, "is gone".into()),
            (None, Some(reach)) => {
                add(
                    reach.domain != DomainType::Blocked,
                    format!("is new, domain `{}`", reach.domain.text()),
                );
                sets(&Reach::none(), reach, &mut add);
            }
            (Some(old), Some(new)) => {
                if old.domain != new.domain {
                    add(
                        width(new.domain) > width(old.domain),
                        format!(
                            "domain `{}` becomes `{}`",
                            old.domain.text(),
                            new.domain.text()
                        ),
                    );
                }
                sets(old, new, &mut add);
            }
            (None, None) => {}
        }
    }
    found
}

/// How much a domain of a type lets through.
fn width(domain: DomainType) -> u8 {
    match domain {
        DomainType::Blocked => 0,
        DomainType::Dma => 1,
        DomainType::Identity => 2,
    }
}

fn sets(old: &Reach, new: &Reach, add: &mut impl FnMut(bool, String)) {
    match (old.untranslated, new.untranslated) {
        (false, true) => add(
            true,
            "can now reach all memory: its stream is not translated".into(),
        ),
        (true, false) => add(
            false,
            "can no longer reach all memory: its stream is translated".into(),
        ),
        _ => {}
    }
    match (old.forges, new.forges) {
        (old, Some(segment)) if old != Some(segment) => add(
            true,
            format!("can now use any StreamID of segment {segment}"),
        ),
        (Some(segment), None) => add(
            false,
            format!("can no longer use any StreamID of segment {segment}"),
        ),
        _ => {}
    }
    let parts = [
        ("memory of", &old.owners, &new.owners),
        ("what is mapped for", &old.domain_mates, &new.domain_mates),
        ("the registers of", &old.peers, &new.peers),
        ("the registers of the port", &old.ports, &new.ports),
        ("the direct region", &old.direct, &new.direct),
    ];
    for (what, old, new) in parts {
        for name in new.difference(old) {
            add(true, format!("can now reach {what} `{name}`"));
        }
        for name in old.difference(new) {
            add(false, format!("can no longer reach {what} `{name}`"));
        }
    }
}

impl Reach {
    fn none() -> Self {
        Self {
            domain: DomainType::Blocked,
            untranslated: false,
            owners: BTreeSet::new(),
            domain_mates: BTreeSet::new(),
            peers: BTreeSet::new(),
            ports: BTreeSet::new(),
            forges: None,
            direct: BTreeSet::new(),
        }
    }
}
