//! What real machines do and emulated ones do not: devices that come late, that sleep, that lose in a reset what
//! firmware had set, and BARs with a mind of their own.

use std::vec::Vec;

use pci_api::{DeviceState, Mismatch, QuiesceState};

use crate::registers::*;
use crate::tests::node::Node;
use crate::tests::scene::*;

const DEVICE_CONTROL: u16 = 0x50 + EXPRESS_CONTROL;
const DEVICE_CONTROL2: u16 = 0x50 + EXPRESS_CONTROL2;

/// Enumerates a changed machine; gives what differed and how long it took, in milliseconds.
fn run(change: impl FnOnce(&Scene)) -> (Vec<Mismatch>, u64) {
    let scene = Scene::new();
    change(&scene);
    let (_, notes) = scene.enumerate();
    let told = notes.differences.iter().map(|d| d.1).collect();
    (told, scene.fake.now.get() / MILLISECOND)
}

/// The registers of a capability at the last place at which they fit are set as all are.
#[test]
fn device_control_2_that_just_fits_is_set() {
    const AT: u16 = 0xd4;
    let mut nodes = nodes();
    nodes[EDU0] = nodes[EDU0].clone().express(AT, false);
    nodes[EDU0].put16(AT + EXPRESS_REGISTER, 2);
    nodes[EDU0].allow(AT + EXPRESS_CONTROL2, 2, 0xffff);
    nodes[EDU0].put16(AT + EXPRESS_CONTROL2, 0x0420);
    let scene = Scene::with(nodes);
    let (_, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert_eq!(scene.fake.node(EDU0).get16(AT + EXPRESS_CONTROL2), 0);
}

/// Version 1 of the capability ends before device control 2, and one near the end of its space has none either: what
/// is there is something else.
#[test]
fn what_is_not_device_control_2_is_left_alone() {
    let mut nodes = nodes();
    nodes[DISK].put16(0x50 + EXPRESS_REGISTER, 1);
    nodes[DISK].allow(DEVICE_CONTROL2, 2, 0xffff);
    nodes[EDU0] = Node::endpoint(Some(MUX), 1 << 3, 0x1234, 0x11e8)
        .bar(0, 0x10_0000, 0)
        .express(0xd8, false)
        .extended(0x100, EXTENDED_ATS, 6, 0x801f);
    nodes[EDU0].put16(0xd8 + EXPRESS_REGISTER, 2);
    nodes[EDU0].allow(0xd8 + EXPRESS_CONTROL2, 2, 0xffff);
    let scene = Scene::with(nodes);
    scene
        .fake
        .change(DISK, |disk| disk.put16(DEVICE_CONTROL2, 0x0420));
    let (_, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert_eq!(scene.fake.node(DISK).get16(DEVICE_CONTROL2), 0x0420);
    assert_eq!(scene.fake.node(EDU0).get16(0x100), EXTENDED_ATS);
}

#[test]
fn payload_and_request_sizes_are_the_same_before_and_after_a_reset() {
    let mut nodes = nodes();
    // After a reset: No Snoop and relaxed ordering allowed, read requests of 512 bytes.
    nodes[DISK].put16(DEVICE_CONTROL, 0x2810);
    nodes[DISK].put16(0x50 + EXPRESS_REGISTER, 2);
    nodes[DISK].allow(DEVICE_CONTROL2, 2, 0xffff);
    let scene = Scene::with(nodes);
    // Firmware: payloads of 256 bytes, read requests of 4 KiB, extended tags, errors reported; latency messages.
    scene.fake.change(DISK, |disk| {
        disk.put16(DEVICE_CONTROL, 0x593f);
        disk.put16(DEVICE_CONTROL2, 0x0420);
    });
    scene
        .fake
        .change(RP0, |port| port.put16(0x40 + EXPRESS_CONTROL, 0x203f));
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    let set = |scene: &Scene| {
        let disk = scene.fake.node(DISK);
        let port = scene.fake.node(RP0).get16(0x40 + EXPRESS_CONTROL);
        (
            port,
            disk.get16(DEVICE_CONTROL),
            disk.get16(DEVICE_CONTROL2),
        )
    };
    assert_eq!(set(&scene), (0x2000, 0x2000, 0));
    let authority = crate::tests::server::client(&mut server, AUTHORITY);
    authority.quiesce_start(DISK as u32).unwrap();
    server.step(|| 0);
    assert_eq!(scene.fake.node(DISK).resets, 1);
    assert_eq!(scene.fake.node(DISK).get16(DEVICE_CONTROL), 0x2810);
    scene.fake.now.set(100 * MILLISECOND);
    server.step(|| 100 * MILLISECOND);
    let authority = crate::tests::server::client(&mut server, AUTHORITY);
    assert_eq!(
        authority.quiesce_result(DISK as u32),
        Ok(QuiesceState::Quiet)
    );
    assert_eq!(set(&scene), (0x2000, 0x2000, 0));
}

#[test]
fn what_is_late_after_power_on_is_waited_for() {
    let late = |until: u64| {
        run(|scene| {
            for index in [DISK, EDU1, NIC1] {
                scene
                    .fake
                    .change(index, |node| node.dead_until = until * MILLISECOND);
            }
        })
    };
    let (told, time) = late(700);
    assert_eq!(told, []);
    assert!((700..=701).contains(&time), "{time}");
    // All of them share one second.
    let (told, time) = late(5000);
    assert_eq!(told, [Mismatch::Missing; 3]);
    assert!((1000..=1001).contains(&time), "{time}");
}

#[test]
fn what_asks_to_be_tried_again_is() {
    let (told, time) = run(|scene| {
        scene
            .fake
            .change(DISK, |disk| disk.retry_until = 300 * MILLISECOND);
    });
    assert_eq!(told, []);
    assert!((300..=301).contains(&time), "{time}");
    let (told, time) = run(|scene| {
        scene.fake.change(DISK, |disk| disk.retry_until = u64::MAX);
    });
    assert_eq!(told, [Mismatch::Missing]);
    assert!((1000..=1001).contains(&time), "{time}");
}

#[test]
fn an_empty_slot_is_not_waited_for_and_one_that_asks_is() {
    assert_eq!(run(|_| ()), (Vec::new(), 0));
    let mut nodes = nodes();
    nodes.push(Node::endpoint(Some(RP2), 0, 0x1af4, 0x1041));
    let spare = nodes.len() - 1;
    nodes[spare].retry_until = 200 * MILLISECOND;
    let scene = Scene::with(nodes);
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert!(fabric.is_ready(SPARE));
}

#[test]
fn the_last_look_is_after_the_deadline() {
    // It answers after 300 ms, but this task runs again only when the second is long over.
    let (told, _) = run(|scene| {
        scene.fake.preempted.set(5000 * MILLISECOND);
        scene
            .fake
            .change(DISK, |disk| disk.dead_until = 300 * MILLISECOND);
    });
    assert_eq!(told, []);
}

#[test]
fn nobody_hides_by_asking_to_be_tried_again() {
    let mut nodes = nodes();
    nodes.push(Node::endpoint(Some(MUX), 3 << 3, 1, 2));
    nodes[SPARE].retry_until = u64::MAX;
    let scene = Scene::with(nodes);
    let (_, notes) = scene.enumerate();
    let told: Vec<_> = notes.differences.iter().map(|d| d.1).collect();
    assert_eq!(told, [Mismatch::Undeclared]);
}

#[test]
fn a_device_that_firmware_put_to_sleep_is_woken() {
    let mut all = nodes();
    all[DISK] = all[DISK].clone().power(0x90, 3);
    let scene = Scene::with(all);
    let (fabric, notes) = scene.enumerate();
    assert_eq!(notes.differences, []);
    assert!(fabric.is_ready(DISK));
    let disk = scene.fake.node(DISK);
    assert_eq!((disk.get16(0x94), disk.command()), (0, COMMAND_MEMORY));
    assert_eq!(disk.get32(BAR + 4), 0x1000_0000);
    assert_eq!(scene.fake.now.get(), 10 * MILLISECOND);

    let mut all = nodes();
    all[DISK] = all[DISK].clone().power(0x90, 3);
    all[DISK].allow(0x94, 2, 0);
    let scene = Scene::with(all);
    let (fabric, notes) = scene.enumerate();
    assert_eq!(
        notes.differences.first().map(|d| d.1),
        Some(Mismatch::Power)
    );
    assert!(!fabric.is_ready(DISK));
}

#[test]
fn a_device_that_fell_asleep_is_not_taken_over() {
    let mut nodes = nodes();
    nodes[DISK] = nodes[DISK].clone().power(0x90, 0);
    let scene = Scene::with(nodes);
    let (mut server, _) = scene.live();
    assert_eq!(scene.fake.now.get(), 0, "what is on is not waited for");
    let authority = crate::tests::server::client(&mut server, AUTHORITY);
    authority.bus_master(DISK as u32, true).unwrap();
    scene.fake.change(DISK, |disk| disk.put16(0x94, 3));
    let (mut server, notes) = scene.live();
    assert_eq!(notes.differences, []);
    // Only then may it be asked for anything, so that it is not taken for one that vanished.
    assert_eq!(scene.fake.now.get(), 10 * MILLISECOND);
    let authority = crate::tests::server::client(&mut server, AUTHORITY);
    let found = authority.describe(DISK as u32).unwrap();
    assert_eq!((found.state, found.bus_master), (DeviceState::Ready, false));
    assert_eq!(scene.fake.node(DISK).get16(0x94), 0);
}

#[test]
fn the_kind_of_a_bar_is_what_it_shows_not_what_it_keeps() {
    // It keeps ones in the bits that tell the kind.
    let (told, _) = run(|scene| {
        scene
            .fake
            .change(EDU0, |edu| edu.allow(BAR, 4, 0xfff0_000e));
    });
    assert_eq!(told, []);
    for reserved in [1 << 1, 3 << 1] {
        let (told, _) = run(|scene| {
            scene.fake.change(EDU0, |edu| edu.put32(BAR, reserved));
        });
        assert_eq!(told, [Mismatch::BarKind], "{reserved}");
    }
}

#[test]
fn a_recipe_that_the_device_cannot_carry_out_is_told_at_boot() {
    for lacks in [
        |disk: &mut Node| disk.put32(0x50 + EXPRESS_DEVICE, 0),
        |disk: &mut Node| disk.bytes[0x41] = 0,
    ] {
        let (told, _) = run(|scene| scene.fake.change(DISK, lacks));
        assert_eq!(told, [Mismatch::Recipe]);
    }
    assert!(Mismatch::Recipe.remedy().is_some());
}
