//! After the server's own death, and the PCI task's.

use super::*;

#[test]
fn a_successor_leaves_it_open() {
    let rig = booted();
    rig.around.borrow_mut().bus_master.push((MATE, false));
    let before = rig.around.borrow().bus_master.len();
    let rig = successor(&rig);
    assert_always_open(&rig);
    assert!(!rig.around.borrow().bus_master[before..].contains(&(DISPLAY, false)));
    assert!(!rig.is_held(DISPLAY));
}

#[test]
fn both_servers_restart() {
    let rig = booted();
    // The new life of the PCI task has turned everything off, and nobody told the IOMMU server.
    rig.around.borrow_mut().bus_master.push((DISPLAY, false));
    assert_always_open(&successor(&rig));
    // A device that was cut off is no such case, even if another has opened the stream since.
    let mut rig = booted();
    storm(&mut rig);
    rig.claim(task(5), MATE).map_any(&mut rig, 0, 1);
    let rig = successor(&rig);
    assert!(!rig.is_bus_master(DISPLAY));
}

#[test]
fn a_successor_goes_on_with_its_claim() {
    let mut rig = booted();
    let iova = rig.claim(task(6), DISPLAY).map_any(&mut rig, 0, 1);
    let mut rig = successor(&rig);
    assert!(rig.is_held(DISPLAY));
    assert_eq!(rig.reach(STREAM, iova), Some(POOL + 0x20_0000));
    let mut display = rig.claim(task(6), DISPLAY);
    assert_eq!(
        rig.status(DISPLAY).mapped_pages,
        1,
        "the region is no mapping of the claim"
    );
    display.unmap(&mut rig, iova, 1).unwrap();
    display.release(&mut rig);
    assert_always_open(&rig);
}

#[test]
fn a_successor_opens_nothing_that_was_closed() {
    let mut rig = booted();
    storm(&mut rig);
    let mut rig = successor(&rig);
    is_cut_off(&rig);
    rig.server.on_quiesced();
    is_cut_off(&rig);
    rig.claim(task(6), DISPLAY);
    assert_always_open(&rig);
}

#[test]
fn a_successor_finishes_what_ends_with_it_open() {
    let mut rig = booted();
    rig.claim(task(6), DISPLAY).map_any(&mut rig, 0, 1);
    rig.die(6);
    let mut rig = successor(&rig);
    is_cut_off(&rig);
    rig.server.on_quiesced();
    assert_always_open(&rig);
    // For a mate, too.
    rig.claim(task(5), MATE).map_any(&mut rig, 0, 1);
    rig.die(5);
    let mut rig = successor(&rig);
    is_cut_off(&rig);
    rig.server.on_quiesced();
    assert_always_open(&rig);
}

#[test]
fn a_claim_that_the_server_did_not_survive_is_not_taken_for_granted() {
    let mut rig = booted();
    assert!(matches!(
        rig.ask(task(6), Operation::Claim, &[u64::from(DISPLAY)]),
        Reply::Later
    ));
    assert!(rig.is_held(DISPLAY));
    let mut rig = successor(&rig);
    is_cut_off(&rig);
    assert!(!rig.is_held(DISPLAY));
    let started = rig.around.borrow().started.len();
    rig.claim(task(6), DISPLAY);
    assert_eq!(
        rig.around.borrow().started.len(),
        started + 1,
        "made quiet before it is granted"
    );
}
