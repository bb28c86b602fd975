//! Two SMMUs: what is told of one is nothing of the other. Behind the second are `edu` and its alternative.

use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

use iommu_api::*;
use pci_api::client::Failure;
use plan::Name;
use plan::iommu::SmmuEntry;
use smmu::registers::CR0;

use super::fake::Handle as Smmu;
use super::rig::*;
use crate::plan_view::PlanView;
use crate::{Reply, Server};

fn two() -> PlanView<'static> {
    let mut plan = plan();
    let first = SmmuEntry {
        refuse_on_mismatch: 0,
        ..plan.smmus[0]
    };
    let second = SmmuEntry {
        name: Name::new("second"),
        ..first
    };
    plan.smmus = Vec::leak(std::vec![first, second]);
    let mut domains = plan.domains.to_vec();
    for device in [EDU, SPARE] {
        domains[plan.devices[device as usize].domain as usize].smmu = 1;
    }
    plan.domains = Vec::leak(domains);
    let mut streams = plan.streams.to_vec();
    streams[plan.devices[EDU as usize].streams as usize].smmu = 1;
    plan.streams = Vec::leak(streams);
    plan
}

/// A life of the server over two SMMUs; the second is beside the rig, which knows the first.
fn life_over(first: Smmu, second: &Smmu, around: Rc<RefCell<Around>>) -> Rig {
    let hardware = |entry: &SmmuEntry| match entry.name.as_str() {
        "second" => second.clone(),
        _ => first.clone(),
    };
    let server = Server::new(two(), Shared(around.clone()), hardware).unwrap();
    let mut rig = Rig {
        server,
        smmu: first,
        around,
    };
    rig.server.boot();
    rig
}

fn booted() -> (Rig, Smmu) {
    let new = || Smmu(Rc::new(RefCell::new(tables(&two()))));
    let second = new();
    let rig = life_over(new(), &second, Rc::new(RefCell::new(Around::default())));
    (rig, second)
}

fn successor(rig: &Rig, second: &Smmu) -> Rig {
    rig.around.borrow_mut().lines.clear();
    life_over(rig.smmu.clone(), second, rig.around.clone())
}

fn is_on(smmu: &Smmu) -> bool {
    smmu.0.borrow().get(CR0) & 1 == 1
}

/// The first is off, and the disk's owner still held: all behind it is cut off, and nothing behind the second.
#[test]
fn what_is_lost_with_an_smmu_is_all_that_is_behind_it() {
    for answers in [None, Some(3)] {
        let (mut rig, second) = booted();
        rig.claim(task(4), DISK);
        let iova = rig.claim(task(5), EDU).map_any(&mut rig, 0, 1);
        rig.around.borrow_mut().bus_master.push((LEFT, true));
        rig.smmu.0.borrow_mut().set(CR0, 0);
        // The PCI task goes on, or is gone when it has turned off the three that are behind the first.
        rig.around.borrow_mut().pci_answers = answers;
        let before = rig.around.borrow().bus_master.len();
        let next = successor(&rig, &second);
        assert!(next.logged("why: NotAsLeft"));
        assert!(!is_on(&next.smmu) && is_on(&second));
        assert!(!next.is_bus_master(DISK) && !next.is_bus_master(LEFT));
        let calls = next.around.borrow().bus_master[before..].to_vec();
        assert!(calls.iter().all(|(device, _)| *device != EDU), "{calls:?}");
        assert!(next.is_bus_master(EDU));
        let reached = second.0.borrow_mut().access(0x008, iova, true);
        assert!(reached.is_some());
    }
}

/// What was refused for its own sake is not refused once more for what is lost with it.
#[test]
fn one_reason_is_enough_for_an_smmu() {
    let (mut rig, second) = booted();
    rig.claim(task(4), DISK);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    let next = successor(&rig, &second);
    assert!(next.logged("why: CommandTimeout"));
    assert!(!next.logged("why: NotAsLeft"));
    assert!(next.is_held(DISK) && !next.is_bus_master(DISK));
}

/// The second is turned on when the disk, behind the first, is claimed already: that is not open for good by it.
#[test]
fn what_is_claimed_behind_one_is_not_always_open_by_the_other() {
    let (mut rig, second) = booted();
    rig.claim(task(4), DISK);
    second.0.borrow_mut().set(CR0, 0);
    let mut next = successor(&rig, &second);
    assert!(next.logged("adopted: true") && next.logged("adopted: false"));
    let mut disk = next.claim(task(4), DISK);
    let iova = disk.map_any(&mut next, 0, 1);
    disk.unmap(&mut next, iova, 1).unwrap();
    assert!(matches!(
        disk.release(&mut next),
        Reply::Now { code: 0, .. }
    ));
    assert!(!next.is_bus_master(DISK));
    assert!(!next.status(DISK).flags.has(StatusFlags::OPEN));
}

/// People hear which SMMUs wait for the PCI task, and that is none that runs or is refused.
#[test]
fn without_the_pci_task_each_says_what_it_waits_for() {
    let waits = |rig: &Rig, name: &str| {
        rig.logged(&std::format!(
            "SmmuRefused {{ name: {name:?}, why: NoPci }}"
        ))
    };
    let (mut rig, second) = booted();
    rig.claim(task(4), DISK);
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    let next = successor(&rig, &second);
    assert!(!waits(&next, "smmu") && !waits(&next, "second"));
    second.0.borrow_mut().set(CR0, 0);
    let next = successor(&rig, &second);
    assert!(!waits(&next, "smmu") && waits(&next, "second"));
    second.0.borrow_mut().behaviour.idr[0] = !0;
    let next = successor(&rig, &second);
    assert!(next.logged("why: NoRegisters"));
    assert!(!waits(&next, "smmu") && !waits(&next, "second"));
}
