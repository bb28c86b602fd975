//! Small machines whose answer is plain.

mod support;

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

#[test]
fn two_devices_behind_one_bridge_share_a_domain() {
    let mut m = machine();
    let port = root_port(&mut m, "rp", 1, Some(Acs::ON));
    let pci = bridge(
        &mut m,
        "pb",
        FunctionKind::PcieToPci,
        below(port, 0, 0),
        None,
    );
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
