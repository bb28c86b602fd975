//! Numbers, sets and tables by themselves: what is in them, and what is not. And times.

use plan::iommu::{PoolEntry, StreamEntry};

use super::fake::Handle as Smmu;
use super::rig::*;
use crate::device::Device;
use crate::devices::Devices;
use crate::hardware::wait_for;
use crate::indices::{DeviceIndex, DeviceSet, DomainIndex, SmmuIndex};
use crate::limits::DOMAINS_MAX;
use crate::plan_view::PlanView;
use crate::slot::Slot;

#[test]
fn each_domain_is_in_its_own_set_alone() {
    for one in DomainIndex::first(DOMAINS_MAX) {
        for other in DomainIndex::first(DOMAINS_MAX) {
            assert_eq!(one.is_in(other.set()), one == other, "{one:?} {other:?}");
        }
    }
}

#[test]
fn a_set_of_devices_is_empty_without_any() {
    assert!(DeviceSet::EMPTY.is_empty());
    let one = index(DISK).set();
    assert!(!one.is_empty() && one.without(index(DISK)).is_empty());
}

#[test]
fn a_stream_comes_to_the_smmu_that_it_names() {
    for number in 0..2 {
        let stream = StreamEntry {
            smmu: number,
            ..plan().streams[0]
        };
        let found: std::vec::Vec<bool> =
            SmmuIndex::first(2).map(|smmu| smmu.has(&stream)).collect();
        assert_eq!(found, [number == 0, number == 1]);
    }
}

#[test]
fn streams_in_common_are_found() {
    let plan = plan();
    let common = |one: u32, other: u32| {
        let device = |number: u32| &plan.devices[number as usize];
        plan.have_a_stream_in_common(device(one), device(other))
    };
    assert!(common(LEFT, RIGHT) && common(EDU, SPARE));
    assert!(!common(DISK, EDU) && !common(EDU, LEFT) && !common(0, DISK));
}

#[test]
fn pools_are_counted_as_far_as_their_numbers_go_on() {
    let pool = |task, pool| PoolEntry {
        task,
        pool,
        pa: 0,
        len: 4096,
    };
    let pools = [pool(4, 0), pool(4, 2), pool(5, 0), pool(5, 1), pool(6, 2)];
    let plan = PlanView {
        pools: std::vec::Vec::leak(pools.to_vec()),
        ..plan()
    };
    let found = [4, 5, 6, 7].map(|task| plan.pools_of(task));
    assert_eq!(found, [(0, 1), (2, 2), (4, 0), (5, 0)]);
}

/// The plan's order is that of the table, and a handle leads to the slot of its device.
#[test]
fn only_the_next_device_is_added_with_the_next_slot() {
    let plan = plan();
    let entry = &plan.devices[DISK as usize];
    let domain = plan.domain_of(entry).unwrap();
    let pools = plan.pools_of(entry.owner);
    let add = |devices: &mut Devices<'static>, device: DeviceIndex, number: u16| {
        let slot = Slot::new(number, device, domain, (0, entry.pins), pools, 0);
        devices.add(device, Device::new(entry, device, 0, number), Some(slot))
    };
    for (device, skipped, added) in [(0, 0, true), (0, 1, false), (1, 0, false), (1, 1, false)] {
        let mut devices = Devices::new();
        let number = devices.next_slot() + skipped;
        let found = add(&mut devices, index(device), number);
        assert_eq!(found, added, "{device} {skipped}");
        assert_eq!(devices.all().is_empty(), !added);
    }
}

/// It may begin at the very end of a tick: the time is over only when more ticks than asked for have passed.
#[test]
fn a_wait_lasts_as_long_as_was_asked_for() {
    for nanoseconds in [0, 3000, 3500] {
        let mut smmu: Smmu = Rig::cold().smmu;
        // Each look at the fake's clock takes 1000.
        let begin = smmu.0.borrow().time + 1000;
        let (mut last, mut looks) = (0, 0);
        let found = wait_for(&mut smmu, nanoseconds, |smmu| {
            (last, looks) = (smmu.0.borrow().time, looks + 1);
            assert!(looks < 10, "it does not end");
            None::<()>
        });
        assert_eq!(found, None);
        let passed = last - begin;
        let over = nanoseconds + 1..=nanoseconds + 1000;
        assert!(over.contains(&passed), "{passed} of {nanoseconds}");
    }
}

#[test]
fn an_earlier_deadline_is_told_and_no_other() {
    let mut rig = Rig::booted();
    assert_eq!(rig.server.take_new_deadline(), None);
    let told = [5000, 5000, 7000, 3000].map(|due| {
        rig.server.wake_at(due);
        rig.server.take_new_deadline()
    });
    assert_eq!(told, [Some(5000), None, None, Some(3000)]);
}

/// In units of 256 ticks, of which 46 bits count: a handle of an earlier life is not taken for a new one.
#[test]
fn claims_are_counted_on_from_the_time() {
    for time in [1 << 20, 1 << 50, (1 << 54) + (5 << 8)] {
        let rig = Rig::cold();
        rig.smmu.0.borrow_mut().time = time;
        let mut rig = Rig::over(rig.smmu.clone(), rig.around.clone());
        let began = rig.smmu.0.borrow().time / 256;
        rig.server.boot();
        let disk = rig.claim(task(4), DISK);
        assert_eq!(disk.handle.generation(), began % (1 << 46) + 1, "{time:#x}");
    }
}
