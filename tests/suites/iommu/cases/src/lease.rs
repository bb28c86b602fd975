//! `map_lease`: pages that a client lends its driver for one request.

use abi::{LeaseAttributes, TaskId};
use iommu_api::{Error, Operation};
use suite::{Case, Failure, Part, Result, Stage, check_eq, check_is};
use userlib::ipc::{self, LeaseBuffer, Message, Received};

use crate::board::{Board, F_PERMISSION, only, pool_named};
use crate::help::{
    BLOCKS, BOTH, Claimed, FIXED, Got, PAGE, READ, WINDOW_PAGES, claim, code, got, notes,
};
use crate::message::{extent, what};
use crate::{FIRST, LENDER, OUTSIDER, SECOND};

/// Bytes of a small transfer.
pub const FEW: usize = 16;
/// Pins that the plan gives the first driver's device.
const PINS: u64 = 5;

/// The next message of a client.
pub fn next_message() -> core::result::Result<Message, Failure> {
    Ok(check_is!(ipc::receive(0), Received::Message(message) => message))
}

fn done(message: &Message) {
    ipc::reply(message.sender, 0, &[0; 8], 0);
}

/// Every word as given.
pub fn map_words(
    claimed: &mut Claimed,
    lender: u64,
    lease: u64,
    pages: (u64, u64),
    flags: u64,
) -> Got {
    let rest = [
        extent(pages.0, pages.1),
        what(lease, flags),
        if flags & FIXED == 0 {
            0
        } else {
            claimed.base()
        },
        lender,
    ];
    got(&claimed.request(Operation::MapLease, &rest))
}

/// One page of lease 0.
pub fn map_page(claimed: &mut Claimed, lender: TaskId, page: u64, flags: u64) -> Got {
    map_words(claimed, lender.0, 0, (page, 1), flags)
}

/// Lends `len` bytes at `offset` of the pool twice, and waits for the driver.
pub fn lend(stage: &Stage, offset: usize, len: usize, attributes: LeaseAttributes) -> Result {
    let pool = pool_named("pages")?;
    let lease = || LeaseBuffer::pool(pool.part(offset, len), attributes);
    let answer = ipc::call(stage.id(FIRST), 1, &[0; 8], 0, 0, &[lease(), lease()]);
    check_eq!(answer.code.0, 0);
    Ok(())
}

/// Lends the whole pool twice, and waits for the driver.
pub fn lend_all(stage: &Stage) -> Result {
    lend(stage, 0, 16 * 4096, LeaseAttributes::all())
}

/// A client whose request ends in one way or the other.
pub fn lend_and_forget(stage: &Stage) -> Result {
    let _ = lend_all(stage);
    Ok(())
}

fn write_to_lease(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let own = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, own, 0x37)?;
    let message = next_message()?;
    check_eq!(message.lease_count, 2);
    let iova = check_is!(map_page(&mut claimed, message.sender, 2, BOTH), Ok(iova) => iova);
    claimed.has_mapped(2)?;
    board.write(stage, iova, FEW)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    board.write(stage, iova, FEW)?;
    claimed.status()?;
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.iova, iova);
    done(&message);
    Ok(())
}

fn see_what_was_written(stage: &Stage) -> Result {
    let pool = pool_named("pages")?;
    userlib::memory::Memory::fill(&pool, 0, 16 * 4096, 0);
    lend_all(stage)?;
    only(&pool, 2, 0, FEW)?;
    for page in [1, 3] {
        only(&pool, page, 0, 0)?;
    }
    Ok(())
}

fn read_only_lease(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let message = next_message()?;
    let denied = map_page(&mut claimed, message.sender, 0, BOTH);
    check_eq!(code(denied), Error::BadPermissions);
    let iova = check_is!(map_page(&mut claimed, message.sender, 0, READ), Ok(iova) => iova);
    board.write(stage, iova, FEW)?;
    claimed.status()?;
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.event, F_PERMISSION);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    done(&message);
    Ok(())
}

fn write_only_lease(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    for flags in [READ, BOTH] {
        let denied = map_page(&mut claimed, message.sender, 0, flags);
        check_eq!(code(denied), Error::BadPermissions);
    }
    claimed.has_mapped(0)?;
    done(&message);
    Ok(())
}

fn second_lease(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let lender = message.sender.0;
    check_eq!(code(map_words(&mut claimed, lender, 1, (0, 4), READ)), 0);
    for lease in [2, 3, 255, 0x7fff, 0xffff] {
        let denied = map_words(&mut claimed, lender, lease, (0, 1), READ);
        check_eq!(code(denied), Error::NoLease);
    }
    check_eq!(code(claimed.unmap(claimed.base(), 4)), 0);
    done(&message);
    Ok(())
}

fn wrong_lenders(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let right = message.sender;
    for lender in [
        0,
        1,
        u64::MAX,
        1 << 63,
        0xff,
        1 << 8 | 0xff,
        1 << 16 | 0xff,
        right.0 ^ 1 << 8,
        right.0 ^ 1 << 16,
        right.0 ^ 1 << 40,
        stage.runner().0,
        stage.id(OUTSIDER).0,
        stage.id(SECOND).0,
        ipc::who_am_i().0,
    ] {
        let denied = map_words(&mut claimed, lender, 0, (0, 1), READ);
        check_eq!(code(denied), Error::NoLease);
    }
    claimed.has_mapped(0)?;
    done(&message);
    // Now it does not wait any more.
    let denied = map_page(&mut claimed, right, 0, READ);
    check_eq!(code(denied), Error::NoLease);
    Ok(())
}

fn lease_of_another_driver(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    // The lender waits for the first driver.
    let [lender, ..] = notes(stage, 1);
    let denied = map_words(&mut claimed, lender, 0, (0, 1), READ);
    check_eq!(code(denied), Error::NoLease);
    stage.note(0);
    Ok(())
}

/// Maps what is not whole pages of the lease.
fn refused_extents(_: &Stage, extents: &[(u64, u64)]) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    for &pages in extents {
        let denied = map_words(&mut claimed, message.sender.0, 0, pages, READ);
        check_eq!(code(denied), Error::NoLease);
    }
    claimed.has_mapped(0)?;
    done(&message);
    Ok(())
}

fn refused_forms(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let lender = message.sender.0;
    for (pages, flags, error) in [
        (0, READ, Error::Malformed),
        (1, READ | BLOCKS, Error::Malformed),
        (512, READ | BLOCKS, Error::Malformed),
        (1, 0, Error::BadPermissions),
        (1, 2, Error::BadPermissions),
    ] {
        let denied = map_words(&mut claimed, lender, 0, (0, pages), flags);
        check_eq!(code(denied), error);
    }
    let rest = [extent(0, 1), what(0, READ), PAGE, lender];
    let denied = claimed.request(Operation::MapLease, &rest);
    check_eq!(denied.code.0, Error::Malformed);
    let rest = [
        extent(0, 1),
        what(0, READ | FIXED),
        claimed.page(WINDOW_PAGES),
        lender,
    ];
    let denied = claimed.request(Operation::MapLease, &rest);
    check_eq!(denied.code.0, Error::BadRange);
    claimed.has_mapped(0)?;
    done(&message);
    Ok(())
}

fn more_than_the_window(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    for pages in [WINDOW_PAGES + 1, 0xffff_ffff] {
        for first in [0, 0xffff_ffff] {
            let denied = map_words(&mut claimed, message.sender.0, 0, (first, pages), READ);
            check_eq!(code(denied), Error::NoSpace);
        }
    }
    claimed.has_mapped(0)?;
    done(&message);
    Ok(())
}

fn fixed_places(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let lender = message.sender;
    check_eq!(code(claimed.fix(0, 1, 0)), 0);
    let denied = map_page(&mut claimed, lender, 0, READ | FIXED);
    check_eq!(code(denied), Error::Overlap);
    check_eq!(code(claimed.unmap(claimed.base(), 1)), 0);
    let iova = map_page(&mut claimed, lender, 0, READ | FIXED);
    check_eq!(iova.unwrap_or(0), claimed.base());
    check_eq!(code(claimed.fix(0, 1, 0)), Error::Overlap);
    check_eq!(code(claimed.unmap(claimed.base(), 1)), 0);
    done(&message);
    Ok(())
}

fn cut_in_two(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let lender = message.sender.0;
    check_eq!(
        code(map_words(&mut claimed, lender, 0, (0, 4), READ | FIXED)),
        0
    );
    check_eq!(code(claimed.fix(0, 2, 4)), 0);
    for (page, pages) in [(0, 1), (0, 3), (1, 3), (3, 1), (3, 2)] {
        let cut = claimed.unmap(claimed.page(page), pages);
        check_eq!(code(cut), Error::PartOfLease);
    }
    let ranges = [(claimed.page(4), 1), (claimed.page(0), 2)];
    check_eq!(code(claimed.unmap_list(&ranges)), Error::PartOfLease);
    claimed.has_mapped(6)?;
    // As a whole, and more with it, is allowed.
    check_eq!(code(claimed.unmap(claimed.page(0), 5)), 0);
    claimed.has_mapped(1)?;
    done(&message);
    Ok(())
}

fn use_up_pins(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let lender = message.sender;
    for round in 0..3 {
        let mut iovas = [0; PINS as usize];
        for (page, iova) in (0..).zip(&mut iovas) {
            *iova = check_is!(map_page(&mut claimed, lender, page, READ), Ok(iova) => iova);
        }
        let denied = map_page(&mut claimed, lender, 9, READ);
        check_eq!(code(denied), Error::PinsExhausted);
        claimed.has_mapped(PINS)?;
        // Pages of its own pool need none.
        let own = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
        check_eq!(code(claimed.unmap(own, 1)), 0);
        let ranges = iovas.map(|iova| (iova, 1));
        if round == 1 {
            check_eq!(code(claimed.unmap_list(&ranges)), 0);
        } else {
            for (iova, pages) in ranges {
                check_eq!(code(claimed.unmap(iova, pages)), 0);
            }
        }
    }
    done(&message);
    Ok(())
}

/// A driver's part, and a client that lends its whole pool and may die of it.
macro_rules! lent {
    ($name:literal, $requirements:expr, $driver:expr) => {
        Case::new(
            $name,
            $requirements,
            &[
                Part::returns(FIRST, $driver),
                Part::serves(LENDER, lend_and_forget),
            ],
        )
    };
    ($name:literal, $requirements:expr, $driver:expr, $offset:expr, $len:expr, $attributes:expr) => {
        Case::new(
            $name,
            $requirements,
            &[
                Part::returns(FIRST, $driver),
                Part::serves(LENDER, |stage| {
                    let _ = lend(stage, $offset, $len, $attributes);
                    Ok(())
                }),
            ],
        )
    };
}
pub(crate) use lent;

pub const CASES: &[Case] = &[
    Case::new(
        "lease-written-by-the-device",
        &["IOMMU-LEASE-1", "IOMMU-G3-1"],
        &[
            Part::returns(FIRST, write_to_lease),
            Part::returns(LENDER, see_what_was_written),
        ],
    ),
    lent!(
        "lease-for-reading",
        &["IOMMU-LEASE-3", "IOMMU-G2-2"],
        read_only_lease,
        0,
        4096,
        LeaseAttributes::READ
    ),
    lent!(
        "lease-for-writing",
        &["IOMMU-LEASE-3"],
        write_only_lease,
        0,
        4096,
        LeaseAttributes::WRITE
    ),
    lent!("lease-by-number", &["IOMMU-LEASE-1"], second_lease),
    lent!(
        "lease-of-wrong-lenders",
        &["IOMMU-LEASE-1", "IOMMU-G7-1"],
        wrong_lenders
    ),
    Case::new(
        "lease-to-another-driver",
        &["IOMMU-LEASE-1"],
        &[
            Part::returns(FIRST, |stage| {
                let message = next_message()?;
                stage.note(message.sender.0);
                notes(stage, 2);
                done(&message);
                Ok(())
            }),
            Part::returns(SECOND, lease_of_another_driver),
            Part::serves(LENDER, lend_and_forget),
        ],
    ),
    lent!(
        "lease-beyond-its-end",
        &["IOMMU-LEASE-1"],
        |stage| refused_extents(
            stage,
            &[
                (0, 5),
                (1, 4),
                (3, 2),
                (4, 1),
                (0xffff_ffff, 1),
                (0, WINDOW_PAGES),
                (0xffff_ffff, WINDOW_PAGES),
            ],
        ),
        0,
        4 * 4096,
        LeaseAttributes::all()
    ),
    lent!(
        "lease-that-is-not-aligned",
        &["IOMMU-LEASE-1"],
        |stage| refused_extents(stage, &[(0, 1), (0, 2), (1, 1)]),
        64,
        3 * 4096,
        LeaseAttributes::all()
    ),
    lent!(
        "lease-of-less-than-a-page",
        &["IOMMU-LEASE-1"],
        |stage| refused_extents(stage, &[(0, 1), (1, 1)]),
        0,
        4095,
        LeaseAttributes::all()
    ),
    lent!(
        "lease-of-nothing",
        &["IOMMU-LEASE-1"],
        |stage| refused_extents(stage, &[(0, 1)]),
        0,
        0,
        LeaseAttributes::all()
    ),
    lent!(
        "lease-with-wrong-words",
        &["IOMMU-LEASE-4", "IOMMU-MAP-2", "IOMMU-MAP-3", "IOMMU-MAP-5"],
        refused_forms
    ),
    lent!(
        "lease-larger-than-the-window",
        &["IOMMU-MAP-4", "IOMMU-ERR-2"],
        more_than_the_window
    ),
    lent!("lease-at-fixed-places", &["IOMMU-MAP-5"], fixed_places),
    lent!(
        "lease-unmapped-in-part",
        &["IOMMU-LEASE-5", "IOMMU-LIST-2"],
        cut_in_two
    ),
    lent!("lease-pins-used-up", &["IOMMU-LEASE-2"], use_up_pins),
];
