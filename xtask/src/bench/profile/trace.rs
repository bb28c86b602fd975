//! The instructions that the processor executed, from QEMU's own log.
//!
//! QEMU translates one instruction a block (`-singlestep`; from 8.1 on `one-insn-per-tb`) and never goes from one block to the next by
//! itself (`nochain`). So `-d in_asm,exec` has the text of each block when it is made, and a line each time when one
//! is executed. Two kinds of lines take the last one back: an interrupt came before the block did anything, or it
//! will be made anew because it accesses a device.

use std::collections::HashMap;
use std::io::BufRead;

use planner::failure::{Failure, Outcome};

/// An instruction at an address, in one address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub address: u64,
    pub word: u32,
}

/// All that was executed.
#[derive(Default)]
pub struct Trace {
    pub places: Vec<Place>,
    /// By time: numbers of places.
    pub steps: Vec<u32>,
}

/// QEMU's arguments that make it write such a log into `file`.
pub fn arguments(version: (u32, u32), file: &str) -> Vec<String> {
    /// The first version that has the option under its new name; the old one went with 9.2.
    const RENAMED: (u32, u32) = (8, 1);
    let single: &[&str] = if version < RENAMED {
        &["-singlestep"]
    } else {
        &["-accel", "tcg,one-insn-per-tb=on"]
    };
    let log = ["-d", "in_asm,exec,nochain", "-D", file];
    single.iter().chain(&log).map(|&word| word.into()).collect()
}

impl Trace {
    /// Reads a log to its end.
    pub fn read(mut log: impl BufRead) -> Outcome<Self> {
        let mut reader = Reader::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = log.read_until(b'\n', &mut line);
            if read.map_err(Failure::when("cannot read QEMU's log"))? == 0 {
                return Ok(reader.trace);
            }
            if reader.line(&line).is_none() {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end();
                return Err(Failure::new(format!(
                    "QEMU's log of instructions is not understood: `{text}`"
                )));
            }
        }
    }

    /// The place of a step.
    pub fn place(&self, step: usize) -> Option<Place> {
        let place = self.steps.get(step)?;
        self.places.get(*place as usize).copied()
    }

    /// Leaves out the instructions that a synchronous exception stopped: they did not retire. `vectors` is the kernel's
    /// table, in which such exceptions have every fourth entry of 128 bytes. An instruction that is there to make an exception retires.
    pub fn drop_stopped(&mut self, vectors: u64) {
        const SYNCHRONOUS: [u64; 2] = [0x200, 0x400];
        /// `SVC`, `HVC`, `SMC`, `BRK`, `HLT`: Arm ARM DDI 0487, C4.1, "Exception generation".
        const EXCEPTION: u32 = 0xd4;
        let steps = std::mem::take(&mut self.steps);
        for step in steps {
            let entry = self
                .places
                .get(step as usize)
                .map(|to| to.address.wrapping_sub(vectors));
            if entry.is_some_and(|entry| SYNCHRONOUS.contains(&entry)) {
                let before = self.steps.len().checked_sub(1);
                let before = before.and_then(|before| self.place(before));
                if before.is_some_and(|place| place.word >> 24 != EXCEPTION) {
                    self.steps.pop();
                }
            }
            self.steps.push(step);
        }
    }
}

/// A log, half read.
#[derive(Default)]
struct Reader {
    trace: Trace,
    /// Places by the address of the code that QEMU made of them. It makes new code at an old address only after it has
    /// thrown everything away, and then the new text comes first.
    known: HashMap<u64, u32>,
    /// What the next block that is executed has in it.
    made: Option<Place>,
}

impl Reader {
    /// Takes a line; none if it makes no sense.
    fn line(&mut self, line: &[u8]) -> Option<()> {
        if line.starts_with(b"Trace ") {
            return self.executed(line);
        }
        if line.starts_with(b"0x") {
            // Two in one block: where the second would be counted is not told.
            let text = std::str::from_utf8(line).ok()?;
            let (address, rest) = text.strip_prefix("0x")?.split_once(':')?;
            let place = Place {
                address: u64::from_str_radix(address, 16).ok()?,
                word: u32::from_str_radix(rest.split_whitespace().next()?, 16).ok()?,
            };
            return self.made.replace(place).is_none().then_some(());
        }
        if line.starts_with(b"Stopped execution") || line.starts_with(b"cpu_io_recompile") {
            self.trace.steps.pop()?;
        }
        Some(())
    }

    /// `Trace 0: 0x7f0123456789 [...`: the block of that address.
    fn executed(&mut self, line: &[u8]) -> Option<()> {
        let start = line.iter().position(|&byte| byte == b'x')? + 1;
        let mut block = 0;
        for &byte in line.get(start..)? {
            let Some(digit) = char::from(byte).to_digit(16) else {
                break;
            };
            block = block << 4 | u64::from(digit);
        }
        let place = match self.made.take() {
            Some(made) => {
                let number = u32::try_from(self.trace.places.len()).ok()?;
                self.trace.places.push(made);
                self.known.insert(block, number);
                number
            }
            None => *self.known.get(&block)?,
        };
        self.trace.steps.push(place);
        Some(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A trace of instructions at addresses.
    pub fn trace(steps: &[(u64, u32)]) -> Trace {
        let mut trace = Trace::default();
        for &(address, word) in steps {
            let place = Place { address, word };
            let known = trace.places.iter().position(|known| *known == place);
            let number = known.unwrap_or_else(|| {
                trace.places.push(place);
                trace.places.len() - 1
            });
            trace.steps.push(number as u32);
        }
        trace
    }

    const OLD: &str = "----------------\nIN: \n0x40000000:  580000c0  ldr      x0, #0x40000018\n\n\
        Trace 0: 0x7fc858000100 [0000000000004000/0000000040000000/00000121/ff020201] \n";
    const NEW: &str = "----------------\nIN: \n0x40000004:  aa1f03e1  mov      x1, xzr\n\n\
        Trace 0: 0x7fc858000280 [00004000/0000000040000004/00000521/ff022201] \n";

    fn addresses(log: &str) -> Vec<u64> {
        let trace = Trace::read(log.as_bytes()).unwrap_or_else(|why| panic!("{why:?}"));
        let steps = 0..trace.steps.len();
        steps
            .map(|step| trace.place(step).unwrap().address)
            .collect()
    }

    #[test]
    fn blocks_are_known_by_their_code_once_they_were_told() {
        let again =
            "Trace 0: 0x7fc858000100 [0000000000004000/0000000040000000/00000121/ff020201] \n";
        let log = format!("{OLD}{NEW}{again}");
        assert_eq!(addresses(&log), [0x4000_0000, 0x4000_0004, 0x4000_0000]);
        // The same code, made anew of another instruction.
        let anew =
            "IN: \n0x40000008:  aa1f03e1  mov      x1, xzr\n\nTrace 0: 0x7fc858000100 [0/0/0/0] \n";
        let log = format!("{OLD}{NEW}{anew}{again}");
        let last = addresses(&log).split_off(2);
        assert_eq!(last, [0x4000_0008, 0x4000_0008]);
    }

    #[test]
    fn what_was_not_executed_after_all_does_not_count() {
        let stopped = "Stopped execution of TB chain before 0x7fc858000280 [0000000040000004] \n";
        assert_eq!(addresses(&format!("{OLD}{NEW}{stopped}")), [0x4000_0000]);
        let rewound = "cpu_io_recompile: rewound execution of TB to 0000000040000004\n";
        assert_eq!(addresses(&format!("{OLD}{NEW}{rewound}")), [0x4000_0000]);
    }

    #[test]
    fn a_log_that_is_not_understood_is_an_error() {
        let unknown = "Trace 0: 0x7fc858000300 [0/0/0/0] \n";
        let several = "IN: \n0x40000000:  580000c0  ldr x0\n0x40000004:  aa1f03e1  mov x1\n";
        let dump = "IN: \n0x40000000:  OBJD-T: 580000c0\n";
        for log in [unknown, several, dump] {
            let read = Trace::read(format!("{OLD}{log}").as_bytes());
            let Err(Failure::Message(why)) = read else {
                panic!("{log} is understood");
            };
            assert!(why.contains("is not understood"), "{why}");
        }
    }

    #[test]
    fn what_an_exception_stopped_did_not_retire() {
        const VECTORS: u64 = 0xffff_ff80_0000_0800;
        const LOAD: u32 = 0xf940_0000;
        const CALL: u32 = 0xd400_0001;
        let mut trace = trace(&[
            (0x40_0000, LOAD),
            (VECTORS + 0x480, LOAD),
            (0x40_0000, LOAD),
            (VECTORS + 0x400, LOAD),
            (0x40_0004, CALL),
            (VECTORS + 0x400, LOAD),
        ]);
        trace.drop_stopped(VECTORS);
        assert_eq!(trace.steps, [0, 1, 2, 3, 2].map(|step| step).to_vec());
    }
}
