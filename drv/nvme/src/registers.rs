//! The controller's registers (Base 2.0, 3.1.3).

use bitflags::bitflags;

/// Controller capabilities, 64 bits.
pub const CAP: usize = 0x00;
/// Controller configuration.
pub const CC: usize = 0x14;
/// Controller status.
pub const CSTS: usize = 0x1c;
/// Admin queue attributes.
pub const AQA: usize = 0x24;
/// Admin submission queue, 64 bits.
pub const ASQ: usize = 0x28;
/// Admin completion queue, 64 bits.
pub const ACQ: usize = 0x30;
/// The first doorbell (NVMe over PCIe Transport 1.0, 3.1.2).
pub const DOORBELLS: usize = 0x1000;

/// Controller enabled, with pages of 4 KiB, the NVM command set, commands of 64 bytes and completions of 16.
pub const ENABLED: u32 = 1 | 6 << 16 | 4 << 20;
/// Request of a normal shutdown.
pub const SHUTDOWN: u32 = 1 << 14;

bitflags! {
    /// Controller status (3.1.3.6).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Status: u32 {
        /// The controller takes commands.
        const READY = 1;
        /// Only a reset cures it.
        const FATAL = 2;
        /// Shutdown is under way.
        const SHUTTING_DOWN = 1 << 2;
        /// Shutdown is complete.
        const SHUT_DOWN = 2 << 2;
    }
}

/// What the controller can do (3.1.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Most entries of a queue.
    pub const fn entries_max(self) -> u32 {
        (self.0 & 0xffff) as u32 + 1
    }
    /// Milliseconds that the controller may take to become ready, or not ready; half a second at least.
    pub const fn timeout_ms(self) -> u32 {
        let halves = (self.0 >> 24 & 0xff) as u32;
        if halves == 0 { 500 } else { halves * 500 }
    }
    /// Bytes between two doorbells.
    pub const fn stride(self) -> usize {
        4 << (self.0 >> 32 & 0xf)
    }
    /// Whether it has the NVM command set.
    pub const fn has_nvm(self) -> bool {
        self.0 & 1 << 37 != 0
    }
    /// Whether it takes pages of 4 KiB.
    pub const fn has_small_pages(self) -> bool {
        self.0 >> 48 & 0xf == 0
    }
    /// Offset of the doorbell that tells of new commands in queue `id`.
    #[inline(always)]
    pub const fn tail_doorbell(self, id: u16) -> usize {
        DOORBELLS + 2 * id as usize * self.stride()
    }
    /// Offset of the doorbell that gives completions of queue `id` back.
    #[inline(always)]
    pub const fn head_doorbell(self, id: u16) -> usize {
        DOORBELLS + (2 * id as usize + 1) * self.stride()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_at_their_bits() {
        // QEMU 7.2: 2048 entries, 7.5 s, NVM and other command sets, pages of 4 to 64 KiB.
        let cap = Capabilities(0x0040_0020_0f01_07ff | 1 << 43);
        assert_eq!((cap.entries_max(), cap.timeout_ms()), (2048, 7500));
        assert!(cap.has_nvm() && cap.has_small_pages());
        assert_eq!(
            (cap.tail_doorbell(1), cap.head_doorbell(1)),
            (0x1008, 0x100c)
        );
        let wide = Capabilities(3 << 32);
        assert_eq!(
            (wide.tail_doorbell(2), wide.head_doorbell(0)),
            (0x1080, 0x1020)
        );
        assert_eq!(wide.timeout_ms(), 500);
        let gone = Capabilities(u64::MAX);
        assert!(!gone.has_small_pages(), "nothing is there");
    }
}
