//! Small machines whose answer is plain.

mod support;

use solver::Code;
use solver::model::*;
use support::*;

#[test]
fn root_ports_with_acs_keep_their_endpoints_apart() {
    let mut m = machine();
    for (index, name) in ["a", "b", "c"].iter().enumerate() {
        let port = root_port(
            &mut m,
            &format!("rp-{name}"),
            index as u8 + 1,
            Some(Acs::ON),
        );
        endpoint(&mut m, name, below(port, 0, 0));
    }
    let s = strict(&m);
    assert_eq!(s.diagnostics, []);
    assert_eq!(
        groups(&m, &s),
        [["a"], ["b"], ["c"], ["rp-a"], ["rp-b"], ["rp-c"]]
    );
    assert!(alias_sets(&m, &s).is_empty());
    let b = &s.devices[3];
    assert_eq!(b.requester.unwrap().to_string(), "0000:02:00.0");
    assert_eq!(b.streams[0].id, 0x200);
    assert_eq!(b.domain_type, DomainType::Dma);
    assert_eq!(
        s.domains
            .iter()
            .map(|d| d.contexts[0].asid)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let window = s.domains[1].window.unwrap();
    assert_eq!(
        (window.page_base, window.page_bytes, window.block_bytes),
        (1 << 32, 2 << 20, 0)
    );
    assert_eq!(s.devices[0].domain_type, DomainType::Blocked);
}

#[test]
fn root_ports_without_acs_are_one_group_unless_the_platform_knows_better() {
    let mut m = machine();
    for (index, name) in ["a", "b"].iter().enumerate() {
        let port = root_port(
            &mut m,
            &format!("rp-{name}"),
            index as u8 + 1,
            Some(Acs::OFF),
        );
        endpoint(&mut m, name, below(port, 0, 0));
    }
    assert_eq!(groups(&m, &strict(&m)), [["a", "b", "rp-a", "rp-b"]]);
    assert_eq!(groups(&m, &linux(&m)), [["a", "rp-a"], ["b", "rp-b"]]);
    m.roots[0].never_routes_peers = true;
    assert_eq!(groups(&m, &strict(&m)), [["a", "rp-a"], ["b", "rp-b"]]);
}

/// All root buses of a root complex, however their expanders are chained.
#[test]
fn expanders_belong_to_one_root_complex() {
    let mut m = machine();
    m.roots[0].bus_last = 63;
    for (index, bus) in [(1, 64), (2, 128)] {
        let mut expander = root(&format!("expander-{index}"), 0, bus);
        expander.expander_of = Some(RootId::new(index - 1));
        expander.bus_last = bus + 63;
        m.roots.push(expander);
    }
    for index in 0..3 {
        let at = Place::Slot {
            upstream: Upstream::Root(RootId::new(index)),
            device: 1,
            function: 0,
        };
        let name = format!("rp{index}");
        bridge(&mut m, &name, FunctionKind::RootPort, at, Some(Acs::OFF));
    }
    assert_eq!(groups(&m, &strict(&m)), [["rp0", "rp1", "rp2"]]);
    assert_eq!(groups(&m, &linux(&m)).len(), 3);
    // What the platform file could say of all of them is said at the first; of several root complexes it says of which.
    for (name, port) in [("a", 1), ("b", 2)] {
        m.nodes[port].function.acs = Some(Acs {
            implemented: Acs::WANTED,
            enabled: Acs::SOURCE_VALIDATION,
        });
        endpoint(&mut m, name, below(NodeId::new(port), 0, 0));
    }
    for of in ["", " of `rb0`"] {
        m.roots[0].name = "rb0".into();
        let s = strict(&m);
        let mut errors = s.errors();
        let error = errors.find(|error| error.code == Code::GroupTrust).unwrap();
        let texts: Vec<&str> = error.remedies.iter().map(|r| r.text.as_str()).collect();
        let text = format!(
            "state in the platform file that the root complex{of} never routes between root ports, if its manual says so"
        );
        assert!(texts.contains(&text.as_str()), "{texts:?}");
        m.roots.push(root("other", 1, 0));
    }
}

/// What implements no source validation lets a device take another's requester id.
#[test]
fn a_root_port_without_source_validation_isolates_nothing() {
    let redirects = Acs {
        implemented: Acs::REQUEST_REDIRECT,
        enabled: Acs::REQUEST_REDIRECT,
    };
    let validates = Acs {
        implemented: Acs::SOURCE_VALIDATION,
        enabled: Acs::SOURCE_VALIDATION,
    };
    for (acs, apart) in [(redirects, false), (validates, true)] {
        let mut m = machine();
        for (index, name) in ["a", "b"].iter().enumerate() {
            let port = root_port(&mut m, &format!("rp-{name}"), index as u8 + 1, Some(acs));
            endpoint(&mut m, name, below(port, 0, 0));
        }
        assert_eq!(groups(&m, &strict(&m)).len(), if apart { 4 } else { 1 });
        assert_eq!(groups(&m, &linux(&m)).len(), 4);
    }
}

#[test]
fn two_devices_behind_one_bridge_share_a_domain() {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    let pci = pci_bridge(&mut m, "pb", port);
    let owner = owner(&mut m, "driver");
    owned(
        &mut m,
        "edu0",
        FunctionKind::Conventional,
        below(pci, 1, 0),
        owner,
    );
    owned(
        &mut m,
        "edu1",
        FunctionKind::Conventional,
        below(pci, 2, 0),
        owner,
    );
    let s = strict(&m);
    assert_eq!(s.diagnostics, []);
    assert_eq!(alias_sets(&m, &s), [["edu0", "edu1"]]);
    assert_eq!(groups(&m, &s), [vec!["edu0", "edu1", "pb"], vec!["rp"]]);
    assert_eq!(s.domains.len(), 1);
    assert_eq!(
        s.devices[2]
            .streams
            .iter()
            .map(|s| s.id)
            .collect::<Vec<_>>(),
        [0x208, 0x200]
    );
    assert_eq!(
        s.devices[1].domain_type,
        DomainType::Blocked,
        "the bridge's own stream"
    );
}

#[test]
fn functions_with_eight_bit_numbers_are_one_device() {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    let driver = owner(&mut m, "driver");
    owned(
        &mut m,
        "f0",
        FunctionKind::Endpoint,
        below(port, 0, 0),
        driver,
    );
    owned(
        &mut m,
        "f9",
        FunctionKind::Endpoint,
        below(port, 1, 1),
        driver,
    );
    assert_eq!(groups(&m, &strict(&m)), [vec!["f0", "f9"], vec!["rp"]]);
    assert_eq!(groups(&m, &linux(&m)), [["f0"], ["f9"], ["rp"]]);
}

#[test]
fn virtual_functions_are_believed_only_with_acs() {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    let driver = owner(&mut m, "driver");
    let pf = owned(
        &mut m,
        "pf",
        FunctionKind::Endpoint,
        below(port, 0, 0),
        driver,
    );
    for (index, name) in ["vf0", "vf1"].iter().enumerate() {
        let place = Place::Virtual {
            physical: pf,
            offset: 0x180 + 2 * index as u16,
        };
        owned(&mut m, name, FunctionKind::Endpoint, place, driver);
    }
    let other = root_port(&mut m, "rp2", 2, Some(Acs::ON));
    endpoint(&mut m, "next", below(other, 0, 0));
    let s = strict(&m);
    assert_eq!(
        s.devices[2].requester.unwrap().id,
        0x280,
        "a virtual function on the bus after its own"
    );
    assert_eq!(s.devices[0].buses.unwrap().subordinate, 2);
    assert_eq!(
        s.devices[4].buses.unwrap().secondary,
        3,
        "which no bridge gets"
    );
    assert_eq!(
        groups(&m, &s),
        [
            vec!["next"],
            vec!["pf", "vf0", "vf1"],
            vec!["rp"],
            vec!["rp2"]
        ]
    );
    assert_eq!(groups(&m, &linux(&m)).len(), 6);
    assert_eq!(
        reset_units(&m, &s),
        [["pf", "vf0", "vf1"]],
        "a reset of the physical function ends them"
    );
    m.nodes[pf.index()].function.acs = Some(Acs::ON);
    assert_eq!(groups(&m, &strict(&m)).len(), 4, "it is the physical one's");
    for virtual_one in [pf.index() + 1, pf.index() + 2] {
        m.nodes[virtual_one].function.acs = Some(Acs::ON);
    }
    assert_eq!(groups(&m, &strict(&m)).len(), 6);
}

#[test]
fn a_switch_with_one_open_port_is_one_group() {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    let up = switch_port(&mut m, "up", port);
    let driver = owner(&mut m, "driver");
    for (slot, acs) in [(0, Some(Acs::ON)), (1, None)] {
        let down = bridge(
            &mut m,
            &format!("down{slot}"),
            FunctionKind::DownstreamPort,
            below(up, slot, 0),
            acs,
        );
        owned(
            &mut m,
            &format!("d{slot}"),
            FunctionKind::Endpoint,
            below(down, 0, 0),
            driver,
        );
    }
    assert_eq!(
        groups(&m, &strict(&m)),
        [vec!["d0", "d1", "down0", "down1", "up"], vec!["rp"]]
    );
    assert_eq!(
        groups(&m, &linux(&m)),
        [
            vec!["d0"],
            vec!["d1", "down1"],
            vec!["down0"],
            vec!["rp"],
            vec!["up"]
        ]
    );
}

#[test]
fn conventional_bridges_lend_their_id() {
    let mut m = machine();
    let pci = bridge(
        &mut m,
        "dmi",
        FunctionKind::ConventionalBridge,
        on_root(30, 0),
        None,
    );
    let driver = owner(&mut m, "driver");
    owned(
        &mut m,
        "edu",
        FunctionKind::Conventional,
        below(pci, 1, 0),
        driver,
    );
    let s = strict(&m);
    assert_eq!(s.diagnostics, []);
    assert_eq!(
        s.devices[1]
            .streams
            .iter()
            .map(|s| s.id)
            .collect::<Vec<_>>(),
        [0x108, 0xf0]
    );
    assert_eq!(alias_sets(&m, &s), [["dmi", "edu"]]);
    assert_eq!(
        domain(&m, &s, "dmi"),
        DomainType::Dma,
        "one StreamID, one domain"
    );
}

#[test]
fn platform_devices_share_what_their_streams_share() {
    let mut m = machine();
    let driver = owner(&mut m, "driver");
    for (name, streams) in [
        ("dma0", vec![0x20]),
        ("dma1", vec![0x21, 0x20]),
        ("uart", vec![0x30]),
    ] {
        let place = Place::Platform {
            streams: streams.into_iter().map(|id| (SmmuId(0), id)).collect(),
        };
        owned(&mut m, name, FunctionKind::default(), place, driver);
    }
    let s = strict(&m);
    assert_eq!(s.diagnostics, []);
    assert_eq!(groups(&m, &s), [vec!["dma0", "dma1"], vec!["uart"]]);
    assert_eq!(s.domains.len(), 2);
}

#[test]
fn several_smmus_have_asids_of_their_own() {
    let mut m = machine();
    m.smmus.push(Smmu {
        name: "second".into(),
        ..Smmu::default()
    });
    let mut other = root("pcie1", 1, 0);
    other.streams[0].smmu = SmmuId(1);
    m.roots.push(other);
    endpoint(&mut m, "a", on_root(1, 0));
    let place = Place::Slot {
        upstream: Upstream::Root(RootId(1)),
        device: 1,
        function: 0,
    };
    endpoint(&mut m, "b", place);
    let both = Place::Platform {
        streams: vec![(SmmuId(0), 0x1000), (SmmuId(1), 0x1000)],
    };
    endpoint(&mut m, "c", both);
    let s = strict(&m);
    assert_eq!(s.diagnostics, []);
    let contexts: Vec<Vec<(u32, u16)>> = s
        .domains
        .iter()
        .map(|d| d.contexts.iter().map(|c| (c.smmu.0, c.asid)).collect())
        .collect();
    assert_eq!(contexts, [vec![(0, 1)], vec![(1, 1)], vec![(0, 2), (1, 2)]]);
}

fn virtual_of(m: &mut Machine, name: &str, physical: NodeId, offset: u16) -> NodeId {
    let place = Place::Virtual { physical, offset };
    endpoint(m, name, place)
}

/// A request for its bus would go down the bridge.
#[test]
fn a_virtual_function_is_on_no_bus_of_a_bridge_beside_it() {
    for (physical_first, bus, clash) in [(true, 5, true), (false, 5, true), (true, 7, false)] {
        let mut m = machine();
        let slot = if physical_first { 1 } else { 3 };
        let physical = endpoint(&mut m, "physical", on_root(slot, 0));
        virtual_of(&mut m, "virtual", physical, bus << 8);
        let port = root_port(&mut m, "port", 2, Some(Acs::ON));
        m.nodes[port.index()].function.buses = Buses {
            secondary: Some(4),
            subordinate: Some(6),
            spare: 0,
        };
        trust(&mut m, "of-physical", "of-virtual");
        contain(&mut m, &["of-physical", "of-virtual"]);
        let expected: &[solver::Code] = if clash {
            &[solver::Code::BusNumbers]
        } else {
            &[]
        };
        assert_eq!(codes(&strict(&m)), expected, "{physical_first} {bus}");
    }
}

/// Alternatives of one bay may have virtual functions of one id; of two bays they are there together.
#[test]
fn virtual_functions_of_two_bays_have_ids_of_their_own() {
    for (second, clash) in [(0, false), (1, true)] {
        let mut m = machine();
        let port = bridge(&mut m, "bays", FunctionKind::PcieToPci, on_root(1, 0), None);
        m.nodes[port.index()].hotplug = true;
        for (name, device) in [("a", 0), ("b", 0), ("c", second), ("d", second)] {
            let task = owner(&mut m, "of-all");
            let place = below(port, device, 0);
            owned(&mut m, name, FunctionKind::Endpoint, place, task);
        }
        let task = owner(&mut m, "of-all");
        for (name, physical, offset) in
            [("va", 1, 0x80), ("vc", 3, 0x80 - (u16::from(second) << 3))]
        {
            let physical = NodeId::new(physical);
            let place = Place::Virtual { physical, offset };
            owned(&mut m, name, FunctionKind::Endpoint, place, task);
        }
        let found = codes(&strict(&m));
        assert_eq!(found.contains(&solver::Code::SlotTaken), clash, "{found:?}");
    }
}
