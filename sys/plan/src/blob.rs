//! A set of tables in one run of bytes, read in place.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A record type and the number that marks its table.
///
/// Records are `repr(C)`, without padding, with an alignment of at most 8.
pub trait Record: FromBytes + KnownLayout + Immutable {
    /// Number of the table; unique in a blob.
    const KIND: u32;
}

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
/// Changes whenever a record changes shape.
pub(crate) const VERSION: u16 = 3;

/// Why bytes are not a readable blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlobError {
    /// Too short, or not a blob at all.
    NotABlob,
    /// Written by another version of the build tool.
    Version(u16),
    /// A table lies outside the bytes, or its record size is not this reader's.
    Malformed(u32),
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

    /// The table of `T`; empty if the blob has none.
    pub fn table<T: Record>(&self) -> Result<&'a [T], BlobError> {
        let Some(section) = self.sections.iter().find(|s| s.kind == T::KIND) else {
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

    /// The only record of a table that must have exactly one.
    pub fn one<T: Record>(&self) -> Result<&'a T, BlobError> {
        match self.table::<T>()? {
            [record] => Ok(record),
            _ => Err(BlobError::Malformed(T::KIND)),
        }
    }
}
