//! The sizes of the tables that the kernel and the servers have. Their tables have fixed sizes; the build step
//! refuses a system that does not fit, so nobody runs out at run time.

use core::ops::RangeInclusive;

/// Shared interrupts of a GICv3 (Arm IHI 0069, 2.2.1): what the kernel routes to tasks.
pub const SHARED_INTERRUPTS: RangeInclusive<u32> = 32..=1019;
/// The most message interrupts, which the kernel has routes for.
pub const MESSAGES_MAX: usize = 256;
/// INTIDs of message interrupts. They begin at 8192 in every GICv3 (Arm IHI 0069, 2.2.1).
pub const MESSAGE_INTERRUPTS: RangeInclusive<u32> = 8192..=8191 + MESSAGES_MAX as u32;
/// Bits of the INTIDs of message interrupts: the fewest with which a GICv3 has any (Arm IHI 0069, 5.1.1).
pub const MESSAGE_BITS: u32 = 14;
/// The most holds on tasks at once, in the kernel: each claimed device holds its driver.
pub const HOLDS_MAX: usize = 128;
/// The most pinned leases at once, in the kernel.
pub const PINS_MAX: usize = 256;

/// The most SMMUs of the IOMMU server. The limits that follow are that server's, too.
pub const SMMUS_MAX: usize = 4;
/// The most devices of the IOMMU server, bridges included.
pub const DEVICES_MAX: usize = 64;
/// The most domains of the IOMMU server.
pub const DOMAINS_MAX: usize = 64;
/// The most streams of the IOMMU server.
pub const STREAMS_MAX: usize = 128;
/// The most ranges that the build step has mapped.
pub const PREMAPPED_MAX: usize = 256;
/// The most leases that the IOMMU server has mapped at once.
pub const MAPPED_LEASES_MAX: usize = 128;
/// The most pools that tasks lend to devices as a whole.
pub const LENT_POOLS_MAX: usize = 32;
/// The most pages that all lazy domains together may have unmapped and not flushed.
pub const PARTED_MAX: usize = 512;
/// The most devices that share a domain: their mark in a leaf has four bits, and one mark is the build step's.
pub const MEMBERS_MAX: usize = 15;

/// The most functions and devices that the PCI task has room for.
pub const FUNCTIONS_MAX: usize = 128;

const _: () = assert!(
    MAPPED_LEASES_MAX + LENT_POOLS_MAX <= PINS_MAX,
    "each mapped lease and each lent pool is pinned"
);
const _: () = assert!(DEVICES_MAX <= HOLDS_MAX, "each device can be claimed");
const _: () = assert!(
    DEVICES_MAX <= FUNCTIONS_MAX,
    "both servers know the same devices"
);
