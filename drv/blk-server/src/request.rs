//! Requests: admission, and what is kept of each while the device has it.

use abi::{Lease, LeaseAttributes, TaskId};
use blk_api::{Error, Geometry, Kind, SECTOR};
use queue_api::desk::Place;

const PAGE: u64 = abi::layout::PAGE;

/// Memory that a client lent: whole pages, from a page boundary on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lent {
    /// Its length.
    pub pages: u64,
    /// What may be done with it.
    pub attributes: LeaseAttributes,
}

impl Lent {
    /// The whole pages of a lease.
    pub const fn of(lease: Lease) -> Self {
        Self {
            pages: lease.len() / PAGE,
            attributes: lease.attributes(),
        }
    }
}

/// Checks a request against the disk and the memory that it names; its kind.
#[inline]
pub fn admit(
    request: queue_api::Request,
    geometry: &Geometry,
    lent: Option<Lent>,
) -> Result<Kind, Error> {
    let kind = Kind::from_number(request.operation()).ok_or(Error::Malformed)?;
    let length = request.length();
    if !u64::from(length).is_multiple_of(SECTOR) {
        return Err(Error::Malformed);
    }
    let known = match kind {
        Kind::Read | Kind::Write => true,
        Kind::Flush => geometry.flush,
        Kind::WriteZeroes => geometry.zeroes,
    };
    if !known {
        return Err(Error::Unsupported);
    }
    if kind == Kind::Flush {
        return Ok(kind);
    }
    // Neither sum overflows: a position has 52 bits.
    let end = request.position() + u64::from(length) / SECTOR;
    if length == 0 || end > geometry.sectors {
        return Err(Error::OutOfRange);
    }
    // Blocks are powers of two.
    let own = u64::from(geometry.block_bytes) / SECTOR;
    if (request.position() | end) & own.saturating_sub(1) != 0 {
        return Err(Error::OutOfRange);
    }
    if kind != Kind::Read && geometry.read_only {
        return Err(Error::ReadOnly);
    }
    if length > geometry.transfer_max {
        return Err(Error::TooLarge);
    }
    if kind == Kind::WriteZeroes {
        return Ok(kind);
    }
    // The device that fills the buffer can also read it: stage 1 has no write-only mapping.
    let access = if kind == Kind::Read {
        LeaseAttributes::all()
    } else {
        LeaseAttributes::READ
    };
    let end = u64::from(request.page()) + u64::from(request.pages());
    match lent {
        Some(lent) if end <= lent.pages && lent.attributes.contains(access) => Ok(kind),
        _ => Err(Error::BadLease),
    }
}

/// A request that the device has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The client that submitted the request.
    pub client: TaskId,
    /// The address at which the device sees the data.
    pub iova: u64,
    /// The client's place at the desk; none for the driver's own request.
    pub place: Option<Place>,
    /// The client's tag.
    pub tag: u16,
    /// The kind of request.
    pub kind: Kind,
    /// Bytes of data.
    pub bytes: u32,
    /// The data was mapped for this request, and is to be unmapped after it.
    pub mapped: bool,
}

impl Request {
    /// In a slot that had no request yet.
    pub const NONE: Self = Self {
        client: TaskId::KERNEL,
        iova: 0,
        place: None,
        tag: 0,
        kind: Kind::Flush,
        bytes: 0,
        mapped: false,
    };

    /// The pages that are mapped for it, from the first one's IOVA.
    #[inline(always)]
    pub const fn pages(&self) -> (u64, u32) {
        let offset = self.iova % PAGE;
        let pages = (offset as u32 + self.bytes).div_ceil(PAGE as u32);
        (self.iova - offset, pages)
    }
}

/// A request that the device is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// Where the request was: [`Controller::request`](crate::controller::Controller::request) has it until another is started.
    pub slot: u32,
    /// How it ended.
    pub result: Result<(), Error>,
}

#[cfg(test)]
mod tests;
