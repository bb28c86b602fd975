//! A refused claim is told to people, with its reason, and no task can fill the log with refusals.

use abi::Code;
use iommu_api::*;
use pci_api::client::Failure;
use pci_api::{QuiesceFailure, QuiesceState};
use std::string::String;
use std::vec::Vec;

use super::rig::*;
use crate::Reply;

/// Claims, and waits for what makes it quiet: the code of the reply.
fn claim(rig: &mut Rig, owner: u8, device: u32) -> Option<Error> {
    let code = match rig.ask(task(owner), Operation::Claim, &[u64::from(device)]) {
        Reply::Now { code, .. } => code,
        Reply::Later => {
            rig.server.on_quiesced();
            rig.around.borrow_mut().replies.pop().expect("a reply").1
        }
    };
    Error::from_code(code)
}

/// The lines about refusals so far.
fn told(rig: &Rig) -> Vec<String> {
    let lines = rig.around.borrow().lines.clone();
    let refused = lines.into_iter().filter(|l| l.contains("ClaimRefused"));
    refused.collect()
}

/// One claim is refused with `error`, and one line says why.
fn is_told(mut rig: Rig, owner: u8, device: u32, error: Error, why: &str) {
    assert_eq!(claim(&mut rig, owner, device), Some(error), "{why}");
    let told = told(&rig);
    assert_eq!(told.len(), 1, "{told:?}");
    let names = [std::format!("why: {why}"), std::format!("by: {owner},")];
    assert!(
        names.iter().all(|n| told[0].contains(n.as_str())),
        "{told:?}"
    );
    assert!(told[0].contains(&std::format!("device: {device},")));
}

fn with(change: impl FnOnce(&mut Rig)) -> Rig {
    let mut rig = Rig::booted();
    change(&mut rig);
    rig
}

#[test]
fn each_refusal_is_told_with_its_reason() {
    let booted = Rig::booted;
    is_told(booted(), 4, 77, Error::NoSuchDevice, "NoSuchDevice");
    is_told(booted(), 5, DISK, Error::NotOwner, "NotOwner");
    is_told(booted(), 6, SPARE, Error::Blocked, "Absent");
    let blocked = |rig: &mut Rig| {
        rig.around.borrow_mut().blocked = Some(DISK);
        rig.server.on_pci_up();
    };
    is_told(with(blocked), 4, DISK, Error::Blocked, "NotAsPlanned");
    let refused = |rig: &mut Rig| {
        rig.around.borrow_mut().refused = true;
        rig.server.on_pci_up();
    };
    is_told(with(refused), 4, DISK, Error::Blocked, "BootRefused");
    let mut no_pci = Rig::cold();
    no_pci.around.borrow_mut().no_pci = Some(Failure::Down);
    no_pci.server.boot();
    is_told(no_pci, 4, DISK, Error::Unavailable, "NoPci");
    let mut no_smmu = Rig::cold();
    no_smmu.smmu.0.borrow_mut().behaviour.idr[0] = 0;
    no_smmu.server.boot();
    is_told(no_smmu, 4, DISK, Error::Unavailable, "NoSmmu");
    let exhausted = |rig: &mut Rig| rig.around.borrow_mut().hold_code = Some(Code::EXHAUSTED);
    is_told(with(exhausted), 4, DISK, Error::PinsExhausted, "NoSlot");
    let off = |rig: &mut Rig| {
        let error = Failure::Refused(pci_api::Error::NotQuiet);
        rig.around.borrow_mut().bus_master_error = Some(error);
    };
    let why = "NoBusMaster(Some(NotQuiet))";
    is_told(with(off), 4, DISK, Error::Unavailable, why);
}

#[test]
fn why_a_device_is_not_quiet_is_told() {
    let unsupported = |rig: &mut Rig| {
        let failed = QuiesceState::Failed(QuiesceFailure::Unsupported);
        rig.around.borrow_mut().result = Some(failed);
    };
    let why = "NotQuiet(Failed(Unsupported))";
    is_told(with(unsupported), 4, DISK, Error::NotQuiet, why);
    let mut used = Rig::booted();
    used.claim(task(4), DISK).release(&mut used);
    let error = Failure::Refused(pci_api::Error::NoRecipe);
    used.around.borrow_mut().start_error = Some(error);
    used.ask(life(4, 1), Operation::Claim, &[u64::from(DISK)]);
    assert!(told(&used)[0].contains("why: NotQuiet(Refused(NoRecipe))"));
    let retired = |rig: &mut Rig| {
        rig.around.borrow_mut().start_error = Some(Failure::Retired);
    };
    is_told(with(retired), 4, DISK, Error::NotQuiet, "NotQuiet(Unknown)");
    let stuck = |rig: &mut Rig| {
        rig.claim(task(4), DISK).map_any(rig, 0, 1);
        rig.fail_quiesce();
        rig.die(4);
        rig.server.on_quiesced();
        assert!(rig.logged("Stuck { name: \"disk\", why: Some(Failed(Deadline)) }"));
    };
    let why = "NotQuiet(Failed(Deadline))";
    is_told(with(stuck), 4, DISK, Error::NotQuiet, why);
}

/// What is in the way is named.
#[test]
fn what_shares_its_streams_is_named() {
    let waits = |rig: &mut Rig| {
        rig.claim(task(5), LEFT).map_any(rig, 0, 1);
        rig.die(5);
    };
    let rig = with(waits);
    is_told(
        rig,
        6,
        RIGHT,
        Error::Busy,
        "SharerNotYet(DeviceIndex(3)), other: \"left\"",
    );
    let stuck = |rig: &mut Rig| {
        waits(rig);
        rig.fail_quiesce();
        rig.server.on_quiesced();
    };
    let rig = with(stuck);
    let why = "SharerNotQuiet(DeviceIndex(3)), other: \"left\"";
    is_told(rig, 6, RIGHT, Error::NotQuiet, why);
}

/// However often and in whatever order a hostile task claims, its lines are few, and others' are not missing.
#[test]
fn a_flood_of_claims_fills_no_log() {
    let mut rig = Rig::booted();
    for _ in 0..1000 {
        for device in [DISK, LEFT, 77, u32::MAX] {
            claim(&mut rig, 6, device);
        }
    }
    let told_of_flood = told(&rig).len();
    assert!(told_of_flood <= 3 * 12, "{told_of_flood}");
    rig.around.borrow_mut().hold_code = Some(Code::EXHAUSTED);
    assert_eq!(claim(&mut rig, 4, DISK), Some(Error::PinsExhausted));
    let told = told(&rig);
    assert_eq!(told.len(), told_of_flood + 1);
    assert!(told[told_of_flood].contains("by: 4, why: NoSlot"));
    // Nor does a malformed message make a line.
    rig.ask(task(6), Operation::Claim, &[u64::MAX]);
    assert_eq!(self::told(&rig).len(), told.len());
}

/// A reason that is new is a line, if the last one was a second ago.
#[test]
fn reasons_that_take_turns_are_told_once_a_second() {
    let mut rig = Rig::booted();
    let mut refuse = |code| {
        rig.around.borrow_mut().hold_code = Some(code);
        let before = told(&rig).len();
        assert!(claim(&mut rig, 4, DISK).is_some());
        (told(&rig).len() > before, rig.smmu.clone())
    };
    // The first, second and fourth are told whatever they are.
    for (code, expected) in [
        (Code::EXHAUSTED, true),
        (Code::EXHAUSTED, true),
        (Code::REFUSED, false),
        (Code::REFUSED, true),
        (Code::EXHAUSTED, false),
    ] {
        let (is_told, smmu) = refuse(code);
        assert_eq!(is_told, expected, "{code:?}");
        // The clock goes on a little by itself.
        assert!(smmu.0.borrow().time < crate::limits::REFUSAL_PAUSE_NS);
    }
    let (_, smmu) = refuse(Code::REFUSED);
    smmu.0.borrow_mut().time += crate::limits::REFUSAL_PAUSE_NS;
    assert!(refuse(Code::EXHAUSTED).0);
}
