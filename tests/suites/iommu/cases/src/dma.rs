//! What a device reaches, and what it does not.

use edu::{Direction, TRANSFER_MAX, pattern};
use iommu_api::FaultRecord;
use suite::{Case, Failure, Part, Result, Stage, check, check_eq, check_is};
use userlib::config;

use crate::board::{Board, F_PERMISSION, F_TRANSLATION, PAGE_BYTES, pool_named};
use crate::help::{
    BLOCK, BLOCK_PAGES, BLOCKS, BOTH, Claimed, FIXED, PAGE, READ, WINDOW_PAGES, claim, code, notes,
    pool, status,
};
use crate::{FIRST, SECOND, alone, edu0};

/// Seeds of patterns: in the device's buffer, and in memory that must not change.
const MARKER: u8 = 0x5c;
pub const CONTENT: u8 = 0x21;
/// Bytes of a small transfer: few accesses, few events.
pub const FEW: usize = 16;

/// A claimed device whose buffer holds the marker; nothing is mapped.
pub fn loaded(stage: &Stage) -> core::result::Result<(Claimed, Board), Failure> {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let iova = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, iova, MARKER)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check!(claimed.next_fault()?.is_none());
    Ok((claimed, board))
}

/// The only fault there is, after `status` has looked at the queue.
fn only_fault(claimed: &Claimed) -> core::result::Result<FaultRecord, Failure> {
    let status = claimed.status()?;
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(status.last_event, fault.event);
    check!(claimed.next_fault()?.is_none());
    check_eq!(fault.lost, 0);
    Ok(fault)
}

/// Fails unless the device was refused at `iova`.
pub fn refused(claimed: &Claimed, event: u8, read: bool, iova: u64) -> Result {
    let fault = only_fault(claimed)?;
    check_eq!(fault.event, event);
    check_eq!(fault.read, read);
    check_eq!(fault.iova, iova);
    check!(fault.count >= 1);
    Ok(())
}

fn there_and_back(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let from = check_is!(claimed.map(2, 1, READ), Ok(iova) => iova);
    let to = check_is!(claimed.map(3, 1, BOTH), Ok(iova) => iova);
    board.put(2, MARKER);
    board.clear(3);
    board.read(stage, from, TRANSFER_MAX)?;
    board.write(stage, to, TRANSFER_MAX)?;
    let found = pattern::differences(&board.pool, 3 * PAGE_BYTES, TRANSFER_MAX, MARKER);
    check_eq!(found, 0);
    board.only(3, 0, TRANSFER_MAX)?;
    board.kept(2, MARKER)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_none());
    Ok(())
}

fn write_to_nothing(stage: &Stage) -> Result {
    let claimed = claim()?;
    let board = Board::new()?;
    let before = claimed.status()?.faults;
    board.write(stage, claimed.page(7), FEW)?;
    refused(&claimed, F_TRANSLATION, false, claimed.page(7))?;
    let after = claimed.status()?;
    check!(after.faults > before);
    check!(!after.last_read);
    Ok(())
}

fn read_of_nothing(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    board.read(stage, claimed.page(9), FEW)?;
    refused(&claimed, F_TRANSLATION, true, claimed.page(9))?;
    // What came instead is not of any memory: zeros, or what was in the buffer before.
    let iova = check_is!(claimed.map(1, 1, BOTH), Ok(iova) => iova);
    board.clear(1);
    board.write(stage, iova, FEW)?;
    for at in 0..FEW {
        let found = userlib::memory::Memory::read8(&board.pool, PAGE_BYTES + at);
        check!(found == 0 || found == pattern::byte(MARKER, at));
    }
    Ok(())
}

fn read_only(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    board.put(4, CONTENT);
    let iova = check_is!(claimed.map(4, 1, READ), Ok(iova) => iova);
    board.write(stage, iova, FEW)?;
    refused(&claimed, F_PERMISSION, false, iova)?;
    board.kept(4, CONTENT)?;
    // Reading is allowed.
    board.read(stage, iova, FEW)?;
    claimed.status()?;
    check!(claimed.next_fault()?.is_none());
    Ok(())
}

fn end_of_the_window(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let last = claimed.page(WINDOW_PAGES - 1);
    check_eq!(code(claimed.map_at(4, 1, BOTH | FIXED, last)), 0);
    board.clear(4);
    board.write(stage, last + PAGE - 8, FEW)?;
    board.only(4, PAGE_BYTES - 8, 8)?;
    refused(&claimed, F_TRANSLATION, false, last + PAGE)
}

fn start_of_the_window(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    check_eq!(code(claimed.map_at(4, 1, BOTH | FIXED, claimed.base())), 0);
    board.clear(4);
    board.write(stage, claimed.base() - 8, FEW)?;
    board.only(4, 0, 8)?;
    refused(&claimed, F_TRANSLATION, false, claimed.base() - 8)
}

fn end_of_a_block(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let blocks = pool_named("blocks")?;
    let memory = blocks.part(BLOCK as usize - PAGE_BYTES, PAGE_BYTES);
    userlib::memory::Memory::fill(&memory, 0, PAGE_BYTES, 0);
    claimed.pool = pool("blocks");
    let base = claimed.window.block_base;
    check_eq!(
        code(claimed.map_at(0, BLOCK_PAGES, BOTH | BLOCKS | FIXED, base)),
        0
    );
    board.write(stage, base + BLOCK - 8, FEW)?;
    crate::board::only(&memory, 0, PAGE_BYTES - 8, 8)?;
    refused(&claimed, F_TRANSLATION, false, base + BLOCK)
}

fn order_of_a_list(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = check_is!(claimed.map_list(BOTH, 0, &[(6, 1), (4, 1), (5, 1)]), Ok(iova) => iova);
    for page in [4, 5, 6] {
        board.clear(page);
    }
    board.write(stage, iova + PAGE - 8, FEW)?;
    board.only(6, PAGE_BYTES - 8, 8)?;
    board.only(4, 0, 8)?;
    board.only(5, 0, 0)?;
    board.write(stage, iova + 2 * PAGE, FEW)?;
    board.only(5, 0, FEW)
}

fn one_page_twice(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let one = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    let two = check_is!(claimed.map(4, 1, READ), Ok(iova) => iova);
    board.clear(4);
    board.write(stage, one, FEW)?;
    board.only(4, 0, FEW)?;
    // The rights are those of the IOVA, not of the page.
    board.write(stage, two, FEW)?;
    refused(&claimed, F_PERMISSION, false, two)?;
    check_eq!(code(claimed.unmap(two, 1)), 0);
    board.clear(4);
    board.write(stage, one, FEW)?;
    board.only(4, 0, FEW)
}

/// Makes the device write to an address of memory that nobody mapped.
fn reach_for(stage: &Stage, name: &str, offset: u64) -> Result {
    let (claimed, board) = loaded(stage)?;
    let address = check_is!(config::parameter(name), Some(address) => address) + offset;
    board.put(8, CONTENT);
    board.write(stage, address, FEW)?;
    refused(&claimed, F_TRANSLATION, false, address)?;
    board.kept(8, CONTENT)
}

fn watch_own_pool(stage: &Stage) -> Result {
    let memory = pool_named("pages")?;
    pattern::write(&memory, 0, PAGE_BYTES, CONTENT);
    stage.note(0);
    notes(stage, 2);
    check_eq!(pattern::differences(&memory, 0, PAGE_BYTES, CONTENT), 0);
    Ok(())
}

/// The other driver has the same IOVA mapped, to its own page.
fn same_iova(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    check_eq!(code(claimed.map_at(4, 1, BOTH | FIXED, claimed.base())), 0);
    board.put(4, CONTENT);
    stage.note(claimed.base());
    notes(stage, 2);
    claimed.status()?;
    check!(claimed.next_fault()?.is_none());
    board.kept(4, CONTENT)
}

fn unclaimed(stage: &Stage) -> Result {
    let board = Board::new()?;
    let address = check_is!(config::parameter("own-pool"), Some(address) => address);
    let before = status(edu0())?;
    board.put(0, CONTENT);
    board.write(stage, address, FEW)?;
    board.kept(0, CONTENT)?;
    let after = status(edu0())?;
    check_eq!(after.flags.0, 0);
    check_eq!(after.mapped_pages, 0);
    check!(after.faults >= before.faults);
    Ok(())
}

fn after_release(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.write(stage, iova, FEW)?;
    check_eq!(code(claimed.release()), 0);
    board.put(4, CONTENT);
    board.write(stage, iova, FEW)?;
    board.kept(4, CONTENT)?;
    // The next claim inherits neither the mapping nor a record.
    let claimed = claim()?;
    check!(claimed.next_fault()?.is_none());
    board.write(stage, iova, FEW)?;
    refused(&claimed, F_TRANSLATION, false, iova)?;
    board.kept(4, CONTENT)
}

fn release_under_way(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.put(4, CONTENT);
    board.start(Direction::ToMemory, iova, FEW)?;
    check_eq!(code(claimed.release()), 0);
    // Nothing is given back before the device is quiet.
    check!(!board.busy());
    board.put(4, CONTENT);
    stage.pause(150);
    board.kept(4, CONTENT)
}

pub const CASES: &[Case] = &[
    alone!("dma-there-and-back", &["IOMMU-MAP-7"], there_and_back),
    alone!(
        "dma-write-to-nothing",
        &["IOMMU-G2-1", "IOMMU-G8-1", "IOMMU-LOOK-4"],
        write_to_nothing
    ),
    alone!(
        "dma-read-of-nothing",
        &["IOMMU-G2-1", "IOMMU-G8-1"],
        read_of_nothing
    ),
    alone!(
        "dma-write-to-a-read-only-page",
        &["IOMMU-G2-2", "IOMMU-MAP-3", "IOMMU-G8-1"],
        read_only
    ),
    alone!(
        "dma-across-the-end-of-the-window",
        &["IOMMU-G2-1"],
        end_of_the_window
    ),
    alone!(
        "dma-across-the-start-of-the-window",
        &["IOMMU-G2-1"],
        start_of_the_window
    ),
    alone!(
        "dma-across-the-end-of-a-block",
        &["IOMMU-G2-1", "IOMMU-MAP-6"],
        end_of_a_block
    ),
    alone!(
        "dma-in-the-order-of-a-list",
        &["IOMMU-LIST-1"],
        order_of_a_list
    ),
    alone!(
        "dma-to-one-page-by-two-iovas",
        &["IOMMU-MAP-8", "IOMMU-MAP-9"],
        one_page_twice
    ),
    alone!("dma-to-its-own-pool-by-address", &["IOMMU-G2-1"], |stage| {
        reach_for(stage, "own-pool", 8 * PAGE)
    }),
    Case::new(
        "dma-to-the-pool-of-another",
        &["IOMMU-G2-1"],
        &[
            Part::returns(FIRST, |stage| {
                notes(stage, 1);
                reach_for(stage, "second-pool", 0)?;
                stage.note(0);
                Ok(())
            }),
            Part::returns(SECOND, watch_own_pool),
        ],
    ),
    alone!("dma-to-the-kernel", &["IOMMU-G2-1"], |stage| reach_for(
        stage, "kernel", 0
    )),
    alone!("dma-to-a-page-table", &["IOMMU-G2-1"], |stage| {
        reach_for(stage, "page-table", 0)
    }),
    alone!("dma-to-the-smmu", &["IOMMU-G2-1"], |stage| reach_for(
        stage, "smmu", 0x98
    )),
    alone!("dma-to-the-doorbell", &["IOMMU-G2-1"], |stage| reach_for(
        stage, "its", 0x40
    )),
    Case::new(
        "dma-to-an-iova-that-another-has-mapped",
        &["IOMMU-G2-1", "IOMMU-MAP-9"],
        &[
            Part::returns(FIRST, |stage| {
                let [iova, ..] = notes(stage, 1);
                let claimed = claim()?;
                let board = Board::new()?;
                board.write(stage, iova, FEW)?;
                refused(&claimed, F_TRANSLATION, false, iova)?;
                stage.note(0);
                Ok(())
            }),
            Part::returns(SECOND, same_iova),
        ],
    ),
    alone!(
        "dma-of-a-device-that-nobody-claimed",
        &["IOMMU-G1-1"],
        unclaimed
    ),
    alone!(
        "dma-after-release",
        &["IOMMU-REL-1", "IOMMU-REL-3", "IOMMU-CLAIM-9"],
        after_release
    ),
    alone!(
        "release-with-a-transfer-under-way",
        &["IOMMU-REL-2"],
        release_under_way
    ),
];
