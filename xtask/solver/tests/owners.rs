//! Trust, waivers, containment, and devices that nobody owns.

mod support;

use solver::model::*;
use solver::{Code, Machine};
use support::*;

/// Two endpoints of different owners in one multifunction slot without ACS.
fn slot() -> Machine {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    endpoint(&mut m, "a", below(port, 0, 0));
    endpoint(&mut m, "b", below(port, 0, 1));
    m
}

/// Waives the distrust of a pair, for all devices of its group.
fn waive(m: &mut Machine, pair: (OwnerId, OwnerId), reason: &str) {
    m.waivers.push(Waiver {
        pair,
        reason: reason.into(),
        devices: Vec::new(),
        source: Source(2),
    });
}

#[test]
fn a_group_needs_trust_in_both_directions_or_a_waiver() {
    let mut m = slot();
    let s = strict(&m);
    assert_eq!(codes(&s), [Code::GroupTrust]);
    let texts: Vec<&str> = s.diagnostics[0]
        .remedies
        .iter()
        .map(|r| r.text.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "declare that `of-a` trusts `of-b` and `of-b` trusts `of-a`",
            "waive the pair `of-a`, `of-b` with a written reason",
            "let `of-a` drive `b` too",
        ]
    );
    let (a, b) = (owner(&mut m, "of-a"), owner(&mut m, "of-b"));
    m.trust.push(Trust {
        from: a,
        to: b,
        source: Source(1),
    });
    assert_eq!(
        codes(&strict(&m)),
        [Code::GroupTrust],
        "one direction is not enough"
    );
    waive(&mut m, (b, a), "same vendor");
    let s = strict(&m);
    assert_eq!(s.diagnostics, []);
    assert_eq!(s.waivers.len(), 1);
    m.waivers[0].reason = " ".into();
    assert_eq!(codes(&strict(&m)), [Code::EmptyReason]);
    m.waivers[0].reason = "same vendor".into();
    m.trust.push(Trust {
        from: b,
        to: a,
        source: Source(3),
    });
    assert_eq!(codes(&strict(&m)), [Code::UnusedWaiver]);
}

#[test]
fn a_waiver_does_not_cover_different_demands() {
    let mut m = slot();
    let (a, b) = (owner(&mut m, "of-a"), owner(&mut m, "of-b"));
    waive(&mut m, (a, b), "same vendor");
    m.nodes[1].demand = Some(DomainType::Dma);
    m.nodes[2].demand = Some(DomainType::Identity);
    assert_eq!(codes(&strict(&m)), [Code::GroupDemands]);
}

/// A waiver lets two owners be in one group, and says nothing about what one may decide for the other.
#[test]
fn a_demand_shapes_a_neighbour_by_trust_alone() {
    let mut m = slot();
    let (a, b) = (owner(&mut m, "of-a"), owner(&mut m, "of-b"));
    m.nodes[1].demand = Some(DomainType::Identity);
    waive(&mut m, (a, b), "same vendor");
    let s = strict(&m);
    assert_eq!(domain(&m, &s, "a"), DomainType::Identity);
    assert_eq!(domain(&m, &s, "b"), m.policy.default_domain);
    assert_ne!(m.policy.default_domain, DomainType::Identity);
    m.waivers.clear();
    for (from, to) in [(a, b), (b, a)] {
        m.trust.push(Trust {
            from,
            to,
            source: Source(3),
        });
    }
    let s = strict(&m);
    assert_eq!(s.diagnostics, []);
    assert_eq!(domain(&m, &s, "b"), DomainType::Identity);
}

#[test]
fn an_alias_is_never_waivable() {
    let mut m = machine();
    let pci = bridge(&mut m, "pb", FunctionKind::PcieToPci, on_root(1, 0), None);
    let (a, b) = (owner(&mut m, "of-a"), owner(&mut m, "of-b"));
    owned(&mut m, "a", FunctionKind::Conventional, below(pci, 1, 0), a);
    owned(&mut m, "b", FunctionKind::Conventional, below(pci, 2, 0), b);
    contain(&mut m, &["of-a", "of-b"]);
    waive(&mut m, (a, b), "please");
    let s = strict(&m);
    assert_eq!(
        s.errors().map(|d| d.code).collect::<Vec<_>>(),
        [Code::AliasTrust]
    );
    assert!(
        s.diagnostics
            .iter()
            .all(|d| d.remedies.iter().all(|r| !r.text.contains("waive")))
    );
    trust(&mut m, "of-a", "of-b");
    assert!(strict(&m).accepted());
}

#[test]
fn what_shares_a_domain_or_a_reset_restarts_together() {
    let mut m = slot();
    trust(&mut m, "of-a", "of-b");
    assert_eq!(strict(&m).diagnostics, [], "both have a reset of their own");
    m.nodes[1].quiesce = Quiesce::BusReset;
    let s = strict(&m);
    assert_eq!(codes(&s), [Code::Containment]);
    assert_eq!(reset_units(&m, &s), [["a", "b"]]);
    let texts: Vec<&str> = s.diagnostics[0]
        .remedies
        .iter()
        .map(|r| r.text.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "declare that `of-a` and `of-b` stop and restart together",
            "declare a quiesce recipe for `a` that resets nothing else",
            "let `of-a` drive `b` too",
        ]
    );
    contain(&mut m, &["of-a", "of-b"]);
    assert_eq!(strict(&m).diagnostics, []);
}

#[test]
fn reset_units_cross_isolation_groups() {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    for (name, function) in [("a", 0), ("b", 1)] {
        let node = endpoint(&mut m, name, below(port, 0, function));
        m.nodes[node.index()].function.acs = Some(Acs::ON);
        m.nodes[node.index()].quiesce = Quiesce::BusReset;
    }
    let s = strict(&m);
    assert_eq!(groups(&m, &s), [["a"], ["b"], ["rp"]]);
    assert_eq!(reset_units(&m, &s), [["a", "b"]]);
    assert_eq!(codes(&s), [Code::Containment]);
}

#[test]
fn a_forgotten_device_is_noticed() {
    let mut m = slot();
    m.nodes[2].owner = None;
    let s = strict(&m);
    assert_eq!(codes(&s), [Code::Unowned]);
    assert_eq!(s.diagnostics[0].remedies.len(), 1);
    m.policy.unowned = Unowned::Block;
    let s = strict(&m);
    assert_eq!(codes(&s), [Code::UnownedBlocked]);
    assert!(s.accepted());
    m.nodes[2].demand = Some(DomainType::Blocked);
    assert_eq!(strict(&m).diagnostics, []);
    assert_eq!(
        domain(&m, &strict(&m), "a"),
        DomainType::Dma,
        "blocked is said of `b` alone"
    );
}

#[test]
fn external_ports_force_dma() {
    let mut m = machine();
    let port = root_port(&mut m, "usb4", 1, Some(Acs::ON));
    m.nodes[port.index()].external = true;
    let dock = endpoint(&mut m, "dock", below(port, 0, 0));
    m.policy.default_domain = DomainType::Identity;
    let s = strict(&m);
    assert_eq!(domain(&m, &s, "dock"), DomainType::Dma);
    assert!(
        s.devices[dock.index()]
            .domain_because
            .contains("external port `usb4`")
    );
    m.nodes[dock.index()].demand = Some(DomainType::Identity);
    let s = strict(&m);
    assert_eq!(codes(&s), [Code::UntrustedIdentity]);
    assert_eq!(s.diagnostics[0].remedies.len(), 1);
}

#[test]
fn direct_regions_forbid_blocked_and_are_listed() {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    let gpu = endpoint(&mut m, "gpu", below(port, 0, 0));
    m.nodes[gpu.index()]
        .direct
        .push(region("stolen", 1 << 32, 4 << 20));
    let s = strict(&m);
    assert_eq!(codes(&s), [Code::DirectException]);
    assert_eq!(s.exceptions, [gpu]);
    let window = s.domains[0].window.unwrap();
    assert_eq!(
        window.page_base,
        (1 << 32) + (4 << 20),
        "clear of the direct region"
    );
    m.nodes[gpu.index()].demand = Some(DomainType::Blocked);
    assert_eq!(
        codes(&strict(&m)),
        [Code::DirectBlocked, Code::DirectException]
    );
    m.nodes[gpu.index()].demand = None;
    m.nodes[gpu.index()].owner = None;
    m.policy.unowned = Unowned::Block;
    assert_eq!(
        codes(&strict(&m)),
        [Code::DirectException],
        "nothing says that it is blocked"
    );
    assert_eq!(
        domain(&m, &strict(&m), "gpu"),
        DomainType::Dma,
        "it cannot be blocked"
    );
    m.nodes[gpu.index()].direct[0].base = 0x2000_0000;
    assert!(codes(&strict(&m)).contains(&Code::DirectReserved));
}

/// In `linux` mode a group has one domain: what the pools of its owners need is asked of it.
#[test]
fn one_domain_of_a_group_needs_trust_and_containment() {
    let mut m = slot();
    let (a, b) = (owner(&mut m, "of-a"), owner(&mut m, "of-b"));
    waive(&mut m, (a, b), "one card");
    assert!(strict(&m).accepted());
    let s = linux(&m);
    assert_eq!(codes(&s), [Code::AliasTrust, Code::Containment]);
    assert!(
        s.diagnostics[0]
            .message
            .contains("which in `linux` mode has one domain")
    );
    trust(&mut m, "of-a", "of-b");
    m.waivers.clear();
    assert_eq!(codes(&linux(&m)), [Code::Containment]);
    contain(&mut m, &["of-a", "of-b"]);
    let s = linux(&m);
    assert_eq!(s.diagnostics, []);
    assert_eq!(s.domains[0].owners, [a, b]);
}

/// A task with registers of `node`.
fn holder(m: &mut Machine, node: NodeId, task: &str) {
    let task = owner(m, task);
    let source = Source(4000);
    m.nodes[node.index()].holders.push(Holder { task, source });
}

fn trusts(m: &mut Machine, from: &str, to: &str) {
    let (from, to) = (owner(m, from), owner(m, to));
    let source = Source(2000);
    m.trust.push(Trust { from, to, source });
}

#[test]
fn who_has_registers_is_trusted_by_all_whom_the_device_reaches() {
    let mut m = slot();
    trust(&mut m, "of-a", "of-b");
    let a = NodeId(1);
    holder(&mut m, a, "watcher");
    let s = strict(&m);
    assert_eq!(codes(&s), [Code::HolderTrust], "the other in the group");
    let texts: Vec<&str> = s.diagnostics[0]
        .remedies
        .iter()
        .map(|r| r.text.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "declare that `of-b` trusts `watcher`",
            "let `watcher` do without the registers of `a`",
        ]
    );
    assert!(codes(&linux(&m)).contains(&Code::HolderTrust));
    trusts(&mut m, "of-b", "watcher");
    assert_eq!(codes(&strict(&m)), []);
}

/// Of one on PCI the bus mastering is off, unless it has direct regions.
#[test]
fn who_has_registers_of_what_nobody_drives_is_trusted_if_it_can_act() {
    let mut m = slot();
    let a = NodeId(1);
    m.policy.unowned = Unowned::Block;
    m.nodes[a.index()].owner = None;
    holder(&mut m, a, "watcher");
    assert_eq!(codes(&strict(&m)), [Code::UnownedBlocked]);
    m.nodes[a.index()]
        .direct
        .push(region("fw", 0x8000_0000, 0x1000));
    let found = codes(&strict(&m));
    assert!(found.contains(&Code::HolderTrust), "{found:?}");

    // What is not on PCI uses its stream when another opens it.
    let mut m = machine();
    m.policy.unowned = Unowned::Block;
    for name in ["driven", "other"] {
        let place = Place::Platform {
            streams: vec![(SmmuId(0), 5)],
        };
        endpoint(&mut m, name, place);
    }
    m.nodes[1].owner = None;
    holder(&mut m, NodeId(1), "watcher");
    assert_eq!(
        codes(&strict(&m)),
        [Code::HolderTrust, Code::UnownedBlocked]
    );
    m.nodes[1].place = Place::Platform {
        streams: vec![(SmmuId(0), 6)],
    };
    assert_eq!(codes(&strict(&m)), [Code::UnownedBlocked]);
}

/// Without validation of ids the device reaches what all have in its segment.
#[test]
fn who_has_registers_is_trusted_by_all_whose_ids_the_device_may_use() {
    let mut m = machine();
    for (name, acs) in [("a", Acs::ON), ("b", Acs::OFF)] {
        let slot = m.nodes.len() as u8;
        let port = root_port(&mut m, &format!("rp-{name}"), slot, Some(acs));
        endpoint(&mut m, name, below(port, 0, 0));
    }
    trust(&mut m, "of-a", "of-b");
    holder(&mut m, NodeId(3), "watcher");
    let found = codes(&strict(&m));
    assert!(found.contains(&Code::HolderTrust), "{found:?}");
    trusts(&mut m, "of-a", "watcher");
    assert!(strict(&m).accepted());
    // With it, what has an id of the buses below the nearest port that validates.
    m.nodes[2].function.acs = Some(Acs::ON);
    for (stream, reached) in [(0x208, true), (0x308, false)] {
        let mut m = m.clone();
        let place = Place::Platform {
            streams: vec![(SmmuId(0), stream)],
        };
        endpoint(&mut m, "engine", place);
        trust(&mut m, "of-b", "of-engine");
        let found = codes(&strict(&m));
        assert_eq!(found.contains(&Code::HolderTrust), reached, "{stream:#x}");
        assert_eq!(strict(&m).accepted(), !reached);
    }
}
