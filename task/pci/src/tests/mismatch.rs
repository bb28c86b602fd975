//! Each way in which a declared function can differ.

use std::vec::Vec;

use pci_api::Mismatch;
use plan::pci::FunctionFlags;

use crate::registers::*;
use crate::tests::node::Node;
use crate::tests::scene::*;

/// Enumerates a changed machine; gives what was told of the changed function and what is blocked.
fn run(index: usize, change: impl FnOnce(&mut Node)) -> (Vec<Mismatch>, Vec<(usize, Mismatch)>) {
    let mut nodes = nodes();
    change(&mut nodes[index]);
    let scene = Scene::with(nodes);
    let (fabric, notes) = scene.enumerate();
    assert!(
        notes
            .differences
            .iter()
            .all(|d| d.0 == scene.plan[index].rid)
    );
    assert_eq!(
        fabric.boot_status().mismatches as usize,
        notes.differences.len()
    );
    for (at, _) in blocked(&fabric) {
        let node = scene.fake.nodes.borrow().get(at).cloned();
        assert!(
            node.is_none_or(|node| node.gone || node.command() == 0),
            "{at} decodes"
        );
    }
    (
        notes.differences.iter().map(|d| d.1).collect(),
        blocked(&fabric),
    )
}

#[test]
fn a_missing_device_blocks_its_group() {
    let (told, blocked) = run(EDU1, |node| node.gone = true);
    assert_eq!(told, [Mismatch::Missing]);
    let group = Mismatch::Group;
    assert_eq!(
        blocked,
        [(MUX, group), (EDU0, group), (EDU1, Mismatch::Missing)]
    );
}

#[test]
fn a_missing_bridge_blocks_what_is_below() {
    let (told, blocked) = run(RP1, |node| node.gone = true);
    assert_eq!(told, [Mismatch::Missing]);
    let indices: Vec<_> = blocked.iter().map(|b| b.0).collect();
    assert_eq!(indices, [RP1, MUX, EDU0, EDU1]);
}

#[test]
fn another_identity() {
    let (told, blocked) = run(DISK, |node| node.put16(DEVICE_ID, 0x1041));
    assert_eq!(told, [Mismatch::Identity]);
    assert_eq!(blocked, [(DISK, Mismatch::Identity)]);
}

#[test]
fn an_endpoint_that_says_it_is_a_bridge_and_the_reverse() {
    let (told, _) = run(DISK, |node| node.bytes[usize::from(HEADER_TYPE)] = 1);
    assert_eq!(told, [Mismatch::HeaderType]);
    let (told, blocked) = run(RP0, |node| node.bytes[usize::from(HEADER_TYPE)] = 0);
    assert_eq!(told, [Mismatch::HeaderType]);
    assert_eq!(
        blocked,
        [(RP0, Mismatch::HeaderType), (DISK, Mismatch::Group)]
    );
    let (told, _) = run(DISK, |node| node.bytes[usize::from(HEADER_TYPE)] = 2);
    assert_eq!(told, [Mismatch::HeaderType]);
}

#[test]
fn another_number_of_functions() {
    let (told, blocked) = run(NIC0, |node| node.bytes[usize::from(HEADER_TYPE)] = 0);
    assert_eq!(told, [Mismatch::Multifunction]);
    assert_eq!(
        blocked,
        [(NIC0, Mismatch::Multifunction), (NIC1, Mismatch::Group)]
    );
    let (told, _) = run(NIC1, |node| node.bytes[usize::from(HEADER_TYPE)] = 0);
    assert_eq!(told, [], "only function 0 is asked");
    let (told, _) = run(DISK, |node| node.bytes[usize::from(HEADER_TYPE)] = 0x80);
    assert_eq!(told, [Mismatch::Multifunction]);
}

#[test]
fn another_bar() {
    let (told, blocked) = run(DISK, |node| node.allow(BAR + 4, 4, 0xffff_e000));
    assert_eq!(told, [Mismatch::BarSize]);
    assert_eq!(blocked, [(DISK, Mismatch::BarSize)]);
    let (told, _) = run(EDU0, |node| *node = node.clone().bar(2, 0x1000, 0));
    assert_eq!(told, [Mismatch::BarSize], "a BAR that is not planned");
    let (told, _) = run(EDU0, |node| *node = node.clone().bar(2, 0x20, 1));
    assert_eq!(told, [], "I/O that is not planned is never decoded");
    let (told, _) = run(NIC0, |node| node.allow(BAR + 20, 4, 0xffff_ffc0));
    assert_eq!(told, [Mismatch::BarSize], "I/O");
    let (told, _) = run(EDU0, |node| node.put32(BAR, 8));
    assert_eq!(told, [Mismatch::BarKind], "prefetchable");
    let (told, _) = run(DISK, |node| node.put32(BAR + 16, 0x8));
    assert!(
        told.contains(&Mismatch::BarKind) || told.contains(&Mismatch::BarSize),
        "32 bits"
    );
    // The size is right, but one address bit is stuck: it shows when the planned address is read back.
    let (told, _) = run(EDU1, |node| {
        node.put32(BAR, 0x4000_0000);
        node.allow(BAR, 4, 0xbff0_0000);
    });
    assert_eq!(told, [Mismatch::BarAddress]);
}

#[test]
fn bars_that_nobody_knows() {
    let mut scene = Scene::new();
    scene.plan[DISK].flags |= FunctionFlags::ANY_BARS.bits();
    (scene.plan[DISK].bar_len, scene.plan[DISK].bar_kind) = Default::default();
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert!(fabric.is_ready(DISK));
    assert_eq!(scene.fake.node(DISK).command(), 0, "it decodes nothing");
}

#[test]
fn a_bridge_that_does_not_keep_numbers_or_windows() {
    for offset in [BUS_NUMBERS, MEMORY_WINDOW, PREFETCH_BASE_UPPER] {
        let (told, blocked) = run(RP0, |node| node.allow(offset, 4, 0));
        assert_eq!(told, [Mismatch::BridgeRegisters], "{offset:#x}");
        let group = Mismatch::Group;
        assert_eq!(blocked, [(RP0, Mismatch::BridgeRegisters), (DISK, group)]);
    }
    let (told, _) = run(RP1, |node| {
        node.put32(PREFETCH_WINDOW, 0);
        node.allow(PREFETCH_WINDOW, 4, 0);
    });
    assert_eq!(
        told,
        [],
        "a bridge without the prefetchable window that is closed anyway"
    );
}

#[test]
fn acs_that_cannot_be_set() {
    let (told, blocked) = run(RP0, |node| node.allow(0x106, 2, 0x1c));
    assert_eq!(told, [Mismatch::Acs]);
    assert_eq!(blocked, [(RP0, Mismatch::Acs), (DISK, Mismatch::Group)]);
    let (told, _) = run(RP0, |node| node.put32(0x100, 0));
    assert_eq!(told, [Mismatch::Acs], "no such capability");
}

#[test]
fn a_bridge_of_another_kind() {
    // A PCIe-to-PCI bridge hides the requester ids of what is below, a root port does not.
    let (told, blocked) = run(RP0, |node| node.put16(0x42, 7 << 4));
    assert_eq!(told, [Mismatch::PortType]);
    assert_eq!(
        blocked,
        [(RP0, Mismatch::PortType), (DISK, Mismatch::Group)]
    );
    let (told, _) = run(RP2, |node| node.put16(STATUS, 0));
    assert_eq!(told.first(), Some(&Mismatch::PortType), "no capability");
}

#[test]
fn bus_mastering_that_cannot_be_turned_off() {
    let (told, blocked, _) = run_stuck(DISK);
    assert_eq!(told, [Mismatch::Command]);
    assert_eq!(blocked, [(DISK, Mismatch::Command)]);
}

/// What the host bridge decodes is the system's way to memory, whatever else differs. Its command register is not set
/// when the rest is, so that nothing finds the bit later.
#[test]
fn a_host_bridge_whose_bus_mastering_stays_on_is_told_and_decodes_on() {
    let (told, blocked, command) = run_stuck(HOST);
    assert_eq!(told, [Mismatch::Command]);
    assert_eq!(blocked, [(HOST, Mismatch::Command)]);
    assert_eq!(command, COMMAND_MASTER | COMMAND_MEMORY);
}

#[test]
fn a_host_bridge_decodes_on() {
    let mut nodes = nodes();
    nodes[HOST].put16(COMMAND, COMMAND_MASTER | COMMAND_MEMORY);
    let scene = Scene::with(nodes);
    let (_, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert_eq!(scene.fake.node(HOST).command(), COMMAND_MEMORY);
}

/// Enumerates with one function whose bus mastering stays on; gives what was told, what is blocked, and what its command
/// register holds then.
fn run_stuck(index: usize) -> (Vec<Mismatch>, Vec<(usize, Mismatch)>, u16) {
    let mut nodes = nodes();
    nodes[index].put16(COMMAND, COMMAND_MASTER | COMMAND_MEMORY);
    nodes[index].allow(COMMAND, 2, COMMAND_MEMORY.into());
    let scene = Scene::with(nodes);
    let mut fabric = crate::Fabric::new(&scene.host, &scene.plan).unwrap();
    let mut notes = Notes::default();
    fabric.enumerate(&scene.fake, &mut notes);
    (
        notes.differences.iter().map(|d| d.1).collect(),
        blocked(&fabric),
        scene.fake.node(index).command(),
    )
}

#[test]
fn memory_decoding_that_cannot_be_turned_on() {
    let (told, _) = run(RP0, |node| node.allow(COMMAND, 2, 0x0545));
    assert_eq!(told, [Mismatch::Command]);
}
