//! A machine's PCI fabric, read from the text of `lspci`.
//!
//! [`parse`] takes the output of `lspci -Dnxxxx` or `lspci -Dnnvvvxxxx`, run as root on the machine in
//! question, and returns its functions; [`machine`] turns those into what the solver takes. Text in,
//! data out: nothing here reads a file or touches hardware. What the text does not say is an error that
//! names what is missing, never a guess.
#![forbid(unsafe_code)]

pub mod acpi;
mod address;
mod bar;
pub mod board;
mod buses;
mod config;
pub mod device_tree;
mod error;
mod fabric;
mod form;
mod function;
mod layout;
mod lines;
mod text;
mod verbose;

pub use address::Address;
pub use bar::{Bar, BarKind};
pub use config::Config;
pub use error::{Error, ErrorKind};
pub use fabric::{AcsState, machine, name, root_buses};
pub use function::{Function, VirtualFunctions, WindowRange};
pub use lines::decode;

/// What a dump says.
#[derive(Debug)]
pub struct Dump {
    /// The functions, in ascending order of address.
    pub functions: Vec<Function>,
    /// What somebody should know who relies on it: of the file as a whole, then of each function.
    pub warnings: Vec<String>,
}

/// The functions in the output of `lspci`, in ascending order of address.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str) -> Result<Vec<Function>, Vec<Error>> {
    read(text).map(|dump| dump.functions)
}

/// The functions in the output of `lspci`, and what is odd about it.
///
/// # Errors
/// Everything that is wrong with the text, at least one entry; of several of one kind the first few. A text with an
/// error gives no function at all, since grouping a part of a machine would be wrong without looking wrong.
pub fn read(text: &str) -> Result<Dump, Vec<Error>> {
    let text = text::blocks(text);
    let functions = functions(&text).map_err(error::condense)?;
    let mut warnings = Vec::new();
    if let Some(line) = text.complaints.first() {
        let count = text.complaints.len();
        warnings.push(format!(
            "the file has messages of `lspci` in it ({count}, the first in line {line}), which are taken out; `2>/dev/null` \
             keeps them out"
        ));
    }
    if text.blocks.iter().any(|block| block.from_text) {
        warnings.push(
            "the dump has text only: configuration space (`-xxxx`) would tell more, such as windows and whether a slot has \
             several functions"
                .into(),
        );
    }
    if functions.iter().any(|f| f.address.is_made_up()) {
        warnings.push(
            "segments from 10000 are an operating system's own: requests of what is there carry the id of the device that it \
             is behind, so it has no StreamID here"
                .into(),
        );
    }
    let notes = functions.iter().flat_map(|f| f.notes.iter().cloned());
    warnings.extend(notes);
    Ok(Dump {
        functions,
        warnings,
    })
}

fn functions(text: &text::Text) -> Result<Vec<Function>, Vec<Error>> {
    let mut errors = text.errors.clone();
    let mut functions = Vec::with_capacity(text.blocks.len());
    let (mut silent, mut sleepers) = (Vec::new(), Vec::new());
    // A block without its whole space already has an error; what is in it would only add noise.
    let whole = |block: &&text::Block| text::WHOLE.contains(&block.bytes.len());
    for block in text.blocks.iter().filter(whole) {
        match function::read(block) {
            Ok(function) => functions.push(function),
            Err(mut found) => {
                if found.iter().any(|error| error.kind == ErrorKind::Asleep) {
                    silent.push(block.address);
                    if let Some(kept) = function::asleep(block) {
                        sleepers.push(kept);
                        continue;
                    }
                }
                errors.append(&mut found);
            }
        }
    }
    if let (true, Some(one)) = (functions.is_empty(), sleepers.first()) {
        let message = "the configuration space of every function reads as ones";
        errors.push(Error::new(one.line, ErrorKind::Asleep, message.into()));
    }
    buses::cut_hidden(&mut functions, &silent);
    let (mut clashes, explained) = buses::check(&functions, &silent);
    let lines = text
        .blocks
        .iter()
        .filter(|block| explained.contains(&block.address));
    let lines: Vec<usize> = lines.map(|block| block.line).collect();
    errors.retain(|error| error.kind != ErrorKind::Asleep || !lines.contains(&error.line));
    errors.append(&mut clashes);
    if errors.is_empty() {
        functions.append(&mut sleepers);
        functions.sort_by_key(|function| function.address);
        fabric::place_sleepers(&mut functions);
        errors = fabric::check(&mut functions);
        layout::sizes(&mut functions);
    }
    if errors.is_empty() {
        Ok(functions)
    } else {
        Err(errors)
    }
}
