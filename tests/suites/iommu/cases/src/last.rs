//! The PCI task gone for good: nobody can make a device quiet any more, so whatever a device could reach stays
//! held until power-off. Nothing can be tested after this.

use abi::privileged::{Privileged, TaskState};
use edu::Direction;
use iommu_api::{Error, Operation, StatusFlags};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};

use crate::board::Board;
use crate::death::wait_for_the_end;
use crate::help::{BOTH, claim, claim_words, code, got, notes, refusal, status};
use crate::lease::{lend_and_forget, map_page, next_message};
use crate::servers::index;
use crate::{FIRST, LEFT, LENDER, RIGHT, SECOND, edu0, edu1, edu3};

/// Bytes of a small transfer.
const FEW: usize = 16;
const CONTENT: u8 = 0x3d;

/// Notes when the PCI task is gone.
const GONE: u64 = 3;
/// Notes when the first driver has tried to release.
const RELEASED: u64 = 4;

/// With a lease and a page mapped and a transfer under way it wants to give its device back.
fn release(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let message = next_message()?;
    check_eq!(code(map_page(&mut claimed, message.sender, 2, BOTH)), 0);
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.put(4, CONTENT);
    stage.note(0);
    notes(stage, GONE);
    board.start(Direction::ToMemory, iova, FEW)?;
    check_eq!(code(claimed.release()), Error::NotQuiet);
    let status = claimed.status()?;
    check_eq!(status.flags.0, StatusFlags::STUCK);
    check_eq!(status.mapped_pages, 2);
    check!(refusal(Operation::Claim, edu0()) == Some(Error::NotQuiet));
    check_eq!(code(claimed.flush()), Error::StaleHandle);
    // The lender's page is as unsafe as its own.
    let _ = stage.stop(LENDER);
    check!(stage.restart(LENDER).0 != 0);
    check_eq!(stage.status(LENDER).state, TaskState::DeadHeld as u64);
    stage.pause(150);
    board.kept(4, CONTENT)?;
    stage.note(0);
    wait_for_the_end(stage)
}

/// Dies.
fn die(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.map(0, 3, BOTH)), 0);
    stage.note(0);
    wait_for_the_end(stage)
}

/// Ends the PCI task, and looks at what becomes of the others.
fn end_it(stage: &Stage) -> Result {
    notes(stage, 2);
    let code = stage.privileged_two(Privileged::Stop as u64, index("pci"), 1);
    check_eq!(code.0, 0);
    // A claim that cannot be made quiet is refused, and its claimant not held.
    let answer = claim_words(edu1());
    check!(got(&answer).is_err());
    check_eq!(answer.code.0, Error::NotQuiet);
    check_eq!(status(edu1())?.flags.0, 0);
    check_eq!(status(edu1())?.claims, 0);
    stage.note(0);
    notes(stage, RELEASED);
    check_eq!(stage.stop(FIRST).0, 0);
    check_eq!(stage.stop(LEFT).0, 0);
    stage.pause(20);
    for role in [FIRST, LEFT, LENDER] {
        check!(stage.restart(role).0 != 0);
        check_eq!(stage.status(role).state, TaskState::DeadHeld as u64);
    }
    check_eq!(status(edu0())?.flags.0, StatusFlags::STUCK);
    check_eq!(status(edu0())?.mapped_pages, 2);
    stage.note(0);
    Ok(())
}

/// Nor can another device; and whose claim was refused is not held.
fn claim_afterwards(stage: &Stage) -> Result {
    notes(stage, RELEASED + 1);
    check!(refusal(Operation::Claim, edu3()) == Some(Error::NotQuiet));
    check_eq!(status(edu3())?.flags.0, 0);
    check_eq!(stage.stop(SECOND).0, 0);
    check_eq!(stage.status(SECOND).state, TaskState::Dead as u64);
    Ok(())
}

pub const CASES: &[Case] = &[Case::new(
    "nobody-makes-a-device-quiet",
    &[
        "IOMMU-CLAIM-6",
        "IOMMU-REL-4",
        "IOMMU-DEATH-3",
        "IOMMU-G4-1",
    ],
    &[
        Part::serves(FIRST, release),
        Part::serves(LEFT, die),
        Part::returns(SECOND, end_it),
        Part::returns(RIGHT, claim_afterwards),
        Part::serves(LENDER, lend_and_forget),
    ],
)];
