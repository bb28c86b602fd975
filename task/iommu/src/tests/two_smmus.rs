//! Two SMMUs: what happens to one is nothing to the devices of the other.

use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

use plan::Name;
use smmu::registers::CR0;

use super::fake::Handle as Smmu;
use super::rig::*;
use crate::Server;
use crate::plan_view::PlanView;

/// [`EDU`] and its alternative are behind the second one, all else, [`DISPLAY`] with its direct region too, behind the first.
fn plan_of_two(refuse_on_mismatch: u32) -> PlanView<'static> {
    let mut plan = always_open_plan();
    let mut smmus = plan.smmus.to_vec();
    smmus[0].refuse_on_mismatch = refuse_on_mismatch;
    let mut second = smmus[0];
    second.name = Name::new("second");
    (second.event_interrupt, second.error_interrupt) = (1 << 18, 1 << 19);
    smmus.push(second);
    let mut domains = plan.domains.to_vec();
    let mut streams = plan.streams.to_vec();
    for number in [1, 3] {
        domains[number].smmu = 1;
    }
    for stream in streams
        .iter_mut()
        .filter(|stream| stream.stream_id == 0x008)
    {
        stream.smmu = 1;
    }
    plan.smmus = Vec::leak(smmus);
    plan.domains = Vec::leak(domains);
    plan.streams = Vec::leak(streams);
    plan
}

struct Two {
    /// With the first SMMU.
    rig: Rig,
    second: Smmu,
    plan: PlanView<'static>,
}

impl Two {
    fn cold(refuse_on_mismatch: u32) -> Self {
        let plan = plan_of_two(refuse_on_mismatch);
        let smmu = |fake| Smmu(Rc::new(RefCell::new(fake)));
        let around = Rc::new(RefCell::new(Around::default()));
        let (first, second) = (smmu(tables(&plan)), smmu(tables(&super::rig::plan())));
        Self::over(plan, first, second, around)
    }

    fn over(
        plan: PlanView<'static>,
        first: Smmu,
        second: Smmu,
        around: Rc<RefCell<Around>>,
    ) -> Self {
        let server = Server::new(plan, Shared(around.clone()), |entry| {
            match entry.name.as_str() {
                "second" => second.clone(),
                _ => first.clone(),
            }
        });
        let rig = Rig {
            server: server.unwrap(),
            smmu: first,
            around,
        };
        Self { rig, second, plan }
    }

    fn successor(&self) -> Self {
        let (first, around) = (self.rig.smmu.clone(), self.rig.around.clone());
        Self::over(self.plan, first, self.second.clone(), around)
    }

    /// What the device behind the second one reaches.
    fn reach_of_edu(&self, iova: u64) -> Option<u64> {
        self.second.0.borrow_mut().access(0x008, iova, true)
    }

    /// A claim behind the second one, with a page mapped.
    fn edu(&mut self) -> (Driver, u64) {
        let mut edu = self.rig.claim(task(5), EDU);
        let iova = edu.map_any(&mut self.rig, 0, 1);
        assert!(self.reach_of_edu(iova).is_some());
        (edu, iova)
    }
}

#[test]
fn a_lost_smmu_takes_nobody_else_along() {
    let mut two = Two::cold(0);
    two.rig.server.boot();
    two.rig.claim(task(4), DISK);
    let (mut edu, iova) = two.edu();
    two.rig.smmu.0.borrow_mut().set(CR0, 0);
    let mut next = two.successor();
    next.rig.server.boot();
    for device in [DISK, LEFT, RIGHT, DISPLAY] {
        assert!(!next.rig.is_bus_master(device), "{device}");
    }
    assert!(next.rig.is_bus_master(EDU));
    assert!(next.reach_of_edu(iova).is_some());
    edu = next.rig.claim(edu.id, EDU);
    assert_eq!(edu.unmap(&mut next.rig, iova, 1), Ok(0));
}

#[test]
fn an_smmu_that_comes_up_opens_nothing_behind_another() {
    let mut two = Two::cold(1);
    two.rig.server.boot();
    let (_, iova) = two.edu();
    // Nobody is held for what is behind the first, so that it begins anew.
    two.rig.smmu.0.borrow_mut().set(CR0, 0);
    let mut next = two.successor();
    next.rig.server.boot();
    assert!(next.reach_of_edu(iova).is_some());
    let life = next.rig.server.devices[index(EDU)].life();
    assert!(life.is_open() && !life.is_always_open());
    let display = next.rig.server.devices[index(DISPLAY)].life();
    assert!(display.is_always_open());
}

#[test]
fn tables_of_one_say_nothing_of_the_other() {
    let mut two = Two::cold(1);
    two.rig.server.boot();
    two.rig.claim(task(4), DISK);
    let (_, iova) = two.edu();
    // In the memory of the first there is nothing of the domain behind the second.
    let context = two.plan.domains[1].context;
    two.rig.smmu.0.borrow_mut().put(context, &[!0; 8]);
    let mut next = two.successor();
    next.rig.server.boot();
    assert!(next.reach_of_edu(iova).is_some());
    assert!(next.rig.is_bus_master(EDU));
}

#[test]
fn a_refused_boot_closes_what_is_always_open_and_says_no_more() {
    let mut two = Two::cold(1);
    two.second.0.borrow_mut().behaviour.idr[0] = 0;
    two.rig.server.boot();
    assert!(two.rig.logged("SmmuRefused"));
    assert!(!two.rig.logged("CommandTimeout"));
    assert!(!two.rig.is_bus_master(DISPLAY));
    assert_eq!(two.rig.reach(0x018, DIRECT), None);
}
