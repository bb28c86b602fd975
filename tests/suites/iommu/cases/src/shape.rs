//! Every message of a wrong length, without room for its reply, with a lease: refused before anything else
//! of it is looked at.

use abi::LeaseAttributes;
use iommu_api::{Error, Operation};
use suite::{Case, Result, check, check_eq};
use userlib::ipc::LeaseBuffer;

use crate::alone;
use crate::board::pool_named;
use crate::help::{Claimed, READ, claim};
use crate::message::{Words, about_claim, reply_len, send};

/// A claim with one page mapped, and a message that would be served.
fn good(operation: Operation) -> core::result::Result<(Claimed, Words), suite::Failure> {
    let mut claimed = claim()?;
    let iova = claimed.map(0, 1, READ).unwrap_or(0);
    check!(iova != 0);
    let first = match operation {
        Operation::Describe | Operation::Claim | Operation::Status => claimed.device,
        _ => claimed.handle,
    };
    Ok((
        claimed,
        about_claim(operation, first, claimed.sequence + 1, iova),
    ))
}

/// Nothing was changed and no number was used up.
fn unchanged(mut claimed: Claimed) -> Result {
    claimed.has_mapped(1)?;
    check!(claimed.flush().is_ok());
    Ok(())
}

fn wrong_length(operation: Operation) -> Result {
    let (claimed, message) = good(operation)?;
    let right = message.len;
    // A list may have any number of extents, but at least one, and whole ones.
    let list = match operation {
        Operation::MapList => 32,
        Operation::UnmapList => 16,
        Operation::ExchangeList => 24,
        _ => 0,
    };
    for len in [
        0,
        1,
        7,
        right - 8,
        right - 1,
        right + 1,
        right + 8,
        64,
        72,
        4095,
        4096,
    ] {
        if len == right || (list != 0 && len > list && len.is_multiple_of(8)) {
            continue;
        }
        let answer = send(
            operation as u16,
            &message.with_len(len),
            reply_len(operation),
            &[],
        );
        check_eq!(answer.code.0, Error::Malformed);
        check_eq!(answer.len, 0);
    }
    unchanged(claimed)
}

fn no_room(operation: Operation) -> Result {
    let (claimed, message) = good(operation)?;
    let needed = reply_len(operation);
    for capacity in [0, needed / 2, needed - 1] {
        let answer = send(operation as u16, &message, capacity, &[]);
        check_eq!(answer.code.0, Error::Malformed);
    }
    unchanged(claimed)
}

fn with_lease(operation: Operation) -> Result {
    let (claimed, message) = good(operation)?;
    let page = pool_named("pages")?.part(0, 4096);
    let lease = || LeaseBuffer::pool(page, LeaseAttributes::all());
    for count in [1, 2] {
        let leases = [lease(), lease()];
        let leases = leases.get(..count).unwrap_or_default();
        let answer = send(operation as u16, &message, reply_len(operation), leases);
        check_eq!(answer.code.0, Error::Malformed);
    }
    unchanged(claimed)
}

macro_rules! shapes {
    ($($name:literal $operation:ident,)*) => {
        &[
            $(
                alone!(concat!($name, "-of-a-wrong-length"), &["IOMMU-FORM-2", "IOMMU-FORM-6", "IOMMU-FORM-8"], |_| {
                    wrong_length(Operation::$operation)
                }),
                alone!(concat!($name, "-with-a-lease"), &["IOMMU-FORM-4", "IOMMU-FORM-6"], |_| {
                    with_lease(Operation::$operation)
                }),
            )*
            alone!("describe-without-room", &["IOMMU-FORM-3", "IOMMU-FORM-6"], |_| no_room(Operation::Describe)),
            alone!("claim-without-room", &["IOMMU-FORM-3", "IOMMU-FORM-6"], |_| no_room(Operation::Claim)),
            alone!("status-without-room", &["IOMMU-FORM-3", "IOMMU-FORM-6"], |_| no_room(Operation::Status)),
            alone!("map-without-room", &["IOMMU-FORM-3", "IOMMU-FORM-6"], |_| no_room(Operation::Map)),
            alone!("map-lease-without-room", &["IOMMU-FORM-3", "IOMMU-FORM-6"], |_| no_room(Operation::MapLease)),
            alone!("map-list-without-room", &["IOMMU-FORM-3", "IOMMU-FORM-6"], |_| no_room(Operation::MapList)),
            alone!("next-fault-without-room", &["IOMMU-FORM-3", "IOMMU-FORM-6"], |_| no_room(Operation::NextFault)),
        ]
    };
}

pub const CASES: &[Case] = shapes! {
    "describe" Describe,
    "claim" Claim,
    "release" Release,
    "map" Map,
    "map-lease" MapLease,
    "map-list" MapList,
    "unmap" Unmap,
    "unmap-list" UnmapList,
    "flush" Flush,
    "exchange" Exchange,
    "exchange-list" ExchangeList,
    "next-fault" NextFault,
    "status" Status,
    "register" Register,
    "unregister" Unregister,
};
