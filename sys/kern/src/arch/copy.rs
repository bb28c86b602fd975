//! Copying memory that tasks and devices may change at the same time.

use core::arch::{asm, global_asm};

use abi::layout::KERNEL_WINDOW;

use super::instructions::read_register;

// Copies x23 bytes from physical address x22 to x21, through the kernel's window. Every byte is read
// once and written once, by loads and stores the compiler knows nothing about: the memory never becomes a
// reference, and what is copied is what is used. 64 bytes take ten instructions.
//
// `copy_mapped` is the same between two addresses of the kernel's own space.
//
// One routine for the core and for the fast path, in registers that suit both. Clobbers x21 to x25,
// x27, x28 and x30.
global_asm!(
    ".section .entry, \"ax\"",
    ".global copy_physical",
    ".global copy_mapped",
    "copy_physical:",
    "orr x21, x21, #{window}",
    "orr x22, x22, #{window}",
    "copy_mapped:",
    "subs x23, x23, #64",
    "b.lo 2f",
    "1:",
    ".rept 2",
    "ldp x24, x25, [x22], #16",
    "ldp x27, x28, [x22], #16",
    "stp x24, x25, [x21], #16",
    "stp x27, x28, [x21], #16",
    ".endr",
    "subs x23, x23, #64",
    "b.hs 1b",
    // The low six bits of what is left are still those of the length.
    "2:",
    "tst x23, #63",
    "b.eq 8f",
    "tbz x23, #5, 3f",
    "ldp x24, x25, [x22], #16",
    "ldp x27, x28, [x22], #16",
    "stp x24, x25, [x21], #16",
    "stp x27, x28, [x21], #16",
    "3:",
    "tbz x23, #4, 4f",
    "ldp x24, x25, [x22], #16",
    "stp x24, x25, [x21], #16",
    "4:",
    "tbz x23, #3, 5f",
    "ldr x24, [x22], #8",
    "str x24, [x21], #8",
    "5:",
    "tbz x23, #2, 6f",
    "ldr w24, [x22], #4",
    "str w24, [x21], #4",
    "6:",
    "tbz x23, #1, 7f",
    "ldrh w24, [x22], #2",
    "strh w24, [x21], #2",
    "7:",
    "tbz x23, #0, 8f",
    "ldrb w24, [x22]",
    "strb w24, [x21]",
    "8:",
    "ret",
    window = const KERNEL_WINDOW,
);

/// Copies `len` bytes from physical address `from` to `to`.
///
/// # Safety
/// Both ranges are RAM of the plan; the first is mapped writable in the kernel's window, and neither
/// holds anything of the kernel's own.
#[inline(always)]
pub unsafe fn physical(to: u64, from: u64, len: u64) {
    // SAFETY: the caller vouches for the ranges; the routine accesses nothing else, uses no stack, and
    // all that it clobbers is declared.
    unsafe {
        asm!(
            "bl copy_physical",
            inout("x21") to => _,
            inout("x22") from => _,
            inout("x23") len => _,
            out("x24") _,
            out("x25") _,
            out("x27") _,
            out("x28") _,
            out("x30") _,
            options(nostack),
        );
    }
}

/// Address in the kernel's window of a physical address.
pub const fn in_window(physical: u64) -> u64 {
    KERNEL_WINDOW | physical
}

/// Copies `len` bytes between addresses of the kernel's own space: one of an object of the kernel's, the other in its
/// window.
///
/// # Safety
/// Both ranges are mapped, the first writable, and the object is nobody else's while this runs. What is in the window is
/// as [`physical`] wants it.
#[inline(always)]
pub unsafe fn mapped(to: u64, from: u64, len: u64) {
    // SAFETY: as in `physical`.
    unsafe {
        asm!(
            "bl copy_mapped",
            inout("x21") to => _,
            inout("x22") from => _,
            inout("x23") len => _,
            out("x24") _,
            out("x25") _,
            out("x27") _,
            out("x28") _,
            out("x30") _,
            options(nostack),
        );
    }
}

/// The largest block of `DC ZVA` of which four are in a page; larger ones are possible, and nobody makes them.
const LARGEST_BLOCK: u64 = 1024;

/// Makes `len` bytes from physical address `at` zero.
///
/// # Safety
/// The range is RAM of the plan that the window maps writable; `at` and `len` are multiples of 4096.
pub unsafe fn clear(at: u64, len: u64) {
    /// `DCZID_EL0`: the instruction is prohibited; the logarithm of its block's words of four bytes.
    const PROHIBITED: u64 = 1 << 4;
    const BLOCK: u64 = 0xf;
    let start = KERNEL_WINDOW | at;
    let end = start + len;
    let blocks = read_register!("dczid_el0");
    let block = 4 << (blocks & BLOCK);
    // SAFETY: the caller's promise; the memory is no Rust object. The window is Normal memory, which `DC ZVA` takes as
    // stores of zeros to a block around an address; a page has a whole number of rounds.
    unsafe {
        if blocks & PROHIBITED == 0 && block <= LARGEST_BLOCK {
            asm!(
                "2: cmp {at}, {end}",
                "b.hs 3f",
                ".rept 4",
                "dc zva, {at}",
                "add {at}, {at}, {block}",
                ".endr",
                "b 2b",
                "3:",
                at = inout(reg) start => _,
                end = in(reg) end,
                block = in(reg) block,
                options(nostack),
            );
        } else {
            asm!(
                "2: cmp {at}, {end}",
                "b.hs 3f",
                ".rept 4",
                "stp xzr, xzr, [{at}], #16",
                ".endr",
                "b 2b",
                "3:",
                at = inout(reg) start => _,
                end = in(reg) end,
                options(nostack),
            );
        }
    }
}
