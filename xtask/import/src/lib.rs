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
mod error;
mod fabric;
mod function;
mod layout;
mod text;

pub use address::Address;
pub use bar::{Bar, BarKind};
pub use config::Config;
pub use error::{Error, ErrorKind};
pub use fabric::{AcsState, machine, name};
pub use function::{Function, VirtualFunctions, WindowRange};

/// The functions in the output of `lspci`, in ascending order of address.
///
/// # Errors
/// Everything that is wrong with the text, at least one entry. A text with an error gives no function at
/// all, since grouping a part of a machine would be wrong without looking wrong.
pub fn parse(text: &str) -> Result<Vec<Function>, Vec<Error>> {
    let (blocks, mut errors) = text::blocks(text);
    let mut functions = Vec::with_capacity(blocks.len());
    let mut silent = Vec::new();
    // A block without its whole space already has an error; what is in it would only add noise.
    for block in blocks
        .iter()
        .filter(|block| text::WHOLE.contains(&block.bytes.len()))
    {
        match function::read(block) {
            Ok(function) => functions.push(function),
            Err(mut found) => {
                if found.iter().any(|error| error.kind == ErrorKind::Asleep) {
                    silent.push(block.address);
                }
                errors.append(&mut found);
            }
        }
    }
    let (mut clashes, explained) = buses::check(&functions, &silent);
    let lines = blocks
        .iter()
        .filter(|block| explained.contains(&block.address));
    let lines: Vec<usize> = lines.map(|block| block.line).collect();
    errors.retain(|error| error.kind != ErrorKind::Asleep || !lines.contains(&error.line));
    errors.append(&mut clashes);
    if errors.is_empty() {
        functions.sort_by_key(|function| function.address);
        errors = fabric::check(&mut functions);
        layout::sizes(&mut functions);
    }
    if errors.is_empty() {
        Ok(functions)
    } else {
        Err(errors)
    }
}
