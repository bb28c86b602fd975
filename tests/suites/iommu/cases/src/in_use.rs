//! A device in full use by its owner, and others who try everything with it.

use edu::Direction;
use iommu_api::{Error, Operation};
use pci_api::client::{Client, Failure};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};
use userlib::memory::Memory;
use userlib::server::Server;

use crate::board::{Board, F_TRANSLATION, PAGE_BYTES, pool_named};
use crate::help::{
    BLOCK_PAGES, BLOCKS, BOTH, READ, claim, claim_words, code, notes, pool, refusal,
};
use crate::lease::{lend_all, map_page, next_message};
use crate::message::{ON_CLAIM, Words, about_claim, extent, reply_len, send, what};
use crate::{FIRST, LENDER, OUTSIDER, SECOND, edu0};

/// Bytes of a small transfer.
const FEW: usize = 16;
/// Pages that the owner has mapped: one of a pool, a block of another, one of a lease.
const MAPPED: u64 = 1 + BLOCK_PAGES + 1;

/// The owner: pages, a block and a lease are mapped, a fault is not fetched yet, and a transfer is under way while the
/// others try. Then all is as it left it, and its next request has the next number.
fn uses_its_device(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let page = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, page, 0x61)?;
    let (pages, blocks) = (claimed.pool, pool("blocks"));
    claimed.pool = blocks;
    let block = check_is!(claimed.map(0, BLOCK_PAGES, BOTH | BLOCKS), Ok(iova) => iova);
    claimed.pool = pages;
    let message = next_message()?;
    let lent = check_is!(map_page(&mut claimed, message.sender, 2, BOTH), Ok(iova) => iova);
    let nowhere = claimed.page(300);
    board.write(stage, nowhere, FEW)?;
    let before = claimed.status()?;
    check_eq!(before.mapped_pages, MAPPED);
    board.start(Direction::ToMemory, lent, FEW)?;
    for word in [
        claimed.handle,
        claimed.sequence,
        page,
        lent,
        message.sender.0,
    ] {
        stage.note(word);
    }
    notes(stage, 7);
    board.finish(stage)?;
    let after = claimed.status()?;
    check!(after == before);
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.iova, nowhere);
    check_eq!(fault.event, F_TRANSLATION);
    check!(claimed.next_fault()?.is_none());
    // Through every mapping, in both directions where it has both.
    board.read(stage, page, FEW)?;
    board.write(stage, block, FEW)?;
    board.write(stage, lent + 32, FEW)?;
    check!(claimed.next_fault()?.is_none());
    check_eq!(code(claimed.unmap(lent, 1)), 0);
    check_eq!(
        code(claimed.unmap_list(&[(page, 1), (block, BLOCK_PAGES)])),
        0
    );
    claimed.has_mapped(0)?;
    check_eq!(code(claimed.release()), 0);
    userlib::ipc::reply(message.sender, 0, &[0; 8], 0);
    Ok(())
}

/// The lender finds what the two transfers wrote, and nothing else.
fn lends_to_it(stage: &Stage) -> Result {
    let pool = pool_named("pages")?;
    pool.fill(0, pool.len(), 0);
    lend_all(stage)?;
    let changed = |at: usize, len| (at..at + len).filter(|at| pool.read8(*at) != 0).count();
    for at in [0, 32] {
        check_eq!(changed(2 * PAGE_BYTES + at, FEW), FEW);
    }
    check_eq!(changed(0, pool.len()), 2 * FEW);
    Ok(())
}

/// What the owner could ask now: of a page of its pool or of a lease, alone or with another, at an IOVA that it has mapped.
fn message(operation: Operation, sequence: u64, iova: u64, notes: [u64; 7]) -> Words {
    let [handle, _, page, lent, lender, ..] = notes;
    let map = what(0, READ);
    match operation {
        Operation::MapLease if iova == lent => {
            Words::of(&[handle, sequence, extent(2, 1), map, 0, lender])
        }
        Operation::MapList if iova == lent => {
            Words::of(&[handle, sequence, map, 0, extent(0, 1), extent(3, 1)])
        }
        Operation::UnmapList if iova == lent => {
            let pages = [page, lent].map(|iova| extent(iova >> 12, 1));
            Words::of(&[handle, sequence, pages[0], pages[1]])
        }
        _ => about_claim(operation, handle, sequence, iova),
    }
}

fn tries_everything(stage: &Stage) -> Result {
    let notes = notes(stage, 5);
    let [_, last, page, lent, ..] = notes;
    for operation in ON_CLAIM {
        for sequence in [last, last + 1, last + 2, 0, u64::MAX] {
            for iova in [page, lent] {
                let message = message(operation, sequence, iova, notes);
                let answer = send(operation as u16, &message, reply_len(operation), &[]);
                check_eq!(answer.code.0, Error::StaleHandle);
            }
        }
    }
    check_eq!(claim_words(edu0()).code.0, Error::NotOwner);
    Ok(())
}

/// Another driver, which uses a device of its own and may look at this one.
fn another_driver(stage: &Stage) -> Result {
    let mut own = claim()?;
    check_eq!(code(own.map(0, 1, READ)), 0);
    tries_everything(stage)?;
    check!(refusal(Operation::Status, edu0()).is_none());
    let server = check_is!(Server::named("pci"), Some(server) => server);
    let device = edu0() as u32;
    for answer in [
        Client(&server).bus_master(device, false),
        Client(&server).bus_master(device, true),
        Client(&server).quiesce_start(device),
        Client(&server).quiesce_result(device).map(|_| ()),
    ] {
        check!(answer == Err(Failure::Refused(pci_api::Error::NotAuthority)));
    }
    own.has_mapped(1)?;
    check_eq!(code(own.flush()), 0);
    stage.note(0);
    Ok(())
}

/// A task without a device, which may not even look.
fn a_stranger(stage: &Stage) -> Result {
    tries_everything(stage)?;
    for operation in [Operation::Describe, Operation::Status] {
        check!(refusal(operation, edu0()) == Some(Error::NotOwner));
    }
    stage.note(0);
    Ok(())
}

pub const CASES: &[Case] = &[Case::new(
    "others-try-everything-on-a-device-in-full-use",
    &["IOMMU-G7-1", "IOMMU-CLAIM-1"],
    &[
        Part::returns(FIRST, uses_its_device),
        Part::returns(SECOND, another_driver),
        Part::returns(OUTSIDER, a_stranger),
        Part::returns(LENDER, lends_to_it),
    ],
)];
