//! What can be plugged in from outside: nobody can vouch for it, and no id that it may use is open from the start.

mod support;

use solver::Code;
use solver::model::*;
use support::*;

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
fn no_direct_region_is_open_for_what_can_be_unplugged() {
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
