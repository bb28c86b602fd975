//! Made-up programs, for tests that only want their sizes and places.

use super::{Program, Programs, Segment};

/// A kernel and as many tasks.
pub fn programs(tasks: usize) -> Programs {
    Programs {
        kernel: program(abi::layout::KERNEL_IMAGE_BASE, &[false, false, false, true]),
        tasks: vec![program(abi::layout::TASK_IMAGE_BASE, &[false; 3]); tasks],
        compiled: 0,
    }
}

fn program(base: u64, hidden: &[bool]) -> Program {
    let segment = |(index, &hidden): (usize, &bool)| Segment {
        va: base + index as u64 * 0x4000,
        load: base + index as u64 * 0x4000,
        len: 0x2800,
        // A writable segment has no first contents here: those would be loaded with the one before it.
        bytes: vec![index as u8; if index == 2 { 0 } else { 0x100 }],
        write: !hidden && index == 2,
        execute: !hidden && index == 0,
        hidden,
    };
    Program {
        elf: Vec::new(),
        entry: base,
        segments: hidden.iter().enumerate().map(segment).collect(),
    }
}
