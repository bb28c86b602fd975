//! `claim` and `release`.

use iommu_api::{Error, Handle, StatusFlags};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};

use crate::death::{kill_once, wait_for_the_end};
use crate::help::{BOTH, Claimed, READ, claim, code, notes, pool};
use crate::{FIRST, SECOND, alone};

fn new_claim(_: &Stage) -> Result {
    let claimed = claim()?;
    check!(Handle(claimed.handle).slot() != 0);
    check!(Handle(claimed.handle).generation() != 0);
    check_eq!(claimed.sequence, 0);
    Ok(())
}

fn claim_twice(_: &Stage) -> Result {
    let mut one = claim()?;
    check!(one.map(0, 1, READ).is_ok());
    check!(one.map(1, 1, READ).is_ok());
    let two = claim()?;
    check_eq!(two.handle, one.handle);
    check_eq!(two.sequence, 2);
    check!(two.window == one.window);
    two.has_mapped(2)
}

fn claim_after_release(_: &Stage) -> Result {
    let mut one = claim()?;
    check!(one.flush().is_ok());
    check_eq!(code(one.release()), 0);
    let two = claim()?;
    check!(Handle(two.handle).generation() > Handle(one.handle).generation());
    check_eq!(two.sequence, 0);
    check_eq!(code(one.map(0, 1, READ)), Error::StaleHandle);
    Ok(())
}

fn many_claims(_: &Stage) -> Result {
    let mut last = 0;
    for _ in 0..20 {
        let mut claimed = claim()?;
        check!(Handle(claimed.handle).generation() > last);
        last = Handle(claimed.handle).generation();
        check_eq!(code(claimed.release()), 0);
    }
    Ok(())
}

fn claim_after_death(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    if stage.life == 0 {
        check_eq!(code(claimed.map(0, 3, BOTH)), 0);
        stage.note(claimed.handle);
        wait_for_the_end(stage)
    } else {
        let before = stage.notes().1[0];
        check!(claimed.handle != before);
        check_eq!(claimed.sequence, 0);
        claimed.has_mapped(0)?;
        claimed.is_empty()?;
        claimed.handle = before;
        claimed.sequence = 1;
        check_eq!(code(claimed.map(0, 1, READ)), Error::StaleHandle);
        Ok(())
    }
}

fn claim_of_each(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.map(0, 4, BOTH)), 0);
    stage.note(claimed.handle);
    let [one, two, ..] = notes(stage, 2);
    check!(one != two);
    claimed.has_mapped(4)
}

fn release_empty(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 4, BOTH), Ok(iova) => iova);
    check_eq!(code(claimed.unmap(iova, 4)), 0);
    check_eq!(code(claimed.release()), 0);
    check_eq!(claimed.status()?.flags.0, 0);
    Ok(())
}

fn release_mapped(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.map(0, 16, BOTH)), 0);
    claimed.pool = pool("blocks");
    check_eq!(code(claimed.map(0, 1024, BOTH | crate::help::BLOCKS)), 0);
    check_eq!(code(claimed.release()), 0);
    let status = claimed.status()?;
    check_eq!(status.flags.0, 0);
    check_eq!(status.mapped_pages, 0);
    let mut again = claim()?;
    again.is_empty()?;
    again.pool = pool("blocks");
    check_eq!(code(again.map(0, 1024, BOTH | crate::help::BLOCKS)), 0);
    Ok(())
}

fn release_twice(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.release()), 0);
    check_eq!(code(claimed.release()), Error::StaleHandle);
    claimed.sequence -= 2;
    check_eq!(code(claimed.release()), Error::StaleHandle);
    Ok(())
}

fn refused_release(_: &Stage) -> Result {
    let mut claimed: Claimed = claim()?;
    check_eq!(code(claimed.map(0, 1, READ)), 0);
    claimed.sequence += 1;
    check_eq!(code(claimed.release()), Error::OutOfSequence);
    let status = claimed.status()?;
    check_eq!(status.flags.0, StatusFlags::CLAIMED | StatusFlags::OPEN);
    check_eq!(status.mapped_pages, 1);
    Ok(())
}

pub const CASES: &[Case] = &[
    alone!("claim-gives-a-handle", &["IOMMU-CLAIM-9"], new_claim),
    alone!(
        "claim-twice-is-the-same-claim",
        &["IOMMU-CLAIM-10", "IOMMU-SEQ-5"],
        claim_twice
    ),
    alone!(
        "claim-after-release",
        &["IOMMU-CLAIM-9", "IOMMU-REL-3"],
        claim_after_release
    ),
    alone!("twenty-claims", &["IOMMU-CLAIM-9"], many_claims),
    Case::new(
        "claim-after-death",
        &["IOMMU-CLAIM-9", "IOMMU-G5-1"],
        &[
            Part::returns(FIRST, claim_after_death),
            Part::returns(SECOND, kill_once),
        ],
    ),
    Case::new(
        "claims-of-two-drivers",
        &["IOMMU-G2-1"],
        &[
            Part::returns(FIRST, claim_of_each),
            Part::returns(SECOND, claim_of_each),
        ],
    ),
    alone!(
        "release-with-nothing-mapped",
        &["IOMMU-REL-1", "IOMMU-REL-3"],
        release_empty
    ),
    alone!(
        "release-with-mappings",
        &["IOMMU-REL-2", "IOMMU-REL-3"],
        release_mapped
    ),
    alone!("release-twice", &["IOMMU-REL-3"], release_twice),
    alone!(
        "release-that-is-refused",
        &["IOMMU-ERR-1", "IOMMU-SEQ-2"],
        refused_release
    ),
];
