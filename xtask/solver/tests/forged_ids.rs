//! Which ids a device may use that are another's: all that no port between them checks.

mod support;

use solver::model::*;
use solver::{Code, Machine, reach};
use support::*;

/// Two root ports of which the second redirects, and does not check ids.
fn unchecked() -> Machine {
    ports(
        Some(Acs::ON),
        enabled(Acs::WANTED & !Acs::SOURCE_VALIDATION),
    )
}

#[test]
fn a_device_whose_ids_nobody_checks_needs_the_trust_of_its_segment() {
    let m = unchecked();
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::ForgedStream]);
    let error = s.errors().next().unwrap();
    assert!(
        error
            .message
            .starts_with("`b` of `of-b` may use any StreamID of segment 0")
    );
    let texts: Vec<&str> = error.remedies.iter().map(|r| r.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "declare that `of-b` trusts `of-a` and `of-a` trusts `of-b`",
            "waive the pair `of-b`, `of-a` with a written reason",
            "enable ACS on `rp-b`",
        ]
    );
    let b = node_of(&m, "b");
    let forges = reach(&m, &s, b).forges.unwrap();
    assert_eq!(forges.ids(), "any id of segment 0");
    assert_eq!(Vec::from_iter(forges.devices), ["a"]);
    let forges = reach(&m, &s, node_of(&m, "a")).forges.unwrap();
    assert_eq!(forges.ids(), "any id of bus 0000:01");
    assert_eq!(forges.checked_by.as_deref(), Some("rp-a"));
    assert!(forges.devices.is_empty());
    assert!(linux(&m).accepted());
}

#[test]
fn an_id_of_the_segment_is_forged_on_pci_or_not() {
    let mut m = unchecked();
    m.nodes[1].owner = None;
    m.nodes[1].demand = Some(DomainType::Blocked);
    m.smmus[0].stream_bits = 32;
    // One beyond the segment's map is not.
    for (stream, reached) in [(0x9000, true), (0x1_0000, false)] {
        let mut m = m.clone();
        let uart = owner(&mut m, "uart-driver");
        let place = Place::Platform {
            streams: vec![(SmmuId(0), stream)],
        };
        owned(&mut m, "uart", FunctionKind::Endpoint, place, uart);
        assert_eq!(errors(&strict(&m)) == [Code::ForgedStream], reached);
    }
}

#[test]
fn that_root_ports_route_nothing_says_nothing_about_ids() {
    let mut m = ports(Some(Acs::OFF), Some(Acs::OFF));
    m.roots[0].never_routes_peers = true;
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::ForgedStream; 2]);
    waive(&mut m, Vec::new());
    let s = strict(&m);
    assert!(s.accepted(), "{:?}", s.diagnostics);
    assert!(!s.waivers.is_empty());
}

/// Waives the pair `of-a`, `of-b` for these devices; for all, if there are none.
fn waive(m: &mut Machine, devices: Vec<NodeId>) {
    let pair = (owner(m, "of-a"), owner(m, "of-b"));
    m.waivers.push(Waiver {
        pair,
        reason: "one vendor".into(),
        devices,
        source: Source(1),
    });
}

/// Whichever group they are in.
#[test]
fn a_waiver_that_names_devices_covers_no_ids_of_others() {
    let mut m = unchecked();
    let (a, b) = (owner(&mut m, "of-a"), owner(&mut m, "of-b"));
    let named = ["a", "b"].map(|name| node_of(&m, name));
    waive(&mut m, named.to_vec());
    assert_eq!(errors(&strict(&m)), []);
    let place = below(node_of(&m, "rp-b"), 0, 1);
    let second = owned(&mut m, "b2", FunctionKind::Endpoint, place, b);
    // The error says what is missing; the waiver is needed.
    let found = strict(&m);
    assert_eq!(errors(&found), [Code::ForgedStream], "one more that may");
    assert!(!codes(&found).contains(&Code::UnusedWaiver));
    let error = found.errors().next().unwrap();
    let party = error.parties.last().unwrap();
    assert_eq!(party.text, "the waiver does not name `b2`");
    let texts: Vec<&str> = error.remedies.iter().map(|r| r.text.as_str()).collect();
    assert!(texts.contains(&"name `b2` in the waiver, too"), "{texts:?}");
    assert!(!texts.iter().any(|text| text.starts_with("waive the pair")));
    m.waivers[0].devices.push(second);
    assert_eq!(errors(&strict(&m)), []);
    let place = below(node_of(&m, "rp-a"), 0, 1);
    owned(&mut m, "a2", FunctionKind::Endpoint, place, a);
    assert_eq!(
        errors(&strict(&m)),
        [Code::ForgedStream],
        "one more of the other's"
    );
}

#[test]
fn a_downstream_port_that_checks_ids_is_enough() {
    let mut m = ports(Some(Acs::ON), None);
    let up = bridge(
        &mut m,
        "up",
        FunctionKind::UpstreamPort,
        below(NodeId(2), 1, 0),
        None,
    );
    let down = bridge(
        &mut m,
        "down",
        FunctionKind::DownstreamPort,
        below(up, 0, 0),
        Some(Acs::ON),
    );
    m.nodes[3].place = below(down, 0, 0);
    assert_eq!(errors(&strict(&m)), []);
}

/// Source validation looks at the bus number: a device has all ids of the nearest port with it.
#[test]
fn a_device_has_all_ids_of_the_port_that_checks_them() {
    // Buses: 1 inside the root port, 2 inside the switch, 3 and 4 below its ports.
    for (acs, stream, met) in [
        (Acs::WANTED, 0x308, true),
        (Acs::WANTED, 0x210, false),
        (Acs::WANTED & !Acs::SOURCE_VALIDATION, 0x210, true),
        (Acs::WANTED & !Acs::SOURCE_VALIDATION, 0x1ff, true),
        (Acs::WANTED & !Acs::SOURCE_VALIDATION, 0x508, false),
    ] {
        let mut m = switch(enabled(acs));
        trust(&mut m, "of-a", "of-b");
        let accepted = errors(&strict(&m));
        assert_eq!(accepted, []);
        let task = owner(&mut m, "of-engine");
        let place = Place::Platform {
            streams: vec![(SmmuId(0), stream)],
        };
        owned(&mut m, "engine", FunctionKind::Endpoint, place, task);
        let s = strict(&m);
        let found = errors(&s);
        assert_eq!(found.contains(&Code::ForgedStream), met, "{stream:#x}");
        assert_eq!(s.accepted(), !met, "{stream:#x}: {found:?}");
        assert!(linux(&m).accepted());
        if met {
            let error = s.errors().next().unwrap();
            let narrow = acs == Acs::WANTED;
            let ids = match narrow {
                true => "`a` of `of-a` may use all ids of bus 03, also the StreamID of `engine`",
                false => {
                    "`a` of `of-a` may use all ids of buses 01 to 04, also the StreamID of `engine`"
                }
            };
            assert!(error.message.starts_with(ids), "{}", error.message);
            let last = error.parties.last().unwrap();
            let why = match narrow {
                true => "`down-a` checks the bus number of ids only",
                false => "`down-a` does not check the ids of what is below it",
            };
            assert_eq!(last.text, why);
        }
        for name in ["of-a", "of-b"] {
            trust(&mut m, name, "of-engine");
        }
        assert_eq!(errors(&strict(&m)), []);
    }
    // A mask makes them the StreamIDs of another port's.
    let mut m = ports(Some(Acs::ON), Some(Acs::ON));
    m.nodes[3].place = below(NodeId(2), 1, 0);
    m.roots[0].stream_mask = 0x01ff;
    assert_eq!(errors(&strict(&m)), [], "01xx, and 00xx");
    m.roots[0].stream_mask = 0x00ff;
    assert_eq!(errors(&strict(&m)), [Code::ForgedStream; 2]);
    // Functions of one bus are taken to use their own.
    let mut m = ports(Some(Acs::ON), Some(Acs::ON));
    for function in 0..2 {
        let node = endpoint(
            &mut m,
            &format!("f{function}"),
            below(NodeId(0), 0, function + 1),
        );
        m.nodes[node.index()].function.acs = Some(Acs::ON);
    }
    m.nodes[1].function.acs = Some(Acs::ON);
    assert_eq!(errors(&strict(&m)), []);
}
