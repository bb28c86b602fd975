//! What tasks that try a device out have in common: data sent through an edu, a reason for what failed, and a report
//! of the outcome to the supervisor.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

use edu::channel::Channel;
use edu::{Direction, Transfer, pattern};
use iommu_api::Error;
use iommu_api::client::Failure;
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::{DeviceEntry, MappingKind};
use userlib::server::Server;
use userlib::{config, ipc};

/// What failed, for the report.
pub type Reason = &'static str;

/// Bytes moved between the two pages of [`Board`].
pub const LEN: usize = 1000;
/// Offsets in the pool of the page that data comes from, and of the one it goes to.
pub const SOURCE: usize = 0;
/// See [`SOURCE`].
pub const DESTINATION: usize = 4096;

/// An error that says what does not hold.
pub fn check(holds: bool, otherwise: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// An error unless the request was refused by just this name.
pub fn refused<T>(result: Result<T, Failure>, error: Error) -> Result<(), Reason> {
    match result {
        Err(Failure::Refused(found)) if found == error => Ok(()),
        Err(other) => Err(other.name()),
        Ok(_) => Err("what has to be refused was granted"),
    }
}

/// A device that this task drives, by its name in `app.toml`.
pub fn device(name: &str) -> Result<&'static DeviceEntry, Reason> {
    let mut devices = config::devices().iter();
    let device = devices.find(|device| device.name.as_str() == name);
    device.ok_or("a device is missing in the plan")
}

/// This task's pool, of two pages at least, and an edu.
pub struct Board {
    /// The pool.
    pub pool: PoolMemory,
    channel: Channel,
}

impl Board {
    /// With an edu that the task drives, claimed or not.
    pub fn new(edu: &'static DeviceEntry) -> Result<Self, Reason> {
        let pool = config::mappings(MappingKind::Pool).next();
        let pool = PoolMemory::of(pool.ok_or("no pool in the plan")?);
        check(pool.len() >= DESTINATION + 4096, "the pool is too small")?;
        let channel = Channel::new(edu).map_err(|_| "not an edu that answers")?;
        Ok(Self { pool, channel })
    }

    /// Whether data travels from the first page of the pool through the device to the second, which the device is
    /// told by these addresses. What the second held before is gone.
    pub fn moves(&self, source: u64, destination: u64, seed: u8) -> Result<bool, Reason> {
        pattern::write(&self.pool, SOURCE, LEN, seed);
        self.pool.fill(DESTINATION, LEN, 0);
        publish();
        self.run(Direction::FromMemory, source)?;
        self.run(Direction::ToMemory, destination)?;
        acquire();
        let there = pattern::differences(&self.pool, DESTINATION, LEN, seed) == 0;
        let untouched = (0..LEN).all(|at| self.pool.read8(DESTINATION + at) == 0);
        check(there || untouched, "some of it travelled")?;
        Ok(there)
    }

    fn run(&self, direction: Direction, iova: u64) -> Result<(), Reason> {
        let transfer = Transfer {
            direction,
            iova,
            offset: 0,
            len: LEN,
        };
        self.channel
            .run(&transfer)
            .map_err(|_| "a transfer did not end")
    }
}

/// Runs a trial once, reports its outcome, `passed` if it is good, and waits for ever.
pub fn main(trial: impl FnOnce(&Server) -> Result<(), Reason>, passed: &str) -> ! {
    let Some(iommu) = Server::named("iommu") else {
        panic!("the plan has no iommu for this driver");
    };
    let sent = match trial(&iommu) {
        Ok(()) => report(Outcome::Pass, passed),
        Err(reason) => report(Outcome::Fail, reason),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    loop {
        // Done; there is nothing to wait for.
        let _ = ipc::receive(0);
    }
}
