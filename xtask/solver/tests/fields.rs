//! Kinds of machines that users reported, each in several forms: other places, other depths, another order.

mod support;

use solver::model::*;
use solver::{Change, Code, Machine, Solution};
use support::*;

/// All wanted bits and translation blocking implemented, none of them on.
const OFF: Option<Acs> = Some(Acs {
    implemented: 0x5f,
    enabled: 0,
});
const ON: Option<Acs> = Some(Acs {
    implemented: 0x5f,
    enabled: 0x1d,
});

fn virtual_of(m: &mut Machine, name: &str, physical: NodeId, offset: u16, acs: Option<Acs>) {
    let mut function = node(
        name,
        FunctionKind::Endpoint,
        Place::Virtual { physical, offset },
    );
    function.function.acs = acs;
    push(m, function);
}

/// Whether two nodes are in one group.
fn together(m: &Machine, s: &Solution, a: &str, b: &str) -> bool {
    s.device(node_of(m, a)).group == s.device(node_of(m, b)).group
}

/// What a physical function enables does not act on requests of its virtual ones.
#[test]
fn a_virtual_function_has_its_own_access_control_or_none() {
    for (acs, apart) in [(None, false), (OFF, false), (ON, true)] {
        for behind_port in [true, false] {
            let mut m = machine();
            let (place, kind) = match behind_port {
                true => {
                    let port = root_port(&mut m, "port", 1, ON);
                    (below(port, 0, 0), FunctionKind::Endpoint)
                }
                false => (on_root(3, 0), FunctionKind::RootComplexEndpoint),
            };
            let mut physical = node("pf", kind, place);
            physical.function.acs = ON;
            let pf = push(&mut m, physical);
            virtual_of(&mut m, "vf0", pf, 16, acs);
            virtual_of(&mut m, "vf1", pf, 17, ON);
            let s = strict(&m);
            assert_eq!(!together(&m, &s, "pf", "vf0"), apart, "{acs:?}");
            // One that does not keep requests to itself reaches all of its device.
            assert_eq!(!together(&m, &s, "vf0", "vf1"), apart, "{acs:?}");
            assert!(!together(&m, &linux(&m), "pf", "vf0"));
        }
    }
}

/// The virtual functions of two physical ones of a card.
#[test]
fn a_virtual_function_without_access_control_joins_the_whole_card() {
    let mut m = machine();
    let port = root_port(&mut m, "port", 1, ON);
    let mut functions = Vec::new();
    for (number, name) in ["pf0", "pf1"].into_iter().enumerate() {
        let mut function = node(name, FunctionKind::Endpoint, below(port, 0, number as u8));
        function.function.acs = ON;
        functions.push(push(&mut m, function));
    }
    virtual_of(&mut m, "vf", functions[1], 0x40, None);
    let s = strict(&m);
    assert!(together(&m, &s, "pf0", "vf") && together(&m, &s, "pf1", "vf"));
    assert!(!together(&m, &s, "port", "vf"));
}

/// The remedy "enable ACS on ..." of the first error with this code, and the machine after it.
fn enabling(m: &Machine, code: Code) -> Option<(String, Machine)> {
    let s = strict(m);
    let mut errors = s.errors();
    let error = errors.find(|error| error.code == code).expect("the error");
    let mut remedies = error.remedies.iter();
    let remedy = remedies.find(|remedy| remedy.text.starts_with("enable ACS on"))?;
    let mut changed = m.clone();
    remedy
        .changes
        .iter()
        .for_each(|change| change.apply(&mut changed));
    // Each is needed that is not above one of the two.
    for left_out in &remedy.changes {
        let Change::EnableAcs(port) = left_out else {
            panic!("{left_out:?}");
        };
        if error.nodes.iter().any(|node| is_above(m, *port, *node)) {
            continue;
        }
        let mut without = m.clone();
        let others = remedy.changes.iter().filter(|change| *change != left_out);
        others.for_each(|change| change.apply(&mut without));
        assert!(errors_of(&without).contains(&code), "{left_out:?}");
    }
    Some((remedy.text.clone(), changed))
}

/// Whether a port is a node, or above it.
fn is_above(m: &Machine, port: NodeId, node: NodeId) -> bool {
    port == node
        || match m.nodes[node.index()].place {
            Place::Slot {
                upstream: Upstream::Bridge(bridge),
                ..
            } => is_above(m, port, bridge),
            _ => false,
        }
}

fn errors_of(m: &Machine) -> Vec<Code> {
    errors(&strict(m))
}

/// A switch with a port for each of `ports`, and an endpoint with its driver below the first two.
fn switch_of(m: &mut Machine, above: NodeId, prefix: &str, ports: &[Option<Acs>]) -> Vec<NodeId> {
    let up = switch_port(m, &format!("{prefix}up"), above);
    let ports = ports.iter().enumerate().map(|(slot, acs)| {
        let place = below(up, slot as u8 + 1, 0);
        let name = format!("{prefix}d{}", slot + 1);
        bridge(m, &name, FunctionKind::DownstreamPort, place, *acs)
    });
    ports.collect()
}

fn disks(m: &mut Machine, prefix: &str, ports: &[NodeId]) {
    for (index, port) in ports.iter().enumerate() {
        endpoint(m, &format!("{prefix}n{index}"), below(*port, 0, 0));
    }
}

/// What makes a switch one group is all of its ports, also those on no way between the two devices.
#[test]
fn access_control_is_proposed_on_all_ports_that_matter_together() {
    for (ports, named) in [
        (vec![OFF, OFF], "`d1`, `d2`"),
        (vec![OFF, OFF, OFF], "`d1`, `d2`, `d3`"),
        (vec![OFF, OFF, ON, OFF], "`d1`, `d2`, `d4`"),
        (vec![ON, ON, ON, OFF], "`d4`"),
        (
            vec![OFF; 8],
            "`d1`, `d2`, `d3`, `d4`, `d5`, `d6`, `d7`, `d8`",
        ),
    ] {
        let mut m = machine();
        let port = root_port(&mut m, "p1", 1, ON);
        let ports = switch_of(&mut m, port, "", &ports);
        disks(&mut m, "", &ports[..2]);
        let (text, mended) = enabling(&m, Code::GroupTrust).expect(named);
        assert_eq!(text, format!("enable ACS on {named}"));
        assert_eq!(errors_of(&mended), []);
        let s = strict(&mended);
        assert!(!together(&mended, &s, "n0", "n1"));
    }
}

/// A port that has no access control cannot be mended by it.
#[test]
fn access_control_is_not_proposed_where_a_port_has_none() {
    let mut m = machine();
    let port = root_port(&mut m, "p1", 1, ON);
    let ports = switch_of(&mut m, port, "", &[OFF, OFF, None]);
    disks(&mut m, "", &ports[..2]);
    assert!(enabling(&m, Code::GroupTrust).is_none());
}

/// The same of a card with several functions, of root ports, and of a switch below a switch.
#[test]
fn access_control_is_proposed_in_slots_at_roots_and_deep_down() {
    let mut m = machine();
    let port = root_port(&mut m, "p1", 1, ON);
    for number in 0..4 {
        let name = format!("f{number}");
        let place = below(port, 0, number);
        let f = match number {
            0 | 3 => endpoint(&mut m, &name, place),
            _ => {
                let mut idle = node(&name, FunctionKind::Endpoint, place);
                idle.demand = Some(DomainType::Blocked);
                idle.quiesce = Quiesce::FunctionReset;
                push(&mut m, idle)
            }
        };
        m.nodes[f.index()].function.acs = OFF;
    }
    let (text, mended) = enabling(&m, Code::GroupTrust).unwrap();
    assert_eq!(text, "enable ACS on `f0`, `f1`, `f2`, `f3`");
    assert_eq!(errors_of(&mended), []);

    let mut m = machine();
    let ports: Vec<NodeId> = (1..=4)
        .map(|slot| root_port(&mut m, &format!("p{slot}"), slot, OFF))
        .collect();
    disks(&mut m, "", &ports[2..]);
    let (text, mended) = enabling(&m, Code::GroupTrust).unwrap();
    // One of the two alone leaves the other in reach of what is on the other ports.
    assert_eq!(text, "enable ACS on `p3`, `p4`");
    assert!(!together(&mended, &strict(&mended), "n0", "n1"));

    let mut m = machine();
    let port = root_port(&mut m, "p1", 1, ON);
    let outer = switch_of(&mut m, port, "o", &[OFF, ON, OFF]);
    let inner = switch_of(&mut m, outer[0], "i", &[OFF, OFF, OFF]);
    disks(&mut m, "", &[inner[0], outer[1]]);
    let (text, mended) = enabling(&m, Code::GroupTrust).unwrap();
    assert_eq!(errors_of(&mended), []);
    assert!(text.contains("`od1`") && text.contains("`od3`"), "{text}");
    // Two devices of the inner switch need its ports as well.
    let mut m = machine();
    let port = root_port(&mut m, "p1", 1, ON);
    let outer = switch_of(&mut m, port, "o", &[OFF, ON, OFF]);
    let inner = switch_of(&mut m, outer[0], "i", &[OFF, OFF, OFF]);
    disks(&mut m, "", &inner[..2]);
    let (text, mended) = enabling(&m, Code::GroupTrust).unwrap();
    assert_eq!(errors_of(&mended), []);
    for port in ["id1", "id2", "id3", "od1", "od3"] {
        assert!(text.contains(&format!("`{port}`")), "{port}: {text}");
    }
}

/// The order of declaration does not matter.
#[test]
fn access_control_is_proposed_in_the_order_of_the_fabric() {
    let mut m = machine();
    let port = root_port(&mut m, "p1", 1, ON);
    let up = switch_port(&mut m, "up", port);
    let mut ports = Vec::new();
    for slot in [3, 1, 2] {
        let kind = FunctionKind::DownstreamPort;
        let name = format!("d{slot}");
        ports.push(bridge(&mut m, &name, kind, below(up, slot, 0), OFF));
    }
    disks(&mut m, "", &ports[..2]);
    let (text, _) = enabling(&m, Code::GroupTrust).unwrap();
    assert_eq!(text, "enable ACS on `d1`, `d2`, `d3`");
}

/// A group with a policy, and a device in it for each name and demand.
fn policy_of(devices: &[(&str, Option<DomainType>)], policy: DomainType) -> Machine {
    let mut m = machine();
    let port = root_port(&mut m, "port", 1, None);
    let driver = owner(&mut m, "driver");
    for (number, (name, demand)) in devices.iter().enumerate() {
        let place = below(port, 0, number as u8);
        let device = owned(&mut m, name, FunctionKind::Endpoint, place, driver);
        m.nodes[device.index()].demand = *demand;
        m.nodes[device.index()].demand_source = Source(500 + number as u32);
    }
    m.groups.push(GroupPolicy {
        name: "fast".into(),
        members: vec![node_of(&m, devices[0].0)],
        default_domain: Some(policy),
        source: Source(400),
    });
    m
}

/// A policy that a demand overrides is told, with both; one that somebody has is not.
#[test]
fn a_policy_that_a_demand_overrides_is_told() {
    use DomainType::{Dma, Identity};
    for (devices, policy, by) in [
        (vec![("a", None), ("b", Some(Dma))], Identity, Some("b")),
        (vec![("b", Some(Dma)), ("a", None)], Identity, Some("b")),
        (
            vec![("a", None), ("b", Some(Identity)), ("c", None)],
            Dma,
            Some("b"),
        ),
        (vec![("a", Some(Dma))], Identity, Some("a")),
        (vec![("a", None), ("b", Some(Dma))], Dma, None),
        (vec![("a", None), ("b", None)], Identity, None),
    ] {
        let m = policy_of(&devices, policy);
        for s in [strict(&m), linux(&m)] {
            let mut found = s.diagnostics.iter();
            let found = found.find(|d| d.code == Code::PolicyWithoutEffect);
            assert_eq!(found.is_some(), by.is_some(), "{devices:?} {policy:?}");
            let (Some(found), Some(by)) = (found, by) else {
                continue;
            };
            assert!(found.message.contains("`fast`"), "{}", found.message);
            let demand = format!("`{by}` demands");
            assert!(found.parties.iter().any(|p| p.text.starts_with(&demand)));
            assert_eq!(found.parties[0].source, Source(400));
            let source = m.nodes[node_of(&m, by).index()].demand_source;
            assert!(found.parties.iter().any(|party| party.source == source));
            assert!(s.accepted());
        }
    }
}

/// Nobody drives what the policy is for.
#[test]
fn a_policy_for_what_nobody_drives_is_told() {
    let mut m = policy_of(&[("a", None), ("b", None)], DomainType::Dma);
    m.policy.unowned = Unowned::Block;
    for node in &mut m.nodes {
        node.owner = None;
    }
    assert!(codes(&strict(&m)).contains(&Code::PolicyWithoutEffect));
    m.nodes[2].owner = Some(OwnerId(0));
    assert!(!codes(&strict(&m)).contains(&Code::PolicyWithoutEffect));
}

/// Devices in one slot that cannot be kept apart, each with an owner of its own; all trust each other.
fn slot_of(demands: &[Option<DomainType>]) -> Machine {
    let mut m = machine();
    let port = root_port(&mut m, "port", 1, ON);
    let names: Vec<String> = (0..demands.len()).map(|n| format!("f{n}")).collect();
    for (number, demand) in demands.iter().enumerate() {
        let device = endpoint(&mut m, &names[number], below(port, 0, number as u8));
        m.nodes[device.index()].demand = *demand;
        for other in &names[..number] {
            trust(
                &mut m,
                &format!("of-{other}"),
                &format!("of-{}", names[number]),
            );
        }
    }
    m
}

/// What is asked of those who share a domain is no news while that domain contradicts itself.
#[test]
fn what_follows_from_a_contradiction_is_not_told() {
    use DomainType::{Dma, Identity};
    for demands in [
        vec![None, Some(Identity), Some(Dma), Some(Identity)],
        vec![Some(Dma), Some(Identity)],
        vec![Some(Identity), None, None, None, Some(Dma)],
    ] {
        let m = slot_of(&demands);
        assert_eq!(errors(&linux(&m)), [Code::GroupDemands], "{demands:?}");
        assert!(strict(&m).accepted(), "{demands:?}");
    }
    let mut m = machine();
    let port = root_port(&mut m, "port", 1, ON);
    let pci = pci_bridge(&mut m, "pci", port);
    for (number, demand) in [Dma, Identity].into_iter().enumerate() {
        let place = below(pci, number as u8 + 1, 0);
        let device = endpoint(&mut m, &format!("f{number}"), place);
        m.nodes[device.index()].demand = Some(demand);
    }
    trust(&mut m, "of-f0", "of-f1");
    assert_eq!(errors(&strict(&m)), [Code::AliasDemands]);
    // It is news once they agree, and it is where a reset takes the other along in any case.
    m.nodes[2].demand = Some(Identity);
    assert_eq!(errors(&strict(&m)), [Code::Containment]);
    m.nodes[2].demand = Some(Dma);
    m.nodes[2].quiesce = Quiesce::BusReset;
    assert_eq!(errors(&strict(&m)), [Code::Containment, Code::AliasDemands]);
}

/// Ports whose access control must not be enabled: the plan does not count on it, and says why.
#[test]
fn errata_of_access_control_are_told_and_not_counted_on() {
    for (vendor, device, kind, told) in [
        (0x12d8, 0x2404, FunctionKind::DownstreamPort, true),
        (0x12d8, 0x2304, FunctionKind::DownstreamPort, true),
        (0x12d8, 0x2303, FunctionKind::DownstreamPort, true),
        (0x12d8, 0xb404, FunctionKind::DownstreamPort, true),
        (0x111d, 0x80b5, FunctionKind::DownstreamPort, true),
        (0x12d8, 0x2608, FunctionKind::DownstreamPort, false),
        (0x10b5, 0x8747, FunctionKind::DownstreamPort, false),
        (0x8086, 0x9d10, FunctionKind::RootPort, true),
        (0x8086, 0x9d1b, FunctionKind::RootPort, true),
        (0x8086, 0x9d1c, FunctionKind::RootPort, false),
        (0x8086, 0xa2ee, FunctionKind::RootPort, true),
    ] {
        let mut m = match kind {
            FunctionKind::RootPort => ports(ON, ON),
            _ => switch(ON),
        };
        for node in m.nodes.iter_mut().filter(|node| node.function.kind == kind) {
            node.function.identity = Identity { vendor, device };
        }
        let s = strict(&m);
        let mut warnings = s.diagnostics.iter();
        let warnings: Vec<_> = warnings
            .by_ref()
            .filter(|d| d.code == Code::AcsErratum)
            .collect();
        assert_eq!(
            warnings.len(),
            usize::from(told),
            "one for all ports: {device:#x}"
        );
        assert_eq!(together(&m, &s, "a", "b"), told, "{device:#x}");
        // Linux enables it, and works around.
        assert!(!together(&m, &linux(&m), "a", "b"));
        // What is off is nothing to tell.
        for node in &mut m.nodes {
            node.function.acs = node.function.acs.and(OFF);
        }
        assert!(!codes(&strict(&m)).contains(&Code::AcsErratum));
    }
}
