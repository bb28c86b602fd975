//! A set of tables in one run of bytes, read in place.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::{Known, MUST_UNDERSTAND, Record};
use crate::table::Table;

/// Start of a blob.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Header {
    pub magic: u32,
    pub version: u16,
    pub sections: u16,
    pub len: u64,
}

/// Place of one table in the blob.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Section {
    pub kind: u32,
    pub stride: u32,
    pub offset: u32,
    pub count: u32,
}

pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"PLAN");
/// Changes whenever a reader of before would misread something: a record that only becomes longer is no such change.
pub(crate) const VERSION: u16 = 4;

/// Why bytes are not a readable blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlobError {
    /// Too short, or not a blob at all.
    NotABlob,
    /// Written by another version of the build tool.
    Version(u16),
    /// A table lies outside the bytes, or its records are not what this reader can read.
    Malformed(u32),
    /// A table that must be understood is not known to this reader, or not to its end.
    NotUnderstood(u32),
}

/// Tables in `bytes`, which must be 8-byte aligned.
#[derive(Clone, Copy)]
pub struct Blob<'a> {
    bytes: &'a [u8],
    sections: &'a [Section],
}

impl<'a> Blob<'a> {
    /// Checks the header and the list of tables.
    pub fn new(bytes: &'a [u8]) -> Result<Self, BlobError> {
        let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| BlobError::NotABlob)?;
        if header.magic != MAGIC {
            return Err(BlobError::NotABlob);
        }
        if header.version != VERSION {
            return Err(BlobError::Version(header.version));
        }
        let len = usize::try_from(header.len).map_err(|_| BlobError::NotABlob)?;
        let bytes = bytes.get(..len).ok_or(BlobError::NotABlob)?;
        let (sections, _) =
            <[Section]>::ref_from_prefix_with_elems(rest, usize::from(header.sections))
                .map_err(|_| BlobError::NotABlob)?;
        Ok(Self { bytes, sections })
    }

    /// Reads only the length that a blob's header claims; for a reader that maps more than it needs.
    pub fn claimed_len(bytes: &[u8]) -> Option<u64> {
        let (header, _) = Header::ref_from_prefix(bytes).ok()?;
        (header.magic == MAGIC).then_some(header.len)
    }

    /// Refuses a blob with a table that must be understood and is not among `known`, or has longer records.
    pub fn check_understood(&self, known: &[Known]) -> Result<(), BlobError> {
        for section in self.sections {
            let kind = section.kind & !MUST_UNDERSTAND;
            let covers = |known: &Known| known.covers(kind, section.stride);
            if section.kind != kind && !known.iter().any(covers) {
                return Err(BlobError::NotUnderstood(kind));
            }
        }
        Ok(())
    }

    /// The table of `T`; empty if the blob has none. Of records that are longer, the part that this reader knows.
    pub fn table<T: Record>(&self) -> Result<Table<'a, T>, BlobError> {
        let Some(section) = self.section::<T>() else {
            return Ok(Table::EMPTY);
        };
        let (bytes, stride) = (self.records(section)?, section.stride as usize);
        let whole = stride >= size_of::<T>() && stride.is_multiple_of(align_of::<T>());
        let aligned = bytes.as_ptr().addr().is_multiple_of(align_of::<T>());
        if !whole || !aligned {
            return Err(BlobError::Malformed(T::KIND));
        }
        Ok(Table::new(bytes, stride, section.count as usize))
    }

    /// The table of `T`, whose records are just as long as this reader's; empty if the blob has none. For readers whose
    /// program is built with the plan.
    pub fn exact<T: Record>(&self) -> Result<&'a [T], BlobError> {
        let Some(section) = self.section::<T>() else {
            return Ok(&[]);
        };
        let malformed = BlobError::Malformed(T::KIND);
        if section.stride as usize != size_of::<T>() {
            return Err(malformed);
        }
        let from = self.bytes.get(section.offset as usize..).ok_or(malformed)?;
        <[T]>::ref_from_prefix_with_elems(from, section.count as usize)
            .map(|(table, _)| table)
            .map_err(|_| malformed)
    }

    /// The only record of a table that must have exactly one, as [`Self::table`] reads it.
    pub fn one<T: Record>(&self) -> Result<&'a T, BlobError> {
        let table = self.table::<T>()?;
        match (table.first(), table.len()) {
            (Some(record), 1) => Ok(record),
            _ => Err(BlobError::Malformed(T::KIND)),
        }
    }

    /// The only record of a table that must have exactly one, as [`Self::exact`] reads it.
    pub fn exactly_one<T: Record>(&self) -> Result<&'a T, BlobError> {
        match self.exact::<T>()? {
            [record] => Ok(record),
            _ => Err(BlobError::Malformed(T::KIND)),
        }
    }

    fn section<T: Record>(&self) -> Option<&'a Section> {
        let mut sections = self.sections.iter();
        sections.find(|section| section.kind & !MUST_UNDERSTAND == T::KIND)
    }

    /// The bytes of a table.
    fn records(&self, section: &Section) -> Result<&'a [u8], BlobError> {
        let len = (section.stride as usize).checked_mul(section.count as usize);
        let from = self.bytes.get(section.offset as usize..);
        from.zip(len)
            .and_then(|(from, len)| from.get(..len))
            .ok_or(BlobError::Malformed(section.kind & !MUST_UNDERSTAND))
    }
}
