//! Every instruction that could reach beyond its task, to be tried one by one. For conformance tests of images
//! that ask for it by the feature `every-instruction`: the table has over a megabyte.
//!
//! A slot is an instruction and a return. Slots are numbered through four parts: the whole space of system
//! instructions with `x0`, those without a register, the whole space of exception generating instructions with
//! a few immediates, and representatives of extensions.

use core::ops::Range;

/// Moves from and to registers, `SYS`, `SYSL`, and what else begins with 0xd50: bits 21 to 5 are the slot's number.
pub const SYSTEM: Range<usize> = 0..1 << 17;
/// Hints, barriers and moves of immediates: `op0` 0, `L` 0, register 31; bits 18 to 5 are the number in the part.
pub const PLAIN: Range<usize> = SYSTEM.end..SYSTEM.end + (1 << 14);
/// Immediates of the exception generating instructions.
pub const IMMEDIATES: [u16; 4] = [0, 1, 0xf000, 0xffff];
/// The encodings that begin with 0xd4: `opc`, `op2` and `LL` with each of [`IMMEDIATES`].
pub const EXCEPTIONS: Range<usize> = PLAIN.end..PLAIN.end + 4 * 256;
/// Representatives of extensions.
pub const EXTENSIONS: Range<usize> = EXCEPTIONS.end..EXCEPTIONS.end + TEXTS.len();
/// Bytes of a slot.
pub const SLOT: u64 = 8;

/// An instruction, and whether every processor has to fault it at EL0.
#[derive(Clone, Copy, Debug)]
pub struct Extension {
    /// The instruction's text.
    pub text: &'static str,
    /// The instruction must not return.
    pub faults: bool,
}

macro_rules! extensions {
    ($($text:literal $end:ident,)+) => {
        /// The representatives in their order.
        pub const TEXTS: &[Extension] = &[$(Extension { text: $text, faults: extensions!(@$end) }),+];

        #[cfg(target_os = "none")]
        core::arch::global_asm!(
            ".section .text.every_instruction, \"ax\"",
            ".arch armv9.4-a+sve+sve2+sme+memtag+mops+ls64+gcs+pauth+flagm+d128+lse128+fp+simd+the",
            ".balign 64",
            "every_instruction:",
            ".set number, 0",
            ".rept 131072",
            ".inst 0xd5000000 + (number << 5)",
            "ret",
            ".set number, number + 1",
            ".endr",
            ".set number, 0",
            ".rept 16384",
            ".inst 0xd500001f + (number << 5)",
            "ret",
            ".set number, number + 1",
            ".endr",
            ".irp immediate, 0, 1, 0xf000, 0xffff",
            ".set number, 0",
            ".rept 256",
            ".inst 0xd4000000 + ((number >> 5) << 21) + (\\immediate << 5) + (number & 31)",
            "ret",
            ".set number, number + 1",
            ".endr",
            ".endr",
            $(concat!($text, "\nret"),)+
            options(raw),
        );
    };
    (@faults) => { true };
    (@either) => { false };
}

// x0 and x1 are addresses of memory of the task's, aligned to 64 bytes.
extensions! {
    // Pointer authentication. (BRAA is left out: QEMU 10.0.2 ends itself where a task has it on its newest processor.)
    "pacia x0, x1" either, "pacib x0, x1" either, "pacda x0, x1" either, "pacdb x0, x1" either,
    "paciza x0" either, "autia x0, x1" either, "autdza x0" either, "xpaci x0" either, "xpacd x0" either,
    "pacga x0, x0, x1" either, "retaa" either, "retab" either, "blraa x30, x1" either, "blrabz x30" either,
    "ldraa x0, [x1]" either, "eretaa" faults, "eretab" faults, "eret" faults, "drps" faults,
    // Memory tagging.
    "irg x0, x0, x2" either, "gmi x2, x0, x2" either, "addg x0, x0, #16, #1" either, "subps x2, x0, x1" either,
    "stg x0, [x1]" either, "st2g x0, [x1]" either, "stzg x0, [x1]" either, "stz2g x0, [x1]" either,
    "stgp x0, x0, [x1]" either, "ldg x0, [x1]" either,
    "ldgm x0, [x1]" faults, "stgm x0, [x1]" faults, "stzgm x0, [x1]" faults,
    // Floating point, vectors, matrices.
    "fmov d0, xzr" faults, "fmov x0, d0" faults, "ldr q0, [x1]" faults, "str d0, [x1]" faults, "add v0.2d, v0.2d, v0.2d" faults,
    "rdvl x0, #1" faults, "addvl x0, x0, #1" faults, "cntb x0" faults, "ptrue p0.b" faults, "setffr" faults, "ldr z0, [x1]" faults,
    "rdsvl x0, #1" faults, "addsvl x0, x0, #1" faults, "smstart" faults, "smstop" faults, "zero {za}" faults,
    // Copy and set, 64 bytes at once, atomics on more than a word.
    "cpyfp [x0]!, [x1]!, x2!" faults, "cpyp [x0]!, [x1]!, x2!" faults, "setp [x0]!, x2!, x3" faults, "setgp [x0]!, x2!, x3" faults,
    "ld64b x2, [x1]" faults, "st64b x2, [x1]" faults, "st64bv x10, x2, [x1]" faults, "st64bv0 x10, x2, [x1]" faults,
    "ldadd x0, x2, [x1]" either, "casp x2, x3, x4, x5, [x1]" either, "ldclrp x2, x3, [x1]" either, "swpp x2, x3, [x1]" either,
    "rcwcas x2, x3, [x1]" either, "rcwset x2, x3, [x1]" either, "rcwsswp x2, x3, [x1]" either,
    // 128-bit registers.
    "mrrs x0, x1, ttbr0_el1" faults, "msrr ttbr0_el1, x0, x1" faults, "mrrs x0, x1, par_el1" faults, "sysp #0, c8, c7, #1, x0, x1" faults,
    // Guarded control stacks.
    "gcsstr x0, [x1]" faults, "gcssttr x0, [x1]" faults,
    // Accesses as EL0 has them, flags, and what is always undefined.
    "ldtr x0, [x1]" either, "sttr x0, [x1]" either, "prfm pldl1keep, [x1]" either, "rmif x0, #0, #15" either, "setf8 w0" either,
    "udf #0" faults, "udf #0xffff" faults, ".inst 0xffffffff" faults, ".inst 0x00201000" faults,
}

#[cfg(target_os = "none")]
unsafe extern "C" {
    #[link_name = "every_instruction"]
    static TABLE: [u8; 0];
}

/// Address of the first slot; 0 on the host.
#[must_use]
pub fn address() -> u64 {
    #[cfg(target_os = "none")]
    {
        // Only its address is taken.
        (&raw const TABLE) as u64
    }
    #[cfg(not(target_os = "none"))]
    0
}

/// Carries out a slot with these values of `x0` and `x1`, and returns what is in `x0` then. The values must be
/// addresses of memory that the task can spare, as some slots write there.
///
/// # Panics
/// If there is no such slot, and on the host.
pub fn perform(slot: usize, first: u64, second: u64) -> u64 {
    assert!(slot < EXTENSIONS.end, "there is no slot {}", slot);
    let address = address() + SLOT * slot as u64;
    #[cfg(target_os = "none")]
    {
        let result;
        // SAFETY: the slot is one of the table's: an instruction, which may fault, and a return. Registers that it can change
        // are those that a call may change; where it writes memory, it is memory that the caller names for that.
        unsafe {
            core::arch::asm!(
                "blr {address}",
                address = in(reg) address,
                inout("x0") first => result,
                inout("x1") second => _,
                inout("x2") 64_u64 => _,
                inout("x3") 0_u64 => _,
                clobber_abi("C"),
            );
        }
        result
    }
    #[cfg(not(target_os = "none"))]
    {
        let _ = (first, second, address);
        unreachable!("only a task can try instructions")
    }
}
