//! The header that every table has (ACPI 6.5, 5.2.6).

use super::bytes::{Bytes, index};
use super::finding::{COPY_AGAIN, Findings};

/// Bytes of a header.
pub(super) const LEN: usize = 36;

/// A table's header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Four letters that say what table it is.
    pub signature: String,
    /// Bytes of the table.
    pub len: u32,
    /// Revision of the table.
    pub revision: u8,
    /// All bytes of the table together are 0, as they must be.
    pub checksum_right: bool,
    /// Who made the table.
    pub oem_id: String,
    /// Name that its maker gave the table.
    pub oem_table_id: String,
    /// Revision that its maker gave the table.
    pub oem_revision: u32,
}

/// The header of a file that should have the table `signature`, and the bytes of the table alone.
pub(super) fn read<'a>(
    signature: &str,
    file: &'a [u8],
    findings: &mut Findings<'_>,
) -> Option<(Header, Bytes<'a>)> {
    let bytes = Bytes(file);
    if file.is_empty() {
        findings.error(0, "the file is empty: it has 0 bytes".into(), COPY_AGAIN);
        return None;
    }
    let found = bytes.before(4).text(0);
    if found != signature {
        findings.error(
            0,
            format!(
                "the signature in the header is `{found}`, and the name of the file says `{signature}`"
            ),
            COPY_AGAIN,
        );
        return None;
    }
    let (Some(len), true) = (bytes.u32(4), file.len() >= LEN) else {
        findings.error(
            0,
            format!(
                "the file is too short for a header: it has {} bytes of {LEN}",
                file.len()
            ),
            COPY_AGAIN,
        );
        return None;
    };
    let Some(table) = bytes.part(0, index(len)).filter(|table| table.len() >= LEN) else {
        findings.error(
            4,
            format!(
                "the header gives the table a length of {len} bytes, and the file has {}",
                file.len()
            ),
            COPY_AGAIN,
        );
        return None;
    };
    let sum = table
        .0
        .iter()
        .fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    if sum != 0 {
        findings.warning(
            9,
            format!("the checksum is wrong: all bytes together are {sum:#x}, not 0"),
            COPY_AGAIN,
        );
    }
    let trimmed = |at, len| {
        let text = table.part(at, len).map(|text| text.text(0));
        text.unwrap_or_default().trim_end().to_owned()
    };
    let header = Header {
        signature: found,
        len,
        revision: table.u8(8).unwrap_or(0),
        checksum_right: sum == 0,
        oem_id: trimmed(10, 6),
        oem_table_id: trimmed(16, 8),
        oem_revision: table.u32(24).unwrap_or(0),
    };
    Some((header, table))
}
