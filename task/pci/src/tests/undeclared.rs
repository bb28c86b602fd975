//! Functions that nobody declared.

use std::vec::Vec;

use pci_api::Mismatch;

use crate::registers::*;
use crate::tests::node::Node;
use crate::tests::scene::*;

/// Adds `extra` (index 10) with bus mastering on; gives the indices that are blocked.
fn run(extra: Node) -> Vec<usize> {
    let mut nodes = nodes();
    nodes.push(extra);
    let last = nodes.len() - 1;
    nodes[last].put16(COMMAND, COMMAND_MASTER | COMMAND_MEMORY);
    if nodes[last].is_bridge() {
        // As firmware leaves one: buses behind it, a window, and a reset that it holds.
        nodes[last].put32(BUS_NUMBERS, 0x0030_3000);
        nodes[last].put32(MEMORY_WINDOW, 0x3ff0_2000);
        nodes[last].put16(BRIDGE_CONTROL, 1 << 6);
    }
    let scene = Scene::with(nodes);
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences.len(), 1);
    let (_, mismatch, _, _, found) = notes.differences[0];
    assert_eq!((mismatch, found), (Mismatch::Undeclared, 0xabcd_1234));
    assert_eq!(fabric.boot_status().undeclared, 1);
    assert_eq!(
        scene.fake.node(last).command(),
        0,
        "it neither masters nor decodes"
    );
    if scene.fake.node(last).is_bridge() {
        let bridge = scene.fake.node(last);
        assert_eq!(bridge.get32(BUS_NUMBERS), 0);
        assert_eq!(bridge.get32(MEMORY_WINDOW), 0xfff0, "base above limit");
        assert_eq!(bridge.get16(BRIDGE_CONTROL), 0);
    }
    blocked(&fabric).iter().map(|b| b.0).collect()
}

#[test]
fn on_the_root_bus_it_stays_alone() {
    assert_eq!(run(Node::endpoint(None, 9 << 3, 0xabcd, 0x1234)), []);
    assert_eq!(run(Node::bridge(None, 9 << 3, 0xabcd, 0x1234)), []);
}

#[test]
fn on_a_root_bus_that_nobody_declared() {
    assert_eq!(
        run(Node::endpoint(None, 2 << 3, 0xabcd, 0x1234).on_root(9)),
        []
    );
    assert_eq!(
        run(Node::bridge(None, 2 << 3, 0xabcd, 0x1234).on_root(15)),
        []
    );
}

/// A root bus that the plan has, beside a device that it expects there.
#[test]
fn on_the_root_bus_of_an_expander() {
    let mut nodes = nodes();
    let at = nodes.len();
    nodes.extend([
        Node::endpoint(None, 8, 0x8086, 0x10c9).on_root(9),
        Node::endpoint(None, 16, 0xabcd, 0x1234).on_root(9),
    ]);
    for node in &mut nodes[at..] {
        node.put16(COMMAND, COMMAND_MASTER | COMMAND_MEMORY);
    }
    let mut scene = Scene::with(nodes);
    let mut planned = scene.plan[NIC1];
    (planned.rid, planned.group_index, planned.flags) = (0x0908, 9, 0);
    (planned.bar_len, planned.bar_kind) = Default::default();
    scene.plan.push(planned);
    let (fabric, notes) = scene.enumerate();
    let told: Vec<_> = notes.differences.iter().map(|d| (d.0, d.1)).collect();
    assert_eq!(told, [(0x0910, Mismatch::Undeclared)]);
    assert_eq!(blocked(&fabric), []);
    assert!(fabric.is_ready(SPARE + 1));
    assert_eq!(scene.fake.node(at + 1).command(), 0);
}

/// The expander has another bus number: what was expected is missing, and what is there is not expected.
#[test]
fn a_root_bus_of_another_number() {
    let mut nodes = nodes();
    let at = nodes.len();
    nodes.push(Node::endpoint(None, 8, 0x8086, 0x10c9).on_root(12));
    nodes[at].put16(COMMAND, COMMAND_MASTER | COMMAND_MEMORY);
    let mut scene = Scene::with(nodes);
    let mut planned = scene.plan[NIC1];
    (planned.rid, planned.group_index) = (0x0908, 9);
    scene.plan.push(planned);
    let (fabric, notes) = scene.enumerate();
    let told: Vec<_> = notes.differences.iter().map(|d| (d.0, d.1)).collect();
    assert_eq!(
        told,
        [(0x0908, Mismatch::Missing), (0x0c08, Mismatch::Undeclared)]
    );
    assert_eq!(blocked(&fabric), [(SPARE + 1, Mismatch::Missing)]);
    assert_eq!(scene.fake.node(at).command(), 0);
}

#[test]
fn in_a_slot_it_blocks_the_others_of_that_slot() {
    assert_eq!(
        run(Node::endpoint(None, 3 << 3 | 5, 0xabcd, 0x1234)),
        [NIC0, NIC1]
    );
}

#[test]
fn behind_a_bridge_it_blocks_the_bus_and_the_bridge() {
    let on_mux = Node::endpoint(Some(MUX), 7 << 3, 0xabcd, 0x1234);
    assert_eq!(run(on_mux), [MUX, EDU0, EDU1]);
    // The second function of a slot of which the plan knows one.
    assert_eq!(
        run(Node::endpoint(Some(RP0), 1, 0xabcd, 0x1234)),
        [RP0, DISK]
    );
    let bridge = Node::bridge(Some(MUX), 7 << 3, 0xabcd, 0x1234);
    assert_eq!(run(bridge), [MUX, EDU0, EDU1]);
}

#[test]
fn the_policy_can_refuse_the_boot() {
    let mut nodes = nodes();
    nodes.push(Node::endpoint(None, 9 << 3, 0xabcd, 0x1234));
    let mut scene = Scene::with(nodes);
    scene.host.refuse_on_mismatch = 1;
    let (fabric, _) = scene.enumerate();
    assert!(fabric.boot_status().refused);
}
