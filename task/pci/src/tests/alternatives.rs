//! Several devices that may appear in one hotplug slot.

use std::vec::Vec;

use pci_api::{DeviceState, Error, Mismatch};
use plan::Name;
use plan::pci::FunctionEntry;

use crate::registers::*;
use crate::tests::node::Node;
use crate::tests::scene::*;
use crate::tests::server::{client, refused};

/// The other device that may appear in the slot of [`SPARE`].
const OTHER: usize = 11;
const OTHER_IDS: (u16, u16) = (0x8086, 0x1521);

fn node((vendor, device): (u16, u16)) -> Node {
    Node::endpoint(Some(RP2), 0, vendor, device).bar(0, 0x1000, 0)
}

/// The usual machine with `there` below `rp2`, and a plan with two devices for that place.
fn scene(there: Vec<Node>) -> Scene {
    let mut nodes = nodes();
    nodes.extend(there);
    let mut scene = Scene::with(nodes);
    let bar = |entry: FunctionEntry, address| FunctionEntry {
        bar_address: [address, 0, 0, 0, 0, 0],
        bar_len: [0x1000, 0, 0, 0, 0, 0],
        ..entry
    };
    scene.plan[RP2].memory_window = [0x1300_0000, 0x130f_ffff];
    scene.plan[SPARE] = bar(scene.plan[SPARE], 0x1300_0000);
    let other = FunctionEntry {
        name: Name::new("other"),
        vendor_id: OTHER_IDS.0,
        device_id: OTHER_IDS.1,
        owner: owner(OTHER) as u32,
        group_index: 8,
        ..scene.plan[SPARE]
    };
    scene.plan.push(bar(other, 0x1300_1000));
    scene
}

#[test]
fn the_one_that_is_there_is_ready() {
    for (there, ids, address) in [
        (SPARE, (0x1af4, 0x1041), 0x1300_0000),
        (OTHER, OTHER_IDS, 0x1300_1000),
    ] {
        let scene = scene(std::vec![node(ids)]);
        let (fabric, notes) = scene.enumerate();
        assert_eq!(notes.differences, []);
        assert_eq!(blocked(&fabric), []);
        for index in [SPARE, OTHER] {
            assert_eq!(fabric.states[index].absent, index != there);
            assert_eq!(fabric.is_ready(index), index == there);
        }
        // It has its own address, not that of the other.
        let found = scene.fake.node(10);
        assert_eq!(found.get32(BAR), address);
        assert_eq!(found.command(), COMMAND_MEMORY);
    }
}

#[test]
fn nobody_is_as_planned() {
    let scene = scene(Vec::new());
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert!(fabric.states[SPARE].absent && fabric.states[OTHER].absent);
}

#[test]
fn a_stranger_blocks_all_that_were_expected() {
    let scene = scene(std::vec![node((0xabcd, 0x1234))]);
    let (fabric, notes) = scene.enumerate();
    let told: Vec<_> = notes.differences.iter().map(|d| (d.1, d.3, d.4)).collect();
    let identity = Mismatch::Identity;
    assert_eq!(
        told,
        [
            (identity, 0x1af4_1041, 0xabcd_1234),
            (identity, 0x8086_1521, 0xabcd_1234)
        ]
    );
    assert_eq!(blocked(&fabric), [(SPARE, identity), (OTHER, identity)]);
    assert_eq!(scene.fake.node(10).command(), 0);
}

#[test]
fn an_alternative_that_differs_blocks_itself_alone() {
    let scene = scene(std::vec![node(OTHER_IDS).bar(0, 0x2000, 0)]);
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences[0].1, Mismatch::BarSize);
    assert_eq!(blocked(&fabric), [(OTHER, Mismatch::BarSize)]);
    assert!(fabric.states[SPARE].absent);
    assert_eq!(scene.fake.node(10).command(), 0);
}

#[test]
fn a_second_function_blocks_all_alternatives() {
    let beside = Node::endpoint(Some(RP2), 1, 0xabcd, 0x1234);
    let scene = scene(std::vec![node(OTHER_IDS), beside]);
    let (fabric, _) = scene.enumerate();
    let group = Mismatch::Group;
    assert_eq!(
        blocked(&fabric),
        [(RP2, group), (SPARE, group), (OTHER, group)]
    );
    assert_eq!(scene.fake.node(10).command(), 0);
}

#[test]
fn an_absent_one_reaches_nothing_of_the_one_that_is_there() {
    let scene = scene(std::vec![node(OTHER_IDS)]);
    let mut server = scene.serve();
    let (spare, other) = (SPARE as u32, OTHER as u32);
    let authority = client(&mut server, AUTHORITY);
    authority.bus_master(other, true).unwrap();
    let on = COMMAND_MEMORY | COMMAND_MASTER;
    assert_eq!(scene.fake.node(10).command(), on);
    assert_eq!(authority.bus_master(spare, true), refused(Error::Blocked));
    assert_eq!(authority.quiesce_start(spare), refused(Error::Blocked));
    authority.bus_master(spare, false).unwrap();
    assert_eq!(scene.fake.node(10).command(), on);
    let state = |found: pci_api::Description| (found.state, found.bus_master);
    let states = [spare, other].map(|device| authority.describe(device).map(state).unwrap());
    assert_eq!(
        states,
        [(DeviceState::Absent, false), (DeviceState::Ready, true)]
    );
    let owner_of_spare = client(&mut server, owner(SPARE));
    let read = owner_of_spare.config_read(spare, 0, pci_api::Width::Word);
    assert_eq!(read, refused(Error::Blocked));
}
