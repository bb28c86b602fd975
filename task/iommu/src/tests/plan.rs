//! Plans that name what is not there, or more than the server has room for: refused before any of it is used.

use std::vec::Vec;

use plan::iommu::{
    DeviceEntry, DomainEntry, Invalidation, LentPoolEntry, PremappedEntry, SmmuEntry, StreamEntry,
};
use plan::{Blob, Builder, NONE, TaskList, TaskNumber};

use super::rig::*;
use crate::boot_refusal::Refusal;
use crate::limits::{DEVICES_MAX, DOMAINS_MAX, MEMBERS_MAX, PREMAPPED_MAX, SMMUS_MAX, STREAMS_MAX};
use crate::plan_view::PlanView;

/// The records of a plan, to be changed.
#[derive(Default)]
struct Records {
    smmus: Vec<SmmuEntry>,
    domains: Vec<DomainEntry>,
    streams: Vec<StreamEntry>,
    devices: Vec<DeviceEntry>,
    premapped: Vec<PremappedEntry>,
    lent_pools: Vec<LentPoolEntry>,
    numbers: Vec<TaskNumber>,
}

/// What the server says of the usual plan after a change.
fn read(change: impl FnOnce(&mut Records)) -> Result<(), Refusal> {
    let plan = always_open_plan();
    let mut records = Records {
        smmus: plan.smmus.to_vec(),
        domains: plan.domains.to_vec(),
        streams: plan.streams.to_vec(),
        devices: plan.devices.to_vec(),
        premapped: plan.premapped.to_vec(),
        lent_pools: plan.lent_pools.to_vec(),
        numbers: plan.numbers.to_vec(),
    };
    change(&mut records);
    let bytes = Builder::new()
        .push(&records.smmus)
        .push(&records.domains)
        .push(&records.streams)
        .push(&records.devices)
        .push(plan.pools)
        .push(&records.premapped)
        .push(&records.lent_pools)
        .push(&records.numbers)
        .finish();
    // Words, because a blob is read in place and so has their alignment.
    let words: Vec<u64> = bytes
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    let blob = Blob::new(zerocopy::IntoBytes::as_bytes(words.as_slice())).unwrap();
    PlanView::new(&blob).map(|_| ())
}

fn inconsistent(change: impl FnOnce(&mut Records)) {
    assert_eq!(read(change), Err(Refusal::Inconsistent));
}

#[test]
fn the_usual_plan_is_read() {
    assert_eq!(read(|_| ()), Ok(()));
}

#[test]
fn records_that_name_what_is_not_there() {
    inconsistent(|plan| plan.domains[1].smmu = 1);
    inconsistent(|plan| plan.streams[1].smmu = 1);
    inconsistent(|plan| plan.streams[1].smmu = u32::MAX);
    inconsistent(|plan| (plan.domains[0].smmu, plan.streams[0].smmu) = (1, 1));
    inconsistent(|plan| plan.smmus.clear());
    // A plan without any SMMU is refused too, though nothing names one.
    inconsistent(|plan| *plan = Records::default());
    let domains = always_open_plan().domains.len() as u32;
    for domain in [domains, domains + 1, NONE - 1] {
        inconsistent(|plan| plan.devices[1].domain = domain);
        inconsistent(|plan| plan.premapped[0].domain = domain);
    }
    let streams = always_open_plan().streams.len() as u32;
    for (first, count) in [(streams, 1), (streams + 1, 0), (0, streams + 1), (NONE, 2)] {
        inconsistent(|plan| {
            (plan.devices[1].streams, plan.devices[1].stream_count) = (first, count)
        });
    }
    // One that ends where the table does, and one without any, are right.
    let whole =
        |plan: &mut Records| (plan.devices[1].streams, plan.devices[1].stream_count) = (0, streams);
    assert_eq!(read(whole), Ok(()));
    assert_eq!(read(|plan| plan.devices[1].streams = streams - 1), Ok(()));
    assert_eq!(read(|plan| plan.devices[1].domain = NONE), Ok(()));
}

#[test]
fn asids_are_those_of_the_architecture() {
    for (asid, right) in [(0, false), (1, true), (0xffff, true), (0x1_0000, false)] {
        assert_eq!(
            read(|plan| plan.domains[1].asid = asid).is_ok(),
            right,
            "{asid}"
        );
    }
}

#[test]
fn a_lazy_domain_and_no_other_has_bounds() {
    let with = |invalidation, pages: u16, ms: u16| {
        read(|plan| {
            let domain = &mut plan.domains[1];
            domain.invalidation = invalidation as u32;
            (domain.lazy_pages, domain.lazy_ms) = (pages, ms);
        })
    };
    assert_eq!(with(Invalidation::Lazy, 1, 1), Ok(()));
    assert_eq!(with(Invalidation::Lazy, u16::MAX, u16::MAX), Ok(()));
    for (invalidation, pages, ms) in [
        (Invalidation::Lazy, 0, 1),
        (Invalidation::Lazy, 1, 0),
        (Invalidation::Strict, 1, 1),
        (Invalidation::Strict, 0, 1),
        (Invalidation::Premapped, 1, 0),
    ] {
        let refused = with(invalidation, pages, ms);
        assert_eq!(refused, Err(Refusal::Inconsistent), "{pages} {ms}");
    }
}

#[test]
fn a_device_is_behind_the_smmu_of_its_domain() {
    let second = |plan: &mut Records| plan.smmus.push(plan.smmus[0]);
    if SMMUS_MAX > 1 {
        assert_eq!(read(second), Ok(()));
        inconsistent(|plan| {
            second(plan);
            plan.streams[0].smmu = 1;
        });
        inconsistent(|plan| {
            second(plan);
            plan.domains[0].smmu = 1;
        });
        let both = |plan: &mut Records| {
            second(plan);
            plan.streams[0].smmu = 1;
            plan.domains[0].smmu = 1;
        };
        assert_eq!(read(both), Ok(()));
    } else {
        assert_eq!(read(second), Err(Refusal::TooMany));
    }
}

#[test]
fn ranges_that_stay_mapped_are_whole_pages_somewhere() {
    for change in [
        |range: &mut PremappedEntry| range.iova += 1,
        |range: &mut PremappedEntry| range.pa += 8,
        |range: &mut PremappedEntry| range.len -= 1,
        |range: &mut PremappedEntry| range.len = 0,
        |range: &mut PremappedEntry| range.iova = u64::MAX - 0xfff,
        |range: &mut PremappedEntry| range.pa = u64::MAX - 0xfff,
        // What is off by as much twice, too.
        |range: &mut PremappedEntry| (range.iova, range.pa) = (range.iova + 8, range.pa + 8),
        |range: &mut PremappedEntry| (range.pa, range.len) = (range.pa + 8, range.len + 8),
    ] {
        inconsistent(|plan| change(&mut plan.premapped[0]));
    }
}

#[test]
fn pools_that_are_lent_are_pools_of_somebody_for_something() {
    let devices = always_open_plan().devices.len() as u32;
    for device in [devices, devices + 1, NONE] {
        inconsistent(|plan| plan.lent_pools[1].device = device);
    }
    assert_eq!(read(|plan| plan.lent_pools[1].device = devices - 1), Ok(()));
    // The pool of task 7 has 32 pages.
    for pages in [0, 1, 32] {
        assert_eq!(read(|plan| plan.lent_pools[1].pages = pages), Ok(()));
    }
    for pages in [33, u64::MAX] {
        inconsistent(|plan| plan.lent_pools[1].pages = pages);
    }
    inconsistent(|plan| plan.lent_pools[1].task = 8);
    inconsistent(|plan| plan.lent_pools[1].pool = 1);
}

#[test]
fn what_there_is_room_for() {
    let at = |most: usize, grow: fn(&mut Records, usize)| {
        assert_eq!(read(|plan| grow(plan, most)), Ok(()), "{most}");
        assert_eq!(
            read(|plan| grow(plan, most + 1)),
            Err(Refusal::TooMany),
            "{most}"
        );
    };
    at(DOMAINS_MAX, |plan, len| {
        plan.domains.resize(len, plan.domains[0])
    });
    at(STREAMS_MAX, |plan, len| {
        plan.streams.resize(len, plan.streams[0])
    });
    at(PREMAPPED_MAX, |plan, len| {
        plan.premapped.resize(len, plan.premapped[0])
    });
    // The first is a bridge, which has no domain.
    at(DEVICES_MAX, |plan, len| {
        plan.devices.resize(len, plan.devices[0])
    });
    at(SMMUS_MAX, |plan, len| plan.smmus.resize(len, plan.smmus[0]));
}

/// A leaf's mark has room for so many devices of one domain.
#[test]
fn members_of_a_domain_have_a_mark_each() {
    let sharing = |members: usize| {
        read(|plan| {
            let of_first = plan
                .devices
                .iter()
                .filter(|device| device.domain == 0)
                .count();
            let more = plan.devices.len() + members - of_first;
            plan.devices.resize(more, plan.devices[1]);
        })
    };
    assert_eq!(sharing(MEMBERS_MAX), Ok(()));
    assert_eq!(sharing(MEMBERS_MAX + 1), Err(Refusal::Inconsistent));
}

#[test]
fn lists_of_auditors_that_are_none() {
    let listed = |first, count, numbers: &[u32]| {
        let numbers: Vec<_> = numbers
            .iter()
            .map(|&number| TaskNumber { number })
            .collect();
        read(|plan| {
            for device in &mut plan.devices {
                device.auditors = TaskList::default();
            }
            plan.devices[1].auditors = TaskList { first, count };
            plan.numbers = numbers;
        })
    };
    assert_eq!(listed(0, 2, &[3, 63]), Ok(()));
    for (first, count, numbers) in [
        (0, 3, [3, 63]),
        (1, 2, [3, 4]),
        (0, 2, [3, 64]),
        (0, 2, [3, 3]),
        (0, 2, [4, 3]),
    ] {
        let found = listed(first, count, &numbers);
        assert_eq!(
            found,
            Err(Refusal::Inconsistent),
            "{first} {count} {numbers:?}"
        );
    }
}
