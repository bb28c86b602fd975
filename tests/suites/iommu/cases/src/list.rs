//! `map_list` and `unmap_list`: all or nothing.

use iommu_api::{Error, MapList, Operation, UnmapList};
use suite::{Case, Result, Stage, check_eq, check_is};

use crate::alone;
use crate::help::{
    BLOCK, BLOCK_PAGES, BLOCKS, BOTH, Claimed, FIXED, PAGE, POOL_PAGES, READ, WINDOW_PAGES, claim,
    code, got, pool,
};
use crate::message::{Words, extent, send, what};

fn one_run(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map_list(BOTH, 0, &[(3, 1), (0, 2), (8, 4)]), Ok(iova) => iova);
    claimed.has_mapped(7)?;
    check_eq!(code(claimed.unmap(iova, 7)), 0);
    claimed.is_empty()
}

fn one_extent(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map_list(BOTH, 0, &[(3, 2)]), Ok(iova) => iova);
    claimed.has_mapped(2)?;
    check_eq!(code(claimed.unmap_list(&[(iova, 2)])), 0);
    claimed.is_empty()
}

fn the_same_extent_often(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map_list(READ, 0, &[(0, 16); 20]), Ok(iova) => iova);
    claimed.has_mapped(320)?;
    check_eq!(code(claimed.unmap(iova, 320)), 0);
    Ok(())
}

/// A list of `count` single pages, as long as a message can be.
fn longest(claimed: &Claimed, count: usize) -> Words {
    let mut message = Words::of(&[
        claimed.handle,
        claimed.sequence + 1,
        what(claimed.pool, READ),
        0,
    ]);
    for page in 0..count as u64 {
        message.push(extent(page % POOL_PAGES, 1));
    }
    message
}

fn the_longest(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let count = MapList::EXTENTS_MAX;
    let message = longest(&claimed, count);
    check_eq!(message.len, abi::MESSAGE_MAX);
    let answer = send(Operation::MapList as u16, &message, 8, &[]);
    let iova = check_is!(got(&answer), Ok(iova) => iova);
    claimed.sequence += 1;
    claimed.has_mapped(count as u64)?;
    let mut message = Words::of(&[claimed.handle, claimed.sequence + 1]);
    for page in 0..count as u64 {
        message.push(extent((iova >> 12) + page, 1));
    }
    check_eq!(
        code(got(&send(Operation::UnmapList as u16, &message, 0, &[]))),
        0
    );
    claimed.sequence += 1;
    claimed.is_empty()
}

fn in_registers_or_not(_: &Stage) -> Result {
    let mut claimed = claim()?;
    // Four extents fill the registers; five do not fit.
    for count in [3, 4, 5, 6] {
        let answer = send(Operation::MapList as u16, &longest(&claimed, count), 8, &[]);
        claimed.sequence += 1;
        let iova = check_is!(got(&answer), Ok(iova) => iova);
        claimed.has_mapped(count as u64)?;
        check_eq!(code(claimed.unmap(iova, count as u64)), 0);
    }
    Ok(())
}

fn refused_map(extents: &[(u64, u64)], flags: u64, page: u64, error: Error) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 1, 100)), 0);
    let iova = if flags & FIXED == 0 {
        page
    } else {
        claimed.page(page)
    };
    check_eq!(code(claimed.map_list(flags, iova, extents)), error);
    claimed.has_mapped(1)?;
    check_eq!(code(claimed.unmap(claimed.page(100), 1)), 0);
    claimed.is_empty()
}

fn larger_than_the_window(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    let extents = [(0, 256), (0, 256), (0, 1)];
    check_eq!(code(claimed.map_list(READ, 0, &extents)), Error::NoSpace);
    claimed.has_mapped(0)?;
    check_eq!(code(claimed.map_list(READ, 0, &[(0, 256), (0, 256)])), 0);
    check_eq!(code(claimed.map_list(READ, 0, &[(0, 1)])), Error::NoSpace);
    claimed.has_mapped(WINDOW_PAGES)
}

/// So many pages that their sum has more than 32 bits, of extents that the pool has.
fn a_huge_sum(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    let extents = [(0, 1024); 500];
    check_eq!(code(claimed.map_list(READ, 0, &extents)), Error::NoSpace);
    claimed.has_mapped(0)
}

fn fixed(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = claimed.page(40);
    let mapped = claimed.map_list(READ | FIXED, iova, &[(0, 2), (4, 2)]);
    check_eq!(mapped.unwrap_or(0), iova);
    let last = claimed.page(WINDOW_PAGES - 2);
    check_eq!(
        code(claimed.map_list(READ | FIXED, last, &[(0, 1), (1, 1)])),
        0
    );
    claimed.has_mapped(6)
}

fn no_such_pool(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for number in [2, 0xffff] {
        claimed.pool = number;
        check_eq!(code(claimed.map_list(READ, 0, &[(0, 1)])), Error::BadMemory);
    }
    claimed.has_mapped(0)
}

fn undefined_flags(_: &Stage) -> Result {
    let claimed = claim()?;
    for bit in 4..48 {
        let words = [
            claimed.handle,
            1,
            what(claimed.pool, READ | 1 << bit),
            0,
            extent(0, 1),
        ];
        let answer = send(Operation::MapList as u16, &Words::of(&words), 8, &[]);
        check_eq!(answer.code.0, Error::Malformed);
    }
    claimed.has_mapped(0)
}

fn scattered(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 16, 0)), 0);
    let ranges = [
        (claimed.page(12), 4),
        (claimed.page(0), 1),
        (claimed.page(5), 2),
    ];
    check_eq!(code(claimed.unmap_list(&ranges)), 0);
    claimed.has_mapped(9)?;
    let rest = [(claimed.page(1), 4), (claimed.page(7), 5)];
    check_eq!(code(claimed.unmap_list(&rest)), 0);
    claimed.is_empty()
}

fn both_parts(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 4, 0)), 0);
    claimed.pool = pool("blocks");
    let block = check_is!(claimed.map(0, BLOCK_PAGES, READ | BLOCKS), Ok(iova) => iova);
    let ranges = [
        (claimed.page(0), 2),
        (block, BLOCK_PAGES),
        (claimed.page(2), 2),
    ];
    check_eq!(code(claimed.unmap_list(&ranges)), 0);
    claimed.has_mapped(0)
}

/// Sixteen pages from page 10 and a block are mapped; the list is refused and takes none of them.
fn refused_unmap(ranges: impl Fn(&Claimed) -> [(u64, u64); 3], error: Error) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, POOL_PAGES, 10)), 0);
    claimed.pool = pool("blocks");
    check_eq!(code(claimed.map(0, 2 * BLOCK_PAGES, READ | BLOCKS)), 0);
    let ranges = ranges(&claimed);
    check_eq!(code(claimed.unmap_list(&ranges)), error);
    claimed.has_mapped(POOL_PAGES + 2 * BLOCK_PAGES)?;
    check_eq!(code(claimed.unmap(claimed.page(10), POOL_PAGES)), 0);
    check_eq!(
        code(claimed.unmap(claimed.window.block_base, 2 * BLOCK_PAGES)),
        0
    );
    Ok(())
}

fn the_longest_refused(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    check_eq!(code(claimed.map(0, WINDOW_PAGES, READ)), 0);
    let count = UnmapList::EXTENTS_MAX as u64;
    let mut message = Words::of(&[claimed.handle, claimed.sequence + 1]);
    for page in 0..count - 1 {
        message.push(extent((claimed.base() >> 12) + page, 1));
    }
    // The last is outside the window.
    message.push(extent((claimed.base() >> 12) + WINDOW_PAGES, 1));
    let answer = send(Operation::UnmapList as u16, &message, 0, &[]);
    check_eq!(answer.code.0, Error::BadRange);
    claimed.has_mapped(WINDOW_PAGES)
}

fn a_range_twice(_: &Stage) -> Result {
    refused_unmap(
        |claimed| {
            let page = (claimed.page(10), 2);
            [page, (claimed.page(20), 1), page]
        },
        Error::NotMapped,
    )
}

fn overlapping_ranges(_: &Stage) -> Result {
    refused_unmap(
        |claimed| {
            [
                (claimed.page(10), 4),
                (claimed.page(20), 1),
                (claimed.page(13), 2),
            ]
        },
        Error::NotMapped,
    )
}

pub const CASES: &[Case] = &[
    alone!("map-list-is-one-run", &["IOMMU-LIST-1"], one_run),
    alone!(
        "lists-of-one-extent",
        &["IOMMU-LIST-1", "IOMMU-LIST-4"],
        one_extent
    ),
    alone!(
        "map-list-the-same-extent-often",
        &["IOMMU-LIST-1", "IOMMU-MAP-8"],
        the_same_extent_often
    ),
    alone!(
        "lists-of-the-greatest-length",
        &["IOMMU-LIST-5"],
        the_longest
    ),
    alone!(
        "map-list-in-registers-or-in-memory",
        &["IOMMU-FORM-9"],
        in_registers_or_not
    ),
    alone!(
        "map-list-beyond-the-pool-first",
        &["IOMMU-LIST-2", "IOMMU-MAP-1"],
        |_| { refused_map(&[(16, 1), (0, 1), (1, 1)], READ, 0, Error::BadMemory) }
    ),
    alone!(
        "map-list-beyond-the-pool-in-the-middle",
        &["IOMMU-LIST-2", "IOMMU-MAP-1"],
        |_| { refused_map(&[(0, 1), (15, 2), (1, 1)], READ, 0, Error::BadMemory) }
    ),
    alone!(
        "map-list-beyond-the-pool-last",
        &["IOMMU-LIST-2", "IOMMU-MAP-1"],
        |_| { refused_map(&[(0, 1), (1, 1), (0, 17)], READ, 0, Error::BadMemory) }
    ),
    alone!(
        "map-list-with-an-empty-extent",
        &["IOMMU-LIST-3", "IOMMU-LIST-2"],
        |_| { refused_map(&[(0, 1), (1, 0), (2, 1)], READ, 0, Error::Malformed) }
    ),
    alone!(
        "map-list-with-a-huge-extent",
        &["IOMMU-LIST-2", "IOMMU-MAP-1"],
        |_| {
            refused_map(
                &[(0, 1), (0xffff_ffff, 0xffff_ffff)],
                READ,
                0,
                Error::BadMemory,
            )
        }
    ),
    alone!("map-list-of-blocks", &["IOMMU-LIST-3"], |_| {
        refused_map(&[(0, 1)], READ | BLOCKS, 0, Error::Malformed)
    }),
    alone!(
        "map-list-without-the-right-to-read",
        &["IOMMU-MAP-3"],
        |_| { refused_map(&[(0, 1)], 2, 0, Error::BadPermissions) }
    ),
    alone!("map-list-at-a-wish", &["IOMMU-MAP-2"], |_| {
        refused_map(&[(0, 1)], READ, PAGE, Error::Malformed)
    }),
    alone!(
        "map-list-over-a-mapping",
        &["IOMMU-LIST-2", "IOMMU-MAP-5"],
        |_| { refused_map(&[(0, 4), (8, 4)], READ | FIXED, 96, Error::Overlap) }
    ),
    alone!(
        "map-list-beyond-the-window",
        &["IOMMU-LIST-2", "IOMMU-MAP-5"],
        |_| {
            refused_map(
                &[(0, 1), (0, 2)],
                READ | FIXED,
                WINDOW_PAGES - 2,
                Error::BadRange,
            )
        }
    ),
    alone!(
        "map-list-with-undefined-flags",
        &["IOMMU-FORM-5"],
        undefined_flags
    ),
    alone!(
        "map-list-larger-than-the-window",
        &["IOMMU-LIST-2", "IOMMU-MAP-4"],
        larger_than_the_window
    ),
    alone!(
        "map-list-with-a-huge-sum",
        &["IOMMU-LIST-2", "IOMMU-MAP-4"],
        a_huge_sum
    ),
    alone!(
        "map-list-at-fixed-places",
        &["IOMMU-MAP-5", "IOMMU-LIST-1"],
        fixed
    ),
    alone!("map-list-of-no-such-pool", &["IOMMU-MAP-1"], no_such_pool),
    alone!(
        "unmap-list-of-scattered-ranges",
        &["IOMMU-LIST-4"],
        scattered
    ),
    alone!(
        "unmap-list-of-pages-and-blocks",
        &["IOMMU-LIST-4"],
        both_parts
    ),
    alone!(
        "unmap-list-not-mapped-in-the-middle",
        &["IOMMU-LIST-2", "IOMMU-LIST-4"],
        |_| {
            refused_unmap(
                |c| [(c.page(10), 2), (c.page(40), 1), (c.page(12), 2)],
                Error::NotMapped,
            )
        }
    ),
    alone!(
        "unmap-list-not-mapped-last",
        &["IOMMU-LIST-2", "IOMMU-LIST-4"],
        |_| {
            refused_unmap(
                |c| [(c.page(10), 2), (c.page(12), 2), (c.page(25), 2)],
                Error::NotMapped,
            )
        }
    ),
    alone!(
        "unmap-list-outside-in-the-middle",
        &["IOMMU-LIST-2", "IOMMU-UNMAP-3"],
        |_| {
            refused_unmap(
                |c| [(c.page(10), 2), (0, 1), (c.page(12), 2)],
                Error::BadRange,
            )
        }
    ),
    alone!(
        "unmap-list-with-an-empty-range",
        &["IOMMU-LIST-2", "IOMMU-LIST-3"],
        |_| {
            refused_unmap(
                |c| [(c.page(10), 2), (c.page(12), 0), (c.page(13), 2)],
                Error::Malformed,
            )
        }
    ),
    alone!(
        "unmap-list-with-part-of-a-block",
        &["IOMMU-LIST-2", "IOMMU-UNMAP-3"],
        |_| {
            refused_unmap(
                |c| {
                    let block = c.window.block_base;
                    [(c.page(10), 1), (block + BLOCK, BLOCK_PAGES), (block, 1)]
                },
                Error::BadRange,
            )
        }
    ),
    alone!(
        "unmap-list-with-a-range-twice",
        &["IOMMU-LIST-2", "IOMMU-LIST-4"],
        a_range_twice
    ),
    alone!(
        "unmap-list-with-ranges-that-overlap",
        &["IOMMU-LIST-2", "IOMMU-LIST-4"],
        overlapping_ranges
    ),
    alone!(
        "unmap-list-refused-at-its-greatest-length",
        &["IOMMU-LIST-2", "IOMMU-LIST-5"],
        the_longest_refused
    ),
];
