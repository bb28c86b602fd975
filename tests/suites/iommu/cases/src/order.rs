//! Requests that deserve several errors get the first in the order of the protocol.

use iommu_api::{Error, Operation};
use suite::{Case, Part, Result, Stage, check, check_eq};

use crate::help::{
    BLOCKS, Claimed, FIXED, PAGE, POOL_PAGES, READ, WINDOW_PAGES, claim, code, pool, refusal,
};
use crate::lease::{lend_and_forget, map_page, next_message};
use crate::message::{Words, about_device, extent, reply_len, send, what};
use crate::{FIRST, LENDER, OUTSIDER, alone, devices, disk, edu0};

/// Number of a pool that nobody has, and of a lease.
const NO_POOL: u64 = 0x7fff;
/// A flag that is not defined.
const UNDEFINED: u64 = 16;
/// A lender that nobody is: what is wrong with the lease comes last.
const NOBODY: u64 = u64::MAX;

/// What all three that map have.
#[derive(Clone, Copy)]
struct Wish {
    first: u64,
    pages: u64,
    pool: u64,
    flags: u64,
    iova: u64,
}

/// A wish, and what `map`, `map_lease` and `map_list` say of it.
type Row = (Wish, [Error; 3]);

/// The operations of a row.
const MAPS: [Operation; 3] = [Operation::Map, Operation::MapLease, Operation::MapList];

impl Wish {
    fn words(&self, operation: Operation, handle: u64, sequence: u64) -> Words {
        let pages = extent(self.first, self.pages);
        let what = what(self.pool, self.flags);
        match operation {
            Operation::MapLease => Words::of(&[handle, sequence, pages, what, self.iova, NOBODY]),
            Operation::MapList => Words::of(&[handle, sequence, what, self.iova, pages]),
            _ => Words::of(&[handle, sequence, pages, what, self.iova]),
        }
    }
}

fn ask(operation: Operation, message: &Words) -> u32 {
    let answer = send(operation as u16, message, reply_len(operation), &[]);
    answer.code.0
}

/// Every row has more than one thing wrong. Four pages from page 10 and the last one are mapped.
fn rows(claimed: &Claimed) -> [Row; 14] {
    use Error::{BadMemory, BadPermissions, BadRange, Malformed, NoSpace, Overlap};
    let (own, large) = (pool("pages"), pool("blocks"));
    let beyond = POOL_PAGES + 1;
    let (outside, odd) = (claimed.page(WINDOW_PAGES), claimed.base() + 1);
    let last = claimed.page(WINDOW_PAGES - 1);
    let wish = |pages, pool, flags, iova| Wish {
        first: 0,
        pages,
        pool,
        flags,
        iova,
    };
    let memory = [BadMemory, BadPermissions, BadMemory];
    [
        (wish(0, NO_POOL, FIXED, odd), [Malformed; 3]),
        (wish(1, NO_POOL, READ, PAGE), [Malformed; 3]),
        (wish(beyond, own, 0, claimed.base()), [Malformed; 3]),
        (
            wish(1, NO_POOL, BLOCKS, 0),
            [BadMemory, Malformed, Malformed],
        ),
        (wish(1, NO_POOL, FIXED, odd), memory),
        (wish(beyond, own, FIXED, outside), memory),
        (wish(1, own, FIXED, odd), [BadPermissions; 3]),
        (wish(1, own, FIXED, claimed.page(10)), [BadPermissions; 3]),
        (wish(WINDOW_PAGES + 1, large, 0, 0), [BadPermissions; 3]),
        (wish(2, own, READ | FIXED, last), [BadRange; 3]),
        (
            wish(2, own, READ | FIXED, claimed.page(10) + 8),
            [BadRange; 3],
        ),
        (wish(2, own, READ | FIXED, claimed.page(9)), [Overlap; 3]),
        (wish(WINDOW_PAGES, large, READ, 0), [NoSpace; 3]),
        (
            wish(1, own, READ | FIXED | BLOCKS, odd),
            [BadMemory, Malformed, Malformed],
        ),
    ]
}

/// A claim with what [`rows`] names.
fn five_pages() -> core::result::Result<Claimed, suite::Failure> {
    let mut claimed = claim()?;
    check_eq!(code(claimed.fix(0, 4, 10)), 0);
    check_eq!(code(claimed.fix(0, 1, WINDOW_PAGES - 1)), 0);
    Ok(claimed)
}

fn of_maps(_: &Stage) -> Result {
    let mut claimed = five_pages()?;
    let handle = claimed.handle;
    for (wish, errors) in rows(&claimed) {
        for (operation, error) in MAPS.into_iter().zip(errors) {
            let next = claimed.sequence + 1;
            let stranger = handle ^ 1 << 63;
            for (undefined, handle, sequence, earlier) in [
                (UNDEFINED, stranger, 0, Error::Malformed),
                (UNDEFINED, handle, next, Error::Malformed),
                (0, stranger, 0, Error::StaleHandle),
                (0, handle, 0, Error::OutOfSequence),
                (0, handle, next + 1, Error::OutOfSequence),
                (0, handle, next, error),
            ] {
                let flags = wish.flags | undefined;
                let message = Wish { flags, ..wish }.words(operation, handle, sequence);
                check_eq!(ask(operation, &message), earlier);
            }
            claimed.sequence = next;
        }
    }
    claimed.has_mapped(5)
}

/// The same when no pin is left: that is told only of what could be mapped otherwise.
fn without_pins(_: &Stage) -> Result {
    let mut claimed = five_pages()?;
    let message = next_message()?;
    while map_page(&mut claimed, message.sender, 0, READ).is_ok() {}
    let mapped = claimed.status()?.mapped_pages;
    check!(mapped > 5);
    for (wish, [_, error, _]) in rows(&claimed) {
        let next = claimed.sequence + 1;
        let words = wish.words(Operation::MapLease, claimed.handle, next);
        check_eq!(ask(Operation::MapLease, &words), error);
        claimed.sequence = next;
    }
    // Whose lease it would be is not asked without a pin for it.
    let nobody = map_page(&mut claimed, abi::TaskId(NOBODY), 0, READ);
    check_eq!(code(nobody), Error::PinsExhausted);
    claimed.has_mapped(mapped)?;
    userlib::ipc::reply(message.sender, 0, &[0; 8], 0);
    Ok(())
}

fn of_lists(_: &Stage) -> Result {
    use Error::{BadMemory, BadRange, Malformed, NotMapped};
    let mut claimed = five_pages()?;
    let beyond = (POOL_PAGES, 1);
    for (extents, error) in [
        ([(0, 0), beyond], Malformed),
        ([beyond, (0, 0)], BadMemory),
        ([(0, 1), beyond], BadMemory),
    ] {
        check_eq!(code(claimed.map_list(READ, 0, &extents)), error);
        // What is wrong with the list comes before its extents.
        check_eq!(code(claimed.map_list(READ, PAGE, &extents)), Malformed);
        check_eq!(code(claimed.map_list(BLOCKS, 0, &extents)), Malformed);
    }
    let (mapped, free) = (claimed.page(10), claimed.page(20));
    let outside = claimed.page(WINDOW_PAGES);
    let most = u64::from(u32::MAX);
    for (ranges, error) in [
        ([(outside, 0), (free, 1), (mapped, 1)], Malformed),
        ([(outside, 1), (free, 1), (mapped, 0)], BadRange),
        ([(free, 1), (mapped, 0), (outside, 1)], NotMapped),
        ([(mapped, 1), (mapped, 1), (mapped, 0)], Malformed),
        ([(mapped, 1), (mapped, 1), (outside, 1)], BadRange),
        ([(mapped, 1), (mapped, 1), (mapped, most)], BadRange),
        ([(mapped, 1), (mapped, 1), (most << 12, most)], BadRange),
        ([(mapped, 1), (mapped, 4), (mapped, 1)], NotMapped),
    ] {
        check_eq!(code(claimed.unmap_list(&ranges)), error);
    }
    for (iova, pages, error) in [
        (outside, 0, Malformed),
        (mapped + 1, 0, Malformed),
        (free + 1, 1, BadRange),
        (claimed.page(WINDOW_PAGES - 2), 3, BadRange),
    ] {
        check_eq!(code(claimed.unmap(iova, pages)), error);
    }
    claimed.has_mapped(5)
}

/// A range that cuts a lease and has a hole too.
fn of_cut_leases(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let message = next_message()?;
    let rest = [
        extent(0, 4),
        what(0, READ | FIXED),
        claimed.base(),
        message.sender.0,
    ];
    let lease = claimed.request(Operation::MapLease, &rest);
    check_eq!(lease.code.0, 0);
    for pages in [0, 5] {
        let error = if pages == 0 {
            Error::Malformed
        } else {
            Error::NotMapped
        };
        let iova = claimed.page(1);
        check_eq!(code(claimed.unmap(iova, pages)), error);
        check_eq!(code(claimed.unmap_list(&[(iova, pages)])), error);
    }
    let cut = [(claimed.page(1), 1), (claimed.page(20), 1)];
    check_eq!(code(claimed.unmap_list(&cut)), Error::PartOfLease);
    check_eq!(code(claimed.unmap(claimed.page(1), 1)), Error::PartOfLease);
    claimed.has_mapped(4)?;
    userlib::ipc::reply(message.sender, 0, &[0; 8], 0);
    Ok(())
}

/// By a task that owns nothing: the form is looked at before the device, the device before its owner.
fn of_devices(_: &Stage) -> Result {
    for operation in [Operation::Describe, Operation::Claim, Operation::Status] {
        for bit in 32..64 {
            for device in [edu0(), disk(), devices()] {
                check!(refusal(operation, device | 1 << bit) == Some(Error::Malformed));
            }
        }
        for device in [devices(), u64::from(u32::MAX)] {
            check!(refusal(operation, device) == Some(Error::NoSuchDevice));
            let answer = send(operation as u16, &about_device(device), 0, &[]);
            check_eq!(answer.code.0, Error::Malformed);
        }
        check!(refusal(operation, edu0()) == Some(Error::NotOwner));
    }
    Ok(())
}

pub const CASES: &[Case] = &[
    alone!(
        "first-error-of-a-map",
        &["IOMMU-ERR-2", "IOMMU-FORM-5", "IOMMU-FORM-6"],
        of_maps
    ),
    alone!("first-error-of-a-list", &["IOMMU-ERR-2"], of_lists),
    Case::new(
        "first-error-without-pins",
        &["IOMMU-ERR-2", "IOMMU-LEASE-2"],
        &[
            Part::returns(FIRST, without_pins),
            Part::serves(LENDER, lend_and_forget),
        ],
    ),
    Case::new(
        "first-error-of-a-cut-lease",
        &["IOMMU-ERR-2", "IOMMU-LEASE-5"],
        &[
            Part::returns(FIRST, of_cut_leases),
            Part::serves(LENDER, lend_and_forget),
        ],
    ),
    Case::new(
        "first-error-for-a-stranger",
        &["IOMMU-ERR-2", "IOMMU-FORM-5", "IOMMU-LOOK-2"],
        &[Part::returns(OUTSIDER, of_devices)],
    ),
];
