//! Handles that are not, or no longer, or never were the caller's.

use iommu_api::{Error, Handle, Operation};
use suite::{Case, Part, Result, Stage, check, check_eq};

use crate::help::{READ, claim, code, notes};
use crate::message::{ON_CLAIM, about_claim, reply_len, send};
use crate::{FIRST, OUTSIDER, SECOND, alone};

/// Asks with a handle, with every number that could be right.
pub fn stale(operation: Operation, handle: u64, iova: u64) -> Result {
    for sequence in [0, 1, 2, 3, u64::MAX] {
        let message = about_claim(operation, handle, sequence, iova);
        let answer = send(operation as u16, &message, reply_len(operation), &[]);
        check_eq!(answer.code.0, Error::StaleHandle);
    }
    Ok(())
}

fn invented(operation: Operation) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.map(0, 1, READ)), 0);
    let handle = Handle(claimed.handle);
    let (slot, generation) = (handle.slot() as u16, handle.generation());
    for other in [
        Handle(0),
        Handle(u64::MAX),
        Handle::new(slot, 0),
        Handle::new(slot, generation + 1),
        Handle::new(slot, generation - 1),
        Handle::new(slot + 1, generation),
        Handle::new(slot - 1, generation),
        Handle::new(0, generation),
        Handle::new(11, generation),
        Handle::new(64, generation),
        Handle::new(u16::MAX, generation),
        Handle(handle.0 ^ 1 << 63),
    ] {
        stale(operation, other.0, claimed.base())?;
    }
    claimed.has_mapped(1)?;
    check_eq!(code(claimed.flush()), 0);
    Ok(())
}

fn released(operation: Operation) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.release()), 0);
    stale(operation, claimed.handle, claimed.base())?;
    // The new claim's state is not the old handle's business either.
    let mut again = claim()?;
    check_eq!(code(again.map(0, 1, READ)), 0);
    stale(operation, claimed.handle, claimed.base())?;
    again.has_mapped(1)
}

/// The second driver claims and maps, and tells its handle.
fn tell(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    check_eq!(code(claimed.map(0, 1, READ)), 0);
    stage.note(claimed.handle);
    notes(stage, 2);
    claimed.has_mapped(1)?;
    check!(claimed.next_fault()?.is_none());
    check_eq!(code(claimed.flush()), 0);
    Ok(())
}

/// Another tries all operations with it.
fn try_all(stage: &Stage) -> Result {
    let [handle, ..] = notes(stage, 1);
    for operation in ON_CLAIM {
        // The window of every device begins at the same IOVA.
        stale(operation, handle, 1 << 32)?;
    }
    stage.note(0);
    Ok(())
}

macro_rules! handles {
    ($($name:literal $operation:ident,)*) => {
        &[
            $(
                alone!(concat!($name, "-with-an-invented-handle"), &["IOMMU-ERR-2", "IOMMU-G7-1"], |_| {
                    invented(Operation::$operation)
                }),
                alone!(concat!($name, "-after-a-release"), &["IOMMU-REL-3", "IOMMU-CLAIM-9"], |_| {
                    released(Operation::$operation)
                }),
            )*
            Case::new(
                "the-handle-of-another-driver",
                &["IOMMU-G7-1"],
                &[Part::returns(FIRST, try_all), Part::returns(SECOND, tell)],
            ),
            Case::new(
                "a-handle-in-the-hands-of-a-stranger",
                &["IOMMU-G7-1"],
                &[Part::returns(OUTSIDER, try_all), Part::returns(SECOND, tell)],
            ),
        ]
    };
}

pub const CASES: &[Case] = handles! {
    "release" Release,
    "map" Map,
    "map-lease" MapLease,
    "map-list" MapList,
    "unmap" Unmap,
    "unmap-list" UnmapList,
    "exchange" Exchange,
    "exchange-list" ExchangeList,
    "flush" Flush,
    "next-fault" NextFault,
    "register" Register,
    "unregister" Unregister,
};
