//! The facts that the build step gives the kernel's first instructions, before any plan can be
//! read.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Offset of [`BootHeader`] in the image: right behind the 64-byte Linux `Image` header.
pub const BOOT_HEADER_OFFSET: usize = 64;
/// `BootHeader::magic`: "PORTCULL" in ASCII, little endian.
pub const BOOT_MAGIC: u64 = u64::from_le_bytes(*b"PORTCULL");
/// `BootHeader::version`: grows with every change that a reader must know of.
pub const BOOT_VERSION: u32 = 3;
/// Most cores that the header has room for.
pub const CORES_MAX: usize = 1;
/// `BootCore::mpidr` of the core that the loader starts, whichever it is. Only the last core may have it, since
/// the table is searched from its beginning.
pub const ANY_CORE: u64 = u64::MAX;
/// The fields of `MPIDR_EL1` that tell cores apart: affinity 0 to 2 and 3.
pub const AFFINITY: u64 = 0xff_00ff_ffff;

/// `BootHeader::conduit`: firmware is not called.
pub const CONDUIT_NONE: u32 = 0;
/// `BootHeader::conduit`: firmware is called by `SMC`.
pub const CONDUIT_SMC: u32 = 1;
/// `BootHeader::conduit`: firmware is called by `HVC`. Entered at EL2 the kernel calls it by `SMC`: an `HVC` would
/// arrive at the image's own program.
pub const CONDUIT_HVC: u32 = 2;

/// `BootHeader::flags`: a run may be ended by semihosting.
pub const BOOT_SEMIHOSTING: u32 = 1 << 0;

/// Filled in by the build tool's `pack` step; the kernel's link leaves it zero.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BootHeader {
    /// [`BOOT_MAGIC`].
    pub magic: u64,
    /// [`BOOT_VERSION`].
    pub version: u32,
    /// Bytes of the header, the table of cores included.
    pub len: u32,
    /// Physical address the image was built for; elsewhere it cannot run, its tables are absolute.
    pub image_base: u64,
    /// Physical address of the console's registers, for messages before the MMU is on.
    pub console: u64,
    /// Value for `TCR_EL1`, without the fields that the kernel takes from the processor.
    pub tcr: u64,
    /// Value for `MAIR_EL1`; its indices are `vmsa::Memory`.
    pub mair: u64,
    /// Root of the boot identity tables (maps the image's first 2 MiB block and the console), of
    /// `layout::FIRST_VA_BITS` bits.
    pub boot_ttbr0: u64,
    /// Physical address of the program that stays at EL2 if the image is entered there, whole pages. It is
    /// entered at its first byte.
    pub el2: u64,
    /// Bytes of that program with its stack.
    pub el2_len: u64,
    /// The conduit to firmware, one of `CONDUIT_*`.
    pub conduit: u32,
    /// `BOOT_*` flags.
    pub flags: u32,
    /// Version of the image, for loaders that refuse an older one; 0 if it has none.
    pub image_version: u64,
    /// Digest of the image, this field being zero; all zero if it has none.
    pub image_digest: [u8; 32],
    /// Entries of `cores` in use.
    pub core_count: u32,
    /// How the console is written to: a word of [`crate::console`].
    pub console_access: u32,
    /// Cores by their number.
    pub cores: [BootCore; CORES_MAX],
}

/// The facts with which one core starts.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BootCore {
    /// The core's `MPIDR_EL1`, reduced to [`AFFINITY`], or [`ANY_CORE`].
    pub mpidr: u64,
    /// Root of its kernel's tables.
    pub kernel_ttbr1: u64,
    /// Bytes of its kernel's plan at `layout::KERNEL_PLAN_BASE`.
    pub plan_len: u64,
}
