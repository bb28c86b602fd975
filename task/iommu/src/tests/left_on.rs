//! What a PCI task that could not be asked left on is turned off as soon as one can.

use iommu_api::*;
use pci_api::QuiesceState;
use pci_api::client::Failure;

use super::rig::*;
use crate::Reply;

/// It was the last thing that this life of the PCI task did, or the death came before: nobody knows.
#[test]
fn a_claim_that_failed_leaves_no_bus_master() {
    let mut rig = Rig::booted();
    let words = [u64::from(DISK)];
    assert_eq!(rig.ask(task(4), Operation::Claim, &words), Reply::Later);
    rig.around.borrow_mut().pci_answers = Some(1);
    rig.server.on_quiesced();
    let (to, code, ..) = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!((to, code), (task(4), Error::Unavailable as u32));
    assert!(!rig.is_held(DISK));
    rig.around.borrow_mut().bus_master.push((DISK, true));
    rig.around.borrow_mut().restart_pci();
    rig.server.on_pci_up();
    assert!(!rig.is_bus_master(DISK));
}

/// It was released when nobody could turn it off, and the next life finds an SMMU that it cannot use.
#[test]
fn an_smmu_that_is_refused_has_no_bus_master() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    assert!(matches!(disk.release(&mut rig), Reply::Now { code: 0, .. }));
    assert!(!rig.is_held(DISK) && rig.is_bus_master(DISK));
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    rig.around.borrow_mut().restart_pci();
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert!(next.logged("why: CommandTimeout"));
    assert!(!next.is_bus_master(DISK));
}

/// A reset of its bus waits for another one that is under way, and would be refused while it is on.
#[test]
fn what_waits_to_be_made_quiet_is_no_bus_master() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    assert!(matches!(disk.release(&mut rig), Reply::Now { code: 0, .. }));
    let words = [u64::from(DISK)];
    assert_eq!(rig.ask(life(4, 1), Operation::Claim, &words), Reply::Later);
    assert!(rig.is_held(DISK) && rig.is_bus_master(DISK));
    rig.around.borrow_mut().restart_pci();
    rig.around.borrow_mut().start_error = Some(Failure::Refused(pci_api::Error::Quiescing));
    rig.server.on_pci_up();
    assert!(!rig.is_bus_master(DISK));
    rig.around.borrow_mut().result = None;
    // The one that was under way, and then its own.
    rig.server.on_quiesced();
    rig.server.on_quiesced();
    assert!(rig.is_bus_master(DISK));
}

/// The server died between the beginning of a quiesce and the closing of the streams: the device is closed for what it
/// is being made, and did not lose its bus mastering by itself.
#[test]
fn what_was_being_made_quiet_did_not_lose_its_state() {
    for (state, lost) in [
        (QuiesceState::Running, false),
        (QuiesceState::Quiet, false),
        (QuiesceState::Never, true),
    ] {
        let mut rig = Rig::booted();
        let iova = rig.claim(task(4), DISK).map_any(&mut rig, 0, 1);
        rig.around.borrow_mut().bus_master.push((DISK, false));
        rig.around.borrow_mut().results.insert(DISK, state);
        let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
        next.server.boot();
        assert_eq!(next.logged("StateLost"), lost, "{state:?}");
        assert_eq!(next.reach(0x100, iova), None);
        assert!(next.is_held(DISK));
        assert_eq!(next.around.borrow().posts, [4]);
    }
}
