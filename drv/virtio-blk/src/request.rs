//! Requests in flight: header and status of each, and how it ended.

use abi::TaskId;
use blk_api::{Error, Kind};
use blk_server::request::{Finished, Request};
use blk_server::slots::Table;
use userlib::memory::Memory;

use crate::layout::{HEADERS, READABLE, STATUSES, WRITABLE};
use crate::queue::{Buffer, DeviceFault, SplitQueue};

/// Descriptors of a request: header, data, status.
pub const LINKS: u16 = 3;

const HEADER_LEN: u32 = 16;
/// The value of a status byte until the device writes it; it is no status of the specification.
const UNWRITTEN: u8 = 0xff;

/// Request types (virtio 5.2.6).
const fn header_type(kind: Kind) -> u32 {
    match kind {
        Kind::Read => 0,
        Kind::Write => 1,
        Kind::Flush => 4,
        // The feature is not asked for, so that no such request is admitted.
        Kind::WriteZeroes => 13,
    }
}

/// The queue and what is in it.
#[derive(Debug)]
pub struct Requests<M> {
    queue: SplitQueue<M>,
    table: Table,
    readable: u64,
    writable: u64,
}

impl<M: Memory> Requests<M> {
    /// `readable` and `writable` are the IOVAs of the two parts of [`crate::layout`].
    pub fn new(queue: SplitQueue<M>, readable: u64, writable: u64) -> Self {
        Self {
            queue,
            table: Table::new(),
            readable,
            writable,
        }
    }

    /// Whether another request fits.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.queue.free_slot().is_some()
    }

    /// How many others fit.
    #[inline]
    pub fn room(&self) -> usize {
        self.queue.room()
    }

    /// Whether the device has a request of a client.
    pub fn any_of(&self, client: TaskId) -> bool {
        self.table.any_of(client, self.queue.slots())
    }

    /// Whether the device has no request.
    pub fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }

    /// Hands a request for `sector` to the device, which sees it when it is [announced](Self::announce). `Busy` without
    /// room.
    #[inline]
    pub fn start(&mut self, request: Request, sector: u64) -> Result<(), Error> {
        let slot = self.queue.free_slot().ok_or(Error::Busy)?;
        self.table.put(slot, request);
        let header = HEADERS + HEADER_LEN as usize * slot;
        let status = STATUSES + slot;
        let memory = self.queue.memory();
        memory.write64(header, u64::from(header_type(request.kind)));
        memory.write64(header + 8, sector);
        memory.write8(status, UNWRITTEN);
        let header = Buffer {
            address: self.readable + (header - READABLE) as u64,
            len: HEADER_LEN,
            writable: false,
        };
        let data = Buffer {
            address: request.iova,
            len: request.bytes,
            writable: request.kind == Kind::Read,
        };
        let status = Buffer {
            address: self.writable + (status - WRITABLE) as u64,
            len: 1,
            writable: true,
        };
        if !request.kind.has_data() {
            self.queue.offer(slot, &[header, status]);
        } else {
            self.queue.offer(slot, &[header, data, status]);
        }
        Ok(())
    }

    /// Lets the device see what was started, if anything was; whether it must be notified.
    #[inline]
    pub fn announce(&mut self) -> bool {
        self.queue.announce()
    }

    /// The next request that the device is done with.
    #[inline]
    pub fn finished(&mut self) -> Result<Option<Finished>, DeviceFault> {
        let Some(used) = self.queue.finished()? else {
            return Ok(None);
        };
        let request = self.request(used.slot as u32);
        let status = self.queue.memory().read8(STATUSES + used.slot);
        // A read that claims success must have written all of its data, or the client would take what
        // its buffer held before for the disk's content.
        let whole = request.kind != Kind::Read || used.written > request.bytes;
        let result = match status {
            0 if whole => Ok(()),
            2 => Err(Error::Unsupported),
            _ => Err(Error::Device),
        };
        Ok(Some(Finished {
            slot: used.slot as u32,
            result,
        }))
    }

    /// The request that is, or was last, in a slot.
    #[inline(always)]
    pub fn request(&self, slot: u32) -> &Request {
        self.table.get(slot as usize)
    }
}

#[cfg(test)]
mod tests;
