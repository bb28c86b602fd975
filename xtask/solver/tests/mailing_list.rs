//! The cases of the thread this project starts from (linux-iommu, January 2020), where a group's domain
//! type had to be decided before all of its members were known.

mod support;

use solver::model::*;
use solver::solution::EdgeKind;
use solver::{Code, Machine, Solution};
use support::*;

/// A switch without ACS with devices `a`, `b`, `c` of one owner each, all trusting each other.
fn switch(order: &[&str]) -> Machine {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    let up = switch_port(&mut m, "up", port);
    for name in order {
        let slot = name.as_bytes()[0] - b'a';
        let down = bridge(
            &mut m,
            &format!("down-{name}"),
            FunctionKind::DownstreamPort,
            below(up, slot, 0),
            None,
        );
        endpoint(&mut m, name, below(down, 0, 0));
    }
    for (x, y) in [("a", "b"), ("b", "c"), ("a", "c")] {
        trust(&mut m, &format!("of-{x}"), &format!("of-{y}"));
    }
    m
}

fn demand(m: &mut Machine, name: &str, wanted: DomainType) {
    m.nodes.iter_mut().find(|n| n.name == name).unwrap().demand = Some(wanted);
}

fn types(m: &Machine, s: &Solution) -> Vec<DomainType> {
    ["a", "b", "c"]
        .iter()
        .map(|name| domain(m, s, name))
        .collect()
}

/// "The first device A is neutral about which type of default domain type is used. [...] But the device B
/// requires to use a specific one which is different from the default."
#[test]
fn neutral_first_and_demanding_second() {
    for order in [["a", "b", "c"], ["b", "a", "c"], ["c", "b", "a"]] {
        let mut m = switch(&order);
        demand(&mut m, "b", DomainType::Identity);
        for s in [strict(&m), linux(&m)] {
            assert!(s.accepted(), "{:?}", s.diagnostics);
        }
        let s = strict(&m);
        assert_eq!(types(&m, &s), [DomainType::Identity; 3], "{order:?}");
        let a = m.nodes.iter().position(|n| n.name == "a").unwrap();
        assert!(
            s.devices[a]
                .domain_because
                .contains("`b` demands `identity`")
        );
    }
}

#[test]
fn nobody_demands_and_the_policy_decides() {
    let mut m = switch(&["a", "b", "c"]);
    assert_eq!(types(&m, &strict(&m)), [DomainType::Dma; 3]);
    m.policy.default_domain = DomainType::Identity;
    assert_eq!(types(&m, &strict(&m)), [DomainType::Identity; 3]);
    let b = NodeId::new(m.nodes.iter().position(|n| n.name == "b").unwrap());
    m.groups.push(GroupPolicy {
        name: "storage".into(),
        members: vec![b],
        default_domain: Some(DomainType::Dma),
        source: Source(7),
    });
    let s = strict(&m);
    assert_eq!(
        types(&m, &s),
        [DomainType::Dma; 3],
        "the group's policy comes before the global one"
    );
    assert_eq!(s.groups[s.devices[b.index()].group].name, "storage");
}

/// "If they don't then we ultimately end up with an impossible set of constraints." Not so once aliasing
/// and isolation are two notions: two streams can have two types, if their owners know what that means.
#[test]
fn two_demands_stand_if_the_owners_trust_each_other() {
    let mut m = switch(&["a", "b", "c"]);
    demand(&mut m, "a", DomainType::Dma);
    demand(&mut m, "b", DomainType::Identity);
    let s = strict(&m);
    assert!(s.accepted(), "{:?}", s.diagnostics);
    assert_eq!(
        types(&m, &s),
        [DomainType::Dma, DomainType::Identity, DomainType::Dma]
    );
    assert_eq!(codes(&s), [Code::MixedNeutral], "nothing wins silently");
    let group = s
        .devices
        .iter()
        .zip(&m.nodes)
        .find(|(_, n)| n.name == "a")
        .unwrap()
        .0
        .group;
    assert_eq!(s.group_domain(group), None, "mixed");

    m.trust.clear();
    let s = strict(&m);
    let conflict = s
        .errors()
        .find(|d| d.code == Code::GroupDemands)
        .expect("a conflict");
    assert!(conflict.parties[0].text.contains("`a` demands `dma`"));
    assert!(conflict.parties[1].text.contains("`b` demands `identity`"));
    assert_eq!(conflict.chain.first().unwrap().from, conflict.nodes[0]);
    assert_eq!(conflict.chain.last().unwrap().to, conflict.nodes[1]);
    assert!(!conflict.remedies.is_empty());
}

/// In `linux` mode the group is also the unit of a domain, and two demands are refused; Linux itself logs
/// an error and lets `identity` win.
#[test]
fn two_demands_in_linux_mode() {
    let mut m = switch(&["a", "b", "c"]);
    // One port below which both are, since Linux believes that ports without ACS keep devices apart.
    for name in ["b", "c"] {
        let index = m.nodes.iter().position(|n| n.name == name).unwrap();
        let slot = name.as_bytes()[0] - b'a';
        m.nodes[index].place = below(NodeId::new(2), 0, slot);
    }
    demand(&mut m, "a", DomainType::Dma);
    demand(&mut m, "c", DomainType::Identity);
    contain(&mut m, &["of-a", "of-b", "of-c"]);
    let s = linux(&m);
    assert_eq!(
        s.errors().map(|d| d.code).collect::<Vec<_>>(),
        [Code::GroupDemands]
    );
    assert_eq!(
        types(&m, &s),
        [DomainType::Blocked; 3],
        "neither of them wins"
    );
}

/// "Redefining the whole group concept to separate the notions of ID aliasing and peer-to-peer isolation":
/// two devices that the SMMU cannot tell apart beside one that it can.
#[test]
fn aliasing_apart_from_isolation() {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::OFF));
    m.roots[0].never_routes_peers = true;
    let pci = pci_bridge(&mut m, "pb", port);
    m.nodes[port.index()].function.acs = Some(Acs {
        enabled: Acs::SOURCE_VALIDATION,
        ..Acs::OFF
    });
    let other = root_port(&mut m, "rp2", 2, Some(Acs::ON));
    let both = owner(&mut m, "both");
    let x = owned(
        &mut m,
        "x",
        FunctionKind::Conventional,
        below(pci, 1, 0),
        both,
    );
    let y = owned(
        &mut m,
        "y",
        FunctionKind::Conventional,
        below(pci, 2, 0),
        both,
    );
    endpoint(&mut m, "z", below(other, 0, 0));
    m.nodes[x.index()].demand = Some(DomainType::Dma);
    m.nodes[y.index()].demand = Some(DomainType::Identity);
    let s = strict(&m);
    assert_eq!(codes(&s), [Code::AliasDemands]);
    assert_eq!(kinds_of_chain(&s, Code::AliasDemands), [EdgeKind::Alias]);

    // Neither trust nor a waiver makes the SMMU able to tell them apart.
    let second = owner(&mut m, "second");
    m.nodes[y.index()].owner = Some(second);
    trust(&mut m, "both", "second");
    contain(&mut m, &["both", "second"]);
    m.waivers.push(Waiver {
        pair: (both, second),
        reason: "they are friends".into(),
        devices: Vec::new(),
        source: Source(9),
    });
    let s = strict(&m);
    assert_eq!(
        s.errors().map(|d| d.code).collect::<Vec<_>>(),
        [Code::AliasDemands]
    );

    m.nodes[y.index()].demand = None;
    let s = strict(&m);
    assert!(s.accepted(), "{:?}", s.diagnostics);
    assert_eq!(alias_sets(&m, &s), [["x", "y"]]);
    assert_eq!(
        groups(&m, &s),
        [vec!["pb", "rp", "x", "y"], vec!["rp2"], vec!["z"]]
    );
    assert_eq!(s.devices[x.index()].domain, s.devices[y.index()].domain);
}

/// "It gets impractical to evaluate all devices in a group once you consider hotplug": not if the slot says
/// what may appear in it.
#[test]
fn hotplug_is_decided_before_anything_is_plugged_in() {
    let mut m = machine();
    let port = root_port(&mut m, "bay", 1, Some(Acs::ON));
    m.nodes[port.index()].hotplug = true;
    m.nodes[port.index()].function.buses.spare = 2;
    let next = root_port(&mut m, "next", 2, Some(Acs::ON));
    endpoint(&mut m, "disk", below(port, 0, 0));
    endpoint(&mut m, "nic", below(port, 0, 0));
    endpoint(&mut m, "fixed", below(next, 0, 0));
    demand(&mut m, "nic", DomainType::Identity);
    let s = strict(&m);
    assert_eq!(
        s.diagnostics,
        [],
        "alternatives of one slot are never there together"
    );
    let find = |name: &str| &s.devices[m.nodes.iter().position(|n| n.name == name).unwrap()];
    assert_eq!(find("disk").streams, find("nic").streams);
    assert_ne!(find("disk").domain, find("nic").domain);
    assert_eq!(domain(&m, &s, "disk"), DomainType::Dma);
    assert_eq!(domain(&m, &s, "nic"), DomainType::Identity);
    let buses = find("bay").buses.unwrap();
    assert_eq!(
        (buses.secondary, buses.subordinate),
        (1, 3),
        "spare numbers for what comes"
    );
    assert_eq!(find("fixed").requester.unwrap().bus(), 4);
}
