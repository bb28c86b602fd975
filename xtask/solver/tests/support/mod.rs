//! A short way to write machines down.
#![allow(dead_code, reason = "every test file uses another part of it")]

use solver::model::*;
use solver::solution::{EdgeKind, Mode};
use solver::{Code, Machine, Options, Solution, solve};

/// A machine with one SMMU and one root bus whose requester ids are its StreamIDs.
pub fn machine() -> Machine {
    let mut machine = Machine::default();
    machine.smmus.push(Smmu {
        name: "smmu".into(),
        ..Smmu::default()
    });
    machine.roots.push(root("pcie", 0, 0));
    machine
        .reserved
        .push(region("aperture", 0x1000_0000, 0x2eff_0000));
    machine
}

pub fn root(name: &str, segment: u16, bus: u8) -> RootBus {
    RootBus {
        name: name.into(),
        segment,
        bus,
        bus_last: 255,
        streams: vec![StreamRange {
            requester: 0,
            len: 0x1_0000,
            smmu: SmmuId(0),
            stream: 0,
        }],
        ..RootBus::default()
    }
}

pub fn region(name: &str, base: u64, len: u64) -> Region {
    Region {
        name: name.into(),
        source: Source::default(),
        base,
        len,
    }
}

/// Adds `node`; diagnostics point at it by its position + 1.
pub fn push(machine: &mut Machine, mut node: Node) -> NodeId {
    node.source = Source(machine.nodes.len() as u32 + 1);
    machine.nodes.push(node);
    NodeId::new(machine.nodes.len() - 1)
}

pub fn on_root(device: u8, function: u8) -> Place {
    Place::Slot {
        upstream: Upstream::Root(RootId(0)),
        device,
        function,
    }
}

pub fn below(bridge: NodeId, device: u8, function: u8) -> Place {
    Place::Slot {
        upstream: Upstream::Bridge(bridge),
        device,
        function,
    }
}

pub fn node(name: &str, kind: FunctionKind, place: Place) -> Node {
    Node {
        name: name.into(),
        place,
        function: Function {
            kind,
            ..Function::default()
        },
        ..Node::default()
    }
}

/// A port on the root bus.
pub fn root_port(machine: &mut Machine, name: &str, device: u8, acs: Option<Acs>) -> NodeId {
    let mut port = node(name, FunctionKind::RootPort, on_root(device, 0));
    port.function.acs = acs;
    push(machine, port)
}

/// A bridge or port of any kind.
pub fn bridge(
    machine: &mut Machine,
    name: &str,
    kind: FunctionKind,
    place: Place,
    acs: Option<Acs>,
) -> NodeId {
    let mut port = node(name, kind, place);
    port.function.acs = acs;
    push(machine, port)
}

/// The upper port of a switch below a port, without ACS.
pub fn switch_port(machine: &mut Machine, name: &str, port: NodeId) -> NodeId {
    let place = below(port, 0, 0);
    bridge(machine, name, FunctionKind::UpstreamPort, place, None)
}

/// A bridge to conventional PCI below a port.
pub fn pci_bridge(machine: &mut Machine, name: &str, port: NodeId) -> NodeId {
    let place = below(port, 0, 0);
    bridge(machine, name, FunctionKind::PcieToPci, place, None)
}

/// An endpoint with an owner of its own name prefixed with `of-`.
pub fn endpoint(machine: &mut Machine, name: &str, place: Place) -> NodeId {
    let owner = owner(machine, &format!("of-{name}"));
    owned(machine, name, FunctionKind::Endpoint, place, owner)
}

pub fn owned(
    machine: &mut Machine,
    name: &str,
    kind: FunctionKind,
    place: Place,
    owner: OwnerId,
) -> NodeId {
    let mut device = node(name, kind, place);
    device.owner = Some(owner);
    device.quiesce = Quiesce::FunctionReset;
    push(machine, device)
}

pub fn owner(machine: &mut Machine, name: &str) -> OwnerId {
    if let Some(index) = machine.owners.iter().position(|o| o.name == name) {
        return OwnerId::new(index);
    }
    machine.owners.push(Owner {
        name: name.into(),
        source: Source(1000 + machine.owners.len() as u32),
    });
    OwnerId::new(machine.owners.len() - 1)
}

/// Declares trust in both directions.
pub fn trust(machine: &mut Machine, a: &str, b: &str) {
    let (a, b) = (owner(machine, a), owner(machine, b));
    for (from, to) in [(a, b), (b, a)] {
        machine.trust.push(Trust {
            from,
            to,
            source: Source(2000),
        });
    }
}

pub fn contain(machine: &mut Machine, owners: &[&str]) {
    let owners = owners.iter().map(|name| owner(machine, name)).collect();
    machine.containment.push(Containment {
        name: "unit".into(),
        owners,
        source: Source(3000),
    });
}

/// Every bit of access control is implemented, and these are on.
pub fn enabled(bits: u16) -> Option<Acs> {
    Some(Acs {
        implemented: Acs::ENHANCED | 0x7f,
        enabled: bits,
    })
}

/// Two root ports with an endpoint each, of `of-a` and `of-b`.
pub fn ports(a: Option<Acs>, b: Option<Acs>) -> Machine {
    let mut m = machine();
    for (index, (name, acs)) in [("a", a), ("b", b)].into_iter().enumerate() {
        let port = root_port(&mut m, &format!("rp-{name}"), index as u8 + 1, acs);
        endpoint(&mut m, name, below(port, 0, 0));
    }
    m
}

/// A switch whose ports have the bits `acs`, with two endpoints.
pub fn switch(acs: Option<Acs>) -> Machine {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    let up = switch_port(&mut m, "up", port);
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        let place = below(up, index as u8, 0);
        let down = format!("down-{name}");
        let down = bridge(&mut m, &down, FunctionKind::DownstreamPort, place, acs);
        endpoint(&mut m, name, below(down, 0, 0));
    }
    m
}

/// The node with a name.
pub fn node_of(m: &Machine, name: &str) -> NodeId {
    NodeId::new(m.nodes.iter().position(|n| n.name == name).unwrap())
}

pub fn strict(machine: &Machine) -> Solution {
    solve(
        machine,
        &Options {
            mode: Mode::Strict,
            ..Options::default()
        },
    )
}

pub fn linux(machine: &Machine) -> Solution {
    solve(
        machine,
        &Options {
            mode: Mode::Linux,
            ..Options::default()
        },
    )
}

pub fn name(machine: &Machine, node: NodeId) -> &str {
    &machine.nodes[node.index()].name
}

/// Sets of names, sorted, sets of one left out unless `single`.
fn named<'a>(
    machine: &Machine,
    sets: impl Iterator<Item = &'a Vec<NodeId>>,
    single: bool,
) -> Vec<Vec<String>> {
    let mut list: Vec<Vec<String>> = sets
        .map(|set| {
            let mut names: Vec<String> =
                set.iter().map(|n| name(machine, *n).to_string()).collect();
            names.sort();
            names
        })
        .filter(|set| single || set.len() > 1)
        .collect();
    list.sort();
    list
}

pub fn groups(machine: &Machine, solution: &Solution) -> Vec<Vec<String>> {
    named(machine, solution.groups.iter().map(|g| &g.devices), true)
}

/// Alias sets of more than one device.
pub fn alias_sets(machine: &Machine, solution: &Solution) -> Vec<Vec<String>> {
    named(
        machine,
        solution.alias_sets.iter().map(|g| &g.devices),
        false,
    )
}

/// Reset units of more than one device.
pub fn reset_units(machine: &Machine, solution: &Solution) -> Vec<Vec<String>> {
    named(
        machine,
        solution.reset_units.iter().map(|g| &g.devices),
        false,
    )
}

pub fn errors(solution: &Solution) -> Vec<Code> {
    solution.errors().map(|error| error.code).collect()
}

pub fn codes(solution: &Solution) -> Vec<Code> {
    solution.diagnostics.iter().map(|d| d.code).collect()
}

pub fn kinds_of_chain(solution: &Solution, code: Code) -> Vec<EdgeKind> {
    let diagnostic = solution
        .diagnostics
        .iter()
        .find(|d| d.code == code)
        .expect("the diagnostic");
    diagnostic.chain.iter().map(|edge| edge.kind).collect()
}

/// The domain types of devices by name.
pub fn domain(machine: &Machine, solution: &Solution, device: &str) -> DomainType {
    let index = machine
        .nodes
        .iter()
        .position(|n| n.name == device)
        .expect("a device of that name");
    solution.devices[index].domain_type
}
