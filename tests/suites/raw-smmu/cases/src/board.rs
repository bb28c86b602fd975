//! A device of this task, and the pool: transfers that really happen.

use edu::{Direction, Edu, Transfer, pattern};
use pci_api::client::Client;
use suite::{Failure, PATIENCE, Result, Stage, check, check_eq, check_is};
use userlib::config;
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::registers::MappedRegisters;
use userlib::server::Server;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Bytes of one access of the device; a refused transfer is reported once for each.
pub const ACCESS: usize = 4;
/// Milliseconds that QEMU's model takes for any transfer.
const TAKES: u32 = 100;

/// What may be told apart from zeros and from other patterns.
pub const MARKER: u8 = 0x5c;

/// One of the devices.
pub struct Board {
    edu: Edu<MappedRegisters>,
}

impl Board {
    /// Of device `number` of this task, with bus mastering on.
    pub fn new(number: usize) -> core::result::Result<Self, Failure> {
        let device = check_is!(config::devices().get(number), Some(device) => device);
        let server = check_is!(Server::named("pci"), Some(server) => server);
        check!(Client(&server).bus_master(device.device, true).is_ok());
        let registers = check_is!(MappedRegisters::bar(device, 0), Some(registers) => registers);
        let edu = check_is!(Edu::new(registers), Ok(edu) => edu);
        Ok(Self { edu })
    }

    /// Waits until no transfer is under way.
    pub fn wait_until_idle(&self, stage: &Stage) -> Result {
        let mut waited = 0;
        while self.edu.busy() {
            check!(waited < PATIENCE);
            stage.pause(1);
            waited += 1;
        }
        self.edu.acknowledge();
        acquire();
        Ok(())
    }

    /// Moves the first `len` bytes of the device's buffer, and waits for the end.
    pub fn transfer(&self, stage: &Stage, direction: Direction, iova: u64, len: usize) -> Result {
        publish();
        let transfer = Transfer {
            direction,
            iova,
            offset: 0,
            len,
        };
        check!(self.edu.start(&transfer).is_ok());
        stage.pause(TAKES);
        self.wait_until_idle(stage)
    }
}

/// The pool: memory that the devices can be let reach, and tables.
pub struct Pool(PoolMemory);

impl Pool {
    /// This task's.
    pub fn new() -> core::result::Result<Self, Failure> {
        Ok(Self(
            check_is!(config::mapping("pages"), Some(mapping) => PoolMemory::of(mapping)),
        ))
    }

    /// Writes a pattern to a page.
    pub fn put(&self, page: usize, seed: u8) {
        pattern::write(&self.0, page * PAGE, PAGE, seed);
    }

    /// Sets a page to zeros.
    pub fn clear(&self, page: usize) {
        self.0.fill(page * PAGE, PAGE, 0);
    }

    /// Writes a word of a page that is a table.
    pub fn store(&self, page: usize, index: usize, value: u64) {
        self.0.write64(page * PAGE + index * 8, value);
    }

    /// Fails unless exactly the first `len` bytes of a page differ from zero.
    pub fn has(&self, page: usize, len: usize) -> Result {
        let start = page * PAGE;
        let changed = |range: core::ops::Range<usize>| {
            range.filter(|at| self.0.read8(start + at) != 0).count()
        };
        check_eq!(changed(0..len), len);
        check_eq!(changed(0..PAGE), len);
        Ok(())
    }

    /// Whether the first `len` bytes of a page differ from zero, and nothing else of it.
    pub fn arrived(&self, page: usize, len: usize) -> bool {
        self.has(page, len).is_ok()
    }
}
