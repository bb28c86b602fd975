//! Messages and replies as payload words.

use userlib::ipc::{Payload, words};
use userlib::protocol::Wire;

use queue_api::{Completion, Fields, Request};

use crate::{Error, LEASE, SECTOR};

/// The facts that a client must know of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// Sectors of 512 bytes.
    pub sectors: u64,
    /// Bytes in a sector: 512.
    pub sector_bytes: u32,
    /// Most bytes in one request.
    pub transfer_max: u32,
    /// Most requests this client can have in flight.
    pub depth: u32,
    /// Bytes of the disk's own block: each request begins and ends with one.
    pub block_bytes: u32,
    /// Writes are refused.
    pub read_only: bool,
    /// The disk has a volatile cache, so that a flush is needed to make writes durable.
    pub flush: bool,
    /// The disk can write zeroes by itself.
    pub zeroes: bool,
}

impl Wire for Geometry {
    const LEN: usize = 32;

    fn to_words(&self) -> Payload {
        let flags = self.read_only as u64 | (self.flush as u64) << 1 | (self.zeroes as u64) << 2;
        let depth = self.depth as u64 | (self.block_bytes as u64) << 32;
        let limits = self.sector_bytes as u64 | (self.transfer_max as u64) << 32;
        words([self.sectors, limits, depth, flags])
    }

    fn from_words(payload: &Payload) -> Option<Self> {
        let [sectors, limits, depth, flags, ..] = *payload;
        (flags & !7 == 0).then_some(Self {
            sectors,
            sector_bytes: limits as u32,
            transfer_max: (limits >> 32) as u32,
            depth: depth as u32,
            block_bytes: (depth >> 32) as u32,
            read_only: flags & 1 != 0,
            flush: flags & 2 != 0,
            zeroes: flags & 4 != 0,
        })
    }
}

/// Kind of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// From the disk into the buffer, which is lent for reading and writing.
    Read = 0,
    /// From the buffer, which is lent for reading, to the disk.
    Write = 1,
    /// Makes completed writes durable; no sectors, no buffer.
    Flush = 2,
    /// Zeroes to the disk, which makes them itself; no buffer.
    WriteZeroes = 3,
}

impl Kind {
    /// The kind with this number.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Read),
            1 => Some(Self::Write),
            2 => Some(Self::Flush),
            3 => Some(Self::WriteZeroes),
            _ => None,
        }
    }

    /// Whether a request of this kind has a buffer.
    #[inline(always)]
    pub const fn has_data(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }
}

/// One request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// The kind of request: what the driver has to do.
    pub kind: Kind,
    /// Comes back in the completion; the driver does not look at it.
    pub tag: u16,
    /// The region with the buffer.
    pub region: u8,
    /// First page of the buffer in it.
    pub page: u32,
    /// First sector.
    pub sector: u64,
    /// Sectors.
    pub count: u32,
}

impl Transfer {
    /// Zeroes for sectors: no buffer.
    pub const fn zeroes(tag: u16, sector: u64, count: u32) -> Self {
        Self {
            kind: Kind::WriteZeroes,
            sector,
            count,
            ..Self::flush(tag)
        }
    }

    /// A flush: no sectors, no buffer.
    pub const fn flush(tag: u16) -> Self {
        Self {
            kind: Kind::Flush,
            tag,
            region: LEASE,
            page: 0,
            sector: 0,
            count: 0,
        }
    }

    /// As it travels. A number of sectors, or a place, that is too large for its field becomes one that no disk has.
    #[inline(always)]
    pub const fn request(&self) -> Request {
        const MOST: u32 = ((1 << 20) - 1) / SECTOR as u32;
        let count = if self.count > MOST { MOST } else { self.count };
        Request::new(&Fields {
            operation: self.kind as u8,
            tag: self.tag,
            region: self.region,
            page: self.page,
            offset: 0,
            length: count * SECTOR as u32,
            position: self.sector,
        })
    }
}

/// How a request ended: the bytes that were transferred. A code that the protocol does not define is a device error.
#[inline(always)]
pub const fn result(completion: Completion) -> Result<u32, Error> {
    match completion.code() {
        0 => Ok(completion.length()),
        code => Err(match Error::from_code(code as u32) {
            Some(error) => error,
            None => Error::Device,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_survives_the_registers() {
        for (read_only, flush, zeroes) in [
            (false, true, false),
            (true, false, false),
            (false, false, true),
        ] {
            let geometry = Geometry {
                sectors: 1 << 40,
                sector_bytes: 512,
                transfer_max: 1 << 20,
                depth: 32,
                block_bytes: 4096,
                read_only,
                flush,
                zeroes,
            };
            assert_eq!(Geometry::from_words(&geometry.to_words()), Some(geometry));
        }
    }

    #[test]
    fn a_transfer_is_a_request() {
        for kind in [Kind::Read, Kind::Write, Kind::Flush, Kind::WriteZeroes] {
            let transfer = Transfer {
                kind,
                tag: u16::MAX,
                region: 3,
                page: 77,
                sector: 1 << 50,
                count: 512,
            };
            let request = transfer.request();
            assert_eq!(Kind::from_number(request.operation()), Some(kind));
            assert_eq!((request.tag(), request.region()), (u16::MAX, 3));
            assert_eq!((request.page(), request.offset()), (77, 0));
            assert_eq!((request.position(), request.length()), (1 << 50, 1 << 18));
        }
        assert_eq!(Kind::from_number(4), None);
    }

    #[test]
    fn what_no_disk_has_stays_so() {
        let transfer = Transfer {
            sector: u64::MAX,
            count: u32::MAX,
            ..Transfer::flush(1)
        };
        let request = transfer.request();
        assert_eq!(request.position(), (1 << 52) - 1);
        assert_eq!(request.length(), (1 << 20) - 512);
    }

    #[test]
    fn malformed_messages_are_refused() {
        for flags in [8, 1 << 63] {
            assert_eq!(Geometry::from_words(&words([8, 512, 32, flags])), None);
        }
    }

    #[test]
    fn a_result_is_a_length_or_an_error() {
        assert_eq!(result(Completion::new(1, 0, 0, 4096)), Ok(4096));
        for code in 1..=u8::MAX {
            let error = Error::from_code(u32::from(code)).unwrap_or(Error::Device);
            assert_eq!(result(Completion::new(1, code, 0, 4096)), Err(error));
        }
    }

    #[test]
    fn every_error_has_its_own_code() {
        for code in 1..=11 {
            assert_eq!(Error::from_code(code).map(|error| error as u32), Some(code));
        }
        assert_eq!(Error::from_code(0), None);
        assert_eq!(Error::from_code(12), None);
    }
}
