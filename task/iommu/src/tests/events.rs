use iommu_api::*;

use super::rig::*;
use crate::events::FaultLog;
use crate::limits::STORM_FAULTS;

#[test]
fn a_fault_reaches_the_claimant() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    assert_eq!(rig.reach(0x100, BASE + 0x123), None);
    rig.server.on_interrupt(1 << 16);
    assert_eq!(rig.around.borrow().posts, [4]);
    let fault = disk.fault(&mut rig).unwrap();
    assert_eq!((fault.event, fault.read, fault.count), (0x10, false, 1));
    assert_eq!((fault.iova, fault.lost), (BASE + 0x123, 0));
    assert_eq!(fault.stream, 0x100);
    assert_eq!(disk.fault(&mut rig), None);
    let status = rig.status(DISK);
    assert_eq!((status.faults, status.last_iova), (1, BASE + 0x123));
    assert_eq!(status.last_stream, 0x100);
    assert!(rig.logged("Fault(FaultLine { name: \"disk\", stream: 256"));
}

#[test]
fn status_sees_a_fault_before_its_interrupt() {
    let mut rig = Rig::booted();
    rig.claim(task(4), DISK);
    rig.read(0x100, BASE);
    let status = rig.status(DISK);
    assert_eq!((status.faults, status.last_read), (1, true));
}

#[test]
fn accesses_to_one_page_are_one_record_and_one_line() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    for word in 0..8 {
        rig.reach(0x100, BASE + word * 4);
    }
    rig.server.on_interrupt(1 << 16);
    assert_eq!(disk.fault(&mut rig).unwrap().count, 8);
    assert_eq!(disk.fault(&mut rig), None);
    let around = rig.around.borrow();
    let lines = around.lines.iter().filter(|l| l.starts_with("Fault"));
    assert_eq!(lines.count(), 1);
    assert!(around.lines.last().unwrap().contains("count: 8"));
}

/// A device behind a bridge can appear under the bridge's StreamID and under its own.
#[test]
fn accesses_under_two_stream_ids_are_two_records() {
    let mut log = FaultLog::EMPTY;
    let under = |stream| smmu::Event {
        kind: smmu::EventKind::Translation,
        number: 0x10,
        stream,
        read: true,
        class: smmu::Class::Input,
        address: BASE,
        fetch: 0,
    };
    for stream in [0x208, 0x200, 0x200] {
        log.record(&under(stream), 0, 1);
    }
    let found = [log.take(), log.take()].map(|record| record.map(|r| (r.stream, r.count)));
    assert_eq!(found, [Some((0x208, 1)), Some((0x200, 2))]);
    assert_eq!(log.take(), None);
}

#[test]
fn overflow_either_way_is_told_and_ends() {
    for as_abort in [true, false] {
        let mut rig = Rig::booted();
        rig.smmu.0.borrow_mut().behaviour.overflow_as_abort = as_abort;
        let mut disk = rig.claim(task(4), DISK);
        for page in 0..20 {
            rig.reach(0x100, BASE + page * 4096);
        }
        rig.server.on_interrupt(1 << 16);
        let status = rig.status(DISK);
        assert_eq!(status.faults, 16, "what the queue held is trusted");
        assert_eq!(status.lost, 1);
        assert!(rig.logged("EventsLost"));
        let records: std::vec::Vec<FaultRecord> =
            core::iter::from_fn(|| disk.fault(&mut rig)).collect();
        assert!(records.iter().any(|record| record.lost > 0));
        // Recording goes on.
        rig.reach(0x100, BASE);
        assert_eq!(rig.status(DISK).faults, 17);
        assert_eq!(rig.status(DISK).lost, 1);
    }
}

#[test]
fn an_aborted_queue_that_was_never_full_is_discarded() {
    let mut rig = Rig::booted();
    rig.claim(task(4), DISK);
    rig.reach(0x100, BASE);
    let gerror = smmu::registers::GERROR;
    let value = rig.smmu.0.borrow().get(gerror) ^ 4;
    rig.smmu.0.borrow_mut().set(gerror, value);
    let status = rig.status(DISK);
    assert_eq!((status.faults, status.lost), (0, 1));
    rig.reach(0x100, BASE);
    assert_eq!(rig.status(DISK).faults, 1, "acknowledged");
}

#[test]
fn a_claim_without_faults_ends_without_a_look_at_the_interrupt() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let _ = (rig.server.take_unmask(), rig.server.take_new_deadline());
    disk.release(&mut rig);
    assert_eq!(rig.server.take_unmask(), 0);
    assert_eq!(rig.server.take_new_deadline(), None);
    // With one it is told as ever, and so is the next one.
    let mut disk = rig.claim(task(4), DISK);
    rig.reach(0x100, BASE);
    disk.release(&mut rig);
    assert_eq!(rig.server.devices[index(DISK)].faults.total, 1);
    let mut disk = rig.claim(task(4), DISK);
    rig.reach(0x100, BASE);
    rig.server.on_interrupt(1 << 16);
    assert_eq!(rig.server.take_unmask(), 1 << 16);
    assert!(disk.fault(&mut rig).is_some());
}

#[test]
fn what_is_left_of_a_turn_is_taken_in_the_next_by_itself() {
    let mut rig = Rig::booted();
    rig.claim(task(4), DISK);
    let (_, _) = (rig.server.take_unmask(), rig.server.take_new_deadline());
    let taken = |rig: &Rig| rig.server.devices[index(DISK)].faults.total;
    // Half a queue more whenever something was taken: three turns' worth, and a rest.
    rig.smmu.0.borrow_mut().behaviour.refill = 8;
    for page in 0..16 {
        rig.reach(0x100, BASE + page * 4096);
    }
    rig.server.on_interrupt(1 << 16);
    for turn in 1..=3 {
        assert_eq!(taken(&rig), 32 * turn);
        assert_eq!(
            rig.server.take_unmask(),
            0,
            "masked until it was seen empty"
        );
        let due = rig.server.take_new_deadline().unwrap();
        let now = rig.smmu.0.borrow().time;
        assert!(due > now && due <= now + crate::limits::EVENT_PAUSE_NS);
        if turn == 3 {
            rig.smmu.0.borrow_mut().behaviour.refill = 0;
        }
        rig.server.on_timer();
    }
    assert_eq!(taken(&rig), 3 * 32 + 8);
    assert_eq!(rig.server.take_unmask(), 1 << 16);
    assert_eq!(rig.server.take_new_deadline(), None);
}

#[test]
fn faults_of_a_claim_do_not_reach_the_next_one() {
    for cut_off in [false, true] {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        // All that the queue holds; nobody has looked at it yet.
        for page in 0..16 {
            assert_eq!(rig.reach(0x100, BASE + page * 4096), None);
        }
        if cut_off {
            rig.server.revoke(index(DISK));
        }
        disk.release(&mut rig);
        rig.server.on_quiesced();
        rig.around.borrow_mut().posts.clear();
        let mut next = rig.claim(task(4), DISK);
        rig.server.on_interrupt(1 << 16);
        rig.server.on_timer();
        assert_eq!(next.fault(&mut rig), None);
        assert!(rig.around.borrow().posts.is_empty());
        assert_eq!(rig.status(DISK).faults, 16, "they are counted all the same");
        // Recording goes on, and what is the new claim's reaches it.
        rig.reach(0x100, BASE);
        rig.server.on_interrupt(1 << 16);
        assert_eq!(next.fault(&mut rig).unwrap().count, 1);
    }
}

#[test]
fn nothing_recorded_at_a_close_asks_for_no_turn() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let _ = rig.server.take_new_deadline();
    disk.release(&mut rig);
    assert_eq!(rig.server.take_new_deadline(), None);
}

/// Faults of the disk's log at these times, in periods of 800: after how many of them it is a storm.
fn storm_after(times: impl IntoIterator<Item = u64>) -> Option<usize> {
    let mut log = FaultLog::EMPTY;
    let event = smmu::Event {
        kind: smmu::EventKind::Translation,
        number: 0x10,
        stream: 0x100,
        read: true,
        class: smmu::Class::Input,
        address: BASE,
        fetch: 0,
    };
    let mut times = times.into_iter();
    times
        .position(|now| log.record(&event, now, 800).storm)
        .map(|place| place + 1)
}

#[test]
fn so_many_faults_within_the_period_are_a_storm_wherever_it_begins() {
    let limit = STORM_FAULTS as usize;
    for start in (0..2000).step_by(37) {
        // As many as may be, at the very end of a window and at the very beginning of the next.
        for late in [0, 1, 399, 799] {
            let burst = (0..limit - 1).map(|_| start).chain([start + late]);
            assert_eq!(
                storm_after(burst),
                Some(limit),
                "from {start}, {late} later"
            );
        }
        let spread = (0..2 * limit as u64).map(|n| start + n * 800 / STORM_FAULTS);
        assert_eq!(storm_after(spread), Some(limit), "from {start}");
        // One less, and the next only when an eighth more than the period is over.
        let apart = (0..limit - 1).map(|_| start).chain([start + 900; 4000]);
        assert_eq!(storm_after(apart), None, "from {start}");
    }
}

#[test]
fn a_storm_blocks_the_stream_until_it_is_released() {
    let mut rig = Rig::booted();
    let mut edu = rig.claim(task(5), EDU);
    let iova = edu.map_any(&mut rig, 0, 1);
    for _ in 0..STORM_FAULTS / 8 {
        for word in 0..8 {
            rig.reach(0x008, BASE + 0x10_0000 + word * 4);
        }
        rig.server.on_timer();
    }
    assert_eq!(rig.around.borrow().storms, [EDU]);
    assert!(rig.logged("Storm { name: \"edu\""));
    assert_eq!(rig.reach(0x008, iova), None);
    assert!(rig.status(EDU).flags.has(StatusFlags::STORM));
    assert_eq!(
        edu.map(&mut rig, 0, 1, 1, MapFlags::READ, 0),
        Err(Error::StreamBlocked)
    );
    let faults = rig.status(EDU).faults;
    rig.reach(0x008, BASE + 0x10_0000);
    assert_eq!(rig.status(EDU).faults, faults, "silent now");
    edu.release(&mut rig);
    rig.server.on_quiesced();
    let mut edu = rig.claim(task(5), EDU);
    let iova = edu.map_any(&mut rig, 0, 1);
    assert!(rig.reach(0x008, iova).is_some());
}

#[test]
fn a_storm_is_told_to_all_that_share_the_stream() {
    let mut rig = Rig::booted();
    rig.claim(task(5), LEFT);
    let mut right = rig.claim(task(6), RIGHT);
    let iova = right.map_any(&mut rig, 0, 1);
    for _ in 0..STORM_FAULTS {
        rig.reach(0x010, BASE + 0x10_0000);
        rig.server.on_timer();
    }
    assert_eq!(rig.reach(0x010, iova), None);
    for device in [LEFT, RIGHT] {
        let flags = rig.status(device).flags;
        assert!(flags.has(StatusFlags::STORM), "{device}");
        assert!(!flags.has(StatusFlags::OPEN), "{device}");
        let bus_master = &rig.around.borrow().bus_master;
        let last = bus_master.iter().rfind(|(other, _)| *other == device);
        assert_eq!(last, Some(&(device, false)));
    }
    assert_eq!(
        right.map(&mut rig, 0, 1, 1, MapFlags::READ, 0),
        Err(Error::StreamBlocked)
    );
}

#[test]
fn a_claimant_that_does_not_fetch_loses_the_newest() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    for page in 0..40 {
        rig.reach(0x100, BASE + page * 4096);
        rig.server.on_interrupt(1 << 16);
    }
    let records: std::vec::Vec<FaultRecord> =
        core::iter::from_fn(|| disk.fault(&mut rig)).collect();
    assert_eq!(records.len(), 17);
    assert_eq!(records[0].iova, BASE);
    assert_eq!((records[16].event, records[16].lost), (0, 24));
    assert_eq!(rig.status(DISK).faults, 40);
}

#[test]
fn lines_are_limited_and_the_rest_is_counted() {
    let mut rig = Rig::booted();
    rig.claim(task(4), DISK);
    for page in 0..80 {
        rig.reach(0x100, BASE + page * 2 * 4096);
        rig.server.on_interrupt(1 << 16);
    }
    let lines = |rig: &Rig| {
        let around = rig.around.borrow();
        around
            .lines
            .iter()
            .filter(|l| l.starts_with("Fault(FaultLine {"))
            .count()
    };
    assert_eq!(lines(&rig), 32);
    assert!(rig.server.take_new_deadline().is_some(), "for the rest");
    rig.smmu.0.borrow_mut().time += 1_000_000_000;
    rig.server.on_timer();
    assert!(rig.logged("FaultsOmitted { count: 48 }"));
}

#[test]
fn a_stream_of_nobody() {
    let mut rig = Rig::booted();
    assert_eq!(rig.reach(0x3000, 0), None);
    rig.server.on_interrupt(1 << 16);
    assert!(rig.logged("Fault(FaultLine { name: \"\", stream: 12288"));
}

#[test]
fn a_turn_takes_32_records_whatever_arrives_meanwhile() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    rig.smmu.0.borrow_mut().behaviour.refill = 8;
    for page in 0..16 {
        rig.reach(0x100, BASE + page * 4096);
    }
    let _ = rig.server.take_unmask();
    rig.server.on_interrupt(1 << 16);
    assert_eq!(rig.server.take_unmask() & 1 << 16, 0, "not done");
    assert!(
        rig.server.take_new_deadline().is_some(),
        "goes on by itself"
    );
    let queue = rig.smmu.0.borrow().get(smmu::registers::EVENTQ_CONS) & 0x1f;
    assert_eq!(queue, 32 % 32, "taken: {queue}");
    assert_eq!(rig.server.devices[index(DISK)].faults.total, 32);
    // A client is served in between.
    disk.map_any(&mut rig, 0, 1);
    rig.smmu.0.borrow_mut().behaviour.refill = 0;
    rig.server.on_timer();
    assert_eq!(rig.server.take_unmask() & 1 << 16, 1 << 16, "done");
}

#[test]
fn faults_below_the_limit_are_no_storm() {
    let mut rig = Rig::booted();
    rig.claim(task(5), EDU);
    // Twice a fault less than the limit, more than the period apart.
    for _ in 0..2 {
        for number in 1..STORM_FAULTS {
            rig.reach(0x008, BASE + 0x10_0000);
            if number % 8 == 0 {
                rig.server.on_timer();
            }
        }
        let status = rig.status(EDU);
        assert!(status.flags.has(StatusFlags::OPEN));
        rig.smmu.0.borrow_mut().time += 112_500_001;
    }
    assert_eq!(rig.status(EDU).faults, 2 * (STORM_FAULTS - 1));
    assert!(rig.around.borrow().storms.is_empty());
    let closed = (crate::limits::STORM_PERIOD_NS, STORM_FAULTS);
    assert_eq!(closed, (100_000_000, 4096), "as the protocol says");
}

#[test]
fn a_storm_turns_bus_mastering_off_and_tells_claimant_and_supervisor() {
    let mut rig = Rig::booted();
    let mut edu = rig.claim(task(5), EDU);
    edu.map_any(&mut rig, 0, 1);
    for _ in 0..STORM_FAULTS {
        // Always the same page: the first record is the only one that is new.
        rig.reach(0x008, BASE + 0x10_0000);
        rig.server.on_timer();
    }
    let around = rig.around.borrow();
    assert_eq!(around.bus_master.last(), Some(&(EDU, false)));
    assert_eq!(around.posts, [5, 5], "the first fault, and the end");
    assert_eq!(around.storms, [EDU]);
}
