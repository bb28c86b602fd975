//! Lines into blocks, one for each function.

use crate::address::{Address, hex};
use crate::error::{Error, ErrorKind};

/// The text about one function.
#[derive(Debug)]
pub(crate) struct Block {
    /// Line of its header, from 1.
    pub line: usize,
    pub address: Address,
    /// Vendor and device id of the header line. It has them for virtual functions, too, whose
    /// configuration space does not.
    pub identity: Option<(u16, u16)>,
    /// Configuration space.
    pub bytes: Vec<u8>,
    /// BAR sizes that verbose text tells, by BAR.
    pub sizes: [Option<u64>; 6],
    /// Text said that capabilities could not be read.
    pub denied: bool,
}

/// Bytes of configuration space that a function has: conventional, PCIe.
pub(crate) const WHOLE: [usize; 2] = [256, 4096];
/// Bytes that a user without rights may read.
const HEADER: usize = 64;
/// The bytes of a CardBus bridge's header.
const CARDBUS_HEADER: usize = 128;

/// Splits a text into blocks, and says what is wrong with its lines.
pub(crate) fn blocks(text: &str) -> (Vec<Block>, Vec<Error>) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut errors = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim_end();
        if line.is_empty() {
            continue;
        }
        if let Some((offset, bytes)) = hex_line(line) {
            let Some(block) = blocks.last_mut() else {
                errors.push(Error::new(
                    number,
                    ErrorKind::Line,
                    "configuration space before any function: the beginning is missing".into(),
                ));
                return (blocks, errors);
            };
            if let Err(message) = append(block, offset, &bytes) {
                errors.push(Error::new(number, ErrorKind::Hex, message));
                // What follows is off by the same amount; one error for it is enough.
                return (blocks, errors);
            }
        } else if let Some((address, rest)) = header(line) {
            blocks.push(Block {
                line: number,
                address,
                identity: identity(rest),
                bytes: Vec::new(),
                sizes: [None; 6],
                denied: false,
            });
        } else if line.starts_with([' ', '\t']) {
            if let Some(block) = blocks.last_mut() {
                verbose(block, line);
            }
        } else {
            errors.push(Error::new(
                number,
                ErrorKind::Line,
                format!("`{}` is no line of `lspci`", shorten(line)),
            ));
        }
    }
    if blocks.is_empty() && errors.is_empty() {
        errors.push(Error::new(
            0,
            ErrorKind::Empty,
            "there is no PCI function in this text".into(),
        ));
    }
    check(&blocks, &mut errors);
    (blocks, errors)
}

fn shorten(line: &str) -> String {
    line.chars().take(40).filter(|c| !c.is_control()).collect()
}

/// `00: 36 1b ...`: an offset and its bytes. `None` if it is no such line; an odd byte ends the list, so
/// that the caller sees too few.
fn hex_line(line: &str) -> Option<(usize, Vec<u8>)> {
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

fn append(block: &mut Block, offset: usize, bytes: &[u8]) -> Result<(), String> {
    if offset != block.bytes.len() {
        return Err(format!(
            "offset {offset:02x} of {} follows {:02x}: lines are missing or out of order",
            block.address,
            block.bytes.len()
        ));
    }
    if bytes.len() != 16 {
        return Err(format!(
            "offset {offset:02x} of {} has {} bytes instead of 16",
            block.address,
            bytes.len()
        ));
    }
    block.bytes.extend_from_slice(bytes);
    Ok(())
}

/// `0000:00:01.0 0604: ...` or, without `-D`, `00:01.0 ...`.
fn header(line: &str) -> Option<(Address, &str)> {
    let (address, rest) = line.split_once(' ')?;
    Some((Address::parse(address)?, rest))
}

/// The ids of a header line: `0604: 1b36:000c (rev 02)` with `-n`, `... [0604]: ... [1b36:000c]` with
/// `-nn`. Without either the configuration space has to tell.
fn identity(rest: &str) -> Option<(u16, u16)> {
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

/// Verbose text: only what the configuration space cannot tell.
fn verbose(block: &mut Block, line: &str) {
    let line = line.trim_start();
    if line.contains("<access denied>") {
        block.denied = true;
    }
    let Some(rest) = line.strip_prefix("Region ") else {
        return;
    };
    let Some((number, rest)) = rest.split_once(':') else {
        return;
    };
    let Ok(number) = number.parse::<usize>() else {
        return;
    };
    let size = rest
        .split("[size=")
        .nth(1)
        .and_then(|s| s.split(']').next())
        .and_then(size);
    if let (Some(slot), Some(size)) = (block.sizes.get_mut(number), size) {
        *slot = Some(size);
    }
}

/// `4K`, `16M`, `256`.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (text.len() - 1, 10),
        b'M' => (text.len() - 1, 20),
        b'G' => (text.len() - 1, 30),
        b'T' => (text.len() - 1, 40),
        _ => (text.len(), 0),
    };
    let number: u64 = text.get(..digits)?.parse().ok()?;
    number.checked_mul(1 << shift)
}

/// Whether every block has as much configuration space as is needed.
fn check(blocks: &[Block], errors: &mut Vec<Error>) {
    let mut wrong = Vec::new();
    for block in blocks {
        let len = block.bytes.len();
        let cardbus = block
            .bytes
            .get(0x0e)
            .is_some_and(|header| header & 0x7f == 2);
        let error = |kind, message| Error::new(block.line, kind, message);
        if len == 0 {
            let message = format!("{} has no configuration space", block.address);
            wrong.push(error(ErrorKind::NoDump, message));
        } else if block.denied || len == HEADER || cardbus && len == CARDBUS_HEADER {
            let message = format!(
                "{} shows only {len} bytes of configuration space",
                block.address
            );
            wrong.push(error(ErrorKind::NotRoot, message));
        } else if !WHOLE.contains(&len) {
            let message = format!(
                "the configuration space of {} ends after {len:#x} bytes",
                block.address
            );
            wrong.push(error(ErrorKind::Truncated, message));
        }
    }
    // A dump made the wrong way is wrong for every function; the first tells it.
    let same = |kind| wrong.len() == blocks.len() && wrong.iter().all(|e| e.kind == kind);
    if same(ErrorKind::NoDump) || same(ErrorKind::NotRoot) {
        wrong.truncate(1);
    }
    errors.append(&mut wrong);
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
    fn sizes_of_regions() {
        assert_eq!(size("4K"), Some(4096));
        assert_eq!(size("16M"), Some(16 << 20));
        assert_eq!(size("32"), Some(32));
        assert_eq!(size("x"), None);
        assert_eq!(size("99999999999999999999T"), None);
    }
}
