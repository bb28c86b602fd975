//! Beside others of its alias set.

use super::*;

#[test]
fn the_death_of_a_mate_cuts_it_off_until_that_is_quiet() {
    let mut rig = booted();
    let mut mate = rig.claim(task(5), MATE);
    assert_always_open(&rig);
    let iova = mate.map_any(&mut rig, 0, 1);
    assert_eq!(rig.reach(STREAM, iova), Some(POOL + 0x10_0000));
    rig.die(5);
    is_cut_off(&rig);
    assert!(!rig.is_bus_master(MATE));
    rig.server.on_quiesced();
    assert_always_open(&rig);
    assert!(!rig.is_bus_master(MATE));
}

/// Its owner's word is about what it has done, not about what it goes on doing.
#[test]
fn the_word_of_its_owner_ends_when_it_is_cut_off() {
    let mut rig = booted();
    rig.claim(task(6), DISPLAY).release(&mut rig);
    assert_always_open(&rig);
    let mut mate = rig.claim(task(5), MATE);
    mate.map_any(&mut rig, 0, 1);
    let result = |rig: &Rig, state| {
        let mut around = rig.around.borrow_mut();
        around.results.insert(DISPLAY, state);
    };
    result(&rig, QuiesceState::Running);
    rig.die(5);
    is_cut_off(&rig);
    rig.server.on_quiesced();
    assert!(rig.is_held(MATE), "what it has under way may land there");
    result(&rig, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(!rig.is_held(MATE));
    assert_always_open(&rig);
}

#[test]
fn a_mate_that_was_cut_off_keeps_it_down_until_it_is_released() {
    let mut rig = booted();
    let mut mate = rig.claim(task(5), MATE);
    mate.map_any(&mut rig, 0, 1);
    rig.server.revoke(index(MATE));
    is_cut_off(&rig);
    rig.server.on_quiesced();
    is_cut_off(&rig);
    assert!(matches!(mate.release(&mut rig), Reply::Later));
    rig.server.on_quiesced();
    assert_always_open(&rig);
}

#[test]
fn a_mates_claim_and_release_do_not_touch_it() {
    let mut rig = booted();
    rig.claim(task(5), MATE).release(&mut rig);
    assert_always_open(&rig);
    assert!(!rig.around.borrow().bus_master.contains(&(DISPLAY, false)));
    // But what is mapped for the mate it could use until it is gone.
    let mut mate = rig.claim(task(5), MATE);
    mate.map_any(&mut rig, 0, 1);
    assert!(matches!(mate.release(&mut rig), Reply::Later));
    is_cut_off(&rig);
    rig.server.on_quiesced();
    assert_always_open(&rig);
}

/// Its claimant would have left alone what is mapped for the mate; nobody does once it is released.
#[test]
fn its_release_cuts_it_off_while_a_mate_is_made_quiet() {
    let mut rig = booted();
    let mut display = rig.claim(task(6), DISPLAY);
    let mut mate = rig.claim(task(5), MATE);
    mate.map_any(&mut rig, 0, 1);
    assert!(matches!(mate.release(&mut rig), Reply::Later));
    display.release(&mut rig);
    is_cut_off(&rig);
    // Then it is made quiet itself, since the mate's memory was within its reach.
    rig.server.on_quiesced();
    is_cut_off(&rig);
    rig.server.on_quiesced();
    assert_always_open(&rig);
}
