//! Little-endian fields at any offset of a table.

/// Bytes that are read by offset: an offset outside gives nothing, and no offset needs an alignment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// `len` bytes from `at`, if they are all there.
    pub fn part(self, at: usize, len: usize) -> Option<Bytes<'a>> {
        let end = at.checked_add(len)?;
        self.0.get(at..end).map(Bytes)
    }

    /// The bytes before `end`.
    pub fn before(self, end: usize) -> Bytes<'a> {
        Bytes(self.0.get(..end).unwrap_or(self.0))
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.part(at, N)?.0.try_into().ok()
    }

    pub fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    pub fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub fn u64(self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// Text from `at` to the first zero byte or the end; what is not printable becomes `?`.
    pub fn text(self, at: usize) -> String {
        let rest = self.0.get(at..).unwrap_or_default();
        let text = rest.iter().take_while(|byte| **byte != 0);
        text.map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '?',
        })
        .collect()
    }
}

/// An offset, length or count of a table as an index; one that does not fit is outside every table.
pub(super) fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
