//! Branches of the kernel to an address in a register: a processor guesses where they go, by a history that tasks
//! take part in.

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSegment, ObjectSymbol, SegmentFlags, elf};

/// The last instructions that run once only, at boot: branches before this symbol come before any task.
const BOOTED: &str = "stop";

/// Addresses of such branches, but for those at boot. Returns are none of them.
pub fn indirect(program: &[u8]) -> Result<Vec<u64>, object::Error> {
    let file = ElfFile64::<Endianness>::parse(program)?;
    let booted = file
        .symbols()
        .find(|symbol| symbol.name() == Ok(BOOTED))
        .map_or(0, |symbol| symbol.address());
    let mut found = Vec::new();
    for segment in file.segments() {
        let executable = matches!(
            segment.flags(),
            SegmentFlags::Elf { p_flags, .. } if p_flags.contains(elf::PF_X)
        );
        if !executable {
            continue;
        }
        let words = segment.data()?.chunks_exact(4).zip(0_u64..);
        found.extend(
            words
                .filter(|(word, _)| is_indirect(word))
                .map(|(_, number)| segment.address() + 4 * number)
                .filter(|address| *address > booted),
        );
    }
    Ok(found)
}

/// `BR` or `BLR`.
fn is_indirect(word: &[u8]) -> bool {
    let word = u32::from_le_bytes(word.try_into().unwrap_or_default());
    matches!(word & 0xffff_fc1f, 0xd61f_0000 | 0xd63f_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_and_returns() {
        assert!(is_indirect(&0xd61f_0140_u32.to_le_bytes()), "br x10");
        assert!(is_indirect(&0xd63f_0000_u32.to_le_bytes()), "blr x0");
        assert!(!is_indirect(&0xd65f_03c0_u32.to_le_bytes()), "ret");
        assert!(!is_indirect(&0x1400_0000_u32.to_le_bytes()), "b");
    }
}
