//! What `strict` mode promises of hardware that means harm: bits that undo redirection, ids of others, registers of
//! ports, what sits inside a switch or beside a root port, and what is plugged in from outside.

mod support;

use solver::model::*;
use solver::{Code, Machine, Solution, reach};
use support::*;

fn errors(s: &Solution) -> Vec<Code> {
    s.errors().map(|error| error.code).collect()
}

fn enabled(bits: u16) -> Option<Acs> {
    Some(Acs {
        implemented: Acs::ENHANCED | 0x7f,
        enabled: bits,
    })
}

/// Two root ports with an endpoint each, of `of-a` and `of-b`.
fn ports(a: Option<Acs>, b: Option<Acs>) -> Machine {
    let mut m = machine();
    for (index, (name, acs)) in [("a", a), ("b", b)].into_iter().enumerate() {
        let port = root_port(&mut m, &format!("rp-{name}"), index as u8 + 1, acs);
        endpoint(&mut m, name, below(port, 0, 0));
    }
    m
}

fn node_of(m: &Machine, name: &str) -> NodeId {
    NodeId::new(m.nodes.iter().position(|n| n.name == name).unwrap())
}

fn fault_of_groups(m: &Machine, s: &Solution, from: &str, to: &str) -> String {
    let (from, to) = (node_of(m, from), node_of(m, to));
    let ends = |e: &&solver::solution::Edge| e.from == from && e.to == to;
    s.edges
        .iter()
        .find(ends)
        .map_or(String::new(), |e| e.because.clone())
}

#[test]
fn bits_that_undo_redirection_isolate_nothing() {
    for (bit, text) in [
        (
            Acs::EGRESS_CONTROL,
            "routes to peers by its egress control vector",
        ),
        (
            Acs::DIRECT_TRANSLATED,
            "lets requests that call themselves translated go to peers",
        ),
    ] {
        let open = enabled(Acs::WANTED | bit);
        let m = ports(open, open);
        assert_eq!(groups(&m, &strict(&m)).len(), 1);
        assert_eq!(groups(&m, &linux(&m)).len(), 4, "Linux looks at neither");
        let because = fault_of_groups(&m, &strict(&m), "rp-a", "a");
        assert!(because.contains(text), "{because}");
        // The same where nothing else is implemented.
        let mut m = machine();
        let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
        for function in 0..2 {
            let place = below(port, 0, function);
            let name = format!("f{function}");
            let node = endpoint(&mut m, &name, place);
            m.nodes[node.index()].function.acs = Some(Acs {
                implemented: bit,
                enabled: bit,
            });
        }
        assert_eq!(groups(&m, &strict(&m)), [vec!["f0", "f1"], vec!["rp"]]);
    }
    // What a remedy turns on does not turn them on, and turns them off.
    let open = enabled(Acs::WANTED | Acs::EGRESS_CONTROL | Acs::DIRECT_TRANSLATED).unwrap();
    assert_eq!(open.all_enabled().enabled, Acs::WANTED);
}

#[test]
fn a_device_whose_ids_nobody_checks_needs_the_trust_of_its_segment() {
    let redirects = enabled(Acs::WANTED & !Acs::SOURCE_VALIDATION);
    let mut m = ports(Some(Acs::ON), redirects);
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

    // A platform device that has an id of the segment's is reached all the same; one beyond its map is not.
    m.nodes[1].owner = None;
    m.nodes[1].demand = Some(DomainType::Blocked);
    for (stream, reached) in [(0x9000, true), (0x1_0000, false)] {
        let mut m = m.clone();
        let uart = owner(&mut m, "uart-driver");
        let place = Place::Platform {
            streams: vec![(SmmuId(0), stream)],
        };
        owned(&mut m, "uart", FunctionKind::Endpoint, place, uart);
        m.smmus[0].stream_bits = 32;
        assert_eq!(errors(&strict(&m)) == [Code::ForgedStream], reached);
    }

    // That nothing is routed between root ports says nothing about ids.
    let mut m = ports(Some(Acs::OFF), Some(Acs::OFF));
    m.roots[0].never_routes_peers = true;
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::ForgedStream; 2]);
    let (a, b) = (owner(&mut m, "of-a"), owner(&mut m, "of-b"));
    m.waivers.push(Waiver {
        pair: (a, b),
        reason: "one vendor".into(),
        devices: Vec::new(),
        source: Source(1),
    });
    let s = strict(&m);
    assert!(s.accepted(), "{:?}", s.diagnostics);
    assert!(!s.waivers.is_empty());

    // A waiver that names devices covers no others, in whichever group they are.
    let mut m = ports(Some(Acs::ON), redirects);
    let (a, b) = (owner(&mut m, "of-a"), owner(&mut m, "of-b"));
    let port = node_of(&m, "rp-b");
    let [one, other] = ["a", "b"].map(|name| node_of(&m, name));
    m.waivers.push(Waiver {
        pair: (a, b),
        reason: "these two".into(),
        devices: vec![one, other],
        source: Source(1),
    });
    assert_eq!(errors(&strict(&m)), []);
    let second = owned(&mut m, "b2", FunctionKind::Endpoint, below(port, 0, 1), b);
    assert_eq!(
        errors(&strict(&m)),
        [Code::ForgedStream],
        "one more that may"
    );
    // The error says what is missing; the waiver is needed.
    let found = strict(&m);
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

    // A downstream port that checks them is enough.
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

/// A switch whose ports have the bits `acs`, with two endpoints.
fn switch(acs: Option<Acs>) -> Machine {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    let up = bridge(
        &mut m,
        "up",
        FunctionKind::UpstreamPort,
        below(port, 0, 0),
        None,
    );
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        let place = below(up, index as u8, 0);
        let down = format!("down-{name}");
        let down = bridge(&mut m, &down, FunctionKind::DownstreamPort, place, acs);
        endpoint(&mut m, name, below(down, 0, 0));
    }
    m
}

#[test]
fn registers_of_ports_are_in_reach_unless_their_access_is_controlled() {
    let mut m = ports(Some(Acs::ON), Some(Acs::ON));
    m.nodes[0].registers = true;
    let s = strict(&m);
    assert_eq!(groups(&m, &s).len(), 4, "a root port's are listed");
    let of = |m: &Machine, s: &Solution, name: &str| -> Vec<String> {
        reach(m, s, node_of(m, name)).ports.into_iter().collect()
    };
    assert_eq!(of(&m, &s, "a"), ["rp-a"]);
    assert_eq!(of(&m, &s, "b"), [""; 0]);
    for (control, guarded) in [(0x100, true), (0x200, true), (0x300, false), (0x800, false)] {
        m.nodes[0].function.acs = enabled(Acs::WANTED | control);
        assert_eq!(of(&m, &strict(&m), "a").is_empty(), guarded, "{control:#x}");
    }
    // Without the capability the bits are reserved.
    m.nodes[0].function.acs = Some(Acs {
        implemented: 0x7f,
        enabled: Acs::WANTED | 0x200,
    });
    assert_eq!(of(&m, &strict(&m), "a"), ["rp-a"]);

    // Those of a switch may be of all of its ports, access control included.
    for (with, upstream, downstream) in [("up", 0x800, 0x200), ("down-a", 0x200, 0x800)] {
        for (acs, one_group) in [
            (enabled(Acs::WANTED), true),
            (
                enabled(Acs::WANTED | upstream),
                with == "down-a" && upstream != 0x200,
            ),
            (
                enabled(Acs::WANTED | downstream),
                with != "down-a" || downstream != 0x200,
            ),
        ] {
            let mut m = switch(acs);
            let port = node_of(&m, with);
            m.nodes[port.index()].registers = true;
            let s = strict(&m);
            assert_eq!(
                errors(&s) == [Code::GroupTrust],
                one_group,
                "{with} {acs:x?}"
            );
            assert_eq!(groups(&m, &linux(&m)).len(), 6);
            assert_eq!(of(&m, &linux(&m), "a").is_empty(), !one_group, "listed");
        }
    }
}

#[test]
fn what_sits_inside_a_switch_opens_it() {
    for kind in [FunctionKind::Endpoint, FunctionKind::PcieToPci] {
        let mut m = switch(Some(Acs::ON));
        assert!(strict(&m).accepted());
        let up = node_of(&m, "up");
        let inside = push(&mut m, node("inside", kind, below(up, 9, 0)));
        m.nodes[inside.index()].quiesce = Quiesce::Own;
        m.policy.unowned = Unowned::Block;
        let s = strict(&m);
        let all = ["a", "b", "down-a", "down-b", "inside", "up"];
        assert!(
            groups(&m, &s).contains(&all.map(String::from).to_vec()),
            "{kind:?}"
        );
        assert_eq!(errors(&s), [Code::GroupTrust]);
        assert!(codes(&s).contains(&Code::WrongPlace));
    }
}

/// Access control of a port looks at what comes from below: what comes from beside it goes down.
#[test]
fn a_function_beside_a_bridge_reaches_what_is_below_it() {
    for acs in [Some(Acs::ON), None] {
        let mut m = switch(Some(Acs::ON));
        let [port, up] = ["rp", "up"].map(|name| node_of(&m, name));
        m.nodes[up.index()].function.acs = Some(Acs::ON);
        let beside = endpoint(&mut m, "beside", below(port, 0, 1));
        m.nodes[beside.index()].function.acs = acs;
        trust(&mut m, "of-a", "of-b");
        let s = strict(&m);
        let open = acs.is_none();
        // Apart or not, the port above validates the buses of both.
        let expected = [Code::GroupTrust, Code::ForgedStream][usize::from(!open)];
        assert_eq!(errors(&s), [expected; 2], "{:?}", s.diagnostics);
        if open {
            let all = ["a", "b", "beside", "down-a", "down-b", "up"];
            assert!(groups(&m, &s).contains(&all.map(String::from).to_vec()));
            let because = fault_of_groups(&m, &s, "up", "down-a");
            assert_eq!(
                because,
                "below the switch `up`, beside `beside`, a function of its slot that has no ACS"
            );
        }
    }
    // Of a root port, and of a bridge that the root complex sends to.
    let mut m = ports(Some(Acs::ON), Some(Acs::ON));
    m.policy.unowned = Unowned::Block;
    push(
        &mut m,
        node("beside", FunctionKind::RootComplexEndpoint, on_root(1, 1)),
    );
    assert_eq!(groups(&m, &strict(&m))[0], ["a", "beside", "rp-a"]);
    let mut m = ports(Some(Acs::ON), Some(Acs::OFF));
    m.nodes[0].function.kind = FunctionKind::UpstreamPort;
    m.nodes[0].function.acs = None;
    assert_eq!(groups(&m, &strict(&m)), [["a", "b", "rp-a", "rp-b"]]);
}

/// Between root ports of one slot it is the root complex that routes, too.
#[test]
fn root_ports_of_one_slot_are_root_ports() {
    let mut m = ports(Some(Acs::ON), enabled(Acs::SOURCE_VALIDATION));
    m.nodes[2].place = on_root(1, 1);
    let s = strict(&m);
    // The ports are functions of one slot; what is below the isolated one stays apart.
    assert_eq!(groups(&m, &s), [vec!["a"], vec!["b", "rp-a", "rp-b"]]);
    assert_eq!(codes(&s), [Code::RootComplexRouting]);
    m.roots[0].never_routes_peers = true;
    let s = strict(&m);
    assert_eq!(groups(&m, &s), [vec!["a"], vec!["b", "rp-a", "rp-b"]]);
    assert_eq!(codes(&s), []);
    // Both open: one group, unless the root complex never routes between them.
    m.nodes[0].function.acs = enabled(Acs::SOURCE_VALIDATION);
    m.roots[0].never_routes_peers = false;
    let one = [vec!["a", "b", "rp-a", "rp-b"]];
    assert_eq!(groups(&m, &strict(&m)), one);
    m.roots[0].never_routes_peers = true;
    assert_eq!(groups(&m, &strict(&m)), one, "functions of one slot");
}

#[test]
fn a_root_port_that_does_not_redirect_reaches_what_is_integrated() {
    let mut m = ports(Some(Acs::OFF), Some(Acs::ON));
    m.policy.unowned = Unowned::Block;
    trust(&mut m, "of-a", "of-b");
    for (index, kind) in [FunctionKind::RootComplexEndpoint, FunctionKind::PcieToPci]
        .into_iter()
        .enumerate()
    {
        let device = 8 + index as u8;
        push(&mut m, node(&format!("i{index}"), kind, on_root(device, 0)));
    }
    push(
        &mut m,
        node("host", FunctionKind::HostBridge, on_root(0, 0)),
    );
    let s = strict(&m);
    assert_eq!(groups(&m, &s)[0], ["a", "i0", "i1", "rp-a"]);
    assert_eq!(groups(&m, &linux(&m)).len(), 7 - 1);
    m.roots[0].never_routes_peers = true;
    assert_eq!(groups(&m, &strict(&m))[0], ["a", "rp-a"]);
}

#[test]
fn nobody_can_vouch_for_what_is_plugged_in() {
    // Below the same root port that does not redirect, and beside it.
    let mut m = ports(Some(Acs::ON), Some(Acs::OFF));
    let outside = root_port(&mut m, "outside", 3, Some(Acs::ON));
    m.nodes[outside.index()].external = true;
    trust(&mut m, "of-a", "of-b");
    assert_eq!(errors(&strict(&m)), [], "a good socket");
    m.nodes[outside.index()].function.acs = enabled(Acs::SOURCE_VALIDATION);
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::Stranger]);
    let error = s.errors().next().unwrap();
    assert!(
        error.message.contains("`outside`") && error.message.contains("`b`"),
        "{}",
        error.message
    );
    assert!(
        error
            .remedies
            .iter()
            .any(|r| r.text == "enable ACS on `outside`" || r.text.contains("`outside`"))
    );
    // Without validation of ids, also what is apart.
    m.nodes[outside.index()].function.acs = Some(Acs::OFF);
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::Stranger; 2]);
    assert!(
        s.errors()
            .any(|e| e.message.contains("may use the StreamID of `a`"))
    );
    // Validation looks at the bus number: every id of the socket's buses is the stranger's, declared or not.
    let mut m = ports(Some(Acs::ON), Some(Acs::ON));
    let outside = node_of(&m, "rp-b");
    m.nodes.truncate(3);
    m.nodes[outside.index()].external = true;
    m.nodes[outside.index()].function.buses.spare = 1;
    for (stream, met) in [(0x1ff, false), (0x208, true), (0x3ff, true), (0x400, false)] {
        let mut m = m.clone();
        let place = Place::Platform {
            streams: vec![(SmmuId(0), stream)],
        };
        let task = owner(&mut m, "of-engine");
        owned(&mut m, "engine", FunctionKind::Endpoint, place, task);
        trust(&mut m, "of-a", "of-engine");
        let s = strict(&m);
        assert_eq!(
            errors(&s) == [Code::Stranger],
            met,
            "{stream:#x}: {:?}",
            s.diagnostics
        );
        assert_eq!(s.accepted(), !met, "{stream:#x}");
        assert_eq!(linux(&m).accepted(), !met, "{stream:#x}");
    }
    // So does a mask that makes them others' StreamIDs.
    m.nodes[outside.index()].function.buses.spare = 0;
    m.roots[0].stream_mask = 0x01ff;
    assert!(strict(&m).accepted(), "01xx, and 00xx");
    m.roots[0].stream_mask = 0x00ff;
    assert_eq!(errors(&strict(&m)), [Code::Stranger]);

    // What is declared below the socket is itself what is plugged in.
    let mut m = machine();
    let outside = root_port(&mut m, "outside", 1, Some(Acs::OFF));
    m.nodes[outside.index()].external = true;
    endpoint(&mut m, "dock", below(outside, 0, 0));
    assert_eq!(errors(&strict(&m)), []);
}

#[test]
fn nothing_bypasses_beside_a_socket() {
    let mut m = ports(Some(Acs::OFF), Some(Acs::OFF));
    trust(&mut m, "of-a", "of-b");
    m.nodes[1].unsafe_bypass = Some("a reason".into());
    assert_eq!(errors(&strict(&m)), []);
    m.nodes[2].external = true;
    let s = strict(&m);
    assert!(errors(&s).contains(&Code::Bypass), "{:?}", errors(&s));
    m.nodes[0].function.acs = Some(Acs::ON);
    assert!(!errors(&strict(&m)).contains(&Code::Bypass));
}

#[test]
fn a_direct_region_stands_for_nobody_who_can_be_unplugged() {
    for external in [true, false] {
        let mut m = ports(Some(Acs::ON), Some(Acs::ON));
        m.nodes[1].direct.push(region("fw", 0x8000_0000, 0x1000));
        assert_eq!(errors(&strict(&m)), []);
        m.nodes[2].external = external;
        m.nodes[2].hotplug = !external;
        assert_eq!(errors(&strict(&m)), []);
        let mut mate = m.clone();
        m.nodes[0].external = external;
        m.nodes[0].hotplug = !external;
        assert_eq!(errors(&strict(&m)), [Code::DirectSocket]);
        // A device elsewhere that has the StreamID of the socket's.
        let of_b = owner(&mut mate, "of-b");
        let place = Place::Platform {
            streams: vec![(SmmuId(0), 0x200)],
        };
        let fw = owned(&mut mate, "platform", FunctionKind::Endpoint, place, of_b);
        mate.nodes[fw.index()]
            .direct
            .push(region("other", 0x9000_0000, 0x1000));
        let s = strict(&mate);
        // It is driven, so that it is in reach of a stranger as well.
        let both = [Code::Stranger, Code::DirectSocket];
        assert_eq!(errors(&s), both[usize::from(!external)..]);
        let text = "whose stream `b` uses, too";
        assert!(s.errors().last().unwrap().message.contains(text));
    }
}

/// What is plugged in at a socket has all ids of its buses, and without validation those of the segment.
#[test]
fn no_id_of_a_socket_is_open_from_the_start() {
    let mut m = ports(Some(Acs::ON), Some(Acs::ON));
    m.policy.unowned = Unowned::Block;
    // The declared device is asked for by itself.
    m.nodes[3].owner = None;
    let socket = node_of(&m, "rp-b");
    for (stream, in_range) in [(0x208, true), (0x508, false)] {
        let mut m = m.clone();
        let place = Place::Platform {
            streams: vec![(SmmuId(0), stream)],
        };
        let mut firmware = node("firmware", FunctionKind::Endpoint, place);
        firmware.quiesce = Quiesce::Own;
        firmware.direct.push(region("fw", 0x8000_0000, 0x1000));
        push(&mut m, firmware);
        assert_eq!(errors(&strict(&m)), []);
        for external in [true, false] {
            m.nodes[socket.index()].external = external;
            m.nodes[socket.index()].hotplug = !external;
            m.nodes[socket.index()].function.acs = Some(Acs::ON);
            let expected: &[Code] = if in_range { &[Code::DirectSocket] } else { &[] };
            assert_eq!(errors(&strict(&m)), expected, "{stream:#x}");
            m.nodes[socket.index()].function.acs = enabled(Acs::WANTED & !Acs::SOURCE_VALIDATION);
            let found = errors(&strict(&m));
            assert!(found.contains(&Code::DirectSocket), "{stream:#x}");
        }
    }
}

/// The memory is in reach of all whose devices share the domain, and of nobody's where nobody drives it.
#[test]
fn direct_regions_overlap_those_of_no_stranger_in_the_domain() {
    let mut m = ports(Some(Acs::ON), Some(Acs::ON));
    m.nodes[1].direct.push(region("one", 0x8000_0000, 0x2000));
    m.nodes[3].direct.push(region("two", 0x8000_1000, 0x1000));
    trust(&mut m, "of-a", "of-b");
    assert_eq!(errors(&strict(&m)), []);
    // A third owner in the domain of the first, whom that one trusts.
    let mut mates = m.clone();
    let place = Place::Platform {
        streams: vec![(SmmuId(0), 0x100)],
    };
    let mate = endpoint(&mut mates, "mate", place);
    trust(&mut mates, "of-a", "of-mate");
    contain(&mut mates, &["of-a", "of-mate"]);
    let s = strict(&mates);
    assert_eq!(errors(&s), [Code::DirectOverlap]);
    let error = s.errors().next().unwrap();
    assert!(error.message.contains("`of-b`") && error.message.contains("`of-mate`"));
    assert_eq!(error.remedies.len(), 2);
    let (of_mate, b) = (owner(&mut mates, "of-mate"), owner(&mut mates, "of-b"));
    mates.waivers.push(Waiver {
        pair: (of_mate, b),
        reason: "one buffer".into(),
        devices: vec![mate, NodeId(3)],
        source: Source(1),
    });
    assert_eq!(errors(&strict(&mates)), []);
    // Within one domain both reach both anyway.
    mates.nodes[mate.index()]
        .direct
        .push(region("mate's", 0x8000_0000, 0x1000));
    assert_eq!(errors(&strict(&mates)), []);

    // Of a device that nobody drives there is nobody to trust.
    m.nodes[3].owner = None;
    m.policy.unowned = Unowned::Block;
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::DirectOverlap]);
    assert!(
        s.errors()
            .next()
            .unwrap()
            .message
            .contains("nobody drives `b`")
    );
    m.nodes[1].owner = None;
    assert_eq!(errors(&strict(&m)), [], "nobody's over nobody's");
}

#[test]
fn direct_regions_of_strangers_do_not_overlap() {
    let mut m = ports(Some(Acs::ON), Some(Acs::ON));
    m.nodes[1].direct.push(region("one", 0x8000_0000, 0x2000));
    m.nodes[3].direct.push(region("two", 0x8000_1000, 0x1000));
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::DirectOverlap]);
    assert_eq!(s.errors().next().unwrap().remedies.len(), 2);
    m.nodes[3].direct[0].base += 0x1000;
    assert_eq!(errors(&strict(&m)), [], "side by side");
    m.nodes[3].direct[0].base -= 0x1000;
    let (a, b) = (owner(&mut m, "of-a"), owner(&mut m, "of-b"));
    let waiver = Waiver {
        pair: (a, b),
        reason: "one buffer".into(),
        devices: vec![NodeId(1), NodeId(3)],
        source: Source(1),
    };
    m.waivers.push(waiver);
    assert_eq!(errors(&strict(&m)), []);
    // One that names a part says what is missing.
    m.waivers[0].devices.pop();
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::DirectOverlap]);
    let error = s.errors().next().unwrap();
    let party = error.parties.last().unwrap();
    assert_eq!(party.text, "the waiver does not name `b`");
    let texts: Vec<&str> = error.remedies.iter().map(|r| r.text.as_str()).collect();
    assert!(texts.contains(&"name `b` in the waiver, too"), "{texts:?}");
    assert!(!texts.iter().any(|text| text.starts_with("waive the pair")));
    assert!(!codes(&s).contains(&Code::UnusedWaiver));
    m.waivers.clear();
    trust(&mut m, "of-a", "of-b");
    assert_eq!(errors(&strict(&m)), []);
}
