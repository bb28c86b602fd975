//! Fixed-size text in records.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Text of up to `N` bytes of UTF-8, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct Text<const N: usize>([u8; N]);

/// A name from `app.toml`: 1 to 24 bytes of letters, digits, `-` and `_`.
pub type Name = Text<24>;

impl<const N: usize> Text<N> {
    /// Bytes that fit.
    pub const CAPACITY: usize = N;

    /// No text.
    pub const EMPTY: Self = Self([0; N]);

    /// Stores `text`, cut at the last character that fits.
    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(N);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = [0; N];
        for (to, from) in bytes.iter_mut().zip(text.as_bytes().iter().take(end)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The text; empty if the bytes are not UTF-8.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(N);
        self.0
            .get(..len)
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }
}

impl<const N: usize> core::fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self.as_str(), f)
    }
}
