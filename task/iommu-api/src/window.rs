//! Claims and the addresses they give access to.

use userlib::ipc::{Payload, words};
use userlib::protocol::Wire;

use crate::PAGE;

/// Names one claim: the number of its slot in bits 15:0, never 0, and the claim's generation above. Which device it is
/// of only the server knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Handle(pub u64);

impl Handle {
    /// `generation` is below 2^48.
    pub const fn new(slot: u16, generation: u64) -> Self {
        Self(slot as u64 | generation << 16)
    }
    /// The slot's number.
    #[inline(always)]
    pub const fn slot(self) -> usize {
        (self.0 & 0xffff) as usize
    }
    /// Which claim of it.
    pub const fn generation(self) -> u64 {
        self.0 >> 16
    }
}

/// The IOVAs of a domain: a part for pages and a part for blocks of 2 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Window {
    /// First IOVA of the page part.
    pub iova_base: u64,
    /// Pages in it.
    pub pages: u64,
    /// First IOVA of the block part.
    pub block_base: u64,
    /// Blocks of 2 MiB in it.
    pub blocks: u64,
}

impl Wire for Window {
    const LEN: usize = 32;

    fn to_words(&self) -> Payload {
        words([self.iova_base, self.pages, self.block_base, self.blocks])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let &[iova_base, pages, block_base, blocks, ..] = payload;
        iova_base.checked_add(pages.checked_mul(PAGE)?)?;
        block_base.checked_add(blocks.checked_mul(512 * PAGE)?)?;
        Some(Self {
            iova_base,
            pages,
            block_base,
            blocks,
        })
    }
}

/// Answer of `claim`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// For all further requests.
    pub handle: Handle,
    /// The number after which requests go on: 0 for a new claim.
    pub sequence: u64,
    /// The window to map in.
    pub window: Window,
}

impl Wire for Claim {
    const LEN: usize = 48;

    fn to_words(&self) -> Payload {
        let w = self.window;
        words([
            self.handle.0,
            self.sequence,
            w.iova_base,
            w.pages,
            w.block_base,
            w.blocks,
        ])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let &[handle, sequence, base, pages, block_base, blocks, ..] = payload;
        Some(Self {
            handle: Handle(handle),
            sequence,
            window: Window::from_words(&words([base, pages, block_base, blocks]))?,
        })
    }
}

/// Answer of the requests that map: the address, for the device, of what was mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Iova(pub u64);

impl Wire for Iova {
    const LEN: usize = 8;
    #[inline(always)]
    fn to_words(&self) -> Payload {
        words([self.0])
    }
    #[inline(always)]
    fn from_words(payload: &Payload) -> Option<Self> {
        Some(Self(payload[0]))
    }
}
