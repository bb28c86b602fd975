//! Event records (§7.3).

use crate::Field;

/// 64-bit words of a record.
pub const EVENT_WORDS: usize = 4;
/// Bytes of a record.
pub const EVENT_BYTES: u64 = 32;

/// Fields; of word 1 (bits 127:64 of the record) where it says so.
pub mod bits {
    use super::Field;
    /// Event number.
    pub const NUMBER: Field = Field::bits(7, 0);
    /// A SubstreamID was given.
    pub const SSV: Field = Field::bit(11);
    /// SubstreamID.
    pub const SUBSTREAM_ID: Field = Field::bits(31, 12);
    /// StreamID.
    pub const STREAM_ID: Field = Field::bits(63, 32);
    /// Word 1, bit 95: the transaction is stalled.
    pub const STALL: Field = Field::bit(31);
    /// Word 1, bit 97: privileged.
    pub const PNU: Field = Field::bit(33);
    /// Word 1, bit 98: instruction fetch.
    pub const IND: Field = Field::bit(34);
    /// Word 1, bit 99: read; else write.
    pub const RNW: Field = Field::bit(35);
    /// Word 1, bit 103: stage 2.
    pub const S2: Field = Field::bit(39);
    /// Word 1, bits 105:104: 0 CD fetch, 1 walk, 2 input address.
    pub const CLASS: Field = Field::bits(41, 40);
}

/// Kind of an event; the value is the event number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum EventKind {
    /// Unsupported upstream transaction.
    Unsupported = 0x01,
    /// StreamID outside the stream table.
    BadStreamId = 0x02,
    /// Fetch of the STE aborted.
    StreamFetch = 0x03,
    /// STE invalid.
    BadStream = 0x04,
    /// ATS request refused.
    BadAtsRequest = 0x05,
    /// Transaction without substream where one is needed.
    StreamDisabled = 0x06,
    /// ATS-translated traffic refused.
    TranslatedForbidden = 0x07,
    /// Substream given where none exists.
    BadSubstreamId = 0x08,
    /// Fetch of the CD aborted.
    ContextFetch = 0x09,
    /// CD invalid.
    BadContext = 0x0a,
    /// Table walk aborted.
    WalkAbort = 0x0b,
    /// Nothing is mapped at the address.
    Translation = 0x10,
    /// Address too large.
    AddressSize = 0x11,
    /// Access flag clear.
    AccessFlag = 0x12,
    /// Mapped, but not for this access.
    Permission = 0x13,
    /// Conflicting TLB entries.
    TlbConflict = 0x20,
    /// Conflicting configuration entries.
    ConfigConflict = 0x21,
    /// Page request refused.
    PageRequest = 0x24,
    /// The number is of none of the kinds above; such an event is not fatal by definition.
    Unknown = 0xff,
}

impl EventKind {
    /// Gives the kind of an event number.
    pub const fn from_number(number: u8) -> Self {
        match number {
            0x01 => Self::Unsupported,
            0x02 => Self::BadStreamId,
            0x03 => Self::StreamFetch,
            0x04 => Self::BadStream,
            0x05 => Self::BadAtsRequest,
            0x06 => Self::StreamDisabled,
            0x07 => Self::TranslatedForbidden,
            0x08 => Self::BadSubstreamId,
            0x09 => Self::ContextFetch,
            0x0a => Self::BadContext,
            0x0b => Self::WalkAbort,
            0x10 => Self::Translation,
            0x11 => Self::AddressSize,
            0x12 => Self::AccessFlag,
            0x13 => Self::Permission,
            0x20 => Self::TlbConflict,
            0x21 => Self::ConfigConflict,
            0x24 => Self::PageRequest,
            _ => Self::Unknown,
        }
    }

    /// Whether the record says at which address and in which direction the device accessed.
    pub const fn has_access(self) -> bool {
        matches!(
            self,
            Self::Unsupported
                | Self::TranslatedForbidden
                | Self::WalkAbort
                | Self::Translation
                | Self::AddressSize
                | Self::AccessFlag
                | Self::Permission
                | Self::TlbConflict
        )
    }

    /// The name in the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsupported => "F_UUT",
            Self::BadStreamId => "C_BAD_STREAMID",
            Self::StreamFetch => "F_STE_FETCH",
            Self::BadStream => "C_BAD_STE",
            Self::BadAtsRequest => "F_BAD_ATS_TREQ",
            Self::StreamDisabled => "F_STREAM_DISABLED",
            Self::TranslatedForbidden => "F_TRANSL_FORBIDDEN",
            Self::BadSubstreamId => "C_BAD_SUBSTREAMID",
            Self::ContextFetch => "F_CD_FETCH",
            Self::BadContext => "C_BAD_CD",
            Self::WalkAbort => "F_WALK_EABT",
            Self::Translation => "F_TRANSLATION",
            Self::AddressSize => "F_ADDR_SIZE",
            Self::AccessFlag => "F_ACCESS",
            Self::Permission => "F_PERMISSION",
            Self::TlbConflict => "F_TLB_CONFLICT",
            Self::ConfigConflict => "F_CFG_CONFLICT",
            Self::PageRequest => "E_PAGE_REQUEST",
            Self::Unknown => "unknown event",
        }
    }
}

/// The part of a transaction in which the fault was found (§7.3, CLASS).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Class {
    /// Fetching a context descriptor; also what a record without a class reads as.
    ContextFetch = 0,
    /// Walking a translation table.
    Walk = 1,
    /// Translating the input address.
    Input = 2,
    /// Reserved.
    Reserved = 3,
}

impl Class {
    const fn from_field(value: u64) -> Self {
        match value {
            0 => Self::ContextFetch,
            1 => Self::Walk,
            2 => Self::Input,
            _ => Self::Reserved,
        }
    }
}

/// A decoded record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The kind of event.
    pub kind: EventKind,
    /// Event number as recorded, also of an unknown one.
    pub number: u8,
    /// The stream.
    pub stream: u32,
    /// The device read; meaningless unless [`EventKind::has_access`].
    pub read: bool,
    /// Meaningless unless [`EventKind::has_access`]; QEMU 7.2 leaves that of an input address 0.
    pub class: Class,
    /// Input address, or 0 where the kind has none.
    pub address: u64,
    /// Address of the structure whose fetch failed, or 0 (§7.3.4, §7.3.10, §7.3.12).
    pub fetch: u64,
}

impl Event {
    /// Reads an event from the four words of its record.
    pub const fn decode(words: [u64; EVENT_WORDS]) -> Self {
        let number = bits::NUMBER.get(words[0]) as u8;
        let kind = EventKind::from_number(number);
        let fetch = match kind {
            // QEMU puts the address of a failed CD fetch where the input address would be.
            EventKind::ContextFetch if words[3] == 0 => words[2],
            EventKind::StreamFetch | EventKind::ContextFetch | EventKind::WalkAbort => words[3],
            _ => 0,
        };
        Self {
            kind,
            number,
            stream: bits::STREAM_ID.get(words[0]) as u32,
            read: bits::RNW.is_set(words[1]),
            class: Class::from_field(bits::CLASS.get(words[1])),
            address: if kind.has_access() { words[2] } else { 0 },
            fetch,
        }
    }

    /// A record of a fault without substream, as an SMMU writes it.
    pub const fn encode(&self) -> [u64; EVENT_WORDS] {
        let access = if self.kind.has_access() {
            bits::RNW.put(self.read as u64) | bits::CLASS.put(self.class as u64)
        } else {
            0
        };
        [
            self.number as u64 | bits::STREAM_ID.put(self.stream as u64),
            access,
            self.address,
            self.fetch,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translation_fault_bit_positions() {
        let words = [0x0000_0300_0000_0010, 1 << 35 | 2 << 40, 0x1_0000_0004, 0];
        let event = Event::decode(words);
        assert_eq!(event.kind, EventKind::Translation);
        assert_eq!((event.stream, event.read), (0x300, true));
        assert_eq!((event.address, event.fetch), (0x1_0000_0004, 0));
        assert_eq!(event.class, Class::Input);
        assert_eq!(event.encode(), words);
    }

    #[test]
    fn every_number_decodes_and_comes_back() {
        for number in 0..=255u8 {
            let words = [u64::from(number) | 0xffff_u64 << 32, 0, 0x1000, 0x2000];
            let event = Event::decode(words);
            assert_eq!(event.number, number);
            assert_eq!(event.stream, 0xffff);
            if event.kind != EventKind::Unknown {
                assert_eq!(event.kind as u8, number);
                assert_ne!(event.kind.name(), EventKind::Unknown.name());
            }
            assert_eq!(event.address != 0, event.kind.has_access());
        }
    }

    #[test]
    fn classes() {
        for (field, class) in [
            (0, Class::ContextFetch),
            (1, Class::Walk),
            (2, Class::Input),
            (3, Class::Reserved),
        ] {
            let words = [0x0b, field << 40, 0x1000, 0x2000];
            let event = Event::decode(words);
            assert_eq!(event.class, class);
            assert_eq!(event.encode(), words);
        }
    }

    #[test]
    fn fetch_address_in_either_place() {
        let qemu = Event::decode([0x09, 0, 0x4000_1000, 0]);
        let arm = Event::decode([0x09, 0, 0, 0x4000_1000]);
        assert_eq!(qemu.fetch, 0x4000_1000);
        assert_eq!(arm.fetch, 0x4000_1000);
        assert_eq!((qemu.address, arm.address), (0, 0));
    }

    #[test]
    fn word_1_positions_are_record_positions_minus_64() {
        assert_eq!(bits::STALL.mask(), 1 << (95 - 64));
        assert_eq!(bits::PNU.mask(), 1 << (97 - 64));
        assert_eq!(bits::IND.mask(), 1 << (98 - 64));
        assert_eq!(bits::RNW.mask(), 1 << (99 - 64));
        assert_eq!(bits::S2.mask(), 1 << (103 - 64));
        assert_eq!(bits::CLASS.mask(), 0b11 << (104 - 64));
    }
}
