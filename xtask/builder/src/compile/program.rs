//! A linked program: its loadable segments.

use abi::layout::PAGE;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};

/// An ELF file, taken apart.
#[derive(Clone, Debug)]
pub struct Program {
    /// The whole file, for symbols.
    pub elf: Vec<u8>,
    /// Virtual address of the first instruction.
    pub entry: u64,
    /// The program's segments, in the order of their addresses.
    pub segments: Vec<Segment>,
}

/// A part of a program that is loaded together, with the same rights.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Virtual address of its first byte.
    pub va: u64,
    /// Address its bytes are loaded at; differs from `va` for initial values that stay pristine.
    pub load: u64,
    /// Bytes in memory.
    pub len: u64,
    /// The first of them; the others are zero.
    pub bytes: Vec<u8>,
    /// Whether the program may write there.
    pub write: bool,
    /// Whether instructions may be fetched from there.
    pub execute: bool,
    /// The task has no right there, not even to read.
    pub hidden: bool,
}

impl Segment {
    /// Whether it begins with a page and lies wholly in this range of addresses.
    pub fn is_within(&self, from: u64, to: u64) -> bool {
        let end = self.va.checked_add(self.len);
        self.va >= from && self.va.is_multiple_of(PAGE) && end.is_some_and(|end| end <= to)
    }
}

impl Program {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// What is wrong with it, in words for the user.
    pub fn parse(elf: Vec<u8>) -> Result<Self, String> {
        let (entry, segments) = parse(&elf)?;
        Ok(Self {
            elf,
            entry,
            segments,
        })
    }
}

fn parse(data: &[u8]) -> Result<(u64, Vec<Segment>), String> {
    let text = |error: object::Error| error.to_string();
    let header = elf::FileHeader64::<Endianness>::parse(data).map_err(text)?;
    let endian = header.endian().map_err(text)?;
    if header.e_machine(endian) != elf::EM_AARCH64 {
        return Err("not an AArch64 program".to_owned());
    }
    let mut segments = Vec::new();
    for segment in header.program_headers(endian, data).map_err(text)? {
        let len = segment.p_memsz(endian);
        if segment.p_type(endian) != elf::PT_LOAD || len == 0 {
            continue;
        }
        let flags = segment.p_flags(endian);
        let bytes = segment
            .data(endian, data)
            .map_err(|()| "a segment lies outside the file".to_owned())?;
        let (write, execute) = (flags.contains(elf::PF_W), flags.contains(elf::PF_X));
        if write && execute {
            return Err("a segment is writable and executable".to_owned());
        }
        segments.push(Segment {
            va: segment.p_vaddr(endian),
            load: segment.p_paddr(endian),
            len,
            bytes: bytes.to_vec(),
            write,
            execute,
            hidden: !write && !execute && !flags.contains(elf::PF_R),
        });
    }
    segments.sort_by_key(|segment| segment.va);
    Ok((header.e_entry(endian), segments))
}

#[cfg(test)]
mod tests {
    use super::Segment;
    use abi::layout::PAGE;

    #[test]
    fn a_segment_lies_within_a_range_or_not() {
        let is_within = |va: u64, len: u64| {
            let segment = Segment {
                va,
                load: va,
                len,
                bytes: Vec::new(),
                write: false,
                execute: false,
                hidden: false,
            };
            segment.is_within(2 * PAGE, 4 * PAGE)
        };
        assert!(is_within(2 * PAGE, 2 * PAGE) && is_within(3 * PAGE, 1));
        assert!(!is_within(PAGE, PAGE), "it begins before");
        assert!(!is_within(3 * PAGE, PAGE + 1), "it ends behind");
        assert!(!is_within(2 * PAGE + 8, 8), "it begins within a page");
        assert!(!is_within(3 * PAGE, u64::MAX), "its end is no address");
    }
}
