//! Which may be always open, and what follows when one may not, or not any more.

use pci_api::client::Failure;

use super::*;

const REFUSED: Failure = Failure::Refused(pci_api::Error::Blocked);

/// What has no stream or no domain is not opened, and is no bus master.
#[test]
fn what_cannot_be_translated_is_not_always_open() {
    let changes: [fn(&mut plan::iommu::DeviceEntry); 2] = [
        |device| device.stream_count = 0,
        |device| device.domain = plan::NONE,
    ];
    for change in changes {
        let before = Rig::planned(always_open_plan());
        let mut plan = always_open_plan();
        let mut devices = plan.devices.to_vec();
        change(&mut devices[DISPLAY as usize]);
        plan.devices = Vec::leak(devices);
        let mut rig = Rig::with(plan, before.smmu.clone(), before.around.clone());
        rig.server.boot();
        assert!(!rig.is_bus_master(DISPLAY));
        assert!(!rig.logged("AlwaysOpen"));
    }
}

/// Tables that were altered are opened to nobody any more: not by the release of who had it, either.
#[test]
fn altered_tables_are_not_opened_again() {
    let mut rig = booted();
    rig.claim(task(6), DISPLAY).map_any(&mut rig, 0, 1);
    rig.smmu.0.borrow_mut().put(REGION, &[0]);
    let mut rig = successor(&rig);
    assert!(rig.logged("Altered"));
    let mut display = rig.claim(task(6), DISPLAY);
    assert_eq!(display.release(&mut rig), Reply::Later);
    rig.server.on_quiesced();
    rig.server.on_pci_up();
    assert!(!rig.is_held(DISPLAY));
    is_cut_off(&rig);
    assert_eq!(rig.read(STREAM, DIRECT + PAGE), None);
}

/// A PCI task that refuses to speak of it says that it is not as planned; one that is gone says nothing.
#[test]
fn what_the_pci_task_refuses_to_speak_of_is_not_always_open() {
    for (error, open) in [(REFUSED, false), (Failure::Dead, true)] {
        let mut rig = booted();
        rig.around.borrow_mut().describe_error = Some(error);
        rig.server.on_pci_up();
        assert_eq!(rig.read(STREAM, DIRECT).is_some(), open);
        assert_eq!(rig.is_bus_master(DISPLAY), open);
    }
}

/// Of a refused boot hear those who had what was always open; nobody else is cut off by that alone.
#[test]
fn only_what_is_always_open_is_forbidden_to_be() {
    let mut rig = booted();
    let iova = rig.claim(task(4), DISK).map_any(&mut rig, 0, 1);
    rig.server.forbid_always_open();
    assert_eq!(rig.read(STREAM, DIRECT), None);
    assert!(rig.around.borrow().posts.is_empty());
    assert!(rig.reach(0x100, iova).is_some());
}

/// It was opened and could not be started: it is when something ends the next time.
#[test]
fn what_could_not_be_started_is_tried_again() {
    let mut rig = booted();
    rig.claim(task(6), DISPLAY).map_any(&mut rig, 0, 1);
    rig.die(6);
    rig.around.borrow_mut().bus_master_error = Some(REFUSED);
    rig.server.on_quiesced();
    is_cut_off(&rig);
    rig.around.borrow_mut().bus_master_error = None;
    rig.server.on_pci_up();
    assert_always_open(&rig);
}

/// The PCI task lost it, and does not start it again: then its streams are closed. If it is gone, nothing is said yet.
#[test]
fn what_is_not_started_again_is_closed() {
    for (error, open) in [(REFUSED, false), (Failure::Dead, true)] {
        let mut rig = booted();
        rig.around.borrow_mut().lose(DISPLAY);
        rig.around.borrow_mut().bus_master_error = Some(error);
        rig.server.on_pci_up();
        assert_eq!(rig.read(STREAM, DIRECT).is_some(), open);
        rig.around.borrow_mut().bus_master_error = None;
        rig.server.on_pci_up();
        assert_always_open(&rig);
    }
}
