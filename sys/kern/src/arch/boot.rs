//! From the boot loader to the first Rust function.
//!
//! Entered as Linux is (Documentation/arch/arm64/booting.rst): at EL1 or EL2, MMU and data cache off,
//! interrupts masked, the image cleaned to the point of coherency. Runs wherever it is loaded until it
//! knows that this is where it was built for, and writes no memory before the caches are on, so that
//! no line of stale data can hide what was written.

use core::arch::global_asm;
use core::mem::{offset_of, size_of};

use abi::boot::{BOOT_HEADER_OFFSET, BOOT_MAGIC, BootHeader};
use abi::layout::KERNEL_STACK_TOP;

/// Architectural RES1 bits of `SCTLR_EL1` on the oldest cores, and nothing else: MMU and caches off.
const SCTLR_OFF: u64 = 0x30d0_0800;
/// `SCTLR_EL1` while the kernel runs: MMU, caches, stack alignment checks at both levels, EL0 may use
/// `CTR_EL0`, cache maintenance by address and `DC ZVA`; writable memory is never executable; WFI and
/// WFE trap at EL0. Bit 23 (SPAN) is cleared where the core has PAN.
const SCTLR_ON: u64 = SCTLR_OFF
    | 1        // M
    | 1 << 2   // C
    | 1 << 3   // SA
    | 1 << 4   // SA0
    | 1 << 12  // I
    | 1 << 14  // DZE
    | 1 << 15  // UCT
    | 1 << 19  // WXN
    | 1 << 26; // UCI

global_asm!(
    ".section .head, \"ax\"",
    ".global image_start",
    "image_start:",
    "b start",
    "nop",
    ".quad 0",          // text offset
    ".quad 0",          // size in memory, from the build tool
    ".quad 0",          // flags, from the build tool
    ".quad 0, 0, 0",
    ".ascii \"ARM\\x64\"",
    ".word 0",
    ".global boot_header",
    "boot_header:",
    ".skip {header_bytes}",

    // x19 image base, x20 boot header, x22 1 if entered at EL2.
    "start:",
    "adr x19, image_start",
    "adr x20, boot_header",
    "mov x22, xzr",
    "ldr x0, [x20, #{magic}]",
    "ldr x1, ={boot_magic}",
    "cmp x0, x1",
    "b.ne stop",        // a bare link without tables: there is no console to say so on
    "mrs x0, CurrentEL",
    "cmp x0, #(1 << 2)",
    "b.eq at_el1",
    "cmp x0, #(2 << 2)",
    "b.eq at_el2",
    "adr x0, wrong_level",
    "bl say",
    "b stop",

    // Leave EL2 for good: no stage 2, no traps, counters and interrupt controller given to EL1.
    "at_el2:",
    "mov x22, #1",
    "mov x0, #(1 << 31)",               // RW: EL1 is AArch64
    "msr hcr_el2, x0",
    "isb",
    "mov x0, #3",                       // EL1PCTEN, EL1PCEN
    "msr cnthctl_el2, x0",
    "msr cntvoff_el2, xzr",
    "mov x0, #0x33ff",                  // RES1; nothing traps
    "msr cptr_el2, x0",
    "msr hstr_el2, xzr",
    "mov x0, #(1 << 31)",               // RES1
    "msr vtcr_el2, x0",
    "msr vttbr_el2, xzr",
    "mrs x0, midr_el1",
    "msr vpidr_el2, x0",
    "mrs x0, mpidr_el1",
    "msr vmpidr_el2, x0",
    "mov x1, xzr",
    "mrs x0, id_aa64dfr0_el1",
    "ubfx x0, x0, #8, #4",              // PMUVer
    "cbz x0, 1f",
    "cmp x0, #0xf",
    "b.eq 1f",
    "mrs x0, pmcr_el0",
    "ubfx x1, x0, #11, #5",             // all event counters belong to EL1
    "1: msr mdcr_el2, x1",
    "mrs x0, id_aa64pfr0_el1",
    "ubfx x0, x0, #24, #4",             // GIC system registers
    "cbz x0, 2f",
    "mrs x0, S3_4_C12_C9_5",            // ICC_SRE_EL2
    "orr x0, x0, #0xf",
    "msr S3_4_C12_C9_5, x0",
    "isb",
    "msr S3_4_C12_C11_0, xzr",          // ICH_HCR_EL2
    // Registers that exist only where the core has what they control, and are unknown after reset.
    "2: mrs x0, id_aa64mmfr0_el1",
    "ubfx x0, x0, #56, #4",             // FGT: traps of single registers
    "cbz x0, 15f",
    "msr S3_4_C1_C1_4, xzr",            // HFGRTR_EL2
    "msr S3_4_C1_C1_5, xzr",            // HFGWTR_EL2
    "msr S3_4_C1_C1_6, xzr",            // HFGITR_EL2
    "msr S3_4_C3_C1_4, xzr",            // HDFGRTR_EL2
    "msr S3_4_C3_C1_5, xzr",            // HDFGWTR_EL2
    "cmp x0, #1",
    "b.eq 15f",
    "msr S3_4_C3_C1_2, xzr",            // HFGRTR2_EL2
    "msr S3_4_C3_C1_3, xzr",            // HFGWTR2_EL2
    "msr S3_4_C3_C1_7, xzr",            // HFGITR2_EL2
    "msr S3_4_C3_C1_0, xzr",            // HDFGRTR2_EL2
    "msr S3_4_C3_C1_1, xzr",            // HDFGWTR2_EL2
    "15: mrs x0, id_aa64mmfr1_el1",
    "ubfx x0, x0, #40, #4",             // HCX
    "cbz x0, 16f",
    "msr S3_4_C1_C2_2, xzr",            // HCRX_EL2
    "16: ldr x0, ={sctlr_off}",
    "msr sctlr_el1, x0",
    "mov x0, #0x3c5",                   // EL1h, all masked
    "msr spsr_el2, x0",
    "adr x0, at_el1",
    "msr elr_el2, x0",
    "isb",
    "eret",

    "at_el1:",
    "msr daifset, #0xf",
    "ldr x0, ={sctlr_off}",
    "msr sctlr_el1, x0",
    "isb",
    "ldr x0, [x20, #{image_base}]",
    "cmp x0, x19",
    "b.eq 3f",
    "adr x0, wrong_place",
    "bl say",
    "mov x0, x19",
    "bl say_number",
    "adr x0, built_for",
    "bl say",
    "ldr x0, [x20, #{image_base}]",
    "bl say_number",
    "adr x0, new_line",
    "bl say",
    "b stop",
    "3:",
    // Whatever caches of instructions and translations hold is from before this image.
    "ic iallu",
    "tlbi vmalle1",
    "dsb nsh",
    "isb",
    "ldr x0, [x20, #{mair}]",
    "msr mair_el1, x0",
    "ldr x0, [x20, #{tcr}]",
    "mrs x1, id_aa64mmfr0_el1",
    "and x1, x1, #0xf",                 // physical address range
    "mov x2, #5",                       // 48 bits; the tables have no room for more
    "cmp x1, x2",
    "csel x1, x1, x2, lo",
    "bfi x0, x1, #32, #3",              // IPS
    "msr tcr_el1, x0",
    "ldr x0, [x20, #{ttbr0}]",
    "msr ttbr0_el1, x0",
    "ldr x0, [x20, #{ttbr1}]",
    "msr ttbr1_el1, x0",
    "isb",
    "ldr x0, ={sctlr_on}",
    "mrs x1, id_aa64mmfr1_el1",
    "ubfx x1, x1, #20, #4",             // PAN
    "cbz x1, 4f",
    "bic x0, x0, #(1 << 23)",           // entering EL1 sets PAN: tasks' memory is out of reach
    "4: msr sctlr_el1, x0",
    "isb",
    "ldr x0, =upper_half",
    "br x0",

    "upper_half:",
    "msr spsel, #1",
    "ldr x0, ={stack_top}",
    "mov sp, x0",
    "ldr x0, =vectors",
    "msr vbar_el1, x0",
    "isb",
    "ldr x0, =bss_start",
    "ldr x1, =bss_end",
    "5: cmp x0, x1",
    "b.hs 6f",
    "stp xzr, xzr, [x0], #16",
    "b 5b",
    "6: mov x0, x22",
    "mov x29, xzr",
    "mov x30, xzr",
    "bl kernel_main",

    "stop:",
    "wfe",
    "b stop",

    // Writes the text at x0 to the console. Waits for room, but not for ever: the console may be off.
    "say:",
    "ldr x1, [x20, #{console}]",
    "7: ldrb w2, [x0], #1",
    "cbz w2, 9f",
    "mov x3, #0x100000",
    "8: ldr w4, [x1, #0x18]",           // UARTFR
    "sub x3, x3, #1",
    "cbz x3, 10f",
    "tbnz w4, #5, 8b",                  // TXFF
    "10: str w2, [x1]",                 // UARTDR
    "b 7b",
    "9: ret",

    // Writes x0 in hexadecimal.
    "say_number:",
    "ldr x1, [x20, #{console}]",
    "mov x5, #60",
    "11: lsr x2, x0, x5",
    "and x2, x2, #0xf",
    "add x2, x2, #'0'",
    "cmp x2, #'9'",
    "b.ls 12f",
    "add x2, x2, #('a' - '9' - 1)",
    "12: mov x3, #0x100000",
    "13: ldr w4, [x1, #0x18]",
    "sub x3, x3, #1",
    "cbz x3, 14f",
    "tbnz w4, #5, 13b",
    "14: str w2, [x1]",
    "subs x5, x5, #4",
    "b.pl 11b",
    "ret",

    "wrong_level: .asciz \"portcullis: must be entered at EL1 or EL2\\r\\n\"",
    "wrong_place: .asciz \"portcullis: loaded at 0x\"",
    "built_for: .asciz \", built for 0x\"",
    "new_line: .asciz \"\\r\\n\"",
    ".balign 8",
    ".ltorg",

    header_bytes = const size_of::<BootHeader>(),
    magic = const offset_of!(BootHeader, magic),
    boot_magic = const BOOT_MAGIC,
    image_base = const offset_of!(BootHeader, image_base),
    console = const offset_of!(BootHeader, console),
    mair = const offset_of!(BootHeader, mair),
    tcr = const offset_of!(BootHeader, tcr),
    ttbr0 = const offset_of!(BootHeader, boot_ttbr0),
    ttbr1 = const offset_of!(BootHeader, kernel_ttbr1),
    stack_top = const KERNEL_STACK_TOP,
    sctlr_off = const SCTLR_OFF,
    sctlr_on = const SCTLR_ON,
);

// The Image header is 64 bytes long, and the boot header follows at once.
const _: () = assert!(BOOT_HEADER_OFFSET == 64);
