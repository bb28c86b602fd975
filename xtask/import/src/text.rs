//! Lines into blocks, one for each function.

use crate::address::Address;
use crate::error::{Error, ErrorKind};
use crate::form::{class, header, hex_line, identity};
use crate::lines::{self, Line};
use crate::verbose::Told;

/// The text about one function.
#[derive(Debug)]
pub(crate) struct Block {
    /// Line of its header, from 1.
    pub line: usize,
    pub address: Address,
    /// Vendor and device id of the header line. It has them for virtual functions, too, whose
    /// configuration space does not.
    pub identity: Option<(u16, u16)>,
    /// Class of the header line.
    pub class: Option<u16>,
    /// Configuration space.
    pub bytes: Vec<u8>,
    /// The bytes were made of what the text says.
    pub from_text: bool,
    /// What verbose text tells.
    pub told: Told,
}

/// Bytes of configuration space that a function has: conventional, PCIe.
pub(crate) const WHOLE: [usize; 2] = [256, 4096];
/// Bytes that a user without rights may read.
const HEADER: usize = 64;
/// The bytes of a CardBus bridge's header.
const CARDBUS_HEADER: usize = 128;

/// What a text has.
#[derive(Debug)]
pub(crate) struct Text {
    pub blocks: Vec<Block>,
    /// What is wrong with its lines.
    pub errors: Vec<Error>,
    /// Lines with complaints of `lspci` that were taken out.
    pub complaints: Vec<usize>,
}

/// Splits a text into blocks. Between them may be any text: what is lost of a dump leaves a gap in the hexadecimal
/// lines, or a function without them.
pub(crate) fn blocks(text: &str) -> Text {
    let (lines, complaints) = lines::lines(text);
    let mut blocks: Vec<Block> = Vec::new();
    let mut errors = Vec::new();
    for Line { number, text: line } in &lines {
        if let Some((offset, bytes)) = hex_line(line) {
            let Some(block) = blocks.last_mut() else {
                let what = "configuration space before any function: the beginning is missing";
                errors.push(Error::new(*number, ErrorKind::Line, what.into()));
                break;
            };
            if let Err(message) = append(block, offset, &bytes) {
                errors.push(Error::new(*number, ErrorKind::Hex, message));
                // What follows is off by the same amount; one error for it is enough.
                break;
            }
        } else if let Some((address, rest)) = header(line) {
            blocks.push(Block {
                line: *number,
                address,
                identity: identity(rest),
                class: class(rest),
                bytes: Vec::new(),
                from_text: false,
                told: Told::default(),
            });
        } else if let Some(block) = blocks.last_mut() {
            block.told.line(line);
        }
    }
    if blocks.is_empty() && errors.is_empty() {
        errors = no_line(&lines);
    }
    if errors.is_empty() {
        blocks.iter_mut().for_each(fill);
        check(&blocks, &mut errors);
    }
    Text {
        blocks,
        errors,
        complaints,
    }
}

/// Gives a function that has only text the configuration space that says the same.
fn fill(block: &mut Block) {
    let space = block.told.space_of(block.identity, block.class);
    if let (true, Some(space)) = (block.bytes.is_empty(), space) {
        block.bytes = space;
        block.from_text = true;
    }
}

/// The errors of a text without any function.
fn no_line(lines: &[Line]) -> Vec<Error> {
    let lines = lines.iter().filter(|line| !line.text.trim().is_empty());
    let errors: Vec<Error> = lines
        .map(|line| {
            let message = format!("`{}` is no line of `lspci`", shorten(&line.text));
            Error::new(line.number, ErrorKind::Line, message)
        })
        .collect();
    if errors.is_empty() {
        let message = "there is no PCI function in this text";
        return vec![Error::new(0, ErrorKind::Empty, message.into())];
    }
    errors
}

fn shorten(line: &str) -> String {
    line.chars().take(40).filter(|c| !c.is_control()).collect()
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
        if block.told.denied {
            let message = format!(
                "{} shows only the beginning of its configuration space",
                block.address
            );
            wrong.push(error(ErrorKind::NotRoot, message));
        } else if len == 0 && block.told.is_terse() {
            let message = format!(
                "the text about {} names capabilities, but not what they say",
                block.address
            );
            wrong.push(error(ErrorKind::TooTerse, message));
        } else if len == 0 {
            let message = format!("{} has no configuration space", block.address);
            wrong.push(error(ErrorKind::NoDump, message));
        } else if len == HEADER || cardbus && len == CARDBUS_HEADER {
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
    if [ErrorKind::NoDump, ErrorKind::NotRoot, ErrorKind::TooTerse]
        .into_iter()
        .any(same)
    {
        wrong.truncate(1);
    }
    errors.append(&mut wrong);
}
