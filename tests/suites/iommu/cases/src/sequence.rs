//! Sequence numbers: each request once, and a repeat gets the recorded result.

use iommu_api::{Error, Operation};
use suite::{Case, Result, Stage, check, check_eq, check_is};

use crate::alone;
use crate::help::{BOTH, Claimed, FIXED, READ, claim, code, got};
use crate::message::{Words, about_claim, extent, numbered, replacement, reply_len, send, what};

/// A claim that has used the numbers 1 and 2 and has one page mapped.
fn second() -> core::result::Result<Claimed, suite::Failure> {
    let mut claimed = claim()?;
    check_eq!(code(claimed.map(0, 1, READ)), 0);
    check_eq!(code(claimed.flush()), 0);
    Ok(claimed)
}

fn out_of_order(operation: Operation) -> Result {
    let mut claimed = second()?;
    let last = claimed.sequence;
    for sequence in [0, last - 1, last + 2, last + 1000, u64::MAX] {
        let message = about_claim(operation, claimed.handle, sequence, claimed.base());
        let answer = send(operation as u16, &message, reply_len(operation), &[]);
        check_eq!(answer.code.0, Error::OutOfSequence);
    }
    claimed.has_mapped(1)?;
    // None of them used a number up.
    check_eq!(code(claimed.flush()), 0);
    Ok(())
}

/// The last number again, but of another operation: not what was recorded.
fn another_operation(operation: Operation) -> Result {
    let claimed = second()?;
    let message = about_claim(operation, claimed.handle, claimed.sequence, claimed.base());
    let answer = send(operation as u16, &message, reply_len(operation), &[]);
    check_eq!(answer.code.0, Error::OutOfSequence);
    claimed.has_mapped(1)
}

/// Every operation with a number, and the number of every other one that can be the last.
fn every_other_operation(_: &Stage) -> Result {
    let mut claimed = second()?;
    for last in numbered() {
        if last == Operation::Release {
            continue;
        }
        claimed.sequence += 1;
        let (handle, sequence) = (claimed.handle, claimed.sequence);
        // Refused or not, it has the number.
        let message = about_claim(last, handle, sequence, claimed.base());
        send(last as u16, &message, reply_len(last), &[]);
        let mapped = claimed.status()?.mapped_pages;
        for operation in numbered() {
            if operation == last {
                continue;
            }
            let message = about_claim(operation, handle, sequence, claimed.base());
            let answer = send(operation as u16, &message, reply_len(operation), &[]);
            check_eq!(answer.code.0, Error::OutOfSequence);
        }
        claimed.has_mapped(mapped)?;
        check_eq!(claim()?.sequence, sequence);
    }
    Ok(())
}

/// A request that is malformed by content has its number like any other: well-formed, it gets the same again.
fn every_error_again(_: &Stage) -> Result {
    let mut claimed = second()?;
    let (handle, iova) = (claimed.handle, claimed.base());
    let page = iova >> 12;
    for operation in numbered() {
        let sequence = claimed.sequence + 1;
        let read = what(0, READ);
        let empty: &[u64] = match operation {
            Operation::Map => &[handle, sequence, extent(0, 0), read, 0],
            Operation::MapLease => &[handle, sequence, extent(0, 0), read, 0, 0],
            Operation::MapList => &[handle, sequence, read, 0, extent(0, 0)],
            Operation::Unmap => &[handle, sequence, iova, 0],
            Operation::UnmapList => &[handle, sequence, extent(page, 0)],
            Operation::Exchange => &[handle, sequence, extent(0, 0), read, iova],
            Operation::ExchangeList => &[
                handle,
                sequence,
                what(0, READ | FIXED),
                replacement(0, page),
            ],
            _ => continue,
        };
        for again in [false, true, true] {
            let message = if again {
                about_claim(operation, handle, sequence, iova)
            } else {
                Words::of(empty)
            };
            let answer = send(operation as u16, &message, reply_len(operation), &[]);
            check_eq!(answer.code.0, Error::Malformed);
            check_eq!(answer.len, 0);
        }
        claimed.sequence += 1;
        check_eq!(claim()?.sequence, sequence);
        claimed.has_mapped(1)?;
    }
    check_eq!(code(claimed.flush()), 0);
    Ok(())
}

fn zero_first(_: &Stage) -> Result {
    let mut claimed = claim()?;
    // There is no request number 0 to repeat.
    claimed.sequence = u64::MAX;
    check_eq!(code(claimed.flush()), Error::OutOfSequence);
    check_eq!(code(claimed.flush()), 0);
    check_eq!(claimed.sequence, 1);
    Ok(())
}

fn repeated_map(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 4, BOTH), Ok(iova) => iova);
    for _ in 0..3 {
        claimed.sequence -= 1;
        let again = check_is!(claimed.map(0, 4, BOTH), Ok(iova) => iova);
        check_eq!(again, iova);
        claimed.has_mapped(4)?;
    }
    check_eq!(code(claimed.unmap(iova, 4)), 0);
    claimed.is_empty()
}

fn repeated_with_other_words(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 4, BOTH), Ok(iova) => iova);
    claimed.sequence -= 1;
    // The number says that it is the same request; its words are not looked at again.
    let again = check_is!(claimed.map(8, 1, READ), Ok(iova) => iova);
    check_eq!(again, iova);
    claimed.has_mapped(4)
}

fn repeated_unmap(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let iova = check_is!(claimed.map(0, 4, BOTH), Ok(iova) => iova);
    check_eq!(code(claimed.unmap(iova, 2)), 0);
    claimed.sequence -= 1;
    check_eq!(code(claimed.unmap(iova, 2)), 0);
    claimed.has_mapped(2)?;
    // As a new request it is refused.
    check_eq!(code(claimed.unmap(iova, 2)), Error::NotMapped);
    Ok(())
}

fn repeated_lists(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let extents = [(0, 1), (4, 2)];
    let iova = check_is!(claimed.map_list(READ, 0, &extents), Ok(iova) => iova);
    claimed.sequence -= 1;
    check_eq!(claimed.map_list(READ, 0, &extents).unwrap_or(0), iova);
    claimed.has_mapped(3)?;
    let ranges = [(iova, 1), (iova + 4096, 2)];
    check_eq!(code(claimed.unmap_list(&ranges)), 0);
    claimed.sequence -= 1;
    check_eq!(code(claimed.unmap_list(&ranges)), 0);
    claimed.has_mapped(0)?;
    check_eq!(code(claimed.unmap_list(&ranges)), Error::NotMapped);
    Ok(())
}

fn repeated_error(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.unmap(claimed.base(), 1)), Error::NotMapped);
    check_eq!(code(claimed.fix(0, 1, 0)), 0);
    check_eq!(code(claimed.unmap(claimed.page(1), 1)), Error::NotMapped);
    claimed.sequence -= 1;
    // It would succeed now; what is recorded is that it did not.
    check_eq!(code(claimed.unmap(claimed.base(), 1)), Error::NotMapped);
    claimed.has_mapped(1)
}

fn a_refusal_uses_a_number_up(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.map(0, 1, 0)), Error::BadPermissions);
    check_eq!(code(claimed.map(0, 1, READ)), 0);
    check_eq!(claimed.sequence, 2);
    check_eq!(claim()?.sequence, 2);
    Ok(())
}

fn malformed_uses_no_number(_: &Stage) -> Result {
    let mut claimed = claim()?;
    let words = [claimed.handle, 1, extent(0, 1), what(0, 0x10 | READ), 0];
    let answer = send(Operation::Map as u16, &Words::of(&words), 8, &[]);
    check_eq!(answer.code.0, Error::Malformed);
    check_eq!(claim()?.sequence, 0);
    check_eq!(code(claimed.map(0, 1, READ)), 0);
    Ok(())
}

fn claim_tells_the_number(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for count in 1..=5 {
        check_eq!(code(claimed.flush()), 0);
        check_eq!(claim()?.sequence, count);
    }
    Ok(())
}

fn reading_needs_no_number(_: &Stage) -> Result {
    let mut claimed = claim()?;
    for _ in 0..3 {
        check!(claimed.next_fault()?.is_none());
        claimed.has_mapped(0)?;
    }
    check_eq!(code(claimed.flush()), 0);
    check_eq!(claimed.sequence, 1);
    Ok(())
}

fn repeated_flush(_: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.flush()), 0);
    claimed.sequence -= 1;
    let answer = claimed.request(Operation::Flush, &[]);
    check_eq!(code(got(&answer)), 0);
    check_eq!(answer.len, 0);
    Ok(())
}

macro_rules! sequences {
    ($($name:literal $operation:ident,)*) => {
        &[
            $(
                alone!(concat!($name, "-out-of-sequence"), &["IOMMU-SEQ-2"], |_| {
                    out_of_order(Operation::$operation)
                }),
            )*
            alone!("map-with-the-number-of-a-flush", &["IOMMU-SEQ-4"], |_| another_operation(Operation::Map)),
            alone!("unmap-with-the-number-of-a-flush", &["IOMMU-SEQ-4"], |_| another_operation(
                Operation::Unmap
            )),
            alone!("release-with-the-number-of-a-flush", &["IOMMU-SEQ-4"], |_| another_operation(
                Operation::Release
            )),
            alone!("the-number-of-every-other-operation", &["IOMMU-SEQ-4"], every_other_operation),
            alone!("malformed-by-content-again", &["IOMMU-SEQ-1", "IOMMU-SEQ-3", "IOMMU-FORM-8"], every_error_again),
            alone!("there-is-no-number-0", &["IOMMU-SEQ-2"], zero_first),
            alone!("map-again", &["IOMMU-SEQ-3"], repeated_map),
            alone!("map-again-with-other-words", &["IOMMU-SEQ-3"], repeated_with_other_words),
            alone!("unmap-again", &["IOMMU-SEQ-3"], repeated_unmap),
            alone!("lists-again", &["IOMMU-SEQ-3"], repeated_lists),
            alone!("flush-again", &["IOMMU-SEQ-3"], repeated_flush),
            alone!("an-error-again", &["IOMMU-SEQ-3"], repeated_error),
            alone!("a-refusal-uses-a-number-up", &["IOMMU-SEQ-1", "IOMMU-ERR-1"], a_refusal_uses_a_number_up),
            alone!("malformed-uses-no-number", &["IOMMU-FORM-6", "IOMMU-FORM-5"], malformed_uses_no_number),
            alone!("claim-tells-the-number", &["IOMMU-SEQ-5", "IOMMU-CLAIM-10"], claim_tells_the_number),
            alone!("reading-needs-no-number", &["IOMMU-LOOK-6"], reading_needs_no_number),
        ]
    };
}

pub const CASES: &[Case] = sequences! {
    "release" Release,
    "map" Map,
    "map-lease" MapLease,
    "map-list" MapList,
    "unmap" Unmap,
    "unmap-list" UnmapList,
    "exchange" Exchange,
    "exchange-list" ExchangeList,
    "flush" Flush,
};
