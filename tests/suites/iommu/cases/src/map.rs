//! `map`: memory, rights, places, room.

use iommu_api::{Error, Operation};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};

use crate::help::{
    BLOCK, BLOCKS, BOTH, Claimed, FIXED, PAGE, POOL_PAGES, READ, WINDOW_PAGES, claim, code, pool,
};
use crate::message::{Words, extent, send, what};
use crate::{OUTSIDER, SECOND, alone};

fn anywhere(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let mut end = claimed.base();
    for pages in [1, 2, POOL_PAGES] {
        let iova = check_is!(claimed.map(0, pages, BOTH), Ok(iova) => iova);
        check_eq!(iova % PAGE, 0);
        check!(iova >= end);
        end = iova + pages * PAGE;
        check!(end <= claimed.page(WINDOW_PAGES));
    }
    claimed.has_mapped(POOL_PAGES + 3)
}

fn reply_is_a_word(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let rest = [extent(0, 1), what(claimed.pool, READ), 0];
    let answer = claimed.request(Operation::Map, &rest);
    check_eq!(answer.code.0, 0);
    check_eq!(answer.len, 8);
    Ok(())
}

fn undefined_flags(_: &Stage) -> Result {
    let claimed = claim()?;
    for bit in 4..48 {
        let words = [claimed.handle, 1, extent(0, 1), what(0, READ | 1 << bit), 0];
        let answer = send(Operation::Map as u16, &Words::of(&words), 8, &[]);
        check_eq!(answer.code.0, Error::Malformed);
    }
    claimed.has_mapped(0)
}

fn rights(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for flags in [0, 2, FIXED, FIXED | 2, BLOCKS, BLOCKS | 2] {
        let iova = if flags & FIXED == 0 {
            0
        } else {
            claimed.base()
        };
        check_eq!(
            code(claimed.map_at(0, 1, flags, iova)),
            Error::BadPermissions
        );
    }
    claimed.has_mapped(0)
}

fn no_pages(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for first in [0, 1, POOL_PAGES] {
        check_eq!(code(claimed.map(first, 0, READ)), Error::Malformed);
        check_eq!(code(claimed.fix(first, 0, 0)), Error::Malformed);
    }
    claimed.has_mapped(0)
}

fn beyond_the_pool(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let wide = u64::from(u32::MAX);
    for (first, pages) in [
        (0, POOL_PAGES + 1),
        (1, POOL_PAGES),
        (POOL_PAGES - 1, 2),
        (POOL_PAGES, 1),
        (wide, 1),
        (0, wide),
        (wide, wide),
    ] {
        check_eq!(code(claimed.map(first, pages, READ)), Error::BadMemory);
    }
    check_eq!(code(claimed.map(POOL_PAGES - 1, 1, READ)), 0);
    claimed.has_mapped(1)
}

fn no_such_pool(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for number in [2, 3, 255, 0x7fff, 0xffff] {
        claimed.pool = number;
        check_eq!(code(claimed.map(0, 1, READ)), Error::BadMemory);
    }
    claimed.has_mapped(0)
}

/// The tables of pools of all tasks are one behind the other: a number beyond one's own is not the next
/// task's.
fn pools_of_others(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for number in 1..40 {
        claimed.pool = number;
        check_eq!(code(claimed.map(0, 1, READ)), Error::BadMemory);
    }
    claimed.has_mapped(0)
}

fn a_wish(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for iova in [1, PAGE, claimed.base(), u64::MAX] {
        check_eq!(code(claimed.map_at(0, 1, READ, iova)), Error::Malformed);
    }
    claimed.has_mapped(0)
}

fn edges_inside(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for (pages, page) in [
        (1, 0),
        (1, WINDOW_PAGES - 1),
        (POOL_PAGES, 1),
        (3, WINDOW_PAGES - 4),
    ] {
        let iova = check_is!(claimed.fix(0, pages, page), Ok(iova) => iova);
        check_eq!(iova, claimed.page(page));
    }
    Ok(())
}

fn edges_outside(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let base = claimed.base();
    for (pages, iova) in [
        (1, 0),
        (1, base - PAGE),
        (2, base - PAGE),
        (1, base + WINDOW_PAGES * PAGE),
        (2, base + (WINDOW_PAGES - 1) * PAGE),
        (POOL_PAGES, base + (WINDOW_PAGES - POOL_PAGES + 1) * PAGE),
        (1, claimed.window.block_base),
        (1, claimed.window.block_base + 2 * BLOCK),
        (1, 1 << 39),
        (1, 1 << 48 | base),
        (1, 1 << 63 | base),
        (1, u64::MAX - PAGE + 1),
        (2, u64::MAX - PAGE + 1),
    ] {
        check_eq!(
            code(claimed.map_at(0, pages, READ | FIXED, iova)),
            Error::BadRange
        );
    }
    claimed.has_mapped(0)
}

fn unaligned(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for offset in [1, 4, 8, 511, 2048, PAGE - 1] {
        let iova = claimed.base() + offset;
        check_eq!(
            code(claimed.map_at(0, 1, READ | FIXED, iova)),
            Error::BadRange
        );
    }
    claimed.has_mapped(0)
}

fn overlaps(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 4, 10)), 0);
    for (pages, page) in [
        (4, 10),
        (1, 10),
        (1, 13),
        (2, 9),
        (2, 13),
        (8, 8),
        (16, 0),
        (2, 11),
    ] {
        check_eq!(code(claimed.fix(0, pages, page)), Error::Overlap);
    }
    claimed.has_mapped(4)
}

fn neighbours(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for (pages, page) in [(4, 10), (2, 8), (2, 14), (8, 0), (16, 16)] {
        check_eq!(code(claimed.fix(0, pages, page)), 0);
    }
    claimed.has_mapped(32)?;
    check_eq!(code(claimed.unmap(claimed.base(), 32)), 0);
    claimed.is_empty()
}

fn around_what_is_fixed(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 1, 3)), 0);
    check_eq!(code(claimed.fix(0, 1, WINDOW_PAGES / 2)), 0);
    let mut mapped = 2;
    while let Ok(iova) = claimed.map(0, POOL_PAGES, READ) {
        let page = (iova - claimed.base()) / PAGE;
        for fixed in [3, WINDOW_PAGES / 2] {
            check!(fixed < page || fixed >= page + POOL_PAGES);
        }
        mapped += POOL_PAGES;
    }
    // 508 pages are free in two runs behind the third page; each ends in a rest.
    check!(mapped > WINDOW_PAGES - 4 - 2 * POOL_PAGES);
    claimed.has_mapped(mapped)
}

fn the_same_page_often(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let mut last = 0;
    for _ in 0..20 {
        let iova = check_is!(claimed.map(5, 1, BOTH), Ok(iova) => iova);
        check!(iova != last);
        last = iova;
    }
    claimed.has_mapped(20)
}

/// Fills the window. Where the server would begin by itself is its own business, and a rest at either
/// end might be too short for another run.
fn fill(claimed: &mut Claimed) -> Result {
    for page in (0..WINDOW_PAGES).step_by(POOL_PAGES as usize) {
        check_eq!(code(claimed.fix(0, POOL_PAGES, page)), 0);
    }
    Ok(())
}

fn page_by_page(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for _ in 0..2 {
        for page in 0..WINDOW_PAGES {
            check_eq!(code(claimed.map(page % POOL_PAGES, 1, READ)), 0);
        }
        check_eq!(code(claimed.map(0, 1, READ)), Error::NoSpace);
        check_eq!(code(claimed.unmap(claimed.base(), WINDOW_PAGES)), 0);
    }
    claimed.is_empty()
}

fn exhaustion(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for _ in 0..3 {
        fill(&mut claimed)?;
        claimed.has_mapped(WINDOW_PAGES)?;
        for pages in [1, 2, POOL_PAGES] {
            check_eq!(code(claimed.map(0, pages, READ)), Error::NoSpace);
        }
        check_eq!(code(claimed.unmap(claimed.base(), WINDOW_PAGES)), 0);
        claimed.has_mapped(0)?;
    }
    Ok(())
}

fn one_page_left(_: &Stage) -> Result {
    let mut claimed = claim()?;
    fill(&mut claimed)?;
    for page in [0, 77, WINDOW_PAGES - 1] {
        check_eq!(code(claimed.unmap(claimed.page(page), 1)), 0);
        check_eq!(code(claimed.map(0, 2, READ)), Error::NoSpace);
        let iova = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
        check_eq!(iova, claimed.page(page));
    }
    check_eq!(code(claimed.map(0, 1, READ)), Error::NoSpace);
    Ok(())
}

fn fragments(_: &Stage) -> Result {
    let mut claimed = claim()?;
    fill(&mut claimed)?;
    for page in (0..WINDOW_PAGES).step_by(2) {
        check_eq!(code(claimed.unmap(claimed.page(page), 1)), 0);
    }
    claimed.has_mapped(WINDOW_PAGES / 2)?;
    check_eq!(code(claimed.map(0, 2, READ)), Error::NoSpace);
    for _ in 0..WINDOW_PAGES / 2 {
        check_eq!(code(claimed.map(0, 1, READ)), 0);
    }
    check_eq!(code(claimed.map(0, 1, READ)), Error::NoSpace);
    Ok(())
}

fn the_whole_window(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    check_eq!(code(claimed.map(0, WINDOW_PAGES + 1, READ)), Error::NoSpace);
    let iova = check_is!(claimed.map(0, WINDOW_PAGES, READ), Ok(iova) => iova);
    check_eq!(iova, claimed.base());
    check_eq!(code(claimed.map(0, 1, READ)), Error::NoSpace);
    check_eq!(code(claimed.unmap(iova, WINDOW_PAGES)), 0);
    claimed.has_mapped(0)
}

fn windows_are_apart(_: &Stage) -> Result {
    let mut claimed = claim()?;
    // Filling one's window takes nothing from another's.
    fill(&mut claimed)?;
    check_eq!(code(claimed.map(0, 1, READ)), Error::NoSpace);
    Ok(())
}

pub const CASES: &[Case] = &[
    alone!("map-anywhere", &["IOMMU-MAP-4"], anywhere),
    alone!(
        "map-replies-the-iova",
        &["IOMMU-FORM-8", "IOMMU-MAP-7"],
        reply_is_a_word
    ),
    alone!(
        "map-with-undefined-flags",
        &["IOMMU-FORM-5"],
        undefined_flags
    ),
    alone!("map-without-the-right-to-read", &["IOMMU-MAP-3"], rights),
    alone!("map-no-pages", &["IOMMU-MAP-2"], no_pages),
    alone!("map-beyond-the-pool", &["IOMMU-MAP-1"], beyond_the_pool),
    alone!("map-no-such-pool", &["IOMMU-MAP-1"], no_such_pool),
    Case::new(
        "map-pools-of-others",
        &["IOMMU-MAP-1", "IOMMU-G2-1"],
        &[Part::returns(SECOND, pools_of_others)],
    ),
    alone!("map-at-a-wish-that-is-not-fixed", &["IOMMU-MAP-2"], a_wish),
    alone!(
        "map-at-the-edges-of-the-window",
        &["IOMMU-MAP-5"],
        edges_inside
    ),
    alone!(
        "map-beyond-the-edges-of-the-window",
        &["IOMMU-MAP-5"],
        edges_outside
    ),
    alone!("map-at-an-unaligned-iova", &["IOMMU-MAP-5"], unaligned),
    alone!("map-over-a-mapping", &["IOMMU-MAP-5"], overlaps),
    alone!("map-beside-mappings", &["IOMMU-MAP-5"], neighbours),
    alone!(
        "map-around-what-is-fixed",
        &["IOMMU-MAP-4"],
        around_what_is_fixed
    ),
    alone!(
        "map-the-same-page-often",
        &["IOMMU-MAP-8"],
        the_same_page_often
    ),
    alone!(
        "map-more-than-fits",
        &["IOMMU-MAP-4", "IOMMU-G7-1"],
        exhaustion
    ),
    alone!(
        "map-page-by-page-until-full",
        &["IOMMU-MAP-4"],
        page_by_page
    ),
    alone!(
        "map-into-the-last-free-page",
        &["IOMMU-MAP-4"],
        one_page_left
    ),
    alone!("map-into-fragments", &["IOMMU-MAP-4"], fragments),
    alone!("map-the-whole-window", &["IOMMU-MAP-4"], the_whole_window),
    Case::new(
        "full-windows-of-two-drivers",
        &["IOMMU-G7-1"],
        &[
            Part::returns(crate::FIRST, windows_are_apart),
            Part::returns(SECOND, windows_are_apart),
        ],
    ),
    Case::new(
        "map-without-a-device",
        &["IOMMU-G7-1"],
        &[Part::returns(OUTSIDER, |_| {
            let words = [1 << 16, 1, extent(0, 1), what(0, READ), 0];
            let answer = send(Operation::Map as u16, &Words::of(&words), 8, &[]);
            check_eq!(answer.code.0, Error::StaleHandle);
            Ok(())
        })],
    ),
];
