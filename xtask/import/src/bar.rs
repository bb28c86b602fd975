//! Base address registers.

/// Smallest memory BAR, in bytes (PCI Local Bus Specification 3.0, 6.2.5.1).
pub(crate) const SMALLEST: u64 = 16;

/// Kind of a BAR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarKind {
    /// I/O ports.
    Io,
    /// Memory below 4 GiB.
    Memory32,
    /// Memory anywhere; occupies the next BAR too.
    Memory64,
}

/// One BAR that is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// The BAR's number, 0 to 5.
    pub index: u8,
    /// The BAR's kind.
    pub kind: BarKind,
    /// Prefetchable.
    pub prefetchable: bool,
    /// The BAR's address as dumped; 0: not assigned.
    pub address: u64,
    /// Bytes, where the text, the Resizable BAR capability or the layout of the machine tells.
    pub size: Option<u64>,
}
