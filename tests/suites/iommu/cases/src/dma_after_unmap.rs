//! What was unmapped is gone: no device reaches it by what the SMMU had cached.

use suite::{Case, Result, Stage, check_eq, check_is};

use crate::alone;
use crate::board::{Board, F_TRANSLATION, PAGE_BYTES, pool_named};
use crate::dma::{CONTENT, FEW, loaded, refused};
use crate::help::{BLOCK_PAGES, BLOCKS, BOTH, Claimed, FIXED, PAGE, READ, claim, code, pool};

/// Writes where it may, so that the translation is cached, then takes that away and writes again.
fn gone(stage: &Stage, take: fn(&mut Claimed, u64) -> u32) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.clear(4);
    board.write(stage, iova, FEW)?;
    board.only(4, 0, FEW)?;
    check_eq!(take(&mut claimed, iova), 0);
    board.put(4, CONTENT);
    board.write(stage, iova, FEW)?;
    refused(&claimed, F_TRANSLATION, false, iova)?;
    board.kept(4, CONTENT)
}

fn read_after_unmap(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let iova = check_is!(claimed.map(4, 1, READ), Ok(iova) => iova);
    board.read(stage, iova, FEW)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    board.read(stage, iova, FEW)?;
    refused(&claimed, F_TRANSLATION, true, iova)
}

fn half_unmapped(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = check_is!(claimed.map(4, 2, BOTH), Ok(iova) => iova);
    let edge = iova + PAGE - 8;
    for page in [4, 5] {
        board.clear(page);
    }
    board.write(stage, edge, FEW)?;
    board.only(4, PAGE_BYTES - 8, 8)?;
    board.only(5, 0, 8)?;
    check_eq!(code(claimed.unmap(iova + PAGE, 1)), 0);
    for page in [4, 5] {
        board.clear(page);
    }
    board.write(stage, edge, FEW)?;
    board.only(4, PAGE_BYTES - 8, 8)?;
    board.only(5, 0, 0)?;
    refused(&claimed, F_TRANSLATION, false, iova + PAGE)
}

fn another_page_there(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.write(stage, iova, FEW)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check_eq!(code(claimed.map_at(5, 1, BOTH | FIXED, iova)), 0);
    board.put(4, CONTENT);
    board.clear(5);
    board.write(stage, iova, FEW)?;
    board.kept(4, CONTENT)?;
    board.only(5, 0, FEW)
}

fn block_after_unmap(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let memory = pool_named("blocks")?.part(0, PAGE_BYTES);
    claimed.pool = pool("blocks");
    let base = claimed.window.block_base;
    check_eq!(
        code(claimed.map_at(0, BLOCK_PAGES, BOTH | BLOCKS | FIXED, base)),
        0
    );
    userlib::memory::Memory::fill(&memory, 0, PAGE_BYTES, 0);
    board.write(stage, base, FEW)?;
    crate::board::only(&memory, 0, 0, FEW)?;
    check_eq!(code(claimed.unmap(base, BLOCK_PAGES)), 0);
    userlib::memory::Memory::fill(&memory, 0, PAGE_BYTES, 0);
    board.write(stage, base, FEW)?;
    crate::board::only(&memory, 0, 0, 0)?;
    refused(&claimed, F_TRANSLATION, false, base)
}

pub const CASES: &[Case] = &[
    alone!(
        "dma-write-after-unmap",
        &["IOMMU-G3-1", "IOMMU-UNMAP-4"],
        |stage| gone(stage, |claimed, iova| code(claimed.unmap(iova, 1)))
    ),
    alone!(
        "dma-write-after-unmap-list",
        &["IOMMU-G3-1", "IOMMU-UNMAP-4"],
        |stage| gone(stage, |claimed, iova| code(
            claimed.unmap_list(&[(iova, 1)])
        ))
    ),
    alone!("dma-read-after-unmap", &["IOMMU-G3-1"], read_after_unmap),
    alone!(
        "dma-across-what-is-half-unmapped",
        &["IOMMU-G3-1", "IOMMU-UNMAP-1"],
        half_unmapped
    ),
    alone!(
        "dma-after-another-page-was-mapped-there",
        &["IOMMU-G3-1", "IOMMU-UNMAP-5"],
        another_page_there
    ),
    alone!(
        "dma-to-a-block-after-unmap",
        &["IOMMU-G3-1"],
        block_after_unmap
    ),
];
