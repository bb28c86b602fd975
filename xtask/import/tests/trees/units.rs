//! SMMUs and devices outside PCI.

use super::{board, refused, says};
use import::board::{Board, Range, Smmu};

fn lines(smmu: &Smmu) -> Vec<(&str, u32, bool)> {
    let lines = smmu.interrupts.iter();
    lines
        .map(|line| (line.name.as_str(), line.intid, line.edge))
        .collect()
}

fn bases(board: &Board) -> Vec<(&str, u64)> {
    let smmus = board.smmus.iter();
    smmus
        .map(|smmu| (smmu.name.as_str(), smmu.range.base))
        .collect()
}

#[test]
fn the_cells_of_the_interrupt_parent_count() {
    let board = board("four-interrupt-cells");
    let expected = [
        ("event", 132, true),
        ("error", 133, true),
        ("priq", 134, false),
        ("cmdq-sync", 135, true),
    ];
    assert_eq!(lines(&board.smmus[0]), expected);
}

#[test]
fn interrupts_of_all_types_have_their_number() {
    let board = board("extended-interrupts");
    let expected = [
        ("event", 4101, true),
        ("error", 20, false),
        ("priq", 1062, false),
        ("cmdq-sync", 39, false),
    ];
    assert_eq!(lines(&board.smmus[0]), expected);
}

#[test]
fn an_interrupt_at_no_gic_has_no_number() {
    let extended = board("interrupts-extended");
    assert_eq!(lines(&extended.smmus[0]), [("error", 133, true)]);
    assert!(says(
        &extended,
        "/iommu@2000000",
        "`eventq` is not known: its interrupt controller /interrupt-controller@3000000"
    ));
    assert!(says(
        &extended,
        "/iommu@2000000",
        "`priq` is not known: it is not wired"
    ));
    let inherited = board("no-gic-parent");
    assert!(lines(&inherited.smmus[0]).is_empty());
    assert!(says(
        &inherited,
        "/soc/iommu@2000000",
        "`vendor,intc`, whose numbers are no INTIDs"
    ));
}

#[test]
fn an_interrupt_map_leads_to_the_gic() {
    let board = board("interrupt-nexus");
    assert_eq!(
        lines(&board.smmus[0]),
        [("event", 236, true), ("error", 235, false)]
    );
}

#[test]
fn a_node_that_is_not_there_is_not_there() {
    let disabled = board("disabled-nodes");
    assert_eq!(bases(&disabled), [("smmu", 0x300_0000)]);
    assert!(disabled.smmus[0].coherent);
    assert!(says(
        &disabled,
        "/iommu@2000000",
        "the status of it is `disabled`"
    ));
    let above = board("parent-disabled");
    assert!(above.smmus.is_empty());
    assert!(says(
        &above,
        "/bus/iommu@2000000",
        "the status of /bus is `fail`"
    ));
    assert!(above.hosts[0].streams.is_empty());
}

#[test]
fn addresses_are_those_of_the_processor() {
    let board = board("bus-ranges");
    let expected = Range {
        base: 0x10_0014_0000,
        len: 0x4_0000,
    };
    assert_eq!(board.smmus[0].range, expected);
    assert!(refused("no-ranges").contains("/soc has no `ranges`"));
    assert!(refused("beyond-ranges").contains("the `ranges` of /soc do not have 0x2000000"));
    assert!(refused("half-frame").contains("whole frames of 64 KiB"));
}

#[test]
fn other_architectures_are_named() {
    let other = board("smmu-500");
    let named = "there is no SMMUv3: /iommu@2000000 is `vendor,smmu-500, arm,mmu-500`, another architecture";
    assert!(says(&other, "/", named), "{:?}", other.words);
    let none = board("no-smmu");
    assert!(
        says(&none, "/", "there is no SMMU: no node"),
        "{:?}",
        none.words
    );
    // Nothing is behind them.
    for board in [other, none] {
        assert!(!board.smmus.iter().any(import::board::Smmu::is_v3));
        assert!(board.hosts.iter().all(|host| host.streams.is_empty()));
    }
}

#[test]
fn coherence_is_that_of_the_nearest_node() {
    let board = board("coherence");
    assert!(board.smmus[0].coherent);
    let coherent: Vec<bool> = board.masters.iter().map(|master| master.coherent).collect();
    assert_eq!(coherent, [true, false, false]);
}

#[test]
fn masters_have_their_streams() {
    let field = board("platform-masters");
    let masters = field.masters.iter();
    let found: Vec<_> = masters
        .map(|m| (m.name.as_str(), m.streams.clone(), m.coherent))
        .collect();
    let expected = [
        ("usb-4000000", vec![(0, vec![0x100])], false),
        ("net-5000000", vec![(0, vec![0x2_0000, 0x2_0001])], true),
    ];
    assert_eq!(found, expected);
    let many = board("masters");
    let found: Vec<_> = many
        .masters
        .iter()
        .map(|m| (m.name.as_str(), m.streams.clone()))
        .collect();
    let expected = [
        ("display-4000000", vec![(0, vec![1, 3]), (1, vec![2])]),
        ("a-very-long-name-of-a-de", vec![(0, vec![6])]),
        ("a-very-long-name-of-a-2", vec![(0, vec![7])]),
    ];
    let names: Vec<usize> = found.iter().map(|(name, _)| name.len()).collect();
    assert!(names.iter().all(|len| *len <= 24), "{names:?}");
    assert_eq!(found[0], expected[0]);
    assert_eq!(found[1].1, expected[1].1);
    assert_eq!(found[2].1, expected[2].1);
    assert_ne!(found[1].0, found[2].0);
    assert_eq!(found.len(), 3);
    assert!(says(&many, "/iommu@5000000", "/camera@4010000"));
    assert!(says(
        &many,
        "/pcie@10000000/port@0/wifi@0",
        "goes by the map of its host"
    ));
}
