//! Fixed places in a task's and in the kernel's virtual address space.
//!
//! Every task is linked at the same address and finds everything else through its plan page, so
//! that a task's program does not depend on the system it is put in.

/// Bytes in a page of every table in the system.
pub const PAGE: u64 = 4096;
/// Bytes mapped by one level-2 block.
pub const BLOCK: u64 = 2 << 20;

/// Address at which a task's program is linked (`userlib/task.ld` repeats it; a test compares).
/// Below 4 GiB so that `defmt` symbols, at address 0, stay within reach of ADRP.
pub const TASK_IMAGE_BASE: u64 = 0x0040_0000;
/// Address of a task's plan, read-only.
pub const TASK_PLAN_BASE: u64 = 0x0800_0000;
/// First address above a task's stack; what lies below the stack is unmapped.
pub const TASK_STACK_TOP: u64 = 0x1000_0000;
/// Address of a task's own log ring.
pub const TASK_LOG_RING: u64 = 0x1800_0000;
/// Pools, device registers and other tasks' log rings are placed from here upwards, an unmapped
/// page between any two.
pub const TASK_MAPPINGS: u64 = 0x2000_0000;
/// Bits of a task's virtual address (`TCR_EL1.T0SZ` = 64 - 39): tables start at level 1.
pub const TASK_VA_BITS: u32 = 39;

/// Bits of a physical address that tables can have: 48. 52 would be other descriptors (`FEAT_LPA2`).
pub const PHYSICAL_BITS: u32 = 48;
/// Bits of an address in the identity map of the first instructions (`TCR_EL1.T0SZ` = 64 - 48), which run
/// wherever memory is. Tasks never have this size.
pub const FIRST_VA_BITS: u32 = 48;

/// Bits of a kernel virtual address (`TCR_EL1.T1SZ` = 64 - 39).
pub const KERNEL_VA_BITS: u32 = 39;
/// Address at which the kernel is linked.
pub const KERNEL_IMAGE_BASE: u64 = 0xffff_ff80_0000_0000;
/// Address of the kernel's plan, read-only.
pub const KERNEL_PLAN_BASE: u64 = 0xffff_ff90_0000_0000;
/// First address above the kernel's only stack.
pub const KERNEL_STACK_TOP: u64 = 0xffff_ff98_0000_0000;
/// Device registers of the kernel: console, interrupt distributor, redistributors.
pub const KERNEL_CONSOLE: u64 = 0xffff_ffa0_0000_0000;
/// The GIC's distributor, 64 KiB.
pub const KERNEL_GICD: u64 = 0xffff_ffa0_1000_0000;
/// The GIC's redistributor frames of the boot core, 128 KiB.
pub const KERNEL_GICR: u64 = 0xffff_ffa0_2000_0000;
/// The kernel's window: physical address `p` of memory that the image uses is at `KERNEL_WINDOW | p`. All bits
/// above the window's size are ones, so that the one instruction drops those of `p`: memory may be anywhere, as
/// long as [`in_one_window`] holds. Nothing executable is mapped writable in it.
pub const KERNEL_WINDOW: u64 = 0xffff_ffc0_0000_0000;
/// Bytes of addresses that the window has room for: up to the last address.
pub const KERNEL_WINDOW_LEN: u64 = KERNEL_WINDOW.wrapping_neg();

/// Whether the window can show memory from `start` to `end` in one piece: both lie between the same two multiples
/// of the window's size. The last page before a multiple stays free, as the address behind it would be 0.
#[must_use]
pub const fn in_one_window(start: u64, end: u64) -> bool {
    start <= end
        && end >> PHYSICAL_BITS == 0
        && start / KERNEL_WINDOW_LEN == end / KERNEL_WINDOW_LEN
}
