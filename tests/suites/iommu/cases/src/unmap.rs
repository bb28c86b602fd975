//! `unmap`: what is mapped, all of it, once.

use iommu_api::Error;
use suite::{Case, Result, Stage, check_eq, check_is};

use crate::alone;
use crate::help::{BLOCK, BLOCK_PAGES, BLOCKS, BOTH, PAGE, READ, WINDOW_PAGES, claim, code, pool};

fn whole(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 16, BOTH), Ok(iova) => iova);
    check_eq!(code(claimed.unmap(iova, 16)), 0);
    claimed.is_empty()
}

fn twice(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 2, BOTH), Ok(iova) => iova);
    check_eq!(code(claimed.unmap(iova, 2)), 0);
    check_eq!(code(claimed.unmap(iova, 2)), Error::NotMapped);
    check_eq!(code(claimed.unmap(iova, 1)), Error::NotMapped);
    claimed.has_mapped(0)
}

fn piece_by_piece(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 16, 100)), 0);
    for (page, pages, left) in [
        (107, 2, 14),
        (100, 1, 13),
        (115, 1, 12),
        (101, 6, 6),
        (109, 6, 0),
    ] {
        check_eq!(code(claimed.unmap(claimed.page(page), pages)), 0);
        claimed.has_mapped(left)?;
    }
    claimed.is_empty()
}

fn nothing(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for page in [0, 1, 300, WINDOW_PAGES - 1] {
        check_eq!(code(claimed.unmap(claimed.page(page), 1)), Error::NotMapped);
    }
    check_eq!(
        code(claimed.unmap(claimed.base(), WINDOW_PAGES)),
        Error::NotMapped
    );
    Ok(())
}

fn more_than_is_mapped(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 4, 10)), 0);
    for (page, pages) in [(9, 5), (10, 5), (9, 6), (0, 11), (13, 2)] {
        check_eq!(
            code(claimed.unmap(claimed.page(page), pages)),
            Error::NotMapped
        );
        claimed.has_mapped(4)?;
    }
    // None of them took a page.
    check_eq!(code(claimed.unmap(claimed.page(10), 4)), 0);
    Ok(())
}

fn with_a_hole(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 8, 20)), 0);
    check_eq!(code(claimed.unmap(claimed.page(23), 1)), 0);
    check_eq!(code(claimed.unmap(claimed.page(20), 8)), Error::NotMapped);
    claimed.has_mapped(7)?;
    check_eq!(code(claimed.unmap(claimed.page(20), 3)), 0);
    check_eq!(code(claimed.unmap(claimed.page(24), 4)), 0);
    claimed.is_empty()
}

fn across_mappings(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for (first, page) in [(0, 0), (4, 4), (8, 8)] {
        check_eq!(code(claimed.fix(first, 4, page)), 0);
    }
    check_eq!(code(claimed.unmap(claimed.page(2), 8)), 0);
    claimed.has_mapped(4)?;
    check_eq!(code(claimed.unmap(claimed.page(0), 2)), 0);
    check_eq!(code(claimed.unmap(claimed.page(10), 2)), 0);
    claimed.is_empty()
}

fn outside(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 1, 0)), 0);
    check_eq!(code(claimed.fix(0, 1, WINDOW_PAGES - 1)), 0);
    let base = claimed.base();
    for (iova, pages) in [
        (0, 1),
        (base - PAGE, 1),
        (base - PAGE, 2),
        (claimed.page(WINDOW_PAGES), 1),
        (claimed.page(WINDOW_PAGES - 1), 2),
        (base, WINDOW_PAGES + 1),
        (base, u64::MAX),
        (base, 1 << 52),
        (base, (1 << 52) + 1),
        (1 << 48 | base, 1),
        (1 << 63 | base, 1),
        (u64::MAX - PAGE + 1, 1),
        (u64::MAX - PAGE + 1, 2),
    ] {
        check_eq!(code(claimed.unmap(iova, pages)), Error::BadRange);
    }
    claimed.has_mapped(2)
}

fn unaligned(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 2, 0)), 0);
    for offset in [1, 8, 2048, PAGE - 1] {
        check_eq!(
            code(claimed.unmap(claimed.base() + offset, 1)),
            Error::BadRange
        );
    }
    claimed.has_mapped(2)
}

fn no_pages(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 2, 0)), 0);
    check_eq!(code(claimed.unmap(claimed.base(), 0)), Error::Malformed);
    check_eq!(
        code(claimed.unmap(claimed.window.block_base, 0)),
        Error::Malformed
    );
    claimed.has_mapped(2)
}

fn parts_of_blocks(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    let all = 2 * BLOCK_PAGES;
    check_eq!(code(claimed.map(0, all, READ | BLOCKS)), 0);
    let base = claimed.window.block_base;
    for (iova, pages) in [
        (base, 1),
        (base, BLOCK_PAGES - 1),
        (base, BLOCK_PAGES + 1),
        (base + PAGE, BLOCK_PAGES),
        (base + BLOCK, all),
        (base + 2 * BLOCK, BLOCK_PAGES),
    ] {
        check_eq!(code(claimed.unmap(iova, pages)), Error::BadRange);
    }
    claimed.has_mapped(all)?;
    check_eq!(code(claimed.unmap(base + BLOCK, BLOCK_PAGES)), 0);
    check_eq!(code(claimed.unmap(base, all)), Error::NotMapped);
    check_eq!(code(claimed.unmap(base, BLOCK_PAGES)), 0);
    claimed.has_mapped(0)
}

fn across_the_parts(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    check_eq!(code(claimed.map(0, WINDOW_PAGES, READ)), 0);
    check_eq!(code(claimed.map(0, 2 * BLOCK_PAGES, READ | BLOCKS)), 0);
    let (lower, pages) = if claimed.base() < claimed.window.block_base {
        (claimed.base(), WINDOW_PAGES + BLOCK_PAGES)
    } else {
        (claimed.window.block_base, 3 * BLOCK_PAGES)
    };
    check_eq!(code(claimed.unmap(lower, pages)), Error::BadRange);
    claimed.has_mapped(WINDOW_PAGES + 2 * BLOCK_PAGES)
}

fn large(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    // Around the count beyond which the whole address space is forgotten at once, and counts that no one
    // range command covers.
    for pages in [31, 32, 33, 63, 64, 65, 127, 511, 512] {
        check_eq!(code(claimed.fix(0, pages, 0)), 0);
        check_eq!(code(claimed.unmap(claimed.base(), pages)), 0);
        claimed.has_mapped(0)?;
    }
    Ok(())
}

fn flushed(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.flush()), 0);
    let iova = check_is!(claimed.map(0, 8, BOTH), Ok(iova) => iova);
    check_eq!(code(claimed.unmap(iova, 8)), 0);
    check_eq!(code(claimed.flush()), 0);
    check_eq!(code(claimed.flush()), 0);
    claimed.is_empty()
}

pub const CASES: &[Case] = &[
    alone!("unmap-a-mapping", &["IOMMU-UNMAP-1"], whole),
    alone!("unmap-twice", &["IOMMU-UNMAP-2"], twice),
    alone!("unmap-piece-by-piece", &["IOMMU-UNMAP-1"], piece_by_piece),
    alone!("unmap-nothing", &["IOMMU-UNMAP-2"], nothing),
    alone!(
        "unmap-more-than-is-mapped",
        &["IOMMU-UNMAP-2", "IOMMU-ERR-1"],
        more_than_is_mapped
    ),
    alone!("unmap-with-a-hole", &["IOMMU-UNMAP-2"], with_a_hole),
    alone!("unmap-across-mappings", &["IOMMU-UNMAP-1"], across_mappings),
    alone!("unmap-outside-the-window", &["IOMMU-UNMAP-3"], outside),
    alone!("unmap-an-unaligned-iova", &["IOMMU-UNMAP-3"], unaligned),
    alone!("unmap-no-pages", &["IOMMU-UNMAP-3"], no_pages),
    alone!("unmap-parts-of-blocks", &["IOMMU-UNMAP-3"], parts_of_blocks),
    alone!(
        "unmap-across-both-parts",
        &["IOMMU-UNMAP-3"],
        across_the_parts
    ),
    alone!(
        "unmap-runs-of-every-size",
        &["IOMMU-UNMAP-1", "IOMMU-UNMAP-5"],
        large
    ),
    alone!("flush-after-unmaps", &["IOMMU-FLUSH-1"], flushed),
];
