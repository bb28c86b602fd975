//! Requests of clients against a controller that does as it is told.

use super::{Disk, LOOKS_MAX, RESETS_MAX, TRIES_MAX};
use crate::controller::{Controller, StartError};
use crate::layout::{LIST_LEN, LISTS, PAGE};
use crate::ring::DeviceFault;
use crate::testing::{Fake, PLACES, Seen, Waits, vectors};
use abi::TaskId;
use blk_api::{Error, Kind};
use blk_server::SLOTS_MAX;
use blk_server::controller::Controller as Served;
use blk_server::request::Request;
use blk_server::testing::HostMemory;
use std::vec::Vec as List;
use userlib::memory::Memory;

mod hostile;

type Under = Disk<Fake, HostMemory>;

const DATA: u64 = 0x2_0000_0000;
const CLIENT: TaskId = TaskId::new(6, 0);

fn disk_with(fake: &Fake, queues: u16, namespace_of: impl Fn(usize) -> Option<u32>) -> Under {
    let controller = Controller::new(fake.clone(), fake.memory(), PLACES).expect("usable");
    let started = Disk::start(
        controller,
        vectors(queues),
        namespace_of,
        &mut Waits::default(),
    );
    started.expect("up")
}

fn disk(fake: &Fake) -> Under {
    disk_with(fake, 1, |_| None)
}

fn request(kind: Kind, tag: u16, bytes: u32) -> Request {
    Request {
        client: CLIENT,
        iova: DATA,
        tag,
        kind,
        bytes,
        mapped: kind.has_data(),
        ..Request::NONE
    }
}

/// All that is finished, by these interrupts.
fn collect(disk: &mut Under, interrupts: u32) -> List<(u16, Result<(), Error>)> {
    disk.acknowledge(interrupts).expect("no reason to die");
    let mut all = List::new();
    while let Some(finished) = disk.finished().expect("an honest controller") {
        all.push((disk.request(finished.slot).tag, finished.result));
    }
    disk.taken();
    all
}

fn run(disk: &mut Under, request: Request, sector: u64) -> List<(u16, Result<(), Error>)> {
    assert_eq!(Served::start(disk, request, sector), Ok(()));
    disk.announce();
    collect(disk, u32::MAX)
}

#[test]
fn each_kind_of_request_is_a_command() {
    let fake = Fake::new();
    let mut disk = disk(&fake);
    for (kind, opcode, bytes) in [
        (Kind::Read, 2, 4096),
        (Kind::Write, 1, 512),
        (Kind::WriteZeroes, 8, 8192),
        (Kind::Flush, 0, 0),
    ] {
        assert_eq!(run(&mut disk, request(kind, 9, bytes), 40), [(9, Ok(()))]);
        let seen = *fake.seen().last().expect("a command");
        assert_eq!(
            (seen.opcode(), seen.namespace(), seen.queue),
            (opcode, 1, 1)
        );
        let (first, blocks) = if kind == Kind::Flush {
            (0, 0)
        } else {
            (40, u64::from(bytes / 512 - 1))
        };
        assert_eq!((seen.words[5], seen.words[6]), (first, blocks));
        assert_eq!(seen.words[3], if kind.has_data() { DATA } else { 0 });
        assert!(disk.is_idle());
        assert_eq!(fake.pending(1), 0, "completions are given back");
    }
}

#[test]
fn nothing_is_seen_before_it_is_announced() {
    let fake = Fake::new();
    let mut disk = disk(&fake);
    Served::start(&mut disk, request(Kind::Read, 1, 512), 0).expect("room");
    assert_eq!(fake.seen(), []);
    disk.announce();
    assert_eq!(fake.seen().len(), 1);
}

/// The pages that a command names.
fn pages(memory: &HostMemory, seen: &Seen, count: usize) -> List<u64> {
    let [first, second] = [seen.words[3], seen.words[4]];
    let mut pages = List::from([first]);
    match count {
        0 | 1 => assert_eq!(second, 0),
        2 => pages.push(second),
        _ => {
            let list = (second - PLACES.readable) as usize;
            assert!((LISTS..LISTS + SLOTS_MAX * LIST_LEN).contains(&list));
            assert!(
                list / PAGE == (list + 8 * (count - 2)) / PAGE,
                "within a page"
            );
            pages.extend((0..count - 1).map(|index| memory.read64(list + 8 * index)));
        }
    }
    pages
}

#[test]
fn the_controller_is_told_just_the_pages_of_the_data() {
    for (offset, bytes) in [
        (0, 512),
        (0, 4096),
        (512, 4096),
        (0, 8192),
        (3584, 8192),
        (0, 256 << 10),
        (512, 256 << 10),
        (4095 - 511, 512),
    ] {
        let fake = Fake::new();
        let mut disk = disk(&fake);
        let mut read = request(Kind::Read, 1, bytes);
        read.iova += offset;
        let (first, count) = read.pages();
        // Another slot than the first.
        fake.tell(|state| state.keeps = true);
        Served::start(&mut disk, request(Kind::Flush, 0, 0), 0).expect("room");
        Served::start(&mut disk, read, 0).expect("room");
        disk.announce();
        let seen = *fake.seen().last().expect("a command");
        let mut expected: List<u64> = (0..u64::from(count))
            .map(|page| first + page * 4096)
            .collect();
        expected[0] += offset;
        assert_eq!(pages(&fake.memory(), &seen, count as usize), expected);
    }
}

#[test]
fn results_follow_the_status() {
    let cases = [
        (0x0000, Ok(())),
        (0x0001, Err(Error::Unsupported)),
        (0x0020, Err(Error::ReadOnly)),
        (0x0080, Err(Error::OutOfRange)),
        (0x4281, Err(Error::Device)),
    ];
    let fake = Fake::new();
    let mut disk = disk(&fake);
    for (tag, (status, result)) in (0..).zip(cases) {
        fake.tell(|state| state.statuses = [status].into());
        assert_eq!(
            run(&mut disk, request(Kind::Write, tag, 512), 0),
            [(tag, result)]
        );
        assert_eq!(fake.seen().len(), usize::from(tag) + 1, "no retry");
    }
}

#[test]
fn what_may_be_tried_again_is_and_not_for_ever() {
    for (failures, result) in [(1, Ok(())), (2, Ok(())), (3, Err(Error::Device))] {
        let fake = Fake::new();
        let mut disk = disk(&fake);
        fake.tell(|state| state.statuses = std::iter::repeat_n(0x0281, failures).collect());
        let mut ended = run(&mut disk, request(Kind::Read, 5, 4096), 8);
        for _ in 0..TRIES_MAX {
            ended.extend(collect(&mut disk, u32::MAX));
        }
        assert_eq!(ended, [(5, result)]);
        let seen = fake.seen();
        assert_eq!(seen.len(), (failures + 1).min(usize::from(TRIES_MAX)));
        assert!(seen.iter().all(|again| again.words == seen[0].words));
    }
}

/// Looks until something is reset, or a little longer than a request may take.
fn look(disk: &mut Under, fake: &Fake) -> Result<(), &'static str> {
    let before = fake.0.borrow().resets;
    for _ in 0..LOOKS_MAX + 2 {
        disk.look(&mut Waits::default())?;
        if fake.0.borrow().resets != before {
            break;
        }
    }
    Ok(())
}

#[test]
fn a_late_request_is_given_again_after_a_reset() {
    let fake = Fake::new();
    let mut disk = disk(&fake);
    fake.tell(|state| state.keeps = true);
    Served::start(&mut disk, request(Kind::Write, 3, 4096), 8).expect("room");
    disk.announce();
    for _ in 0..LOOKS_MAX {
        disk.look(&mut Waits::default()).expect("not late yet");
    }
    // One that is not late.
    Served::start(&mut disk, request(Kind::Read, 4, 4096), 16).expect("room");
    disk.announce();
    assert_eq!(fake.0.borrow().resets, 1, "bring-up");
    fake.tell(|state| state.keeps = false);
    assert_eq!(disk.look(&mut Waits::default()), Ok(()));
    assert_eq!(fake.0.borrow().resets, 2);
    let seen = fake.seen();
    assert_eq!(seen.len(), 4);
    assert_eq!(
        (seen[2].words, seen[3].words),
        (seen[0].words, seen[1].words)
    );
    assert_eq!(collect(&mut disk, u32::MAX), [(3, Ok(())), (4, Ok(()))]);
    assert!(disk.is_idle());
}

#[test]
fn what_never_ends_fails_in_the_end_and_others_do_not() {
    let fake = Fake::new();
    let mut disk = disk(&fake);
    fake.tell(|state| state.keeps = true);
    Served::start(&mut disk, request(Kind::Write, 3, 4096), 8).expect("room");
    disk.announce();
    for round in 1..=TRIES_MAX {
        assert_eq!(collect(&mut disk, u32::MAX), []);
        assert_eq!(look(&mut disk, &fake), Ok(()), "{round}");
        // Another is done meanwhile.
        fake.tell(|state| state.keeps = false);
        let other = u16::from(round) + 10;
        let ended = run(&mut disk, request(Kind::Read, other, 512), 0);
        assert!(ended.contains(&(other, Ok(()))));
        assert_eq!(ended.contains(&(3, Err(Error::Device))), round == TRIES_MAX);
        fake.tell(|state| state.keeps = true);
    }
    assert!(disk.is_idle());
}

#[test]
fn a_broken_controller_is_reset_at_once() {
    let fake = Fake::new();
    let mut disk = disk(&fake);
    fake.tell(|state| state.keeps = true);
    Served::start(&mut disk, request(Kind::Read, 3, 4096), 8).expect("room");
    disk.announce();
    fake.tell(|state| {
        state.status |= 2;
        state.keeps = false;
    });
    assert_eq!(disk.look(&mut Waits::default()), Ok(()));
    assert_eq!(collect(&mut disk, u32::MAX), [(3, Ok(()))]);
}

#[test]
fn a_controller_that_does_nothing_is_given_up() {
    let fake = Fake::new();
    let mut disk = disk(&fake);
    fake.tell(|state| state.keeps = true);
    let mut given_up = false;
    for tag in 0..2 * RESETS_MAX as u16 {
        // Always a new one, so that none fails for good.
        let _ = Served::start(&mut disk, request(Kind::Read, tag, 512), 0);
        disk.announce();
        fake.tell(|state| state.status |= 2);
        given_up |= disk.look(&mut Waits::default()).is_err();
    }
    assert!(given_up);
    assert_eq!(fake.0.borrow().resets, 1 + RESETS_MAX);
}

#[test]
fn another_disk_after_a_reset_is_not_served() {
    for other in [(1, (4096, 9)), (2, (2048, 9))] {
        let fake = Fake::new();
        let mut disk = disk(&fake);
        fake.tell(|state| {
            state.namespaces = [other].into();
            state.status |= 2;
        });
        let looked = disk.look(&mut Waits::default());
        assert_eq!(looked, Err(StartError::Changed.name()));
    }
}

#[test]
fn each_client_has_the_namespace_of_the_plan() {
    let fake = Fake::new();
    fake.tell(|state| state.namespaces = [(1, (2048, 9)), (7, (100, 12))].into());
    let of = |task| match task {
        6 => Some(7),
        5 => Some(3),
        _ => None,
    };
    let mut disk = disk_with(&fake, 1, of);
    let sectors = |disk: &Under, task| disk.geometry(TaskId::new(task, 0)).sectors;
    assert_eq!([4, 5, 6].map(|task| sectors(&disk, task)), [2048, 0, 800]);
    assert_eq!(
        run(&mut disk, request(Kind::Read, 1, 8192), 16),
        [(1, Ok(()))]
    );
    let seen = fake.seen()[0];
    assert_eq!((seen.namespace(), seen.words[5], seen.words[6]), (7, 2, 1));
    let mut of_other = request(Kind::Flush, 2, 0);
    of_other.client = TaskId::new(4, 0);
    run(&mut disk, of_other, 0);
    assert_eq!(fake.seen()[1].namespace(), 1);
}

#[test]
fn queues_are_told_apart_by_their_vectors() {
    let fake = Fake::new();
    let mut disk = disk_with(&fake, 2, |_| None);
    assert_eq!(disk.queues(), 2);
    for tag in 0..4 {
        Served::start(&mut disk, request(Kind::Read, tag, 512), 0).expect("room");
    }
    disk.announce();
    let queues: List<u16> = fake.seen().iter().map(|seen| seen.queue).collect();
    assert_eq!(queues, [1, 1, 2, 2]);
    assert_eq!(collect(&mut disk, 1 << 17), [(1, Ok(())), (3, Ok(()))]);
    assert_eq!(collect(&mut disk, 1 << 16), [(0, Ok(())), (2, Ok(()))]);
    // A completion of a command that is in the other queue.
    fake.tell(|state| state.keeps = true);
    Served::start(&mut disk, request(Kind::Read, 9, 512), 0).expect("room");
    disk.announce();
    let id = fake.seen().last().expect("a command").id();
    fake.complete(2, id, 0);
    disk.acknowledge(u32::MAX).expect("no reason to die");
    assert_eq!(disk.finished(), Err(DeviceFault::Command.name()));
}

#[test]
fn a_full_controller_is_busy() {
    let fake = Fake::new();
    fake.tell(|state| state.keeps = true);
    let mut disk = disk(&fake);
    for tag in 0..SLOTS_MAX as u16 {
        assert_eq!(
            Served::start(&mut disk, request(Kind::Read, tag, 512), 0),
            Ok(())
        );
    }
    assert_eq!(disk.room(), 0);
    let more = Served::start(&mut disk, request(Kind::Read, 99, 512), 0);
    assert_eq!(more, Err(Error::Busy));
    let fake = Fake::new();
    fake.tell(|state| state.cap = state.cap & !0xffff | 7);
    assert_eq!(
        self::disk(&fake).room(),
        7,
        "of its queues' eight entries one is free"
    );
}

#[test]
fn every_namespace_is_flushed_before_the_end() {
    let fake = Fake::new();
    fake.tell(|state| state.namespaces = [(1, (2048, 9)), (7, (100, 12))].into());
    let mut disk = disk(&fake);
    assert_eq!(disk.shut_down(&mut Waits::default()), Ok(()));
    let seen = fake.seen();
    assert!(seen.iter().all(|seen| seen.opcode() == 0));
    assert_eq!(
        seen.iter().map(Seen::namespace).collect::<List<_>>(),
        [1, 7]
    );
    assert_eq!(fake.0.borrow().shutdowns, 1);
    let fake = Fake::new();
    let mut disk = self::disk(&fake);
    fake.tell(|state| state.statuses = [0x4006].into());
    assert!(
        disk.shut_down(&mut Waits::default()).is_err(),
        "it may not lose its power"
    );
    assert_eq!(fake.0.borrow().shutdowns, 0);
}

#[test]
fn a_completion_counts_once() {
    let fake = Fake::new();
    let mut disk = disk(&fake);
    fake.tell(|state| state.keeps = true);
    for tag in 0..2 {
        Served::start(&mut disk, request(Kind::Read, tag, 512), 0).expect("room");
    }
    disk.announce();
    fake.complete(1, 0, 0);
    assert_eq!(collect(&mut disk, u32::MAX), [(0, Ok(()))]);
    fake.complete(1, 0, 0);
    disk.acknowledge(u32::MAX).expect("no reason to die");
    assert_eq!(disk.finished(), Err(DeviceFault::Command.name()));
}
