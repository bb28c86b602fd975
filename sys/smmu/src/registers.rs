//! Register offsets and fields (§6.2, §6.3). All but the `*_BASE` registers are 32 bits wide.

use crate::Field;

/// Bytes of the register frame: pages 0 and 1, 64 KiB each (§6.1).
pub const FRAME_BYTES: usize = 0x2_0000;

/// §6.3.1
pub const IDR0: usize = 0x00;
/// §6.3.2
pub const IDR1: usize = 0x04;
/// §6.3.4
pub const IDR3: usize = 0x0c;
/// §6.3.6
pub const IDR5: usize = 0x14;
/// §6.3.7
pub const IIDR: usize = 0x18;
/// §6.3.8
pub const AIDR: usize = 0x1c;
/// §6.3.9
pub const CR0: usize = 0x20;
/// §6.3.10
pub const CR0ACK: usize = 0x24;
/// §6.3.11
pub const CR1: usize = 0x28;
/// §6.3.12
pub const CR2: usize = 0x2c;
/// §6.3.14
pub const GBPA: usize = 0x44;
/// §6.3.16
pub const IRQ_CTRL: usize = 0x50;
/// §6.3.17
pub const IRQ_CTRLACK: usize = 0x54;
/// §6.3.19
pub const GERROR: usize = 0x60;
/// §6.3.20
pub const GERRORN: usize = 0x64;
/// §6.3.21, 64 bits
pub const GERROR_IRQ_CFG0: usize = 0x68;
/// §6.3.24, 64 bits
pub const STRTAB_BASE: usize = 0x80;
/// §6.3.25
pub const STRTAB_BASE_CFG: usize = 0x88;
/// §6.3.26, 64 bits
pub const CMDQ_BASE: usize = 0x90;
/// §6.3.27
pub const CMDQ_PROD: usize = 0x98;
/// §6.3.28
pub const CMDQ_CONS: usize = 0x9c;
/// §6.3.29, 64 bits
pub const EVENTQ_BASE: usize = 0xa0;
/// §6.3.30, 64 bits
pub const EVENTQ_IRQ_CFG0: usize = 0xb0;
/// §6.3.95; in page 1
pub const EVENTQ_PROD: usize = 0x1_00a8;
/// §6.3.96; in page 1
pub const EVENTQ_CONS: usize = 0x1_00ac;

/// Fields of `IDR0`.
pub mod idr0 {
    use super::Field;
    /// Stage 2.
    pub const S2P: Field = Field::bit(0);
    /// Stage 1.
    pub const S1P: Field = Field::bit(1);
    /// Translation table formats; bit 1: VMSAv8-64.
    pub const TTF: Field = Field::bits(3, 2);
    /// Coherent access possible.
    pub const COHACC: Field = Field::bit(4);
    /// Broadcast TLB maintenance.
    pub const BTM: Field = Field::bit(5);
    /// Hardware update of access flag and dirty state.
    pub const HTTU: Field = Field::bits(7, 6);
    /// EL2 stream worlds.
    pub const HYP: Field = Field::bit(9);
    /// PCIe address translation services.
    pub const ATS: Field = Field::bit(10);
    /// 16-bit ASIDs.
    pub const ASID16: Field = Field::bit(12);
    /// Message-signalled interrupts of the SMMU itself.
    pub const MSI: Field = Field::bit(13);
    /// Wake-up events at the end of a CMD_SYNC.
    pub const SEV: Field = Field::bit(14);
    /// Page request interface.
    pub const PRI: Field = Field::bit(16);
    /// 16-bit VMIDs.
    pub const VMID16: Field = Field::bit(18);
    /// 2-level tables of context descriptors.
    pub const CD2L: Field = Field::bit(19);
    /// Endianness of translation tables: 0 mixed, 2 little, 3 big.
    pub const TTENDIAN: Field = Field::bits(22, 21);
    /// 0 stall and terminate, 1 terminate only, 2 stall only.
    pub const STALL_MODEL: Field = Field::bits(25, 24);
    /// 1: CD.A = 0 (RAZ/WI) is illegal.
    pub const TERM_MODEL: Field = Field::bit(26);
    /// Bit 0: 2-level stream tables.
    pub const ST_LEVEL: Field = Field::bits(28, 27);
}

/// Fields of `IDR1`.
pub mod idr1 {
    use super::Field;
    /// Bits of a StreamID.
    pub const SIDSIZE: Field = Field::bits(5, 0);
    /// Bits of a SubstreamID.
    pub const SSIDSIZE: Field = Field::bits(10, 6);
    /// Largest event queue, log2 entries.
    pub const EVENTQS: Field = Field::bits(20, 16);
    /// Largest command queue, log2 entries.
    pub const CMDQS: Field = Field::bits(25, 21);
    /// Permission overrides in STEs exist.
    pub const ATTR_PERMS_OVR: Field = Field::bit(26);
    /// Type overrides in STEs exist.
    pub const ATTR_TYPES_OVR: Field = Field::bit(27);
    /// Queue bases are fixed.
    pub const QUEUES_PRESET: Field = Field::bit(29);
    /// Table base is fixed.
    pub const TABLES_PRESET: Field = Field::bit(30);
}

/// Fields of `IDR3`.
pub mod idr3 {
    use super::Field;
    /// Hierarchical attributes can be disabled.
    pub const HAD: Field = Field::bit(2);
    /// Small translation tables.
    pub const STT: Field = Field::bit(9);
    /// Range invalidation and level hints.
    pub const RIL: Field = Field::bit(10);
    /// Break-before-make level.
    pub const BBML: Field = Field::bits(12, 11);
}

/// Fields of `IDR5`.
pub mod idr5 {
    use super::Field;
    /// Output address size, encoded as in [`crate::features::address_bits`].
    pub const OAS: Field = Field::bits(2, 0);
    /// 4 KiB granule.
    pub const GRAN4K: Field = Field::bit(4);
    /// 16 KiB granule.
    pub const GRAN16K: Field = Field::bit(5);
    /// 64 KiB granule.
    pub const GRAN64K: Field = Field::bit(6);
}

/// Fields of `AIDR`: the architecture's revision.
pub mod aidr {
    use super::Field;
    /// 0: SMMUv3.
    pub const MAJOR: Field = Field::bits(7, 4);
    /// 1 for SMMUv3.1 and so on.
    pub const MINOR: Field = Field::bits(3, 0);
}

/// Fields of `CR0` and `CR0ACK`.
pub mod cr0 {
    use super::Field;
    /// Translate; else `GBPA` applies.
    pub const SMMUEN: Field = Field::bit(0);
    /// PRI queue.
    pub const PRIQEN: Field = Field::bit(1);
    /// Event queue.
    pub const EVENTQEN: Field = Field::bit(2);
    /// Command queue.
    pub const CMDQEN: Field = Field::bit(3);
    /// ATS-translated traffic is checked against STE.EATS.
    pub const ATSCHK: Field = Field::bit(4);
    /// All of the above: what `CR0ACK` follows, of what a driver of this system writes.
    pub const ALL: u32 = 0x1f;
}

/// Fields of `CR1`: how the SMMU accesses tables and queues. Cacheability 0 none, 1 write-back, 2
/// write-through; shareability 0 none, 2 outer, 3 inner. The codes differ from those of a CD.
pub mod cr1 {
    use super::Field;
    /// Queues, inner.
    pub const QUEUE_IC: Field = Field::bits(1, 0);
    /// Queues, outer.
    pub const QUEUE_OC: Field = Field::bits(3, 2);
    /// Queues, shareability.
    pub const QUEUE_SH: Field = Field::bits(5, 4);
    /// Stream table, inner.
    pub const TABLE_IC: Field = Field::bits(7, 6);
    /// Stream table, outer.
    pub const TABLE_OC: Field = Field::bits(9, 8);
    /// Stream table, shareability.
    pub const TABLE_SH: Field = Field::bits(11, 10);
    /// Write-back, inner shareable, for both.
    pub const COHERENT: u32 = QUEUE_IC.put32(1)
        | QUEUE_OC.put32(1)
        | QUEUE_SH.put32(3)
        | TABLE_IC.put32(1)
        | TABLE_OC.put32(1)
        | TABLE_SH.put32(3);
}

/// Fields of `CR2`.
pub mod cr2 {
    use super::Field;
    /// EL2 streams behave as EL2-E2H.
    pub const E2H: Field = Field::bit(0);
    /// C_BAD_STREAMID is recorded.
    pub const RECINVSID: Field = Field::bit(1);
    /// Broadcast TLB maintenance need not take part.
    pub const PTM: Field = Field::bit(2);
}

/// Fields of `GBPA`: what happens to traffic while `SMMUEN` is 0.
pub mod gbpa {
    use super::Field;
    /// Abort it.
    pub const ABORT: Field = Field::bit(20);
    /// Set with the new value, reads 1 until it applies.
    pub const UPDATE: Field = Field::bit(31);
}

/// Fields of `IRQ_CTRL` and `IRQ_CTRLACK`.
pub mod irq_ctrl {
    use super::Field;
    /// Global errors.
    pub const GERROR: Field = Field::bit(0);
    /// PRI queue.
    pub const PRIQ: Field = Field::bit(1);
    /// Event queue.
    pub const EVENTQ: Field = Field::bit(2);
    /// All of the above: what `IRQ_CTRLACK` follows.
    pub const ALL: u32 = 7;
}

/// Fields of `GERROR` and `GERRORN`; an error is active while the two differ in its bit (§7.5).
pub mod gerror {
    use super::Field;
    /// Command queue stopped; the code is in `CMDQ_CONS.ERR`.
    pub const CMDQ_ERR: Field = Field::bit(0);
    /// Access to the event queue aborted; QEMU also reports overflow so.
    pub const EVENTQ_ABT_ERR: Field = Field::bit(2);
    /// Access to the PRI queue aborted.
    pub const PRIQ_ABT_ERR: Field = Field::bit(3);
    /// CMD_SYNC's MSI aborted.
    pub const MSI_CMDQ_ABT_ERR: Field = Field::bit(4);
    /// The event queue's MSI aborted.
    pub const MSI_EVENTQ_ABT_ERR: Field = Field::bit(5);
    /// The PRI queue's MSI aborted.
    pub const MSI_PRIQ_ABT_ERR: Field = Field::bit(6);
    /// The global error MSI aborted.
    pub const MSI_GERROR_ABT_ERR: Field = Field::bit(7);
    /// Service failure: the SMMU has stopped, acknowledging does not help.
    pub const SFM_ERR: Field = Field::bit(8);
    /// Every defined error.
    pub const ALL: u32 = 0x1fd;
}

/// Fields of `STRTAB_BASE` and `STRTAB_BASE_CFG`.
pub mod strtab {
    use super::Field;
    /// `STRTAB_BASE`: the table, aligned to its size.
    pub const ADDR: Field = Field::bits(55, 6);
    /// `STRTAB_BASE`: read-allocate hint.
    pub const RA: Field = Field::bit(62);
    /// `STRTAB_BASE_CFG`: StreamID bits covered.
    pub const LOG2SIZE: Field = Field::bits(5, 0);
    /// `STRTAB_BASE_CFG`: StreamID bits of level 2: 6, 8 or 10.
    pub const SPLIT: Field = Field::bits(10, 6);
    /// `STRTAB_BASE_CFG`: 0 linear, 1 two levels.
    pub const FMT: Field = Field::bits(17, 16);
}

/// Fields of `CMDQ_BASE` and `EVENTQ_BASE`.
pub mod queue_base {
    use super::Field;
    /// log2 of the entries.
    pub const LOG2SIZE: Field = Field::bits(4, 0);
    /// The queue, aligned to its size.
    pub const ADDR: Field = Field::bits(55, 5);
    /// Allocation hint: read for commands, write for events.
    pub const ALLOCATE: Field = Field::bit(62);
}

/// `CMDQ_CONS.ERR` (§7.1), valid while `GERROR.CMDQ_ERR` is active.
pub const CMDQ_CONS_ERR: Field = Field::bits(30, 24);
/// `EVENTQ_PROD.OVFLG` and `EVENTQ_CONS.OVACKFLG` (§7.4): they differ after an overflow.
pub const OVERFLOW_FLAG: Field = Field::bit(31);

/// Codes of [`CMDQ_CONS_ERR`].
pub mod command_error {
    /// No error.
    pub const NONE: u32 = 0;
    /// The command is illegal.
    pub const ILLEGAL: u32 = 1;
    /// The fetch of the command aborted.
    pub const ABORT: u32 = 2;
    /// An ATC invalidation before the CMD_SYNC did not complete.
    pub const ATC_INV_SYNC: u32 = 3;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coherent_attributes() {
        assert_eq!(cr1::COHERENT, 0b11_01_01_11_01_01);
    }

    #[test]
    fn page_one_registers() {
        assert_eq!(EVENTQ_PROD - 0x1_0000, 0xa8);
        assert_eq!(EVENTQ_CONS - 0x1_0000, 0xac);
    }

    #[test]
    fn every_error_bit_once() {
        let bits = [
            gerror::CMDQ_ERR,
            gerror::EVENTQ_ABT_ERR,
            gerror::PRIQ_ABT_ERR,
            gerror::MSI_CMDQ_ABT_ERR,
            gerror::MSI_EVENTQ_ABT_ERR,
            gerror::MSI_PRIQ_ABT_ERR,
            gerror::MSI_GERROR_ABT_ERR,
            gerror::SFM_ERR,
        ];
        let all = bits.iter().fold(0, |all, bit| {
            assert_eq!(all & bit.mask(), 0);
            all | bit.mask()
        });
        assert_eq!(all as u32, gerror::ALL);
    }
}
