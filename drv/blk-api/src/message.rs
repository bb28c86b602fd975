//! Messages and replies as payload words.

use userlib::ipc::{Payload, words};
use userlib::protocol::Wire;

use crate::{COLLECT_MAX, Error};

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
    /// Writes are refused.
    pub read_only: bool,
    /// The disk has a volatile cache, so that a flush is needed to make writes durable.
    pub flush: bool,
}

impl Wire for Geometry {
    const LEN: usize = 32;

    fn to_words(&self) -> Payload {
        let flags = self.read_only as u64 | (self.flush as u64) << 1;
        let limits = self.sector_bytes as u64 | (self.transfer_max as u64) << 32;
        words([self.sectors, limits, self.depth as u64, flags])
    }

    fn from_words(payload: &Payload) -> Option<Self> {
        let [sectors, limits, depth, flags, ..] = *payload;
        let depth = u32::try_from(depth).ok()?;
        (flags & !3 == 0).then_some(Self {
            sectors,
            sector_bytes: limits as u32,
            transfer_max: (limits >> 32) as u32,
            depth,
            read_only: flags & 1 != 0,
            flush: flags & 2 != 0,
        })
    }
}

/// Kind of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Kind {
    /// From the disk into the buffer, which is lent for reading and writing.
    Read = 0,
    /// From the buffer, which is lent for reading, to the disk.
    Write = 1,
    /// Makes completed writes durable; no sectors, no buffer.
    Flush = 2,
}

/// One request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Submit {
    /// The kind of request: what the driver has to do.
    pub kind: Kind,
    /// Comes back in the completion; the driver does not look at it.
    pub tag: u32,
    /// First sector.
    pub sector: u64,
    /// Sectors.
    pub count: u32,
}

impl Wire for Submit {
    const LEN: usize = 24;

    fn to_words(&self) -> Payload {
        let head = self.kind as u64 | (self.tag as u64) << 32;
        words([head, self.sector, self.count as u64])
    }

    fn from_words(payload: &Payload) -> Option<Self> {
        let [head, sector, count, ..] = *payload;
        let count = u32::try_from(count).ok()?;
        let kind = match head as u32 {
            0 => Kind::Read,
            1 => Kind::Write,
            2 => Kind::Flush,
            _ => return None,
        };
        Some(Self {
            kind,
            tag: (head >> 32) as u32,
            sector,
            count,
        })
    }
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// The request's tag.
    pub tag: u32,
    /// The result of the request.
    pub result: Result<(), Error>,
}

impl Completion {
    /// Encodes the completion as one word: tag in bits 31:0, code in 63:32.
    pub const fn encode(&self) -> u64 {
        let code = match self.result {
            Ok(()) => 0,
            Err(error) => error as u64,
        };
        self.tag as u64 | code << 32
    }

    /// From one word. A code that the protocol does not define is a device error.
    pub const fn decode(word: u64) -> Self {
        let result = match (word >> 32) as u32 {
            0 => Ok(()),
            code => Err(match Error::from_code(code) {
                Some(error) => error,
                None => Error::Device,
            }),
        };
        Self {
            tag: word as u32,
            result,
        }
    }
}

/// Reply of `collect`: the number of completions, then one word each. Takes from `completions` until
/// the reply is full or there are no more. Returns the payload and its length in bytes.
pub fn encode_collected(completions: impl Iterator<Item = Completion>) -> (Payload, usize) {
    let mut payload = [0; 8];
    let mut count = 0;
    let [number, words @ ..] = &mut payload;
    for (word, completion) in words.iter_mut().zip(completions) {
        *word = completion.encode();
        count += 1;
    }
    *number = count;
    (payload, 8 + 8 * count as usize)
}

/// The completions of a reply of `collect` of `len` bytes; none if it is no such reply.
pub fn decode_collected(
    payload: &Payload,
    len: usize,
) -> Option<impl Iterator<Item = Completion> + use<>> {
    let [count, words @ ..] = *payload;
    let count = usize::try_from(count).ok()?;
    let whole = count <= COLLECT_MAX && len == 8 + 8 * count;
    whole.then(|| words.into_iter().take(count).map(Completion::decode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn geometry_survives_the_registers() {
        for (read_only, flush) in [(false, true), (true, false)] {
            let geometry = Geometry {
                sectors: 1 << 40,
                sector_bytes: 512,
                transfer_max: 1 << 20,
                depth: 32,
                read_only,
                flush,
            };
            assert_eq!(Geometry::from_words(&geometry.to_words()), Some(geometry));
        }
    }

    #[test]
    fn submit_survives_the_registers() {
        for kind in [Kind::Read, Kind::Write, Kind::Flush] {
            let submit = Submit {
                kind,
                tag: u32::MAX,
                sector: u64::MAX,
                count: u32::MAX,
            };
            assert_eq!(Submit::from_words(&submit.to_words()), Some(submit));
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        for (word, len) in [
            (words([3, 0, 1]), 24),
            (words([0, 0, 1 << 32]), 24),
            (words([0, 0, 1]), 16),
        ] {
            assert_eq!(Submit::from_message(&word, len), None);
        }
        for (depth, flags) in [(1 << 32, 0), (32, 4)] {
            assert_eq!(Geometry::from_words(&words([8, 512, depth, flags])), None);
        }
    }

    #[test]
    fn a_reply_takes_seven_completions() {
        let all: Vec<_> = (0..9)
            .map(|tag| Completion {
                tag,
                result: if tag == 3 { Err(Error::Device) } else { Ok(()) },
            })
            .collect();
        let (payload, len) = encode_collected(all.iter().copied());
        assert_eq!(len, 64);
        let back: Vec<_> = decode_collected(&payload, len).unwrap().collect();
        assert_eq!(back, all[..7]);
        assert_eq!(encode_collected(core::iter::empty()), ([0; 8], 8));
    }

    #[test]
    fn a_lying_driver_cannot_overrun_the_client() {
        let mut payload = [u64::MAX; 8];
        for (count, len) in [(u64::MAX, 64), (8, 64), (8, 72), (2, 16), (2, 64)] {
            payload[0] = count;
            assert!(decode_collected(&payload, len).is_none(), "{count}, {len}");
        }
        payload[0] = 2;
        let mut two = decode_collected(&payload, 24).unwrap();
        assert!(two.all(|c| c.result == Err(Error::Device)));
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
