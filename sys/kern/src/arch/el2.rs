//! The program at EL2: it gives EL1 everything, and then waits for what must never happen.
//!
//! A program of its own. It lies in whole pages that nothing else is placed in, uses no other memory of the image
//! than the boot header, and runs with EL2's MMU off; so the build step can put another one in its place. No table
//! of the kernel's half or of a task maps those pages. The identity map of the first instructions does, like all of
//! the image's first 2 MiB, read-only and executable; it is in use until the first task runs. The program is
//! entered at its first byte, at EL2, with the address to go on at in `x0` and the boot header's in `x20`, and
//! goes on there at EL1 with `x19` to `x28` as they were.
//!
//! If an instruction or an access of EL0 or EL1 traps to EL2 all the same, a table below is wrong for that
//! processor. Then it says what came and ends the run as failed; the alternative would be to run what the loader
//! left at its own vectors.

use core::arch::global_asm;
use core::mem::offset_of;

use abi::boot::{BOOT_HEADER_OFFSET, BOOT_SEMIHOSTING, BootHeader, CONDUIT_NONE};

use abi::console::{BYTES, ROOM_IF_SET, STATUS_BIT, STATUS_OFFSET};

use super::boot::SCTLR_OFF;
use super::head_macros::{close_newer, console_routines, unless_has};
use super::power::{APPLICATION_EXIT, FAILED, SYS_EXIT};

/// `HCR_EL2`: EL1 is AArch64 (RW); the keys (APK) and instructions (API) of pointer authentication do not trap:
/// `PACGA` has no other control. No stage 2, no routing to EL2, `E2H` = 0.
const HCR: u64 = 1 << 31 | 1 << 41 | 1 << 40;
/// Bit of `HCR_EL2` that some processors do not let be cleared. Registers below would be others then.
const E2H: u32 = 34;
/// `SCTLR_EL2`: RES1 bits; MMU and caches off, little endian.
const SCTLR: u64 = 0x30c5_0830;
/// `CNTHCTL_EL2`: EL1 has the physical counter and timer.
const CNTHCTL: u64 = 0b11;
/// `CPTR_EL2`: RES1 bits, nothing traps.
const CPTR: u64 = 0x33ff;
/// RES1 bits of `CPTR_EL2` that trap where the processor has SVE, SME.
const CPTR_TZ: u64 = 1 << 8;
const CPTR_TSM: u64 = 1 << 12;
/// `VTCR_EL2`: RES1 bit; there is no stage 2.
const VTCR: u64 = 1 << 31;
/// `MDCR_EL2.EnSPM` where the processor has counters of the system: EL1's registers decide.
const MDCR_ENSPM: u64 = 1 << 15;
/// `ICC_SRE_EL2`: system registers, also at EL1; bypasses off.
const ICC_SRE: u64 = 0xf;
/// Bits of `HFGRTR_EL2` and `HFGWTR_EL2` that trap when *clear*, of registers that EL0 can name: those of SME
/// (`nSMPRI_EL1`, `nTPIDR2_EL0`), guarded control stacks (`nGCS_EL0`, `nGCS_EL1`) and overlays (`nPOR_EL0`).
const HFG_SME: u64 = 1 << 54 | 1 << 55;
const HFG_GCS: u64 = 1 << 52 | 1 << 53;
const HFG_POE: u64 = 1 << 59;
/// The traps of `HFGITR_EL2` for instructions of guarded control stacks.
const HFGI_GCS: u64 = 1 << 57 | 1 << 58 | 1 << 59;
/// `HCRX_EL2`: EL1 has guarded control stacks (GCSEn), so that its own registers decide. The other bits are off:
/// what they enable is undefined below EL2, or its register of EL1 counts as zero.
const HCRX: u64 = 0;
const HCRX_GCS: u64 = 1 << 22;
/// `SPSR_EL2`: EL1 with its own stack pointer, everything masked.
const SPSR: u64 = 0x3c5;
/// Bytes of the stack: a page that holds nothing else.
const STACK: u64 = 4096;
/// `SYSTEM_OFF` of PSCI (Arm DEN 0022).
const SYSTEM_OFF: u64 = 0x8400_0008;
/// Steps of the end, counted in the low bits of `TPIDR_EL2` beside the header's address: a step that traps itself
/// is not taken twice.
const STEPS: u64 = 7;
const _: () = assert!(BOOT_HEADER_OFFSET as u64 & STEPS == 0);

global_asm!(
    // A register and its value.
    ".macro put register, value",
    "ldr x1, =\\value",
    "msr \\register, x1",
    ".endm",
    // One entry of the table: 32 instructions of room.
    ".macro caught_at offset",
    ".balign 128",
    "mov x24, #\\offset",
    "b el2_caught",
    ".endm",

    ".section .el2, \"ax\"",
    ".balign 4096",
    "el2_entry:",
    "msr spsel, #1",
    "adr x1, el2_stack_top",
    "mov sp, x1",
    "adr x1, el2_vectors",
    "msr vbar_el2, x1",
    "msr tpidr_el2, x20",
    // The other registers are what they are called only if this is taken.
    "put hcr_el2, {hcr}",
    "isb",
    "mrs x1, hcr_el2",
    "tbnz x1, #{e2h}, el2_host",
    "put sctlr_el2, {sctlr}",
    "msr S3_4_C1_C1_7, xzr",            // HACR_EL2
    "put cnthctl_el2, {cnthctl}",
    "msr cntvoff_el2, xzr",
    "msr cnthp_ctl_el2, xzr",
    "msr hstr_el2, xzr",
    "put vtcr_el2, {vtcr}",
    "msr vttbr_el2, xzr",
    "mrs x1, midr_el1",
    "msr vpidr_el2, x1",
    "mrs x1, mpidr_el1",
    "msr vmpidr_el2, x1",

    "ldr x2, ={cptr}",
    unless_has!("id_aa64pfr0_el1", 32, 1, "1f"),    // SVE
    "bic x2, x2, #{cptr_tz}",
    "1:",
    unless_has!("id_aa64pfr1_el1", 24, 1, "2f"),    // SME
    "bic x2, x2, #{cptr_tsm}",
    "2: msr cptr_el2, x2",

    "mov x2, xzr",
    unless_has!("id_aa64dfr0_el1", 8, 1, "3f"),     // PMUVer
    "cmp x1, #0xf",
    "b.eq 3f",
    "mrs x2, pmcr_el0",
    "ubfx x2, x2, #11, #5",             // all event counters belong to EL1
    "3:",
    unless_has!("S3_0_C0_C5_1", 32, 1, "4f"),       // ID_AA64DFR1_EL1.SPMU
    "orr x2, x2, #{mdcr_enspm}",
    "4: msr mdcr_el2, x2",

    unless_has!("id_aa64pfr0_el1", 24, 1, "5f"),    // GIC system registers
    "mrs x1, S3_4_C12_C9_5",            // ICC_SRE_EL2
    "orr x1, x1, #{icc_sre}",
    "msr S3_4_C12_C9_5, x1",
    "isb",
    "msr S3_4_C12_C11_0, xzr",          // ICH_HCR_EL2

    // Traps of single registers and instructions: unknown after reset.
    "5:",
    unless_has!("id_aa64mmfr0_el1", 56, 1, "9f"),   // FGT
    "mov x2, xzr",
    "mov x3, xzr",
    unless_has!("id_aa64pfr1_el1", 24, 1, "6f"),    // SME
    "orr x2, x2, #{hfg_sme}",
    "6:",
    unless_has!("id_aa64pfr1_el1", 44, 1, "7f"),    // GCS
    "orr x2, x2, #{hfg_gcs}",
    "orr x3, x3, #{hfgi_gcs}",
    "7:",
    unless_has!("S3_0_C0_C7_3", 16, 1, "8f"),       // ID_AA64MMFR3_EL1.S1POE
    "orr x2, x2, #{hfg_poe}",
    "8: msr S3_4_C1_C1_4, x2",          // HFGRTR_EL2
    "msr S3_4_C1_C1_5, x2",             // HFGWTR_EL2
    "msr S3_4_C1_C1_6, x3",             // HFGITR_EL2
    "msr S3_4_C3_C1_4, xzr",            // HDFGRTR_EL2
    "msr S3_4_C3_C1_5, xzr",            // HDFGWTR_EL2
    unless_has!("id_aa64pfr0_el1", 44, 1, "10f"),   // AMU
    "msr S3_4_C3_C1_6, xzr",            // HAFGRTR_EL2
    "10:",
    unless_has!("id_aa64mmfr0_el1", 56, 2, "9f"),   // FGT2
    "msr S3_4_C3_C1_2, xzr",            // HFGRTR2_EL2
    "msr S3_4_C3_C1_3, xzr",            // HFGWTR2_EL2
    "msr S3_4_C3_C1_7, xzr",            // HFGITR2_EL2
    "msr S3_4_C3_C1_0, xzr",            // HDFGRTR2_EL2
    "msr S3_4_C3_C1_1, xzr",            // HDFGWTR2_EL2
    "9:",
    unless_has!("id_aa64mmfr1_el1", 40, 1, "12f"),  // HCX
    "ldr x2, ={hcrx}",
    unless_has!("id_aa64pfr1_el1", 44, 1, "11f"),   // GCS
    "orr x2, x2, #{hcrx_gcs}",
    "11: msr S3_4_C1_C2_2, x2",         // HCRX_EL2
    "12:",
    unless_has!("S3_0_C0_C7_3", 0, 1, "13f"),       // TCRX
    "msr S3_4_C2_C0_3, xzr",            // TCR2_EL2
    "13:",
    unless_has!("S3_0_C0_C7_3", 4, 1, "14f"),       // SCTLRX
    "msr S3_4_C1_C0_3, xzr",            // SCTLR2_EL2
    "14:",
    unless_has!("id_aa64mmfr0_el1", 60, 2, "15f"),  // ECV
    "msr S3_4_C14_C0_6, xzr",           // CNTPOFF_EL2
    "15:",
    close_newer!(),

    "put sctlr_el1, {sctlr_off}",
    "put spsr_el2, {spsr}",
    "msr elr_el2, x0",
    "isb",
    "eret",
    "dsb nsh",
    "isb",

    "el2_host:",
    "adr x0, el2_is_host",
    "bl el2_say",
    "b el2_fail",

    ".balign 2048",
    "el2_vectors:",
    "caught_at 0x000", "caught_at 0x080", "caught_at 0x100", "caught_at 0x180",
    "caught_at 0x200", "caught_at 0x280", "caught_at 0x300", "caught_at 0x380",
    "caught_at 0x400", "caught_at 0x480", "caught_at 0x500", "caught_at 0x580",
    "caught_at 0x600", "caught_at 0x680", "caught_at 0x700", "caught_at 0x780",
    ".balign 128",

    // x24 is the vector. Nothing of what ran before is needed again.
    "el2_caught:",
    "mrs x20, tpidr_el2",
    "tst x20, #{steps}",
    "b.ne el2_fail",                    // an exception of a step of the end
    "add x1, x20, #1",
    "msr tpidr_el2, x1",
    "isb",
    "adr x0, el2_text_vector",
    "bl el2_say",
    "mov x0, x24",
    "bl el2_say_number",
    "adr x0, el2_text_esr",
    "bl el2_say",
    "mrs x0, esr_el2",
    "bl el2_say_number",
    "adr x0, el2_text_elr",
    "bl el2_say",
    "mrs x0, elr_el2",
    "bl el2_say_number",
    "adr x0, el2_text_far",
    "bl el2_say",
    "mrs x0, far_el2",
    "bl el2_say_number",
    "adr x0, el2_text_spsr",
    "bl el2_say",
    "mrs x0, spsr_el2",
    "bl el2_say_number",
    "adr x0, el2_text_end",
    "bl el2_say",

    // Ends the run as failed, by what the image may use.
    "el2_fail:",
    "mrs x20, tpidr_el2",
    "and x25, x20, #{steps}",
    "bic x20, x20, #{steps}",
    "cmp x25, #2",
    "b.hs 16f",
    "orr x2, x20, #2",
    "msr tpidr_el2, x2",
    "isb",
    "ldr w2, [x20, #{flags}]",
    "tst w2, #{semihosting}",
    "b.eq 16f",
    "mov x0, #{sys_exit}",
    "adr x1, el2_exit_block",
    "hlt #0xf000",
    "16: cmp x25, #3",
    "b.hs 17f",
    "orr x2, x20, #3",
    "msr tpidr_el2, x2",
    "isb",
    "ldr w2, [x20, #{conduit}]",
    "cmp w2, #{none}",
    "b.eq 17f",
    "ldr x0, ={system_off}",
    "smc #0",
    "17: wfi",
    "b 17b",

    console_routines!("el2_say", "el2_say_number"),

    "el2_is_host: .asciz \"portcullis: EL2 cannot be without E2H here\\r\\n\"",
    "el2_text_vector: .asciz \"portcullis: exception at EL2, vector 0x\"",
    "el2_text_esr: .asciz \" esr 0x\"",
    "el2_text_elr: .asciz \" elr 0x\"",
    "el2_text_far: .asciz \" far 0x\"",
    "el2_text_spsr: .asciz \" spsr 0x\"",
    "el2_text_end: .asciz \"\\r\\n\"",
    ".balign 8",
    "el2_exit_block: .quad {application_exit}, {failed}",
    ".ltorg",
    ".balign 4096",
    ".skip {stack}",
    "el2_stack_top:",

    hcr = const HCR,
    e2h = const E2H,
    sctlr = const SCTLR,
    cnthctl = const CNTHCTL,
    vtcr = const VTCR,
    cptr = const CPTR,
    cptr_tz = const CPTR_TZ,
    cptr_tsm = const CPTR_TSM,
    mdcr_enspm = const MDCR_ENSPM,
    icc_sre = const ICC_SRE,
    hfg_sme = const HFG_SME,
    hfg_gcs = const HFG_GCS,
    hfg_poe = const HFG_POE,
    hfgi_gcs = const HFGI_GCS,
    hcrx = const HCRX,
    hcrx_gcs = const HCRX_GCS,
    sctlr_off = const SCTLR_OFF,
    spsr = const SPSR,
    stack = const STACK,
    steps = const STEPS,
    system_off = const SYSTEM_OFF,
    console = const offset_of!(BootHeader, console),
    access = const offset_of!(BootHeader, console_access),
    status_offset = const STATUS_OFFSET,
    status_bit = const STATUS_BIT,
    room_if_set = const ROOM_IF_SET,
    bytes = const BYTES,
    flags = const offset_of!(BootHeader, flags),
    conduit = const offset_of!(BootHeader, conduit),
    semihosting = const BOOT_SEMIHOSTING,
    none = const CONDUIT_NONE,
    sys_exit = const SYS_EXIT,
    application_exit = const APPLICATION_EXIT,
    failed = const FAILED,
);
