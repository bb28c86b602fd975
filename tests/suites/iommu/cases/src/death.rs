//! Deaths of drivers, and what others notice of them.

use abi::LeaseAttributes;
use abi::privileged::TaskState;
use blk_api::client::Disk;
use blk_api::{Kind, LEASE, Transfer};
use edu::Direction;
use iommu_api::{Error, StatusFlags};
use suite::{Case, Failure, PATIENCE, Part, Result, Stage, check, check_eq, check_is};
use userlib::ipc::LeaseBuffer;
use userlib::memory::{Memory, PoolMemory};
use userlib::time::{self, Ticks};

use crate::board::{Board, F_TRANSLATION, pool_named};
use crate::help::{BLOCKS, BOTH, READ, claim, code, notes, pool, status};
use crate::message::{Words, send};
use crate::{FIRST, LENDER, OUTSIDER, SECOND, alone, edu0};

/// Bytes of a small transfer.
const FEW: usize = 16;
const CONTENT: u8 = 0x6b;
/// System calls of the first driver at which it is made to die.
const DEATHS: u64 = 24;

/// Waits to be stopped.
pub fn wait_for_the_end(stage: &Stage) -> Result {
    loop {
        stage.pause(100);
    }
}

/// Starts a role again as soon as that is possible; how often it was refused. It runs already if a look at it started it,
/// because a busy host let the device become quiet between the two.
pub fn start_again(stage: &Stage, role: usize) -> core::result::Result<u64, Failure> {
    if stage.status(role).state < TaskState::Dead as u64 {
        return Ok(0);
    }
    for refused in 0..u64::from(PATIENCE) {
        if stage.restart(role).0 == 0 {
            return Ok(refused);
        }
        stage.pause(1);
    }
    check!(false);
    Ok(0)
}

/// Ends a role's life and begins its next.
pub fn stop_and_start(stage: &Stage, role: usize) -> Result {
    check_eq!(stage.stop(role).0, 0);
    start_again(stage, role)?;
    Ok(())
}

/// Milliseconds for which an edu is busy after it was started, whatever the host does: 100, of a clock that was cut
/// to milliseconds.
const BUSY: u64 = 98;
/// How often a case that depends on that is begun anew: a loaded host may stand still for longer.
const IN_TIME_ROUNDS: usize = 3;

/// Starts a transfer and waits to be stopped while it is under way, by [`stop_in_time`].
pub fn start_and_be_stopped(stage: &Stage, board: &Board, iova: u64, len: usize) -> Result {
    let began = time::now();
    board.start(Direction::ToMemory, iova, len)?;
    stage.note(began.0);
    wait_for_the_end(stage)
}

/// Whether the life before was stopped in time.
pub fn was_stopped_in_time(stage: &Stage) -> bool {
    if stage.life == 0 {
        return false;
    }
    loop {
        let (count, notes) = stage.notes();
        // Notes of either side take turns.
        if count % 2 == 0 {
            let last = (count as usize).checked_sub(1);
            return last.and_then(|last| notes.get(last)) == Some(&1);
        }
        stage.pause(1);
    }
}

/// Stops a role with a transfer under way and starts it again. A life that was stopped too late, its transfer over,
/// is followed by another try. What is seen after the stop, while the transfer would still be under way, is
/// judged by the caller.
pub fn stop_in_time<T>(
    stage: &Stage,
    role: usize,
    see: impl Fn() -> core::result::Result<T, Failure>,
) -> core::result::Result<T, Failure> {
    let mut found = None;
    for round in 0..IN_TIME_ROUNDS {
        let began = notes(stage, round as u64 * 2 + 1).get(round * 2).copied();
        let began = check_is!(began, Some(began) => Ticks(began));
        check_eq!(stage.stop(role).0, 0);
        let seen = see()?;
        let in_time = time::now().0 < began.after(BUSY * 1_000_000).0;
        stage.note(u64::from(in_time));
        start_again(stage, role)?;
        if in_time {
            found = Some(seen);
            break;
        }
    }
    Ok(check_is!(found, Some(seen) => seen))
}

/// For a case that the first driver begins with a note, and goes on with in its second life.
pub fn kill_once(stage: &Stage) -> Result {
    notes(stage, 1);
    stop_and_start(stage, FIRST)
}

fn holding_everything(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    if stage.life == 0 {
        for page in (0..512).step_by(16) {
            check_eq!(code(claimed.fix(0, 16, page)), 0);
        }
        claimed.pool = pool("blocks");
        check_eq!(code(claimed.map(0, 1024, BOTH | BLOCKS)), 0);
        stage.note(0);
        return wait_for_the_end(stage);
    }
    claimed.has_mapped(0)?;
    claimed.is_empty()?;
    claimed.pool = pool("blocks");
    check_eq!(code(claimed.map(0, 1024, READ | BLOCKS)), 0);
    Ok(())
}

fn old_iova(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    if stage.life == 0 {
        let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
        board.write(stage, iova, FEW)?;
        board.put(4, CONTENT);
        stage.note(iova);
        return wait_for_the_end(stage);
    }
    let [iova, ..] = notes(stage, 1);
    board.write(stage, iova, FEW)?;
    claimed.status()?;
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.event, F_TRANSLATION);
    check_eq!(fault.iova, iova);
    board.kept(4, CONTENT)
}

fn under_way(stage: &Stage) -> Result {
    let board = Board::new()?;
    if !was_stopped_in_time(stage) {
        let mut claimed = claim()?;
        let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
        board.put(4, CONTENT);
        return start_and_be_stopped(stage, &board, iova, FEW);
    }
    // Not a step of this life was run before the device was quiet.
    check!(!board.busy());
    board.kept(4, CONTENT)?;
    claim()?.is_empty()?;
    stage.pause(150);
    board.kept(4, CONTENT)
}

/// Sees from outside that the driver stays down until its device is quiet.
fn watch_it_stay_down(stage: &Stage) -> Result {
    let see = || {
        let refused = stage.restart(FIRST).0 != 0;
        let during = status(edu0())?;
        Ok((refused, during.flags.0, stage.status(FIRST).state))
    };
    let (refused, flags, state) = stop_in_time(stage, FIRST, see)?;
    check!(refused);
    check_eq!(flags, StatusFlags::QUIESCING);
    check_eq!(state, TaskState::DeadHeld as u64);
    Ok(())
}

/// Dies at a later system call in each life, in the middle of claiming, mapping, unmapping, releasing.
fn dies_anywhere(stage: &Stage) -> Result {
    if stage.life >= DEATHS {
        let mut claimed = claim()?;
        claimed.has_mapped(0)?;
        claimed.is_empty()?;
        stage.note(0);
        return Ok(());
    }
    check_eq!(stage.arm_fault(FIRST, stage.life + 1).0, 0);
    let mut claimed = claim()?;
    claimed.has_mapped(0)?;
    check_eq!(code(claimed.fix(0, 4, 0)), 0);
    check_eq!(code(claimed.map_list(BOTH, 0, &[(0, 1), (5, 3)])), 0);
    check_eq!(code(claimed.unmap_list(&[(claimed.page(0), 2)])), 0);
    check_eq!(code(claimed.unmap(claimed.page(2), 2)), 0);
    check_eq!(code(claimed.flush()), 0);
    check_eq!(code(claimed.release()), 0);
    wait_for_the_end(stage)
}

/// Starts the first driver again whenever it is dead, until there is a note.
pub fn start_whenever_dead(stage: &Stage) -> Result {
    while stage.notes().0 == 0 {
        if stage.status(FIRST).state >= TaskState::Dead as u64 {
            start_again(stage, FIRST)?;
        }
        stage.pause(1);
    }
    Ok(())
}

fn works_beside(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let iova = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, iova, CONTENT)?;
    let to = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.clear(4);
    notes(stage, 1);
    board.start(Direction::ToMemory, to, FEW)?;
    check_eq!(stage.stop(FIRST).0, 0);
    board.finish(stage)?;
    board.only(4, 0, FEW)?;
    start_again(stage, FIRST)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_none());
    claimed.has_mapped(2)?;
    check_eq!(code(claimed.unmap(to, 1)), 0);
    Ok(())
}

/// Claims and maps, to be stopped with it in every life.
fn holds_something(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.map(0, 16, BOTH)), 0);
    stage.note(0);
    wait_for_the_end(stage)
}

/// Reads 8 sectors from `sector` into page `page` of the pool.
fn read_disk(disk: &Disk, pool: &PoolMemory, page: usize, sector: u64) -> Result {
    let request = Transfer {
        kind: Kind::Read,
        tag: page as u16,
        region: LEASE,
        page: 0,
        sector,
        count: 8,
    };
    let buffer = LeaseBuffer::pool(pool.part(page * 4096, 4096), LeaseAttributes::all());
    check!(disk.one(&request, Some(buffer)).is_ok());
    Ok(())
}

/// Reads the same sectors again and again while the first driver is stopped and started.
fn disk_beside_deaths(stage: &Stage) -> Result {
    let disk = check_is!(Disk::named("virtio-blk"), Some(disk) => disk);
    let memory = pool_named("pages")?;
    memory.fill(0, 2 * 4096, 0);
    read_disk(&disk, &memory, 0, 16)?;
    let first = memory.read64(0);
    check!((0..512).any(|word| memory.read64(word * 8) != 0));
    for round in 1..=8 {
        notes(stage, round);
        stop_and_start(stage, FIRST)?;
        memory.fill(4096, 4096, 0);
        read_disk(&disk, &memory, 1, 16)?;
        check_eq!(memory.read64(4096), first);
        let same = (0..512).all(|word| memory.read64(word * 8) == memory.read64(4096 + word * 8));
        check!(same);
    }
    Ok(())
}

/// Random messages: most of them wrong in several ways.
fn noise(stage: &Stage) -> Result {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..400 {
        let operation = (random() % 14) as u16;
        let mut message = Words::of(&[]);
        for _ in 0..random() % 12 {
            let word = random();
            // Small numbers are closer to what would be good.
            message.push(word >> (word % 64));
        }
        let len = message.len + (random() % 5 == 0) as usize;
        let capacity = (random() % 65) as usize;
        let answer = send(operation, &message.with_len(len), capacity, &[]);
        check!(answer.code.0 == 0 || Error::from_code(answer.code.0).is_some());
        // A stranger may be answered nothing but errors.
        check!(answer.code.0 != 0);
    }
    stage.note(0);
    Ok(())
}

fn works_beside_noise(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let mut rounds = 0;
    while stage.notes().0 == 0 {
        let iova = check_is!(claimed.map(0, 16, BOTH), Ok(iova) => iova);
        claimed.has_mapped(16)?;
        check_eq!(code(claimed.unmap(iova, 16)), 0);
        rounds += 1;
        // The stranger is less urgent.
        stage.pause(1);
    }
    check!(rounds > 0);
    check_eq!(
        status(edu0())?.flags.0,
        StatusFlags::CLAIMED | StatusFlags::OPEN
    );
    Ok(())
}

fn claims_are_counted(_: &Stage) -> Result {
    let before = status(edu0())?.claims;
    let mut claimed = claim()?;
    check_eq!(claim()?.status()?.claims, before + 1);
    check_eq!(code(claimed.release()), 0);
    check_eq!(claim()?.status()?.claims, before + 2);
    Ok(())
}

pub const CASES: &[Case] = &[
    Case::new(
        "death-with-everything-mapped",
        &["IOMMU-DEATH-1", "IOMMU-G5-1"],
        &[
            Part::returns(FIRST, holding_everything),
            Part::returns(SECOND, kill_once),
        ],
    ),
    Case::new(
        "death-and-the-iova-of-before",
        &["IOMMU-DEATH-1", "IOMMU-G5-1", "IOMMU-G3-1"],
        &[
            Part::returns(FIRST, old_iova),
            Part::returns(SECOND, kill_once),
        ],
    ),
    Case::new(
        "death-with-a-transfer-under-way",
        &["IOMMU-G4-1", "IOMMU-DEATH-1", "IOMMU-CLAIM-4"],
        &[
            Part::returns(FIRST, under_way),
            Part::returns(SECOND, watch_it_stay_down),
        ],
    ),
    Case::new(
        "death-at-every-system-call",
        &["IOMMU-G5-1"],
        &[
            Part::returns(FIRST, dies_anywhere),
            Part::returns(SECOND, start_whenever_dead),
        ],
    ),
    Case::new(
        "death-beside-a-transfer-of-another",
        &["IOMMU-DEATH-4", "IOMMU-G5-1"],
        &[
            Part::serves(FIRST, holds_something),
            Part::returns(SECOND, works_beside),
        ],
    ),
    Case::new(
        "deaths-beside-the-disk",
        &["IOMMU-DEATH-4"],
        &[
            Part::serves(FIRST, holds_something),
            Part::returns(LENDER, disk_beside_deaths),
        ],
    ),
    Case::new(
        "noise-of-a-stranger",
        &["IOMMU-G7-1", "IOMMU-ERR-3"],
        &[
            Part::returns(FIRST, works_beside_noise),
            Part::returns(OUTSIDER, noise),
        ],
    ),
    alone!("claims-are-counted", &["IOMMU-LOOK-5"], claims_are_counted),
];
