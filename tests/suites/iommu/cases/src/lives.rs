//! What a life that is over made its device begin, behind closed streams, is no business of the next one. An edu
//! writes 100 ms after it was told to, whatever happens meanwhile.

use abi::{Code, LeaseAttributes};
use edu::{Direction, pattern};
use suite::{Case, Failure, Part, Result, Stage, check, check_eq};
use userlib::ipc::{self, LeaseBuffer};

use crate::board::{Board, PAGE_BYTES, pool_named};
use crate::death::{start_whenever_dead, wait_for_the_end};
use crate::help::{BOTH, FIXED, claim, code, describe};
use crate::lease::{map_page, next_message};
use crate::{FIRST, LENDER, SECOND, edu0};

/// Bytes of the transfer.
const FEW: usize = 256;
const CONTENT: u8 = 0x4d;
/// Longer than any transfer takes.
const AFTER: u32 = 150;
/// How often it is begun anew if a loaded host lets the transfer end before the next life has begun.
const ROUNDS: u64 = 6;

/// Lives of a round, at most.
const LIVES: u64 = 3;

/// Ends this life.
fn end_me(stage: &Stage) -> Result {
    check!(stage.life < ROUNDS * LIVES);
    check_eq!(stage.arm_fault(FIRST, 1).0, 0);
    wait_for_the_end(stage)
}

/// Starts a transfer, though nothing is claimed, and dies.
fn leave_a_transfer(stage: &Stage, board: &Board, iova: u64) -> Result {
    board.start(Direction::ToMemory, iova, FEW)?;
    end_me(stage)
}

/// Claims and releases; the first IOVA of the window.
fn claim_and_release(mapped: bool) -> core::result::Result<u64, Failure> {
    let mut claimed = claim()?;
    if mapped {
        check!(claimed.map(0, 1, BOTH).is_ok());
    }
    check_eq!(code(claimed.release()), 0);
    Ok(claimed.base())
}

/// Claims and maps in a life that finds its device busy with what an earlier one began: none of it lands there.
fn is_not_hit(stage: &Stage, board: &Board) -> Result {
    if !board.busy() {
        return end_me(stage);
    }
    let mut claimed = claim()?;
    check!(!board.busy());
    board.put(4, CONTENT);
    check_eq!(code(claimed.map_at(4, 1, BOTH | FIXED, claimed.base())), 0);
    stage.pause(AFTER);
    board.kept(4, CONTENT)?;
    stage.note(0);
    Ok(())
}

fn after_a_release(stage: &Stage, mapped: bool) -> Result {
    let board = Board::new()?;
    if stage.life.is_multiple_of(2) {
        let iova = claim_and_release(mapped)?;
        return leave_a_transfer(stage, &board, iova);
    }
    is_not_hit(stage, &board)
}

fn after_a_release_with_nothing_mapped(stage: &Stage) -> Result {
    after_a_release(stage, false)
}

fn after_a_release_with_mappings(stage: &Stage) -> Result {
    after_a_release(stage, true)
}

/// Dies with its claim; the next life claims nothing; the one after it does.
fn after_an_unclaimed_life(stage: &Stage) -> Result {
    let board = Board::new()?;
    match stage.life % 3 {
        0 => {
            let mut claimed = claim()?;
            check!(claimed.map(0, 1, BOTH).is_ok());
            end_me(stage)
        }
        1 => {
            // Nobody has to ask for it: it is the plan's.
            let window = describe(edu0())?;
            leave_a_transfer(stage, &board, window.iova_base)
        }
        _ => is_not_hit(stage, &board),
    }
}

/// What would be hit is a client's page, lent to the second life only.
fn serves_a_lender(stage: &Stage) -> Result {
    let board = Board::new()?;
    if stage.life.is_multiple_of(2) {
        let iova = claim_and_release(true)?;
        return leave_a_transfer(stage, &board, iova);
    }
    if !board.busy() {
        return end_me(stage);
    }
    let mut claimed = claim()?;
    check!(!board.busy());
    let message = next_message()?;
    let mapped = map_page(&mut claimed, message.sender, 0, BOTH | FIXED);
    check_eq!(code(mapped), 0);
    stage.pause(AFTER);
    check_eq!(code(claimed.unmap(claimed.base(), 1)), 0);
    ipc::reply(message.sender, 0, &[0; 8], 0);
    stage.note(0);
    Ok(())
}

fn lends_a_page(stage: &Stage) -> Result {
    let pool = pool_named("pages")?;
    pattern::write(&pool, 0, PAGE_BYTES, CONTENT);
    loop {
        let buffer = LeaseBuffer::pool(pool.part(0, PAGE_BYTES), LeaseAttributes::all());
        // The other lives serve nobody, and die.
        if ipc::call(stage.id(FIRST), 1, &[0; 8], 0, 0, &[buffer]).code == Code::OK {
            break;
        }
        stage.pause(1);
    }
    check_eq!(pattern::differences(&pool, 0, PAGE_BYTES, CONTENT), 0);
    Ok(())
}

pub const CASES: &[Case] = &[
    Case::new(
        "a-transfer-begun-after-a-release-with-nothing-mapped",
        &["IOMMU-CLAIM-5", "IOMMU-G5-1"],
        &[
            Part::returns(FIRST, after_a_release_with_nothing_mapped),
            Part::returns(SECOND, start_whenever_dead),
        ],
    ),
    Case::new(
        "a-transfer-begun-after-a-release-with-mappings",
        &["IOMMU-CLAIM-5", "IOMMU-G5-1"],
        &[
            Part::returns(FIRST, after_a_release_with_mappings),
            Part::returns(SECOND, start_whenever_dead),
        ],
    ),
    Case::new(
        "a-transfer-begun-by-a-life-that-claimed-nothing",
        &["IOMMU-CLAIM-5", "IOMMU-G5-1"],
        &[
            Part::returns(FIRST, after_an_unclaimed_life),
            Part::returns(SECOND, start_whenever_dead),
        ],
    ),
    Case::new(
        "a-transfer-begun-before-its-page-was-lent",
        &["IOMMU-CLAIM-5", "IOMMU-G4-1"],
        &[
            Part::returns(FIRST, serves_a_lender),
            Part::returns(SECOND, start_whenever_dead),
            Part::returns(LENDER, lends_a_page),
        ],
    ),
];
