//! Packed arguments of send, receive and reply.

use bitflags::bitflags;

/// Register `x9` of a send: operation in bits 15:0, message bytes in 31:16, reply capacity in bytes in
/// 47:32, leases in 49:48, bit 50 for a wide one; the other bits must be 0 (else the caller is faulted).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct SendDescriptor(pub u64);

impl SendDescriptor {
    /// Lengths are at most [`MESSAGE_MAX`](crate::MESSAGE_MAX), leases at most 2.
    pub const fn new(operation: u16, len: u16, reply_capacity: u16, leases: u8) -> Self {
        Self(
            operation as u64
                | (len as u64) << 16
                | (reply_capacity as u64) << 32
                | (leases as u64) << 48,
        )
    }
    /// The operation asked of the server.
    pub const fn operation(self) -> u16 {
        self.0 as u16
    }
    /// Bytes in the message.
    pub const fn len(self) -> usize {
        (self.0 >> 16 & 0xffff) as usize
    }
    /// Whether the message has no payload.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// Bytes the sender can take in the reply.
    pub const fn reply_capacity(self) -> usize {
        (self.0 >> 32 & 0xffff) as usize
    }
    /// Number of leases.
    pub const fn leases(self) -> usize {
        (self.0 >> 48 & 3) as usize
    }
    /// The same for a message, and a reply, of which 128 bytes travel in registers, and neither may be longer.
    pub const fn wide(self) -> Self {
        Self(self.0 | WIDE)
    }
    /// Whether message and reply are in registers up to 128 bytes.
    pub const fn is_wide(self) -> bool {
        self.0 & WIDE != 0
    }
    /// The same in the form of one that is not wide.
    pub const fn narrow(self) -> Self {
        Self(self.0 & !WIDE)
    }
    /// Bits that must be zero.
    pub const RESERVED: u64 = !0 << 51;
}

/// Bit of a descriptor of a wide send, a wide delivery or a wide reply: up to 128 bytes are in `x0..=x7` and
/// `x20..=x27`.
pub const WIDE: u64 = 1 << 50;

/// Bit of a receive's mask: wide messages are taken in registers. Whoever does not set it finds them in its buffer.
pub const TAKES_WIDE: u64 = 1 << 32;

/// Register `x9` of a message delivered by a receive: the sender's [`SendDescriptor`], with [`WIDE`] only if the
/// message is in registers.
pub type Delivery = SendDescriptor;

/// Register `x9` of a reply: code in bits 31:0, bytes in 47:32, bit 50 for a wide one; the other bits must be 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct ReplyDescriptor(pub u64);

impl ReplyDescriptor {
    /// `code` is at most [`Code::SERVER_LAST`](crate::Code::SERVER_LAST); `len` at most the
    /// caller's reply capacity (a longer reply faults the server).
    pub const fn new(code: u32, len: u16) -> Self {
        Self(code as u64 | (len as u64) << 32)
    }
    /// The result code.
    pub const fn code(self) -> u32 {
        self.0 as u32
    }
    /// Bytes in the reply.
    pub const fn len(self) -> usize {
        (self.0 >> 32 & 0xffff) as usize
    }
    /// Whether the reply has no payload.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// The same for a reply of which 128 bytes are in registers; it may not be longer.
    pub const fn wide(self) -> Self {
        Self(self.0 | WIDE)
    }
    /// Whether up to 128 bytes are in registers.
    pub const fn is_wide(self) -> bool {
        self.0 & WIDE != 0
    }
    /// Bits that must be zero.
    pub const RESERVED: u64 = !0 << 48 & !WIDE;
}

bitflags! {
    /// The accesses that a lease grants to its borrower.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct LeaseAttributes: u32 {
        /// The borrower may read.
        const READ = 1;
        /// The borrower may write.
        const WRITE = 2;
    }
}

/// Second register of a lease: bytes in bits 31:0, [`LeaseAttributes`] in 33:32, rest 0. A lease lies
/// in one region of the lender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Lease(pub u64);

impl Lease {
    /// A lease of `len` bytes.
    pub const fn new(len: u32, attributes: LeaseAttributes) -> Self {
        Self(len as u64 | (attributes.bits() as u64) << 32)
    }
    /// Bytes lent.
    pub const fn len(self) -> u64 {
        self.0 & 0xffff_ffff
    }
    /// Whether nothing is lent.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// The accesses that the lease grants.
    pub const fn attributes(self) -> LeaseAttributes {
        LeaseAttributes::from_bits_truncate((self.0 >> 32) as u32)
    }
    /// Bits that must be zero.
    pub const RESERVED: u64 = !0 << 34;
}
