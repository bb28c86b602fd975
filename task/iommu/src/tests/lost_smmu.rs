//! A successor finds devices in use behind an SMMU that is not on as an earlier life had left it.

use smmu::registers::CR0;

use super::rig::*;

fn said(rig: &Rig, text: &str) -> usize {
    let around = rig.around.borrow();
    around
        .lines
        .iter()
        .filter(|line| line.contains(text))
        .count()
}

/// Nobody knows what they reach: every device behind it is cut off from the bus, and what is held stays held.
#[test]
fn all_of_its_devices_are_cut_off_for_good() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    disk.map_any(&mut rig, 0, 1);
    rig.claim(task(6), RIGHT);
    // Somebody's firmware, or an earlier life, left this one on.
    rig.around.borrow_mut().bus_master.push((EDU, true));
    rig.smmu.0.borrow_mut().set(CR0, 0);
    rig.around.borrow_mut().lines.clear();
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    for device in [DISK, EDU, RIGHT, LEFT] {
        assert!(!next.is_bus_master(device), "{device}");
    }
    assert!(next.is_held(DISK) && next.is_held(RIGHT));
    assert_eq!(said(&next, "NotAsLeft"), 1, "one SMMU, one line");
    let words = [u64::from(DISK)];
    let (code, _) = next.now(task(4), iommu_api::Operation::Claim, &words);
    assert_ne!(code, 0);
}

/// A life that the PCI task does not answer says so once, and of nothing that runs.
#[test]
fn an_smmu_that_waits_for_the_pci_task_is_told_of() {
    for (running, told) in [(false, 1), (true, 0)] {
        let mut rig = Rig::cold();
        if running {
            rig.server.boot();
        }
        rig.around.borrow_mut().no_pci = Some(pci_api::client::Failure::Down);
        if !running {
            rig.server.boot();
        }
        rig.around.borrow_mut().lines.clear();
        rig.server.on_pci_up();
        assert_eq!(said(&rig, "NoPci"), told);
    }
}

/// Nor is one that is refused for another reason: that was said.
#[test]
fn an_smmu_that_is_refused_does_not_wait() {
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.idr[0] = 0;
    rig.around.borrow_mut().no_pci = Some(pci_api::client::Failure::Down);
    rig.server.boot();
    assert_eq!(said(&rig, "SmmuRefused"), 1);
    rig.server.on_pci_up();
    assert_eq!(said(&rig, "SmmuRefused"), 1);
}

/// The log lists what somebody can claim, and what was to be claimable and is not.
#[test]
fn what_nobody_is_to_claim_is_not_listed() {
    let mut rig = Rig::booted();
    let of = |rig: &Rig, name: &str| {
        let around = rig.around.borrow();
        let lines = around.lines.iter();
        lines
            .filter(|line| line.starts_with("Device(") && line.contains(name))
            .count()
    };
    for (name, listed) in [("rp1", 0), ("disk", 1), ("edu", 1)] {
        assert_eq!(of(&rig, name), listed, "{name}");
    }
    // Only news is told of again.
    rig.server.on_pci_up();
    assert_eq!(of(&rig, "disk"), 1);
}

/// What the SMMU says of itself is in the log, for people who bring a board up.
#[test]
fn identification_registers_are_told() {
    let rig = Rig::booted();
    let idr = rig.smmu.0.borrow().behaviour.idr;
    let around = rig.around.borrow();
    let told = around.lines.iter().find(|line| line.contains("registers"));
    let told = told.unwrap();
    for value in [idr[0], idr[1]] {
        assert!(told.contains(&std::format!("{value}")), "{value} in {told}");
    }
}

#[test]
fn pins_of_others_stay_with_their_devices() {
    let mut rig = Rig::booted();
    let (mut disk, mut edu) = (rig.claim(task(4), DISK), rig.claim(task(5), EDU));
    rig.around.borrow_mut().lease = Some(crate::hardware::Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    let flags = iommu_api::MapFlags::READ_WRITE;
    disk.map_lease(&mut rig, 1, flags).unwrap();
    let lent = edu.map_lease(&mut rig, 1, flags).unwrap();
    disk.release(&mut rig);
    rig.server.on_quiesced();
    assert_eq!(rig.around.borrow().pins.len(), 1);
    assert_eq!(edu.unmap(&mut rig, lent, 1), Ok(0));
    assert!(rig.around.borrow().pins.is_empty());
}
