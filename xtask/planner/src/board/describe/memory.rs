//! RAM, and what of it is somebody's.

use std::fmt::Write;

use import::board::{Board, Part, Range};

use super::claims::{Claims, Names, pages};
use crate::planning::IOVA_BITS_FAR;
use crate::read::units::show_size;

/// Where a loader puts an image.
const BLOCK: u64 = abi::layout::BLOCK;

/// The memory of a description.
pub struct Memory {
    /// The RAM that the system lives in.
    ram: Option<Range>,
    reserved: Vec<Part>,
    other: Vec<Part>,
}

impl Memory {
    /// Chooses the largest RAM, which gets its addresses, and adds what direct regions need.
    pub fn new(board: &Board, claims: &mut Claims, notes: &mut Vec<String>) -> Self {
        let mut ram = None;
        let mut rest: Vec<Range> = board.memory.iter().map(|range| whole(*range)).collect();
        rest.sort_by_key(|range| std::cmp::Reverse(range.len));
        for range in rest.iter().filter(|range| range.len >= 2 * BLOCK) {
            match claims.claim("RAM", *range) {
                Ok(()) if ram.is_none() => {
                    ram = Some(*range);
                    break;
                }
                Ok(()) => {}
                Err(why) => notes.push(format!("RAM at {:#x} is left out: {why}", range.base)),
            }
        }
        let unused = rest
            .iter()
            .filter(|range| Some(**range) != ram && range.len > 0);
        let unused: Vec<String> = unused.map(|range| shown(*range)).collect();
        if ram.is_some() && !unused.is_empty() {
            let unused = unused.join(", ");
            notes.push(format!(
                "RAM that a description has no room for is not used: {unused}"
            ));
        }
        let mut memory = Self {
            ram,
            reserved: Vec::new(),
            other: Vec::new(),
        };
        if let Some(ram) = ram {
            memory.reserve(board, ram);
        }
        memory
    }

    /// The parts of the RAM that are reserved, each address once; a direct region is its device's instead.
    fn reserve(&mut self, board: &Board, ram: Range) {
        let mut taken: Vec<Range> = board
            .masters
            .iter()
            .flat_map(|m| &m.direct)
            .map(|part| pages(part.range))
            .collect();
        taken.extend(board.direct.iter().map(|direct| pages(direct.part.range)));
        let mut parts = board.reserved.clone();
        parts.sort_by_key(|part| (part.range.base, part.range.len));
        let mut names = Names::default();
        for part in parts {
            let within = clipped(pages(part.range), ram);
            for range in without(within, &taken) {
                taken.push(range);
                self.reserved.push(Part {
                    name: names.free(&part.name),
                    range,
                });
            }
        }
    }

    /// Whether a device can have a direct region there; memory that it needs is declared.
    pub fn direct(&mut self, part: &Part, claims: &mut Claims) -> Result<Range, String> {
        let range = pages(part.range);
        if range.len == 0 || range.end() > 1 << IOVA_BITS_FAR {
            return Err(format!(
                "{} is beyond what a domain translates, {IOVA_BITS_FAR} bits",
                shown(range)
            ));
        }
        let Some(ram) = self.ram else {
            return Ok(range);
        };
        if range.base >= ram.base && range.end() <= ram.end()
            || self.other.iter().any(|other| other.range == range)
        {
            return Ok(range);
        }
        claims
            .claim(&part.name, range)
            .map_err(|why| format!("{}: {why}", shown(range)))?;
        let mut names = Names::default();
        self.other.iter().for_each(|other| names.take(&other.name));
        let name = names.free(&part.name);
        self.other.push(Part { name, range });
        Ok(range)
    }

    /// The first place for an image that nobody has.
    fn image(&self, board: &Board) -> Option<u64> {
        let ram = self.ram?;
        let direct = board.masters.iter().flat_map(|master| &master.direct);
        let direct = direct.chain(board.direct.iter().map(|direct| &direct.part));
        let taken: Vec<Range> = self
            .reserved
            .iter()
            .chain(direct)
            .map(|part| part.range)
            .collect();
        let mut at = ram.base.checked_next_multiple_of(BLOCK)?;
        for _ in 0..=2 * taken.len() {
            let room = Range {
                base: at,
                len: BLOCK,
            };
            match taken.iter().find(|range| range.overlaps(&room)) {
                None => return (room.end() <= ram.end()).then_some(at),
                Some(range) => at = range.end().checked_next_multiple_of(BLOCK)?,
            }
        }
        None
    }

    /// The table, if the board states RAM.
    pub fn write(&self, board: &Board, out: &mut String) -> Result<bool, std::fmt::Error> {
        let (Some(ram), Some(image)) = (self.ram, self.image(board)) else {
            out.push_str(
                "# The board does not state where its RAM is: write [platform.memory] by hand.\n\n",
            );
            return Ok(false);
        };
        writeln!(
            out,
            "[platform.memory]\nbase = {:#x}\nsize = \"{}\"",
            ram.base,
            show_size(ram.len)
        )?;
        writeln!(
            out,
            "# A place that nobody has; write the one that the loader uses.\nimage = {image:#x}"
        )?;
        for (key, parts) in [("reserved", &self.reserved), ("other", &self.other)] {
            for Part { name, range } in parts {
                writeln!(
                    out,
                    "{key}.{name} = {{ base = {:#x}, size = \"{}\" }}",
                    range.base,
                    show_size(range.len)
                )?;
            }
        }
        out.push('\n');
        Ok(true)
    }
}

/// Base and end for a person.
pub fn shown(range: Range) -> String {
    format!("{:#x} to {:#x}", range.base, range.end().saturating_sub(1))
}

/// The whole pages within a range.
fn whole(range: Range) -> Range {
    let page = abi::layout::PAGE;
    let base = range
        .base
        .checked_next_multiple_of(page)
        .unwrap_or(u64::MAX);
    let end = range.end() - range.end() % page;
    Range {
        base,
        len: end.saturating_sub(base),
    }
}

fn clipped(range: Range, to: Range) -> Range {
    let base = range.base.max(to.base);
    let len = range.end().min(to.end()).saturating_sub(base);
    Range { base, len }
}

/// The parts of a range that none of the others has.
fn without(range: Range, others: &[Range]) -> Vec<Range> {
    let mut parts = vec![range];
    for other in others {
        let cut = |part: Range| {
            if !part.overlaps(other) {
                return vec![part];
            }
            let before = Range {
                base: part.base,
                len: other.base.saturating_sub(part.base),
            };
            let after = Range {
                base: other.end(),
                len: part.end().saturating_sub(other.end()),
            };
            vec![before, after]
        };
        parts = parts.into_iter().flat_map(cut).collect();
    }
    parts.retain(|part| part.len > 0);
    parts
}
