//! A device in an identity domain: from claim to release it reaches the pools of its owner 1:1.

use iommu_api::Error;
use suite::{Case, Failure, Part, Result, Stage, check, check_eq, check_is};
use userlib::config;

use crate::board::{Board, F_TRANSLATION, PAGE_BYTES};
use crate::help::{BOTH, FIXED, PAGE, POOL_PAGES, READ, claim_device, code};
use crate::{DIRECT, edu5};

/// Bytes of a small transfer.
const FEW: usize = 64;
const CONTENT: u8 = 0x5c;

/// The device, behind the one with a direct region.
fn board() -> core::result::Result<Board, Failure> {
    Board::numbered(1)
}

/// Physical address of the pool.
fn memory() -> core::result::Result<u64, Failure> {
    Ok(check_is!(config::parameter("own-pool"), Some(address) => address))
}

fn reaches_the_pool_only(stage: &Stage) -> Result {
    let (board, memory) = (board()?, memory()?);
    let claimed = claim_device(edu5())?;
    board.load(stage, memory, CONTENT)?;
    let last = POOL_PAGES as usize - 1;
    board.clear(last);
    let end = memory + POOL_PAGES * PAGE;
    board.write(stage, end - FEW as u64, FEW)?;
    board.only(last, PAGE_BYTES - FEW, FEW)?;
    check!(claimed.next_fault()?.is_none());
    let region = check_is!(config::parameter("region"), Some(region) => region);
    for outside in [memory - PAGE, end, region, 0x1_0000_0000] {
        board.read(stage, outside, FEW)?;
        board.write(stage, outside, FEW)?;
        claimed.status()?;
        for read in [true, false] {
            let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
            check_eq!(fault.event, F_TRANSLATION);
            check_eq!(fault.iova, outside);
            check_eq!(fault.read, read);
        }
    }
    Ok(())
}

fn has_no_window(stage: &Stage) -> Result {
    let (board, memory) = (board()?, memory()?);
    let mut claimed = claim_device(edu5())?;
    check_eq!(claimed.window.pages, 0);
    check_eq!(claimed.window.blocks, 0);
    check_eq!(code(claimed.map(0, 1, BOTH)), Error::NoSpace);
    check_eq!(
        code(claimed.map_list(READ, 0, &[(0, 1), (2, 1)])),
        Error::NoSpace
    );
    let fixed = claimed.map_at(0, 1, READ | FIXED, memory);
    check_eq!(code(fixed), Error::BadRange);
    check_eq!(code(claimed.unmap(memory, 1)), Error::BadRange);
    check_eq!(code(claimed.unmap_list(&[(memory, 1)])), Error::BadRange);
    check_eq!(code(claimed.flush()), 0);
    claimed.has_mapped(0)?;
    // None of it was taken away.
    board.put(0, CONTENT);
    board.read(stage, memory, FEW)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_none());
    Ok(())
}

fn is_quiet_after_its_release(stage: &Stage) -> Result {
    let (board, memory) = (board()?, memory()?);
    let mut claimed = claim_device(edu5())?;
    board.load(stage, memory, 0x33)?;
    board.put(1, CONTENT);
    // Under way when it is given back: nothing of it may land later.
    board.start(edu::Direction::ToMemory, memory + PAGE, FEW)?;
    check_eq!(code(claimed.release()), 0);
    check!(!board.busy());
    board.kept(1, CONTENT)?;
    board.write(stage, memory + PAGE, FEW)?;
    board.kept(1, CONTENT)
}

macro_rules! case {
    ($name:literal, $requirements:expr, $act:expr) => {
        Case::new($name, $requirements, &[Part::returns(DIRECT, $act)])
    };
}

pub const CASES: &[Case] = &[
    case!(
        "identity-reaches-its-pool",
        &["IOMMU-IDENT-1", "IOMMU-G2-1"],
        reaches_the_pool_only
    ),
    case!(
        "identity-has-no-window",
        &["IOMMU-IDENT-2", "IOMMU-LOOK-3"],
        has_no_window
    ),
    case!(
        "identity-released",
        &["IOMMU-IDENT-3", "IOMMU-G4-1"],
        is_quiet_after_its_release
    ),
];
