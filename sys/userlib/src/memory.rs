//! Memory that a device can reach.
//!
//! It never becomes a Rust reference: a device may change it at any time. Values are read once, by
//! volatile access, and checked like any input from outside.

mod pool;

pub(crate) use pool::clean_invalidate;
pub use pool::{PoolMemory, acquire, publish, publish_stores};

/// A run of memory shared with a device. Little endian; offsets in bytes, naturally aligned. An access
/// outside reads zero and writes nothing.
pub trait Memory {
    /// Bytes.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Reads a byte.
    fn read8(&self, offset: usize) -> u8;
    /// Reads 16 bits.
    fn read16(&self, offset: usize) -> u16;
    /// Reads 32 bits.
    fn read32(&self, offset: usize) -> u32;
    /// Reads 64 bits.
    fn read64(&self, offset: usize) -> u64;
    /// Writes a byte.
    fn write8(&self, offset: usize, value: u8);
    /// Writes 16 bits.
    fn write16(&self, offset: usize, value: u16);
    /// Writes 32 bits.
    fn write32(&self, offset: usize, value: u32);
    /// Writes 64 bits.
    fn write64(&self, offset: usize, value: u64);

    /// Copies bytes in; what does not fit is left out.
    fn copy_in(&self, offset: usize, from: &[u8]) {
        let mut at = offset;
        let mut chunks = from.chunks_exact(8);
        if at.is_multiple_of(8) {
            for chunk in &mut chunks {
                let mut eight = [0; 8];
                eight.copy_from_slice(chunk);
                self.write64(at, u64::from_le_bytes(eight));
                at += 8;
            }
        }
        for &byte in from.get(at - offset..).unwrap_or(&[]) {
            self.write8(at, byte);
            at += 1;
        }
    }

    /// Copies bytes out.
    fn copy_out(&self, offset: usize, to: &mut [u8]) {
        let mut at = offset;
        let whole = if at.is_multiple_of(8) {
            to.len() / 8 * 8
        } else {
            0
        };
        let (words, rest) = to.split_at_mut(whole);
        for chunk in words.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.read64(at).to_le_bytes());
            at += 8;
        }
        for byte in rest {
            *byte = self.read8(at);
            at += 1;
        }
    }

    /// Fills `len` bytes from `offset`.
    fn fill(&self, offset: usize, len: usize, value: u8) {
        for at in offset..offset.saturating_add(len).min(self.len()) {
            self.write8(at, value);
        }
    }
}
