//! Registers of the control frame, by their offsets in bytes.

/// `GITS_CTLR`, 32 bits.
pub const CTLR: usize = 0x0000;
/// `GITS_TYPER`, 64 bits.
pub const TYPER: usize = 0x0008;
/// `GITS_CBASER`, 64 bits: the command queue.
pub const CBASER: usize = 0x0080;
/// `GITS_CWRITER`, 64 bits: offset of the next command that software writes.
pub const CWRITER: usize = 0x0088;
/// `GITS_CREADR`, 64 bits: offset of the next command that the service reads.
pub const CREADR: usize = 0x0090;
/// `GITS_BASER0`, 64 bits; eight of them: its private tables.
pub const BASER: usize = 0x0100;
/// How many `GITS_BASER` there are.
pub const BASERS: usize = 8;

/// Fields of `GITS_CTLR`.
pub mod ctlr {
    /// Messages are translated and commands carried out.
    pub const ENABLED: u32 = 1 << 0;
    /// Nothing is under way.
    pub const QUIESCENT: u32 = 1 << 31;
}

/// Fields of `GITS_TYPER`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Typer(pub u64);

impl Typer {
    /// Whether it has physical LPIs at all.
    pub const fn has_physical(self) -> bool {
        self.0 & 1 != 0
    }
    /// Bytes of an entry of an interrupt translation table.
    pub const fn entry_bytes(self) -> u64 {
        (self.0 >> 4 & 0xf) + 1
    }
    /// Bits of an EventID.
    pub const fn event_bits(self) -> u32 {
        (self.0 >> 8 & 0x1f) as u32 + 1
    }
    /// Bits of a DeviceID.
    pub const fn device_bits(self) -> u32 {
        (self.0 >> 13 & 0x1f) as u32 + 1
    }
    /// Whether a redistributor is named by its address; by its number otherwise.
    pub const fn names_by_address(self) -> bool {
        self.0 & 1 << 19 != 0
    }
    /// The name of a redistributor in commands: its address in units of 64 KiB, or its number.
    pub const fn target(self, address: u64, number: u32) -> u64 {
        if self.names_by_address() {
            address >> 16
        } else {
            number as u64
        }
    }
}

/// Fields of `GITS_BASER<n>`, those of `GITS_CBASER` among them.
pub mod baser {
    /// The table is there.
    pub const VALID: u64 = 1 << 63;
    /// Inner cacheability: write-back, allocating for reads and writes.
    pub const WRITE_BACK: u64 = 0b111 << 59;
    /// Inner shareable.
    pub const SHAREABLE: u64 = 0b01 << 10;
    /// Both bits of the shareability.
    pub const SHAREABILITY: u64 = 0b11 << 10;
    /// What a table is for; read-only.
    pub const TYPE_SHIFT: u32 = 56;
    /// Type of the device table.
    pub const DEVICES: u64 = 1;
    /// Type of the collection table.
    pub const COLLECTIONS: u64 = 4;
    /// Bytes of an entry less one; read-only.
    pub const ENTRY_SHIFT: u32 = 48;
    /// The size of its pages: 0 for 4 KiB, 1 for 16 KiB, 2 for 64 KiB. It may be read-only.
    pub const PAGE_SHIFT: u32 = 8;
    /// The number of pages less one.
    pub const PAGES: u64 = 0xff;

    /// What a table of this register is for.
    pub const fn kind(value: u64) -> u64 {
        value >> TYPE_SHIFT & 7
    }
    /// Bytes of an entry.
    pub const fn entry_bytes(value: u64) -> u64 {
        (value >> ENTRY_SHIFT & 0x1f) + 1
    }
    /// Bytes of a page.
    pub const fn page_bytes(value: u64) -> u64 {
        match value >> PAGE_SHIFT & 3 {
            0 => 4 << 10,
            1 => 16 << 10,
            _ => 64 << 10,
        }
    }
    /// The address, of at most 48 bits, a multiple of 64 KiB.
    pub const ADDRESS: u64 = 0xffff_ffff_0000;
}

/// `GITS_CREADR`: the service stopped at a command that is wrong.
pub const STALLED: u64 = 1;
/// The offset in `GITS_CREADR` and `GITS_CWRITER`.
pub const OFFSET: u64 = 0xf_ffe0;
