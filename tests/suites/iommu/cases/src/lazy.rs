//! A lazy domain: what is unmapped stays within reach until a flush. The plan lets 8 pages wait in it, for half a second:
//! longer than a transfer of the device takes, so that one can be seen to reach them.

use abi::LeaseAttributes;
use iommu_api::{Error, Operation, REGISTERED};
use suite::{Case, Failure, Part, Result, Stage, check, check_eq, check_is};
use userlib::ipc::{self, LeaseBuffer};

use crate::board::{Board, F_TRANSLATION, pool_named};
use crate::death::{stop_and_start, wait_for_the_end};
use crate::dma::{self, CONTENT, FEW, refused};
use crate::help::{BOTH, Claimed, FIXED, READ, WINDOW_PAGES, claim_device, code, got, notes};
use crate::lease::{map_page, next_message};
use crate::lease_end::lender_is_free;
use crate::message::{extent, what};
use crate::servers::{claim_again, restart};
use crate::{FIRST, LAZY, LENDER, SECOND, edu6};

/// What the device writes.
const MARKER: u8 = 0x5c;
/// Pages that may wait.
const MOST: u64 = 8;
/// Milliseconds after which they do not wait any more.
const WITHIN: u32 = 500;
/// Pins of the driver.
const PINS: u64 = 2;
/// The number of the pool that is lent to it as a whole.
const NUMBER: u64 = REGISTERED as u64 + 1;

macro_rules! lazily {
    ($name:expr, $requirements:expr, $act:expr) => {
        Case::new($name, $requirements, &[Part::returns(LAZY, $act)])
    };
}

fn claim() -> core::result::Result<Claimed, Failure> {
    claim_device(edu6())
}

/// The second device of its driver.
fn board() -> core::result::Result<Board, Failure> {
    Board::numbered(1)
}

/// The claimed device whose buffer holds something; nothing is mapped, and nothing waits.
fn loaded(stage: &Stage) -> core::result::Result<(Claimed, Board), Failure> {
    let (mut claimed, board) = (claim()?, board()?);
    let iova = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, iova, MARKER)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check_eq!(code(claimed.flush()), 0);
    claimed.has_mapped(0)?;
    Ok((claimed, board))
}

/// A page that the device has written to and that is unmapped now, page `page` of the pool.
fn parted(
    stage: &Stage,
    claimed: &mut Claimed,
    board: &Board,
    page: u64,
) -> core::result::Result<u64, Failure> {
    let iova = check_is!(claimed.map(page, 1, BOTH), Ok(iova) => iova);
    let at = page as usize;
    board.clear(at);
    board.write(stage, iova, FEW)?;
    board.only(at, 0, FEW)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    Ok(iova)
}

/// The device does not reach page `page` of the pool any more.
fn gone(stage: &Stage, claimed: &Claimed, board: &Board, (page, iova): (usize, u64)) -> Result {
    board.put(page, CONTENT);
    board.write(stage, iova, FEW)?;
    refused(claimed, F_TRANSLATION, false, iova)?;
    board.kept(page, CONTENT)
}

fn until_a_flush(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = parted(stage, &mut claimed, &board, 4)?;
    // It is not mapped, and counts until it is out of reach.
    check_eq!(code(claimed.unmap(iova, 1)), Error::NotMapped);
    check_eq!(code(claimed.unmap_list(&[(iova, 1)])), Error::NotMapped);
    claimed.has_mapped(1)?;
    // Nothing is refused: the SMMU has cached how it was. Without this the cases below would show nothing.
    board.clear(4);
    board.write(stage, iova, FEW)?;
    board.only(4, 0, FEW)?;
    check!(claimed.next_fault()?.is_none());
    check_eq!(code(claimed.flush()), 0);
    claimed.has_mapped(0)?;
    gone(stage, &claimed, &board, (4, iova))
}

fn until_its_time(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = parted(stage, &mut claimed, &board, 4)?;
    claimed.has_mapped(1)?;
    // Nobody asks for anything.
    stage.pause(WITHIN + 20);
    gone(stage, &claimed, &board, (4, iova))?;
    claimed.has_mapped(0)
}

fn until_there_are_more(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = parted(stage, &mut claimed, &board, 4)?;
    for waiting in 1..MOST {
        claimed.has_mapped(waiting)?;
        let other = check_is!(claimed.map(5, 1, READ), Ok(iova) => iova);
        check_eq!(code(claimed.unmap(other, 1)), 0);
    }
    claimed.has_mapped(0)?;
    gone(stage, &claimed, &board, (4, iova))?;
    // More at once than may wait.
    let iova = check_is!(claimed.map(4, MOST + 1, BOTH), Ok(iova) => iova);
    board.write(stage, iova, FEW)?;
    check_eq!(code(claimed.unmap(iova, MOST + 1)), 0);
    claimed.has_mapped(0)?;
    gone(stage, &claimed, &board, (4, iova))
}

fn another_page_there(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = parted(stage, &mut claimed, &board, 4)?;
    check_eq!(code(claimed.map_at(5, 1, BOTH | FIXED, iova)), 0);
    board.put(4, CONTENT);
    board.clear(5);
    board.write(stage, iova, FEW)?;
    board.kept(4, CONTENT)?;
    board.only(5, 0, FEW)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    // No place is left but what waits.
    let whole = [(0, 16); (WINDOW_PAGES / 16) as usize];
    let mapped = claimed.map_list(READ, 0, &whole);
    check_eq!(mapped.unwrap_or(0), claimed.base());
    check_eq!(code(claimed.unmap(claimed.base(), WINDOW_PAGES)), 0);
    Ok(())
}

fn pins_of_a_lender(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    for page in 0..3 * PINS {
        let mapped = map_page(&mut claimed, message.sender, page, READ);
        let iova = check_is!(mapped, Ok(iova) => iova);
        check_eq!(code(claimed.unmap(iova, 1)), 0);
    }
    // Pages wait, and the lender's next life for them.
    check!(!lender_is_free(stage));
    check_eq!(code(claimed.flush()), 0);
    check_eq!(stage.restart(LENDER).0, 0);
    Ok(())
}

fn pins_until_their_time(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let mapped = map_page(&mut claimed, message.sender, 1, READ);
    let iova = check_is!(mapped, Ok(iova) => iova);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check!(!lender_is_free(stage));
    stage.pause(WITHIN + 20);
    check_eq!(stage.restart(LENDER).0, 0);
    Ok(())
}

fn until_release(stage: &Stage) -> Result {
    for mapped in [false, true] {
        let (mut claimed, board) = loaded(stage)?;
        let iova = parted(stage, &mut claimed, &board, 4)?;
        if mapped {
            check_eq!(code(claimed.map(5, 1, READ)), 0);
        }
        check_eq!(code(claimed.release()), 0);
        let mut claimed = claim()?;
        claimed.has_mapped(0)?;
        gone(stage, &claimed, &board, (4, iova))?;
        check_eq!(code(claimed.release()), 0);
    }
    Ok(())
}

fn until_death(stage: &Stage) -> Result {
    if stage.life == 0 {
        let (mut claimed, board) = loaded(stage)?;
        let iova = parted(stage, &mut claimed, &board, 4)?;
        stage.note(iova);
        return wait_for_the_end(stage);
    }
    stage.note(0);
    let claimed = claim()?;
    let [iova, ..] = notes(stage, 1);
    claimed.has_mapped(0)?;
    gone(stage, &claimed, &board()?, (4, iova))
}

fn until_the_servers_death(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = parted(stage, &mut claimed, &board, 4)?;
    restart(stage, "iommu")?;
    let mut claimed = claim_again(stage, edu6())?;
    claimed.has_mapped(0)?;
    gone(stage, &claimed, &board, (4, iova))?;
    check_eq!(code(claimed.map_at(5, 1, BOTH | FIXED, iova)), 0);
    // It is lazy as before.
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    claimed.has_mapped(1)?;
    check_eq!(code(claimed.flush()), 0);
    claimed.has_mapped(0)
}

/// The pool that is lent as a whole, registered; the lender does not wait any more.
fn registered(_: &Stage) -> core::result::Result<Claimed, Failure> {
    let mut claimed = claim()?;
    let message = next_message()?;
    let rest = [extent(0, 4), 0, message.sender.0];
    let registered = got(&claimed.request(Operation::Register, &rest));
    check_eq!(registered.unwrap_or(0), NUMBER);
    ipc::reply(message.sender, 0, &[0; 8], 0);
    Ok(claimed)
}

/// A page of it that the device has read, and that is unmapped now.
fn parted_of_pool(
    stage: &Stage,
    claimed: &mut Claimed,
    board: &Board,
) -> core::result::Result<u64, Failure> {
    let rest = [extent(2, 1), what(NUMBER, BOTH), 0];
    let mapped = got(&claimed.request(Operation::Map, &rest));
    let iova = check_is!(mapped, Ok(iova) => iova);
    board.read(stage, iova, FEW)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    claimed.has_mapped(1)?;
    Ok(iova)
}

fn until_its_pool_is_given_back(stage: &Stage) -> Result {
    let mut claimed = registered(stage)?;
    let board = board()?;
    let iova = parted_of_pool(stage, &mut claimed, &board)?;
    let given = got(&claimed.request(Operation::Unregister, &[NUMBER]));
    check_eq!(code(given), 0);
    claimed.has_mapped(0)?;
    check!(lender_is_free(stage));
    board.read(stage, iova, FEW)?;
    refused(&claimed, F_TRANSLATION, true, iova)
}

fn until_its_lender_dies(stage: &Stage) -> Result {
    let mut claimed = registered(stage)?;
    let board = board()?;
    let iova = parted_of_pool(stage, &mut claimed, &board)?;
    check!(lender_is_free(stage));
    claimed.has_mapped(0)?;
    board.read(stage, iova, FEW)?;
    refused(&claimed, F_TRANSLATION, true, iova)
}

fn wait_beside(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.write(stage, iova, FEW)?;
    notes(stage, 1);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    stage.note(0);
    notes(stage, 3);
    claimed.has_mapped(1)?;
    check_eq!(code(claimed.flush()), 0);
    gone(stage, &claimed, &board, (4, iova))
}

/// Of a strict device an unmap is done when it returns, whatever waits in another domain.
fn strict_beside(stage: &Stage) -> Result {
    let (mut claimed, board) = dma::loaded(stage)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.write(stage, iova, FEW)?;
    stage.note(0);
    notes(stage, 2);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    claimed.has_mapped(0)?;
    stage.note(0);
    gone(stage, &claimed, &board, (4, iova))
}

/// A client whose request ends in one way or the other.
fn lend_all(stage: &Stage) -> Result {
    let pool = pool_named("pages")?;
    let lease = LeaseBuffer::pool(pool.part(0, 16 * 4096), LeaseAttributes::all());
    ipc::call(stage.id(LAZY), 1, &[0; 8], 0, 0, &[lease]);
    Ok(())
}

/// A lender's part, and the driver's, which may be its end.
macro_rules! lent {
    ($name:literal, $requirements:expr, $driver:expr) => {
        Case::new(
            $name,
            $requirements,
            &[Part::returns(LAZY, $driver), Part::serves(LENDER, lend_all)],
        )
    };
}

pub const CASES: &[Case] = &[
    lazily!(
        "lazy-until-a-flush",
        &["IOMMU-LAZY-1", "IOMMU-LAZY-3", "IOMMU-FLUSH-1"],
        until_a_flush
    ),
    lazily!("lazy-until-its-time", &["IOMMU-LAZY-2"], until_its_time),
    lazily!(
        "lazy-until-there-are-more",
        &["IOMMU-LAZY-2"],
        until_there_are_more
    ),
    lazily!(
        "lazy-and-another-page-there",
        &["IOMMU-LAZY-3", "IOMMU-LAZY-4"],
        another_page_there
    ),
    lent!(
        "lazy-with-all-pins",
        &["IOMMU-LAZY-3", "IOMMU-LAZY-4"],
        pins_of_a_lender
    ),
    lent!(
        "lazy-pins-until-their-time",
        &["IOMMU-LAZY-2", "IOMMU-LAZY-3"],
        pins_until_their_time
    ),
    lazily!("lazy-until-release", &["IOMMU-LAZY-5"], until_release),
    Case::new(
        "lazy-until-death",
        &["IOMMU-LAZY-5"],
        &[
            Part::returns(LAZY, until_death),
            Part::returns(SECOND, |stage| {
                notes(stage, 1);
                stop_and_start(stage, LAZY)?;
                // Until its next life has come as far, the end of the one before is all that is known of it.
                notes(stage, 2);
                Ok(())
            }),
        ],
    ),
    lent!(
        "lazy-until-its-pool-is-given-back",
        &["IOMMU-LAZY-6", "IOMMU-POOL-5"],
        until_its_pool_is_given_back
    ),
    lent!(
        "lazy-until-its-lender-dies",
        &["IOMMU-LAZY-6", "IOMMU-POOL-7"],
        until_its_lender_dies
    ),
    Case::new(
        "lazy-beside-a-strict-device",
        &["IOMMU-LAZY-2", "IOMMU-G3-1"],
        &[
            Part::returns(LAZY, wait_beside),
            Part::returns(FIRST, strict_beside),
        ],
    ),
    lazily!(
        "lazy-until-the-servers-death",
        &["IOMMU-LAZY-5"],
        until_the_servers_death
    ),
];
