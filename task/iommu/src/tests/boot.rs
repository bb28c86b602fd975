use std::cell::RefCell;
use std::rc::Rc;

use iommu_api::*;
use pci_api::client::Failure;
use plan::Name;
use plan::iommu::SmmuEntry;
use smmu::Command;
use smmu::registers::*;
use userlib::protocol::Wire;

use super::fake::Handle as Smmu;
use super::rig::*;
use crate::boot::Refusal;
use crate::{Reply, Server};

#[test]
fn turns_on_with_every_stream_aborting() {
    let mut rig = Rig::booted();
    let fake = rig.smmu.0.clone();
    assert_eq!(fake.borrow().get(CR0), 0b1101);
    assert!(gbpa::ABORT.is_set32(fake.borrow().get(GBPA)));
    assert_eq!(
        fake.borrow().commands,
        [
            Command::ConfigAll,
            Command::Sync,
            Command::TlbAll,
            Command::Sync
        ]
    );
    for stream in (0..=0xffff).step_by(7) {
        assert_eq!(rig.reach(stream, 0x1000), None);
    }
    assert_eq!(
        rig.server.take_unmask(),
        1 << 16 | 1 << 17,
        "both interrupts are wanted"
    );
    assert!(rig.logged("reset_bypass_closed: true"));
    assert!(!rig.server.is_refused());
}

#[test]
fn waits_for_what_an_earlier_life_wrote() {
    // It died between its last write to CR0 and the acknowledgement of it: turning on, turning off.
    for (written, acknowledged) in [(0b1101, 0b1100), (0b0000, 0b1101)] {
        let mut rig = Rig::cold();
        let fake = rig.smmu.0.clone();
        let soon = fake.borrow().time + 20_000;
        fake.borrow_mut().set(CR0, written);
        fake.borrow_mut().behaviour.lagging = Some((soon, acknowledged));
        rig.server.boot();
        assert_eq!(fake.borrow().get(CR0), 0b1101);
        assert!(rig.logged("adopted: false"));
    }
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.lagging = Some((u64::MAX, 0b1100));
    rig.server.boot();
    assert!(rig.logged("why: ControlTimeout"));
}

/// A register that followed while the task was not run has followed in time.
#[test]
fn a_register_is_looked_at_once_more() {
    for (written, acknowledged) in [(0b1101, 0b1100), (0b0000, 0b1101)] {
        let mut rig = Rig::cold();
        let mut fake = rig.smmu.0.borrow_mut();
        fake.set(CR0, written);
        fake.behaviour.lagging = Some((fake.time + 500_000_000, acknowledged));
        fake.behaviour.preempted_in = Some(2);
        drop(fake);
        rig.server.boot();
        assert!(rig.logged("adopted: false"));
    }
}

/// So has a command that an earlier life had queued.
#[test]
fn a_successor_looks_once_more_at_the_queue() {
    for clocks in 0..8 {
        let mut rig = Rig::booted();
        let _ = two_leases(&mut rig);
        rig.smmu.0.borrow_mut().behaviour.stuck = true;
        rig.queue_behind_its_back(&[Command::TlbAll, Command::Sync]);
        rig.smmu.0.borrow_mut().behaviour.preempted_in = Some(clocks);
        let mut next = successor(&rig);
        assert!(next.logged("adopted: true"), "{clocks}");
        next.claim(task(4), DISK);
    }
}

#[test]
fn invalidations_of_two_worlds_are_not_in_one_batch() {
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.idr[0] |= 1 << 9;
    rig.server.boot();
    let commands = rig.smmu.0.borrow().commands.clone();
    assert_eq!(
        commands,
        [
            Command::ConfigAll,
            Command::Sync,
            Command::TlbAll,
            Command::Sync,
            Command::TlbEl2All,
            Command::Sync
        ]
    );
}

#[test]
fn runs_without_gbpa() {
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.has_gbpa = false;
    rig.server.boot();
    assert_eq!(rig.smmu.0.borrow().get(CR0), 0b1101);
    assert!(rig.logged("reset_bypass_closed: false"));
}

/// Boots after `spoil` and checks that the SMMU is refused, and that nothing was opened.
fn refused(why: Refusal, spoil: impl FnOnce(&mut Rig)) {
    let mut rig = Rig::cold();
    spoil(&mut rig);
    rig.server.boot();
    assert!(
        rig.logged(&std::format!("why: {why:?}")),
        "{why:?}: {:?}",
        rig.around.borrow().lines
    );
    assert_eq!(rig.smmu.0.borrow().get(CR0) & 1, 0);
    let (code, _) = rig.now(task(4), Operation::Claim, &[1]);
    assert_eq!(Error::from_code(code), Some(Error::Unavailable));
    assert!(rig.server.is_refused(), "by the plan's policy");
}

/// A device of another SMMU is given or not, by the policy.
#[test]
fn one_smmu_that_differs_can_refuse_all() {
    for refuses in [false, true] {
        let mut plan = plan();
        let own = SmmuEntry {
            refuse_on_mismatch: u32::from(refuses),
            ..plan.smmus[0]
        };
        let other = SmmuEntry {
            name: Name::new("other"),
            ..own
        };
        plan.smmus = std::vec![own, other].leak();
        let good = Smmu(Rc::new(RefCell::new(tables(&plan))));
        let bad = Smmu(Rc::new(RefCell::new(tables(&plan))));
        bad.0.borrow_mut().behaviour.idr[0] = 0x0d40_1018;
        let around = Rc::new(RefCell::new(Around::default()));
        let hardware = |entry: &SmmuEntry| match entry.name.as_str() {
            "other" => bad.clone(),
            _ => good.clone(),
        };
        let mut server = Server::new(plan, Shared(around.clone()), hardware).unwrap();
        server.boot();
        assert_eq!(server.is_refused(), refuses);
        let mut rig = Rig {
            server,
            smmu: good,
            around,
        };
        match rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]) {
            Reply::Later => assert!(!refuses),
            Reply::Now { code, .. } => {
                assert!(refuses && code == Error::Blocked as u32, "{code}");
            }
        }
    }
}

#[test]
fn refuses_what_it_cannot_use() {
    let idr = |register: usize, value: u32| {
        move |rig: &mut Rig| rig.smmu.0.borrow_mut().behaviour.idr[register] = value
    };
    refused(Refusal::NoRegisters, idr(0, !0));
    refused(Refusal::NoStage1, idr(0, 0x0d40_1018));
    refused(Refusal::NoTables, idr(0, 0x0d40_1016));
    refused(Refusal::NoTables, idr(3, 0x44));
    refused(Refusal::NotCoherent, idr(0, 0x0d40_100a));
    refused(Refusal::StallOnly, idr(0, 0x0e40_101a));
    refused(Refusal::NoTwoLevelStreams, idr(0, 0x0540_101a));
    refused(Refusal::PresetBases, idr(1, 0x2273_0010));
    refused(Refusal::StreamBits, idr(1, 0x0273_000c));
    refused(Refusal::QueueSize, idr(1, 0x0063_0010));
    // 32 bits of output do not reach the tables.
    refused(Refusal::TableMemory, idr(3, 0x70));
}

#[test]
fn refuses_tables_that_are_not_as_planned() {
    let word = |offset: u64, value: u64| {
        move |rig: &mut Rig| rig.smmu.0.borrow_mut().put(offset, &[value])
    };
    // An entry of nobody that is in bypass.
    refused(Refusal::StreamTable, word(0x4000 + 200 * 64, 0b1001));
    refused(Refusal::StreamTable, word(0x8000, 0));
    refused(Refusal::StreamTable, word(8, 0));
    refused(Refusal::ContextDescriptor, word(0xc000, 0));
    refused(Refusal::ContextDescriptor, word(0xc000 + 24, 0));
    refused(Refusal::PageTables, word(0x1_1000, 0));
    refused(Refusal::PageTables, word(0x1_0000 + 4 * 8, 0));
}

#[test]
fn commands_that_never_complete() {
    refused(Refusal::CommandTimeout, |rig| {
        rig.smmu.0.borrow_mut().behaviour.stuck = true;
    });
}

#[test]
fn narrows_the_output_size_to_the_hardware() {
    let mut rig = Rig::cold();
    // 42 bits: enough for the tables and pools, less than the image says.
    rig.smmu.0.borrow_mut().behaviour.idr[3] = 0x73;
    rig.server.boot();
    let word = rig.smmu.0.borrow().word(0xc000);
    assert_eq!(smmu::context::cd::IPS.get(word), 3);
}

#[test]
fn stall_capable_smmu_gets_stalls_disabled() {
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.idr[0] = 0x0c40_101a;
    rig.server.boot();
    let word = rig.smmu.0.borrow().word(0x8000 + 8);
    assert!(smmu::stream::ste::S1STALLD.is_set(word));
}

#[test]
fn a_refused_boot_blocks_all() {
    let mut rig = Rig::cold();
    rig.around.borrow_mut().refused = true;
    rig.server.boot();
    let (code, _) = rig.now(task(4), Operation::Claim, &[1]);
    assert_eq!(Error::from_code(code), Some(Error::Blocked));
}

#[test]
fn waits_for_the_pci_task() {
    let mut rig = Rig::cold();
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    rig.server.boot();
    assert_eq!(rig.smmu.0.borrow().get(CR0), 0, "not touched");
    rig.around.borrow_mut().no_pci = None;
    rig.server.on_pci_up();
    rig.claim(task(4), DISK);
}

#[test]
fn a_successor_adopts_what_is_open() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 3, 2);
    let mut edu = rig.claim(task(5), EDU);
    edu.map_any(&mut rig, 0, 1);
    edu.release(&mut rig);
    rig.server.on_quiesced();
    let before = rig.smmu.0.borrow().commands.len();

    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert!(next.logged("adopted: true"));
    assert_eq!(next.reach(0x100, iova), Some(POOL + 3 * 4096));
    assert_eq!(next.reach(0x008, BASE), None);
    assert!(next.smmu.0.borrow().commands.len() > before);
    // The old handle is not of the new server's claims; claiming again gives the claim that exists.
    assert_eq!(
        disk.map(&mut next, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::StaleHandle)
    );
    let mut again = next.claim(task(4), DISK);
    assert_eq!(next.status(DISK).mapped_pages, 2);
    let other = again.map_any(&mut next, 0, 1);
    assert_ne!(other & !4096, iova & !4096, "not over what is mapped");
    assert_eq!(again.unmap(&mut next, iova, 2), Ok(0));
    assert_eq!(next.reach(0x100, iova), None);
}

#[test]
fn a_successor_contains_what_died_meanwhile() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    for hold in &mut rig.around.borrow_mut().holds {
        hold.2 = true;
    }
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert_eq!(next.reach(0x100, iova), None);
    assert!(next.is_held(DISK));
    next.server.on_quiesced();
    assert!(!next.is_held(DISK));
    assert_eq!(next.status(DISK).mapped_pages, 0);
}

/// Two leases of a lender, three pages and two.
fn two_leases(rig: &mut Rig) -> (Driver, u64, u64) {
    let mut disk = rig.claim(task(4), DISK);
    let mut lease = |pa, pages| {
        rig.around.borrow_mut().lease = Some(crate::hardware::Pinned {
            slot: 0,
            pa,
            readable: true,
            writable: true,
        });
        disk.map_lease(rig, pages, MapFlags::READ_WRITE).unwrap()
    };
    let one = lease(0x7000_0000, 3);
    let two = lease(0x7000_4000, 2);
    (disk, one, two)
}

fn successor(rig: &Rig) -> Rig {
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    next
}

#[test]
fn a_successor_lifts_each_pin_when_its_lease_is_unmapped() {
    let mut rig = Rig::booted();
    let (_, one, two) = two_leases(&mut rig);
    let mut next = successor(&rig);
    let mut disk = next.claim(task(4), DISK);
    assert_eq!(next.around.borrow().pins.len(), 2);
    assert_eq!(disk.unmap(&mut next, one, 2), Err(Error::PartOfLease));
    disk.unmap(&mut next, one, 3).unwrap();
    assert_eq!(next.around.borrow().pins.len(), 1);
    disk.unmap(&mut next, two, 2).unwrap();
    assert!(next.around.borrow().pins.is_empty());
}

#[test]
fn a_pin_that_nothing_is_mapped_for_is_lifted_by_the_successor() {
    let mut rig = Rig::booted();
    let (_, one, two) = two_leases(&mut rig);
    // The server died between the entries and the pin.
    let first = rig.server.plan.domains[0].leaf + (one - BASE) / 4096 * 8;
    rig.smmu.0.borrow_mut().put(first, &[0, 0, 0]);
    let next = successor(&rig);
    let pins = next.around.borrow().pins.clone();
    assert_eq!(pins.len(), 1);
    assert_eq!(
        next.around.borrow().pinned[&pins[0].0],
        (0x7000_4000, 0x2000)
    );
    assert!(next.reach(0x100, two).is_some());
}

#[test]
fn pins_that_cannot_be_told_apart_stay_until_all_is_unmapped() {
    let mut rig = Rig::booted();
    let (mut disk, ..) = two_leases(&mut rig);
    // One page of the first lease is found where none of its pins can explain it.
    let stray = disk.map_any(&mut rig, 0, 1);
    let entry = rig.server.plan.domains[0].leaf + (stray - BASE) / 4096 * 8;
    let word = rig.smmu.0.borrow().word(entry);
    let copy = word & !0xffff_ffff_f000 | 0x7000_1000;
    rig.smmu.0.borrow_mut().put(entry, &[copy]);
    let mut next = successor(&rig);
    let mut disk = next.claim(task(4), DISK);
    disk.unmap(&mut next, BASE, 3).unwrap();
    assert_eq!(next.around.borrow().pins.len(), 2);
    disk.release(&mut next);
    next.server.on_quiesced();
    assert!(next.around.borrow().pins.is_empty());
}

#[test]
fn a_claim_in_the_making_is_forgone_and_a_release_has_to_be_repeated() {
    let mut rig = Rig::booted();
    let mut edu = rig.claim(task(5), EDU);
    let iova = edu.map_any(&mut rig, 0, 1);
    edu.release(&mut rig);
    rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
    assert!(rig.is_held(DISK) && rig.is_held(EDU));
    let mut next = successor(&rig);
    assert!(!next.is_held(DISK));
    assert!(next.is_held(EDU));
    assert_eq!(next.reach(0x008, iova), None, "closed stays closed");
    let mut edu = next.claim(task(5), EDU);
    let mapped = edu.map(&mut next, 0, 1, 1, MapFlags::READ, 0);
    assert_eq!(mapped, Err(Error::StreamBlocked));
    edu.release(&mut next);
    next.server.on_quiesced();
    assert!(!next.is_held(EDU));
    next.claim(task(4), DISK);
}

#[test]
fn a_shared_stream_stays_open_for_the_member_that_uses_it() {
    let mut rig = Rig::booted();
    let mut right = rig.claim(task(6), RIGHT);
    let iova = right.map_any(&mut rig, 0, 1);
    let mut next = successor(&rig);
    assert!(next.reach(0x010, iova).is_some());
    assert!(!next.status(LEFT).flags.has(StatusFlags::OPEN));
    assert!(next.status(RIGHT).flags.has(StatusFlags::OPEN));
}

#[test]
fn a_device_without_a_recipe_is_not_claimed_first_again_after_a_restart() {
    let mut rig = Rig::booted();
    let no_recipe = Failure::Refused(pci_api::Error::NoRecipe);
    let claim = |rig: &mut Rig| {
        rig.around.borrow_mut().start_error = Some(no_recipe);
        rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
        let (_, code, payload, _) = rig.around.borrow_mut().replies.pop().unwrap();
        (code, payload)
    };
    let (code, payload) = claim(&mut rig);
    assert_eq!(code, 0);
    let handle = Claim::from_words(&payload).unwrap().handle;
    rig.now(task(4), Operation::Release, &[handle.0, 1]);
    let mut next = successor(&rig);
    assert_eq!(claim(&mut next).0, Error::NotQuiet as u32);
}

/// What each stream reaches of the first pages of its window.
fn reachable(rig: &mut Rig) -> std::vec::Vec<Option<u64>> {
    let places = |stream| (0..6).map(move |page| (stream, BASE + page * 4096));
    [0x100, 0x008, 0x010]
        .into_iter()
        .flat_map(places)
        .map(|(stream, iova)| rig.reach(stream, iova))
        .collect()
}

/// The server dies after each step of a history: its successor opens nothing, closes nothing of the living,
/// and goes on.
#[test]
fn the_death_of_the_server_opens_nothing() {
    let steps: [fn(&mut Rig); 7] = [
        |_| {},
        |rig| {
            let _ = rig.claim(task(4), DISK).map_any(rig, 3, 2);
        },
        |rig| {
            let _ = rig.claim(task(5), LEFT).map_any(rig, 0, 1);
        },
        |rig| {
            let _ = rig.claim(task(6), RIGHT).map_any(rig, 1, 1);
        },
        |rig| {
            let _ = rig.claim(task(5), EDU).map_any(rig, 1, 1);
        },
        |rig| {
            let _ = rig.claim(task(4), DISK).unmap(rig, BASE, 1);
        },
        |rig| {
            let mut edu = rig.claim(task(5), EDU);
            edu.unmap(rig, BASE, 1).unwrap();
            edu.release(rig);
        },
    ];
    let mut rig = Rig::booted();
    for (number, step) in steps.into_iter().enumerate() {
        step(&mut rig);
        let before = reachable(&mut rig);
        let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
        next.server.boot();
        assert_eq!(reachable(&mut next), before, "step {number}");
        rig = next;
    }
    assert!(reachable(&mut rig).iter().any(Option::is_some));
}

#[test]
fn no_stream_takes_translated_accesses_or_address_spaces_of_a_device() {
    for ats in [false, true] {
        let mut rig = Rig::cold();
        if ats {
            rig.smmu.0.borrow_mut().behaviour.idr[0] |= 1 << 10;
        }
        rig.server.boot();
        let checked = cr0::ATSCHK.is_set32(rig.smmu.0.borrow().get(CR0));
        assert_eq!(checked, ats);
        for (owner, device) in [(4, DISK), (5, EDU), (5, LEFT), (6, RIGHT)] {
            rig.claim(task(owner), device);
        }
        for stream in rig.server.plan.streams {
            let words = [0, 1].map(|word| rig.smmu.0.borrow().word(stream.entry + word * 8));
            assert_eq!(smmu::stream::ste::CONFIG.get(words[0]), 0b101, "stage 1");
            assert_eq!(smmu::stream::ste::S1CDMAX.get(words[0]), 0, "one context");
            assert_eq!(smmu::stream::ste::EATS.get(words[1]), 0, "no ATS");
        }
    }
}
