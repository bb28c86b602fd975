//! A mapping of a task beyond its program.

/// One mapping of a task.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Of whom or what the range is: a device, a pool, a table.
    pub name: String,
    /// Virtual address in the task.
    pub va: u64,
    /// Physical address.
    pub pa: u64,
    /// Bytes mapped, whole pages.
    pub len: u64,
    /// What lies there.
    pub kind: MappingKind,
}

/// What a range of a task's address space is, apart from its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappingKind {
    /// Registers of a device.
    Registers,
    /// A DMA pool.
    Pool,
    /// Of the task with this index.
    LogRing(usize),
    /// The SMMU's tables and queues, for the DMA authority.
    SmmuTables,
    /// The configuration space of a PCI host.
    PciConfiguration,
    /// Memory that survives the task's restart.
    Persistent,
    /// What a life of the PCI task leaves to the next one.
    PciRecord,
    /// A BAR of a driven device: number of the function, BAR.
    Bar(usize, usize),
    /// The register by which the PCI task sees that a device is quiet: number of the function.
    QuiesceBar(usize),
}
