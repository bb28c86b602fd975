//! The most that a device can reach, and how a change of the machine changes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{DomainType, Machine, NodeId, Region};
use crate::solution::{Solution, UsableIds};

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
    /// Requester ids that it may use, its own bus included; `None`: its own id only.
    pub forges: Option<Forges>,
    /// Direct regions of its domain, with their addresses: one that was moved or has grown is another.
    pub direct: BTreeSet<String>,
}

/// Ids that a device may use, and what it reaches with them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forges {
    /// PCI segment.
    pub segment: u16,
    /// The first bus of the range.
    pub first_bus: u8,
    /// The last bus of the range.
    pub last_bus: u8,
    /// The port that lets no others through; `None`: no port checks them.
    pub checked_by: Option<String>,
    /// Other devices with a StreamID that one of the ids comes to, and a domain.
    pub devices: BTreeSet<String>,
}

impl Forges {
    /// The ids in words.
    pub fn ids(&self) -> String {
        let (segment, first, last) = (self.segment, self.first_bus, self.last_bus);
        match (&self.checked_by, first == last) {
            (None, _) => format!("any id of segment {segment}"),
            (Some(_), true) => format!("any id of bus {segment:04x}:{first:02x}"),
            (Some(_), false) => {
                format!("any id of buses {segment:04x}:{first:02x} to {segment:04x}:{last:02x}")
            }
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let buses = self.first_bus <= other.first_bus && other.last_bus <= self.last_bus;
        self.segment == other.segment && buses
    }
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
        forges: device
            .usable_ids
            .map(|index| forges(machine, solution, node, &solution.usable_ids[index])),
        direct: members
            .iter()
            .flat_map(|n| &machine.nodes[n.index()].direct)
            .map(Region::to_string)
            .collect(),
    }
}

fn forges(machine: &Machine, solution: &Solution, node: NodeId, ids: &UsableIds) -> Forges {
    let name = |node: &NodeId| machine.nodes[node.index()].name.clone();
    let open = |user: &&NodeId| **user != node && solution.device(**user).domain.is_some();
    Forges {
        segment: ids.segment,
        first_bus: ids.buses.0,
        last_bus: ids.buses.1,
        checked_by: ids.checked_by.as_ref().map(name),
        devices: ids.users.iter().filter(open).map(name).collect(),
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
    ids(old.forges.as_ref(), new.forges.as_ref(), add);
    let none = BTreeSet::new();
    let users =
        |forges: &Option<Forges>| forges.as_ref().map_or(none.clone(), |f| f.devices.clone());
    let (users_before, users_now) = (users(&old.forges), users(&new.forges));
    let parts = [
        ("memory of", &old.owners, &new.owners),
        ("what is mapped for", &old.domain_mates, &new.domain_mates),
        ("the registers of", &old.peers, &new.peers),
        ("the registers of the port", &old.ports, &new.ports),
        ("the direct region", &old.direct, &new.direct),
        ("under its id what is mapped for", &users_before, &users_now),
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

/// The ids that a device may use.
fn ids(old: Option<&Forges>, new: Option<&Forges>, add: &mut impl FnMut(bool, String)) {
    let checks = |forges: &Forges| match &forges.checked_by {
        Some(port) => format!(", as `{port}` checks"),
        None => ", as no port checks them".to_owned(),
    };
    match (old, new) {
        (None, Some(new)) => add(true, format!("can now use {}{}", new.ids(), checks(new))),
        (Some(old), None) => add(false, format!("can no longer use {}", old.ids())),
        (Some(old), Some(new)) => {
            let (was, is) = (old.ids() + &checks(old), new.ids() + &checks(new));
            if was != is || !(old.covers(new) && new.covers(old)) {
                add(!old.covers(new), format!("can use {is}, before {was}"));
            }
        }
        (None, None) => {}
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
