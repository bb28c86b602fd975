//! The rights that a leaf descriptor of stage 1 gives its user (Arm ARM D8.3 and D8.4).

use crate::run::Access;

/// One leaf descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// First address that it translates.
    pub input: u64,
    /// The output address of the leaf.
    pub output: u64,
    /// Bytes.
    pub len: u64,
    /// The leaf's eight bytes.
    pub descriptor: u64,
    /// Physical address of the descriptor itself.
    pub at: u64,
}

/// Whose tables a leaf is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Regime {
    /// The kernel's half.
    Kernel,
    /// The identity map of the first instructions.
    First,
    /// A task's.
    Task,
    /// A domain's: a device behind the SMMU.
    Device,
}

const SECURITY: u64 = 1 << 5;
const UNPRIVILEGED: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const SHAREABLE: u64 = 0b11 << 8;
const ACCESSED: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
/// Two address bits of larger tables, guarded page, dirty state by hardware (which makes a read-only page writable),
/// contiguous hint.
const SPECIAL: u64 = 0b1_1111 << 48;
const PRIVILEGED_NEVER: u64 = 1 << 53;
const UNPRIVILEGED_NEVER: u64 = 1 << 54;
const MARK: u64 = 0xf << 55;
const HIGHEST: u64 = 0x1f << 59;

impl Leaf {
    /// The four bits that hardware leaves to software.
    pub fn mark(self) -> u64 {
        (self.descriptor & MARK) >> 55
    }

    /// The access through the leaf, `mair` being the memory types by index.
    ///
    /// # Errors
    /// A leaf that no table of this system has: half of a right, or one that its user should never have.
    pub fn access(self, regime: Regime, mair: u64) -> Result<Access, &'static str> {
        let set = |bit: u64| self.descriptor & bit != 0;
        let index = self.descriptor >> 2 & 7;
        let memory = match (mair >> (index * 8)) as u8 {
            0xff => "write-back",
            0x44 => "non-cacheable",
            0x04 => "device-nGnRE",
            0x00 if index < 4 => "device-nGnRnE",
            _ => return Err("has a memory type that is none of this system's"),
        };
        let global = !set(NOT_GLOBAL);
        let unprivileged = matches!(regime, Regime::Task | Regime::Device);
        let (executable, foreign) = match regime {
            Regime::Kernel | Regime::First => (!set(PRIVILEGED_NEVER), !set(UNPRIVILEGED_NEVER)),
            Regime::Task => (!set(UNPRIVILEGED_NEVER), !set(PRIVILEGED_NEVER)),
            Regime::Device => (false, !set(PRIVILEGED_NEVER) || !set(UNPRIVILEGED_NEVER)),
        };
        let wrong = [
            (set(SECURITY), "names the other security state"),
            (
                !set(ACCESSED),
                "faults at its first use: the access flag is clear",
            ),
            (
                self.descriptor & SHAREABLE != SHAREABLE,
                "is not inner shareable",
            ),
            (
                set(SPECIAL),
                "is guarded, contiguous, or made writable by hardware",
            ),
            (set(HIGHEST), "has bits 63:59"),
            (
                set(MARK) && regime != Regime::Device,
                "has bits of the IOMMU server's",
            ),
            (
                global != (regime == Regime::Kernel),
                "is global where it must not be, or the reverse",
            ),
            (
                unprivileged && !set(UNPRIVILEGED),
                "is closed to whom it belongs",
            ),
            (!unprivileged && set(UNPRIVILEGED), "is open to every task"),
            (
                foreign,
                "can be executed at another exception level, or by a device",
            ),
            (executable && !set(READ_ONLY), "is writable and executable"),
            (
                executable && memory.starts_with("device"),
                "is executable device memory",
            ),
        ];
        if let Some((_, why)) = wrong.into_iter().find(|(is, _)| *is) {
            return Err(why);
        }
        Ok(Access {
            write: !set(READ_ONLY),
            execute: executable,
            memory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIR: u64 = 0x0044_04ff;
    const COMMON: u64 = 3 | SHAREABLE | ACCESSED;

    fn access(bits: u64, regime: Regime) -> Result<Access, &'static str> {
        let leaf = Leaf {
            input: 0,
            output: 0,
            len: 4096,
            descriptor: bits,
            at: 0,
        };
        leaf.access(regime, MAIR)
    }

    fn shown(bits: u64, regime: Regime) -> String {
        access(bits, regime).map_or_else(str::to_owned, |access| access.to_string())
    }

    #[test]
    fn rights_of_every_regime() {
        let task = COMMON | UNPRIVILEGED | NOT_GLOBAL | PRIVILEGED_NEVER;
        assert_eq!(
            shown(task | UNPRIVILEGED_NEVER, Regime::Task),
            "rw- write-back"
        );
        assert_eq!(shown(task | READ_ONLY, Regime::Task), "r-x write-back");
        let device = task | UNPRIVILEGED_NEVER | 2 << 2;
        assert_eq!(shown(device, Regime::Device), "rw- non-cacheable");
        let kernel = COMMON | UNPRIVILEGED_NEVER;
        assert_eq!(shown(kernel | READ_ONLY, Regime::Kernel), "r-x write-back");
        let registers = kernel | PRIVILEGED_NEVER | 1 << 2;
        assert_eq!(shown(registers, Regime::Kernel), "rw- device-nGnRE");
        assert_eq!(
            shown(kernel | READ_ONLY | NOT_GLOBAL, Regime::First),
            "r-x write-back"
        );
    }

    #[test]
    fn every_bit_of_a_leaf_counts() {
        let valid = COMMON | UNPRIVILEGED | NOT_GLOBAL | PRIVILEGED_NEVER | UNPRIVILEGED_NEVER;
        assert!(access(valid, Regime::Task).is_ok());
        // Address, table or page, and the read-only bit make another leaf, not a wrong one.
        let free = 0x0000_ffff_ffff_f003 | READ_ONLY | 0b111 << 2;
        for bit in (0..64).map(|bit| 1u64 << bit).filter(|bit| free & bit == 0) {
            assert!(access(valid ^ bit, Regime::Task).is_err(), "bit {bit:#x}");
        }
        for index in 4..8 {
            assert!(access(valid | index << 2, Regime::Task).is_err());
        }
        assert_eq!(
            access(valid & !UNPRIVILEGED_NEVER, Regime::Task),
            Err("is writable and executable")
        );
        for never in [PRIVILEGED_NEVER, UNPRIVILEGED_NEVER] {
            assert!(access(valid & !never | READ_ONLY, Regime::Device).is_err());
        }
    }
}
