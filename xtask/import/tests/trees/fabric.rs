//! PCI hosts.

use super::{board, refused, says};
use import::board::{Aperture, ApertureKind, Board, Host, Range};

fn rows(host: &Host) -> Vec<(u32, u32, usize, u32)> {
    let rows = host.streams.iter();
    rows.map(|row| (row.requester, row.len, row.smmu, row.stream))
        .collect()
}

fn only(board: &Board) -> &Host {
    let [host] = board.hosts.as_slice() else {
        panic!("{} hosts", board.hosts.len());
    };
    host
}

#[test]
fn a_port_is_no_host() {
    let board = board("port-node");
    assert_eq!(board.smmus[0].range.base, 0x200_0000);
    let host = only(&board);
    assert_eq!(
        host.configuration,
        Ok(Range {
            base: 0x1000_0000,
            len: 0x1000_0000
        })
    );
    assert_eq!(rows(host), [(0, 0x1_0000, 0, 0)]);
}

#[test]
fn a_disabled_host_is_not_there() {
    let board = board("disabled-nodes");
    let host = only(&board);
    assert_eq!(host.segment, 0);
    assert!(host.coherent);
    assert_eq!(
        host.configuration,
        Ok(Range {
            base: 0x2000_0000,
            len: 0x1000_0000
        })
    );
    let expected = Aperture {
        kind: ApertureKind::Narrow,
        bus: 0x4000_0000,
        processor: 0x4000_0000,
        len: 0x1000_0000,
    };
    assert_eq!(host.apertures[0], expected);
}

#[test]
fn a_host_without_a_map_has_no_streams() {
    let board = board("no-iommu-map");
    assert!(only(&board).streams.is_empty());
    assert!(says(&board, "/pcie@10000000", "no `iommu-map`"));
}

#[test]
fn the_region_of_the_right_name_is_taken() {
    let dbi = board("dbi-before-config");
    let why = only(&dbi).configuration.as_ref().unwrap_err();
    assert!(
        why.contains("region `config`, 0x100000 bytes at 0x38000000"),
        "{why}"
    );
    let named = board("named-ecam");
    assert_eq!(
        only(&named).configuration,
        Ok(Range {
            base: 0x5000_0000,
            len: 0x100_0000
        })
    );
    assert_eq!(only(&named).buses, [0, 15]);
}

#[test]
fn several_hosts_have_their_segments() {
    let several = board("several-hosts");
    let segments: Vec<u16> = several.hosts.iter().map(|host| host.segment).collect();
    assert_eq!(segments, [1, 0, 2]);
    assert_eq!(rows(&several.hosts[1]), [(0, 0x1_0000, 1, 0x2_0000)]);
    assert_eq!(rows(&several.hosts[2]), [(0x100, 0x100, 0, 0x4_0000)]);
    assert!(says(&several, "/pcie@30000000", "no `linux,pci-domain`"));
    let split = board("split-buses");
    let buses: Vec<[u8; 2]> = split.hosts.iter().map(|host| host.buses).collect();
    assert_eq!(buses, [[0, 0x7f], [0x80, 0xff]]);
    let same = refused("same-buses");
    assert!(
        same.contains("/pcie@20000000: it and /pcie@10000000 are both segment 0"),
        "{same}"
    );
}

#[test]
fn bus_addresses_are_not_those_of_the_processor() {
    let field = board("bus-address");
    let expected = Aperture {
        kind: ApertureKind::Narrow,
        bus: 0x100_0000,
        processor: 0x40_0100_0000,
        len: 0x7f00_0000,
    };
    assert_eq!(only(&field).apertures, [expected]);
    let many = board("many-ranges");
    assert_eq!(only(&many).apertures.len(), 5);
    let wide = Aperture {
        kind: ApertureKind::Wide,
        bus: 0x10_0000_0000,
        processor: 0x50_0000_0000,
        len: 0x1_0000_0000,
    };
    assert_eq!(only(&many).apertures[4], wide);
}

#[test]
fn maps_are_as_linux_takes_them() {
    let nothing = board("mask-of-nothing");
    assert_eq!(rows(only(&nothing)), [(0, 1, 0, 0x77), (1, 1, 0, 0x77)]);
    assert_eq!(only(&nothing).stream_mask, 1);
    let hidden = board("mask-hides-row");
    assert!(rows(only(&hidden)).is_empty());
    assert!(says(
        &hidden,
        "/pcie@10000000",
        "hides bits of requester id 0x101"
    ));
    let overlap = board("rows-overlap");
    let expected = [
        (0x100, 0x10, 0, 0x500),
        (0, 0x100, 0, 0x1_0000),
        (0x110, 0xfef0, 0, 0x1_0110),
    ];
    assert_eq!(rows(only(&overlap)), expected);
    assert!(says(&overlap, "/pcie@10000000", "has no requester id"));
}

#[test]
fn a_map_to_no_smmu_gives_no_stream() {
    let board = board("map-to-nothing");
    assert_eq!(rows(&board.hosts[0]), [(0x300, 0x100, 0, 0x300)]);
    assert!(rows(&board.hosts[1]).is_empty());
    assert!(says(
        &board,
        "/pcie@10000000",
        "0x0 to 0xff to /iommu@3000000, which is not there"
    ));
    assert!(says(
        &board,
        "/pcie@10000000",
        "phandle 0x7777, which no node has"
    ));
    assert!(says(
        &board,
        "/pcie@20000000",
        "a `vendor,smmu, arm,mmu-500`, another architecture"
    ));
}

#[test]
fn messages_and_lines_are_stated() {
    let parent = board("msi-parent");
    let [row] = only(&parent).messages.as_slice() else {
        panic!("one row");
    };
    assert_eq!((row.requester, row.len, row.device), (0, 0x1_0000, 0));
    assert_eq!(row.service.0, "/interrupt-controller@1000000/msi@1040000");
    let lines = board("lines");
    let lines = &only(&lines).lines;
    assert_eq!(lines.len(), 128);
    assert!(
        lines
            .iter()
            .all(|line| line.intid == 72 + u32::from((line.slot + line.pin - 1) % 4))
    );
}
