//! What a task claims in a call: the message, the room for a reply, leases, and the buffer of a receive.

use abi::{
    FaultKind, LEASES_MAX, Lease, MESSAGE_MAX, REGISTER_BYTES, SendDescriptor, TAKES_WIDE, TaskId,
    WIDE,
};
use plan::kernel::RegionAttributes;

use super::Task;
use crate::claim::{Checked, Claim};
use crate::outcome::{Violation, violation};

/// A lease of the message that a task waits for the reply to, validated when it was sent.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct HeldLease {
    pub address: u64,
    pub physical: u64,
    /// The [`abi::Lease`] as the sender gave it.
    pub descriptor: u64,
    /// [`plan::kernel::RegionAttributes`] bits of the region it lies in.
    pub region: u64,
}

impl HeldLease {
    pub const NONE: Self = Self {
        address: 0,
        physical: 0,
        descriptor: 0,
        region: 0,
    };
}

/// A message on its way to a receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub sender: TaskId,
    pub descriptor: SendDescriptor,
    pub payload: [u64; 8],
    /// Descriptors of its leases, 0 where there is none.
    pub leases: [u64; LEASES_MAX],
    /// Where it is, if it is longer than the registers hold.
    pub physical: u64,
}

impl Task<'_> {
    /// Checks a claim of this task. The span is tried first: most buffers of a task are in its stack.
    #[inline(always)]
    pub(crate) fn check(&mut self, claim: Claim, access: RegionAttributes) -> Option<Checked> {
        if claim.len == 0 {
            return Some(Checked::EMPTY);
        }
        match self.span.check(claim, access) {
            None => self.search(claim, access),
            found => found,
        }
    }

    #[inline(never)]
    fn search(&mut self, claim: Claim, access: RegionAttributes) -> Option<Checked> {
        let region = *claim.find(self.regions(), access)?;
        self.span.remember(&region);
        Some(claim.within(&region))
    }

    /// Checks message, reply buffer and leases of a send, and keeps where they are.
    #[inline(always)]
    pub(crate) fn check_send(&mut self, descriptor: SendDescriptor) -> Result<(), Violation> {
        let bad = |address| violation(FaultKind::BadSlice, address);
        let capacity = descriptor.reply_capacity();
        self.descriptor = descriptor.0;
        self.reply_limit = capacity.min(REGISTER_BYTES) as u64;
        self.lease_count = descriptor.leases() as u32;
        // What another call left must never be taken for this one's.
        (self.message_physical, self.reply_physical) = (0, 0);
        let in_memory = !descriptor.is_wide();
        (self.reply_capacity, self.wide_room) = if in_memory {
            (capacity as u64, 0)
        } else {
            (0, ((descriptor.0 & WIDE) >> 32) as u32 | capacity as u32)
        };
        if in_memory && descriptor.len() > REGISTER_BYTES {
            let address = self.frame.x[10];
            let message = Claim::new(address, descriptor.len() as u64);
            let checked = self.check(message, RegionAttributes::READ);
            self.message_physical = checked.ok_or(bad(address))?.physical;
        }
        if in_memory && capacity > REGISTER_BYTES {
            let address = self.frame.x[11];
            let reply = Claim::new(address, capacity as u64);
            let checked = self.check(reply, RegionAttributes::WRITE);
            self.reply_physical = checked.ok_or(bad(address))?.physical;
        }
        if descriptor.leases() > 0 {
            let (address, lease) = (self.frame.x[12], Lease(self.frame.x[13]));
            self.leases[0] = self.check_lease(address, lease)?;
        }
        if descriptor.leases() > 1 {
            let (address, lease) = (self.frame.x[14], Lease(self.frame.x[15]));
            self.leases[1] = self.check_lease(address, lease)?;
        }
        Ok(())
    }

    fn check_lease(&mut self, address: u64, lease: Lease) -> Result<HeldLease, Violation> {
        if lease.0 & Lease::RESERVED != 0 {
            return Err(violation(FaultKind::SyscallUsage, lease.0));
        }
        // The bits of a lease's attributes and of a region's are the same two.
        let access = RegionAttributes::from_bits_truncate(lease.attributes().bits());
        let checked = self
            .check(Claim::new(address, lease.len()), access)
            .ok_or(violation(FaultKind::BadSlice, address))?;
        Ok(HeldLease {
            address,
            physical: checked.physical,
            descriptor: lease.0,
            region: u64::from(checked.attributes.bits()),
        })
    }

    /// Nothing of a call is left.
    #[inline(always)]
    pub(super) fn end_call(&mut self) {
        (self.lease_count, self.wide_room) = (0, 0);
        (self.message_physical, self.reply_physical) = (0, 0);
    }

    /// The message that it sends, as it was checked.
    #[inline(always)]
    pub(crate) fn message(&self) -> Message {
        let lease = |number: usize| {
            if self.lease_count > number as u32 {
                self.leases[number].descriptor
            } else {
                0
            }
        };
        Message {
            sender: self.id,
            descriptor: SendDescriptor(self.descriptor),
            payload: self.frame.payload(),
            leases: [lease(0), lease(1)],
            physical: self.message_physical,
        }
    }

    /// A lease of its message.
    pub(crate) fn lease(&self, number: u64) -> Option<HeldLease> {
        if number >= u64::from(self.lease_count) {
            return None;
        }
        let number = usize::try_from(number).ok()?;
        self.leases.get(number).copied()
    }

    /// The longest reply of this length's kind, in registers or not, that it can take.
    #[inline(always)]
    pub(crate) fn reply_room(&self, len: usize) -> u64 {
        if len > REGISTER_BYTES {
            // One of the two is 0.
            self.reply_capacity | u64::from(self.wide_room & 0xffff)
        } else {
            self.reply_limit
        }
    }

    /// Whether the reply that it waits for comes in registers, up to 128 bytes.
    #[inline(always)]
    pub(crate) fn awaits_wide(&self) -> bool {
        self.wide_room != 0
    }

    /// Whether its receive takes wide messages in registers.
    #[inline(always)]
    pub(crate) fn takes_wide(&self) -> bool {
        self.mask & TAKES_WIDE != 0
    }

    /// Where a reply longer than the registers hold goes.
    #[inline(always)]
    pub(crate) fn reply_physical(&self) -> u64 {
        self.reply_physical
    }

    /// Checks the buffer of a receive, and keeps where it is.
    #[inline(always)]
    pub(crate) fn check_buffer(&mut self, address: u64, capacity: u64) -> Result<(), Violation> {
        if (address, capacity) == (self.receive_address, self.receive_capacity) {
            return Ok(());
        }
        if capacity > MESSAGE_MAX as u64 {
            return Err(violation(FaultKind::SyscallUsage, capacity));
        }
        let checked = self
            .check(Claim::new(address, capacity), RegionAttributes::WRITE)
            .ok_or(violation(FaultKind::BadSlice, address))?;
        self.receive_address = address;
        self.receive_capacity = capacity;
        self.receive_physical = checked.physical;
        Ok(())
    }

    /// Mask of the receive that it made last, address and capacity of its buffer. At first no bit and no buffer.
    #[inline(always)]
    pub(crate) fn last_receive(&self) -> [u64; 3] {
        [self.mask, self.receive_address, self.receive_capacity]
    }

    /// Where it receives messages that are longer than the registers hold, and how much of them.
    #[inline(always)]
    pub(crate) fn buffer(&self) -> (u64, u64) {
        (self.receive_physical, self.receive_capacity)
    }
}

const _: () = assert!(
    abi::LeaseAttributes::READ.bits() == RegionAttributes::READ.bits()
        && abi::LeaseAttributes::WRITE.bits() == RegionAttributes::WRITE.bits()
);
