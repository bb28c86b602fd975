//! Writing a blob.

use alloc::vec::Vec;
use zerocopy::{Immutable, IntoBytes};

use crate::blob::{Header, MAGIC, Section, VERSION};
use crate::record::{MUST_UNDERSTAND, Record};

/// Collects tables; the order of `push` is the order in the blob.
#[derive(Default)]
pub struct Builder {
    tables: Vec<(u32, u32, u32, Vec<u8>)>,
}

impl Builder {
    /// An empty blob.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the table of `T`; at most once for each `T`.
    pub fn push<T: Record + IntoBytes + Immutable>(&mut self, records: &[T]) -> &mut Self {
        self.add(T::KIND, records)
    }

    /// Adds the table of `T`, which a reader must know to the end of its records or refuse.
    pub fn push_to_be_understood<T: Record + IntoBytes + Immutable>(
        &mut self,
        records: &[T],
    ) -> &mut Self {
        self.add(T::KIND | MUST_UNDERSTAND, records)
    }

    fn add<T: Record + IntoBytes + Immutable>(&mut self, kind: u32, records: &[T]) -> &mut Self {
        debug_assert!(align_of::<T>() <= 8);
        debug_assert!(T::KIND & MUST_UNDERSTAND == 0);
        let is_other = |other: u32| other & !MUST_UNDERSTAND != T::KIND;
        debug_assert!(self.tables.iter().all(|table| is_other(table.0)));
        self.tables.push((
            kind,
            size_of::<T>() as u32,
            records.len() as u32,
            records.as_bytes().to_vec(),
        ));
        self
    }

    /// The blob's bytes, a multiple of 8 long.
    pub fn finish(&self) -> Vec<u8> {
        let mut offset = size_of::<Header>() + self.tables.len() * size_of::<Section>();
        let mut sections = Vec::new();
        let mut body = Vec::new();
        for (kind, stride, count, bytes) in &self.tables {
            sections.push(Section {
                kind: *kind,
                stride: *stride,
                offset: offset as u32,
                count: *count,
            });
            body.extend_from_slice(bytes);
            body.resize(body.len().next_multiple_of(8), 0);
            offset += bytes.len().next_multiple_of(8);
        }
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            sections: sections.len() as u16,
            len: offset as u64,
        };
        let mut blob = header.as_bytes().to_vec();
        blob.extend_from_slice(sections.as_bytes());
        blob.extend_from_slice(&body);
        blob
    }
}
