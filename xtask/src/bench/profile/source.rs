//! From addresses of a program to functions and lines, by what the compiler wrote beside the code.

use std::path::Path;

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};

use builder::compile::cargo::ROOT;
use planner::failure::{Failure, Outcome};

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// The names in a program.
pub struct Source<'a> {
    context: Context<Bytes<'a>>,
    /// Addresses and names, sorted.
    symbols: Vec<(u64, String)>,
}

/// What an instruction is part of.
#[derive(Clone, Default, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The innermost function of this repository, whether it was inlined or not.
    pub function: String,
    /// Its file and line, or those of the call within it; empty in assembly.
    pub line: String,
    /// The symbol that all of it was inlined into.
    pub symbol: String,
}

impl<'a> Source<'a> {
    pub fn new(elf: &'a [u8]) -> Outcome<Self> {
        let cannot = "cannot read what the compiler wrote of a program's lines";
        let file = ElfFile64::<Endianness>::parse(elf).map_err(Failure::when(cannot))?;
        let section = |id: SectionId| {
            let section = file.section_by_name(id.name());
            let data = section.map_or(Ok(&[][..]), |section| section.data());
            data.map(|data| EndianSlice::new(data, LittleEndian))
        };
        let dwarf = Dwarf::load(section).map_err(Failure::when(cannot))?;
        let context = Context::from_dwarf(dwarf).map_err(Failure::when(cannot))?;
        // Mapping symbols (`$x`) say where code is, and name nothing; assembly's symbols have no kind.
        let mut symbols: Vec<(u64, bool, String)> = file
            .symbols()
            .filter_map(|symbol| {
                let kind = symbol.kind();
                let name = symbol
                    .name()
                    .ok()
                    .filter(|name| !name.is_empty() && !name.starts_with('$'))?;
                let code = matches!(
                    kind,
                    SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown
                );
                code.then(|| (symbol.address(), kind == SymbolKind::Text, readable(name)))
            })
            .collect();
        symbols.sort();
        let symbols = symbols
            .into_iter()
            .map(|(address, _, name)| (address, name))
            .collect();
        Ok(Self { context, symbols })
    }

    /// The address of a function.
    pub fn function(&self, name: &str) -> Option<u64> {
        let found = self.symbols.iter().find(|(_, symbol)| symbol == name);
        found.map(|(address, _)| *address)
    }

    /// What is at an address.
    pub fn line(&self, address: u64) -> Line {
        let at = self.symbols.partition_point(|(start, _)| *start <= address);
        let symbol = at.checked_sub(1).and_then(|at| self.symbols.get(at));
        let symbol = symbol.map_or_else(|| "?".to_owned(), |(_, name)| name.clone());
        let mut line = Line {
            function: symbol.clone(),
            line: String::new(),
            symbol,
        };
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else {
            return line;
        };
        while let Ok(Some(frame)) = frames.next() {
            let place = frame
                .location
                .and_then(|place| Some((place.file?, place.line?)));
            let (Some((file, number)), Some(name)) = (place, frame.function) else {
                continue;
            };
            let Some(file) = ours(file) else {
                continue;
            };
            line.function = readable(&name.raw_name().unwrap_or_default());
            line.line = format!("{file}:{number}");
            break;
        }
        line
    }
}

/// The path of a file from the repository's root on, if it is one of the repository.
fn ours(file: &str) -> Option<String> {
    let file = Path::new(file).strip_prefix(ROOT).ok()?;
    Some(file.display().to_string())
}

/// A name without its hash.
fn readable(name: &str) -> String {
    let name = addr2line::demangle_auto(name.into(), None);
    match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|c| c.is_ascii_hexdigit()) => {
            name.to_owned()
        }
        _ => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable() {
        let name = "_ZN14bench_protocol3row14report_bounded17h2c081cf01c6a0dc6E";
        assert_eq!(readable(name), "bench_protocol::row::report_bounded");
        assert_eq!(readable("fast_send"), "fast_send");
        assert_eq!(readable("a::hard"), "a::hard");
    }

    #[test]
    fn files_of_others_are_not_ours() {
        assert_eq!(
            ours("/portcullis/sys/kern/src/lib.rs").as_deref(),
            Some("sys/kern/src/lib.rs")
        );
        assert_eq!(ours("/rustc/1/library/core/src/ptr/mod.rs"), None);
        assert_eq!(ours("/target/kernel/build/out.rs"), None);
    }
}
