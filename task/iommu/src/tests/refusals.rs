//! Every refusal in every state of a device: the code that the protocol gives it, and no effect.
//!
//! The device is `edu` (task 5); others try, too: the claimant of another device, strangers, the next life of the
//! owner, each with every kind of handle.

mod content;

use std::format;
use std::string::String;
use std::vec::Vec;

use abi::TaskId;
use iommu_api::*;
use pci_api::QuiesceState;

use super::rig::*;
use crate::Reply;
use crate::hardware::Pinned;

const STREAM: u32 = 0x008;
/// Pages of the owner's first pool, and of the window.
const POOL_PAGES: u64 = 16;
const WINDOW: u64 = 1024;
const READ: u64 = 1;
const BOTH: u64 = 3;
const FIXED: u64 = 4;
const BLOCK: u64 = 8;
/// Operations that carry a sequence number.
const SEQUENCED: [Operation; 9] = [
    Operation::Release,
    Operation::Map,
    Operation::MapLease,
    Operation::MapList,
    Operation::Unmap,
    Operation::UnmapList,
    Operation::Exchange,
    Operation::ExchangeList,
    Operation::Flush,
];

fn extent(first: u64, pages: u64) -> u64 {
    first | pages << 32
}

fn replacement(page: u64, iova: u64) -> u64 {
    page | iova >> 12 << 32
}

fn what(pool: u64, flags: u64) -> u64 {
    pool | flags << 16
}

fn page(number: u64) -> u64 {
    BASE + number * PAGE
}

/// Words behind handle and number that would be served in a claim with nothing mapped yet; an unmap would not.
fn good(operation: Operation) -> Vec<u64> {
    match operation {
        Operation::Map => [extent(0, 1), what(0, BOTH), 0].to_vec(),
        Operation::MapLease => [extent(0, 1), what(0, BOTH), 0, task(7).0].to_vec(),
        Operation::MapList => [what(0, BOTH), 0, extent(0, 1), extent(3, 2)].to_vec(),
        Operation::Unmap => [page(0), 1].to_vec(),
        Operation::UnmapList => [extent(page(0) >> 12, 1)].to_vec(),
        Operation::Exchange => [extent(0, 1), what(0, BOTH), page(0)].to_vec(),
        Operation::ExchangeList => [what(0, BOTH), replacement(0, page(0))].to_vec(),
        _ => Vec::new(),
    }
}

/// A state of the device.
struct Scene {
    name: &'static str,
    rig: Rig,
    /// The claim there is, if there is one.
    current: Option<Driver>,
    /// Handles of claims that are over.
    stale: Vec<Handle>,
    /// What the owner's life and its next one get for a claim, if it is refused.
    claim: [Option<Error>; 2],
    /// What changing requests with the right handle get whatever they say.
    blocked: Option<Error>,
}

fn lease() -> Pinned {
    Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    }
}

fn claimed() -> (Rig, Driver) {
    let mut rig = Rig::booted();
    // Another claimant, with something mapped.
    let mut disk = rig.claim(task(4), DISK);
    disk.map_any(&mut rig, 0, 3);
    let edu = rig.claim(task(5), EDU);
    (rig, edu)
}

/// Pages 0 to 15, blocks 0 and 1, and a lease of two pages at page 16.
fn in_full_use() -> (Rig, Driver) {
    let (mut rig, mut edu) = claimed();
    edu.map_any(&mut rig, 0, 16);
    let blocks = MapFlags::READ_WRITE.with(MapFlags::BLOCKS);
    edu.map(&mut rig, 1, 0, 1024, blocks, 0).unwrap();
    rig.around.borrow_mut().lease = Some(lease());
    let iova = edu.map_lease(&mut rig, 2, MapFlags::READ_WRITE);
    assert_eq!(iova, Ok(page(16)));
    (rig, edu)
}

fn scene(name: &'static str, rig: Rig) -> Scene {
    Scene {
        name,
        rig,
        current: None,
        stale: Vec::new(),
        claim: [None, None],
        blocked: None,
    }
}

fn with_claim(name: &'static str, (rig, edu): (Rig, Driver)) -> Scene {
    Scene {
        current: Some(edu),
        claim: [None, Some(Error::Busy)],
        ..scene(name, rig)
    }
}

fn without_claim(name: &'static str, (rig, edu): (Rig, Driver), claim: Option<Error>) -> Scene {
    Scene {
        stale: [edu.handle].to_vec(),
        claim: [claim; 2],
        ..scene(name, rig)
    }
}

fn cut_off(name: &'static str, used: (Rig, Driver), by: fn(&mut Rig)) -> Scene {
    let mut cut = with_claim(name, used);
    by(&mut cut.rig);
    cut.blocked = Some(Error::StreamBlocked);
    cut
}

fn storm(rig: &mut Rig) {
    for _ in 0..crate::limits::STORM_FAULTS {
        rig.reach(STREAM, page(900));
        rig.server.on_timer();
    }
    assert_eq!(rig.around.borrow().storms, [EDU]);
}

fn released(mut used: (Rig, Driver)) -> (Rig, Driver) {
    assert_eq!(used.1.release(&mut used.0), Reply::Later);
    used.0.server.on_quiesced();
    used
}

fn quiescing(mut used: (Rig, Driver), act: fn(&mut Rig, &mut Driver)) -> (Rig, Driver) {
    used.0.around.borrow_mut().result = Some(QuiesceState::Running);
    act(&mut used.0, &mut used.1);
    used
}

fn stuck(mut used: (Rig, Driver)) -> (Rig, Driver) {
    used.0.fail_quiesce();
    used.0.die(5);
    used.0.server.on_quiesced();
    used
}

/// A new life of the server; the claim under its new handle, and the old handle.
fn restarted(name: &'static str, (rig, edu): (Rig, Driver), claim_again: bool) -> Scene {
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    let mut now = with_claim(name, (next, edu));
    now.stale.push(edu.handle);
    // The claim is there whether or not its task has asked for it yet.
    now.current = claim_again.then(|| now.rig.claim(task(5), EDU));
    now
}

fn scenes() -> Vec<Scene> {
    let release = |rig: &mut Rig, edu: &mut Driver| assert_eq!(edu.release(rig), Reply::Later);
    let die = |rig: &mut Rig, _: &mut Driver| rig.die(5);
    let mut never = Rig::booted();
    never.claim(task(4), DISK);
    let mut claiming = Rig::booted();
    claiming.claim(task(4), DISK);
    claiming.around.borrow_mut().result = Some(QuiesceState::Running);
    let asked = claiming.ask(task(5), Operation::Claim, &[u64::from(EDU)]);
    assert_eq!(asked, Reply::Later);
    let busy = Some(Error::Busy);
    let [mut reclaimed, idle_again] = [in_full_use(), claimed()].map(|used| {
        let (mut rig, mut old) = used;
        if old.release(&mut rig) == Reply::Later {
            rig.server.on_quiesced();
        }
        let new = rig.claim(task(5), EDU);
        let mut now = with_claim("claimed again", (rig, new));
        now.stale.push(old.handle);
        now
    });
    reclaimed.name = "claimed again after full use";
    Vec::from([
        scene("never claimed", never),
        Scene {
            claim: [busy; 2],
            ..scene("its claim waits", claiming)
        },
        with_claim("claimed, idle", claimed()),
        with_claim("in full use", in_full_use()),
        reclaimed,
        idle_again,
        cut_off("revoked, idle", claimed(), |rig| {
            rig.server.revoke(index(EDU))
        }),
        cut_off("revoked in full use", in_full_use(), |rig| {
            rig.server.revoke(index(EDU));
        }),
        cut_off("after a storm", in_full_use(), storm),
        without_claim("its release waits", quiescing(in_full_use(), release), busy),
        without_claim("its owner died", quiescing(in_full_use(), die), busy),
        without_claim("stuck", stuck(in_full_use()), Some(Error::NotQuiet)),
        without_claim("released", released(in_full_use()), None),
        restarted("the server restarted", in_full_use(), false),
        restarted("the server restarted, idle", claimed(), false),
        restarted("claimed again from a new server", in_full_use(), true),
    ])
}

/// All scenes at once, and what an unoptimised build copies of them, are more than a test's stack holds.
fn with_room(test: fn()) {
    let thread = std::thread::Builder::new().stack_size(512 << 20);
    if let Err(panic) = thread.spawn(test).unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}

/// Everything that a refused request must leave as it is, but numbers and results of `edu`'s requests.
fn state(rig: &Rig) -> String {
    let server = &rig.server;
    let devices = server.devices.iter().map(|(_, device)| {
        let slot = server.devices.slot(device.index());
        let own = (device.index() != index(EDU)).then_some((slot.sequence(), slot.recorded()));
        format!(
            "{:?}",
            (
                (device.life(), slot.handle(), slot.served()),
                (slot.mapped(), slot.pins(), device.session.claims(), own),
                &device.faults,
            )
        )
    });
    let devices: Vec<String> = devices.collect();
    let around = rig.around.borrow();
    let fake = rig.smmu.0.borrow();
    format!(
        "{devices:?} {:?} {:?} {:?} {:?} {:?} {:?} {} {:?} {}",
        server.kept.pins,
        around.holds,
        around.pins,
        around.bus_master,
        around.started,
        around.replies,
        fake.commands.len(),
        around.posts,
        fake.stores,
    )
}

/// Sends a request that has to be refused so, without an effect.
fn refused(at: &mut Scene, sender: TaskId, operation: Operation, words: &[u64], expected: Error) {
    let before = state(&at.rig);
    let reply = at.rig.ask(sender, operation, words);
    let about = format!("{}: {operation:?} by {sender:?}: {words:x?}", at.name);
    assert_eq!(reply, Reply::error(expected), "{about}");
    assert_eq!(state(&at.rig), before, "{about}");
}

fn words(handle: Handle, number: u64, rest: &[u64]) -> Vec<u64> {
    [&[handle.0, number], rest].concat()
}

/// Everybody but the claimant. Task 4 has claimed the disk, 6 is another driver, 7 lends, 3 audits, 9 is unknown.
fn others() -> Vec<TaskId> {
    let strangers = [3, 4, 6, 7, 9].map(task);
    [strangers.as_slice(), &[life(5, 1), life(5, 2)]].concat()
}

/// Handles that are not the current one: of earlier and later claims, of other devices, made up.
fn wrong_handles(at: &Scene) -> Vec<Handle> {
    let devices = &at.rig.server.devices;
    let edu = devices.slot(index(EDU)).handle();
    let disk = devices.slot(index(DISK)).handle();
    let own = |generation| Handle::new(edu.slot() as u16, generation);
    let mut all = at.stale.clone();
    // The slots of others, nobody's, and numbers beyond all slots, of which some come to the same one.
    let others = (0..6).chain([EDU as u16, 99, 128, 129, 130, 131, 1 << 15, u16::MAX]);
    // The disk's claim is another's, and right.
    let others = others.filter(|&slot| ![edu, disk].map(Handle::slot).contains(&usize::from(slot)));
    all.extend(others.map(|slot| Handle::new(slot, edu.generation())));
    all.extend([
        own(edu.generation() + 1),
        own(edu.generation().wrapping_sub(1)),
        own(disk.generation() ^ 1 << 40),
        own(0),
        Handle(0),
        Handle(u64::MAX),
    ]);
    all
}

#[test]
fn nobody_but_the_claimant_is_served_in_any_state() {
    with_room(|| {
        for mut at in scenes() {
            let slot = at.rig.server.devices.slot(index(EDU));
            let (handle, number) = (slot.handle(), slot.sequence());
            for sender in others() {
                for operation in SEQUENCED {
                    for number in [number, number + 1, number + 2] {
                        let words = words(handle, number, &good(operation));
                        refused(&mut at, sender, operation, &words, Error::StaleHandle);
                    }
                }
                let next = Operation::NextFault;
                refused(&mut at, sender, next, &[handle.0], Error::StaleHandle);
            }
        }
    });
}

#[test]
fn nobody_is_served_by_another_handle_in_any_state() {
    with_room(|| {
        for mut at in scenes() {
            let number = at.rig.server.devices.slot(index(EDU)).sequence();
            for handle in wrong_handles(&at) {
                for sender in others().into_iter().chain([task(5)]) {
                    for operation in SEQUENCED {
                        for number in [number, number + 1] {
                            let words = words(handle, number, &good(operation));
                            refused(&mut at, sender, operation, &words, Error::StaleHandle);
                        }
                    }
                    let next = Operation::NextFault;
                    refused(&mut at, sender, next, &[handle.0], Error::StaleHandle);
                }
            }
        }
    });
}

#[test]
fn claims_and_looks_of_others_are_refused_in_any_state() {
    with_room(|| {
        let own = |sender: TaskId| sender.index() == 5;
        for mut at in scenes() {
            for sender in others() {
                if !own(sender) {
                    refused(
                        &mut at,
                        sender,
                        Operation::Claim,
                        &[u64::from(EDU)],
                        Error::NotOwner,
                    );
                }
                if !own(sender) && sender != task(3) {
                    for operation in [Operation::Describe, Operation::Status] {
                        refused(
                            &mut at,
                            sender,
                            operation,
                            &[u64::from(EDU)],
                            Error::NotOwner,
                        );
                    }
                }
                for operation in [Operation::Claim, Operation::Describe, Operation::Status] {
                    refused(&mut at, sender, operation, &[99], Error::NoSuchDevice);
                }
            }
            for (sender, expected) in [task(5), life(5, 1)].into_iter().zip(at.claim) {
                if let Some(error) = expected {
                    refused(&mut at, sender, Operation::Claim, &[u64::from(EDU)], error);
                }
            }
        }
    });
}

#[test]
fn numbers_out_of_order_are_refused_in_any_claim() {
    with_room(|| {
        for mut at in scenes() {
            let Some(edu) = at.current else {
                continue;
            };
            let last = at
                .rig
                .server
                .devices
                .slot(index(EDU))
                .recorded()
                .operation();
            let number = at.rig.server.devices.slot(index(EDU)).sequence();
            for operation in SEQUENCED {
                let wrong = [
                    0,
                    number + 2,
                    number + 100,
                    number.wrapping_sub(1),
                    u64::MAX,
                ];
                // The last number of another operation.
                let other = (number > 0 && last != operation as u16).then_some(number);
                for number in wrong.into_iter().filter(|n| *n != number + 1).chain(other) {
                    let words = words(edu.handle, number, &good(operation));
                    refused(&mut at, edu.id, operation, &words, Error::OutOfSequence);
                }
            }
        }
    });
}

#[test]
fn there_is_a_scene_for_every_state() {
    with_room(|| {
        let names: Vec<&str> = scenes().iter().map(|at| at.name).collect();
        assert_eq!(names.len(), 16);
        let in_use = scenes().into_iter().filter(|at| {
            let devices = &at.rig.server.devices;
            let open = devices[index(EDU)].life().is_open();
            at.current.is_some() && open && devices.slot(index(EDU)).mapped() > 1000
        });
        assert_eq!(in_use.count(), 2, "full use, and after a restart");
    });
}
