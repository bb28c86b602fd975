//! Being made quiet for others, when it would be opened or claimed.

use super::*;

/// Of one device, what the PCI task says of its quiesce.
fn result(rig: &Rig, device: u32, state: QuiesceState) {
    rig.around.borrow_mut().results.insert(device, state);
}

/// In one reset unit with `disk`.
fn unit_plan() -> PlanView<'static> {
    let mut plan = always_open_plan();
    let mut devices = plan.devices.to_vec();
    devices[DISPLAY as usize].reset_unit = devices[DISK as usize].reset_unit;
    plan.devices = Vec::leak(devices);
    plan
}

/// A successor found `disk`'s owner dead, and the reset that this began takes the display along. Its claim was cut
/// off with nothing mapped, and so is over; the display is free, and still being made quiet.
fn freed_in_anothers_reset() -> Rig {
    let mut rig = Rig::planned(unit_plan());
    rig.server.boot();
    rig.claim(task(4), DISK).map_any(&mut rig, 0, 1);
    rig.claim(task(6), DISPLAY);
    assert_always_open(&rig);
    result(&rig, DISK, QuiesceState::Running);
    result(&rig, DISPLAY, QuiesceState::Running);
    for hold in &mut rig.around.borrow_mut().holds {
        hold.2 |= hold.1 == DISK;
    }
    let mut rig = Rig::with(unit_plan(), rig.smmu.clone(), rig.around.clone());
    rig.server.boot();
    assert!(rig.server.is_at_rest());
    is_cut_off(&rig);
    assert!(!rig.is_held(DISPLAY));
    assert_eq!(rig.status(DISPLAY).flags.0, 0);
    rig
}

#[test]
fn it_is_not_opened_before_anothers_reset_has_made_it_quiet() {
    let mut rig = freed_in_anothers_reset();
    result(&rig, DISK, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(rig.server.is_at_rest());
    assert!(!rig.is_held(DISK));
    is_cut_off(&rig);
    result(&rig, DISPLAY, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(rig.server.is_at_rest());
    assert_always_open(&rig);
    // Nothing is taken for known of what goes on by itself.
    assert!(matches!(
        rig.ask(task(6), Operation::Claim, &[u64::from(DISPLAY)]),
        Reply::Later
    ));
}

/// The results of both are there at once: that of `disk`, for which it was cut off, is taken first.
#[test]
fn it_is_opened_after_its_own_result_was_taken() {
    let mut rig = freed_in_anothers_reset();
    result(&rig, DISK, QuiesceState::Quiet);
    result(&rig, DISPLAY, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(rig.server.is_at_rest());
    assert_always_open(&rig);
}

#[test]
fn who_claims_it_meanwhile_waits_for_that_claim_only() {
    for quiet in [true, false] {
        let mut rig = freed_in_anothers_reset();
        let claim = rig.ask(task(6), Operation::Claim, &[u64::from(DISPLAY)]);
        assert!(matches!(claim, Reply::Later));
        let failed = QuiesceState::Failed(pci_api::QuiesceFailure::Deadline);
        let state = if quiet { QuiesceState::Quiet } else { failed };
        result(&rig, DISPLAY, state);
        rig.server.on_quiesced();
        assert!(rig.server.is_at_rest());
        let (to, code, ..) = rig.around.borrow_mut().replies.pop().unwrap();
        let refused = Some(Error::NotQuiet);
        assert_eq!(to, task(6));
        assert_eq!(Error::from_code(code), refused.filter(|_| !quiet));
        if quiet {
            assert_always_open(&rig);
            continue;
        }
        // Nobody waits for that quiesce any more: what comes of it later opens nothing.
        result(&rig, DISPLAY, QuiesceState::Quiet);
        rig.server.on_quiesced();
        is_cut_off(&rig);
        rig.claim(task(6), DISPLAY);
        assert_always_open(&rig);
    }
}

/// Each life of the PCI task says something else of the display, and the last one knows of a quiesce that an earlier
/// one began. While it is not as planned, and was never open, its mate's end does not wait for it.
#[test]
fn a_pci_task_that_contradicts_itself_has_nothing_opened_that_it_makes_quiet() {
    let mut rig = cold();
    rig.around.borrow_mut().blocked = Some(DISPLAY);
    rig.server.boot();
    rig.claim(task(5), MATE).map_any(&mut rig, 0, 1);
    result(&rig, MATE, QuiesceState::Running);
    result(&rig, DISPLAY, QuiesceState::Running);
    rig.die(5);
    let next_life = |rig: &mut Rig, blocked| {
        rig.around.borrow_mut().blocked = blocked;
        rig.server.on_pci_up();
        assert!(rig.server.is_at_rest());
        is_cut_off(rig);
    };
    next_life(&mut rig, None);
    result(&rig, MATE, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(rig.is_held(MATE), "the display is made quiet for it");
    next_life(&mut rig, Some(DISPLAY));
    assert!(!rig.is_held(MATE));
    next_life(&mut rig, None);
    result(&rig, DISPLAY, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(rig.server.is_at_rest());
    assert_always_open(&rig);
}
