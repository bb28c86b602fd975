//! Which program each instruction of a trace is of.
//!
//! All tasks are linked at one address, and the log does not tell address spaces apart. But QEMU makes code for each
//! physical page once, and tasks share none; and between two visits of the kernel one task runs. So what runs together is of one
//! address space, and the program of an address space is the one that has each of its instructions where it was
//! executed.

use builder::compile::Program;

use super::trace::{Place, Trace};

/// Whose an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Kernel,
    /// The number of a program.
    Program(usize),
    /// Before the kernel's own addresses are in use, or of no program of the plan.
    Nobody,
}

/// Addresses from here on are the kernel's.
const KERNEL: u64 = 1 << 63;

/// The owner of each place. Of programs that are alike in everything that was executed, the first.
pub fn owners(trace: &Trace, programs: &[&Program]) -> Vec<Owner> {
    let mut together = Together::new(trace.places.len());
    let mut before: Option<u32> = None;
    for &step in &trace.steps {
        let place = trace.places.get(step as usize);
        before = place.filter(|place| place.address < KERNEL).map(|_| {
            before.inspect(|&before| together.join(before, step));
            step
        });
    }
    // By space: whether each program can be the one.
    let mut fits = vec![vec![true; programs.len()]; trace.places.len()];
    for (number, place) in trace.places.iter().enumerate() {
        let space = together.space(number as u32);
        for (program, fits) in programs.iter().zip(&mut fits[space as usize]) {
            *fits &= has(program, place);
        }
    }
    let owner = |(number, place): (usize, &Place)| {
        if place.address >= KERNEL {
            return Owner::Kernel;
        }
        let space = together.space(number as u32);
        let fitting = fits[space as usize].iter().position(|fits| *fits);
        fitting.map_or(Owner::Nobody, Owner::Program)
    };
    trace.places.iter().enumerate().map(owner).collect()
}

/// Whether a program has the instruction at its address.
fn has(program: &Program, place: &Place) -> bool {
    let code = program.segments.iter().filter(|segment| segment.execute);
    let words = code.filter_map(|segment| {
        let at = usize::try_from(place.address.checked_sub(segment.va)?).ok()?;
        let bytes = segment.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    });
    words.into_iter().any(|word| word == place.word)
}

/// Places that are known to be of one address space: a forest, whose roots stand for the spaces.
struct Together(Vec<u32>);

impl Together {
    fn new(places: usize) -> Self {
        Self((0..places as u32).collect())
    }

    fn space(&self, mut place: u32) -> u32 {
        while self.0[place as usize] != place {
            place = self.0[place as usize];
        }
        place
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one_root, other_root) = (self.space(one), self.space(other));
        self.0[one_root as usize] = other_root;
        // Short ways for the next look.
        self.0[one as usize] = other_root;
        self.0[other as usize] = other_root;
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::tests::trace;
    use super::*;
    use builder::compile::Segment;

    const ENTRY: u64 = 0x40_0000;
    const CALL: (u64, u32) = (0xffff_ff80_0000_0c00, 0);

    fn program(words: &[u32]) -> Program {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Program {
            elf: Vec::new(),
            entry: ENTRY,
            segments: vec![Segment {
                va: ENTRY,
                load: ENTRY,
                len: bytes.len() as u64,
                bytes,
                write: false,
                execute: true,
                hidden: false,
            }],
        }
    }

    #[test]
    fn what_programs_share_belongs_to_who_runs() {
        let programs = [program(&[1, 2, 3]), program(&[1, 2, 4])];
        let programs: Vec<&Program> = programs.iter().collect();
        // Two spaces: the places of the second are others, though address and word are the same.
        let mut trace = trace(&[(ENTRY, 1), (ENTRY + 8, 3), CALL]);
        for word in [1, 2, 4] {
            let address = ENTRY + u64::from(word.min(3) - 1) * 4;
            trace.places.push(Place { address, word });
        }
        trace.steps.extend([3, 2, 3, 4, 2, 4, 5]);
        use Owner::{Kernel, Program as Of};
        assert_eq!(
            owners(&trace, &programs),
            [Of(0), Of(0), Kernel, Of(1), Of(1), Of(1)]
        );
    }

    #[test]
    fn code_of_no_program_is_nobodys() {
        let only = program(&[1, 2]);
        let trace = trace(&[(0x4000_0000, 7), CALL, (ENTRY, 9)]);
        let owners = owners(&trace, &[&only]);
        assert_eq!(owners, [Owner::Nobody, Owner::Kernel, Owner::Nobody]);
    }
}
