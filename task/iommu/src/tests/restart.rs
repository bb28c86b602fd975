//! Two things fail at once: the server, the PCI task, the SMMU, a driver.

use iommu_api::*;
use pci_api::client::Failure;

use super::rig::*;
use crate::Reply;
use crate::hardware::Pinned;

fn successor(rig: &Rig) -> Rig {
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    next
}

/// The disk claimed, with one page of its pool and two of a lease mapped.
fn in_use(rig: &mut Rig) -> (Driver, u64) {
    let mut disk = rig.claim(task(4), DISK);
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    let iova = disk.map_any(rig, 0, 1);
    disk.map_lease(rig, 2, MapFlags::READ_WRITE).unwrap();
    (disk, iova)
}

fn claim_code(rig: &mut Rig, owner: u8, device: u32) -> u32 {
    match rig.ask(task(owner), Operation::Claim, &[u64::from(device)]) {
        Reply::Now { code, .. } => code,
        Reply::Later => u32::MAX,
    }
}

fn is_kept(rig: &Rig) {
    assert!(rig.is_held(DISK));
    assert_eq!(rig.around.borrow().pins.len(), 1);
    assert!(!rig.is_bus_master(DISK));
}

/// The SMMU completes nothing any more: what an earlier life had given out stays held, life after life.
#[test]
fn a_successor_of_a_broken_smmu_gives_nothing_back() {
    let mut rig = Rig::booted();
    in_use(&mut rig);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    for _ in 0..2 {
        rig = successor(&rig);
        assert!(rig.logged("why: CommandTimeout"));
        is_kept(&rig);
        assert!(rig.status(DISK).flags.has(StatusFlags::STUCK));
        assert_eq!(claim_code(&mut rig, 4, DISK), Error::Unavailable as u32);
        rig.die(4);
        rig.server.on_quiesced();
        rig.server.on_pci_up();
        is_kept(&rig);
    }
    assert!(rig.server.is_refused());
}

/// Nor is anything given back that an SMMU leads to which is not on with the planned tables any more.
#[test]
fn a_successor_of_a_lost_smmu_gives_nothing_back() {
    let spoils: [fn(&mut crate::tests::fake::Fake); 3] = [
        |fake| fake.behaviour.idr[0] = !0,
        |fake| fake.set(smmu::registers::CR0, 0),
        |fake| {
            fake.registers.insert(smmu::registers::STRTAB_BASE, 0x1000);
        },
    ];
    for spoil in spoils {
        for dead in [false, true] {
            let mut rig = Rig::booted();
            in_use(&mut rig);
            spoil(&mut rig.smmu.0.borrow_mut());
            rig.around.borrow_mut().holds[0].2 = dead;
            let mut rig = successor(&rig);
            rig.server.on_quiesced();
            is_kept(&rig);
            assert_ne!(claim_code(&mut rig, 4, DISK), 0);
        }
    }
}

/// Without the PCI task the SMMU alone cuts the dead off, and the living go on.
#[test]
fn a_server_without_the_pci_task_cuts_off_the_dead_and_leaves_the_living() {
    let mut rig = Rig::booted();
    let (_, iova) = in_use(&mut rig);
    let other = rig.claim(task(5), EDU).map_any(&mut rig, 0, 1);
    let left = rig.claim(task(6), RIGHT).map_any(&mut rig, 0, 1);
    for hold in &mut rig.around.borrow_mut().holds {
        hold.2 = hold.0 == task(5);
    }
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    let mut rig = successor(&rig);
    assert_eq!(rig.reach(0x008, other), None, "the dead");
    assert!(rig.reach(0x100, iova).is_some());
    assert!(rig.reach(0x010, left).is_some());
    assert!(rig.is_held(EDU));
    // Nobody new is given anything; the living find their claims.
    assert_eq!(claim_code(&mut rig, 5, LEFT), Error::Unavailable as u32);
    let mut disk = rig.claim(task(4), DISK);
    assert_eq!(rig.status(DISK).mapped_pages, 3);
    let more = disk.map_any(&mut rig, 7, 1);
    assert!(rig.reach(0x100, more).is_some());
    // One that dies now is cut off as well.
    rig.die(4);
    assert_eq!(rig.reach(0x100, iova), None);
    assert_eq!(rig.around.borrow().pins.len(), 1, "not quiet yet");
    // And when there is a PCI task again, all of it is finished.
    rig.around.borrow_mut().restart_pci();
    rig.server.on_pci_up();
    rig.around.borrow_mut().result = None;
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK) && !rig.is_held(EDU) && rig.is_held(RIGHT));
    assert!(rig.around.borrow().pins.is_empty());
    assert!(rig.is_bus_master(RIGHT));
    assert!(rig.reach(0x010, left).is_some());
    rig.claim(task(4), DISK);
}

#[test]
fn a_server_without_the_pci_task_closes_what_nobody_is_held_for() {
    let mut rig = Rig::booted();
    in_use(&mut rig);
    rig.around.borrow_mut().holds.clear();
    rig.around.borrow_mut().pins.clear();
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    let rig = successor(&rig);
    assert_eq!(rig.reach(0x100, BASE), None);
}

/// Both die, in every order, with the PCI task gone again after each number of calls: whoever lives goes on or is
/// told, nothing of the dead is given back before it is quiet, and in the end everything serves again.
#[test]
fn both_servers_die_in_every_order() {
    for dead in [false, true] {
        for answers in 0..24 {
            let mut rig = Rig::booted();
            let (_, iova) = in_use(&mut rig);
            rig.around.borrow_mut().holds[0].2 = dead;
            rig.around.borrow_mut().restart_pci();
            rig.around.borrow_mut().pci_answers = Some(answers);
            let mut rig = successor(&rig);
            assert_eq!(rig.reach(0x100, iova).is_some(), !dead, "{answers}");
            assert!(rig.is_held(DISK) && rig.around.borrow().pins.len() == 1);
            rig.around.borrow_mut().restart_pci();
            rig.server.on_pci_up();
            rig.around.borrow_mut().result = None;
            rig.server.on_quiesced();
            assert_eq!(rig.is_held(DISK), !dead, "{answers}");
            assert_eq!(rig.is_bus_master(DISK), !dead, "{answers}");
            let mut disk = rig.claim(task(4), DISK);
            assert_eq!(rig.status(DISK).mapped_pages, if dead { 0 } else { 3 });
            if !dead {
                assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0), "{answers}");
            }
            rig.claim(task(5), EDU);
        }
    }
}

/// A claim and one in the making cannot be told apart by a stream that they share, with bus mastering off for both:
/// neither is taken for granted, and what has something mapped is told.
#[test]
fn a_claim_in_the_making_of_a_shared_stream_is_not_completed() {
    let mut rig = Rig::booted();
    let iova = rig.claim(task(5), LEFT).map_any(&mut rig, 0, 1);
    assert_eq!(claim_code(&mut rig, 6, RIGHT), u32::MAX);
    rig.around.borrow_mut().restart_pci();
    rig.around.borrow_mut().lose(LEFT);
    let mut rig = successor(&rig);
    assert!(!rig.is_bus_master(LEFT) && !rig.is_bus_master(RIGHT));
    assert_eq!(rig.reach(0x010, iova), None);
    assert!(rig.is_held(LEFT) && !rig.is_held(RIGHT));
    assert_eq!(rig.around.borrow().posts, [5]);
    let mut left = rig.claim(task(5), LEFT);
    assert_eq!(left.unmap(&mut rig, iova, 1), Err(Error::StreamBlocked));
    rig.around.borrow_mut().result = None;
    let started = rig.around.borrow().started.len();
    left.release(&mut rig);
    rig.server.on_quiesced();
    rig.claim(task(6), RIGHT);
    assert!(rig.around.borrow().started[started..].contains(&RIGHT));
}

/// A PCI task that dies again before the server runs has said nothing about any device.
#[test]
fn a_pci_task_that_dies_twice_revokes_nothing() {
    let mut rig = Rig::booted();
    let (mut disk, iova) = in_use(&mut rig);
    for answers in 0..12 {
        rig.around.borrow_mut().restart_pci();
        rig.around.borrow_mut().pci_answers = Some(answers);
        rig.server.on_pci_up();
        assert!(rig.status(DISK).flags.has(StatusFlags::OPEN), "{answers}");
    }
    rig.around.borrow_mut().restart_pci();
    rig.server.on_pci_up();
    assert!(rig.is_bus_master(DISK));
    assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
}

/// A device is judged by each life of the PCI task, in both directions.
#[test]
fn each_life_of_the_pci_task_judges_again() {
    // It stumbles while the server boots: after any of its answers.
    for answers in 0..12 {
        let mut rig = Rig::cold();
        rig.around.borrow_mut().pci_answers = Some(answers);
        rig.server.boot();
        rig.around.borrow_mut().restart_pci();
        rig.server.on_pci_up();
        rig.around.borrow_mut().result = None;
        rig.claim(task(4), DISK);
        rig.claim(task(5), EDU);
    }
    // What it finds changed is cut off and blocked, and may come back.
    let mut rig = Rig::booted();
    let (mut disk, iova) = in_use(&mut rig);
    rig.around.borrow_mut().blocked = Some(DISK);
    rig.around.borrow_mut().restart_pci();
    rig.server.on_pci_up();
    assert_eq!(rig.reach(0x100, iova), None);
    assert!(!rig.is_bus_master(DISK));
    assert_eq!(rig.around.borrow().posts, [4]);
    rig.around.borrow_mut().result = None;
    assert_eq!(disk.release(&mut rig), Reply::Later);
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    assert_eq!(claim_code(&mut rig, 4, DISK), Error::Blocked as u32);
    rig.around.borrow_mut().blocked = None;
    rig.server.on_pci_up();
    rig.claim(task(4), DISK);
    // Others were not touched.
    assert!(!rig.logged("Contained"));
}

/// Once no life of the PCI task is to come, who waits for it gets an answer, and memory stays held.
#[test]
fn a_retired_pci_task_keeps_nobody_waiting() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    disk.map_any(&mut rig, 0, 1);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    assert_eq!(claim_code(&mut rig, 5, EDU), u32::MAX);
    assert!(rig.around.borrow().replies.is_empty());
    assert_eq!(
        rig.server.take_new_deadline(),
        None,
        "it is told, and asks nobody"
    );
    // A life that is gone already when it is heard of says nothing yet.
    for failure in [Failure::Dead, Failure::Down, Failure::Retired] {
        assert!(rig.around.borrow().replies.is_empty());
        rig.around.borrow_mut().no_pci = Some(failure);
        rig.server.on_pci_up();
    }
    let replies = rig.around.borrow().replies.clone();
    let codes: std::vec::Vec<_> = replies.iter().map(|r| (r.0, r.1)).collect();
    let not_quiet = Error::NotQuiet as u32;
    assert_eq!(codes, [(task(4), not_quiet), (task(5), not_quiet)]);
    assert!(rig.is_held(DISK) && !rig.is_held(EDU));
    assert_eq!(rig.status(DISK).mapped_pages, 1);
    assert_eq!(rig.server.take_new_deadline(), None);
}

/// A restart costs a call for each hold and pin and a few for each device, and at most a load for each word of table
/// memory, whatever is mapped: two pages in each of 64 leases here, which overlap and lie in pieces.
#[test]
fn a_restart_costs_what_the_plan_bounds() {
    let mut plan = plan();
    let mut devices = plan.devices.to_vec();
    devices.iter_mut().for_each(|device| device.pins = 64);
    plan.devices = devices.leak();
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    let mut disk = rig.claim(task(4), DISK);
    for lease in 0..64 {
        rig.around.borrow_mut().lease = Some(Pinned {
            slot: 0,
            pa: 0x7000_0000 + lease % 7 * 4096,
            readable: true,
            writable: true,
        });
        disk.map_lease(&mut rig, 2, MapFlags::READ_WRITE).unwrap();
        disk.map_any(&mut rig, (lease % 8) as u32, 1);
    }
    let calls = rig.around.borrow().calls;
    let loads = rig.smmu.0.borrow().loads;
    let mut rig = Rig::with(plan, rig.smmu.clone(), rig.around.clone());
    rig.server.boot();
    let calls = rig.around.borrow().calls - calls;
    let loads = rig.smmu.0.borrow().loads - loads;
    let devices = plan.devices.len() as u64;
    let words = plan.smmus[0].tables_len / 8;
    assert!(calls <= 65 + 5 * devices, "{calls}");
    assert!(loads <= words, "{loads} of {words}");
    assert_eq!(rig.status(DISK).mapped_pages, 3 * 64);
    // Each lease is still unmapped and unpinned for itself.
    let mut disk = rig.claim(task(4), DISK);
    for lease in 0..64 {
        assert_eq!(rig.around.borrow().pins.len(), 64 - lease as usize);
        disk.unmap(&mut rig, BASE + lease * 3 * 4096, 2).unwrap();
    }
    assert!(rig.around.borrow().pins.is_empty());
}

/// Spoils the tables of a server in use, and starts its successor.
fn altered(spoil: impl FnOnce(&mut crate::tests::fake::Fake)) -> (Rig, u64, u64) {
    let mut rig = Rig::booted();
    let (_, iova) = in_use(&mut rig);
    let other = rig.claim(task(5), EDU).map_any(&mut rig, 0, 1);
    spoil(&mut rig.smmu.0.borrow_mut());
    (successor(&rig), iova, other)
}

/// What no request and no plan has written is not taken over: its streams are closed and stay so, it is told, and
/// others go on.
#[test]
fn altered_tables_are_closed_by_the_successor() {
    let entry = plan().streams[0].entry;
    let domain = domain(0);
    let next = domain.leaf + 40 * 8;
    type Spoil = fn(u64, &mut crate::tests::fake::Fake, u64);
    let word = |fake: &crate::tests::fake::Fake, leaf: u64| fake.word(leaf);
    let address = 0xffff_ffff_f000;
    // The stream's entry: another configuration, other attributes, another context, one more word.
    let entries: [Spoil; 4] = [
        |entry, fake, _| fake.put(entry, &[0b1001]),
        |entry, fake, _| fake.put(entry + 8, &[0]),
        |entry, fake, _| {
            let word = fake.word(entry) + 64;
            fake.put(entry, &[word]);
        },
        |entry, fake, _| fake.put(entry + 16, &[1]),
    ];
    for spoil in entries {
        let (mut rig, iova, other) = altered(|fake| spoil(entry, fake, 0));
        is_closed(&mut rig, iova, other);
        assert_eq!(rig.smmu.0.borrow().word(entry + 16), 0, "mended");
    }
    // The context descriptor, and a table that links elsewhere or has an entry beside the window.
    for (at, value) in [
        (domain.context, 0),
        (domain.context + 24, 0),
        (domain.root + 4 * 8, 0),
        (domain.root + 0x1000, 0),
        (domain.root + 8, 0x7000_0000_0000_0401),
    ] {
        let (mut rig, iova, other) = altered(|fake| fake.put(at, &[value]));
        is_closed(&mut rig, iova, other);
    }
    // A leaf that leads to nobody's memory, to another task's, beyond a pool; with other rights; of nobody.
    let alter: [&dyn Fn(u64) -> u64; 6] = [
        &|leaf| leaf & !address | 0x4_4000_0000,
        &|leaf| leaf & !address | (POOL + 0x10_0000),
        &|leaf| leaf & !address | (POOL + 64 * 4096),
        &|leaf| leaf ^ 1 << 6,
        &|leaf| leaf | 7 << 55,
        &|leaf| leaf | 0xf << 55,
    ];
    for alter in alter {
        let (mut rig, iova, other) = altered(|fake| {
            let leaf = alter(word(fake, domain.leaf));
            fake.put(next, &[leaf]);
        });
        is_closed(&mut rig, iova, other);
    }
    // And nothing is found where nothing is wrong.
    let (mut rig, iova, _) = altered(|_| {});
    assert!(!rig.logged("Altered"));
    assert!(rig.reach(0x100, iova).is_some());
    rig.claim(task(4), DISK);
}

/// The disk is closed for good, and held until it is released; the other device goes on.
fn is_closed(rig: &mut Rig, iova: u64, other: u64) {
    let told = rig.logged("Altered { name: \"disk\"");
    assert!(told, "{:?}", rig.around.borrow().lines);
    assert_eq!(rig.reach(0x100, iova), None);
    assert!(!rig.is_bus_master(DISK) && rig.is_held(DISK));
    assert_eq!(rig.around.borrow().posts, [4]);
    assert_eq!(rig.around.borrow().pins.len(), 1);
    let mut disk = rig.claim(task(4), DISK);
    assert_eq!(
        disk.map(rig, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::StreamBlocked)
    );
    assert_eq!(disk.release(rig), Reply::Later);
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK) && rig.around.borrow().pins.is_empty());
    assert_eq!(claim_code(rig, 4, DISK), Error::Unavailable as u32);
    rig.server.on_pci_up();
    assert_eq!(claim_code(rig, 4, DISK), Error::Unavailable as u32);
    let mut edu = rig.claim(task(5), EDU);
    assert_eq!(edu.unmap(rig, other, 1), Ok(0));
}

/// So is a domain in which a block leads out of its owner's pools; the owner's other device goes on.
#[test]
fn a_block_that_leads_elsewhere_is_closed_by_the_successor() {
    for spoil in [|block: u64| block + (4 << 20), |block| block ^ 1 << 21] {
        let mut rig = Rig::booted();
        let mut edu = rig.claim(task(5), EDU);
        let flags = MapFlags::READ_WRITE.with(MapFlags::BLOCKS);
        let iova = edu.map(&mut rig, 1, 0, 512, flags, 0).unwrap();
        let left = rig.claim(task(5), LEFT).map_any(&mut rig, 0, 1);
        let entry = domain(1).block_entries;
        let word = rig.smmu.0.borrow().word(entry);
        let spoilt = spoil(word);
        let elsewhere = spoilt & 0xffff_ffe0_0000;
        let good = (BIG_POOL..BIG_POOL + (4 << 20)).contains(&elsewhere);
        rig.smmu.0.borrow_mut().put(entry, &[spoilt]);
        let mut rig = successor(&rig);
        assert_eq!(rig.logged("Altered"), !good, "{spoilt:#x}");
        let reached = rig.reach(0x008, iova);
        assert_eq!(reached, good.then_some(elsewhere), "{spoilt:#x}");
        assert_eq!(rig.status(EDU).flags.has(StatusFlags::STORM), !good);
        assert!(rig.reach(0x010, left).is_some());
    }
}

/// An entry of a stream that nobody has is closed; a level-1 descriptor that leads elsewhere is the whole SMMU.
#[test]
fn streams_that_nobody_has_are_closed_by_the_successor() {
    let (mut rig, iova, _) = altered(|fake| fake.put(0x4000 + 200 * 64, &[0b1001]));
    assert_eq!(rig.reach(200, 0x1000), None);
    assert!(rig.logged("Altered"));
    assert!(rig.reach(0x100, iova).is_some());
    rig.claim(task(4), DISK);
    let (rig, ..) = altered(|fake| fake.put(8, &[0]));
    assert!(rig.logged("why: StreamTable"));
    is_kept(&rig);
}
