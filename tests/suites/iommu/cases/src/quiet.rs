//! Requests that wait until a device is quiet, and what others can do meanwhile. An edu is busy for 100 ms
//! after a transfer was started, and quiet when it is not.

use edu::Direction;
use iommu_api::{Error, Handle, Operation, StatusFlags};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};
use userlib::memory::Memory;
use userlib::provoke;

use crate::board::{Board, PAGE_BYTES};
use crate::death::{stop_and_start, wait_for_the_end};
use crate::help::{BOTH, Claimed, READ, claim, claim_words, code, notes, status};
use crate::message::{extent, what};
use crate::{FIRST, LEFT, RIGHT, SECOND, alone, edu0, edu3};

/// Bytes of a small transfer.
const FEW: usize = 16;
const CONTENT: u8 = 0x2f;
/// How often a case that depends on 100 ms not being over is begun anew: a loaded host may stand still
/// for longer.
const ROUNDS: u64 = 6;

/// Maps a page, starts a transfer to it, unmaps it and releases the device: it is busy, with nothing mapped.
fn release_busy(claimed: &mut Claimed, board: &Board) -> Result {
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.start(Direction::ToMemory, iova, FEW)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check_eq!(code(claimed.release()), 0);
    Ok(())
}

/// A device that its own life released with nothing mapped need not be quiet to be claimed again.
fn busy_by_its_own_word(stage: &Stage) -> Result {
    let board = Board::new()?;
    board.put(4, CONTENT);
    let mut at_once = false;
    for _ in 0..ROUNDS {
        let mut claimed = claim()?;
        release_busy(&mut claimed, &board)?;
        claim()?;
        at_once = board.busy();
        board.finish(stage)?;
        if at_once {
            break;
        }
    }
    check!(at_once);
    board.kept(4, CONTENT)
}

/// Leaves its device busy in every life; the next one has it only when it is quiet.
fn claim_what_is_busy(stage: &Stage) -> Result {
    let claimed = claim_words(edu0());
    check_eq!(claimed.code.0, 0);
    check!(Handle(claimed.payload[0]).slot() != 0);
    let board = Board::new()?;
    check!(!board.busy());
    stage.note(0);
    release_busy(&mut claim()?, &board)?;
    stage.note(0);
    wait_for_the_end(stage)
}

/// While the first driver's claim waits, its device stays closed and others are served.
fn work_while_a_claim_waits(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    notes(stage, 2);
    for round in 1..=ROUNDS {
        stop_and_start(stage, FIRST)?;
        let mut waited = false;
        let claims = status(edu0())?.claims;
        while stage.notes().0 == 2 * round {
            let before = status(edu0())?;
            let iova = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
            check_eq!(code(claimed.unmap(iova, 1)), 0);
            let replied = stage.notes().0 != 2 * round;
            if status(edu0())?.flags.0 == StatusFlags::QUIESCING {
                check_eq!(before.flags.0 & !StatusFlags::QUIESCING, 0);
                check_eq!(before.claims, claims);
                check!(!replied);
                waited = true;
            }
            stage.pause(1);
        }
        if waited {
            return Ok(());
        }
        notes(stage, 2 * round + 2);
    }
    check!(false);
    Ok(())
}

/// Dies with a transfer under way, in every life.
fn die_busy(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.start(Direction::ToMemory, iova, FEW)?;
    stage.note(0);
    wait_for_the_end(stage)
}

/// Its own device could be claimed at any time, but for the stream that it shares.
fn claim_beside_the_dead(stage: &Stage) -> Result {
    let mut busy = false;
    for round in 1..=ROUNDS {
        notes(stage, round);
        check_eq!(stage.stop(LEFT).0, 0);
        let claimed = loop {
            let answer = claim_words(edu3());
            if answer.code.0 == 0 {
                break claim()?;
            }
            check_eq!(answer.code.0, Error::Busy);
            check_eq!(answer.len, 0);
            check_eq!(status(edu3())?.flags.0 & StatusFlags::CLAIMED, 0);
            busy = true;
            stage.pause(1);
        };
        let mut claimed: Claimed = claimed;
        check_eq!(code(claimed.release()), 0);
        if busy {
            return Ok(());
        }
        crate::death::start_again(stage, LEFT)?;
    }
    check!(busy);
    Ok(())
}

/// The release of a device that is busy with something mapped.
fn release_that_waits(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.start(Direction::ToMemory, iova, FEW)?;
    stage.note(0);
    let answer = claimed.request(Operation::Release, &[]);
    check_eq!(answer.code.0, 0);
    check_eq!(answer.len, 0);
    check!(!board.busy());
    let status = claimed.status()?;
    check_eq!(status.flags.0, 0);
    check_eq!(status.mapped_pages, 0);
    stage.note(0);
    Ok(())
}

/// Long and short messages about another device; none of them is mistaken for the one that waits.
fn messages_meanwhile(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    notes(stage, 1);
    let extents = [(3, 2); 20];
    while stage.notes().0 == 1 {
        let iova = check_is!(claimed.map_list(READ, 0, &extents), Ok(iova) => iova);
        claimed.has_mapped(40)?;
        check!(status(edu0())?.mapped_pages <= 1);
        check_eq!(
            code(claimed.unmap_list(&[(iova, 17), (iova + 17 * 4096, 23)])),
            0
        );
        claimed.has_mapped(0)?;
    }
    check_eq!(status(edu0())?.mapped_pages, 0);
    check_eq!(claim()?.handle, claimed.handle);
    Ok(())
}

/// Extents of a list that fills most of a page.
const EXTENTS: usize = 400;

/// A list in memory that the device overwrites: each time it counts as it was sent, as a whole.
fn a_list_overwritten(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let pool = &board.pool;
    let list = |page: usize, word: u64| {
        for place in 0..EXTENTS {
            pool.write64(page * PAGE_BYTES + 32 + place * 8, word);
        }
    };
    // The device's version of the list: beyond the pool.
    list(1, extent(1000, 1));
    let source = check_is!(claimed.map(1, 1, READ), Ok(iova) => iova);
    board.read(stage, source + 32, EXTENTS * 8)?;
    let target = check_is!(claimed.map(0, 1, BOTH), Ok(iova) => iova);
    list(0, extent(5, 1));
    pool.write64(0, claimed.handle);
    pool.write64(16, what(claimed.pool, READ));
    pool.write64(24, 0);
    board.start(Direction::ToMemory, target + 32, EXTENTS * 8)?;
    let mut served = 0;
    loop {
        let over = !board.busy();
        claimed.sequence += 1;
        pool.write64(8, claimed.sequence);
        let len = (32 + EXTENTS * 8) as u16;
        let descriptor = abi::SendDescriptor::new(Operation::MapList as u16, len, 8, 0);
        let server = crate::message::server();
        let arguments = [server.0, descriptor.0, pool.address(0), 0, 0, 0, 0, 0];
        let answer = provoke::send(arguments, &[0; 8]);
        if answer.code.0 == 0 {
            check!(!over);
            claimed.has_mapped(2 + EXTENTS as u64)?;
            check_eq!(code(claimed.unmap(answer.payload[0], EXTENTS as u64)), 0);
            served += 1;
        } else {
            check_eq!(answer.code.0, Error::BadMemory);
            check!(served > 0);
        }
        claimed.has_mapped(2)?;
        if over {
            // From then on it is the device's list.
            check_eq!(answer.code.0, Error::BadMemory);
            return Ok(());
        }
    }
}

pub const CASES: &[Case] = &[
    alone!(
        "claim-again-what-is-busy",
        &["IOMMU-CLAIM-5"],
        busy_by_its_own_word
    ),
    Case::new(
        "claim-by-the-next-life-what-is-busy",
        &["IOMMU-CLAIM-5", "IOMMU-CLAIM-6", "IOMMU-LOOK-6"],
        &[
            Part::serves(FIRST, claim_what_is_busy),
            Part::returns(SECOND, work_while_a_claim_waits),
        ],
    ),
    Case::new(
        "claim-beside-a-member-that-is-made-quiet",
        &["IOMMU-CLAIM-3"],
        &[
            Part::serves(LEFT, die_busy),
            Part::returns(RIGHT, claim_beside_the_dead),
        ],
    ),
    Case::new(
        "messages-while-a-release-waits",
        &["IOMMU-FORM-7", "IOMMU-REL-2"],
        &[
            Part::returns(FIRST, release_that_waits),
            Part::returns(SECOND, messages_meanwhile),
        ],
    ),
    alone!(
        "a-list-that-the-device-overwrites",
        &["IOMMU-FORM-7", "IOMMU-LIST-2"],
        a_list_overwritten
    ),
];
