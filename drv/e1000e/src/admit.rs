//! Which requests are admitted.

use abi::LeaseAttributes;
use blk_server::request::Lent;
use nic_api::{Error, FRAME_MAX, FRAME_MIN, Kind, Link, ROOM};

use crate::layout::PAGE;

/// A request that is in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admitted {
    /// A page for a frame to come.
    Receive,
    /// A page with a frame to go.
    Send,
    /// Whether the link is this one.
    Link(Link),
}

/// Checks a request against the memory that it names. If several things are wrong, the first counts.
#[inline]
pub fn admit(request: queue_api::Request, lent: Option<Lent>) -> Result<Admitted, Error> {
    let kind = Kind::from_number(request.operation()).ok_or(Error::Malformed)?;
    let (offset, length) = (u32::from(request.offset()), request.length());
    let (admitted, access) = match kind {
        Kind::Link => {
            let known = Link::known(request.position()).ok_or(Error::Malformed)?;
            if offset != 0 || length != 0 {
                return Err(Error::Malformed);
            }
            return Ok(Admitted::Link(known));
        }
        // The device that fills the page can also read it: stage 1 has no write-only mapping.
        Kind::Receive => (Admitted::Receive, LeaseAttributes::all()),
        Kind::Send => (Admitted::Send, LeaseAttributes::READ),
    };
    if request.position() != 0 || kind == Kind::Receive && offset != 0 {
        return Err(Error::Malformed);
    }
    let fits = match kind {
        Kind::Receive => (ROOM..=PAGE as u32).contains(&length),
        _ => (FRAME_MIN..=FRAME_MAX).contains(&length),
    };
    if !fits {
        return Err(Error::Length);
    }
    match lent {
        Some(lent)
            if offset + length <= PAGE as u32
                && u64::from(request.page()) < lent.pages
                && lent.attributes.contains(access) =>
        {
            Ok(admitted)
        }
        _ => Err(Error::BadLease),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nic_api::{Frame, link};
    use proptest::prelude::*;
    use queue_api::{Fields, Request};

    fn lent(pages: u64, attributes: LeaseAttributes) -> Option<Lent> {
        Some(Lent { pages, attributes })
    }

    #[test]
    fn admission_names_what_is_wrong() {
        let all = lent(4, LeaseAttributes::all());
        let read = lent(4, LeaseAttributes::READ);
        let receive = Frame::receive(1, 1, 3);
        let send = Frame::send(1, 1, 3, 60);
        let check = |frame: Frame, lent| admit(frame.request(), lent);
        assert_eq!(check(receive, all), Ok(Admitted::Receive));
        assert_eq!(check(send, read), Ok(Admitted::Send));
        assert_eq!(check(receive, read), Err(Error::BadLease));
        let frames = [receive, send];
        for frame in frames {
            assert_eq!(check(frame, None), Err(Error::BadLease));
            assert_eq!(check(Frame { page: 4, ..frame }, all), Err(Error::BadLease));
        }
        for length in [0, ROOM - 1, PAGE as u32 + 1] {
            let frame = Frame { length, ..receive };
            assert_eq!(check(frame, None), Err(Error::Length), "{length}");
        }
        for length in [0, FRAME_MIN - 1, FRAME_MAX + 1] {
            let frame = Frame { length, ..send };
            assert_eq!(check(frame, None), Err(Error::Length), "{length}");
        }
        let late = Frame {
            offset: 4096 - 59,
            ..send
        };
        assert_eq!(check(late, all), Err(Error::BadLease));
        let last = Frame {
            offset: 4096 - 60,
            ..send
        };
        assert_eq!(check(last, all), Ok(Admitted::Send));
        let shifted = Frame {
            offset: 1,
            ..receive
        };
        assert_eq!(check(shifted, None), Err(Error::Malformed));
    }

    #[test]
    fn a_link_needs_no_page() {
        let known = Link {
            speed: 100,
            full_duplex: true,
        };
        assert_eq!(admit(link(1, known), None), Ok(Admitted::Link(known)));
        for fields in [
            Fields {
                operation: Kind::Link as u8,
                position: 1 << 33,
                ..Fields::default()
            },
            Fields {
                operation: Kind::Link as u8,
                length: 1,
                ..Fields::default()
            },
            Fields {
                operation: 3,
                ..Fields::default()
            },
        ] {
            assert_eq!(admit(Request::new(&fields), None), Err(Error::Malformed));
        }
    }

    proptest! {
        /// Whatever a client asks for, the device gets one page of what was lent, and no access that was not.
        #[test]
        fn a_request_stays_in_what_was_lent(
            words in any::<[u64; 2]>(),
            kind in 0u64..4,
            pages in 0u64..1 << 21,
            bits in any::<u32>(),
        ) {
            let request = Request::from_words([words[0] & !(0xf << 16) | kind << 16, words[1]]);
            let attributes = LeaseAttributes::from_bits_truncate(bits as _);
            match admit(request, lent(pages, attributes)) {
                Ok(Admitted::Link(_)) | Err(_) => {}
                Ok(admitted) => {
                    prop_assert!(u64::from(request.page()) < pages);
                    prop_assert_eq!(request.pages(), 1);
                    prop_assert!(attributes.contains(LeaseAttributes::READ));
                    let fills = admitted == Admitted::Receive;
                    prop_assert!(!fills || attributes.contains(LeaseAttributes::all()));
                    prop_assert!(!fills || request.length() >= ROOM && request.offset() == 0);
                }
            }
        }
    }
}
