//! Functions that nobody declared.

use std::vec::Vec;

use pci_api::Mismatch;

use crate::registers::*;
use crate::tests::fake::Node;
use crate::tests::scene::*;

/// Adds `extra` (index 10) with bus mastering on; gives the indices that are blocked.
fn run(extra: Node) -> Vec<usize> {
    let mut nodes = nodes();
    nodes.push(extra);
    let last = nodes.len() - 1;
    nodes[last].put16(COMMAND, COMMAND_MASTER | COMMAND_MEMORY);
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
        assert_eq!(scene.fake.node(last).get32(BUS_NUMBERS), 0);
    }
    blocked(&fabric).iter().map(|b| b.0).collect()
}

#[test]
fn on_the_root_bus_it_stays_alone() {
    assert_eq!(run(Node::endpoint(None, 9 << 3, 0xabcd, 0x1234)), []);
    assert_eq!(run(Node::bridge(None, 9 << 3, 0xabcd, 0x1234)), []);
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
