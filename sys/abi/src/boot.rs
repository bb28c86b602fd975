//! What the build step tells the kernel's first instructions, before any plan can be read.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Offset of [`BootHeader`] in the image: right behind the 64-byte Linux `Image` header.
pub const BOOT_HEADER_OFFSET: usize = 64;
/// `BootHeader::magic`: "PORTCULL" in ASCII, little endian.
pub const BOOT_MAGIC: u64 = u64::from_le_bytes(*b"PORTCULL");

/// Filled in by the build tool's `pack` step; the kernel's link leaves it zero.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BootHeader {
    /// [`BOOT_MAGIC`].
    pub magic: u64,
    /// Physical address the image was built for; elsewhere it cannot run, its tables are absolute.
    pub image_base: u64,
    /// Root of the boot identity tables (maps the image's first 2 MiB block and the console).
    pub boot_ttbr0: u64,
    /// Root of the kernel's tables.
    pub kernel_ttbr1: u64,
    /// Physical address of the console's PL011, for messages before the MMU is on.
    pub console: u64,
    /// Value for `TCR_EL1`, without the IPS field, which the kernel takes from ID_AA64MMFR0_EL1.
    pub tcr: u64,
    /// Value for `MAIR_EL1`; its indices are `vmsa::Memory`.
    pub mair: u64,
    /// Bytes of the kernel's plan at `layout::KERNEL_PLAN_BASE`.
    pub plan_len: u64,
}
