//! A driver's edu and pool: transfers that really happen.

use edu::{Direction, Edu, TRANSFER_MAX, Transfer, pattern};
use suite::{Failure, PATIENCE, Result, Stage, check, check_eq, check_is};
use userlib::config;
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::registers::MappedRegisters;

use crate::help::PAGE;

/// Event of an access to what is not mapped (IHI 0070 section 7.3.13).
pub const F_TRANSLATION: u8 = 0x10;
/// Event of an access that a mapping does not allow (section 7.3.16).
pub const F_PERMISSION: u8 = 0x13;
/// Milliseconds that QEMU's model takes for any transfer.
const TAKES: u32 = 100;

/// Bytes of a page, as an offset.
pub const PAGE_BYTES: usize = PAGE as usize;

/// The device, and the memory of its driver.
pub struct Board {
    edu: Edu<MappedRegisters>,
    /// The pool `pages`.
    pub pool: PoolMemory,
}

impl Board {
    /// Of this driver's device number `number`.
    pub fn numbered(number: usize) -> core::result::Result<Self, Failure> {
        let device = check_is!(config::devices().get(number), Some(device) => device);
        let registers = check_is!(MappedRegisters::bar(device, 0), Some(registers) => registers);
        let edu = check_is!(Edu::new(registers), Ok(edu) => edu);
        Ok(Self {
            edu,
            pool: pool_named("pages")?,
        })
    }

    /// Of this driver's only device.
    pub fn new() -> core::result::Result<Self, Failure> {
        Self::numbered(0)
    }

    /// Starts a transfer of the first `len` bytes of the device's buffer.
    pub fn start(&self, direction: Direction, iova: u64, len: usize) -> Result {
        let transfer = Transfer {
            direction,
            iova,
            offset: 0,
            len,
        };
        publish();
        self.edu.acknowledge();
        check!(self.edu.start(&transfer).is_ok());
        Ok(())
    }

    /// Whether a transfer is under way.
    pub fn busy(&self) -> bool {
        self.edu.busy()
    }

    /// Waits for its end.
    pub fn finish(&self, stage: &Stage) -> Result {
        stage.pause(TAKES);
        let mut waited = TAKES;
        while self.busy() {
            check!(waited < PATIENCE);
            stage.pause(1);
            waited += 1;
        }
        self.edu.acknowledge();
        acquire();
        Ok(())
    }

    /// The device writes the first `len` bytes of its buffer to memory.
    pub fn write(&self, stage: &Stage, iova: u64, len: usize) -> Result {
        self.start(Direction::ToMemory, iova, len)?;
        self.finish(stage)
    }

    /// The device reads memory into its buffer.
    pub fn read(&self, stage: &Stage, iova: u64, len: usize) -> Result {
        self.start(Direction::FromMemory, iova, len)?;
        self.finish(stage)
    }

    /// Fills the device's buffer with a pattern, through page 0 of the pool and a mapping of it.
    pub fn load(&self, stage: &Stage, iova: u64, seed: u8) -> Result {
        self.put(0, seed);
        self.read(stage, iova, TRANSFER_MAX)
    }

    /// Writes a pattern to a page of the pool.
    pub fn put(&self, page: usize, seed: u8) {
        pattern::write(&self.pool, page * PAGE_BYTES, PAGE_BYTES, seed);
    }

    /// Fails unless a page of the pool still has its pattern.
    pub fn kept(&self, page: usize, seed: u8) -> Result {
        let differences = pattern::differences(&self.pool, page * PAGE_BYTES, PAGE_BYTES, seed);
        check_eq!(differences, 0);
        Ok(())
    }

    /// Sets a page of the pool to zeros.
    pub fn clear(&self, page: usize) {
        self.pool.fill(page * PAGE_BYTES, PAGE_BYTES, 0);
    }

    /// Fails unless exactly the `len` bytes at `offset` of a page differ from zero.
    pub fn only(&self, page: usize, offset: usize, len: usize) -> Result {
        only(&self.pool, page, offset, len)
    }
}

/// See [`Board::only`].
pub fn only(pool: &PoolMemory, page: usize, offset: usize, len: usize) -> Result {
    let start = page * PAGE_BYTES;
    let changed =
        |range: core::ops::Range<usize>| range.filter(|at| pool.read8(start + at) != 0).count();
    check_eq!(changed(offset..offset + len), len);
    check_eq!(changed(0..PAGE_BYTES), len);
    Ok(())
}

/// A pool of this task.
pub fn pool_named(name: &str) -> core::result::Result<PoolMemory, Failure> {
    Ok(check_is!(config::mapping(name), Some(mapping) => PoolMemory::of(mapping)))
}
