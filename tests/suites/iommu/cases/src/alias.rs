//! Two devices behind one bridge: one StreamID, one domain, two drivers.

use iommu_api::{Error, StatusFlags};
use suite::{Case, Failure, Part, Result, Stage, check, check_eq, check_is};

use crate::board::{Board, F_TRANSLATION};
use crate::death::{start_again, wait_for_the_end};
use crate::help::{BOTH, Claimed, FIXED, READ, claim, code, notes};
use crate::{LEFT, RIGHT, SECOND};

/// Bytes of a small transfer.
const FEW: usize = 16;
const CONTENT: u8 = 0x19;
const OPEN: u8 = StatusFlags::CLAIMED | StatusFlags::OPEN;

/// Claims, and waits until the other has claimed, too.
fn claim_together(stage: &Stage) -> core::result::Result<Claimed, Failure> {
    let claimed = claim()?;
    stage.note(claimed.handle);
    notes(stage, 2);
    Ok(claimed)
}

fn both_claim(stage: &Stage) -> Result {
    let claimed = claim_together(stage)?;
    let [one, two, ..] = notes(stage, 2);
    check!(one != two);
    check_eq!(claimed.status()?.flags.0, OPEN);
    stage.note(0);
    notes(stage, 4);
    Ok(())
}

fn map_for_both(stage: &Stage) -> Result {
    let mut claimed = claim_together(stage)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    let memory = Board::new()?;
    memory.clear(4);
    stage.note(iova);
    notes(stage, 4);
    // The other's device wrote it: the SMMU cannot tell them apart.
    memory.only(4, 0, FEW)?;
    claimed.has_mapped(1)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    memory.put(4, CONTENT);
    stage.note(0);
    notes(stage, 6);
    memory.kept(4, CONTENT)
}

fn write_to_the_others(stage: &Stage) -> Result {
    let mut claimed = claim_together(stage)?;
    let board = Board::new()?;
    let own = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, own, 0x55)?;
    let [_, _, iova, ..] = notes(stage, 3);
    board.write(stage, iova, FEW)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_none());
    stage.note(0);
    notes(stage, 5);
    board.write(stage, iova, FEW)?;
    claimed.status()?;
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.event, F_TRANSLATION);
    check_eq!(fault.iova, iova);
    stage.note(0);
    Ok(())
}

fn map_first(stage: &Stage) -> Result {
    let mut claimed = claim_together(stage)?;
    check_eq!(code(claimed.fix(0, 4, 10)), 0);
    stage.note(0);
    notes(stage, 4);
    claimed.has_mapped(4)?;
    check_eq!(code(claimed.unmap(claimed.page(10), 4)), 0);
    Ok(())
}

fn meddle(stage: &Stage) -> Result {
    let mut claimed = claim_together(stage)?;
    notes(stage, 3);
    let page = claimed.page(10);
    // One domain has one set of IOVAs.
    check_eq!(
        code(claimed.map_at(0, 1, READ | FIXED, page)),
        Error::Overlap
    );
    // But what the other mapped is the other's.
    check_eq!(code(claimed.unmap(page, 4)), Error::NotMapped);
    check_eq!(code(claimed.unmap(page, 1)), Error::NotMapped);
    check_eq!(code(claimed.unmap_list(&[(page, 1)])), Error::NotMapped);
    check_eq!(code(claimed.fix(0, 2, 14)), 0);
    check_eq!(code(claimed.unmap(claimed.page(12), 4)), Error::NotMapped);
    claimed.has_mapped(2)?;
    stage.note(0);
    Ok(())
}

fn release_first(stage: &Stage) -> Result {
    let mut claimed = claim_together(stage)?;
    notes(stage, 3);
    check_eq!(code(claimed.release()), 0);
    check_eq!(claimed.status()?.flags.0 & StatusFlags::CLAIMED, 0);
    stage.note(0);
    notes(stage, 5);
    Ok(())
}

fn go_on_after_release(stage: &Stage) -> Result {
    let mut claimed = claim_together(stage)?;
    let board = Board::new()?;
    let own = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, own, 0x55)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.clear(4);
    stage.note(0);
    notes(stage, 4);
    check_eq!(claimed.status()?.flags.0, OPEN);
    board.write(stage, iova, FEW)?;
    board.only(4, 0, FEW)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_none());
    stage.note(0);
    Ok(())
}

/// Faults of the stream are told to both, since it could have been either.
fn fault(stage: &Stage) -> Result {
    let claimed = claim_together(stage)?;
    let board = Board::new()?;
    board.write(stage, claimed.page(9), FEW)?;
    let status = claimed.status()?;
    check_eq!(status.last_iova & !0xfff, claimed.page(9));
    stage.note(0);
    check!(claimed.next_fault()?.is_some());
    Ok(())
}

fn hear_of_it(stage: &Stage) -> Result {
    let claimed = claim_together(stage)?;
    notes(stage, 3);
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.iova, claimed.page(9));
    Ok(())
}

fn die(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    if stage.life > 0 {
        claimed.has_mapped(0)?;
        stage.note(0);
        return Ok(());
    }
    check_eq!(code(claimed.map(0, 4, BOTH)), 0);
    stage.note(0);
    wait_for_the_end(stage)
}

/// The sibling's death takes this one's device too, until it is released.
fn survive(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.map(0, 2, BOTH)), 0);
    stage.note(0);
    notes(stage, 3);
    check_eq!(code(claimed.map(0, 1, READ)), Error::StreamBlocked);
    check_eq!(code(claimed.unmap(claimed.base(), 1)), Error::StreamBlocked);
    let flags = claimed.status()?.flags.0;
    check_eq!(flags & StatusFlags::OPEN, 0);
    check_eq!(flags & StatusFlags::STORM, StatusFlags::STORM);
    check_eq!(code(claimed.release()), 0);
    let mut again = claim()?;
    check_eq!(again.status()?.flags.0, OPEN);
    again.has_mapped(0)?;
    check_eq!(code(again.map(0, 1, READ)), 0);
    stage.note(0);
    Ok(())
}

fn stop_one(stage: &Stage) -> Result {
    notes(stage, 2);
    check_eq!(stage.stop(LEFT).0, 0);
    stage.note(0);
    notes(stage, 4);
    start_again(stage, LEFT)?;
    notes(stage, 5);
    Ok(())
}

pub const CASES: &[Case] = &[
    Case::new(
        "alias-both-claim",
        &["IOMMU-CLAIM-11"],
        &[
            Part::returns(LEFT, both_claim),
            Part::returns(RIGHT, both_claim),
        ],
    ),
    Case::new(
        "alias-both-reach-the-same",
        &["IOMMU-CLAIM-11", "IOMMU-G3-1"],
        &[
            Part::returns(LEFT, map_for_both),
            Part::returns(RIGHT, write_to_the_others),
        ],
    ),
    Case::new(
        "alias-mappings-of-the-other",
        &["IOMMU-UNMAP-2", "IOMMU-MAP-5"],
        &[Part::returns(LEFT, map_first), Part::returns(RIGHT, meddle)],
    ),
    Case::new(
        "alias-release-of-one",
        &["IOMMU-REL-1", "IOMMU-CLAIM-11"],
        &[
            Part::returns(LEFT, release_first),
            Part::returns(RIGHT, go_on_after_release),
        ],
    ),
    Case::new(
        "alias-faults-are-told-to-both",
        &["IOMMU-FAULT-6"],
        &[Part::returns(LEFT, fault), Part::returns(RIGHT, hear_of_it)],
    ),
    Case::new(
        "alias-death-of-one",
        &["IOMMU-DEATH-2", "IOMMU-MAP-10"],
        &[
            Part::returns(LEFT, die),
            Part::returns(RIGHT, survive),
            Part::returns(SECOND, stop_one),
        ],
    ),
];
