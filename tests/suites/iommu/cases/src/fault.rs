//! Faults: who is told what, in which order, and how much is lost.

use abi::notification;
use edu::TRANSFER_MAX;
use iommu_api::{FAULT_NOTIFICATION, StatusFlags};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::{config, time};

use crate::board::{Board, F_TRANSLATION, PAGE_BYTES};
use crate::help::{BOTH, PAGE, claim, code, notes};
use crate::{FIRST, LEFT, SECOND, alone};

/// Bytes of a small transfer, in accesses of four.
const FEW: usize = 16;

fn in_order(stage: &Stage) -> Result {
    let claimed = claim()?;
    let board = Board::new()?;
    board.write(stage, claimed.page(5), FEW)?;
    board.read(stage, claimed.page(5), FEW)?;
    board.write(stage, claimed.page(2), FEW)?;
    claimed.status()?;
    for (read, page) in [(false, 5), (true, 5), (false, 2)] {
        let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
        check_eq!(fault.read, read);
        check_eq!(fault.iova, claimed.page(page));
        check_eq!(fault.event, F_TRANSLATION);
        check_eq!(fault.lost, 0);
    }
    check!(claimed.next_fault()?.is_none());
    Ok(())
}

fn one_record_for_a_run(stage: &Stage) -> Result {
    let claimed = claim()?;
    let board = Board::new()?;
    let before = claimed.status()?.faults;
    board.write(stage, claimed.page(3) + 32, FEW)?;
    let after = claimed.status()?;
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.iova, claimed.page(3) + 32);
    check_eq!(fault.count, after.faults - before);
    check!(fault.count > 1);
    check!(claimed.next_fault()?.is_none());
    Ok(())
}

fn posted(stage: &Stage) -> Result {
    let claimed = claim()?;
    let board = Board::new()?;
    let bit = check_is!(config::notification(FAULT_NOTIFICATION), Some(bit) => bit);
    board.write(stage, claimed.page(3), FEW)?;
    time::set_timer(Some(time::now().after(500_000_000)));
    let received = ipc::receive_from(stage.runner(), bit | notification::TIMER);
    let bits = check_is!(received, Received::Notification(bits) => bits);
    check_eq!(bits & bit, bit);
    check!(claimed.next_fault()?.is_some());
    Ok(())
}

/// Nine transfers across a page boundary each: eighteen records.
fn more_than_are_kept(stage: &Stage) -> Result {
    let claimed = claim()?;
    let board = Board::new()?;
    for number in 0..9 {
        board.write(stage, claimed.page(2 * number + 1) - 4, 8)?;
        claimed.status()?;
    }
    let (mut records, mut lost) = (0, 0);
    while let Some(fault) = claimed.next_fault()? {
        if fault.count > 0 {
            let page = records + records % 2;
            let offset = if records % 2 == 0 { PAGE - 4 } else { 0 };
            check_eq!(
                fault.iova,
                claimed.page(records / 2 * 2 + records % 2) + offset
            );
            check!(page <= 18);
            records += 1;
        }
        lost += fault.lost;
    }
    check!(records >= 16);
    check_eq!(records + lost, 18);
    Ok(())
}

fn flood(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let before = claimed.status()?;
    board.write(stage, claimed.page(5), TRANSFER_MAX)?;
    // A turn takes so many records; the rest follows while clients are served.
    let mut after = claimed.status()?;
    for _ in 0..200 {
        stage.pause(1);
        after = claimed.status()?;
        if after.faults - before.faults >= TRANSFER_MAX as u64 / 4 {
            break;
        }
    }
    let counted = after.faults - before.faults;
    check!(counted > 0);
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.iova, claimed.page(5));
    if counted < TRANSFER_MAX as u64 / 4 {
        // Then the queue was full, and that is told.
        check!(after.lost > before.lost);
        let mut lost = fault.lost;
        while let Some(more) = claimed.next_fault()? {
            lost += more.lost;
        }
        check!(lost > 0);
    }
    // It is no storm: the device is as usable as before.
    check_eq!(after.flags.0, StatusFlags::CLAIMED | StatusFlags::OPEN);
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.clear(4);
    board.write(stage, iova, FEW)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_none_or(|fault| fault.count == 0));
    Ok(())
}

/// Works while the other driver's device floods the queue.
fn beside_a_flood(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.put(0, 0x44);
    let from = check_is!(claimed.map(0, 1, BOTH), Ok(iova) => iova);
    board.read(stage, from, FEW)?;
    stage.note(0);
    board.clear(4);
    board.write(stage, iova, FEW)?;
    for _ in 0..50 {
        check_eq!(code(claimed.flush()), 0);
    }
    board.only(4, 0, FEW)?;
    // A loss may have been of anybody; a fault was not this one's.
    while let Some(fault) = claimed.next_fault()? {
        check_eq!(fault.count, 0);
    }
    check_eq!(
        claimed.status()?.flags.0,
        StatusFlags::CLAIMED | StatusFlags::OPEN
    );
    Ok(())
}

fn none_without_a_fault(_: &Stage) -> Result {
    let claimed = claim()?;
    check!(claimed.next_fault()?.is_none());
    check!(claimed.next_fault()?.is_none());
    Ok(())
}

fn each_once(stage: &Stage) -> Result {
    let claimed = claim()?;
    let board = Board::new()?;
    board.write(stage, claimed.page(1), FEW)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_some());
    check!(claimed.next_fault()?.is_none());
    board.write(stage, claimed.page(1), FEW)?;
    claimed.status()?;
    // The same access again is a fault again.
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.iova, claimed.page(1));
    check!(claimed.next_fault()?.is_none());
    Ok(())
}

fn not_of_the_claim_before(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let before = claimed.status()?.faults;
    // More records than many turns take: most of them lie in the queue when the device is released. Nobody asks for
    // the status before that, which would look at some.
    board.write(stage, claimed.page(1), TRANSFER_MAX)?;
    check_eq!(code(claimed.release()), 0);
    let next = claim()?;
    stage.pause(20);
    check!(next.next_fault()?.is_none());
    check!(next.status()?.faults > before);
    check!(next.next_fault()?.is_none());
    Ok(())
}

fn all_bits_of_the_iova(stage: &Stage) -> Result {
    let claimed = claim()?;
    let board = Board::new()?;
    // Beyond the IOVAs that tables can translate, and an address with low bits set.
    for iova in [0x0000_7fff_ffff_f000, 0x0000_0080_0000_0004, 4] {
        board.write(stage, iova, 4)?;
        claimed.status()?;
        let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
        check_eq!(fault.iova, iova);
        check!(!fault.read);
    }
    Ok(())
}

/// The StreamID that the device's requests have, by hand: a parameter.
fn with_the_stream_id(stage: &Stage) -> Result {
    let stream = check_is!(config::parameter("stream"), Some(stream) => stream);
    let claimed = claim()?;
    let board = Board::new()?;
    board.write(stage, claimed.page(1), FEW)?;
    check_eq!(u64::from(claimed.status()?.last_stream), stream);
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(u64::from(fault.stream), stream);
    Ok(())
}

pub const CASES: &[Case] = &[
    alone!("no-fault", &["IOMMU-FAULT-4"], none_without_a_fault),
    alone!(
        "faults-in-order",
        &["IOMMU-FAULT-1", "IOMMU-FAULT-3"],
        in_order
    ),
    alone!(
        "faults-in-a-run-are-one-record",
        &["IOMMU-FAULT-3"],
        one_record_for_a_run
    ),
    alone!("faults-are-told-once", &["IOMMU-FAULT-3"], each_once),
    alone!("a-fault-is-posted", &["IOMMU-FAULT-2"], posted),
    alone!(
        "faults-are-told-with-all-bits",
        &["IOMMU-G8-1"],
        all_bits_of_the_iova
    ),
    Case::new(
        "faults-are-told-with-their-stream-id",
        &["IOMMU-G8-1"],
        &[
            Part::returns(FIRST, with_the_stream_id),
            Part::returns(SECOND, with_the_stream_id),
            // One StreamID for both, which is not the requester id of either.
            Part::returns(LEFT, with_the_stream_id),
        ],
    ),
    alone!(
        "more-faults-than-are-kept",
        &["IOMMU-FAULT-7"],
        more_than_are_kept
    ),
    alone!(
        "faults-of-the-claim-before",
        &["IOMMU-CLAIM-9", "IOMMU-FAULT-10"],
        not_of_the_claim_before
    ),
    alone!(
        "a-flood-of-faults",
        &["IOMMU-FAULT-1", "IOMMU-FAULT-5", "IOMMU-FAULT-9"],
        flood
    ),
    Case::new(
        "beside-a-flood-of-faults",
        &["IOMMU-G8-2", "IOMMU-G7-2"],
        &[
            Part::returns(FIRST, |stage| {
                let claimed = claim()?;
                let board = Board::new()?;
                notes(stage, 1);
                board.write(stage, claimed.page(5), TRANSFER_MAX)?;
                claimed.status()?;
                check!(claimed.next_fault()?.is_some());
                Ok(())
            }),
            Part::returns(SECOND, beside_a_flood),
        ],
    ),
];

const _: () = assert!(PAGE_BYTES == 4096);
