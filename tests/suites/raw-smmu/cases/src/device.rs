//! A device of the suite, and where its tables are.

use userlib::plan::iommu::{DomainEntry, StreamEntry};

use crate::board::Board;

/// One device and where its tables are.
pub struct Device {
    /// Its transfers.
    pub board: Board,
    /// Its StreamID and its stream table entry.
    pub stream: &'static StreamEntry,
    /// Its context descriptor and page tables.
    pub domain: &'static DomainEntry,
}
