//! A device that is always open though nobody drives it has no owner whom anybody could trust, and a StreamID leads
//! to all that its domain reaches, whoever drives what is in it.

mod support;

use solver::model::*;
use solver::{Code, Machine, Solution};
use support::*;

const REDIRECTS: u16 = Acs::WANTED & !Acs::SOURCE_VALIDATION;

fn acs(enabled: u16) -> Option<Acs> {
    Some(Acs {
        implemented: Acs::WANTED,
        enabled,
    })
}

/// Two root ports: below `rp-fw` one device that nobody drives and that has a direct region, below `rp-b` one of `of-b`.
fn two_ports(fw: u16, b: u16) -> Machine {
    let mut m = machine();
    m.policy.unowned = Unowned::Block;
    let port = root_port(&mut m, "rp-fw", 1, acs(fw));
    let mut firmware = node("fw", FunctionKind::Endpoint, below(port, 0, 0));
    firmware.quiesce = Quiesce::Own;
    firmware.direct.push(region("log", 0x8000_0000, 0x1000));
    push(&mut m, firmware);
    let port = root_port(&mut m, "rp-b", 2, acs(b));
    endpoint(&mut m, "b", below(port, 0, 0));
    m.roots[0].never_routes_peers = true;
    m
}

const FW: usize = 1;
const B: usize = 3;

fn platform(m: &mut Machine, name: &str, streams: &[u32]) -> NodeId {
    let streams = streams.iter().map(|id| (SmmuId(0), *id)).collect();
    let mut device = node(name, FunctionKind::Endpoint, Place::Platform { streams });
    device.quiesce = Quiesce::Own;
    push(m, device)
}

fn remedies(s: &Solution) -> Vec<&str> {
    let error = s.errors().next();
    let remedies = error.iter().flat_map(|error| &error.remedies);
    remedies.map(|remedy| remedy.text.as_str()).collect()
}

#[test]
fn no_driven_device_may_use_the_id_of_an_open_one_without_owner() {
    assert_eq!(errors(&strict(&two_ports(Acs::WANTED, Acs::WANTED))), []);
    let m = two_ports(Acs::WANTED, REDIRECTS);
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::ForgedStream]);
    let error = s.errors().next().unwrap();
    assert_eq!(
        error.message,
        "`b` of `of-b` may use any StreamID of segment 0, also that of `fw`, whose direct region `log` is open \
         from the start, and nobody drives `fw`: there is no owner whom `of-b` could trust"
    );
    assert_eq!(
        remedies(&s),
        [
            "let `of-b` drive `fw` too",
            "remove the direct regions of `fw`, if nothing needs them",
            "enable ACS on `rp-b`",
        ]
    );
    assert_eq!(errors(&linux(&m)), [], "Linux does not look at ids");
    // Nothing is mapped for it, or it is its own driver's.
    let mut closed = m.clone();
    closed.nodes[FW].direct.clear();
    assert_eq!(errors(&strict(&closed)), []);
    let mut owned = m.clone();
    owned.nodes[FW].owner = owned.nodes[B].owner;
    assert_eq!(errors(&strict(&owned)), []);
    // A waiver is between two owners.
    let mut waived = m.clone();
    let (b, other) = (owner(&mut waived, "of-b"), owner(&mut waived, "other"));
    waived.waivers.push(Waiver {
        pair: (b, other),
        reason: "no".into(),
        devices: vec![NodeId::new(FW), NodeId::new(B)],
        source: Source(1),
    });
    assert_eq!(errors(&strict(&waived)), [Code::ForgedStream]);
    // What is not on PCI has a StreamID as well; and one that no id is mapped to is nobody's.
    for (stream, met) in [(0x9000, true), (0x1_0000, false)] {
        let mut m = closed.clone();
        m.smmus[0].stream_bits = 32;
        let uart = platform(&mut m, "uart", &[stream]);
        let buffer = region("buffer", 0x9000_0000, 0x1000);
        m.nodes[uart.index()].direct.push(buffer);
        assert_eq!(errors(&strict(&m)) == [Code::ForgedStream], met);
    }
}

#[test]
fn an_open_device_without_owner_may_use_the_id_of_no_driven_one() {
    let m = two_ports(REDIRECTS, Acs::WANTED);
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::ForgedStream]);
    let error = s.errors().next().unwrap();
    assert_eq!(
        error.message,
        "`fw`, which nobody drives and which is on from the start for its direct region `log`, may use any StreamID of \
         segment 0, also that of `b` of `of-b`: there is no owner whom `of-b` could trust"
    );
    assert_eq!(
        remedies(&s),
        [
            "let `of-b` drive `fw` too",
            "remove the direct regions of `fw`, if nothing needs them",
            "enable ACS on `rp-fw`",
        ]
    );
    // Its bus mastering is off without a region, and two of nobody's harm nobody.
    let mut off = m.clone();
    off.nodes[FW].direct.clear();
    assert_eq!(errors(&strict(&off)), []);
    let mut both = m.clone();
    both.nodes[B].owner = None;
    both.nodes[B]
        .direct
        .push(region("more", 0x9000_0000, 0x1000));
    both.nodes[B].quiesce = Quiesce::Own;
    assert_eq!(errors(&strict(&both)), []);
}

#[test]
fn nobody_is_in_one_group_with_an_open_device_without_owner() {
    let mut m = two_ports(Acs::WANTED, Acs::WANTED);
    // A function of its slot, which can write to its registers, and it to that function's.
    endpoint(&mut m, "beside", below(NodeId::new(0), 0, 1));
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::GroupTrust]);
    let error = s.errors().next().unwrap();
    assert_eq!(
        error.message,
        "`beside` of `of-beside` and `fw` can reach each other, and nobody drives `fw`, whose direct region `log` is open \
         from the start: there is no owner whom `of-beside` could trust"
    );
    assert!(!error.chain.is_empty());
    assert_eq!(remedies(&s)[0], "let `of-beside` drive `fw` too");
    let mut closed = m.clone();
    closed.nodes[FW].direct.clear();
    assert_eq!(errors(&strict(&closed)), [], "it is off");
    // In a domain that somebody drives it is that owner who is asked.
    let mut mate = m.clone();
    let place = Place::Platform {
        streams: vec![(SmmuId(0), 0x100)],
    };
    let mate_owner = owner(&mut mate, "of-mate");
    owned(&mut mate, "mate", FunctionKind::Endpoint, place, mate_owner);
    assert_eq!(errors(&strict(&mate)), [Code::GroupTrust]);
    trust(&mut mate, "of-mate", "of-beside");
    assert_eq!(errors(&strict(&mate)), []);
    // Alternatives do not meet.
    m.nodes[0].hotplug = true;
    m.nodes[FW].direct.clear();
    let place = m.nodes[4].place.clone();
    let mut other = node("or", FunctionKind::Endpoint, place);
    other.quiesce = Quiesce::Own;
    push(&mut m, other);
    assert_eq!(errors(&strict(&m)), []);
}

#[test]
fn a_stranger_is_in_no_group_with_an_open_device() {
    let mut m = two_ports(Acs::WANTED, Acs::WANTED);
    m.nodes.truncate(3);
    m.nodes[2].external = true;
    m.roots[0].never_routes_peers = false;
    assert_eq!(errors(&strict(&m)), []);
    // The socket's port routes to the other, which keeps nothing apart either: ids are checked by both.
    for port in [0, 2] {
        m.nodes[port].function.acs = acs(Acs::SOURCE_VALIDATION);
    }
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::Stranger]);
    let error = s.errors().next().unwrap();
    assert!(
        error.message.ends_with("can reach `fw`"),
        "{}",
        error.message
    );
    assert!(
        error
            .parties
            .iter()
            .any(|party| party.text == "`fw` is always open, and nobody drives it")
    );
}

/// `spare` has a StreamID that `b` may use, and another that it shares with `engine`: both lead to one domain.
fn by_a_mate() -> (Machine, NodeId, NodeId) {
    let mut m = two_ports(Acs::WANTED, Acs::WANTED);
    m.nodes[FW].direct.clear();
    let spare = platform(&mut m, "spare", &[0x9000, 0x210]);
    let engine = platform(&mut m, "engine", &[0x9000]);
    (m, spare, engine)
}

#[test]
fn a_stream_leads_to_all_that_its_domain_reaches() {
    let (mut m, _, engine) = by_a_mate();
    assert_eq!(errors(&strict(&m)), []);
    let of_engine = owner(&mut m, "of-engine");
    m.nodes[engine.index()].owner = Some(of_engine);
    let s = strict(&m);
    assert_eq!(errors(&s), [Code::ForgedStream]);
    let message = &s.errors().next().unwrap().message;
    assert_eq!(
        *message,
        "`b` of `of-b` may use all ids of bus 02, also the StreamID of `spare`, whose domain is that of `engine` of \
         `of-engine`, but their owners do not trust each other"
    );
    let mut trusted = m.clone();
    trust(&mut trusted, "of-b", "of-engine");
    assert_eq!(errors(&strict(&trusted)), []);
    // Its regions keep the domain open as well.
    let (mut m, _, engine) = by_a_mate();
    let buffer = region("buffer", 0x9000_0000, 0x1000);
    m.nodes[engine.index()].direct.push(buffer);
    assert_eq!(errors(&strict(&m)), [Code::ForgedStream]);
}

#[test]
fn a_task_with_registers_reaches_by_ids_what_the_domain_does() {
    let (mut m, _, engine) = by_a_mate();
    let (of_engine, watcher) = (owner(&mut m, "of-engine"), owner(&mut m, "watcher"));
    m.nodes[engine.index()].owner = Some(of_engine);
    trust(&mut m, "of-b", "of-engine");
    assert_eq!(errors(&strict(&m)), []);
    m.nodes[B].holders.push(Holder {
        task: watcher,
        source: Source(1),
    });
    trust(&mut m, "of-b", "watcher");
    assert_eq!(errors(&strict(&m)), [Code::HolderTrust]);
    trust(&mut m, "of-engine", "watcher");
    assert_eq!(errors(&strict(&m)), []);
}

#[test]
fn a_stranger_reaches_by_ids_what_the_domain_does() {
    for driven in [true, false] {
        let (mut m, _, engine) = by_a_mate();
        m.nodes[B].owner = None;
        m.nodes[2].external = true;
        for solve in [strict, linux] {
            assert_eq!(errors(&solve(&m)), []);
        }
        let of_engine = owner(&mut m, "of-engine");
        if driven {
            m.nodes[engine.index()].owner = Some(of_engine);
        } else {
            let buffer = region("buffer", 0x9000_0000, 0x1000);
            m.nodes[engine.index()].direct.push(buffer);
        }
        let expected = [Code::DirectSocket, Code::Stranger][usize::from(driven)];
        for solve in [strict, linux] {
            let s = solve(&m);
            assert_eq!(errors(&s), [expected]);
            let message = &s.errors().next().unwrap().message;
            assert!(message.contains("`spare`"), "{message}");
        }
    }
}
