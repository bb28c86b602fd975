//! IOVAs where nothing can be mapped or unmapped: `map_lease` and the lists refuse them as `map` and `unmap` do.

use iommu_api::{Error, Operation};
use suite::{Case, Result, Stage, check_eq};

use crate::alone;
use crate::help::{
    BLOCK, BLOCK_PAGES, BLOCKS, Claimed, FIXED, PAGE, POOL_PAGES, READ, WINDOW_PAGES, claim, code,
    got, pool,
};
use crate::message::{extent, what};

/// First IOVA and pages of what is not wholly in the page part: before it, behind it, across its ends,
/// in the block part, where bits that no table translates would be lost.
fn outside(claimed: &Claimed) -> [(u64, u64); 13] {
    let (base, end) = (claimed.base(), claimed.page(WINDOW_PAGES));
    [
        (0, 1),
        (base - PAGE, 1),
        (base - PAGE, 2),
        (end - PAGE, 2),
        (end - (POOL_PAGES - 1) * PAGE, POOL_PAGES),
        (end, 1),
        (claimed.window.block_base, 1),
        (claimed.window.block_base + 2 * BLOCK, 1),
        (1 << 39, 1),
        (1 << 48 | base, 1),
        (1 << 63 | base, 1),
        (u64::MAX - PAGE + 1, 1),
        (u64::MAX - PAGE + 1, 2),
    ]
}

/// Offsets that are not those of a page.
const UNALIGNED: [u64; 6] = [1, 4, 8, 511, 2048, PAGE - 1];

fn map_list(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for (iova, pages) in outside(&claimed) {
        // As one extent, and as single pages.
        let denied = claimed.map_list(READ | FIXED, iova, &[(0, pages)]);
        check_eq!(code(denied), Error::BadRange);
        let single = [(3, 1); POOL_PAGES as usize];
        let single = single.get(..pages as usize).unwrap_or(&single);
        let denied = claimed.map_list(READ | FIXED, iova, single);
        check_eq!(code(denied), Error::BadRange);
    }
    for offset in UNALIGNED {
        let denied = claimed.map_list(READ | FIXED, claimed.base() + offset, &[(0, 1), (4, 2)]);
        check_eq!(code(denied), Error::BadRange);
    }
    claimed.has_mapped(0)?;
    claimed.is_empty()
}

fn map_lease(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let places = outside(&claimed);
    let unaligned = UNALIGNED.map(|offset| (claimed.base() + offset, 1));
    for (iova, pages) in places.into_iter().chain(unaligned) {
        // The lease is looked for last, so nobody needs to lend one.
        let rest = [extent(0, pages), what(0, READ | FIXED), iova, 0];
        let denied = got(&claimed.request(Operation::MapLease, &rest));
        check_eq!(code(denied), Error::BadRange);
    }
    claimed.has_mapped(0)
}

/// The whole window is mapped, so that only the range can be wrong.
fn unmap_list(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    let all = WINDOW_PAGES + 2 * BLOCK_PAGES;
    check_eq!(code(claimed.map(0, WINDOW_PAGES, READ)), 0);
    check_eq!(code(claimed.map(0, 2 * BLOCK_PAGES, READ | BLOCKS)), 0);
    let (base, blocks) = (claimed.base(), claimed.window.block_base);
    let end = claimed.page(WINDOW_PAGES);
    let wide = u64::from(u32::MAX);
    for range in [
        (0, 1),
        (base - PAGE, 2),
        (end - PAGE, 2),
        (base, WINDOW_PAGES + 1),
        (base.min(blocks), all),
        (blocks, 1),
        (blocks, BLOCK_PAGES + 1),
        (blocks + PAGE, BLOCK_PAGES),
        (blocks - BLOCK, 2 * BLOCK_PAGES),
        (blocks + BLOCK, 2 * BLOCK_PAGES),
        (base, wide),
        (wide << 12, 1),
        (wide << 12, wide),
    ] {
        check_eq!(code(claimed.unmap_list(&[range])), Error::BadRange);
        let behind = [(base, 1), (blocks, BLOCK_PAGES), range];
        check_eq!(code(claimed.unmap_list(&behind)), Error::BadRange);
    }
    claimed.has_mapped(all)
}

pub const CASES: &[Case] = &[
    alone!(
        "map-list-at-wrong-places",
        &["IOMMU-MAP-5", "IOMMU-LIST-2"],
        map_list
    ),
    alone!("map-lease-at-wrong-places", &["IOMMU-MAP-5"], map_lease),
    alone!(
        "unmap-list-at-wrong-places",
        &["IOMMU-UNMAP-3", "IOMMU-LIST-2"],
        unmap_list
    ),
];
