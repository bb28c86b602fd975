//! Bytes as a source of values. At its end everything is 0, so that every input is valid.

use arbitrary::{Arbitrary, Unstructured};

/// Reads values one after the other.
pub struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    /// From the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// The next value.
    pub fn take<T: Arbitrary<'a> + Default>(&mut self) -> T {
        self.0.arbitrary().unwrap_or_default()
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.take::<u16>()) % end
    }

    /// Whether there is anything left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
