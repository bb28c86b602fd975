//! One message.

use abi::LeaseAttributes;
use userlib::ipc::Payload;

/// Words of the longest message.
pub const LONG_WORDS: usize = abi::MESSAGE_MAX / 8;

/// A part of the fuzzer's pool that is lent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lent {
    /// Offset in the pool.
    pub offset: usize,
    /// Bytes; offset and length together stay inside the pool.
    pub len: usize,
    /// What the borrower may do.
    pub attributes: LeaseAttributes,
}

impl Lent {
    /// Nothing.
    pub const NOTHING: Self = Self {
        offset: 0,
        len: 0,
        attributes: LeaseAttributes::empty(),
    };
}

/// A message, without the part beyond 64 bytes: that is in the generator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shot {
    /// What is asked.
    pub operation: u16,
    /// The first 64 bytes.
    pub payload: Payload,
    /// Bytes, at most [`abi::MESSAGE_MAX`].
    pub len: usize,
    /// Bytes that the reply may have, at most [`abi::MESSAGE_MAX`].
    pub reply_capacity: usize,
    /// What is lent.
    pub leases: [Lent; 2],
    /// How many of them.
    pub lease_count: usize,
    /// Added to the generation of the target's id: anything but 0 names a life that is not.
    pub life: u64,
}

impl Shot {
    /// An honest message without leases.
    pub const fn new(operation: u16, payload: Payload, len: usize, reply_capacity: usize) -> Self {
        Self {
            operation,
            payload,
            len,
            reply_capacity,
            leases: [Lent::NOTHING; 2],
            lease_count: 0,
            life: 0,
        }
    }

    /// With one lease.
    pub const fn lending(mut self, lent: Lent) -> Self {
        self.leases = [lent, Lent::NOTHING];
        self.lease_count = 1;
        self
    }
}
