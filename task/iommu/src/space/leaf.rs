//! The form of leaf entries.

use vmsa::{Attributes, Granule, Memory, Permissions, Regime};

/// Leaf entries of the two kinds of rights, without address and member.
#[derive(Clone, Copy, Debug)]
pub struct LeafTemplates {
    read: u64,
    read_write: u64,
}

impl LeafTemplates {
    /// The form of the entries of a level-3 table (pages) or a level-2 table (blocks). Normal memory,
    /// accessible to unprivileged transactions, never executable: write-back and inner shareable for devices
    /// that snoop the caches, else non-cacheable, so that nothing on the way to memory allocates what no
    /// cache maintenance reaches.
    pub const fn new(level: u32, snoops: bool) -> Self {
        let memory = if snoops {
            Memory::NormalWriteBack
        } else {
            Memory::NormalNonCacheable
        };
        Self {
            read: template(level, memory, Permissions::Read),
            read_write: template(level, memory, Permissions::ReadWrite),
        }
    }

    /// Of entries through which a device may only read, or write as well.
    #[inline(always)]
    pub const fn of(&self, writable: bool) -> u64 {
        if writable { self.read_write } else { self.read }
    }
}

const fn template(level: u32, memory: Memory, permissions: Permissions) -> u64 {
    match Attributes::new(Regime::Device, memory, permissions) {
        Ok(attributes) => vmsa::leaf(Granule::Size4K, level, 0, attributes),
        // Not an entry at all: nothing would ever be mapped.
        Err(_) => 0,
    }
}
