//! What a life of the server had half done when it died, judged by a successor that the PCI task does not answer: its
//! first answer decides, and nobody is disturbed who has nothing to do with it.

use iommu_api::*;
use pci_api::client::Failure;

use super::always_open::{DIRECT_POOL, identity_always_open_plan};
use super::rig::*;
use crate::Reply;

/// How often the PCI task answers before it is gone again, in the life that speaks first.
const ANSWERS: core::ops::Range<u32> = 0..40;

/// A successor that the PCI task does not answer.
fn successor(rig: &Rig) -> Rig {
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    let mut next = Rig::with(rig.server.plan, rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    next
}

/// A life of the PCI task that is gone again after so many answers, and one that stays.
fn pci_answers(rig: &mut Rig, answers: u32) {
    rig.around.borrow_mut().restart_pci();
    rig.around.borrow_mut().pci_answers = Some(answers);
    rig.server.on_pci_up();
    rig.around.borrow_mut().restart_pci();
    rig.server.on_pci_up();
}

/// Ends every quiesce.
fn quiet(rig: &mut Rig) {
    rig.around.borrow_mut().result = None;
    rig.server.on_quiesced();
}

/// Bus mastering was off before, so nothing was lost; and through the streams it shares nobody else is cut off.
#[test]
fn a_release_of_a_shared_stream_takes_nobody_along() {
    for answers in ANSWERS {
        let mut rig = Rig::booted();
        let mut left = rig.claim(task(5), LEFT);
        let mut right = rig.claim(task(6), RIGHT);
        left.map_any(&mut rig, 0, 1);
        let other = right.map_any(&mut rig, 1, 1);
        assert_eq!(left.release(&mut rig), Reply::Later);
        let mut rig = successor(&rig);
        pci_answers(&mut rig, answers);
        assert!(rig.is_bus_master(RIGHT), "{answers}");
        assert!(rig.reach(0x010, other).is_some(), "{answers}");
        let mut right = rig.claim(task(6), RIGHT);
        assert_eq!(right.unmap(&mut rig, other, 1), Ok(0));
        // The other has to be released again, and is told so.
        assert!(!rig.logged("StateLost"), "{answers}");
        assert_eq!(rig.around.borrow().posts, [5], "{answers}");
        let flags = rig.status(LEFT).flags;
        assert!(flags.has(StatusFlags::STORM) && !flags.has(StatusFlags::OPEN));
        let mut left = rig.claim(task(5), LEFT);
        let refused = left.map(&mut rig, 0, 0, 1, MapFlags::READ, 0);
        assert_eq!(refused, Err(Error::StreamBlocked));
        assert_eq!(left.release(&mut rig), Reply::Later);
        assert!(rig.is_held(LEFT), "before it is quiet");
        quiet(&mut rig);
        assert!(!rig.is_held(LEFT) && rig.is_bus_master(RIGHT));
        assert_eq!(rig.status(LEFT).mapped_pages, 0);
    }
}

/// The same with one that a storm had cut off, whose mate was released and claimed again since.
#[test]
fn a_claim_that_was_cut_off_takes_nobody_along() {
    for answers in ANSWERS {
        let mut rig = Rig::booted();
        rig.claim(task(5), LEFT).map_any(&mut rig, 0, 1);
        rig.server.revoke(index(LEFT));
        let other = rig.claim(task(6), RIGHT).map_any(&mut rig, 1, 1);
        rig.around.borrow_mut().posts.clear();
        let mut rig = successor(&rig);
        pci_answers(&mut rig, answers);
        assert!(rig.is_bus_master(RIGHT) && !rig.is_bus_master(LEFT));
        assert!(rig.reach(0x010, other).is_some(), "{answers}");
        assert_eq!(rig.around.borrow().posts, [5], "{answers}");
        assert!(rig.status(LEFT).flags.has(StatusFlags::STORM));
    }
}

/// What is on is taken for what it is: both go on.
#[test]
fn claims_of_a_shared_stream_go_on() {
    for answers in ANSWERS {
        let mut rig = Rig::booted();
        let iova = rig.claim(task(5), LEFT).map_any(&mut rig, 0, 1);
        rig.claim(task(6), RIGHT).map_any(&mut rig, 1, 1);
        let mut rig = successor(&rig);
        pci_answers(&mut rig, answers);
        assert!(rig.is_bus_master(LEFT) && rig.is_bus_master(RIGHT));
        assert!(rig.around.borrow().posts.is_empty(), "{answers}");
        assert_eq!(rig.claim(task(5), LEFT).unmap(&mut rig, iova, 1), Ok(0));
        // Once it was answered, a loss is a loss again.
        rig.around.borrow_mut().lose(RIGHT);
        rig.server.on_pci_up();
        assert!(rig.logged("StateLost"));
        assert!(rig.status(LEFT).flags.has(StatusFlags::STORM));
    }
}

/// What is always open stays open, whoever uses its streams beside it, and whether or not anybody has claimed it.
#[test]
fn what_is_open_beside_a_claim_stays_open() {
    for (claimed, mapped) in [(false, false), (false, true), (true, false), (true, true)] {
        for answers in ANSWERS {
            let mut rig = Rig::planned(always_open_plan());
            rig.server.boot();
            if claimed {
                rig.claim(task(6), DISPLAY);
            }
            let mut mate = rig.claim(task(5), MATE);
            if mapped {
                mate.map_any(&mut rig, 0, 1);
            }
            rig.around.borrow_mut().bus_master = [(DISPLAY, true), (MATE, true)].into();
            let mut rig = successor(&rig);
            let case = std::format!("{claimed}, {mapped}, {answers}");
            assert_eq!(rig.read(0x018, DIRECT), Some(DIRECT), "{case}");
            pci_answers(&mut rig, answers);
            assert_eq!(rig.read(0x018, DIRECT), Some(DIRECT), "{case}");
            assert!(rig.is_bus_master(DISPLAY), "{case}");
            assert_eq!(rig.is_bus_master(MATE), mapped, "{case}");
            let off = (DISPLAY, false);
            assert!(!rig.around.borrow().bus_master.contains(&off), "{case}");
            let flags = rig.status(DISPLAY).flags;
            assert!(flags.has(StatusFlags::OPEN), "{case}");
            quiet(&mut rig);
            rig.claim(task(6), DISPLAY);
        }
    }
}

/// But not one whose claim has to be released.
#[test]
fn what_has_to_be_released_is_not_opened() {
    let mut rig = Rig::planned(identity_always_open_plan());
    rig.server.boot();
    rig.claim(task(6), DISPLAY);
    rig.claim(task(5), MATE);
    assert_eq!(rig.read(0x018, DIRECT_POOL), Some(DIRECT_POOL));
    let mut rig = successor(&rig);
    assert!(rig.status(DISPLAY).flags.has(StatusFlags::STORM));
    assert_eq!(rig.read(0x018, DIRECT_POOL), None);
    assert_eq!(rig.read(0x018, DIRECT), None);
}

/// Alone too: a PCI task that is gone again before it has spoken of a device has not spoken against it.
#[test]
fn what_is_open_alone_stays_open() {
    for answers in ANSWERS {
        let mut rig = Rig::planned(always_open_plan());
        rig.server.boot();
        rig.around.borrow_mut().bus_master = [(DISPLAY, true)].into();
        let mut rig = successor(&rig);
        pci_answers(&mut rig, answers);
        assert_eq!(rig.read(0x018, DIRECT), Some(DIRECT), "{answers}");
        let off = (DISPLAY, false);
        assert!(!rig.around.borrow().bus_master.contains(&off), "{answers}");
    }
}

/// What was cut off is not turned on again because nobody answered what it was.
#[test]
fn what_was_cut_off_beside_a_claim_stays_so() {
    for answers in ANSWERS {
        let mut rig = Rig::planned(always_open_plan());
        rig.server.boot();
        rig.server.revoke(index(DISPLAY));
        let iova = rig.claim(task(5), MATE).map_any(&mut rig, 0, 1);
        assert!(!rig.is_bus_master(DISPLAY));
        let mut rig = successor(&rig);
        pci_answers(&mut rig, answers);
        rig.server.on_pci_up();
        assert!(!rig.is_bus_master(DISPLAY), "{answers}");
        assert!(rig.is_bus_master(MATE), "{answers}");
        assert!(rig.reach(0x018, iova).is_some());
        quiet(&mut rig);
        rig.claim(task(6), DISPLAY);
        assert!(rig.is_bus_master(DISPLAY));
    }
}

/// A release had cut it off; when that is over it is open again.
#[test]
fn what_a_half_done_release_had_cut_off_is_open_after_it() {
    for answers in ANSWERS {
        let mut plan = always_open_plan();
        let mut devices = plan.devices.to_vec();
        let third = DISPLAY + 2;
        devices.push(plan::iommu::DeviceEntry {
            name: plan::Name::new("third"),
            owner: 4,
            ..devices[MATE as usize]
        });
        plan.devices = devices.leak();
        let mut rig = Rig::planned(plan);
        rig.server.boot();
        rig.claim(task(4), third).map_any(&mut rig, 0, 1);
        let mut mate = rig.claim(task(5), MATE);
        mate.map_any(&mut rig, 0, 1);
        assert_eq!(mate.release(&mut rig), Reply::Later);
        assert!(!rig.is_bus_master(DISPLAY));
        let mut rig = successor(&rig);
        pci_answers(&mut rig, answers);
        assert!(!rig.is_bus_master(DISPLAY), "{answers}");
        assert!(rig.is_bus_master(third), "{answers}");
        let mut mate = rig.claim(task(5), MATE);
        assert_eq!(mate.release(&mut rig), Reply::Later);
        quiet(&mut rig);
        assert!(!rig.is_held(MATE));
        assert!(rig.is_bus_master(DISPLAY), "{answers}");
        assert_eq!(rig.read(0x018, DIRECT), Some(DIRECT));
    }
}

/// A life of the PCI task knows of an earlier one that a quiesce failed. One that was to begin when nobody answered has
/// not failed for that.
#[test]
fn a_quiesce_that_was_never_begun_has_not_failed() {
    // A claim, a release and a death; and one for the sake of what shares its streams.
    let begin: [fn(&mut Rig, &mut Driver); 4] = [
        |rig, _| {
            let words = [u64::from(EDU)];
            assert_eq!(rig.ask(task(5), Operation::Claim, &words), Reply::Later);
        },
        |rig, disk| assert_eq!(disk.release(rig), Reply::Later),
        |rig, _| rig.die(4),
        |rig, _| {
            rig.server.revoke(index(LEFT));
            rig.die(6);
        },
    ];
    for begin in begin {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        disk.map_any(&mut rig, 0, 1);
        rig.claim(task(5), LEFT).map_any(&mut rig, 0, 1);
        rig.claim(task(6), RIGHT).map_any(&mut rig, 0, 1);
        let before = rig.around.borrow().started.len();
        rig.around.borrow_mut().no_pci = Some(Failure::Down);
        begin(&mut rig, &mut disk);
        rig.around.borrow_mut().restart_pci();
        rig.fail_quiesce();
        rig.server.on_pci_up();
        assert!(rig.around.borrow().started.len() > before);
        assert!(!rig.logged("Stuck") && rig.around.borrow().replies.is_empty());
        quiet(&mut rig);
        let around = rig.around.borrow();
        assert!(around.replies.iter().all(|reply| reply.1 == 0));
        let ended = around.holds.iter().all(|hold| !hold.2);
        assert!(ended && !around.lines.iter().any(|line| line.contains("Stuck")));
    }
}
