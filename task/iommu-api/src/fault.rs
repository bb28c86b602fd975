//! Faults and the state of a device, as the server tells them.

use userlib::ipc::{Payload, words};
use userlib::protocol::Wire;

/// Answer of `next_fault`: accesses of one StreamID, kind and direction to one page, in close succession.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FaultRecord {
    /// Event number of the SMMU (IHI 0070 §7.3): 0x10 nothing mapped, 0x13 not for this access; 0: this
    /// record only says that some were lost.
    pub event: u8,
    /// The device read; else it wrote.
    pub read: bool,
    /// StreamID of the accesses, as the SMMU recorded it (IHI 0070 §7.3, bits 63:32 of the record); 0 in
    /// a record that only says that some were lost.
    pub stream: u32,
    /// The IOVA of the first access.
    pub iova: u64,
    /// Accesses recorded; 0 in a record that only says that some were lost.
    pub count: u64,
    /// Records lost before this one, because the claimant did not fetch them in time or the
    /// hardware's queue overflowed.
    pub lost: u64,
}

/// Answer of `next_fault`: the oldest fault that was not fetched yet, if there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OldestFault(pub Option<FaultRecord>);

impl Wire for OldestFault {
    const LEN: usize = 32;
    fn to_words(&self) -> Payload {
        self.0.map_or([0; 8], |fault| {
            words([
                1 | u64::from(fault.event) << 8
                    | u64::from(fault.read) << 16
                    | u64::from(fault.stream) << 32,
                fault.iova,
                fault.count,
                fault.lost,
            ])
        })
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let &[head, iova, count, lost, ..] = payload;
        if head == 0 {
            return Some(Self(None));
        }
        (head as u32 & !0x1_ff01 == 0 && head & 1 == 1).then_some(Self(Some(FaultRecord {
            event: (head >> 8) as u8,
            read: head >> 16 & 1 == 1,
            stream: (head >> 32) as u32,
            iova,
            count,
            lost,
        })))
    }
}

/// State of a device, in [`Status`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatusFlags(pub u8);

impl StatusFlags {
    /// Somebody has claimed it.
    pub const CLAIMED: u8 = 1 << 0;
    /// The device's stream translates.
    pub const OPEN: u8 = 1 << 1;
    /// The device's stream was blocked after a storm of faults.
    pub const STORM: u8 = 1 << 2;
    /// The device is being made quiet.
    pub const QUIESCING: u8 = 1 << 3;
    /// The device could not be made quiet; memory that it could reach stays held.
    pub const STUCK: u8 = 1 << 4;
    /// The device differs from the plan, or the plan blocks it.
    pub const BLOCKED: u8 = 1 << 5;

    /// Whether a flag is set.
    pub const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// Answer of `status`. Counts are since the server's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// [`StatusFlags`].
    pub flags: StatusFlags,
    /// Event number of the last fault, 0 if there was none.
    pub last_event: u8,
    /// Whether its access was a read.
    pub last_read: bool,
    /// StreamID of the last fault as the SMMU recorded it, 0 if there was none.
    pub last_stream: u32,
    /// IOVA of the last fault.
    pub last_iova: u64,
    /// Blocked accesses that the SMMU recorded.
    pub faults: u64,
    /// Records of this SMMU that were lost in hardware; each may have been of any device.
    pub lost: u64,
    /// Pages mapped for the device; a block counts 512.
    pub mapped_pages: u64,
    /// Claims so far.
    pub claims: u64,
}

impl Wire for Status {
    const LEN: usize = 48;

    fn to_words(&self) -> Payload {
        words([
            u64::from(self.flags.0)
                | u64::from(self.last_event) << 8
                | u64::from(self.last_read) << 16
                | u64::from(self.last_stream) << 32,
            self.last_iova,
            self.faults,
            self.lost,
            self.mapped_pages,
            self.claims,
        ])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let &[head, last_iova, faults, lost, mapped_pages, claims, ..] = payload;
        (head as u32 >> 17 == 0).then_some(Self {
            flags: StatusFlags(head as u8),
            last_event: (head >> 8) as u8,
            last_read: head >> 16 & 1 == 1,
            last_stream: (head >> 32) as u32,
            last_iova,
            faults,
            lost,
            mapped_pages,
            claims,
        })
    }
}
