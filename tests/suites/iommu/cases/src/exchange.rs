//! `exchange` and `exchange_list`: pages in the places of others, all or none.

use iommu_api::{Error, ExchangeList, Operation};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};

use crate::board::{Board, F_PERMISSION, F_TRANSLATION};
use crate::dma::{CONTENT, FEW, loaded, refused};
use crate::help::{
    BLOCK_PAGES, BLOCKS, BOTH, Claimed, FIXED, Got, PAGE, POOL_PAGES, READ, WINDOW_PAGES, claim,
    code, got, pool,
};
use crate::lease::{lend_all, map_page, next_message};
use crate::message::{Words, extent, replacement, send, what};
use crate::{FIRST, LENDER, alone};

/// Exchanges a run of pages.
fn exchange(claimed: &mut Claimed, first: u64, pages: u64, flags: u64, iova: u64) -> Got {
    let rest = [extent(first, pages), what(claimed.pool, flags), iova];
    got(&claimed.request(Operation::Exchange, &rest))
}

/// Exchanges single pages: page of the pool and page of the window.
fn exchange_list(claimed: &mut Claimed, flags: u64, pages: &[(u64, u64)]) -> Got {
    claimed.sequence += 1;
    let mut message = Words::of(&[claimed.handle, claimed.sequence, what(claimed.pool, flags)]);
    for &(page, at) in pages {
        message.push(replacement(page, claimed.page(at) >> 12));
    }
    got(&send(Operation::ExchangeList as u16, &message, 0, &[]))
}

fn pages_in_their_places(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 8, 100)), 0);
    let (middle, all) = (claimed.page(102), claimed.page(100));
    check_eq!(code(exchange(&mut claimed, 8, 3, READ, middle)), 0);
    claimed.has_mapped(8)?;
    check_eq!(code(exchange(&mut claimed, 0, 8, BOTH, all)), 0);
    claimed.has_mapped(8)?;
    // They are as free afterwards as if they had been mapped there.
    check_eq!(code(claimed.unmap(all, 8)), 0);
    claimed.is_empty()
}

/// Eight pages are mapped at page 100; the exchange is refused, and they stay.
fn refused_exchange(try_it: impl Fn(&mut Claimed) -> Got, error: Error) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 8, 100)), 0);
    check_eq!(code(try_it(&mut claimed)), error);
    claimed.has_mapped(8)?;
    check_eq!(code(claimed.unmap(claimed.page(100), 8)), 0);
    claimed.is_empty()
}

macro_rules! refuses {
    ($name:literal, $error:ident, |$claimed:ident| $act:expr) => {
        alone!($name, &["IOMMU-EXCHANGE-3", "IOMMU-ERR-1"], |_| {
            refused_exchange(|$claimed| $act, Error::$error)
        })
    };
}

macro_rules! refuses_list {
    ($name:literal, $error:ident, $flags:expr, $pages:expr) => {
        alone!(
            $name,
            &["IOMMU-EXCHANGE-4", "IOMMU-EXCHANGE-3", "IOMMU-LIST-2"],
            |_| {
                refused_exchange(
                    |claimed| exchange_list(claimed, $flags, $pages),
                    Error::$error,
                )
            }
        )
    };
}

fn a_block(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    let block = check_is!(claimed.map(0, BLOCK_PAGES, READ | BLOCKS), Ok(iova) => iova);
    for pages in [1, BLOCK_PAGES] {
        let answer = exchange(&mut claimed, 0, pages, READ, block);
        check_eq!(code(answer), Error::BadRange);
    }
    claimed.has_mapped(BLOCK_PAGES)
}

fn the_longest(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.pool = pool("blocks");
    check_eq!(code(claimed.fix(0, WINDOW_PAGES, 0)), 0);
    let count = ExchangeList::REPLACEMENTS_MAX as u64;
    let mut message = Words::of(&[
        claimed.handle,
        claimed.sequence + 1,
        what(claimed.pool, BOTH),
    ]);
    for page in (0..count).rev() {
        message.push(replacement(page + 1, claimed.page(page) >> 12));
    }
    check_eq!(message.len, abi::MESSAGE_MAX);
    let answer = send(Operation::ExchangeList as u16, &message, 0, &[]);
    check_eq!(code(got(&answer)), 0);
    claimed.sequence += 1;
    claimed.has_mapped(WINDOW_PAGES)
}

/// In registers, and in memory: five replacements fit in registers.
fn in_registers_or_not(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 8, 0)), 0);
    let pages = [(8, 0), (9, 3), (10, 1), (11, 2), (8, 4), (9, 5), (3, 6)];
    for count in 1..=pages.len() {
        let pages = pages.get(..count).unwrap_or_default();
        check_eq!(code(exchange_list(&mut claimed, BOTH, pages)), 0);
        claimed.has_mapped(8)?;
    }
    Ok(())
}

fn again(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 2, 0)), 0);
    let at = claimed.page(0);
    check_eq!(code(exchange(&mut claimed, 4, 2, READ, at)), 0);
    claimed.sequence -= 1;
    // What is recorded counts, not what it says this time.
    check_eq!(code(exchange(&mut claimed, 4, 2, READ, 0)), 0);
    check_eq!(
        code(exchange(&mut claimed, 4, 3, READ, at)),
        Error::NotMapped
    );
    claimed.sequence -= 1;
    check_eq!(
        code(exchange(&mut claimed, 4, 2, READ, at)),
        Error::NotMapped
    );
    check_eq!(
        code(exchange_list(&mut claimed, READ, &[(5, 1), (6, 0)])),
        0
    );
    claimed.sequence -= 1;
    check_eq!(code(exchange_list(&mut claimed, READ, &[(5, 9)])), 0);
    claimed.has_mapped(2)
}

/// The device has used the old page, and writes to the same place again.
fn goes_to_the_new_page(stage: &Stage, swap: fn(&mut Claimed, u64) -> Got) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.write(stage, iova, FEW)?;
    check_eq!(code(swap(&mut claimed, iova)), 0);
    board.put(4, CONTENT);
    board.clear(5);
    board.write(stage, iova, FEW)?;
    board.kept(4, CONTENT)?;
    board.only(5, 0, FEW)?;
    check!(claimed.next_fault()?.is_none());
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    board.write(stage, iova, FEW)?;
    board.only(5, 0, FEW)?;
    refused(&claimed, F_TRANSLATION, false, iova)
}

fn rights_of_the_new_page(stage: &Stage) -> Result {
    let (mut claimed, board) = loaded(stage)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    board.write(stage, iova, FEW)?;
    check_eq!(code(exchange(&mut claimed, 5, 1, READ, iova)), 0);
    board.put(5, CONTENT);
    board.write(stage, iova, FEW)?;
    board.kept(5, CONTENT)?;
    refused(&claimed, F_PERMISSION, false, iova)
}

/// A driver puts a page of its own where a client's was, which it then answers.
fn takes_the_place_of_a_lease(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let page = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, page, 0x61)?;
    let message = next_message()?;
    let lent = check_is!(map_page(&mut claimed, message.sender, 2, BOTH), Ok(iova) => iova);
    board.write(stage, lent, FEW)?;
    check_eq!(code(exchange(&mut claimed, 5, 1, BOTH, lent)), 0);
    board.clear(5);
    board.write(stage, lent + 64, FEW)?;
    board.only(5, 64, FEW)?;
    claimed.has_mapped(2)?;
    userlib::ipc::reply(message.sender, 0, &[0; 8], 0);
    check_eq!(code(claimed.release()), 0);
    Ok(())
}

pub const CASES: &[Case] = &[
    alone!(
        "exchange-pages-in-their-places",
        &["IOMMU-EXCHANGE-1", "IOMMU-UNMAP-1"],
        pages_in_their_places
    ),
    refuses!("exchange-no-pages", Malformed, |c| {
        exchange(c, 0, 0, READ, c.page(100))
    }),
    refuses!("exchange-at-a-fixed-place", Malformed, |c| {
        exchange(c, 0, 1, READ | FIXED, c.page(100))
    }),
    refuses!("exchange-with-the-flag-of-blocks", Malformed, |c| {
        exchange(c, 0, 1, READ | BLOCKS, c.page(100))
    }),
    refuses!("exchange-beyond-the-pool", BadMemory, |c| {
        exchange(c, POOL_PAGES - 1, 2, READ, c.page(100))
    }),
    refuses!("exchange-without-the-right-to-read", BadPermissions, |c| {
        exchange(c, 0, 1, 2, c.page(100))
    }),
    refuses!("exchange-at-an-unaligned-iova", BadRange, |c| {
        exchange(c, 0, 1, READ, c.page(100) + 8)
    }),
    refuses!("exchange-outside-the-window", BadRange, |c| {
        exchange(c, 0, 1, READ, c.page(WINDOW_PAGES))
    }),
    refuses!("exchange-what-is-not-mapped", NotMapped, |c| {
        exchange(c, 0, 1, READ, c.page(99))
    }),
    refuses!("exchange-more-than-is-mapped", NotMapped, |c| {
        exchange(c, 0, 9, READ, c.page(100))
    }),
    alone!("exchange-a-block", &["IOMMU-EXCHANGE-3"], a_block),
    refuses_list!(
        "exchange-list-beyond-the-pool",
        BadMemory,
        READ,
        &[(1, 100), (16, 101)]
    ),
    refuses_list!(
        "exchange-list-not-mapped-last",
        NotMapped,
        READ,
        &[(1, 100), (2, 108)]
    ),
    refuses_list!(
        "exchange-list-outside-the-window",
        BadRange,
        READ,
        &[(1, 100), (2, 512)]
    ),
    refuses_list!(
        "exchange-list-of-a-page-twice",
        NotMapped,
        READ,
        &[(1, 100), (2, 101), (3, 100)]
    ),
    refuses_list!(
        "exchange-list-without-a-right",
        BadPermissions,
        0,
        &[(1, 100)]
    ),
    refuses_list!(
        "exchange-list-of-blocks",
        Malformed,
        READ | BLOCKS,
        &[(1, 100)]
    ),
    alone!(
        "exchange-list-of-the-greatest-length",
        &["IOMMU-EXCHANGE-4", "IOMMU-LIST-5"],
        the_longest
    ),
    alone!(
        "exchange-list-in-registers-or-in-memory",
        &["IOMMU-FORM-9", "IOMMU-EXCHANGE-4"],
        in_registers_or_not
    ),
    alone!("exchange-again", &["IOMMU-SEQ-3"], again),
    alone!(
        "dma-after-an-exchange",
        &["IOMMU-EXCHANGE-1", "IOMMU-G3-1"],
        |stage| goes_to_the_new_page(stage, |claimed, iova| exchange(claimed, 5, 1, BOTH, iova))
    ),
    alone!(
        "dma-after-a-list-of-exchanges",
        &["IOMMU-EXCHANGE-4", "IOMMU-G3-1"],
        |stage| goes_to_the_new_page(stage, |claimed, iova| {
            let at = (iova - claimed.base()) / PAGE;
            exchange_list(claimed, BOTH, &[(5, at)])
        })
    ),
    alone!(
        "dma-with-the-rights-of-an-exchange",
        &["IOMMU-EXCHANGE-1", "IOMMU-G2-2"],
        rights_of_the_new_page
    ),
    Case::new(
        "exchange-in-the-place-of-a-lease",
        &["IOMMU-EXCHANGE-2", "IOMMU-LEASE-5"],
        &[
            Part::returns(FIRST, takes_the_place_of_a_lease),
            Part::returns(LENDER, lend_all),
        ],
    ),
];
