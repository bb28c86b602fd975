//! Bays: slots with alternatives. That two of them are never there together is a fact about that pair only.

mod support;

use solver::model::*;
use solver::{Code, Machine};
use support::*;

/// A hotplug port with an alternative for each name and owner.
fn bay(m: &mut Machine, acs: Option<Acs>, alternatives: &[(&str, &str)]) -> NodeId {
    let port = root_port(m, "bay", 1, acs);
    m.nodes[port.index()].hotplug = true;
    for (name, task) in alternatives {
        let task = owner(m, task);
        owned(m, name, FunctionKind::Endpoint, below(port, 0, 0), task);
    }
    port
}

fn platform(m: &mut Machine, name: &str, task: &str, stream: u32) -> NodeId {
    let task = owner(m, task);
    let place = Place::Platform {
        streams: vec![(SmmuId(0), stream)],
    };
    owned(m, name, FunctionKind::Endpoint, place, task)
}

/// The two that can be there together are one to the SMMU, whoever else has the StreamID.
#[test]
fn a_third_device_with_the_streamid_of_a_bay_joins_all_of_it() {
    let mut m = machine();
    bay(&mut m, Some(Acs::ON), &[("edu0", "a"), ("edu1", "b")]);
    assert_eq!(alias_sets(&m, &strict(&m)), [[""; 0]; 0]);
    let dev = platform(&mut m, "dev", "a", 0x100);
    let s = strict(&m);
    assert_eq!(alias_sets(&m, &s), [["dev", "edu0", "edu1"]]);
    assert_eq!(s.domains.len(), 1);
    assert_eq!(
        errors(&s),
        [Code::AliasTrust, Code::GroupTrust, Code::Containment]
    );
    m.nodes[dev.index()].unsafe_bypass = Some("a reason".into());
    assert!(errors(&strict(&m)).contains(&Code::Bypass));
}

#[test]
fn two_bays_of_one_streamid_are_one_alias_set() {
    let mut m = machine();
    m.roots[0].stream_mask = 0x00ff;
    bay(&mut m, Some(Acs::ON), &[("w", "a"), ("x", "b")]);
    let other = root_port(&mut m, "other", 2, Some(Acs::ON));
    m.nodes[other.index()].hotplug = true;
    for (name, task) in [("y", "a"), ("z", "b")] {
        let task = owner(&mut m, task);
        owned(
            &mut m,
            name,
            FunctionKind::Endpoint,
            below(other, 0, 0),
            task,
        );
    }
    assert_eq!(alias_sets(&m, &strict(&m)), [["w", "x", "y", "z"]]);
}

/// Three alternatives, and a device of one of their owners beside them.
#[test]
fn every_device_of_an_owner_counts() {
    let mut m = machine();
    let devices = [("disk", "x"), ("nic0", "y"), ("nic1", "y")];
    let port = bay(&mut m, Some(Acs::ON), &devices);
    let task = owner(&mut m, "y");
    owned(
        &mut m,
        "eth",
        FunctionKind::Endpoint,
        below(port, 0, 1),
        task,
    );
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::GroupTrust]);
    assert_eq!(
        s.diagnostics[0]
            .nodes
            .iter()
            .map(|n| name(&m, *n))
            .collect::<Vec<_>>(),
        ["disk", "eth"]
    );

    // Behind a conventional bridge they have one domain, too.
    let mut m = machine();
    let pci = bridge(&mut m, "pb", FunctionKind::PcieToPci, on_root(1, 0), None);
    m.nodes[pci.index()].hotplug = true;
    for (name, task, slot) in [
        ("disk", "x", 1),
        ("nic0", "y", 1),
        ("nic1", "y", 1),
        ("eth", "y", 2),
    ] {
        let task = owner(&mut m, task);
        let place = below(pci, slot, 0);
        owned(&mut m, name, FunctionKind::Conventional, place, task);
    }
    let s = strict(&m);
    assert_eq!(s.domains.len(), 1);
    for code in [Code::AliasTrust, Code::GroupTrust, Code::Containment] {
        assert!(errors(&s).contains(&code), "{code:?}");
    }
}

/// Alternatives alone need neither trust nor containment, however many there are.
#[test]
fn alternatives_are_strangers_to_each_other() {
    for acs in [Some(Acs::ON), Some(Acs::OFF), None] {
        let mut m = machine();
        bay(
            &mut m,
            acs,
            &[("a0", "a"), ("b0", "b"), ("b1", "b"), ("c0", "c")],
        );
        let s = strict(&m);
        assert_eq!(errors(&s), [], "{acs:?}");
        assert_eq!(s.domains.len(), 4);
    }
}

#[test]
fn every_demand_of_an_owner_counts() {
    let mut m = machine();
    let devices = [("disk", "x"), ("nic", "y")];
    let port = bay(&mut m, Some(Acs::ON), &devices);
    let task = owner(&mut m, "y");
    let eth = owned(
        &mut m,
        "eth",
        FunctionKind::Endpoint,
        below(port, 0, 1),
        task,
    );
    m.nodes[1].demand = Some(DomainType::Identity);
    m.nodes[2].demand = Some(DomainType::Dma);
    m.nodes[eth.index()].demand = Some(DomainType::Dma);
    let (x, y) = (owner(&mut m, "x"), owner(&mut m, "y"));
    m.waivers.push(Waiver {
        pair: (x, y),
        reason: "one card".into(),
        devices: Vec::new(),
        source: Source(1),
    });
    assert_eq!(errors(&strict(&m)), [Code::GroupDemands]);
}

#[test]
fn a_bus_reset_of_an_alternative_takes_its_neighbours_along() {
    let mut m = machine();
    let port = bay(&mut m, Some(Acs::ON), &[("edu0", "a"), ("edu1", "a")]);
    let task = owner(&mut m, "b");
    let place = below(port, 0, 1);
    owned(&mut m, "fn1", FunctionKind::Endpoint, place, task);
    trust(&mut m, "a", "b");
    assert_eq!(errors(&strict(&m)), []);
    for device in 1..3 {
        m.nodes[device].quiesce = Quiesce::BusReset;
        let s = strict(&m);
        let unit = ["edu0", "edu1", "fn1"];
        assert_eq!(
            reset_units(&m, &s),
            [[&unit[..device], &unit[2..]].concat()]
        );
        assert_eq!(errors(&s), [Code::Containment]);
    }
    // Two alternatives alone are never reset together.
    m.nodes.pop();
    assert_eq!(reset_units(&m, &strict(&m)), [[""; 0]; 0]);
}

/// What hangs on an alternative is no more there with the others than itself.
#[test]
fn virtual_functions_of_alternatives_are_apart_too() {
    let mut m = machine();
    bay(&mut m, Some(Acs::ON), &[("edu0", "a"), ("edu1", "b")]);
    for (index, task) in [(1, "a"), (2, "b")] {
        let physical = NodeId::new(index);
        let task = owner(&mut m, task);
        let place = Place::Virtual {
            physical,
            offset: 1,
        };
        let vf = format!("vf{index}");
        owned(&mut m, &vf, FunctionKind::Endpoint, place, task);
    }
    let s = strict(&m);
    assert_eq!(errors(&s), []);
    assert_eq!(alias_sets(&m, &s), [[""; 0]; 0]);
    assert_eq!(reset_units(&m, &s), [["edu0", "vf1"], ["edu1", "vf2"]]);
}

/// What may use the ids of all buses below a port does not use those of what is never there with it.
#[test]
fn nobody_uses_the_ids_of_another_alternative() {
    let mut m = machine();
    let bay = root_port(&mut m, "bay", 1, Some(Acs::ON));
    m.nodes[bay.index()].hotplug = true;
    // Two switches that may be plugged in; their ports redirect, but check no ids, so that each is one group.
    let redirects = Acs {
        implemented: Acs::WANTED,
        enabled: Acs::WANTED & !Acs::SOURCE_VALIDATION,
    };
    let mut devices = Vec::new();
    for name in ["a", "b"] {
        let up = format!("up-{name}");
        let place = below(bay, 0, 0);
        let up = bridge(
            &mut m,
            &up,
            FunctionKind::UpstreamPort,
            place,
            Some(Acs::ON),
        );
        let down = format!("down-{name}");
        let place = below(up, 0, 0);
        let down = bridge(
            &mut m,
            &down,
            FunctionKind::DownstreamPort,
            place,
            Some(redirects),
        );
        devices.push(endpoint(&mut m, name, below(down, 0, 0)));
    }
    assert_eq!(errors(&strict(&m)), []);
    assert_eq!(groups(&m, &strict(&m)).len(), 3, "each switch is one");
    // Nor does a task that has registers of the one need the trust of the other.
    let watcher = owner(&mut m, "watcher");
    m.nodes[devices[0].index()].holders.push(Holder {
        task: watcher,
        source: Source(1),
    });
    assert_eq!(errors(&strict(&m)), []);
    // Below another port of one switch they are there together.
    for (name, position) in [("up-b", 4), ("down-b", 5)] {
        assert_eq!(m.nodes[position].name, name);
    }
    m.nodes[4].place = below(bay, 1, 0);
    let found = errors(&strict(&m));
    assert!(
        found.contains(&Code::ForgedStream) && found.contains(&Code::HolderTrust),
        "{found:?}"
    );
}
