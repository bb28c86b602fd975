//! Copying memory that tasks and devices may change at the same time.

use core::arch::asm;

/// Copies `len` bytes from `from` to `to`, both virtual addresses. Every byte is read once and written
/// once, by loads and stores the compiler knows nothing about: the memory never becomes a reference, and
/// what is copied is what is used. 64 bytes take ten instructions.
///
/// # Safety
/// Both ranges are mapped, normal memory, the first writable, and neither holds anything of the
/// kernel's own.
#[inline(always)]
pub unsafe fn volatile(to: u64, from: u64, len: u64) {
    // SAFETY: the caller vouches for the ranges; the block accesses nothing else.
    unsafe {
        asm!(
            "subs {len}, {len}, #64",
            "b.lo 3f",
            "2:",
            "ldp {a}, {b}, [{from}]",
            "ldp {c}, {d}, [{from}, #16]",
            "stp {a}, {b}, [{to}]",
            "stp {c}, {d}, [{to}, #16]",
            "ldp {a}, {b}, [{from}, #32]",
            "ldp {c}, {d}, [{from}, #48]",
            "stp {a}, {b}, [{to}, #32]",
            "stp {c}, {d}, [{to}, #48]",
            "add {from}, {from}, #64",
            "add {to}, {to}, #64",
            "subs {len}, {len}, #64",
            "b.hs 2b",
            // What is left is len + 64 - 64 * n, whose low six bits are those of len.
            "3:",
            "tbz {len}, #5, 4f",
            "ldp {a}, {b}, [{from}], #16",
            "ldp {c}, {d}, [{from}], #16",
            "stp {a}, {b}, [{to}], #16",
            "stp {c}, {d}, [{to}], #16",
            "4:",
            "tbz {len}, #4, 5f",
            "ldp {a}, {b}, [{from}], #16",
            "stp {a}, {b}, [{to}], #16",
            "5:",
            "tbz {len}, #3, 6f",
            "ldr {a}, [{from}], #8",
            "str {a}, [{to}], #8",
            "6:",
            "tbz {len}, #2, 7f",
            "ldr {a:w}, [{from}], #4",
            "str {a:w}, [{to}], #4",
            "7:",
            "tbz {len}, #1, 8f",
            "ldrh {a:w}, [{from}], #2",
            "strh {a:w}, [{to}], #2",
            "8:",
            "tbz {len}, #0, 9f",
            "ldrb {a:w}, [{from}]",
            "strb {a:w}, [{to}]",
            "9:",
            len = inout(reg) len => _,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            options(nostack),
        );
    }
}
