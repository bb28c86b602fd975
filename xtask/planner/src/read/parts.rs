//! Ranges with a name, a table each.

use super::fields::Fields;
use crate::report::Spanned;

/// Addresses that somebody else uses: memory of firmware, a device or another processor, or a host's aperture.
#[derive(Clone, Debug)]
pub struct Reserved {
    /// The name of the range.
    pub name: Spanned<String>,
    /// The first address.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

/// The tables below a key that name a base and a size each.
pub fn read_parts(memory: &Fields<'_>, key: &'static str) -> Vec<Reserved> {
    let read = |(name, fields): (Spanned<String>, Fields<'_>)| {
        let base = fields.required("base", Fields::integer);
        let size = fields.required("size", Fields::size);
        fields.finish();
        Some(Reserved {
            name,
            base: base?.value,
            len: size?.value,
        })
    };
    let parts = memory.tables(key).into_iter();
    parts.filter_map(read).collect()
}
