//! Messages: told as planned, exactly while the function is bus master.

use std::vec::Vec;

use pci_api::{DeviceState, Error, Mismatch, QuiesceState};
use plan::pci::{FunctionEntry, Signalling};

use super::lives::{Life, is_undisturbed, master, step_until_idle};
use super::scene::*;
use super::server::{client, refused};
use crate::registers::*;
use crate::tests::node::Node;

const DOORBELL: u64 = 0x1_0809_0040;
const TABLE_VA: u64 = 0x4000_0000;
/// Offset of the table in its BAR.
const TABLE: u32 = 0x1840;
const MSIX: u16 = 0x40;
const MSI: u16 = 0x60;
const ON: u16 = 1 << 15;

/// MSI-X with so many entries.
fn entries(node: &mut Node, count: u16) {
    node.put16(MSIX + 2, count - 1);
    node.allow(MSIX + 2, 2, 0xc000);
    node.put32(MSIX + 4, TABLE | 1);
    node.pristine = node.bytes.clone();
}

/// The disk has MSI-X, and two of four messages are planned; a function with MSI has four of eight.
fn scene() -> Scene {
    let mut nodes = nodes();
    entries(&mut nodes[DISK], 4);
    let nic = nodes[NIC0].clone().capability(MSI, CAPABILITY_MSI);
    nodes[NIC0] = nic;
    let nic = &mut nodes[NIC0];
    nic.put16(MSI + 2, 3 << 1 | 1 << 7 | 1 << 8);
    nic.allow(MSI + 2, 2, 0x71);
    for (offset, mask) in [(4, !3), (8, !0), (12, 0xffff), (16, 0xff)] {
        nic.allow(MSI + offset, 4, mask);
        nic.put32(MSI + offset, 0xa5a5_a5a5 & mask);
    }
    nic.pristine = nic.bytes.clone();
    let mut scene = Scene::with(nodes);
    let disk = &mut scene.plan[DISK];
    disk.signalling = Signalling::MsiX as u32;
    disk.vectors = 2;
    disk.message_address = DOORBELL;
    (disk.table_bar, disk.table_offset) = (1, TABLE);
    (disk.table_va, disk.table_len) = (TABLE_VA, 0x1000);
    let nic = &mut scene.plan[NIC0];
    nic.signalling = Signalling::Msi as u32;
    nic.vectors = 4;
    nic.message_address = DOORBELL;
    scene
}

/// Words of an entry of the disk's table.
fn entry(scene: &Scene, vector: u64) -> Vec<u32> {
    let registers = scene.fake.registers.borrow();
    let first = TABLE_VA + u64::from(TABLE % 0x1000) + vector * 16;
    let word = |offset| registers.get(&(first + offset)).copied();
    [0, 4, 8, 12].into_iter().filter_map(word).collect()
}

fn control(scene: &Scene) -> u16 {
    scene.fake.node(DISK).get16(MSIX + 2)
}

fn is_told(scene: &Scene) -> bool {
    let message = |vector| std::vec![DOORBELL as u32, 1, vector, 0];
    let told = (0..2).all(|vector| entry(scene, vector.into()) == message(vector));
    told && (2..4).all(|vector| entry(scene, vector) == [1]) && entry(scene, 4).is_empty()
}

#[test]
fn a_function_has_its_messages_while_it_is_bus_master() {
    let scene = scene();
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    assert_eq!(control(&scene) & ON, 0);
    assert!(entry(&scene, 0).is_empty());
    scene.fake.writes.borrow_mut().clear();
    master(&mut server, DISK, true);
    assert!(is_told(&scene));
    assert_eq!(control(&scene), ON | 3);
    // All of it before the first request of the function is let through.
    let writes = scene.fake.writes.borrow().clone();
    let is_control = |write: &super::fake::Write| write.node == DISK && write.offset == MSIX + 2;
    let first = writes.iter().find(|write| is_control(write)).unwrap();
    assert_eq!(
        first.value & 0xc000,
        0xc000,
        "masked before the table is written"
    );
    let told = writes.iter().rposition(|write| write.offset == MSIX + 2);
    let is_start = |write: &&super::fake::Write| {
        write.offset == COMMAND && write.node == DISK && write.value & 4 != 0
    };
    let started = writes.iter().position(|write| is_start(&write));
    assert!(told < started, "{writes:?}");
    master(&mut server, DISK, false);
    assert_eq!(control(&scene) & ON, 0);
}

#[test]
fn a_reset_loses_them_and_the_next_claim_brings_them_back() {
    let scene = scene();
    let (mut server, _) = scene.live();
    master(&mut server, DISK, true);
    master(&mut server, DISK, false);
    scene.fake.registers.borrow_mut().clear();
    let authority = client(&mut server, AUTHORITY);
    authority.quiesce_start(DISK as u32).unwrap();
    step_until_idle(&scene, &mut server);
    let result = client(&mut server, AUTHORITY).quiesce_result(DISK as u32);
    assert_eq!(result.unwrap(), QuiesceState::Quiet);
    assert_eq!(control(&scene) & ON, 0);
    master(&mut server, DISK, true);
    assert!(is_told(&scene) && control(&scene) & ON != 0);
}

#[test]
fn messages_of_one_address_are_told_so() {
    let scene = scene();
    let (mut server, _) = scene.live();
    master(&mut server, NIC0, true);
    let nic = scene.fake.node(NIC0);
    assert_eq!(nic.get32(MSI + 4), DOORBELL as u32);
    assert_eq!(nic.get32(MSI + 8), 1);
    assert_eq!(nic.get16(MSI + 12), 0);
    assert_eq!(nic.get32(MSI + 16), 0, "no vector is masked");
    // Four of eight, and on.
    assert_eq!(nic.get16(MSI + 2) & 0x71, 2 << 4 | 1);
    master(&mut server, NIC0, false);
    assert_eq!(scene.fake.node(NIC0).get16(MSI + 2) & 1, 0);
}

#[test]
fn messages_of_narrow_addresses() {
    let mut scene = scene();
    let narrow = |nic: &mut Node| nic.put16(MSI + 2, 3 << 1);
    scene.fake.change(NIC0, narrow);
    let (_, notes) = scene.enumerate();
    let told: Vec<_> = notes.differences.iter().map(|told| told.1).collect();
    assert_eq!(
        told,
        [Mismatch::Messages],
        "the doorbell is out of its reach"
    );
    scene.plan[NIC0].message_address = 0x809_0040;
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    master(&mut server, NIC0, true);
    let nic = scene.fake.node(NIC0);
    assert_eq!((nic.get32(MSI + 4), nic.get16(MSI + 8)), (0x809_0040, 0));
    // What is behind a capability without masks and without upper halves is none of it.
    assert_eq!((nic.get32(MSI + 12), nic.get32(MSI + 16)), (0xa5a5, 0xa5));
}

#[test]
fn all_messages_that_there_are_may_be_planned() {
    for (vectors, differences) in [(8, 0), (9, 1), (16, 1)] {
        let mut scene = scene();
        scene.plan[NIC0].vectors = vectors;
        let (_, notes) = scene.enumerate();
        assert_eq!(notes.differences.len(), differences, "{vectors}");
    }
}

#[test]
fn what_the_function_has_not_got_is_told_at_boot() {
    type Spoil = fn(&mut Node);
    let cases: [(Spoil, Mismatch, u64); 5] = [
        (|disk| disk.bytes[0x40] = 0x7f, Mismatch::Messages, 0),
        (|disk| disk.put16(MSIX + 2, 0), Mismatch::Messages, 1),
        (|disk| disk.put32(MSIX + 4, TABLE), Mismatch::Messages, 0),
        (
            |disk| disk.put32(MSIX + 4, (TABLE + 8) | 1),
            Mismatch::Messages,
            0,
        ),
        // The list leads back to its beginning.
        (|disk| disk.bytes[0x51] = 0x40, Mismatch::Capabilities, 0),
    ];
    for (number, (spoil, mismatch, found)) in cases.into_iter().enumerate() {
        let scene = scene();
        scene.fake.change(DISK, spoil);
        let (_, notes) = scene.enumerate();
        let (_, told, _, _, value) = notes.differences[0];
        assert_eq!((told, value), (mismatch, found), "case {number}");
    }
}

#[test]
fn a_function_that_does_not_keep_them_is_blocked() {
    type Spoil = fn(&mut Node);
    let cases: [(usize, Spoil); 3] = [
        (DISK, |disk| disk.allow(MSIX + 2, 2, 0)),
        // It stays masked.
        (DISK, |disk| {
            disk.put16(MSIX + 2, 0x4003);
            disk.allow(MSIX + 2, 2, 0x8000);
        }),
        (NIC0, |nic| nic.allow(MSI + 4, 4, 0)),
    ];
    for (number, (index, spoil)) in cases.into_iter().enumerate() {
        let scene = scene();
        let (mut server, _) = scene.live();
        scene.fake.change(index, spoil);
        let started = client(&mut server, AUTHORITY).bus_master(index as u32, true);
        assert_eq!(started, refused(Error::Blocked), "case {number}");
        let found = client(&mut server, AUTHORITY)
            .describe(index as u32)
            .unwrap();
        assert_eq!(found.state, DeviceState::Blocked);
        assert_eq!(found.reason, Some(Mismatch::Messages));
        assert_eq!(scene.fake.masters(), []);
    }
}

fn life(scene: &Scene) -> Life<'_> {
    scene.fake.writes.borrow_mut().clear();
    scene.live().0
}

#[test]
fn a_later_life_leaves_them_as_they_are() {
    let scene = scene();
    let mut server = life(&scene);
    master(&mut server, DISK, true);
    master(&mut server, NIC0, true);
    drop(server);
    let mut server = life(&scene);
    for index in [DISK, NIC0] {
        assert!(is_undisturbed(&scene, index));
        assert!(
            client(&mut server, AUTHORITY)
                .describe(index as u32)
                .unwrap()
                .bus_master
        );
    }
    assert!(is_told(&scene) && control(&scene) & ON != 0);
}

#[test]
fn a_later_life_takes_over_nothing_that_lost_them() {
    type Spoil = fn(&mut Node);
    let cases: [(usize, Spoil); 3] = [
        (DISK, |disk| disk.put16(MSIX + 2, 3)),
        (NIC0, |nic| nic.put16(MSI + 2, 3 << 1 | 1 << 7)),
        // A function with lines that sends messages.
        (NIC1, |nic| {
            *nic = nic.clone().capability(MSI, CAPABILITY_MSI);
            nic.put16(MSI + 2, 1);
            nic.allow(MSI + 2, 2, 1);
        }),
    ];
    for (index, spoil) in cases {
        let scene = scene();
        let mut server = life(&scene);
        master(&mut server, index, true);
        drop(server);
        scene.fake.change(index, spoil);
        let mut server = life(&scene);
        let found = client(&mut server, AUTHORITY)
            .describe(index as u32)
            .unwrap();
        assert!(!found.bus_master, "{index}");
        assert_eq!(scene.fake.masters(), []);
    }
}

/// A plan of the time before has zeros there.
#[test]
fn a_function_signals_by_lines_unless_the_plan_says_otherwise() {
    let plan: Vec<FunctionEntry> = plan();
    assert!(
        plan.iter()
            .all(|entry| entry.signalling == Signalling::Line as u32)
    );
}
