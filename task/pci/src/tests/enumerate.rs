//! A machine as planned.

use crate::registers::*;
use crate::tests::scene::*;

#[test]
fn everything_is_found_and_set() {
    let scene = Scene::new();
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert_eq!(notes.found.len(), 10);
    assert_eq!(blocked(&fabric), []);
    let status = fabric.boot_status();
    assert_eq!(
        (status.ready, status.mismatches, status.refused),
        (10, 0, false)
    );

    let rp0 = scene.fake.node(RP0);
    assert_eq!(rp0.get32(BUS_NUMBERS), 0x0001_0100);
    assert_eq!(rp0.get32(MEMORY_WINDOW), 0x1000_1000);
    assert_eq!(rp0.get32(PREFETCH_WINDOW), 0x0001_0001);
    assert_eq!(rp0.get32(PREFETCH_BASE_UPPER), 0x80);
    assert_eq!(rp0.get32(PREFETCH_LIMIT_UPPER), 0x80);
    assert_eq!(rp0.get16(0x106), 0x1d);
    let rp1 = scene.fake.node(RP1);
    assert_eq!(rp1.get32(BUS_NUMBERS), 0x0003_0200);
    assert_eq!(rp1.get32(MEMORY_WINDOW), 0x1110_1100);
    let (base, limit) = (rp1.get16(PREFETCH_WINDOW), rp1.get16(PREFETCH_WINDOW + 2));
    assert!(base > limit, "a closed window forwards nothing");

    let disk = scene.fake.node(DISK);
    assert_eq!(disk.get32(BAR + 4), 0x1000_0000);
    assert_eq!(disk.get32(BAR + 16), 0x0000_000c);
    assert_eq!(disk.get32(BAR + 20), 0x80);
    for index in [RP0, DISK, RP1, MUX, EDU0, EDU1, NIC0, NIC1, RP2] {
        assert_eq!(scene.fake.node(index).command(), COMMAND_MEMORY, "{index}");
    }
    assert_eq!(scene.fake.node(HOST).command(), 0);
    assert!(fabric.states[SPARE].absent);
}

#[test]
fn what_firmware_left_is_silenced_before_anything_else() {
    let mut nodes = nodes();
    for (index, numbers) in [(RP0, 0x0005_0500), (RP1, 0x0009_0700), (MUX, 0x0008_0807)] {
        nodes[index].put32(BUS_NUMBERS, numbers);
    }
    for node in &mut nodes {
        node.put16(COMMAND, COMMAND_MASTER | COMMAND_MEMORY);
    }
    nodes[DISK].put16(0x106, 0x8000);
    nodes[DISK].put16(0x148, 0x0009);
    nodes[DISK].allow(0x42, 2, 0xc000);
    nodes[DISK].put16(0x42, 0x8000);
    let scene = Scene::with(nodes);
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert_eq!(fabric.boot_status().ready, 10);
    for write in scene.fake.writes.borrow().iter() {
        assert!(write.offset == COMMAND || !write.master_on, "{write:?}");
    }
    let disk = scene.fake.node(DISK);
    assert_eq!(disk.get16(0x106), 0, "ATS");
    assert_eq!(disk.get16(0x148), 0, "virtual functions");
    assert_eq!(disk.get16(0x42), 0, "MSI-X");
}

#[test]
fn overlapping_bus_numbers_end_the_walk() {
    let mut nodes = nodes();
    for index in [RP0, RP1, RP2, MUX] {
        nodes[index].put32(BUS_NUMBERS, 0x00ff_0100);
        nodes[index].put16(COMMAND, COMMAND_MASTER);
    }
    let scene = Scene::with(nodes);
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert_eq!(fabric.boot_status().ready, 10);
}

#[test]
fn an_optional_function_that_is_there_is_used() {
    let mut nodes = nodes();
    nodes.push(crate::tests::node::Node::endpoint(
        Some(RP2),
        0,
        0x1af4,
        0x1041,
    ));
    let scene = Scene::with(nodes);
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert_eq!(fabric.boot_status().ready, 11);
}

#[test]
fn a_plan_that_does_not_fit_is_refused() {
    let scene = Scene::new();
    let plan = std::vec![scene.plan[0]; plan::limits::FUNCTIONS_MAX + 1];
    assert!(crate::Fabric::new(&scene.host, &plan).is_err());
}

/// Every walk upwards ends, whatever the table says.
#[test]
fn only_what_comes_first_is_above_something() {
    let mut scene = Scene::new();
    for parent in [DISK, MUX] {
        scene.plan[DISK].parent = parent as u32;
        let fabric = crate::Fabric::new(&scene.host, &scene.plan).unwrap();
        assert_eq!(fabric.parent(DISK), None);
    }
}
