//! What `strict` mode promises of hardware that means harm and is built in: bits that undo redirection, registers of
//! ports, what sits inside a switch, beside a bridge or beside a root port.

mod support;

use solver::model::*;
use solver::{Code, Machine, Solution, reach};
use support::*;

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
