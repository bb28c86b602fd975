//! From the boot loader to the first Rust function.
//!
//! Entered as Linux is (Documentation/arch/arm64/booting.rst): at EL1 or EL2, MMU and data cache off,
//! interrupts masked, the image cleaned to the point of coherency. Runs wherever it is loaded until it
//! knows that this is where it was built for, and writes no memory before the caches are on, so that
//! no line of stale data can hide what was written.
//!
//! The same for every core, each time it comes here: nothing is remembered from another core or from an
//! earlier time, and every register that the kernel depends on is written.

use core::arch::global_asm;
use core::mem::{offset_of, size_of};

use abi::boot::{
    AFFINITY, ANY_CORE, BOOT_HEADER_OFFSET, BOOT_MAGIC, BOOT_VERSION, BootCore, BootHeader,
};
use abi::console::{BYTES, ROOM_IF_SET, STATUS_BIT, STATUS_OFFSET};
use abi::layout::{FIRST_VA_BITS, KERNEL_STACK_TOP};

use super::head_macros::{close_newer, console_routines, unless_has};

/// Architectural RES1 bits of `SCTLR_EL1` on the oldest cores, and nothing else: MMU and caches off. On newer
/// ones they say that exceptions synchronise (EIS, EOS), that `SCXTNUM_EL0` traps (TSCXT), and that entering
/// EL1 leaves PAN alone (SPAN).
pub const SCTLR_OFF: u64 = 0x30d0_0800;
/// `SCTLR_EL1` while the kernel runs: MMU, caches, stack alignment checks at both levels, EL0 may use
/// `CTR_EL0`, cache maintenance by address and `DC ZVA`; writable memory is never executable; WFI and
/// WFE trap at EL0. What newer cores let EL0 do only where a bit is set stays off: pointer keys, tags, copy and
/// set instructions, 64-byte accesses, `TPIDR2_EL0`, `FPMR`.
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
/// Bit of `SCTLR_EL1` that is cleared where the core has PAN: entering EL1 sets it.
const SPAN: u32 = 23;
/// Bit of `SCTLR_EL1` where the core has it: registers that a manufacturer invented trap at EL0.
const TIDCP: u32 = 63;
/// Bit of `TCR_EL1` where the core has it: an access of EL0 to the kernel's half faults without a look at the
/// tables, so its time says nothing of them.
const E0PD1: u32 = 56;
/// Bit of `TCR_EL1`: nothing is translated in the lower half, whatever `TTBR0_EL1` says.
pub const EPD0: u64 = 1 << 7;
/// `TCR_EL1.T0SZ`.
const T0SZ: u64 = 0x3f;

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

    // x19 image base, x20 boot header, x21 number of the core, x22 its entry, x23 level of the entry, x24 TCR_EL1.
    "start:",
    "adr x19, image_start",
    "adr x20, boot_header",
    "ldr x0, [x20, #{magic}]",
    "ldr x1, ={boot_magic}",
    "cmp x0, x1",
    "b.ne stop",        // a bare link without tables: there is no console to say so on
    "ldr w0, [x20, #{version}]",
    "cmp w0, #{boot_version}",
    "b.ne stop",        // nor where another version has it
    "ldr x0, [x20, #{image_base}]",
    "cmp x0, x19",
    "b.ne elsewhere",

    "mrs x0, mpidr_el1",
    "ldr x1, ={affinity}",
    "and x0, x0, x1",
    "add x22, x20, #{cores}",
    "ldr w2, [x20, #{core_count}]",
    "mov x21, xzr",
    "1: cmp x21, x2",
    "b.hs unplanned",
    "ldr x1, [x22, #{mpidr}]",
    "cmp x1, x0",
    "b.eq 2f",
    "cmn x1, #1",       // ANY_CORE
    "b.eq 2f",
    "add x21, x21, #1",
    "add x22, x22, #{core_bytes}",
    "b 1b",

    "2: mrs x23, CurrentEL",
    "lsr x23, x23, #2",
    "cmp x23, #1",
    "b.eq at_el1",
    "cmp x23, #2",
    "adr x0, wrong_level",
    "b.ne refuse",
    // What is at EL2 keeps x19 to x23 and goes on at EL1.
    "adr x0, from_el2",
    "ldr x1, [x20, #{el2}]",
    "br x1",

    "at_el1:",
    close_newer!(),
    "from_el2:",
    "msr daifset, #0xf",
    "ldr x0, ={sctlr_off}",
    "msr sctlr_el1, x0",
    "isb",
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
    unless_has!("S3_0_C0_C7_2", 60, 1, "3f"), // ID_AA64MMFR2_EL1.E0PD
    "orr x0, x0, #(1 << {e0pd1})",
    "3: orr x24, x0, #{epd0}",
    // Memory may be where no task's address reaches.
    "bic x0, x0, #{size}",
    "orr x0, x0, #{first_size}",        // T0SZ
    "msr tcr_el1, x0",
    "ldr x0, [x20, #{ttbr0}]",
    "msr ttbr0_el1, x0",
    "ldr x0, [x22, #{ttbr1}]",
    "msr ttbr1_el1, x0",
    "isb",
    "ldr x0, ={sctlr_on}",
    unless_has!("id_aa64mmfr1_el1", 20, 1, "4f"), // PAN
    "bic x0, x0, #(1 << {span})",
    // Until the first exception nothing else sets it. (MSR PAN, #1)
    ".inst 0xd500419f",
    "4:",
    unless_has!("id_aa64mmfr1_el1", 52, 1, "5f"), // TIDCP1
    "orr x0, x0, #(1 << {tidcp})",
    "5: msr sctlr_el1, x0",
    "isb",
    "ldr x0, =upper_half",
    "br x0",

    // The identity map was for these few instructions. Until tasks have addresses the lower half has none.
    "upper_half:",
    "msr tcr_el1, x24",
    "isb",
    "tlbi vmalle1",
    "dsb nsh",
    "isb",
    "msr spsel, #1",
    "ldr x0, ={stack_top}",
    "mov sp, x0",
    "ldr x0, =vectors",
    "msr vbar_el1, x0",
    "isb",
    "ldr x0, =bss_start",
    "ldr x1, =bss_end",
    "6: cmp x0, x1",
    "b.hs 7f",
    "stp xzr, xzr, [x0], #16",
    "b 6b",
    "7: mov x0, x21",
    "mov x1, x23",
    "mov x29, xzr",
    "mov x30, xzr",
    "bl kernel_main",

    "stop:",
    "wfe",
    "b stop",

    "unplanned:",
    "adr x0, wrong_core",
    "b refuse",
    "elsewhere:",
    "adr x0, wrong_place",
    "bl say",
    "mov x0, x19",
    "bl say_number",
    "adr x0, built_for",
    "bl say",
    "ldr x0, [x20, #{image_base}]",
    "bl say_number",
    "adr x0, new_line",
    // The text at x0, and nothing more.
    "refuse:",
    "bl say",
    "b stop",

    console_routines!("say", "say_number"),

    "wrong_level: .asciz \"portcullis: must be entered at EL1 or EL2\\r\\n\"",
    "wrong_core: .asciz \"portcullis: the plan has no such core\\r\\n\"",
    "wrong_place: .asciz \"portcullis: loaded at 0x\"",
    "built_for: .asciz \", built for 0x\"",
    "new_line: .asciz \"\\r\\n\"",
    ".balign 8",
    ".ltorg",

    header_bytes = const size_of::<BootHeader>(),
    magic = const offset_of!(BootHeader, magic),
    boot_magic = const BOOT_MAGIC,
    version = const offset_of!(BootHeader, version),
    boot_version = const BOOT_VERSION,
    image_base = const offset_of!(BootHeader, image_base),
    console = const offset_of!(BootHeader, console),
    access = const offset_of!(BootHeader, console_access),
    status_offset = const STATUS_OFFSET,
    status_bit = const STATUS_BIT,
    room_if_set = const ROOM_IF_SET,
    bytes = const BYTES,
    mair = const offset_of!(BootHeader, mair),
    tcr = const offset_of!(BootHeader, tcr),
    ttbr0 = const offset_of!(BootHeader, boot_ttbr0),
    el2 = const offset_of!(BootHeader, el2),
    core_count = const offset_of!(BootHeader, core_count),
    cores = const offset_of!(BootHeader, cores),
    core_bytes = const size_of::<BootCore>(),
    mpidr = const offset_of!(BootCore, mpidr),
    ttbr1 = const offset_of!(BootCore, kernel_ttbr1),
    affinity = const AFFINITY,
    stack_top = const KERNEL_STACK_TOP,
    sctlr_off = const SCTLR_OFF,
    sctlr_on = const SCTLR_ON,
    span = const SPAN,
    tidcp = const TIDCP,
    e0pd1 = const E0PD1,
    epd0 = const EPD0,
    size = const T0SZ,
    first_size = const 64 - FIRST_VA_BITS,
);

// The Image header is 64 bytes long, and the boot header follows at once. The comparison with `ANY_CORE` above
// is by its complement.
const _: () = assert!(BOOT_HEADER_OFFSET == 64 && ANY_CORE == u64::MAX);
