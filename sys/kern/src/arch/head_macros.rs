//! Assembly that the head code at EL1 and the program at EL2 have in common. Each has a copy: the program at
//! EL2 uses nothing that EL1 could write.

/// Assembly that jumps unless the four bits of an ID register from the shift up are at least a number. Changes
/// `x1` and the flags.
macro_rules! unless_has {
    ($register:literal, $shift:literal, $least:literal, $otherwise:literal) => {
        concat!(
            "mrs x1, ",
            $register,
            "\nubfx x1, x1, #",
            $shift,
            ", #4\ncmp x1, #",
            $least,
            "\nb.lo ",
            $otherwise,
            "\n"
        )
    };
}
pub(super) use unless_has;

/// Assembly that closes what older processors do not have and reset leaves unknown: registers of EL1 that say
/// what EL0 may do, and that change what the kernel's other registers mean. Changes `x1` and the flags.
///
/// For the highest level that the image is entered at: EL2 then keeps EL1 from some of them.
macro_rules! close_newer {
    () => {
        concat!(
            // Activity monitors: a clock of other tasks' work. AMUSERENR_EL0
            unless_has!("id_aa64pfr0_el1", 44, 1, "61f"),
            "msr S3_3_C13_C2_3, xzr\n",
            // Guarded control stacks: GCSCR_EL1, GCSCRE0_EL1
            "61:\n",
            unless_has!("id_aa64pfr1_el1", 44, 1, "62f"),
            "msr S3_0_C2_C5_0, xzr\n",
            "msr S3_0_C2_C5_2, xzr\n",
            // Counters of the system: SPMACCESSR_EL1
            "62:\n",
            unless_has!("S3_0_C0_C5_1", 32, 1, "63f"),
            "msr S2_0_C9_C13_3, xzr\n",
            // Second halves of control registers: TCR2_EL1, SCTLR2_EL1
            "63:\n",
            unless_has!("S3_0_C0_C7_3", 0, 1, "64f"),
            "msr S3_0_C2_C0_3, xzr\n",
            "64:\n",
            unless_has!("S3_0_C0_C7_3", 4, 1, "65f"),
            "msr S3_0_C1_C0_3, xzr\n",
            "65:\n",
        )
    };
}
pub(super) use close_newer;

/// Assembly of two subroutines that need the header's address in `x20` and change `x0` to `x8`: one writes the
/// text at `x0`, the other `x0` in hexadecimal. Both wait for room, but not for ever: the console may be off.
macro_rules! console_routines {
    ($text:literal, $number:literal) => {
        concat!(
            $text,
            ":\n",
            "mov x8, x30\n",
            "71: ldrb w2, [x0], #1\n",
            "cbz w2, 78f\n",
            "bl 80f\n",
            "b 71b\n",
            $number,
            ":\n",
            "mov x8, x30\n",
            "mov x5, #60\n",
            "75: lsr x2, x0, x5\n",
            "and x2, x2, #0xf\n",
            "add x2, x2, #'0'\n",
            "cmp x2, #'9'\n",
            "b.ls 76f\n",
            "add x2, x2, #('a' - '9' - 1)\n",
            "76: bl 80f\n",
            "subs x5, x5, #4\n",
            "b.pl 75b\n",
            "78: mov x30, x8\n",
            "ret\n",
            // The character in w2; `kern::uart` does the same.
            "80: ldr x1, [x20, #{console}]\n",
            "ldr w6, [x20, #{access}]\n",
            "and x7, x6, #{status_offset}\n",
            "add x7, x1, x7\n",
            "mov x3, #0x100000\n",
            "81: tst w6, #{bytes}\n",
            "b.ne 82f\n",
            "ldr w4, [x7]\n",
            "b 83f\n",
            "82: ldrb w4, [x7]\n",
            "83: tst w6, #{room_if_set}\n",
            "b.ne 84f\n",
            "mvn w4, w4\n",
            "84: sub x3, x3, #1\n",
            "cbz x3, 85f\n",
            "tbz w4, #{status_bit}, 81b\n",
            "85: tst w6, #{bytes}\n",
            "b.ne 86f\n",
            "str w2, [x1]\n",
            "ret\n",
            "86: strb w2, [x1]\n",
            "ret\n",
        )
    };
}
pub(super) use console_routines;
