//! Bringing an SMMU up with every stream aborting.

/// Why an SMMU is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Nothing answers at its registers.
    NoRegisters,
    /// No stage 1.
    NoStage1,
    /// No VMSAv8-64 tables with 4 KiB granule, little endian.
    NoTables,
    /// Table walks are not coherent with the caches, which this server relies on.
    NotCoherent,
    /// Faults can only stall, which PCIe devices must not.
    StallOnly,
    /// No two-level stream tables.
    NoTwoLevelStreams,
    /// Base addresses are fixed by the hardware.
    PresetBases,
    /// Fewer StreamID bits than the plan uses.
    StreamBits,
    /// Queues smaller than the plan's.
    QueueSize,
    /// 8-bit ASIDs, and the plan uses larger ones.
    AsidBits,
    /// Output addresses smaller than the plan's.
    OutputSize,
    /// Table memory is not what the plan describes: misaligned, too short, or beyond the output size.
    TableMemory,
    /// A stream table or context descriptor in the image is not the planned one.
    TableContents,
    /// A control register did not follow in time.
    ControlTimeout,
    /// Commands were not completed in time.
    CommandTimeout,
    /// More SMMUs, devices, domains or streams than this server has room for.
    TooMany,
    /// A record of the plan names something that does not exist.
    Inconsistent,
}
