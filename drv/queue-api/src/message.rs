//! Requests and completions as words.
//!
//! | word of a request | bits | field |
//! |---|---|---|
//! | 0 | 15:0 | tag |
//! | 0 | 19:16 | operation |
//! | 0 | 23:20 | region |
//! | 0 | 43:24 | page |
//! | 0 | 63:44 | length |
//! | 1 | 51:0 | position |
//! | 1 | 63:52 | offset |
//!
//! A completion is one word: tag in bits 15:0, code in 23:16, flags in 31:24, length in 63:32.

use userlib::ipc::Payload;

use crate::{COMPLETIONS_MAX, REQUESTS_MAX};

/// Bytes of a request.
pub const REQUEST_BYTES: usize = 16;
/// Bytes of a completion.
pub const COMPLETION_BYTES: usize = 8;
/// Bytes of the longest reply.
pub const REPLY_BYTES: usize = COMPLETIONS_MAX * COMPLETION_BYTES;

/// The fields of a request. What does not fit its bits becomes the greatest value that does, which no driver grants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fields {
    /// The thing to do; 4 bits. The protocol says what the numbers mean.
    pub operation: u8,
    /// Comes back in the completion; the driver does not look at it.
    pub tag: u16,
    /// The memory that `page` is in: [`crate::LEASE`], or a region that was lent to the driver before. 4 bits.
    pub region: u8,
    /// First page of the data in that memory; 20 bits.
    pub page: u32,
    /// First byte of the data in that page; 12 bits.
    pub offset: u16,
    /// Bytes of the data; 20 bits.
    pub length: u32,
    /// The place on the device; 52 bits.
    pub position: u64,
}

/// One request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Request([u64; 2]);

/// A value of `bits` bits, or the greatest one if it has more.
const fn fit(value: u64, bits: u32) -> u64 {
    let most = (1 << bits) - 1;
    if value > most { most } else { value }
}

impl Request {
    /// From its fields.
    #[inline(always)]
    pub const fn new(fields: &Fields) -> Self {
        let first = fields.tag as u64
            | fit(fields.operation as u64, 4) << 16
            | fit(fields.region as u64, 4) << 20
            | fit(fields.page as u64, 20) << 24
            | fit(fields.length as u64, 20) << 44;
        let second = fit(fields.position, 52) | fit(fields.offset as u64, 12) << 52;
        Self([first, second])
    }
    /// From its words: each pair of words is a request.
    #[inline(always)]
    pub const fn from_words(words: [u64; 2]) -> Self {
        Self(words)
    }
    /// Its words.
    #[inline(always)]
    pub const fn words(self) -> [u64; 2] {
        self.0
    }
    /// The tag.
    #[inline(always)]
    pub const fn tag(self) -> u16 {
        self.0[0] as u16
    }
    /// The operation.
    #[inline(always)]
    pub const fn operation(self) -> u8 {
        (self.0[0] >> 16 & 0xf) as u8
    }
    /// The region.
    #[inline(always)]
    pub const fn region(self) -> u8 {
        (self.0[0] >> 20 & 0xf) as u8
    }
    /// First page of the data.
    #[inline(always)]
    pub const fn page(self) -> u32 {
        (self.0[0] >> 24 & 0xf_ffff) as u32
    }
    /// Bytes of the data.
    #[inline(always)]
    pub const fn length(self) -> u32 {
        (self.0[0] >> 44) as u32
    }
    /// The place on the device.
    #[inline(always)]
    pub const fn position(self) -> u64 {
        self.0[1] << 12 >> 12
    }
    /// First byte of the data in its page.
    #[inline(always)]
    pub const fn offset(self) -> u16 {
        (self.0[1] >> 52) as u16
    }
    /// Pages that the data lies in.
    #[inline(always)]
    pub const fn pages(self) -> u32 {
        (self.offset() as u32 + self.length()).div_ceil(abi::layout::PAGE as u32)
    }
}

/// How one request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion(u64);

impl Completion {
    /// `code` is 0 for success, else one of the protocol's; `length` is the bytes that were transferred.
    #[inline(always)]
    pub const fn new(tag: u16, code: u8, flags: u8, length: u32) -> Self {
        Self(tag as u64 | (code as u64) << 16 | (flags as u64) << 24 | (length as u64) << 32)
    }
    /// From its word.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }
    /// Its word.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        self.0
    }
    /// The request's tag.
    #[inline(always)]
    pub const fn tag(self) -> u16 {
        self.0 as u16
    }
    /// 0, or why the request failed.
    #[inline(always)]
    pub const fn code(self) -> u8 {
        (self.0 >> 16) as u8
    }
    /// Flags that the protocol defines.
    #[inline(always)]
    pub const fn flags(self) -> u8 {
        (self.0 >> 24) as u8
    }
    /// Bytes that were transferred.
    #[inline(always)]
    pub const fn length(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// The payload of a message with the first [`REQUESTS_MAX`] of these requests, and its length in bytes.
#[inline(always)]
pub fn requests_to_words(requests: impl Iterator<Item = Request>) -> (Payload, usize) {
    let mut payload = [0; 8];
    let mut len = 0;
    let (pairs, _) = payload.as_chunks_mut::<2>();
    for (pair, request) in pairs.iter_mut().zip(requests) {
        *pair = request.words();
        len += REQUEST_BYTES;
    }
    (payload, len)
}

/// How many requests a message of `len` bytes has; none if it is no message of requests.
#[inline(always)]
pub const fn requests_in(len: usize) -> Option<usize> {
    if len.is_multiple_of(REQUEST_BYTES) && len <= REQUESTS_MAX * REQUEST_BYTES {
        Some(len / REQUEST_BYTES)
    } else {
        None
    }
}

/// The completions of a reply. A full one may have left others behind.
#[derive(Clone, Copy, Debug)]
pub struct Completions {
    words: Payload,
    next: usize,
    count: usize,
}

impl Completions {
    /// Those in a reply of `len` bytes; none if it is no reply of a queue.
    #[inline(always)]
    pub const fn from_reply(payload: &Payload, len: usize) -> Option<Self> {
        if !len.is_multiple_of(COMPLETION_BYTES) || len > REPLY_BYTES {
            return None;
        }
        Some(Self {
            words: *payload,
            next: 0,
            count: len / COMPLETION_BYTES,
        })
    }
    /// Whether the reply had as many as it can have: the driver may have more.
    pub const fn is_full(&self) -> bool {
        self.count == COMPLETIONS_MAX
    }
}

impl Iterator for Completions {
    type Item = Completion;
    #[inline(always)]
    fn next(&mut self) -> Option<Completion> {
        if self.next == self.count {
            return None;
        }
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(Completion::from_word(*word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn a_request_survives_the_registers(
            (operation, tag, region) in (0u8..16, any::<u16>(), 0u8..16),
            (page, offset, length) in (0u32..1 << 20, 0u16..4096, 0u32..1 << 20),
            position in 0u64..1 << 52,
        ) {
            let fields = Fields { operation, tag, region, page, offset, length, position };
            let request = Request::from_words(Request::new(&fields).words());
            prop_assert_eq!(fields, Fields {
                operation: request.operation(),
                tag: request.tag(),
                region: request.region(),
                page: request.page(),
                offset: request.offset(),
                length: request.length(),
                position: request.position(),
            });
            let bytes = u64::from(offset) + u64::from(length);
            prop_assert_eq!(u64::from(request.pages()), bytes.div_ceil(4096));
        }

        #[test]
        fn a_completion_survives_the_registers(
            (tag, code, flags, length) in (any::<u16>(), any::<u8>(), any::<u8>(), any::<u32>()),
        ) {
            let completion = Completion::from_word(Completion::new(tag, code, flags, length).word());
            prop_assert_eq!(
                (completion.tag(), completion.code(), completion.flags(), completion.length()),
                (tag, code, flags, length)
            );
        }
    }

    #[test]
    fn what_does_not_fit_names_nothing_else() {
        let request = Request::new(&Fields {
            operation: 0x10,
            tag: 5,
            region: 0x21,
            page: 1 << 20,
            offset: 1 << 12,
            length: 1 << 20,
            position: 1 << 52,
        });
        assert_eq!((request.operation(), request.region()), (15, 15));
        assert_eq!((request.page(), request.offset()), (0xf_ffff, 0xfff));
        assert_eq!(request.length(), 0xf_ffff);
        assert_eq!((request.position(), request.tag()), ((1 << 52) - 1, 5));
    }

    #[test]
    fn a_message_takes_four_requests() {
        let all: Vec<Request> = (1..=6)
            .map(|tag| {
                Request::new(&Fields {
                    tag,
                    ..Fields::default()
                })
            })
            .collect();
        let (payload, len) = requests_to_words(all.iter().copied());
        assert_eq!((len, requests_in(len)), (64, Some(4)));
        assert_eq!([payload[6], payload[7]], all[3].words());
        assert_eq!(requests_to_words(core::iter::empty()), ([0; 8], 0));
        for len in [8, 15, 17, 80, usize::MAX] {
            assert_eq!(requests_in(len), None);
        }
    }

    #[test]
    fn a_lying_driver_cannot_overrun_the_client() {
        let payload = [u64::MAX; 8];
        for len in [1, 7, 57, 64, 72, usize::MAX] {
            assert!(Completions::from_reply(&payload, len).is_none(), "{len}");
        }
        for count in 0..=7 {
            let completions = Completions::from_reply(&payload, 8 * count).expect("a reply");
            assert_eq!(completions.is_full(), count == 7);
            assert_eq!(completions.count(), count);
        }
    }
}
