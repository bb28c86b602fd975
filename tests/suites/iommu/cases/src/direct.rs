//! A device with a direct region: it reaches that at any time, and else what was mapped for it.

use edu::pattern;
use iommu_api::{Error, StatusFlags};
use suite::{Case, Failure, Part, Result, Stage, check, check_eq, check_is};
use userlib::config;

use crate::board::{Board, PAGE_BYTES};
use crate::death::{start_and_be_stopped, stop_in_time, was_stopped_in_time};
use crate::help::{BOTH, FIXED, PAGE, READ, claim, code, describe, status};
use crate::servers::{claim_again, restart, status_again};
use crate::{DIRECT, FIRST, edu4};

/// Bytes of a small transfer.
const FEW: usize = 64;
const CONTENT: u8 = 0x31;
/// A page of the region that nobody writes.
const ZERO_PAGE: u64 = 8;
/// Pages of the region.
const REGION_PAGES: u64 = 16;
/// The state of the device while nobody has claimed it.
const STANDING: u8 = StatusFlags::OPEN;

fn region() -> core::result::Result<u64, Failure> {
    Ok(check_is!(config::parameter("region"), Some(region) => region))
}

/// Accesses of the device that the SMMU refused up to now.
fn faults() -> core::result::Result<u64, Failure> {
    Ok(status(edu4())?.faults)
}

/// The device reads and writes all around its region and elsewhere: all of it is refused.
fn faults_elsewhere(stage: &Stage, board: &Board, more: &[u64]) -> Result {
    let region = region()?;
    let own = check_is!(config::parameter("own-pool"), Some(address) => address);
    let around = [region - PAGE, region + REGION_PAGES * PAGE, own, 0];
    for &address in around.iter().chain(more) {
        let before = faults()?;
        board.read(stage, address, FEW)?;
        let between = faults()?;
        check!(between > before);
        board.write(stage, address, FEW)?;
        check!(faults()? > between);
    }
    Ok(())
}

/// The device reads and writes the ends of its region: none of it is refused.
fn reaches_region(stage: &Stage, board: &Board) -> Result {
    let region = region()?;
    let before = faults()?;
    let last = region + REGION_PAGES * PAGE - FEW as u64;
    for address in [region, last] {
        board.read(stage, address, FEW)?;
        board.write(stage, address, FEW)?;
    }
    check_eq!(faults()?, before);
    Ok(())
}

/// The state is that of a free device that is always open.
fn check_always_open(stage: &Stage, board: &Board) -> Result {
    let state = status(edu4())?;
    check_eq!(state.flags.0, STANDING);
    check_eq!(state.mapped_pages, 0);
    reaches_region(stage, board)
}

fn before_any_claim(stage: &Stage) -> Result {
    let board = Board::new()?;
    check_eq!(status(edu4())?.claims, 0);
    check_always_open(stage, &board)?;
    faults_elsewhere(stage, &board, &[describe(edu4())?.iova_base])?;
    check_eq!(status(edu4())?.claims, 0);
    Ok(())
}

/// The device's buffer goes through the region: it is written there, forgotten, and read back.
fn through_region(stage: &Stage, board: &Board, page: u64) -> Result {
    let region = region()?;
    board.write(stage, region + page * PAGE, FEW)?;
    board.read(stage, region + ZERO_PAGE * PAGE, FEW)?;
    board.read(stage, region + page * PAGE, FEW)
}

/// The device's buffer still has the pattern: it is written to page 1 of the pool.
fn has_pattern(stage: &Stage, board: &Board, iova: u64) -> Result {
    board.clear(1);
    board.write(stage, iova, FEW)?;
    let differences = pattern::differences(&board.pool, PAGE_BYTES, FEW, CONTENT);
    check_eq!(differences, 0);
    Ok(())
}

fn beside_maps(stage: &Stage) -> Result {
    let board = Board::new()?;
    let mut claimed = claim()?;
    reaches_region(stage, &board)?;
    faults_elsewhere(stage, &board, &[claimed.base()])?;
    let iova = check_is!(claimed.map(0, 2, BOTH), Ok(iova) => iova);
    claimed.has_mapped(2)?;
    board.load(stage, iova, CONTENT)?;
    through_region(stage, &board, 1)?;
    has_pattern(stage, &board, iova + PAGE)
}

fn unclaimed(stage: &Stage) -> Result {
    let board = Board::new()?;
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 2, BOTH), Ok(iova) => iova);
    board.load(stage, iova, CONTENT)?;
    check_eq!(code(claimed.unmap(iova, 2)), 0);
    check_eq!(code(claimed.release()), 0);
    through_region(stage, &board, 2)?;
    check_always_open(stage, &board)?;
    faults_elsewhere(stage, &board, &[iova])?;
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 2, BOTH), Ok(iova) => iova);
    // What was read last was not the pattern, but nothing at all.
    board.read(stage, region()? + 2 * PAGE, FEW)?;
    has_pattern(stage, &board, iova + PAGE)
}

fn no_part_of_the_window(stage: &Stage) -> Result {
    let (board, region) = (Board::new()?, region()?);
    let mut claimed = claim()?;
    let fixed = claimed.map_at(0, 1, READ | FIXED, region);
    check_eq!(code(fixed), Error::BadRange);
    check_eq!(code(claimed.unmap(region, 1)), Error::BadRange);
    claimed.has_mapped(0)?;
    reaches_region(stage, &board)
}

fn released_with_mappings(stage: &Stage) -> Result {
    let board = Board::new()?;
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 1, BOTH), Ok(iova) => iova);
    check_eq!(code(claimed.release()), 0);
    check_always_open(stage, &board)?;
    faults_elsewhere(stage, &board, &[iova])
}

fn killed(stage: &Stage) -> Result {
    let board = Board::new()?;
    let iova = describe(edu4())?.iova_base;
    if !was_stopped_in_time(stage) {
        let mut claimed = claim()?;
        check_eq!(code(claimed.map_at(4, 1, BOTH | FIXED, iova)), 0);
        board.put(4, CONTENT);
        // Under way: it must not land in what the next life maps.
        return start_and_be_stopped(stage, &board, iova, FEW);
    }
    check!(!board.busy());
    board.kept(4, CONTENT)?;
    check_always_open(stage, &board)?;
    faults_elsewhere(stage, &board, &[iova])
}

/// Ends the driver's life and begins its next.
fn kill(stage: &Stage) -> Result {
    stop_in_time(stage, DIRECT, || Ok(()))
}

fn server_restarts(stage: &Stage) -> Result {
    let board = Board::new()?;
    restart(stage, "iommu")?;
    // The new life has not been asked anything.
    board.read(stage, region()?, FEW)?;
    board.write(stage, region()? + 3 * PAGE, FEW)?;
    check_eq!(status_again(stage, edu4())?.faults, 0);
    check_always_open(stage, &board)?;
    faults_elsewhere(stage, &board, &[])
}

fn server_restarts_with_a_claim(stage: &Stage) -> Result {
    let board = Board::new()?;
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 2, BOTH), Ok(iova) => iova);
    board.load(stage, iova, CONTENT)?;
    restart(stage, "iommu")?;
    through_region(stage, &board, 3)?;
    has_pattern(stage, &board, iova + PAGE)?;
    let mut claimed = claim_again(stage, edu4())?;
    claimed.has_mapped(2)?;
    check_eq!(code(claimed.unmap(iova, 2)), 0);
    check_eq!(code(claimed.release()), 0);
    check_always_open(stage, &board)
}

fn pci_restarts(stage: &Stage) -> Result {
    let board = Board::new()?;
    restart(stage, "pci")?;
    stage.pause(20);
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 2, BOTH), Ok(iova) => iova);
    board.load(stage, iova, CONTENT)?;
    check_eq!(code(claimed.unmap(iova, 2)), 0);
    check_eq!(code(claimed.release()), 0);
    restart(stage, "pci")?;
    stage.pause(20);
    through_region(stage, &board, 5)?;
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 2, BOTH), Ok(iova) => iova);
    board.read(stage, region()? + 5 * PAGE, FEW)?;
    has_pattern(stage, &board, iova + PAGE)
}

macro_rules! case {
    ($name:literal, $requirements:expr, $act:expr) => {
        Case::new($name, $requirements, &[Part::returns(DIRECT, $act)])
    };
}

/// Before everything else: nobody has claimed the device yet.
pub const FIRST_CASES: &[Case] = &[case!(
    "direct-before-any-claim",
    &["IOMMU-DIRECT-1", "IOMMU-G1-1", "IOMMU-LOOK-5"],
    before_any_claim
)];

pub const CASES: &[Case] = &[
    case!(
        "direct-beside-maps",
        &["IOMMU-DIRECT-1", "IOMMU-G2-1"],
        beside_maps
    ),
    case!(
        "direct-unclaimed-again",
        &["IOMMU-DIRECT-4", "IOMMU-G3-1"],
        unclaimed
    ),
    case!(
        "direct-is-no-window",
        &["IOMMU-PREMAP-2", "IOMMU-MAP-5"],
        no_part_of_the_window
    ),
    case!(
        "direct-released-with-mappings",
        &["IOMMU-DIRECT-5", "IOMMU-REL-3"],
        released_with_mappings
    ),
    Case::new(
        "direct-owner-dies",
        &["IOMMU-DIRECT-5", "IOMMU-DEATH-1", "IOMMU-G4-1"],
        &[Part::returns(DIRECT, killed), Part::returns(FIRST, kill)],
    ),
];

/// Deaths of servers.
pub const LAST_CASES: &[Case] = &[
    case!(
        "direct-server-restarts",
        &["IOMMU-DIRECT-8", "IOMMU-ADOPT-1"],
        server_restarts
    ),
    case!(
        "direct-server-restarts-with-a-claim",
        &["IOMMU-PREMAP-2", "IOMMU-ADOPT-3", "IOMMU-ADOPT-6"],
        server_restarts_with_a_claim
    ),
    case!("direct-pci-restarts", &["IOMMU-DIRECT-9"], pci_restarts),
];
