//! A mapping of a task beyond its program.

/// One mapping of a task.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The name of the device, pool or table that the range belongs to.
    pub name: String,
    /// Virtual address in the task.
    pub va: u64,
    /// Physical address.
    pub pa: u64,
    /// Bytes mapped, whole pages.
    pub len: u64,
    /// The kind of the range.
    pub kind: MappingKind,
}

/// The kind of a range of a task's address space, apart from its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappingKind {
    /// Registers of a device.
    Registers,
    /// A DMA pool.
    Pool,
    /// The log ring of the task with this index.
    LogRing(usize),
    /// The SMMU's tables and queues, for the DMA authority.
    SmmuTables,
    /// Queue and tables of the interrupt translation service, for its owner.
    ItsMemory,
    /// The MSI-X table that the PCI task writes: number of the function.
    MessageTable(usize),
    /// The configuration space of a PCI host.
    PciConfiguration,
    /// Memory that survives the task's restart.
    Persistent,
    /// The record that a life of the PCI task leaves to the next one.
    PciRecord,
    /// A BAR of a driven device: number of the function, BAR.
    Bar(usize, usize),
    /// The register by which the PCI task sees that a device is quiet: number of the function.
    QuiesceBar(usize),
}
