//! The task dies and is started again.

use std::vec::Vec;

use pci_api::{DeviceState, Error, Mismatch, QuiesceFailure, QuiesceState, Width};
use plan::pci::FunctionFlags;

use crate::registers::*;
use crate::server::Server;
use crate::tests::fake::{Fake, Write};
use crate::tests::scene::*;
use crate::tests::server::{client, refused};

pub type Life<'s> = Server<'s, &'s Fake>;

pub fn master(server: &mut Life<'_>, index: usize, on: bool) {
    client(server, AUTHORITY)
        .bus_master(index as u32, on)
        .unwrap();
}

pub fn is_master(server: &mut Life<'_>, index: usize) -> bool {
    let found = client(server, AUTHORITY).describe(index as u32).unwrap();
    assert_eq!(found.state, DeviceState::Ready);
    found.bus_master
}

fn result(server: &mut Life<'_>, index: usize) -> QuiesceState {
    client(server, AUTHORITY)
        .quiesce_result(index as u32)
        .unwrap()
}

/// Steps when asked until nothing runs; gives the milliseconds that took.
pub fn step_until_idle(scene: &Scene, server: &mut Life<'_>) -> u64 {
    let start = scene.fake.now.get();
    let mut ended = false;
    loop {
        let wake = server.step(|| scene.fake.now.get());
        ended |= wake.ended;
        let Some(at) = wake.at else { break };
        scene.fake.now.set(at);
    }
    let time = (scene.fake.now.get() - start) / MILLISECOND;
    assert!(ended || time == 0, "the authority is told");
    time
}

/// What was written to a function.
fn written(scene: &Scene, index: usize) -> Vec<Write> {
    let writes = scene.fake.writes.borrow();
    writes.iter().copied().filter(|w| w.node == index).collect()
}

/// Whether a function was disturbed: its command register is written as it is, nothing else at all.
pub fn is_undisturbed(scene: &Scene, index: usize) -> bool {
    let command = u32::from(scene.fake.node(index).command());
    let same = |write: &Write| write.offset == COMMAND && write.value == command;
    written(scene, index).iter().all(same)
}

#[test]
fn what_is_in_use_goes_on_untouched() {
    let scene = Scene::new();
    let (mut server, _) = scene.live();
    for index in [DISK, EDU0] {
        master(&mut server, index, true);
    }
    let off = 0x406;
    let owner = client(&mut server, owner(EDU0));
    owner
        .config_write(EDU0 as u32, COMMAND, Width::HalfWord, off)
        .unwrap();
    let before: Vec<_> = scene
        .fake
        .nodes
        .borrow()
        .iter()
        .map(|n| n.bytes.clone())
        .collect();
    scene.fake.writes.borrow_mut().clear();
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    assert_eq!(server.fabric().boot_status().ready, 10);
    assert_eq!(server.fabric().going_on(), 2);
    assert_eq!(scene.fake.masters(), [RP0, DISK, RP1, MUX, EDU0]);
    let after: Vec<_> = scene
        .fake
        .nodes
        .borrow()
        .iter()
        .map(|n| n.bytes.clone())
        .collect();
    assert!(
        before == after,
        "also the interrupt that its owner turned off"
    );
    for index in 0..SPARE {
        assert!(
            is_undisturbed(&scene, index),
            "{index}: {:x?}",
            written(&scene, index)
        );
    }
    for index in [DISK, EDU0] {
        assert!(is_master(&mut server, index));
    }
    assert!(!is_master(&mut server, EDU1));
    // And it is this life that turns it off.
    master(&mut server, EDU0, false);
    assert_eq!(scene.fake.masters(), [RP0, DISK]);
    let (mut server, _) = scene.live();
    assert!(!is_master(&mut server, EDU0));
}

#[test]
fn what_firmware_left_on_is_never_taken_over() {
    // The first life dies before it is through, at every write.
    for fuse in 0.. {
        let mut nodes = nodes();
        for node in &mut nodes {
            node.put16(COMMAND, COMMAND_MASTER);
        }
        let scene = Scene::with(nodes);
        let died = scene.fake.dies(fuse, || drop(scene.live()));
        if !died {
            break;
        }
        let (_, notes) = scene.live();
        assert_eq!(notes.differences, [], "{fuse}");
        assert_eq!(scene.fake.masters(), [], "{fuse}");
    }
}

#[test]
fn a_device_that_lost_its_state_is_off_and_set_again() {
    let lose: [fn(&mut crate::tests::node::Node); 5] = [
        |node| node.put16(COMMAND, 0),
        |node| node.put16(COMMAND, COMMAND_MEMORY),
        |node| node.put16(COMMAND, COMMAND_MASTER),
        |node| node.put32(BAR + 4, 0),
        |node| node.put16(0x106, 0x8000),
    ];
    for change in lose {
        let scene = Scene::new();
        let (mut server, _) = scene.live();
        master(&mut server, DISK, true);
        master(&mut server, EDU0, true);
        scene.fake.change(DISK, change);
        let (mut server, notes) = scene.live();
        assert_eq!(notes.differences, []);
        assert!(!is_master(&mut server, DISK), "its owner can be told");
        assert_eq!(scene.fake.masters(), [RP1, MUX, EDU0]);
        assert_eq!(scene.fake.node(DISK).get32(BAR + 4), 0x1000_0000);
        assert_eq!(scene.fake.node(DISK).get16(0x106), 0);
        master(&mut server, DISK, true);
    }
}

#[test]
fn a_device_that_is_kept_from_its_interrupt_goes_on_only_then() {
    let mut scene = Scene::new();
    scene.plan[DISK].flags |= FunctionFlags::NO_INTERRUPT.bits();
    let (mut server, _) = scene.live();
    master(&mut server, DISK, true);
    let on = COMMAND_MEMORY | COMMAND_MASTER;
    assert_eq!(scene.fake.node(DISK).command(), on | COMMAND_INTX_OFF);
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    assert!(is_master(&mut server, DISK));
    scene.fake.change(DISK, |disk| disk.put16(COMMAND, on));
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    assert!(!is_master(&mut server, DISK));
    let off = COMMAND_MEMORY | COMMAND_INTX_OFF;
    assert_eq!(scene.fake.node(DISK).command(), off);
}

#[test]
fn a_device_of_another_header_is_not_taken_over() {
    for (header, mismatch) in [
        (HEADER_MULTIFUNCTION, Mismatch::Multifunction),
        (2, Mismatch::HeaderType),
    ] {
        let scene = Scene::new();
        let (mut server, _) = scene.live();
        master(&mut server, DISK, true);
        scene.fake.change(DISK, |disk| {
            disk.bytes[usize::from(HEADER_TYPE)] = header;
        });
        let (_, notes) = scene.live();
        let told: Vec<_> = notes.differences.iter().map(|d| d.1).collect();
        assert_eq!(told, [mismatch]);
        assert_eq!(scene.fake.masters(), []);
    }
}

#[test]
fn a_bridge_that_lost_its_state_takes_what_is_below_along() {
    let scene = Scene::new();
    let (mut server, _) = scene.live();
    for index in [DISK, EDU0] {
        master(&mut server, index, true);
    }
    scene.fake.change(MUX, |mux| mux.put32(BUS_NUMBERS, 0));
    scene.fake.writes.borrow_mut().clear();
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    assert_eq!(scene.fake.masters(), [RP0, DISK]);
    assert!(!is_master(&mut server, EDU0));
    assert!(is_undisturbed(&scene, RP0));
}

/// Requests of what is below would turn to a neighbour, past the SMMU.
#[test]
fn a_port_that_lost_its_acs_takes_what_is_below_along() {
    let scene = Scene::new();
    let (mut server, _) = scene.live();
    for index in [DISK, EDU0] {
        master(&mut server, index, true);
    }
    let control = |scene: &Scene| scene.fake.node(RP0).get16(0x106);
    assert_eq!(control(&scene), 0x1d);
    for lost in [0, 0x1c, 0x0d, 0x5d] {
        scene.fake.change(RP0, |port| port.put16(0x106, lost));
        let (mut server, notes) = scene.live();
        assert_eq!(notes.differences, []);
        assert_eq!(control(&scene), 0x1d, "{lost:#x}");
        assert!(!is_master(&mut server, DISK) && is_master(&mut server, EDU0));
        master(&mut server, DISK, true);
    }
}

#[test]
fn what_differs_meanwhile_is_silenced_with_its_group() {
    let scene = Scene::new();
    let (mut server, _) = scene.live();
    for index in [DISK, EDU0, NIC0] {
        master(&mut server, index, true);
    }
    scene
        .fake
        .change(DISK, |disk| disk.put16(DEVICE_ID, 0x1041));
    scene.fake.change(EDU1, |edu| edu.put16(DEVICE_ID, 1));
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences.len(), 2);
    assert_eq!(scene.fake.masters(), [NIC0]);
    let authority = client(&mut server, AUTHORITY);
    for (index, reason) in [(DISK, Mismatch::Identity), (EDU0, Mismatch::Group)] {
        let found = authority.describe(index as u32).unwrap();
        assert_eq!((found.reason, found.bus_master), (Some(reason), false));
    }
}

#[test]
fn what_appeared_meanwhile_is_noticed_and_off() {
    let mut nodes = nodes();
    nodes.push(crate::tests::node::Node::endpoint(Some(MUX), 3 << 3, 1, 2));
    let intruder = nodes.len() - 1;
    nodes[intruder].gone = true;
    let scene = Scene::with(nodes);
    let (mut server, _) = scene.live();
    master(&mut server, EDU0, true);
    master(&mut server, DISK, true);
    scene.fake.change(intruder, |node| {
        node.gone = false;
        node.put16(COMMAND, COMMAND_MASTER | COMMAND_MEMORY);
    });
    let (_, notes) = scene.live();
    assert_eq!(notes.differences.len(), 1);
    assert_eq!(scene.fake.masters(), [RP0, DISK]);
}

#[test]
fn by_policy_one_difference_stops_all() {
    let mut scene = Scene::new();
    scene.host.refuse_on_mismatch = 1;
    let (mut server, _) = scene.live();
    master(&mut server, DISK, true);
    scene.fake.change(NIC1, |nic| nic.put16(DEVICE_ID, 1));
    let (mut server, _) = scene.live();
    assert_eq!(scene.fake.masters(), []);
    let authority = client(&mut server, AUTHORITY);
    assert_eq!(
        authority.describe(DISK as u32).map(|d| d.bus_master),
        Ok(false)
    );
    assert_eq!(
        authority.bus_master(DISK as u32, true),
        refused(Error::BootRefused)
    );
}

#[test]
fn a_reset_that_was_begun_is_waited_for_while_others_go_on() {
    let scene = Scene::new();
    scene
        .fake
        .change(DISK, |disk| disk.reset_time = 300 * MILLISECOND);
    let (mut server, _) = scene.live();
    master(&mut server, EDU0, true);
    client(&mut server, AUTHORITY)
        .quiesce_start(DISK as u32)
        .unwrap();
    server.step(|| 0);
    assert_eq!(scene.fake.node(DISK).resets, 1);
    scene.fake.now.set(10 * MILLISECOND);
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    assert_eq!(
        scene.fake.now.get(),
        10 * MILLISECOND,
        "nobody waits for it"
    );
    assert_eq!(scene.fake.masters(), [RP1, MUX, EDU0]);
    assert_eq!(result(&mut server, DISK), QuiesceState::Running);
    let authority = client(&mut server, AUTHORITY);
    assert_eq!(
        authority.bus_master(DISK as u32, true),
        refused(Error::Quiescing)
    );
    assert_eq!(
        authority.quiesce_start(DISK as u32),
        refused(Error::Quiescing)
    );
    let time = step_until_idle(&scene, &mut server);
    assert!((290..=292).contains(&time), "{time}");
    assert_eq!(
        result(&mut server, DISK),
        QuiesceState::Never,
        "not known to be quiet"
    );
    assert_eq!(scene.fake.node(DISK).get32(BAR + 4), 0x1000_0000);
    assert_eq!(scene.fake.node(DISK).resets, 1);
    // It can be made quiet, which needs its capability.
    client(&mut server, AUTHORITY)
        .quiesce_start(DISK as u32)
        .unwrap();
    step_until_idle(&scene, &mut server);
    assert_eq!(result(&mut server, DISK), QuiesceState::Quiet);
    assert_eq!(scene.fake.node(DISK).resets, 2);
    assert_eq!(server.fabric().boot_status().ready, 10);
}

#[test]
fn nothing_is_asked_before_a_reset_had_its_time() {
    let scene = Scene::new();
    let (mut server, _) = scene.live();
    client(&mut server, AUTHORITY)
        .quiesce_start(DISK as u32)
        .unwrap();
    server.step(|| 0);
    scene.fake.writes.borrow_mut().clear();
    let (mut server, _) = scene.live();
    scene.fake.now.set(99 * MILLISECOND);
    server.step(|| 99 * MILLISECOND);
    assert_eq!(written(&scene, DISK), []);
    assert_eq!(step_until_idle(&scene, &mut server), 1);
    assert!(!is_master(&mut server, DISK));
    assert_eq!(scene.fake.node(DISK).command(), COMMAND_MEMORY);
}

#[test]
fn a_bus_reset_that_was_held_is_ended_for_all_below() {
    for steps in 0..2 {
        let mut scene = Scene::new();
        scene.plan[MUX].quiesce = plan::pci::Quiesce::BusReset as u32;
        let (mut server, _) = scene.live();
        master(&mut server, DISK, true);
        client(&mut server, AUTHORITY)
            .quiesce_start(MUX as u32)
            .unwrap();
        server.step(|| 0);
        if steps > 0 {
            scene.fake.now.set(2 * MILLISECOND);
            server.step(|| 2 * MILLISECOND);
        }
        let held = scene.fake.node(RP1).get16(BRIDGE_CONTROL) & BRIDGE_RESET != 0;
        assert_eq!(held, steps == 0);
        let (mut server, notes) = scene.live();
        assert_eq!(notes.differences, []);
        assert_eq!(scene.fake.masters(), [RP0, DISK]);
        assert_eq!(scene.fake.node(RP1).get16(BRIDGE_CONTROL), 0);
        assert_eq!(step_until_idle(&scene, &mut server), 100);
        assert_eq!(scene.fake.node(MUX).get32(BUS_NUMBERS), 0x0003_0302);
        for index in [MUX, EDU0, EDU1] {
            assert_eq!(result(&mut server, index), QuiesceState::Never);
            assert_eq!(scene.fake.node(index).command(), COMMAND_MEMORY, "{index}");
        }
        master(&mut server, EDU1, true);
        assert_eq!(scene.fake.masters(), [RP0, DISK, RP1, MUX, EDU1]);
    }
}

#[test]
fn what_never_comes_back_has_failed_alone() {
    let scene = Scene::new();
    let (mut server, _) = scene.live();
    master(&mut server, EDU0, true);
    scene.fake.change(DISK, |disk| disk.gone = true);
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    assert_eq!(step_until_idle(&scene, &mut server), 1000);
    let late = QuiesceState::Failed(QuiesceFailure::Deadline);
    assert_eq!(result(&mut server, DISK), late);
    assert_eq!(scene.fake.masters(), [RP1, MUX, EDU0]);
}

#[test]
fn a_quiesce_that_failed_is_remembered() {
    let scene = Scene::new();
    scene.fake.change(EDU0, |edu| edu.reset_time = u64::MAX / 2);
    let (mut server, _) = scene.live();
    client(&mut server, AUTHORITY)
        .quiesce_start(EDU1 as u32)
        .unwrap();
    step_until_idle(&scene, &mut server);
    scene.fake.change(EDU0, |edu| edu.dead_until = 0);
    let (mut server, _) = scene.live();
    step_until_idle(&scene, &mut server);
    // Whoever waits for one that was to begin meanwhile must not hear of this one.
    assert_eq!(result(&mut server, EDU1), QuiesceState::Never);
    let late = QuiesceState::Failed(QuiesceFailure::Deadline);
    assert_eq!(result(&mut server, EDU0), late);
    let authority = client(&mut server, AUTHORITY);
    assert_eq!(
        authority.bus_master(EDU0 as u32, true),
        refused(Error::NotQuiet)
    );
}
