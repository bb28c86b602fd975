//! What a person is shown: why, maximal reach, differences.

mod support;

use solver::model::*;
use solver::{Code, Machine, diff, explain, reach, summary};
use support::*;

/// Two conventional devices behind a bridge below one port, an endpoint below another.
fn bridged(acs: Acs) -> Machine {
    let mut m = machine();
    let port = root_port(&mut m, "rp0", 1, Some(acs));
    let pci = pci_bridge(&mut m, "pb", port);
    let driver = owner(&mut m, "driver");
    owned(
        &mut m,
        "edu0",
        FunctionKind::Conventional,
        below(pci, 1, 0),
        driver,
    );
    owned(
        &mut m,
        "edu1",
        FunctionKind::Conventional,
        below(pci, 2, 0),
        driver,
    );
    let other = root_port(&mut m, "rp1", 2, Some(acs));
    endpoint(&mut m, "disk", below(other, 0, 0));
    trust(&mut m, "driver", "of-disk");
    m
}

fn id(m: &Machine, name: &str) -> NodeId {
    NodeId::new(m.nodes.iter().position(|n| n.name == name).unwrap())
}

#[test]
fn a_device_is_explained_edge_by_edge() {
    let m = bridged(Acs::OFF);
    let s = strict(&m);
    let why = explain(&m, &s, id(&m, "edu1"));
    let text = why.lines(&m).join("\n");
    assert_eq!(
        text,
        "`edu1`:
  a conventional function at 0000:02:02.0
  its requests may also carry 0000:02:00.0
  StreamID 0x210 at `smmu`
  StreamID 0x200 at `smmu`
  driven by `driver`
  domain `dma`: neutral, by the global policy
  alias set: the SMMU cannot tell it from
    `edu1` - `edu0` (alias): both issue requests as 0000:02:00.0, StreamID 0x200
  isolation group: reaches without the SMMU, is reached by, or is one with to the SMMU
    `edu1` - `edu0` (alias): both issue requests as 0000:02:00.0, StreamID 0x200
    `edu1` - `pb` (isolation): on the conventional bus below `pb`, where nothing redirects requests
      `pb` - `rp0` (isolation): below `rp0`, which has ACS that is not enabled
        `rp0` - `rp1` (isolation): root ports of one root complex, which may route between them: `rp0` has ACS that is not enabled and `rp1` has ACS that is not enabled
          `rp1` - `disk` (isolation): below `rp1`, which has ACS that is not enabled"
    );
    assert_eq!(
        why.group.len(),
        s.groups[s.device(id(&m, "edu1")).group].devices.len() - 1
    );
    assert!(why.reset.is_empty());
}

#[test]
fn the_most_a_device_can_reach() {
    let m = bridged(Acs::ON);
    let s = strict(&m);
    let edu = reach(&m, &s, id(&m, "edu0"));
    assert_eq!(edu.owners.iter().collect::<Vec<_>>(), ["driver"]);
    assert_eq!(edu.domain_mates.iter().collect::<Vec<_>>(), ["edu1"]);
    assert_eq!(edu.peers.iter().collect::<Vec<_>>(), ["edu1", "pb"]);
    let disk = reach(&m, &s, id(&m, "disk"));
    assert!(disk.peers.is_empty() && disk.domain_mates.is_empty());
    assert_eq!(disk.owners.iter().collect::<Vec<_>>(), ["of-disk"]);
    assert!(reach(&m, &s, id(&m, "rp0")).owners.is_empty());
}

#[test]
fn an_untranslated_stream_reaches_everything() {
    let on = bridged(Acs::ON);
    let mut open = on.clone();
    open.nodes[id(&on, "disk").index()].unsafe_bypass = Some("it is fast".into());
    let s = strict(&open);
    assert!(s.accepted(), "{:?}", s.diagnostics);
    assert!(reach(&open, &s, id(&open, "disk")).untranslated);
    assert!(!reach(&open, &s, id(&open, "edu0")).untranslated);
    let (before, after) = (summary(&on, &strict(&on)), summary(&open, &s));
    let lines = |found: Vec<solver::Difference>| -> Vec<String> {
        let lines = found
            .iter()
            .map(|d| format!("{} {} {}", d.widens, d.device, d.text));
        lines.collect()
    };
    assert_eq!(
        lines(diff(&before, &after)),
        ["true disk can now reach all memory: its stream is not translated"]
    );
    assert_eq!(
        lines(diff(&after, &before)),
        ["false disk can no longer reach all memory: its stream is translated"]
    );
}

#[test]
fn a_direct_region_that_moves_or_grows_is_another() {
    let mut before = bridged(Acs::ON);
    let disk = id(&before, "disk").index();
    before.nodes[disk]
        .direct
        .push(region("fw", 0x4800_0000, 0x1000));
    let old = summary(&before, &strict(&before));
    for (base, len, place) in [
        (0x5000_0000, 0x1000, "0x50000000 to 0x50000fff"),
        (0x4800_0000, 0x2000, "0x48000000 to 0x48001fff"),
    ] {
        let mut after = before.clone();
        after.nodes[disk].direct[0] = region("fw", base, len);
        let found = diff(&old, &summary(&after, &strict(&after)));
        let text: Vec<_> = found.iter().map(|d| (d.widens, d.text.clone())).collect();
        let new = format!("can now reach the direct region `fw {place}`");
        let gone = "can no longer reach the direct region `fw 0x48000000 to 0x48000fff`";
        assert_eq!(text, [(true, new), (false, gone.to_owned())]);
    }
}

#[test]
fn a_change_is_shown_by_what_it_lets_devices_reach() {
    let (on, off) = (bridged(Acs::ON), bridged(Acs::OFF));
    let summaries = (summary(&on, &strict(&on)), summary(&off, &strict(&off)));
    assert!(diff(&summaries.0, &summaries.0).is_empty());
    let found = diff(&summaries.0, &summaries.1);
    let disk: Vec<&str> = found
        .iter()
        .filter(|d| d.device == "disk")
        .map(|d| d.text.as_str())
        .collect();
    let registers = ["edu0", "edu1", "pb", "rp0", "rp1"]
        .map(|n| format!("can now reach the registers of `{n}`"));
    assert_eq!(
        disk[0],
        "can use any id of segment 0, as no port checks them, before any id of bus 0000:03, as `rp1` checks"
    );
    let mapped =
        ["edu0", "edu1"].map(|n| format!("can now reach under its id what is mapped for `{n}`"));
    assert_eq!(disk[1..], [&registers[..], &mapped].concat());
    assert!(found.iter().all(|d| d.widens));
    assert!(diff(&summaries.1, &summaries.0).iter().all(|d| !d.widens));

    let mut changed = on.clone();
    changed.nodes[id(&on, "disk").index()].demand = Some(DomainType::Identity);
    changed.nodes[id(&on, "edu1").index()].name = "edu2".into();
    let found = diff(&summaries.0, &summary(&changed, &strict(&changed)));
    let lines: Vec<String> = found
        .iter()
        .map(|d| format!("{} {} {}", d.widens, d.device, d.text))
        .collect();
    assert!(lines.contains(&"true disk domain `dma` becomes `identity`".into()));
    assert!(lines.contains(&"false edu1 is gone".into()));
    assert!(lines.contains(&"true edu2 is new, domain `dma`".into()));
    assert!(lines.contains(&"true edu2 can now reach memory of `driver`".into()));
}

#[test]
fn codes_are_stable_and_explained() {
    let mut last = 0;
    for code in Code::ALL {
        assert!(code.number() > last, "{code}: codes are listed by number");
        last = code.number();
        assert_eq!(Code::parse(&code.to_string()), Some(*code));
        assert!(
            code.explain().len() > 40 && code.explain().ends_with('.'),
            "{code}"
        );
        assert!(!code.title().is_empty());
    }
    assert_eq!(Code::AliasDemands.to_string(), "P0310");
    assert_eq!(Code::parse("P9999"), None);
    assert_eq!(Code::parse("310"), None);
}
