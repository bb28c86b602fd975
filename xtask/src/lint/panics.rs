//! Functions that a program contains only if something in it can panic.

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol};

/// Parts of the mangled names of functions that panic: the panic machinery of `core`, the failures
/// of `unwrap`, `expect`, indexing and slicing, and the handler itself.
const MARKS: [&str; 5] = [
    "9panicking",
    "rust_begin_unwind",
    "unwrap_failed",
    "expect_failed",
    "slice_index_fail",
];

/// Names of the functions that panic.
pub fn panics(elf: &[u8]) -> Result<Vec<String>, object::Error> {
    let file = ElfFile64::<Endianness>::parse(elf)?;
    let mut names: Vec<String> = file
        .symbols()
        .filter_map(|symbol| symbol.name().ok())
        .filter(|name| is_panic(name))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn is_panic(name: &str) -> bool {
    MARKS.iter().any(|mark| name.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(is_panic("_RNvNtCs3g5Gb6bJpu0_4core9panicking5panic"));
        assert!(is_panic("_RNvNtCs3g5Gb6bJpu0_4core6option13unwrap_failed"));
        assert!(is_panic("_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind"));
        assert!(!is_panic("_RNvNtCs1_4kern5start"));
    }

    /// The check finds a program that can panic, as every test can.
    #[test]
    fn a_program_that_can_panic() {
        let elf = std::fs::read("/proc/self/exe").unwrap();
        assert!(!panics(&elf).unwrap().is_empty());
    }
}
