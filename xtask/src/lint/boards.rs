//! No line of code knows a board: its addresses are in `sys/platform`, and nowhere else. Code gets them from the plan.
//!
//! An address is one of a platform's keys, or lies in registers that it names. Numbers that only look like one are in
//! [`NO_ADDRESSES`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use planner::failure::{Failure, Outcome};
use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Item;
use toml_edit::{DocumentMut, Table};

use super::modules::{attributes, is_for_tests};
use super::sources;
use crate::systems::entries;

/// Folder of the platforms.
const PLATFORMS: &str = "sys/platform";
/// What is below this is a size, a mask or a page's number, and no board has anything there that code could name.
const LOWEST: u64 = 0x10_0000;
/// Bytes of the distributor's and of the translation service's registers; a platform says how many the redistributors have.
const CONTROLLER: u64 = 0x1_0000;

/// Folders of code that makes up machines of its own, and never gets into an image.
const MADE_UP: [&str; 1] = ["tests/host"];

/// The list of these has the numbers itself.
const OWN: &str = "xtask/src/lint/boards.rs";

/// Numbers of the code that are no address of a board, by file, with the reason.
const NO_ADDRESSES: [(&str, u64, &str); 6] = [
    (
        "sys/abi/src/layout.rs",
        0x800_0000,
        "a virtual address, of every task's plan",
    ),
    (
        "sys/abi/src/layout.rs",
        0x1000_0000,
        "a virtual address, of every task's stack",
    ),
    (
        "xtask/verify/src/spaces.rs",
        0x800_0000,
        "the same as in the layout, on purpose said twice",
    ),
    (
        "tests/suites/iommu/cases/src/identity.rs",
        0x1_0000_0000,
        "an address for a device, outside its domain",
    ),
    (
        "tests/suites/iommu/cases/src/registers.rs",
        0x1000_0000,
        "a value for a register",
    ),
    (
        "tests/systems/fast-path/calls/src/draw.rs",
        0x8000_0000,
        "a reply's code",
    ),
];
/// Memory and configuration space are larger than what a constant could point into; their bounds are single addresses.
const REGISTERS: u64 = 256 << 20;

/// Fails if code has an address of a platform.
pub fn boards(root: &Path) -> Outcome<()> {
    let addresses = Addresses::read(&root.join(PLATFORMS))?;
    let mut unused: Vec<(&str, u64, &str)> = NO_ADDRESSES.to_vec();
    let mut wrong = Vec::new();
    for (file, text) in sources::below(root)? {
        let name = file.to_string_lossy();
        let is_made_up = MADE_UP.iter().any(|folder| file.starts_with(folder));
        if is_made_up || is_of_tests(&file) || name == OWN {
            continue;
        }
        for found in
            found(&text, &addresses).map_err(|why| Failure::new(format!("{name}: {why}")))?
        {
            let is_excepted =
                |(of, value, _): &(&str, u64, &str)| *of == name && *value == found.value;
            if NO_ADDRESSES.iter().any(is_excepted) {
                unused.retain(|exception| !is_excepted(exception));
            } else {
                wrong.push(format!("{name}:{}: {}", found.line, found.why));
            }
        }
    }
    let idle = unused
        .iter()
        .map(|(file, value, _)| format!("{file} has no {value:#x} any more: take it off the list"));
    wrong.extend(idle);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "code knows a board; it has to come from the plan (what is no address is listed in xtask/src/lint/boards.rs):\n  {}",
        wrong.join("\n  ")
    )))
}

/// Modules of tests have machines of their own.
fn is_of_tests(file: &Path) -> bool {
    let folders = file.parent().into_iter().flat_map(Path::components);
    let is_tests = |name: &std::ffi::OsStr| name == "tests";
    // The first folder `tests` is that of suites and systems, which run on every board.
    folders.skip(1).any(|part| is_tests(part.as_os_str())) || file.file_stem().is_some_and(is_tests)
}

/// Addresses, with the platforms and keys that they are from.
#[derive(Default)]
struct Addresses {
    single: BTreeMap<u64, String>,
    registers: Vec<(Range<u64>, String)>,
}

impl Addresses {
    fn read(folder: &Path) -> Outcome<Self> {
        let mut all = Self::default();
        for file in entries(folder)? {
            let cannot = format!("cannot read {}", file.display());
            let text = std::fs::read_to_string(&file).map_err(Failure::when(&cannot))?;
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            let document: DocumentMut = text.parse().map_err(Failure::when(&cannot))?;
            all.add(&name, document.as_table());
        }
        Ok(all)
    }

    /// Adds every number of a table and of the tables in it.
    fn add(&mut self, name: &str, table: &Table) {
        for (key, item) in table {
            let name = format!("{name}.{key}");
            if let Some(table) = item.as_table() {
                self.add(&name, table);
            } else if let Some(value) = item.as_value() {
                self.add_value(&name, value);
            }
        }
        let number = |key: &str| u64::try_from(table.get(key)?.as_integer()?).ok();
        for (base, size) in [("base", "size"), ("redistributor", "redistributor-size")] {
            let size = table
                .get(size)
                .and_then(|size| planner::read::units::size(size.as_str()?));
            if let (Some(base), Some(size)) = (number(base), size)
                && size < REGISTERS
            {
                let range = base..base.saturating_add(size);
                self.registers.push((range, name.to_owned()));
            }
        }
        for key in ["distributor", "its"] {
            if let Some(base) = number(key) {
                let range = base..base.saturating_add(CONTROLLER);
                self.registers.push((range, format!("{name}.{key}")));
            }
        }
    }

    fn add_value(&mut self, name: &str, value: &toml_edit::Value) {
        if let Some(number) = value
            .as_integer()
            .and_then(|number| u64::try_from(number).ok())
        {
            if number >= LOWEST {
                self.single.entry(number).or_insert_with(|| name.to_owned());
            }
        } else if let Some(list) = value.as_array() {
            list.iter().for_each(|value| self.add_value(name, value));
        } else if let Some(table) = value.as_inline_table() {
            for (key, value) in table {
                self.add_value(&format!("{name}.{key}"), value);
            }
        }
    }

    /// Whose address a number is.
    fn of(&self, number: u64) -> Option<&str> {
        let single = self.single.get(&number).map(String::as_str);
        let holds =
            |(range, _): &&(Range<u64>, String)| number >= LOWEST && range.contains(&number);
        single.or_else(|| Some(self.registers.iter().find(holds)?.1.as_str()))
    }
}

/// An address in a file.
struct Found {
    line: usize,
    value: u64,
    why: String,
}

/// The addresses in a file's code, without what only tests have and without comments.
fn found(text: &str, addresses: &Addresses) -> Result<Vec<Found>, String> {
    let file = syn::parse_file(text).map_err(|why| why.to_string())?;
    let mut found = Vec::new();
    items(file.items, addresses, &mut found);
    Ok(found)
}

fn items(list: Vec<Item>, addresses: &Addresses, found: &mut Vec<Found>) {
    for item in list {
        if attributes(&item).iter().any(is_for_tests) {
            continue;
        }
        match item {
            Item::Mod(inner) if inner.attrs.iter().any(is_for_tests) => {}
            Item::Mod(inner) => {
                let inner = inner.content.map(|(_, list)| list);
                items(inner.unwrap_or_default(), addresses, found);
            }
            item => tokens(item.into_token_stream(), addresses, found),
        }
    }
}

fn tokens(stream: TokenStream, addresses: &Addresses, found: &mut Vec<Found>) {
    let mut is_attribute = false;
    for token in stream {
        match token {
            TokenTree::Punct(mark) => {
                is_attribute = mark.as_char() == '#' || is_attribute && mark.as_char() == '!';
                continue;
            }
            // Doc comments are attributes.
            TokenTree::Group(group) if is_attribute && group.delimiter() == Delimiter::Bracket => {}
            TokenTree::Group(group) => tokens(group.stream(), addresses, found),
            TokenTree::Literal(literal) => {
                for value in numbers(&literal) {
                    if let Some(of) = addresses.of(value) {
                        found.push(Found {
                            line: literal.span().start().line,
                            value,
                            why: format!("{value:#x} is an address of `{of}`"),
                        });
                    }
                }
            }
            TokenTree::Ident(_) => {}
        }
        is_attribute = false;
    }
}

/// The numbers that a literal is or has in its text, such as a line of assembly.
fn numbers(literal: &Literal) -> Vec<u64> {
    let text = literal.to_string().replace('_', "");
    let hexadecimal = text.split("0x").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_hexdigit());
        u64::from_str_radix(rest.get(..end.unwrap_or(rest.len()))?, 16).ok()
    });
    let decimal = syn::parse_str::<syn::LitInt>(&text).ok();
    let decimal = decimal.filter(|_| !text.starts_with("0x"));
    let decimal = decimal.and_then(|number| number.base10_parse().ok());
    hexadecimal.chain(decimal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORM: &str = "[console]\ndevice = \"uart\"\n[gic]\ndistributor = 0x0800_0000\n\
                            [devices.uart]\nbase = 0x0900_0000\nsize = \"4 KiB\"\n\
                            [pci]\nmemory = [0x1000_0000, 0x3eff_0000]\nintx = 35\n\
                            [devices.two]\ninterrupts.one = { intid = 33 }\nbase = 0x70_0000_0000\nsize = \"128 KiB\"\n";

    fn said(text: &str) -> Vec<String> {
        let mut addresses = Addresses::default();
        let document: DocumentMut = PLATFORM.parse().unwrap();
        addresses.add("board", document.as_table());
        let found = found(text, &addresses).unwrap();
        let said = found.into_iter();
        said.map(|found| format!("{}: {}", found.line, found.why))
            .collect()
    }

    #[test]
    fn addresses_in_code_are_told_wherever_they_stand() {
        let uart = "0x9000000 is an address of `board.devices.uart.base`";
        assert_eq!(
            said("const UART: u64 = 0x0900_0000;"),
            [format!("1: {uart}")]
        );
        assert_eq!(
            said("fn f() {\n    g(150994944u64);\n}"),
            [format!("2: {uart}")]
        );
        // A register of it, in assembly; the end of an aperture; the distributor's last one.
        assert_eq!(
            said("fn f() { asm!(\"mov x0, 0x9000018\") }"),
            ["1: 0x9000018 is an address of `board.devices.uart`"]
        );
        assert_eq!(
            said("const END: u64 = 0x3EFF_0000;"),
            ["1: 0x3eff0000 is an address of `board.pci.memory`"]
        );
        assert_eq!(
            said("static S: &[u64] = &[0x70_0001_fff8, 0x800_fffc];").len(),
            2
        );
    }

    #[test]
    fn what_is_no_code_or_no_address_is_not() {
        for fine in [
            "/// At 0x0900_0000.\nconst A: u64 = 33;",
            "const A: [u64; 3] = [35, 0x900_1000, 0x2000_0000];",
            "#[cfg(test)]\nmod tests {\n    const UART: u64 = 0x0900_0000;\n}",
            "#[cfg(test)]\nconst UART: u64 = 0x0900_0000;",
            "fn f() { // 0x0900_0000\n}",
        ] {
            assert_eq!(said(fine), [""; 0], "{fine}");
        }
    }

    #[test]
    fn no_code_of_the_house_knows_a_board() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        if let Err(Failure::Message(why)) = boards(&root) {
            panic!("{why}");
        }
        let addresses = Addresses::read(&root.join(PLATFORMS)).ok().unwrap();
        assert!(
            addresses.single.len() > 20,
            "{:x?}",
            addresses.single.keys()
        );
    }
}
