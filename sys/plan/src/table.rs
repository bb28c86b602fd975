//! A table whose records may be longer than its reader knows.

use core::marker::PhantomData;

use crate::record::Record;

/// Records of which each begins with a `T`.
pub struct Table<'a, T> {
    bytes: &'a [u8],
    stride: usize,
    len: usize,
    of: PhantomData<&'a [T]>,
}

impl<T> Clone for Table<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Table<'_, T> {}

impl<'a, T: Record> Table<'a, T> {
    /// No record.
    pub const EMPTY: Self = Self::new(&[], 0, 0);

    /// `len` records, one each `stride` bytes.
    pub(crate) const fn new(bytes: &'a [u8], stride: usize, len: usize) -> Self {
        Self {
            bytes,
            stride,
            len,
            of: PhantomData,
        }
    }

    /// The number of records.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The record of a number.
    pub fn get(&self, number: usize) -> Option<&'a T> {
        if number >= self.len {
            return None;
        }
        let from = self.bytes.get(number.checked_mul(self.stride)?..)?;
        T::ref_from_prefix(from).ok().map(|(record, _)| record)
    }

    /// The first record.
    pub fn first(&self) -> Option<&'a T> {
        self.get(0)
    }

    /// All records, in the plan's order.
    pub fn iter(&self) -> Iter<'a, T> {
        Iter {
            rest: self.bytes,
            stride: self.stride,
            of: PhantomData,
        }
    }
}

impl<'a, T: Record> IntoIterator for Table<'a, T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The records of a [`Table`], one after the other.
pub struct Iter<'a, T> {
    /// The records that are left.
    rest: &'a [u8],
    stride: usize,
    of: PhantomData<&'a [T]>,
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self {
            rest: self.rest,
            stride: self.stride,
            of: PhantomData,
        }
    }
}

impl<'a, T: Record> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        let (record, rest) = self.rest.split_at_checked(self.stride)?;
        let (record, _) = T::ref_from_prefix(record).ok()?;
        self.rest = rest;
        Some(record)
    }
}
