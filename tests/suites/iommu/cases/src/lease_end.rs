//! The end of a mapped lease: its lender dies, its driver dies or releases, or the map was refused.

use abi::LeaseAttributes;
use iommu_api::Error;
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};

use crate::board::Board;
use crate::help::{BOTH, READ, claim, code, notes};
use crate::lease::{FEW, lend, lend_and_forget, lent, map_page, map_words, next_message};
use crate::{FIRST, LENDER, SECOND};

/// Stops the lender and says whether it can be started again.
pub fn lender_is_free(stage: &Stage) -> bool {
    let _ = stage.stop(LENDER);
    stage.restart(LENDER).0 == 0
}

fn death_of_the_lender(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let message = next_message()?;
    let iova = check_is!(map_page(&mut claimed, message.sender, 2, BOTH), Ok(iova) => iova);
    check!(!lender_is_free(stage));
    // What is mapped stays mapped: the device may be in the middle of it.
    claimed.has_mapped(1)?;
    board.write(stage, iova, FEW)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_none());
    check!(stage.restart(LENDER).0 != 0);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check_eq!(stage.restart(LENDER).0, 0);
    Ok(())
}

fn death_before_the_map(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    check!(lender_is_free(stage));
    let denied = map_page(&mut claimed, message.sender, 0, READ);
    check_eq!(code(denied), Error::NoLease);
    claimed.has_mapped(0)
}

fn release_lifts_pins(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    check_eq!(code(map_page(&mut claimed, message.sender, 0, BOTH)), 0);
    check_eq!(code(claimed.release()), 0);
    claimed.has_mapped(0)?;
    check!(lender_is_free(stage));
    Ok(())
}

fn repeated(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let iova = check_is!(map_page(&mut claimed, message.sender, 0, BOTH), Ok(iova) => iova);
    claimed.sequence -= 1;
    let again = map_page(&mut claimed, message.sender, 0, BOTH);
    check_eq!(again.unwrap_or(0), iova);
    claimed.has_mapped(1)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    // A second pin would still hold the lender.
    check!(lender_is_free(stage));
    Ok(())
}

fn refusal_leaves_no_pin(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let denied = map_page(&mut claimed, message.sender, 0, BOTH);
    check_eq!(code(denied), Error::BadPermissions);
    check!(lender_is_free(stage));
    Ok(())
}

/// The driver dies with the lease mapped.
fn driver_dies(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    if stage.life > 0 {
        claimed.has_mapped(0)?;
        return claimed.is_empty();
    }
    let message = next_message()?;
    check_eq!(
        code(map_words(&mut claimed, message.sender.0, 0, (0, 4), BOTH)),
        0
    );
    stage.note(0);
    next_message()?;
    Ok(())
}

fn end_the_driver(stage: &Stage) -> Result {
    notes(stage, 1);
    crate::death::stop_and_start(stage, FIRST)?;
    check!(lender_is_free(stage));
    Ok(())
}

pub const CASES: &[Case] = &[
    lent!(
        "lease-of-a-lender-that-dies",
        &["IOMMU-LEASE-6"],
        death_of_the_lender
    ),
    lent!(
        "lease-of-a-lender-that-is-dead",
        &["IOMMU-LEASE-1"],
        death_before_the_map
    ),
    lent!("lease-until-release", &["IOMMU-REL-3"], release_lifts_pins),
    lent!("lease-mapped-again", &["IOMMU-SEQ-3"], repeated),
    lent!(
        "lease-refused-leaves-no-pin",
        &["IOMMU-ERR-1", "IOMMU-LEASE-3"],
        refusal_leaves_no_pin,
        0,
        4096,
        LeaseAttributes::READ
    ),
    Case::new(
        "lease-of-a-driver-that-dies",
        &["IOMMU-DEATH-1"],
        &[
            Part::returns(FIRST, driver_dies),
            Part::returns(SECOND, end_the_driver),
            Part::serves(LENDER, lend_and_forget),
        ],
    ),
];
