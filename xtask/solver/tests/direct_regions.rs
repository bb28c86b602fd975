//! Direct regions of devices whose owners do not trust each other: they do not overlap.

mod support;

use solver::Code;
use solver::model::*;
use support::*;

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
