//! Pools that a client lends its driver as a whole: the lender of this image may lend 8 pages of its 16 to the first
//! driver's device.

use abi::{LeaseAttributes, TaskId, notification};
use iommu_api::{Error, FAULT_NOTIFICATION, Operation, REGISTERED, StatusFlags};
use suite::{Case, Failure, Part, Result, Stage, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::{config, time};

use crate::board::{Board, F_TRANSLATION};
use crate::help::{BLOCKS, BOTH, Claimed, Got, READ, claim, code, got, notes, status};
use crate::lease::{FEW, lend, lend_and_forget, lent, map_page, next_message};
use crate::lease_end::lender_is_free;
use crate::message::{extent, what};
use crate::servers::{claim_again, restart};
use crate::{FIRST, LENDER, SECOND, edu0};

/// The number of the only pool that is lent.
const NUMBER: u64 = REGISTERED as u64;
/// Most pages of it.
const PAGES: u64 = 8;

/// Every word as given.
fn register_words(claimed: &mut Claimed, lender: u64, lease: u64, pages: (u64, u64)) -> Got {
    let rest = [extent(pages.0, pages.1), lease, lender];
    got(&claimed.request(Operation::Register, &rest))
}

fn register(claimed: &mut Claimed, lender: TaskId) -> Got {
    register_words(claimed, lender.0, 0, (0, PAGES))
}

fn unregister(claimed: &mut Claimed, number: u64) -> Got {
    got(&claimed.request(Operation::Unregister, &[number]))
}

fn map_of(claimed: &mut Claimed, number: u64, first: u64, pages: u64, flags: u64) -> Got {
    let rest = [extent(first, pages), what(number, flags), 0];
    got(&claimed.request(Operation::Map, &rest))
}

fn map(claimed: &mut Claimed, first: u64, pages: u64) -> Got {
    map_of(claimed, NUMBER, first, pages, BOTH)
}

/// The device claimed, and the pool registered; the lender does not wait any more.
fn registered(_: &Stage) -> core::result::Result<Claimed, Failure> {
    let mut claimed = claim()?;
    let message = next_message()?;
    check_eq!(register(&mut claimed, message.sender).unwrap_or(0), NUMBER);
    ipc::reply(message.sender, 0, &[0; 8], 0);
    Ok(claimed)
}

fn page_by_page(stage: &Stage) -> Result {
    let mut claimed = registered(stage)?;
    let board = Board::new()?;
    let own = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, own, 0x37)?;
    for round in 0..3 {
        let iova = check_is!(map(&mut claimed, round, 2), Ok(iova) => iova);
        board.write(stage, iova + 4096, FEW)?;
        claimed.status()?;
        check!(claimed.next_fault()?.is_none());
        check_eq!(code(claimed.unmap(iova, 2)), 0);
        // The same access, just after it was translated.
        board.write(stage, iova + 4096, FEW)?;
        claimed.status()?;
        let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
        check_eq!(fault.event, F_TRANSLATION);
        check_eq!(fault.iova, iova + 4096);
    }
    claimed.has_mapped(1)?;
    check_eq!(code(unregister(&mut claimed, NUMBER)), 0);
    check_eq!(code(map(&mut claimed, 0, 1)), Error::BadMemory);
    check!(lender_is_free(stage));
    Ok(())
}

fn refused(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let lender = message.sender;
    for (lender, lease, pages, error) in [
        (lender.0, 0, (0, 0), Error::Malformed),
        (lender.0, 0, (1, 4), Error::Malformed),
        (lender.0, 0, (0, PAGES + 1), Error::BadMemory),
        (lender.0, 0, (0, 17), Error::NoLease),
        (lender.0, 2, (0, PAGES), Error::NoLease),
        (lender.next_life().0, 0, (0, PAGES), Error::NoLease),
        (stage.id(SECOND).0, 0, (0, PAGES), Error::BadMemory),
        (stage.id(FIRST).0, 0, (0, PAGES), Error::BadMemory),
    ] {
        let denied = register_words(&mut claimed, lender, lease, pages);
        check_eq!(code(denied), error);
    }
    check_eq!(code(map(&mut claimed, 0, 1)), Error::BadMemory);
    // None of it has left a pin.
    check!(lender_is_free(stage));
    Ok(())
}

fn refused_offset(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let denied = register(&mut claimed, message.sender);
    check_eq!(code(denied), Error::BadMemory);
    check!(lender_is_free(stage));
    Ok(())
}

fn refused_access(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let denied = register(&mut claimed, message.sender);
    check_eq!(code(denied), Error::BadPermissions);
    check!(lender_is_free(stage));
    Ok(())
}

fn refused_maps(stage: &Stage) -> Result {
    let mut claimed = registered(stage)?;
    for (number, first, pages, flags, error) in [
        (NUMBER, PAGES, 1, BOTH, Error::BadMemory),
        (NUMBER, 0, PAGES + 1, BOTH, Error::BadMemory),
        (NUMBER, 0, 1, 2, Error::BadPermissions),
        (NUMBER, 0, 1, BOTH | BLOCKS, Error::BadMemory),
        (NUMBER + 1, 0, 1, BOTH, Error::BadMemory),
        (0xffff, 0, 1, BOTH, Error::BadMemory),
    ] {
        let denied = map_of(&mut claimed, number, first, pages, flags);
        check_eq!(code(denied), error);
    }
    let iova = check_is!(map(&mut claimed, PAGES - 1, 1), Ok(iova) => iova);
    check_eq!(code(unregister(&mut claimed, NUMBER)), Error::Overlap);
    check_eq!(code(unregister(&mut claimed, NUMBER + 1)), Error::BadMemory);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check_eq!(code(unregister(&mut claimed, NUMBER)), 0);
    check_eq!(code(unregister(&mut claimed, NUMBER)), Error::BadMemory);
    Ok(())
}

fn again(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    check_eq!(register(&mut claimed, message.sender).unwrap_or(0), NUMBER);
    check_eq!(register(&mut claimed, message.sender).unwrap_or(0), NUMBER);
    let fewer = register_words(&mut claimed, message.sender.0, 0, (0, 1));
    check_eq!(code(fewer), Error::Overlap);
    // A lease of the same pages is another thing.
    let iova = check_is!(map_page(&mut claimed, message.sender, 0, BOTH), Ok(iova) => iova);
    let other = check_is!(map(&mut claimed, 0, 1), Ok(iova) => iova);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check_eq!(code(claimed.unmap(other, 1)), 0);
    Ok(())
}

fn released(stage: &Stage) -> Result {
    for mapped in [false, true] {
        let mut claimed = registered(stage)?;
        if mapped {
            check_eq!(code(map(&mut claimed, 0, PAGES)), 0);
        }
        check_eq!(code(claimed.release()), 0);
        check!(lender_is_free(stage));
    }
    Ok(())
}

/// Whether the server posts within so many milliseconds.
fn told(stage: &Stage, milliseconds: u64) -> core::result::Result<bool, Failure> {
    let bit = check_is!(config::notification(FAULT_NOTIFICATION), Some(bit) => bit);
    time::set_timer(Some(time::now().after(milliseconds * 1_000_000)));
    let received = ipc::receive_from(stage.runner(), bit | notification::TIMER);
    time::set_timer(None);
    let bits = check_is!(received, Received::Notification(bits) => bits);
    Ok(bits & bit != 0)
}

fn idle_lender_dies(stage: &Stage) -> Result {
    let mut claimed = registered(stage)?;
    let iova = check_is!(map(&mut claimed, 0, 1), Ok(iova) => iova);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    // What was told before is not of this.
    told(stage, 0)?;
    check!(lender_is_free(stage));
    check!(!told(stage, 5)?);
    check_eq!(code(map(&mut claimed, 0, 1)), Error::BadMemory);
    // Its next life lends it anew.
    let message = next_message()?;
    check_eq!(register(&mut claimed, message.sender).unwrap_or(0), NUMBER);
    check_eq!(code(map(&mut claimed, 0, 1)), 0);
    Ok(())
}

fn lender_dies(stage: &Stage) -> Result {
    let mut claimed = registered(stage)?;
    let board = Board::new()?;
    let one = check_is!(map(&mut claimed, 0, 1), Ok(iova) => iova);
    let two = check_is!(map(&mut claimed, 3, 2), Ok(iova) => iova);
    told(stage, 0)?;
    check!(!lender_is_free(stage));
    // It has a second to unmap what it does not know to be a dead one's otherwise.
    check!(told(stage, 200)?);
    check!(claimed.next_fault()?.is_none());
    board.write(stage, one, FEW)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_none());
    check_eq!(code(map(&mut claimed, 0, 1)), Error::BadMemory);
    check_eq!(code(claimed.unmap(one, 1)), 0);
    check!(stage.restart(LENDER).0 != 0);
    check_eq!(code(claimed.unmap_list(&[(two, 2)])), 0);
    check_eq!(stage.restart(LENDER).0, 0);
    Ok(())
}

fn out_of_time(stage: &Stage) -> Result {
    let mut claimed = registered(stage)?;
    let iova = check_is!(map(&mut claimed, 0, 1), Ok(iova) => iova);
    check!(!lender_is_free(stage));
    stage.pause(500);
    check!(stage.restart(LENDER).0 != 0);
    claimed.has_mapped(1)?;
    for _ in 0..40 {
        if stage.restart(LENDER).0 == 0 {
            check!(!status(edu0())?.flags.has(StatusFlags::CLAIMED));
            check_eq!(code(claimed.unmap(iova, 1)), Error::StaleHandle);
            let mut again = claim()?;
            again.has_mapped(0)?;
            return again.is_empty();
        }
        stage.pause(100);
    }
    check!(false);
    Ok(())
}

fn servers_death(stage: &Stage) -> Result {
    let mut claimed = registered(stage)?;
    let board = Board::new()?;
    let own = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, own, 0x21)?;
    let iova = check_is!(map(&mut claimed, 2, 3), Ok(iova) => iova);
    restart(stage, "iommu")?;
    board.write(stage, iova, FEW)?;
    let mut claimed = claim_again(stage, edu0())?;
    claimed.has_mapped(4)?;
    check!(claimed.next_fault()?.is_none());
    // Page by page, as before.
    check_eq!(code(claimed.unmap(iova + 4096, 1)), 0);
    check_eq!(code(map(&mut claimed, PAGES - 1, 1)), 0);
    check_eq!(code(map(&mut claimed, PAGES, 1)), Error::BadMemory);
    check_eq!(code(claimed.release()), 0);
    check!(lender_is_free(stage));
    Ok(())
}

/// The driver dies with pages of the pool mapped.
fn driver_dies(stage: &Stage) -> Result {
    if stage.life > 0 {
        let mut claimed = claim()?;
        claimed.has_mapped(0)?;
        return claimed.is_empty();
    }
    let mut claimed = registered(stage)?;
    check_eq!(code(map(&mut claimed, 0, 4)), 0);
    stage.note(0);
    crate::death::wait_for_the_end(stage)
}

fn end_the_driver(stage: &Stage) -> Result {
    notes(stage, 1);
    crate::death::stop_and_start(stage, FIRST)?;
    check!(lender_is_free(stage));
    Ok(())
}

pub const CASES: &[Case] = &[
    lent!(
        "pool-mapped-page-by-page",
        &["IOMMU-POOL-3", "IOMMU-POOL-5", "IOMMU-G3-1"],
        page_by_page
    ),
    lent!("pool-that-is-not-lent", &["IOMMU-POOL-1"], refused),
    lent!(
        "pool-from-its-second-page",
        &["IOMMU-POOL-1"],
        refused_offset,
        4096,
        15 * 4096,
        LeaseAttributes::all()
    ),
    lent!(
        "pool-lent-to-be-read",
        &["IOMMU-POOL-2"],
        refused_access,
        0,
        16 * 4096,
        LeaseAttributes::READ
    ),
    lent!(
        "pool-maps-that-are-refused",
        &["IOMMU-POOL-2", "IOMMU-POOL-3", "IOMMU-POOL-5"],
        refused_maps
    ),
    lent!("pool-registered-again", &["IOMMU-POOL-4"], again),
    lent!(
        "pool-until-release",
        &["IOMMU-POOL-6", "IOMMU-REL-3"],
        released
    ),
    lent!(
        "pool-of-an-idle-lender-that-dies",
        &["IOMMU-POOL-7", "IOMMU-POOL-10"],
        idle_lender_dies
    ),
    lent!(
        "pool-of-a-lender-that-dies",
        &["IOMMU-POOL-7", "IOMMU-POOL-10"],
        lender_dies
    ),
    lent!("pool-not-unmapped-in-time", &["IOMMU-POOL-8"], out_of_time),
    lent!(
        "pool-after-the-servers-death",
        &["IOMMU-POOL-9"],
        servers_death
    ),
    Case::new(
        "pool-of-a-driver-that-dies",
        &["IOMMU-POOL-6", "IOMMU-G4-1"],
        &[
            Part::returns(FIRST, driver_dies),
            Part::returns(SECOND, end_the_driver),
            Part::serves(LENDER, lend_and_forget),
        ],
    ),
];
