//! Requests that exchange pages, and how they travel in words.

use userlib::ipc::Payload;
use userlib::protocol::Wire;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Extent, Handle, Map, MapFlags, Sequenced};

/// `exchange`: an extent of the caller's pool takes the place of what is mapped from `iova` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// Claim and number.
    pub head: Sequenced,
    /// Pages of the pool.
    pub extent: Extent,
    /// The pool's number in the caller.
    pub pool: u16,
    /// Rights; no option is possible.
    pub flags: MapFlags,
    /// First IOVA of what is unmapped, and of what is mapped.
    pub iova: u64,
}

/// On the wire it is a `map`, but for the number of its operation.
impl Wire for Exchange {
    const LEN: usize = Map::LEN;
    #[inline(always)]
    fn to_words(&self) -> Payload {
        let Self {
            head,
            extent,
            pool,
            flags,
            iova,
        } = *self;
        Map {
            head,
            extent,
            pool,
            flags,
            iova,
        }
        .to_words()
    }
    #[inline(always)]
    fn from_words(payload: &Payload) -> Option<Self> {
        let Map {
            head,
            extent,
            pool,
            flags,
            iova,
        } = Map::from_words(payload)?;
        Some(Self {
            head,
            extent,
            pool,
            flags,
            iova,
        })
    }
}

/// A page of a pool, and the IOVA (by IOVA / 4096) at which it takes the place of another. On the wire one 64-bit word,
/// `page` in its low half.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Replacement {
    /// Page of the pool.
    pub page: u32,
    /// Page of the window.
    pub at: u32,
}

impl Replacement {
    /// Encodes the replacement as a word.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        self.page as u64 | (self.at as u64) << 32
    }
    /// From a word.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            page: word as u32,
            at: (word >> 32) as u32,
        }
    }
}

/// `exchange_list`: this header, then [`Replacement`] words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExchangeList {
    /// Claim and number.
    pub head: Sequenced,
    /// The pool's number in the caller.
    pub pool: u16,
    /// Rights; no option is possible.
    pub flags: MapFlags,
}

impl ExchangeList {
    /// Words of the header.
    pub const WORDS: usize = 3;
    /// Most replacements.
    pub const REPLACEMENTS_MAX: usize = abi::MESSAGE_MAX / 8 - Self::WORDS;
    /// The header's words.
    pub fn to_words(self) -> [u64; Self::WORDS] {
        [
            self.head.handle.0,
            self.head.sequence,
            u64::from(self.pool) | u64::from(self.flags.0) << 16,
        ]
    }
    /// Reads them back.
    pub fn from_words(header: &[u64; Self::WORDS]) -> Option<Self> {
        let &[handle, sequence, what] = header;
        Some(Self {
            head: Sequenced {
                handle: Handle(handle),
                sequence,
            },
            pool: what as u16,
            flags: MapFlags::checked(what >> 16)?,
        })
    }
}
