//! What a controller and its namespaces say of themselves (Base 2.0, 5.17; NVM Command Set 1.0, 4.1.5.1).
//!
//! The data is in memory that the controller can write: each field is read once.

use blk_api::{DEPTH, Geometry, SECTOR};
use blk_server::TRANSFER_MAX;
use heapless::Vec;
use userlib::memory::Memory;

use crate::layout::PAGE;

/// Most namespaces that a driver serves.
pub const NAMESPACES_MAX: usize = 8;
/// Numbers in a page of them.
const NUMBERS: usize = PAGE / 4;

/// What is used of the controller's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Controller {
    /// Most bytes of a transfer.
    pub transfer_max: u32,
    /// A volatile cache is present, so that a flush is needed.
    pub has_cache: bool,
    /// It has the command that writes zeroes.
    pub writes_zeroes: bool,
    /// Its entries have the sizes that this driver uses.
    pub has_usual_entries: bool,
    /// Milliseconds that a shutdown may take; 0 if it does not say.
    pub shutdown_ms: u32,
}

impl Controller {
    /// From the page at `at`.
    pub fn read(memory: &impl Memory, at: usize) -> Self {
        let longest = match memory.read8(at + 77) {
            0 => TRANSFER_MAX,
            // In pages of the smallest size.
            power => (PAGE as u32)
                .checked_shl(u32::from(power))
                .filter(|bytes| *bytes >= PAGE as u32)
                .map_or(TRANSFER_MAX, |bytes| bytes.min(TRANSFER_MAX)),
        };
        let usual = |entry: u8, power: u8| (entry & 0xf) <= power && power <= entry >> 4;
        Self {
            transfer_max: longest,
            has_cache: memory.read8(at + 525) & 1 != 0,
            writes_zeroes: memory.read16(at + 520) & 1 << 3 != 0,
            has_usual_entries: usual(memory.read8(at + 512), 6) && usual(memory.read8(at + 513), 4),
            shutdown_ms: memory.read32(at + 88) / 1000,
        }
    }
}

/// A namespace that is a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Namespace {
    /// Its number.
    pub number: u32,
    /// Sectors in a block of its own, as a power of two.
    pub shift: u32,
    /// For clients.
    pub geometry: Geometry,
}

impl Namespace {
    /// What a client has that the plan gives a namespace that is not there: a disk without sectors.
    pub const NONE: Self = Self {
        number: 0,
        shift: 0,
        geometry: Geometry {
            sectors: 0,
            sector_bytes: SECTOR as u32,
            transfer_max: TRANSFER_MAX,
            depth: DEPTH as u32,
            block_bytes: SECTOR as u32,
            read_only: true,
            flush: false,
            zeroes: false,
        },
    };

    /// From the page at `at`. None if it is not of a form that this driver knows: blocks of 512 bytes to 64 KiB, without
    /// metadata and protection.
    pub fn read(memory: &impl Memory, at: usize, number: u32, of: &Controller) -> Option<Self> {
        let blocks = memory.read64(at);
        let format = memory.read8(at + 26);
        let format = usize::from(format & 0xf) | usize::from(format >> 5 & 3) << 4;
        let form = memory.read32(at + 128 + 4 * format);
        let (metadata, power) = (form & 0xffff, form >> 16 & 0xff);
        let shift = power.checked_sub(9).filter(|shift| *shift <= 7)?;
        let protected = memory.read8(at + 29) & 7 != 0;
        let block_bytes = (SECTOR as u32) << shift;
        if metadata != 0 || protected || blocks == 0 || block_bytes > of.transfer_max {
            return None;
        }
        let bytes = blocks.checked_mul(u64::from(block_bytes))?;
        Some(Self {
            number,
            shift,
            geometry: Geometry {
                sectors: bytes / SECTOR,
                sector_bytes: SECTOR as u32,
                transfer_max: of.transfer_max / block_bytes * block_bytes,
                depth: DEPTH as u32,
                block_bytes,
                read_only: memory.read8(at + 99) & 1 != 0,
                flush: of.has_cache,
                zeroes: of.writes_zeroes,
            },
        })
    }
}

/// The first numbers of the list at `at`, which ascend to a 0.
pub fn active(memory: &impl Memory, at: usize) -> Vec<u32, NAMESPACES_MAX> {
    let mut numbers: Vec<u32, NAMESPACES_MAX> = Vec::new();
    for index in 0..NUMBERS {
        let number = memory.read32(at + 4 * index);
        // 0 ends it; what does not ascend is no list.
        if number == 0 || number == u32::MAX || numbers.last().is_some_and(|last| *last >= number) {
            break;
        }
        if numbers.push(number).is_err() {
            break;
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use blk_server::testing::HostMemory;
    use proptest::prelude::*;

    const CONTROLLER: Controller = Controller {
        transfer_max: TRANSFER_MAX,
        has_cache: true,
        writes_zeroes: true,
        has_usual_entries: true,
        shutdown_ms: 0,
    };

    fn namespace(write: impl Fn(&HostMemory)) -> Option<Namespace> {
        let memory = HostMemory::new(PAGE);
        memory.write64(0, 1000);
        memory.write32(128, 9 << 16);
        memory.write32(132, 12 << 16);
        memory.write32(128 + 4 * 17, 12 << 16);
        write(&memory);
        Namespace::read(&memory, 0, 3, &CONTROLLER)
    }

    #[test]
    fn a_namespace_has_the_size_of_its_format() {
        let small = namespace(|_| {}).expect("usable");
        assert_eq!((small.number, small.shift), (3, 0));
        assert_eq!(
            (small.geometry.sectors, small.geometry.block_bytes),
            (1000, 512)
        );
        for format in [1, 1 | 1 << 5] {
            let large = namespace(|memory| memory.write8(26, format)).expect("usable");
            assert_eq!((large.shift, large.geometry.sectors), (3, 8000));
            assert_eq!(large.geometry.block_bytes, 4096);
        }
        let kept = namespace(|memory| memory.write8(99, 1)).expect("usable");
        assert!(kept.geometry.read_only && !small.geometry.read_only);
    }

    #[test]
    fn other_forms_are_not_taken() {
        assert_eq!(
            namespace(|memory| memory.write32(128, 9 << 16 | 8)),
            None,
            "metadata"
        );
        assert_eq!(namespace(|memory| memory.write8(29, 1)), None, "protection");
        assert_eq!(namespace(|memory| memory.write64(0, 0)), None, "empty");
        assert_eq!(
            namespace(|memory| memory.write64(0, u64::MAX)),
            None,
            "too large"
        );
        for power in [0, 8, 17, 255] {
            assert_eq!(
                namespace(|memory| memory.write32(128, power << 16)),
                None,
                "{power}"
            );
        }
    }

    #[test]
    fn limits_of_the_controller_are_kept() {
        let memory = HostMemory::new(PAGE);
        let entries = |commands, completions| {
            memory.write8(512, commands);
            memory.write8(513, completions);
            Controller::read(&memory, 0).has_usual_entries
        };
        assert!(entries(0x66, 0x44) && entries(0x86, 0x54) && !entries(0x77, 0x44));
        assert!(!entries(0x66, 0x33) && !entries(0, 0));
        for (power, most) in [
            (0, TRANSFER_MAX),
            (1, 8192),
            (5, 1 << 17),
            (7, TRANSFER_MAX),
            (31, TRANSFER_MAX),
            (255, TRANSFER_MAX),
        ] {
            memory.write8(77, power);
            assert_eq!(Controller::read(&memory, 0).transfer_max, most, "{power}");
        }
    }

    #[test]
    fn a_list_ends_where_it_does_not_ascend() {
        let list = |numbers: &[u32]| {
            let memory = HostMemory::new(PAGE);
            for (index, number) in numbers.iter().enumerate() {
                memory.write32(4 * index, *number);
            }
            active(&memory, 0)
        };
        assert_eq!(list(&[]), [0u32; 0]);
        assert_eq!(list(&[1, 5, 0, 9]), [1, 5]);
        assert_eq!(list(&[5, 5, 6]), [5]);
        assert_eq!(list(&[2, u32::MAX]), [2]);
        assert_eq!(list(&[1; 2000]).len(), 1);
        let many: std::vec::Vec<u32> = (1..1000).collect();
        assert_eq!(list(&many).len(), NAMESPACES_MAX);
    }

    proptest! {
        /// Whatever the controller says, a disk that is taken can be computed with.
        #[test]
        fn identify_data_may_be_anything(bytes in proptest::collection::vec(any::<u8>(), PAGE)) {
            let memory = HostMemory::new(PAGE);
            memory.copy_in(0, &bytes);
            let controller = Controller::read(&memory, 0);
            prop_assert!((PAGE as u32..=TRANSFER_MAX).contains(&controller.transfer_max));
            // Most pages have no usable format: take some that have.
            let format = usize::from(bytes[26] & 0xf) | usize::from(bytes[26] >> 5 & 3) << 4;
            memory.write32(128 + 4 * format, u32::from(bytes[500] % 20) << 16);
            memory.write8(29, bytes[29] & 8);
            if let Some(namespace) = Namespace::read(&memory, 0, 1, &controller) {
                let geometry = namespace.geometry;
                prop_assert!(geometry.sectors > 0 && geometry.sectors.checked_mul(SECTOR).is_some());
                prop_assert!(geometry.sectors.is_multiple_of(1 << namespace.shift));
                prop_assert!(geometry.transfer_max > 0 && geometry.transfer_max <= TRANSFER_MAX);
                prop_assert!(geometry.transfer_max.is_multiple_of(geometry.block_bytes));
            }
            prop_assert!(active(&memory, 0).is_sorted());
        }
    }
}
