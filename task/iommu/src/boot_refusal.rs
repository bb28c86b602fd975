//! Why an SMMU is not used.

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
    /// Output addresses smaller than memory the plan maps.
    OutputSize,
    /// Table memory is not what the plan describes: misaligned, too short, or beyond the output size.
    TableMemory,
    /// A stream table entry in the image does not abort and is no always-open one, or is not where the plan says.
    StreamTable,
    /// A context descriptor in the image is not the planned one.
    ContextDescriptor,
    /// Page tables in the image are not linked as planned, or do not map exactly what is planned.
    PageTables,
    /// A control register did not follow in time.
    ControlTimeout,
    /// A base register did not keep its value.
    BaseRegister,
    /// Commands were not completed in time.
    CommandTimeout,
    /// More SMMUs, devices, domains or streams than this server has room for.
    TooMany,
    /// A record of the plan names something that does not exist.
    Inconsistent,
    /// Tasks are held for its devices, and it is not on with the planned tables as an earlier life left it.
    NotAsLeft,
    /// The PCI task does not answer, so nobody can say that bus mastering is off.
    NoPci,
}

impl Refusal {
    /// A few words for a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRegisters => "nothing answers",
            Self::NoStage1 => "no stage 1",
            Self::NoTables => "no 4 KiB VMSAv8-64 tables",
            Self::NotCoherent => "table walks are not coherent",
            Self::StallOnly => "faults can only stall",
            Self::NoTwoLevelStreams => "no two-level stream table",
            Self::PresetBases => "base addresses are preset",
            Self::StreamBits => "too few StreamID bits",
            Self::QueueSize => "queues too small",
            Self::AsidBits => "8-bit ASIDs only",
            Self::OutputSize => "output addresses too small",
            Self::TableMemory => "table memory not as planned",
            Self::StreamTable => "stream table not as planned",
            Self::ContextDescriptor => "context descriptor not as planned",
            Self::PageTables => "page tables not as planned",
            Self::ControlTimeout => "a control register does not follow",
            Self::BaseRegister => "a base register does not keep its value",
            Self::CommandTimeout => "commands do not complete",
            Self::TooMany => "the plan exceeds the server's limits",
            Self::Inconsistent => "the plan is inconsistent",
            Self::NotAsLeft => "not as an earlier life of the server left it",
            Self::NoPci => "the PCI task does not answer",
        }
    }
}
