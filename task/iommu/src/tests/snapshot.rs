//! Status snapshots: what they say in each state of a device, and who may ask.

use abi::TaskId;
use iommu_api::*;
use pci_api::QuiesceState;
use status_api::{Ask, Claim, Device, Error, OPERATION, Record, Smmu, SmmuUse, Snapshot, Subject};
use userlib::protocol::Wire;

use super::rig::*;
use crate::hardware::Pinned;
use crate::life::State;
use crate::limits::STORM_FAULTS;
use crate::{Reply, Request};

/// The task that the plan lets inspect.
const INSPECTOR: u8 = 3;

fn request(sender: TaskId, subject: Subject, index: u32) -> Request<'static> {
    Request {
        sender,
        operation: OPERATION,
        len: Ask::LEN,
        reply_capacity: Snapshot::LEN,
        payload: Ask { subject, index }.to_words(),
        long: &[],
        leases: 0,
    }
}

fn ask(rig: &mut Rig, request: &Request<'_>) -> Result<Snapshot, u32> {
    let Reply::Now { code, payload, len } = rig.server.handle(request) else {
        panic!("a snapshot is late");
    };
    assert!(rig.server.is_at_rest());
    if code != 0 {
        assert_eq!((payload, len), ([0; 8], 0));
        return Err(code);
    }
    assert_eq!(len, Snapshot::LEN);
    Ok(Snapshot::from_words(&payload).expect("a snapshot"))
}

fn device(rig: &mut Rig, number: u32) -> Device {
    let request = request(task(INSPECTOR), Subject::Device, number);
    let snapshot = ask(rig, &request).unwrap();
    assert_eq!(usize::from(snapshot.count), rig.server.plan.devices.len());
    match snapshot.record {
        Record::Device(device) => device,
        other => panic!("{other:?}"),
    }
}

fn smmu(rig: &mut Rig) -> Smmu {
    let request = request(task(INSPECTOR), Subject::Smmu, 0);
    match ask(rig, &request).unwrap() {
        Snapshot {
            count: 1,
            record: Record::Smmu(smmu),
            ..
        } => smmu,
        other => panic!("{other:?}"),
    }
}

fn claim_of(rig: &mut Rig) -> (Claim, Option<u8>) {
    let disk = device(rig, DISK);
    (disk.claim, disk.task)
}

#[test]
fn a_snapshot_follows_a_devices_life() {
    let mut rig = Rig::booted();
    assert_eq!(claim_of(&mut rig), (Claim::Free, None));
    // Its claim waits for its quiesce.
    rig.around.borrow_mut().result = Some(QuiesceState::Running);
    rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
    assert_eq!(claim_of(&mut rig), (Claim::Claiming, Some(4)));
    rig.around.borrow_mut().result = None;
    rig.server.on_quiesced();
    assert_eq!(claim_of(&mut rig), (Claim::Claimed, Some(4)));
    rig.around.borrow_mut().result = Some(QuiesceState::Running);
    rig.die(4);
    assert_eq!(claim_of(&mut rig), (Claim::Dying, Some(4)));
    rig.around.borrow_mut().result = None;
    rig.fail_quiesce();
    rig.server.on_quiesced();
    assert_eq!(claim_of(&mut rig), (Claim::HeldForever, Some(4)));
    let state = rig.server.devices[index(DISK)].life().state();
    assert!(matches!(state, State::HeldForever(_)));
}

#[test]
fn a_release_that_waits_is_seen() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    disk.map_any(&mut rig, 0, 1);
    rig.around.borrow_mut().result = Some(QuiesceState::Running);
    disk.release(&mut rig);
    assert_eq!(claim_of(&mut rig), (Claim::Releasing, Some(4)));
}

#[test]
fn a_snapshot_counts_what_is_mapped() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    disk.map_any(&mut rig, 0, 3);
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    disk.map_lease(&mut rig, 1, MapFlags::READ).unwrap();
    rig.reach(0x100, BASE + 0x20_0000);
    let name = device(&mut rig, DISK).name;
    assert_eq!(
        device(&mut rig, DISK),
        Device {
            name,
            smmu: Some(0),
            claim: Claim::Claimed,
            task: Some(4),
            flags: Device::OPEN,
            mapped_pages: 4,
            window_pages: 1024,
            window_blocks: 4,
            pins: 1,
            faults: 1,
            claims: 1,
        }
    );
    // Another device has nothing of it.
    let edu = device(&mut rig, EDU);
    assert_eq!(
        (edu.name.as_str(), edu.mapped_pages, edu.pins),
        ("edu", 0, 0)
    );
}

#[test]
fn a_device_that_was_cut_off_is_seen() {
    let mut rig = Rig::booted();
    rig.claim(task(4), DISK);
    for page in 0..STORM_FAULTS {
        rig.reach(0x100, BASE + page * 0x1000);
        rig.server.on_interrupt(1 << 16);
    }
    let disk = device(&mut rig, DISK);
    assert_eq!(disk.flags, Device::CUT_OFF);
    assert_eq!(u64::from(disk.faults), rig.status(DISK).faults);
}

#[test]
fn an_smmu_is_seen_with_its_queues() {
    let mut rig = Rig::cold();
    assert_eq!(smmu(&mut rig).used, SmmuUse::NotYet);
    rig.server.boot();
    rig.claim(task(4), DISK);
    rig.reach(0x100, BASE);
    let seen = smmu(&mut rig);
    assert_eq!((seen.used, seen.adopted), (SmmuUse::Running, false));
    assert_eq!((seen.events, seen.events_waiting), (1 << EVENT_LOG2, 1));
    rig.server.on_interrupt(1 << 16);
    assert_eq!(smmu(&mut rig).events_waiting, 0);
}

#[test]
fn who_may_not_inspect_is_refused() {
    let mut rig = Rig::booted();
    let refused = |error: Error| Err(error as u32);
    for subject in [Subject::Device, Subject::Smmu] {
        // Its owner, another driver, nobody.
        for sender in [4, 5, 63] {
            let request = request(task(sender), subject, 1);
            assert_eq!(ask(&mut rig, &request), refused(Error::NotInspector));
        }
        let beyond = request(task(INSPECTOR), subject, 64);
        assert_eq!(ask(&mut rig, &beyond), refused(Error::NoSuchRecord));
    }
    let good = request(task(INSPECTOR), Subject::Device, DISK);
    let mut short = good;
    short.len -= 1;
    let mut no_room = good;
    no_room.reply_capacity -= 1;
    let mut lends = good;
    lends.leases = 1;
    let mut unknown = good;
    unknown.payload[0] = 5;
    let others = [Subject::Task, Subject::Function].map(|of| request(task(INSPECTOR), of, 0));
    // Nor is any other operation this one.
    let mut other = good;
    other.operation = OPERATION - 1;
    let bad = [short, no_room, lends, unknown, other];
    for bad in bad.into_iter().chain(others) {
        assert_eq!(ask(&mut rig, &bad), refused(Error::Malformed));
    }
    assert!(ask(&mut rig, &good).is_ok());
}

#[test]
fn an_smmu_that_is_refused_is_not_one_that_waits() {
    let mut rig = Rig::cold();
    rig.around.borrow_mut().no_pci = Some(pci_api::client::Failure::Down);
    rig.server.boot();
    assert_eq!(smmu(&mut rig).used, SmmuUse::NotYet);
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.idr[0] = 0;
    rig.server.boot();
    assert_eq!(smmu(&mut rig).used, SmmuUse::Refused);
}
