//! Commands.

/// Bytes of a command.
pub const COMMAND_BYTES: u64 = 32;

/// A command. Collections are numbered; there is one for each core that takes messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// `MAPD`: gives a device its interrupt translation table.
    MapDevice {
        /// The device.
        device: u32,
        /// Physical address of the table, a multiple of 256.
        table: u64,
        /// Bits of its EventIDs, from 1.
        bits: u32,
    },
    /// `MAPC`: a collection is taken by a redistributor.
    MapCollection {
        /// The collection.
        collection: u16,
        /// The redistributor, as [`crate::registers::Typer::target`] names it.
        target: u64,
    },
    /// `MAPTI`: an event of a device is an interrupt.
    MapEvent {
        /// The device.
        device: u32,
        /// The event.
        event: u32,
        /// The interrupt.
        intid: u32,
        /// The collection.
        collection: u16,
    },
    /// `INV`: what the configuration table says of an event's interrupt is read again.
    Invalidate {
        /// The device.
        device: u32,
        /// The event.
        event: u32,
    },
    /// `INVALL`: the same for all interrupts of a collection.
    InvalidateAll {
        /// The collection.
        collection: u16,
    },
    /// `CLEAR`: an event's interrupt is no longer pending.
    Clear {
        /// The device.
        device: u32,
        /// The event.
        event: u32,
    },
    /// `SYNC`: what earlier commands did is seen by a redistributor.
    Sync {
        /// The redistributor.
        target: u64,
    },
}

mod opcode {
    pub const CLEAR: u64 = 0x04;
    pub const SYNC: u64 = 0x05;
    pub const MAPD: u64 = 0x08;
    pub const MAPC: u64 = 0x09;
    pub const MAPTI: u64 = 0x0a;
    pub const INV: u64 = 0x0c;
    pub const INVALL: u64 = 0x0d;
}

const VALID: u64 = 1 << 63;

impl Command {
    /// The words of the command.
    pub const fn encode(self) -> [u64; 4] {
        const fn of(device: u32) -> u64 {
            (device as u64) << 32
        }
        match self {
            Self::MapDevice {
                device,
                table,
                bits,
            } => [
                opcode::MAPD | of(device),
                bits.saturating_sub(1) as u64 & 0x1f,
                VALID | table & 0xf_ffff_ffff_ff00,
                0,
            ],
            Self::MapCollection { collection, target } => {
                [opcode::MAPC, 0, VALID | target << 16 | collection as u64, 0]
            }
            Self::MapEvent {
                device,
                event,
                intid,
                collection,
            } => [
                opcode::MAPTI | of(device),
                (intid as u64) << 32 | event as u64,
                collection as u64,
                0,
            ],
            Self::Invalidate { device, event } => [opcode::INV | of(device), event as u64, 0, 0],
            Self::InvalidateAll { collection } => [opcode::INVALL, 0, collection as u64, 0],
            Self::Clear { device, event } => [opcode::CLEAR | of(device), event as u64, 0, 0],
            Self::Sync { target } => [opcode::SYNC, 0, target << 16, 0],
        }
    }

    /// The command of these words, as a model of the service reads it; none of those that software of this system never
    /// writes.
    pub const fn decode(words: [u64; 4]) -> Option<Self> {
        let device = (words[0] >> 32) as u32;
        let event = words[1] as u32;
        let collection = words[2] as u16;
        let target = words[2] >> 16 & 0xffff_ffff;
        let valid = words[2] & VALID != 0;
        Some(match words[0] & 0xff {
            opcode::MAPD if valid => Self::MapDevice {
                device,
                table: words[2] & 0xf_ffff_ffff_ff00,
                bits: (words[1] & 0x1f) as u32 + 1,
            },
            opcode::MAPC if valid => Self::MapCollection { collection, target },
            opcode::MAPTI => Self::MapEvent {
                device,
                event,
                intid: (words[1] >> 32) as u32,
                collection,
            },
            opcode::INV => Self::Invalidate { device, event },
            opcode::INVALL => Self::InvalidateAll { collection },
            opcode::CLEAR => Self::Clear { device, event },
            opcode::SYNC => Self::Sync { target },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Command;

    /// Words by hand from the figures of the specification.
    #[test]
    fn commands_are_encoded_as_the_figures_show() {
        let (device, event) = (0x1234, 5);
        let cases = [
            (
                Command::MapDevice {
                    device,
                    table: 0x4_5678_9a00,
                    bits: 3,
                },
                [0x0000_1234_0000_0008, 2, 0x8000_0004_5678_9a00, 0],
            ),
            (
                Command::MapCollection {
                    collection: 1,
                    target: 0x80a,
                },
                [9, 0, 0x8000_0000_080a_0001, 0],
            ),
            (
                Command::MapEvent {
                    device,
                    event,
                    intid: 8199,
                    collection: 1,
                },
                [0x0000_1234_0000_000a, 0x0000_2007_0000_0005, 1, 0],
            ),
            (
                Command::Invalidate { device, event },
                [0x0000_1234_0000_000c, 5, 0, 0],
            ),
            (Command::InvalidateAll { collection: 1 }, [0x0d, 0, 1, 0]),
            (
                Command::Clear { device, event },
                [0x0000_1234_0000_0004, 5, 0, 0],
            ),
            (Command::Sync { target: 0x80a }, [5, 0, 0x080a_0000, 0]),
        ];
        for (command, words) in cases {
            assert_eq!(command.encode(), words, "{command:?}");
            assert_eq!(Command::decode(words), Some(command));
        }
        for unknown in [[0; 4], [3, 0, 0, 0], [8, 0, 0, 0], [9, 0, 1 << 16, 0]] {
            assert_eq!(Command::decode(unknown), None);
        }
    }
}
