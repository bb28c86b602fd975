//! Devices that are not on PCI: only their recipes are this task's.

use pci_api::client::Failure;
use pci_api::{DeviceState, Error, Mismatch, QuiesceState, Width};
use plan::pci::{FunctionEntry, FunctionFlags, Quiesce};
use zerocopy::FromZeros;

use crate::registers::{COMMAND, COMMAND_MEMORY};
use crate::tests::scene::*;
use crate::tests::server::client;

const ENGINE: usize = SPARE + 1;
const ENGINE_STATE: u64 = 0x4000_0010;

/// The usual machine, and an engine beside it in a group of its own.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.plan.push(FunctionEntry {
        name: plan::Name::new("engine"),
        flags: (FunctionFlags::PLATFORM | FunctionFlags::NO_INTERRUPT).bits(),
        parent: plan::NONE,
        owner: owner(ENGINE) as u32,
        group_index: 8,
        bar_len: [0x1000, 0, 0, 0, 0, 0],
        quiesce: Quiesce::WriteThenPoll as u32,
        quiesce_offset: 0x10,
        quiesce_mask: 1,
        quiesce_expect: 0,
        quiesce_write: 2,
        quiesce_wait: 50 * MILLISECOND,
        quiesce_va: 0x4000_0000,
        ..FunctionEntry::new_zeroed()
    });
    scene
}

#[test]
fn it_is_ready_and_no_difference() {
    let scene = scene();
    let (fabric, notes) = scene.enumerate();
    assert!(fabric.is_ready(ENGINE));
    assert_eq!(notes.differences, []);
    // Its number of a requester id is that of the host bridge, which is found once.
    assert_eq!(notes.found.iter().filter(|rid| **rid == 0).count(), 1);
}

#[test]
fn bus_mastering_touches_no_configuration_space() {
    let scene = scene();
    let host = || scene.fake.nodes.borrow()[HOST].bytes.clone();
    let mut server = scene.serve();
    let before = host();
    let authority = client(&mut server, AUTHORITY);
    for on in [true, false] {
        assert_eq!(authority.bus_master(ENGINE as u32, on), Ok(()));
        assert_eq!(host(), before);
        assert_eq!(scene.fake.masters(), []);
    }
}

#[test]
fn its_recipe_is_carried_out() {
    let scene = scene();
    let mut server = scene.serve();
    let state = |server: &mut _| client(server, AUTHORITY).quiesce_result(ENGINE as u32);
    scene.fake.registers.borrow_mut().insert(ENGINE_STATE, 1);
    client(&mut server, AUTHORITY)
        .quiesce_start(ENGINE as u32)
        .unwrap();
    assert_eq!(scene.fake.registers.borrow()[&ENGINE_STATE], 2, "written");
    server.step(|| 0);
    assert_eq!(state(&mut server), Ok(QuiesceState::Quiet));

    // An engine that stays busy is not quiet at its deadline.
    client(&mut server, AUTHORITY)
        .quiesce_start(ENGINE as u32)
        .unwrap();
    scene.fake.registers.borrow_mut().insert(ENGINE_STATE, 1);
    server.step(|| 0);
    assert_eq!(state(&mut server), Ok(QuiesceState::Running));
    server.step(|| 50 * MILLISECOND);
    assert!(matches!(state(&mut server), Ok(QuiesceState::Failed(_))));
}

#[test]
fn its_owner_has_no_configuration_space() {
    let scene = scene();
    let mut server = scene.serve();
    let owner = client(&mut server, owner(ENGINE));
    let refused = Failure::Refused(Error::BadAccess);
    let read = owner.config_read(ENGINE as u32, 0, Width::Word);
    assert_eq!(read, Err(refused));
    let write = owner.config_write(ENGINE as u32, 4, Width::HalfWord, 6);
    assert_eq!(write, Err(refused));
    let description = owner.describe(ENGINE as u32).unwrap();
    assert_eq!(description.state, DeviceState::Ready);
}

#[test]
fn what_shares_its_group_blocks_it() {
    let mut scene = scene();
    scene.plan[ENGINE].group_index = scene.plan[DISK].group_index;
    scene.fake.nodes.borrow_mut()[DISK].gone = true;
    scene
        .fake
        .change(HOST, |host| host.put16(COMMAND, COMMAND_MEMORY));
    let (fabric, _) = scene.enumerate();
    assert_eq!(fabric.states[ENGINE].reason, Some(Mismatch::Group));
    // The requester id that it has no use for is that of the host bridge.
    assert_eq!(scene.fake.node(HOST).command(), COMMAND_MEMORY);
}
