//! What is known of each block of a disk whose driver, and whoever that depends on, may die at any time.
//!
//! A write that was acknowledged is on the disk. One that was lost with the driver may be there or not, or in part: sectors are
//! written whole. So a sector must hold the last version that was acknowledged or one asked for since.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use userlib::memory::Memory;

/// Bytes of a block: one request, one page.
pub const BLOCK: usize = 4096;
/// Sectors of a block.
pub const SECTORS: u32 = (BLOCK / SECTOR) as u32;
const SECTOR: usize = blk_api::SECTOR as usize;

/// One block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Block {
    /// The last version that was acknowledged; none before the first.
    acknowledged: Option<u32>,
    /// The last version that was asked for.
    asked: u32,
}

impl Block {
    /// One of which nothing is known; its versions begin after `version`.
    pub const fn unknown(version: u32) -> Self {
        Self {
            acknowledged: None,
            asked: version,
        }
    }

    /// The version to write next.
    pub fn ask(&mut self) -> u32 {
        self.asked = self.asked.wrapping_add(1);
        self.asked
    }

    /// The write of the last version asked for was acknowledged.
    pub fn acknowledge(&mut self) {
        self.acknowledged = Some(self.asked);
    }

    /// Whether it is known which version it holds.
    pub fn is_written(&self) -> bool {
        self.acknowledged == Some(self.asked)
    }

    /// Whether anything was acknowledged, so that there is something to compare with.
    pub fn is_known(&self) -> bool {
        self.acknowledged.is_some()
    }

    /// Whether a sector may hold this version.
    fn may_hold(&self, version: u32) -> bool {
        self.acknowledged
            .is_none_or(|least| (least..=self.asked).contains(&version))
    }
}

/// Word `at` of sector `sector` of the disk in a version.
const fn word(sector: u64, version: u32, at: usize) -> u64 {
    let place = (sector << 8 | at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (place ^ version as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// Writes a version of the block at `sector` into memory; each sector begins with the version.
pub fn write(memory: &impl Memory, offset: usize, sector: u64, version: u32) {
    for at in (0..BLOCK).step_by(8) {
        let sector = sector + (at / SECTOR) as u64;
        let value = match at % SECTOR {
            0 => u64::from(version),
            rest => word(sector, version, rest / 8),
        };
        memory.write64(offset + at, value);
    }
}

/// Sectors of a block that was read from `sector` which hold what they cannot hold.
pub fn wrong_sectors(block: &Block, memory: &impl Memory, offset: usize, sector: u64) -> usize {
    if !block.is_known() {
        return 0;
    }
    let holds = |number: usize| {
        let start = offset + number * SECTOR;
        let Ok(version) = u32::try_from(memory.read64(start)) else {
            return false;
        };
        let sector = sector + number as u64;
        let rest = (8..SECTOR).step_by(8);
        block.may_hold(version)
            && rest
                .into_iter()
                .all(|at| memory.read64(start + at) == word(sector, version, at / 8))
    };
    (0..SECTORS as usize)
        .filter(|&number| !holds(number))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::RefCell;
    use std::vec::Vec;

    struct Page(RefCell<Vec<u8>>);

    impl Page {
        fn get<const N: usize>(&self, offset: usize) -> [u8; N] {
            let mut bytes = [0; N];
            bytes.copy_from_slice(&self.0.borrow()[offset..offset + N]);
            bytes
        }
        fn set(&self, offset: usize, bytes: &[u8]) {
            self.0.borrow_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }

    impl Memory for Page {
        fn len(&self) -> usize {
            self.0.borrow().len()
        }
        fn read8(&self, offset: usize) -> u8 {
            self.get::<1>(offset)[0]
        }
        fn read16(&self, offset: usize) -> u16 {
            u16::from_le_bytes(self.get(offset))
        }
        fn read32(&self, offset: usize) -> u32 {
            u32::from_le_bytes(self.get(offset))
        }
        fn read64(&self, offset: usize) -> u64 {
            u64::from_le_bytes(self.get(offset))
        }
        fn write8(&self, offset: usize, value: u8) {
            self.set(offset, &[value]);
        }
        fn write16(&self, offset: usize, value: u16) {
            self.set(offset, &value.to_le_bytes());
        }
        fn write32(&self, offset: usize, value: u32) {
            self.set(offset, &value.to_le_bytes());
        }
        fn write64(&self, offset: usize, value: u64) {
            self.set(offset, &value.to_le_bytes());
        }
    }

    fn page() -> Page {
        Page(RefCell::new(std::vec![0; BLOCK]))
    }

    #[test]
    fn only_what_was_acknowledged_or_is_in_doubt_is_right() {
        let (mut block, page) = (Block::unknown(100), page());
        assert_eq!(wrong_sectors(&block, &page, 0, 8), 0, "nothing is known");
        let first = block.ask();
        block.acknowledge();
        assert_eq!(wrong_sectors(&block, &page, 0, 8), 8, "it was acknowledged");
        write(&page, 0, 8, first);
        assert_eq!(wrong_sectors(&block, &page, 0, 8), 0);
        assert_eq!(wrong_sectors(&block, &page, 0, 16), 8, "another place");
        let second = block.ask();
        assert!(!block.is_written());
        assert_eq!(
            wrong_sectors(&block, &page, 0, 8),
            0,
            "the write may be lost"
        );
        write(&page, 0, 8, second);
        assert_eq!(wrong_sectors(&block, &page, 0, 8), 0, "or not");
        let third = block.ask();
        block.acknowledge();
        assert_eq!(wrong_sectors(&block, &page, 0, 8), 8, "an old version");
        write(&page, 0, 8, third.wrapping_add(1));
        assert_eq!(wrong_sectors(&block, &page, 0, 8), 8, "nobody wrote it");
    }

    #[test]
    fn sectors_are_looked_at_one_by_one_to_the_last_word() {
        let (mut block, page, half) = (Block::unknown(0), page(), page());
        let old = block.ask();
        block.acknowledge();
        write(&page, 0, 0, old);
        let new = block.ask();
        write(&half, 0, 0, new);
        let bytes = half.get::<SECTOR>(0);
        page.set(0, &bytes);
        assert_eq!(wrong_sectors(&block, &page, 0, 0), 0, "a part was written");
        page.write8(2 * SECTOR - 1, page.read8(2 * SECTOR - 1) ^ 1);
        assert_eq!(wrong_sectors(&block, &page, 0, 0), 1);
    }
}
