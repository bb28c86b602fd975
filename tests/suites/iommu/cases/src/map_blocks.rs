//! `map` of blocks: pools and windows of them, and their places.

use iommu_api::Error;
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};

use crate::help::{
    BLOCK, BLOCK_PAGES, BLOCKS, BOTH, Claimed, FIXED, PAGE, POOL_PAGES, READ, claim, code, pool,
};
use crate::{SECOND, alone};

/// A claim of which the pool of blocks is mapped.
fn blocks() -> core::result::Result<Claimed, suite::Failure> {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    Ok(claimed)
}

fn whole_blocks(_: &Stage) -> Result {
    let mut claimed = blocks()?;
    let flags = BOTH | BLOCKS;
    let one = check_is!(claimed.map(0, BLOCK_PAGES, flags), Ok(iova) => iova);
    check_eq!(one % BLOCK, 0);
    check!(one >= claimed.window.block_base);
    let two = check_is!(claimed.map(BLOCK_PAGES, BLOCK_PAGES, flags), Ok(iova) => iova);
    check!(one != two);
    claimed.has_mapped(2 * BLOCK_PAGES)?;
    check_eq!(code(claimed.map(0, BLOCK_PAGES, flags)), Error::NoSpace);
    check_eq!(code(claimed.unmap(one, BLOCK_PAGES)), 0);
    check_eq!(code(claimed.map(0, BLOCK_PAGES, flags)), 0);
    check_eq!(
        code(claimed.unmap(claimed.window.block_base, 2 * BLOCK_PAGES)),
        0
    );
    check_eq!(code(claimed.map(0, 2 * BLOCK_PAGES, flags)), 0);
    Ok(())
}

fn parts_of_blocks(_: &Stage) -> Result {
    let mut claimed = blocks()?;
    for (first, pages) in [
        (0, 1),
        (0, BLOCK_PAGES - 1),
        (0, BLOCK_PAGES + 1),
        (1, BLOCK_PAGES),
        (BLOCK_PAGES - 1, BLOCK_PAGES),
        (2 * BLOCK_PAGES, BLOCK_PAGES),
        (BLOCK_PAGES, 2 * BLOCK_PAGES),
    ] {
        check_eq!(
            code(claimed.map(first, pages, READ | BLOCKS)),
            Error::BadMemory
        );
    }
    claimed.has_mapped(0)
}

fn places_of_blocks(_: &Stage) -> Result {
    let mut claimed = blocks()?;
    let base = claimed.window.block_base;
    let flags = READ | BLOCKS | FIXED;
    for iova in [
        0,
        claimed.base(),
        base - BLOCK,
        base + 2 * BLOCK,
        base + PAGE,
        base + BLOCK - PAGE,
        u64::MAX - BLOCK + 1,
    ] {
        check_eq!(
            code(claimed.map_at(0, BLOCK_PAGES, flags, iova)),
            Error::BadRange
        );
    }
    let two = claimed.map_at(0, 2 * BLOCK_PAGES, flags, base + BLOCK);
    check_eq!(code(two), Error::BadRange);
    check_eq!(code(claimed.map_at(0, BLOCK_PAGES, flags, base + BLOCK)), 0);
    let again = claimed.map_at(0, BLOCK_PAGES, flags, base + BLOCK);
    check_eq!(code(again), Error::Overlap);
    let both = claimed.map_at(0, 2 * BLOCK_PAGES, flags, base);
    check_eq!(code(both), Error::Overlap);
    check_eq!(code(claimed.map_at(0, BLOCK_PAGES, flags, base)), 0);
    claimed.has_mapped(2 * BLOCK_PAGES)
}

fn a_pool_without_blocks(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(
        code(claimed.map(0, POOL_PAGES, READ | BLOCKS)),
        Error::BadMemory
    );
    check_eq!(
        code(claimed.map(0, BLOCK_PAGES, READ | BLOCKS)),
        Error::BadMemory
    );
    claimed.has_mapped(0)
}

fn a_window_without_blocks(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(claimed.window.blocks, 0);
    let base = claimed.window.block_base;
    check!(claimed.map_at(0, 1, READ | FIXED, base).is_err());
    check!(claimed.map_at(0, BLOCK_PAGES, READ | BLOCKS, 0).is_err());
    claimed.has_mapped(0)
}

pub const CASES: &[Case] = &[
    alone!("map-blocks", &["IOMMU-MAP-6", "IOMMU-MAP-4"], whole_blocks),
    alone!("map-parts-of-blocks", &["IOMMU-MAP-6"], parts_of_blocks),
    alone!(
        "map-blocks-at-fixed-places",
        &["IOMMU-MAP-5", "IOMMU-MAP-6"],
        places_of_blocks
    ),
    alone!(
        "map-blocks-of-a-small-pool",
        &["IOMMU-MAP-6"],
        a_pool_without_blocks
    ),
    Case::new(
        "map-blocks-without-a-block-part",
        &["IOMMU-MAP-4", "IOMMU-MAP-5"],
        &[Part::returns(SECOND, a_window_without_blocks)],
    ),
];
