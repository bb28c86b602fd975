//! Which SMMU is modelled: what its ID registers say, and how it treats what software must not do.

use crate::Chooser;

/// Properties of the modelled part. Bit positions are those of IHI 0070 G.b, 6.3.1 to 6.3.8.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// Architecture: 0 for SMMUv3.0, and so on.
    pub minor: u32,
    /// Stage 2: entries of stage-1 streams are then tagged with the VMID (rule C8).
    pub stage2: bool,
    /// 16-bit ASIDs.
    pub asid16: bool,
    /// Range invalidation.
    pub range: bool,
    /// Break-before-make level.
    pub break_level: u32,
    /// EL2 stream worlds.
    pub hyp: bool,
    /// 0 stall and terminate, 1 terminate only.
    pub stall_model: u32,
    /// CD.A = 0 is illegal.
    pub terminate_only: bool,
    /// Hierarchical attributes can be disabled.
    pub hierarchical_disable: bool,
    /// GBPA exists.
    pub global_bypass: bool,
    /// Bits of a StreamID.
    pub stream_bits: u32,
    /// Output address size code.
    pub output_code: u32,
    /// An overflow of the event queue shows as an abort error, as QEMU does it.
    pub overflow_as_abort: bool,
    /// ATS: traffic may come translated already.
    pub ats: bool,
    /// Bits that must be zero are checked (rule A19).
    pub strict: bool,
}

impl Features {
    /// The SMMU of QEMU 7.2.
    pub const QEMU_7: Self = Self {
        minor: 1,
        stage2: false,
        asid16: true,
        range: true,
        break_level: 2,
        hyp: false,
        stall_model: 1,
        terminate_only: true,
        hierarchical_disable: true,
        global_bypass: false,
        stream_bits: 16,
        output_code: 4,
        overflow_as_abort: true,
        ats: false,
        strict: true,
    };
    /// The SMMU of QEMU 10.
    pub const QEMU_10: Self = Self {
        stage2: true,
        global_bypass: true,
        ..Self::QEMU_7
    };
    /// A server part: both stages, EL2 worlds, stalls.
    pub const SERVER: Self = Self {
        minor: 2,
        stage2: true,
        asid16: true,
        range: true,
        break_level: 1,
        hyp: true,
        stall_model: 0,
        terminate_only: false,
        hierarchical_disable: true,
        global_bypass: true,
        stream_bits: 20,
        output_code: 5,
        overflow_as_abort: false,
        ats: true,
        strict: true,
    };
    /// An early, small part: 8-bit ASIDs, no ranges.
    pub const SMALL: Self = Self {
        minor: 0,
        stage2: false,
        asid16: false,
        range: false,
        break_level: 0,
        hyp: false,
        stall_model: 0,
        terminate_only: false,
        hierarchical_disable: false,
        global_bypass: true,
        stream_bits: 16,
        output_code: 2,
        overflow_as_abort: false,
        ats: false,
        strict: true,
    };

    /// Every modelled part.
    pub const ALL: [Self; 4] = [Self::QEMU_7, Self::QEMU_10, Self::SERVER, Self::SMALL];

    /// One of them.
    pub fn any(chooser: &mut Chooser) -> Self {
        Self::ALL[chooser.below(Self::ALL.len())]
    }

    /// IDR0.
    #[must_use]
    pub fn idr0(&self) -> u32 {
        let bit = |on: bool, at: u32| u32::from(on) << at;
        bit(self.stage2, 0)
            | 1 << 1
            | 0b10 << 2
            | 1 << 4
            | bit(self.hyp, 9)
            | bit(self.ats, 10)
            | bit(self.asid16, 12)
            | 0b10 << 21
            | self.stall_model << 24
            | bit(self.terminate_only, 26)
            | 0b01 << 27
    }

    /// IDR1: queues of up to 2^19 entries, no substreams.
    #[must_use]
    pub fn idr1(&self) -> u32 {
        19 << 21 | 19 << 16 | self.stream_bits
    }

    /// IDR3.
    #[must_use]
    pub fn idr3(&self) -> u32 {
        u32::from(self.hierarchical_disable) << 2
            | u32::from(self.range) << 10
            | self.break_level << 11
    }

    /// IDR5: 4K, 16K and 64K granules.
    #[must_use]
    pub fn idr5(&self) -> u32 {
        0b111 << 4 | self.output_code
    }

    /// Bits of an output address.
    #[must_use]
    pub fn output_bits(&self) -> u32 {
        [32, 36, 40, 42, 44, 48, 52]
            .get(self.output_code as usize)
            .copied()
            .unwrap_or(48)
    }
}

/// How often the model takes its liberties. All are once in that many opportunities, 0 for never.
#[derive(Clone, Copy, Debug)]
pub struct Liberties {
    /// Something happens by itself at an access of the processor.
    pub activity: u32,
    /// An entry that was used is not kept (rules A17, C1).
    pub forget: u32,
    /// A structure's words are read when the processor stores to it (rules A1, A9).
    pub pounce: u32,
    /// A command is consumed at once rather than later (rules E5, E6).
    pub consume: u32,
    /// A command cannot be read, and the queue stops (rule E12); not again before that is repaired.
    pub abort: u32,
    /// A field of CR0 takes effect at once (rule R1).
    pub acknowledge: u32,
    /// The processor does something else for a second when it looks at the time (rule E17).
    pub preempt: u32,
    /// A translated transaction is performed at once (rule E10).
    pub perform: u32,
    /// Transactions outlive a SYNC until the device is reset, as QEMU's block devices do.
    pub outlive: bool,
}

impl Liberties {
    /// As bad as it may be.
    pub const ALL: Self = Self {
        activity: 3,
        forget: 4,
        pounce: 2,
        consume: 3,
        abort: 300,
        acknowledge: 3,
        preempt: 200,
        perform: 3,
        outlive: true,
    };
    /// The same, slow to do what it is told: what one life of its driver began, the next one sees.
    pub const SLOW: Self = Self {
        activity: 15,
        acknowledge: 15,
        ..Self::ALL
    };
    /// The same, with devices that obey a SYNC.
    pub const ORDERLY_DEVICES: Self = Self {
        outlive: false,
        ..Self::ALL
    };
}
