//! Commands (chapter 4). Only those this system issues, and what the model must recognise.

use crate::Field;

/// Bytes of a command.
pub const COMMAND_BYTES: u64 = 16;

/// Opcodes (§4.1.1).
pub mod opcode {
    /// §4.3.1
    pub const CFGI_STE: u64 = 0x03;
    /// §4.3.2; with range 31 CFGI_ALL (§4.3.6)
    pub const CFGI_STE_RANGE: u64 = 0x04;
    /// §4.3.3
    pub const CFGI_CD: u64 = 0x05;
    /// §4.3.4
    pub const CFGI_CD_ALL: u64 = 0x06;
    /// §4.4.2.1
    pub const TLBI_NH_ALL: u64 = 0x10;
    /// §4.4.2.2
    pub const TLBI_NH_ASID: u64 = 0x11;
    /// §4.4.2.3
    pub const TLBI_NH_VA: u64 = 0x12;
    /// §4.4.2.4
    pub const TLBI_NH_VAA: u64 = 0x13;
    /// §4.4.2; exists with the EL2 stream worlds
    pub const TLBI_EL2_ALL: u64 = 0x20;
    /// §4.4.4
    pub const TLBI_NSNH_ALL: u64 = 0x30;
    /// §4.7.3
    pub const SYNC: u64 = 0x46;
}

/// Fields; of word 1 where it says so.
pub mod bits {
    use super::Field;
    /// The opcode.
    pub const OPCODE: Field = Field::bits(7, 0);
    /// StreamID of CFGI commands.
    pub const STREAM_ID: Field = Field::bits(63, 32);
    /// SubstreamID of CFGI_CD.
    pub const SUBSTREAM_ID: Field = Field::bits(31, 12);
    /// Word 1: only the last level.
    pub const LEAF: Field = Field::bit(0);
    /// Word 1 of CFGI_STE_RANGE: 2^(range + 1) entries.
    pub const RANGE: Field = Field::bits(4, 0);
    /// TLBI: multiplier of the range, minus 1.
    pub const NUM: Field = Field::bits(16, 12);
    /// TLBI: exponent of the range.
    pub const SCALE: Field = Field::bits(25, 20);
    /// TLBI: VMID.
    pub const VMID: Field = Field::bits(47, 32);
    /// TLBI: ASID.
    pub const ASID: Field = Field::bits(63, 48);
    /// Word 1, 73:72: level of the leaf entries.
    pub const TTL: Field = Field::bits(9, 8);
    /// Word 1, 75:74: granule; 0: no range and no level, 1: 4 KiB.
    pub const TG: Field = Field::bits(11, 10);
    /// Word 1: input address.
    pub const ADDRESS: Field = Field::bits(63, 12);
    /// SYNC: completion signal; 0 none.
    pub const CS: Field = Field::bits(13, 12);
}

/// A command, by meaning. VMID is 0 in all of them: every STE of this system has it (rule C8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Forget one stream's entry and the context descriptors cached through it.
    ConfigStream {
        /// The stream.
        stream: u32,
        /// False: the level-1 descriptor too.
        leaf: bool,
    },
    /// Forget all configuration.
    ConfigAll,
    /// Forget one stream's context descriptor (substream 0).
    ConfigContext {
        /// The stream.
        stream: u32,
    },
    /// Forget all translations of an address space.
    TlbAsid {
        /// The address space.
        asid: u16,
    },
    /// Forget the leaf translation at an address.
    TlbAddress {
        /// The address space.
        asid: u16,
        /// Input address.
        address: u64,
    },
    /// Forget the leaf translations of (`num` + 1) << `scale` pages of 4 KiB; only with
    /// IDR3.RIL.
    TlbRange {
        /// The address space.
        asid: u16,
        /// Input address of the first page; 2 MiB-aligned if `level` is 2.
        address: u64,
        /// 0 to 31.
        num: u32,
        /// 0 to 31.
        scale: u32,
        /// Level of the leaf entries: 2 blocks, 3 pages.
        level: u32,
    },
    /// Forget all translations of EL2 streams; only with IDR0.HYP.
    TlbEl2All,
    /// Forget all translations of EL1 streams, every stage.
    TlbAll,
    /// Wait for all before it; no signal.
    Sync,
}

impl Command {
    /// The two words of the command.
    #[inline(always)]
    pub const fn encode(self) -> [u64; 2] {
        use bits::{ADDRESS, ASID, LEAF, NUM, RANGE, SCALE, STREAM_ID, TG, TTL};
        match self {
            Self::ConfigStream { stream, leaf } => [
                opcode::CFGI_STE | STREAM_ID.put(stream as u64),
                LEAF.put(leaf as u64),
            ],
            Self::ConfigAll => [opcode::CFGI_STE_RANGE, RANGE.put(31)],
            Self::ConfigContext { stream } => {
                [opcode::CFGI_CD | STREAM_ID.put(stream as u64), LEAF.put(1)]
            }
            Self::TlbAsid { asid } => [opcode::TLBI_NH_ASID | ASID.put(asid as u64), 0],
            Self::TlbAddress { asid, address } => [
                opcode::TLBI_NH_VA | ASID.put(asid as u64),
                LEAF.put(1) | ADDRESS.address(address),
            ],
            Self::TlbRange {
                asid,
                address,
                num,
                scale,
                level,
            } => [
                opcode::TLBI_NH_VA
                    | ASID.put(asid as u64)
                    | NUM.put(num as u64)
                    | SCALE.put(scale as u64),
                LEAF.put(1) | TTL.put(level as u64) | TG.put(1) | ADDRESS.address(address),
            ],
            Self::TlbEl2All => [opcode::TLBI_EL2_ALL, 0],
            Self::TlbAll => [opcode::TLBI_NSNH_ALL, 0],
            Self::Sync => [opcode::SYNC, 0],
        }
    }

    /// The command that `words` encode; `None` if it is not one of this system's.
    pub const fn decode(words: [u64; 2]) -> Option<Self> {
        let stream = bits::STREAM_ID.get(words[0]) as u32;
        let asid = bits::ASID.get(words[0]) as u16;
        let address = bits::ADDRESS.address(words[1]);
        let leaf = bits::LEAF.is_set(words[1]);
        let command = match bits::OPCODE.get(words[0]) {
            opcode::CFGI_STE => Self::ConfigStream { stream, leaf },
            opcode::CFGI_STE_RANGE => Self::ConfigAll,
            opcode::CFGI_CD => Self::ConfigContext { stream },
            opcode::TLBI_NH_ASID => Self::TlbAsid { asid },
            opcode::TLBI_NH_VA if bits::TG.get(words[1]) == 0 => Self::TlbAddress { asid, address },
            opcode::TLBI_NH_VA => Self::TlbRange {
                asid,
                address,
                num: bits::NUM.get(words[0]) as u32,
                scale: bits::SCALE.get(words[0]) as u32,
                level: bits::TTL.get(words[1]) as u32,
            },
            opcode::TLBI_EL2_ALL => Self::TlbEl2All,
            opcode::TLBI_NSNH_ALL => Self::TlbAll,
            opcode::SYNC => Self::Sync,
            _ => return None,
        };
        let again = command.encode();
        if again[0] == words[0] && again[1] == words[1] {
            Some(command)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Command, [u64; 2]); 10] = [
        (
            Command::ConfigStream {
                stream: 0x8765_4321,
                leaf: true,
            },
            [0x8765_4321_0000_0003, 1],
        ),
        (
            Command::ConfigStream {
                stream: 0x100,
                leaf: false,
            },
            [0x0000_0100_0000_0003, 0],
        ),
        (Command::ConfigAll, [0x04, 31]),
        (
            Command::ConfigContext { stream: 0x0300 },
            [0x0000_0300_0000_0005, 1],
        ),
        (
            Command::TlbAsid { asid: 0xbeef },
            [0xbeef_0000_0000_0011, 0],
        ),
        (
            Command::TlbAddress {
                asid: 7,
                address: 0x1_2345_6000,
            },
            [0x0007_0000_0000_0012, 0x1_2345_6001],
        ),
        (
            Command::TlbRange {
                asid: 7,
                address: 0x1_2345_6000,
                num: 31,
                scale: 3,
                level: 3,
            },
            [0x0007_0000_0031_f012, 0x1_2345_6701],
        ),
        (Command::TlbEl2All, [0x20, 0]),
        (Command::TlbAll, [0x30, 0]),
        (Command::Sync, [0x46, 0]),
    ];

    #[test]
    fn encodings() {
        for (command, words) in ALL {
            assert_eq!(command.encode(), words, "{command:?}");
            assert_eq!(Command::decode(words), Some(command));
        }
    }

    #[test]
    fn reserved_bits_are_refused() {
        for (command, words) in ALL {
            // CS of a SYNC and SSec (bit 10) are never used here.
            for bit in [8, 9, 10, 11] {
                let changed = [words[0] ^ 1 << bit, words[1]];
                assert_eq!(Command::decode(changed), None, "{command:?} bit {bit}");
            }
        }
        assert_eq!(Command::decode([0, 0]), None);
        assert_eq!(Command::decode([0xff, 0]), None);
    }
}
