//! The forms of a dump's lines: headers of functions, and hexadecimal lines.

use crate::address::{Address, hex};

/// `00: 36 1b ...`: an offset and its bytes. `None` if it is no such line; an odd byte ends the list, so
/// that the caller sees too few.
pub(crate) fn hex_line(line: &str) -> Option<(usize, Vec<u8>)> {
    let (offset, rest) = line
        .split_once(": ")
        .or_else(|| Some((line.strip_suffix(':')?, "")))?;
    if !(2..=3).contains(&offset.len()) || !offset.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let offset = usize::from_str_radix(offset, 16).ok()?;
    let bytes = rest
        .split_ascii_whitespace()
        .map_while(|byte| {
            let byte = hex(byte).filter(|_| byte.len() == 2);
            byte.and_then(|byte| u8::try_from(byte).ok())
        })
        .collect();
    Some((offset, bytes))
}

/// Whether a line is an offset and 16 bytes, and nothing else.
pub(crate) fn whole_hex_line(line: &str) -> bool {
    let len = line.find(':').map_or(0, |offset| offset + 2 + 16 * 3 - 1);
    line.len() == len && hex_line(line).is_some_and(|(_, bytes)| bytes.len() == 16)
}

/// `0000:00:01.0 0604: ...` or, without `-D`, `00:01.0 ...`.
pub(crate) fn header(line: &str) -> Option<(Address, &str)> {
    let (address, rest) = line.split_once(' ')?;
    Some((Address::parse(address)?, rest))
}

/// The ids of a header line: `0604: 1b36:000c (rev 02)` with `-n`, `... [0604]: ... [1b36:000c]` with
/// `-nn`. Without either the configuration space has to tell.
pub(crate) fn identity(rest: &str) -> Option<(u16, u16)> {
    let numeric = rest.split_ascii_whitespace().nth(1).and_then(ids);
    numeric.or_else(|| {
        rest.split('[')
            .skip(1)
            .filter_map(|part| ids(part.split(']').next()?))
            .last()
    })
}

fn ids(text: &str) -> Option<(u16, u16)> {
    let (vendor, device) = text.split_once(':')?;
    let number = |part: &str| hex(part).filter(|_| part.len() == 4);
    Some((number(vendor)?, number(device)?))
}

/// The class of a header line, in the same forms.
pub(crate) fn class(rest: &str) -> Option<u16> {
    let number = |text: &str| hex(text).filter(|_| text.len() == 4);
    let first = rest.split_ascii_whitespace().next()?;
    let numeric = first.strip_suffix(':').and_then(number);
    numeric.or_else(|| {
        rest.split('[')
            .skip(1)
            .find_map(|part| number(part.split(']').next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines_of_both_forms() {
        let (address, rest) = header("0000:00:04.0 0108: 1b36:0010 (rev 02) (prog-if 02)").unwrap();
        assert_eq!(address.to_string(), "0000:00:04.0");
        assert_eq!(identity(rest), Some((0x1b36, 0x0010)));
        let (_, rest) = header(
            "0001:00:01.0 PCI bridge [0604]: Red Hat, Inc. QEMU [x] PCIe Root port [1b36:000c] (rev 01)",
        )
        .unwrap();
        assert_eq!(identity(rest), Some((0x1b36, 0x000c)));
        assert_eq!(
            header("00:1f.7 0c03: 8086:1234").unwrap().0.to_string(),
            "0000:00:1f.7"
        );
        assert!(header("00:20.0 0c03: 8086:1234").is_none());
        assert!(header("not a line").is_none());
    }

    #[test]
    fn classes_of_both_forms() {
        assert_eq!(class("0604: 1b36:000c (rev 02)"), Some(0x0604));
        assert_eq!(
            class("PCI bridge [0604]: Red Hat [1b36:000c]"),
            Some(0x0604)
        );
        assert_eq!(class("PCI bridge: Red Hat, Inc."), None);
    }
}
