//! Requests, and how they travel in words.

use userlib::ipc::{Payload, words};
use userlib::protocol::Wire;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Handle;

/// Number of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Operation {
    /// The window of a device.
    Describe = 1,
    /// Take the device: it is made quiet, its stream opened, its bus mastering turned on.
    Claim = 2,
    /// Give it back: cut off, emptied; made quiet first if anything is still mapped.
    Release = 3,
    /// Map an extent of the caller's pool.
    Map = 4,
    /// Map a lease that a client gave the caller.
    MapLease = 5,
    /// Map extents of the caller's pool to one run of IOVAs.
    MapList = 6,
    /// Unmap a run of IOVAs.
    Unmap = 7,
    /// Unmap several.
    UnmapList = 8,
    /// Wait until everything unmapped before is gone from the SMMU.
    Flush = 9,
    /// Take the oldest fault.
    NextFault = 10,
    /// State and counters of a device.
    Status = 11,
    /// Map an extent of the caller's pool in the place of what is mapped.
    Exchange = 12,
    /// Map single pages of the caller's pool in the places of others.
    ExchangeList = 13,
    /// Pin a pool that a client lends as a whole.
    Register = 14,
    /// Give it back.
    Unregister = 15,
}

impl Operation {
    /// The operation of a message.
    pub const fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Describe,
            2 => Self::Claim,
            3 => Self::Release,
            4 => Self::Map,
            5 => Self::MapLease,
            6 => Self::MapList,
            7 => Self::Unmap,
            8 => Self::UnmapList,
            9 => Self::Flush,
            10 => Self::NextFault,
            11 => Self::Status,
            12 => Self::Exchange,
            13 => Self::ExchangeList,
            14 => Self::Register,
            15 => Self::Unregister,
            _ => return None,
        })
    }
}

/// Rights and options of a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct MapFlags(pub u16);

impl MapFlags {
    /// The device may read. Needed in every mapping: stage 1 cannot express less.
    pub const READ: Self = Self(1 << 0);
    /// The device may read and write.
    pub const READ_WRITE: Self = Self(1 << 0 | 1 << 1);
    /// At the IOVA given; else the server chooses.
    pub const FIXED: u16 = 1 << 2;
    /// In blocks of 2 MiB, in the window's block part: page numbers and counts are multiples of
    /// [`crate::BLOCK_PAGES`], and so is the memory's physical page.
    pub const BLOCKS: u16 = 1 << 3;
    const DEFINED: u16 = 0xf;

    /// With another flag.
    pub const fn with(self, flag: u16) -> Self {
        Self(self.0 | flag)
    }
    /// Whether there are rights in it and nothing else.
    pub const fn only_rights(self) -> bool {
        self.0 & !Self::READ_WRITE.0 == 0
    }
    /// Whether a flag is set.
    pub const fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }
    /// Whether the device may read.
    pub const fn readable(self) -> bool {
        self.0 & 1 != 0
    }
    /// Whether the device may write.
    pub const fn writable(self) -> bool {
        self.0 & 2 != 0
    }
    /// The flags that a message gives; `None` if it sets others.
    #[inline(always)]
    pub const fn checked(bits: u64) -> Option<Self> {
        if bits & !(Self::DEFINED as u64) == 0 {
            Some(Self(bits as u16))
        } else {
            None
        }
    }
}

/// A run of pages: of a pool (by page number in it) or of IOVAs (by IOVA / 4096). On the wire one
/// 64-bit word, `first` in its low half.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Extent {
    /// First page.
    pub first: u32,
    /// How many, at least 1.
    pub pages: u32,
}

impl Extent {
    /// Encodes the extent as a word.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        self.first as u64 | (self.pages as u64) << 32
    }
    /// From a word.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            first: word as u32,
            pages: (word >> 32) as u32,
        }
    }
}

/// `describe`, `claim`, `status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceRequest {
    /// The device's number.
    pub device: u32,
}

impl Wire for DeviceRequest {
    const LEN: usize = 8;
    fn to_words(&self) -> Payload {
        words([u64::from(self.device)])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        u32::try_from(payload[0]).ok().map(|device| Self { device })
    }
}

/// `next_fault`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HandleRequest {
    /// The claim.
    pub handle: Handle,
}

impl Wire for HandleRequest {
    const LEN: usize = 8;
    fn to_words(&self) -> Payload {
        words([self.handle.0])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        Some(Self {
            handle: Handle(payload[0]),
        })
    }
}

/// `release`, `flush`; and how every request that changes something begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sequenced {
    /// The claim.
    pub handle: Handle,
    /// Number of the request.
    pub sequence: u64,
}

impl Wire for Sequenced {
    const LEN: usize = 16;
    fn to_words(&self) -> Payload {
        words([self.handle.0, self.sequence])
    }
    #[inline(always)]
    fn from_words(payload: &Payload) -> Option<Self> {
        Some(Self {
            handle: Handle(payload[0]),
            sequence: payload[1],
        })
    }
}

/// `map`: an extent of the caller's pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Map {
    /// Claim and number.
    pub head: Sequenced,
    /// Pages of the pool.
    pub extent: Extent,
    /// The pool's number in the caller, from 0.
    pub pool: u16,
    /// Rights and options.
    pub flags: MapFlags,
    /// The address to map at, with [`MapFlags::FIXED`]; else 0.
    pub iova: u64,
}

impl Wire for Map {
    const LEN: usize = 40;
    #[inline(always)]
    fn to_words(&self) -> Payload {
        words([
            self.head.handle.0,
            self.head.sequence,
            self.extent.to_word(),
            u64::from(self.pool) | u64::from(self.flags.0) << 16,
            self.iova,
        ])
    }
    #[inline(always)]
    fn from_words(payload: &Payload) -> Option<Self> {
        Some(Self {
            head: Sequenced::from_words(payload)?,
            extent: Extent::from_word(payload[2]),
            pool: payload[3] as u16,
            flags: MapFlags::checked(payload[3] >> 16)?,
            iova: payload[4],
        })
    }
}

/// `map_lease`: pages of a lease that `lender` gave the caller and still waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapLease {
    /// Claim and number.
    pub head: Sequenced,
    /// Pages from the start of the lease, which lies on a page boundary.
    pub extent: Extent,
    /// Index of the lease in the lender's message, 0 or 1.
    pub lease: u16,
    /// Rights and options; blocks are not possible.
    pub flags: MapFlags,
    /// The address to map at, with [`MapFlags::FIXED`]; else 0.
    pub iova: u64,
    /// The client's [`abi::TaskId`].
    pub lender: u64,
}

impl Wire for MapLease {
    const LEN: usize = 48;
    fn to_words(&self) -> Payload {
        words([
            self.head.handle.0,
            self.head.sequence,
            self.extent.to_word(),
            u64::from(self.lease) | u64::from(self.flags.0) << 16,
            self.iova,
            self.lender,
        ])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        Some(Self {
            head: Sequenced::from_words(payload)?,
            extent: Extent::from_word(payload[2]),
            lease: payload[3] as u16,
            flags: MapFlags::checked(payload[3] >> 16)?,
            iova: payload[4],
            lender: payload[5],
        })
    }
}

/// `register`: a lease that `lender` gave the caller and still waits for, as a pool of the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Register {
    /// Claim and number.
    pub head: Sequenced,
    /// Pages from the start of the lease, which lies on a page boundary.
    pub extent: Extent,
    /// Index of the lease in the lender's message, 0 or 1.
    pub lease: u16,
    /// The client's [`abi::TaskId`].
    pub lender: u64,
}

impl Wire for Register {
    const LEN: usize = 40;
    fn to_words(&self) -> Payload {
        words([
            self.head.handle.0,
            self.head.sequence,
            self.extent.to_word(),
            u64::from(self.lease),
            self.lender,
        ])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        Some(Self {
            head: Sequenced::from_words(payload)?,
            extent: Extent::from_word(payload[2]),
            lease: u16::try_from(payload[3]).ok()?,
            lender: payload[4],
        })
    }
}

/// `unregister`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unregister {
    /// Claim and number.
    pub head: Sequenced,
    /// The pool's number, as `register` returned it.
    pub pool: u16,
}

impl Wire for Unregister {
    const LEN: usize = 24;
    fn to_words(&self) -> Payload {
        words([self.head.handle.0, self.head.sequence, u64::from(self.pool)])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        Some(Self {
            head: Sequenced::from_words(payload)?,
            pool: u16::try_from(payload[2]).ok()?,
        })
    }
}

/// `unmap`: whatever is mapped there, all of it mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unmap {
    /// Claim and number.
    pub head: Sequenced,
    /// First IOVA.
    pub iova: u64,
    /// Pages; in the block part a multiple of [`crate::BLOCK_PAGES`].
    pub pages: u64,
}

impl Wire for Unmap {
    const LEN: usize = 32;
    #[inline(always)]
    fn to_words(&self) -> Payload {
        words([
            self.head.handle.0,
            self.head.sequence,
            self.iova,
            self.pages,
        ])
    }
    #[inline(always)]
    fn from_words(payload: &Payload) -> Option<Self> {
        Some(Self {
            head: Sequenced::from_words(payload)?,
            iova: payload[2],
            pages: payload[3],
        })
    }
}

/// `map_list`: this header, then [`Extent`] words of one pool, which get one run of IOVAs in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapList {
    /// Claim and number.
    pub head: Sequenced,
    /// The pool's number in the caller.
    pub pool: u16,
    /// Rights and options; blocks are not possible.
    pub flags: MapFlags,
    /// The address to map at, with [`MapFlags::FIXED`]; else 0.
    pub iova: u64,
}

impl MapList {
    /// Words of the header.
    pub const WORDS: usize = 4;
    /// Most extents.
    pub const EXTENTS_MAX: usize = abi::MESSAGE_MAX / 8 - Self::WORDS;
    /// The header's words.
    pub fn to_words(self) -> [u64; Self::WORDS] {
        [
            self.head.handle.0,
            self.head.sequence,
            u64::from(self.pool) | u64::from(self.flags.0) << 16,
            self.iova,
        ]
    }
    /// Reads them back.
    pub fn from_words(header: &[u64; Self::WORDS]) -> Option<Self> {
        let &[handle, sequence, what, iova] = header;
        Some(Self {
            head: Sequenced {
                handle: Handle(handle),
                sequence,
            },
            pool: what as u16,
            flags: MapFlags::checked(what >> 16)?,
            iova,
        })
    }
}

/// `unmap_list`: this header, then [`Extent`] words of IOVA pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnmapList {
    /// Claim and number.
    pub head: Sequenced,
}

impl UnmapList {
    /// Words of the header.
    pub const WORDS: usize = 2;
    /// Most extents.
    pub const EXTENTS_MAX: usize = abi::MESSAGE_MAX / 8 - Self::WORDS;
    /// The header's words.
    pub fn to_words(self) -> [u64; Self::WORDS] {
        [self.head.handle.0, self.head.sequence]
    }
    /// Reads them back.
    pub fn from_words(header: &[u64; Self::WORDS]) -> Self {
        Self {
            head: Sequenced {
                handle: Handle(header[0]),
                sequence: header[1],
            },
        }
    }
}
