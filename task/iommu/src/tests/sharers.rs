//! What comes of making others of an alias set quiet: `edu`, `left` (both of task 5) and `right` (task 6) are one here.

use std::vec::Vec;

use iommu_api::StatusFlags;
use pci_api::client::Failure;
use pci_api::{QuiesceFailure, QuiesceState};

use super::rig::*;
use crate::life::ForSharers;
use crate::plan_view::PlanView;
use crate::quiesce_sharers::Sharers;
use crate::why::NotQuiet;

fn three() -> PlanView<'static> {
    let mut plan = plan();
    let mut devices = plan.devices.to_vec();
    let left = devices[LEFT as usize];
    let third = &mut devices[EDU as usize];
    third.domain = left.domain;
    (third.streams, third.stream_count) = (left.streams, left.stream_count);
    plan.devices = Vec::leak(devices);
    plan
}

fn result(rig: &Rig, device: u32, state: QuiesceState) {
    rig.around.borrow_mut().results.insert(device, state);
}

/// What is not quiet stays so, whatever comes of the others: who waits is answered at once.
#[test]
fn one_that_is_not_quiet_is_not_waited_with() {
    let mut rig = Rig::planned(three());
    rig.server.boot();
    for (owner, device) in [(5, EDU), (5, LEFT), (6, RIGHT)] {
        rig.claim(task(owner), device).map_any(&mut rig, 0, 1);
    }
    result(&rig, EDU, QuiesceState::Failed(QuiesceFailure::Deadline));
    result(&rig, LEFT, QuiesceState::Running);
    rig.die(6);
    rig.server.on_quiesced();
    let of = |rig: &Rig, device| rig.server.devices[index(device)].life().for_sharers();
    assert_eq!(of(&rig, EDU), ForSharers::Failed);
    assert_eq!(of(&rig, LEFT), ForSharers::Running);
    assert!(rig.status(RIGHT).flags.has(StatusFlags::STUCK));
    assert!(rig.is_held(RIGHT));
    assert_eq!(rig.status(RIGHT).mapped_pages, 1);
}

/// A quiesce that another began, or of which the PCI task has not heard yet, ends like any other. One that it will never
/// begin does not.
#[test]
fn what_cannot_be_begun_is_told_apart_from_what_is_under_way() {
    let no_recipe = pci_api::Error::NoRecipe;
    for (failure, expected, why) in [
        (
            Failure::Refused(no_recipe),
            Sharers::NotQuiet,
            Some(NotQuiet::Refused(no_recipe)),
        ),
        (Failure::Retired, Sharers::NotQuiet, Some(NotQuiet::Unknown)),
        (
            Failure::Refused(pci_api::Error::Quiescing),
            Sharers::Wait,
            None,
        ),
        (Failure::Down, Sharers::Wait, None),
    ] {
        let mut rig = Rig::booted();
        rig.claim(task(5), LEFT);
        rig.claim(task(6), RIGHT);
        rig.server.revoke(index(RIGHT));
        rig.around.borrow_mut().start_error = Some(failure);
        let found = rig.server.quiesce_sharers(index(LEFT));
        assert_eq!(found, expected, "{failure:?}");
        let right = &rig.server.devices[index(RIGHT)];
        assert_eq!(right.not_quiet(), why, "{failure:?}");
        // Nor is it asked again.
        assert_eq!(rig.server.quiesce_sharers(index(LEFT)), expected);
    }
}
