//! Messages and replies as payload words.

use userlib::ipc::{Payload, words};
use userlib::protocol::Wire;

use queue_api::{Completion, Fields, Request};

use crate::{Error, LEASE, ROOM};

/// The address of an interface, first byte first.
pub type Address = [u8; 6];

/// What is at the other end of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// Megabits in a second; 0 if there is no link.
    pub speed: u32,
    /// Both ends send at once.
    pub full_duplex: bool,
}

impl Link {
    /// Whether there is one.
    pub const fn is_up(self) -> bool {
        self.speed > 0
    }
}

/// The facts that a client must know of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The address that the device knows as its own.
    pub address: Address,
    /// Bytes of the longest frame.
    pub frame_max: u32,
    /// Bytes that a page for a frame to come must have.
    pub room: u32,
    /// Most requests that the client can have under way.
    pub depth: u32,
    /// The link, now.
    pub link: Link,
}

impl Wire for Interface {
    const LEN: usize = 32;

    fn to_words(&self) -> Payload {
        let [a, b, c, d, e, f] = self.address;
        let address = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        let lengths = self.frame_max as u64 | (self.room as u64) << 32;
        let limits = self.depth as u64 | (self.link.speed as u64) << 32;
        words([address, lengths, limits, self.link.full_duplex as u64])
    }

    fn from_words(payload: &Payload) -> Option<Self> {
        let [address, lengths, limits, flags, ..] = *payload;
        let [a, b, c, d, e, f, 0, 0] = address.to_le_bytes() else {
            return None;
        };
        (flags & !1 == 0).then_some(Self {
            address: [a, b, c, d, e, f],
            frame_max: lengths as u32,
            room: (lengths >> 32) as u32,
            depth: limits as u32,
            link: Link {
                speed: (limits >> 32) as u32,
                full_duplex: flags & 1 != 0,
            },
        })
    }
}

/// Kind of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A page for a frame to come, which is lent for reading and writing.
    Receive = 0,
    /// A page with a frame to go, which is lent for reading.
    Send = 1,
    /// Ends when there is another link than the client knows; no page.
    Link = 2,
}

impl Kind {
    /// The kind with this number.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Receive),
            1 => Some(Self::Send),
            2 => Some(Self::Link),
            _ => None,
        }
    }
}

/// A page that is given to the device: one for a frame to come, or one with a frame to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Whether the frame comes or goes.
    pub kind: Kind,
    /// Comes back in the completion; the driver does not look at it.
    pub tag: u16,
    /// The region with the page.
    pub region: u8,
    /// The page in it.
    pub page: u32,
    /// First byte of the frame in the page: 0 for one to come.
    pub offset: u16,
    /// Bytes of the frame; the page's room for one to come.
    pub length: u32,
}

impl Frame {
    /// A page for a frame to come.
    pub const fn receive(tag: u16, region: u8, page: u32) -> Self {
        Self {
            kind: Kind::Receive,
            tag,
            region,
            page,
            offset: 0,
            length: ROOM,
        }
    }

    /// A page whose first `length` bytes are a frame to go.
    pub const fn send(tag: u16, region: u8, page: u32, length: u32) -> Self {
        Self {
            kind: Kind::Send,
            tag,
            region,
            page,
            offset: 0,
            length,
        }
    }

    /// As it travels.
    #[inline(always)]
    pub const fn request(&self) -> Request {
        Request::new(&Fields {
            operation: self.kind as u8,
            tag: self.tag,
            region: self.region,
            page: self.page,
            offset: self.offset,
            length: self.length,
            position: 0,
        })
    }
}

/// A request that ends when the link is not, or no longer, the one that the client knows.
#[inline(always)]
pub const fn link(tag: u16, known: Link) -> Request {
    Request::new(&Fields {
        operation: Kind::Link as u8,
        tag,
        region: LEASE,
        page: 0,
        offset: 0,
        length: 0,
        position: known.speed as u64 | (known.full_duplex as u64) << 32,
    })
}

impl Link {
    /// The link that the sender of a request knows; none if it is no link.
    pub const fn known(position: u64) -> Option<Self> {
        if position >> 33 != 0 {
            return None;
        }
        Some(Self {
            speed: position as u32,
            full_duplex: position >> 32 != 0,
        })
    }

    /// As a completion tells of it.
    pub const fn completion(self, tag: u16) -> Completion {
        Completion::new(tag, 0, self.full_duplex as u8, self.speed)
    }

    /// The link that a completion tells of.
    pub const fn told(completion: Completion) -> Self {
        Self {
            speed: completion.length(),
            full_duplex: completion.flags() & 1 != 0,
        }
    }
}

/// How a request ended: the bytes of the frame. A code that the protocol does not define is a damaged frame.
#[inline(always)]
pub const fn result(completion: Completion) -> Result<u32, Error> {
    match completion.code() {
        0 => Ok(completion.length()),
        code => Err(match Error::from_code(code as u32) {
            Some(error) => error,
            None => Error::Damaged,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: [Link; 3] = [
        Link {
            speed: 0,
            full_duplex: false,
        },
        Link {
            speed: 100,
            full_duplex: false,
        },
        Link {
            speed: 1000,
            full_duplex: true,
        },
    ];

    #[test]
    fn an_interface_survives_the_registers() {
        for link in LINKS {
            let interface = Interface {
                address: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
                frame_max: 1518,
                room: 2048,
                depth: 64,
                link,
            };
            let words = interface.to_words();
            assert_eq!(Interface::from_words(&words), Some(interface));
            let mut long = words;
            long[0] |= 1 << 48;
            assert_eq!(Interface::from_words(&long), None);
            let mut flagged = words;
            flagged[3] |= 2;
            assert_eq!(Interface::from_words(&flagged), None);
        }
    }

    #[test]
    fn a_link_survives_the_registers() {
        for known in LINKS {
            let request = link(7, known);
            assert_eq!((request.operation(), request.tag()), (Kind::Link as u8, 7));
            assert_eq!(Link::known(request.position()), Some(known));
            assert_eq!(Link::told(known.completion(7)), known);
            assert_eq!(known.is_up(), known.speed > 0);
        }
        assert_eq!(Link::known(1 << 33), None);
    }

    #[test]
    fn a_frame_is_a_request() {
        for frame in [Frame::receive(u16::MAX, 2, 9), Frame::send(3, 0, 4, 60)] {
            let request = frame.request();
            let back = Frame {
                kind: Kind::from_number(request.operation()).expect("a kind"),
                tag: request.tag(),
                region: request.region(),
                page: request.page(),
                offset: request.offset(),
                length: request.length(),
            };
            assert_eq!(back, frame);
        }
        assert_eq!(Kind::from_number(3), None);
    }

    #[test]
    fn a_code_that_is_none_is_a_damaged_frame() {
        assert_eq!(result(Completion::new(1, 0, 0, 60)), Ok(60));
        assert_eq!(result(Completion::new(1, 7, 0, 0)), Err(Error::Reset));
        assert_eq!(result(Completion::new(1, 200, 0, 60)), Err(Error::Damaged));
    }
}
