//! The stack that a program needs at most: the longest way down through its functions.
//!
//! The page below a stack is nobody's, so that a task that needs more than it has dies at whatever request comes first that
//! goes as deep. A table that the compiler makes on the stack before it puts it in its place is enough for that.

use std::collections::BTreeMap;

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};

/// A function of a program: where it is, and what it does to the stack.
struct Function {
    name: String,
    /// Bytes that it takes.
    frame: u64,
    /// The functions that it calls, or goes over to, by their first address.
    calls: Vec<u64>,
}

/// The deepest way down from the first instruction of a program.
#[derive(Debug, PartialEq, Eq)]
pub struct Deepest {
    /// Bytes of stack.
    pub bytes: u64,
    /// The functions on that way, each with its frame.
    pub way: Vec<(String, u64)>,
}

/// The deepest way down, on which each function counts once: what calls itself is bounded by what it is about, of which
/// this knows nothing.
pub fn deepest(program: &[u8]) -> Result<Deepest, object::Error> {
    let functions = functions(program)?;
    let entry = ElfFile64::<Endianness>::parse(program)?.entry();
    let mut known = BTreeMap::new();
    let entry = first_of(&functions, entry);
    let bytes = down(&functions, entry, &mut known);
    let mut way = Vec::new();
    let mut at = Some(entry);
    while let Some(function) = at.and_then(|at| functions.get(&at)) {
        way.push((function.name.clone(), function.frame));
        let depth = |call: &u64| known.get(call).copied().unwrap_or(0);
        at = function.calls.iter().copied().max_by_key(depth);
        // One that calls itself.
        if way.len() > functions.len() {
            break;
        }
    }
    Ok(Deepest { bytes, way })
}

/// The function that an address lies in.
fn first_of(functions: &BTreeMap<u64, Function>, address: u64) -> u64 {
    let below = functions.range(..=address).next_back();
    below.map_or(address, |(first, _)| *first)
}

/// Bytes from a function down.
fn down(functions: &BTreeMap<u64, Function>, at: u64, known: &mut BTreeMap<u64, u64>) -> u64 {
    if let Some(depth) = known.get(&at) {
        return *depth;
    }
    let Some(function) = functions.get(&at) else {
        return 0;
    };
    // Until it is known: whoever comes here again has come round.
    known.insert(at, 0);
    let calls = function.calls.iter();
    let deepest = calls.map(|call| down(functions, *call, known)).max();
    let depth = function.frame + deepest.unwrap_or(0);
    known.insert(at, depth);
    depth
}

/// The functions of a program, by their first address.
fn functions(program: &[u8]) -> Result<BTreeMap<u64, Function>, object::Error> {
    let file = ElfFile64::<Endianness>::parse(program)?;
    let text = |symbol: &object::read::elf::ElfSymbol64<'_, '_, Endianness>| {
        symbol.kind() == SymbolKind::Text && symbol.size() > 0
    };
    let symbols: Vec<_> = file.symbols().filter(text).collect();
    let mut found = BTreeMap::new();
    for symbol in &symbols {
        found.insert(
            symbol.address(),
            Function {
                name: symbol.name().unwrap_or_default().to_owned(),
                frame: 0,
                calls: Vec::new(),
            },
        );
    }
    for symbol in symbols {
        let Some(index) = symbol.section_index() else {
            continue;
        };
        let section = file.section_by_index(index)?;
        let code = section.data_range(symbol.address(), symbol.size())?;
        let code = code.unwrap_or_default();
        let (frame, targets) = read(code, symbol.address());
        let own = symbol.address();
        let calls = targets.into_iter().map(|target| first_of(&found, target));
        let mut calls: Vec<u64> = calls.filter(|call| *call != own).collect();
        calls.sort_unstable();
        calls.dedup();
        if let Some(function) = found.get_mut(&own) {
            (function.frame, function.calls) = (frame, calls);
        }
    }
    Ok(found)
}

/// The bytes that code takes from the stack in all, and where its branches go.
fn read(code: &[u8], address: u64) -> (u64, Vec<u64>) {
    let (mut frame, mut targets) = (0, Vec::new());
    for (word, number) in code.chunks_exact(4).zip(0_u64..) {
        let word = u32::from_le_bytes(word.try_into().unwrap_or_default());
        frame += taken(word);
        if let Some(offset) = branch(word) {
            targets.push((address + 4 * number).wrapping_add_signed(offset));
        }
    }
    (frame, targets)
}

/// Bytes that an instruction takes from the stack (Arm ARM C6.2: SUB immediate, STP and STR with the base written
/// before the access).
fn taken(word: u32) -> u64 {
    const STACK: u32 = 31;
    let (base, target) = (word >> 5 & 31, word & 31);
    if base != STACK {
        return 0;
    }
    match word {
        // SUB SP, SP, #imm12, perhaps shifted by 12.
        _ if word >> 23 == 0b1_1010_0010 && target == STACK => {
            let immediate = u64::from(word >> 10 & 0xfff);
            immediate << (12 * (word >> 22 & 1))
        }
        // STP Xt, Xt2, [SP, #imm7 * 8]!
        _ if word >> 22 == 0b10_1010_0110 => below(word >> 15 & 0x7f, 7) * 8,
        // STR Xt, [SP, #imm9]!
        _ if word & 0xffe0_0c00 == 0xf800_0c00 => below(word >> 12 & 0x1ff, 9),
        _ => 0,
    }
}

/// How far below zero a number of so many bits is.
fn below(number: u32, bits: u32) -> u64 {
    if number >> (bits - 1) & 1 == 1 {
        (1 << bits) - u64::from(number)
    } else {
        0
    }
}

/// Where `BL` and `B` go, in bytes from themselves.
fn branch(word: u32) -> Option<i64> {
    let is_branch = word & 0x7c00_0000 == 0x1400_0000;
    let offset = i64::from((word << 6) as i32 >> 6) * 4;
    is_branch.then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_that_take_stack() {
        for (word, bytes) in [
            (0xd102_03ff, 0x80),   // sub sp, sp, #0x80
            (0xd140_07ff, 0x1000), // sub sp, sp, #1, lsl #12
            (0xa9ba_7bfd, 0x60),   // stp x29, x30, [sp, #-0x60]!
            (0xf81f_0ffe, 0x10),   // str x30, [sp, #-16]!
            (0x9102_03ff, 0),      // add sp, sp, #0x80
            (0xa904_7bfd, 0),      // stp x29, x30, [sp, #0x40]
            (0xd102_0000, 0),      // sub x0, x0, #0x80
        ] {
            assert_eq!(taken(word), bytes, "{word:#x}");
        }
    }

    #[test]
    fn branches() {
        assert_eq!(branch(0x9400_0002), Some(8), "bl");
        assert_eq!(branch(0x17ff_ffff), Some(-4), "b");
        assert_eq!(branch(0x5400_0040), None, "b.eq");
        assert_eq!(branch(0xd65f_03c0), None, "ret");
    }

    fn function(frame: u64, calls: &[u64]) -> Function {
        Function {
            name: String::new(),
            frame,
            calls: calls.to_vec(),
        }
    }

    #[test]
    fn the_deepest_way_counts() {
        let mut all = BTreeMap::from([
            (0, function(16, &[4, 8])),
            (4, function(100, &[])),
            (8, function(32, &[12])),
            (12, function(96, &[])),
        ]);
        assert_eq!(down(&all, 0, &mut BTreeMap::new()), 144);
        all.insert(12, function(97, &[0, 8]));
        assert_eq!(down(&all, 0, &mut BTreeMap::new()), 145);
    }
}
