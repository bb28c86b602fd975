//! Reads a whole disk through its driver, 32 requests in flight, and logs its SHA-256.
//!
//! Plan: one disk driver that it may call, a pool for the buffers (a DMA pool's memory is not Rust's: the
//! device writes it while this task runs).
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

use abi::{LeaseAttributes, notification};
use blk_api::client::{Disk, Failure};
use blk_api::{DEPTH, Error, Geometry, Kind, LEASE, REQUESTS_MAX, SECTOR, Transfer, result};
use disk_digest::progress::Progress;
use disk_digest::window::Window;
use queue_api::Operation;
use queue_api::client::Queue;
use sha2::{Digest, Sha256};
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::ipc::{self, LeaseBuffer};
use userlib::memory::{Memory, PoolMemory, acquire};
use userlib::plan::task::{MappingKind, PeerEntry};
use userlib::server::Server;
use userlib::{config, time};

userlib::task!(main);

const PAGE: u64 = abi::layout::PAGE;
/// Nanoseconds until a driver that has no room is asked again.
const BUSY_WAIT: u64 = 1_000_000;
/// Nanoseconds between two looks at whether a driver that is down is up again.
const WATCH: u64 = 500_000_000;

/// What this task has asked of the disk.
type Requests<'d> = Queue<&'d Server>;

/// Why there is no digest.
enum Failed {
    Plan(&'static str),
    Disk(Failure),
    Read(u64, Error),
    Lie(&'static str),
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::Disk(failure)
    }
}

/// The disk being read.
struct Reader {
    disk: Disk,
    geometry: Geometry,
    pool: PoolMemory,
    /// Bytes of a chunk: whole pages.
    chunk: u64,
}

impl Reader {
    fn new() -> Result<Self, Failed> {
        let supervisor = config::own().supervisor;
        let driver = config::table::<PeerEntry>()
            .iter()
            .find(|peer| peer.may_send == 1 && peer.index != supervisor)
            .ok_or(Failed::Plan("disk driver to call"))?;
        let disk = Disk::named(driver.name.as_str()).ok_or(Failed::Plan("disk driver to call"))?;
        let pool = config::mappings(MappingKind::Pool)
            .next()
            .ok_or(Failed::Plan("pool"))?;
        let pool = PoolMemory::of(pool);
        let geometry = loop {
            match disk.geometry() {
                Ok(geometry) => break geometry,
                Err(Failure::Dead | Failure::Down) => wait_until_up(&disk)?,
                Err(failure) => return Err(failure.into()),
            }
        };
        let each = (pool.len() as u64 / DEPTH as u64).min(u64::from(geometry.transfer_max));
        let chunk = each / PAGE * PAGE;
        if chunk == 0 || geometry.sectors.checked_mul(SECTOR).is_none() {
            return Err(Failed::Plan("pool of 32 pages"));
        }
        Ok(Self {
            disk,
            geometry,
            pool,
            chunk,
        })
    }

    fn bytes(&self) -> u64 {
        self.geometry.sectors * SECTOR
    }

    fn len_of(&self, chunk: u64) -> u64 {
        self.bytes()
            .saturating_sub(chunk * self.chunk)
            .min(self.chunk)
    }

    /// A read of `count` sectors from `sector` into buffer number `buffer`.
    fn read(&self, sector: u64, count: u32, buffer: u32) -> Transfer {
        Transfer {
            kind: Kind::Read,
            tag: buffer as u16,
            region: LEASE,
            page: (u64::from(buffer) * self.chunk / PAGE) as u32,
            sector,
            count,
        }
    }

    /// All buffers.
    fn lent(&self) -> LeaseBuffer<'_> {
        LeaseBuffer::pool(self.pool, LeaseAttributes::all())
    }

    /// A read of the sector behind the last must be refused by name.
    fn beyond_the_end(&self) -> Result<(), Failed> {
        let beyond = self.read(self.geometry.sectors, 1, 0);
        match self.disk.one(&beyond, Some(self.lent())) {
            Err(Failure::Refused(Error::OutOfRange)) => {
                defmt::info!("read beyond the last sector: refused, out of range");
                Ok(())
            }
            Err(failure @ (Failure::Dead | Failure::Down | Failure::Retired)) => {
                Err(failure.into())
            }
            _ => Err(Failed::Lie(
                "the driver accepts a read beyond the last sector",
            )),
        }
    }

    fn digest(&self) -> Result<[u8; 32], Failed> {
        let mut window = Window::new(self.bytes().div_ceil(self.chunk), DEPTH);
        let mut requests = Queue::new(self.disk.caller(), DEPTH);
        let mut hash = Sha256::new();
        let mut progress = Progress::new(self.bytes());
        while !window.complete() {
            self.ask(&mut window, &mut requests);
            self.turn(&mut window, &mut requests, Operation::Wait)?;
            let mut consumed = 0;
            while let Some((chunk, buffer)) = window.to_consume() {
                self.consume(&mut hash, chunk, buffer);
                window.consumed();
                consumed += 1;
                let done = chunk * self.chunk + self.len_of(chunk);
                if let Some(percent) = progress.at(done) {
                    defmt::info!("{=u64} % of {=u64} MiB", percent, self.bytes() >> 20);
                }
                if consumed % REQUESTS_MAX == 0 {
                    // Keeps the device busy while this one hashes.
                    self.ask(&mut window, &mut requests);
                    self.turn(&mut window, &mut requests, Operation::Run)?;
                }
            }
        }
        Ok(hash.finalize().into())
    }

    fn ask(&self, window: &mut Window, requests: &mut Requests<'_>) {
        while let Some((chunk, buffer)) = window.to_ask() {
            let sector = chunk * (self.chunk / SECTOR);
            let count = self.len_of(chunk) / SECTOR;
            let read = self.read(sector, count as u32, buffer);
            if !requests.ask(read.request()) {
                return;
            }
            window.asked(buffer);
        }
    }

    /// Sends what is to be sent, and takes what is done. A driver that died is waited for: its next life is asked for
    /// everything it had.
    fn turn(
        &self,
        window: &mut Window,
        requests: &mut Requests<'_>,
        operation: Operation,
    ) -> Result<(), Failed> {
        let completions = match requests.turn(operation, &[self.lent()]) {
            Ok(completions) => completions,
            Err(Failure::Dead | Failure::Down) => return wait_until_up(&self.disk),
            Err(failure) => return Err(failure.into()),
        };
        let mut busy = false;
        for completion in completions {
            let buffer = u32::from(completion.tag());
            let known = match result(completion) {
                Ok(_) => window.finished(buffer),
                Err(Error::Busy) => {
                    busy = true;
                    window.refused(buffer)
                }
                Err(error) => return Err(Failed::Read(u64::from(buffer), error)),
            };
            if !known {
                return Err(Failed::Lie("the driver completes what was not asked for"));
            }
        }
        if busy && requests.is_idle() {
            // Others fill the driver.
            time::set_timer(Some(time::now().after(BUSY_WAIT)));
            let _ = ipc::receive(notification::TIMER);
        }
        Ok(())
    }

    fn consume(&self, hash: &mut Sha256, chunk: u64, buffer: u32) {
        let mut page = [0; PAGE as usize];
        let mut at = (u64::from(buffer) * self.chunk) as usize;
        let mut left = self.len_of(chunk) as usize;
        acquire();
        while left > 0 {
            let len = left.min(page.len());
            let part = page.get_mut(..len).unwrap_or_default();
            self.pool.copy_out(at, part);
            hash.update(part);
            at += len;
            left -= len;
        }
    }
}

/// Blocks until the driver serves again; fails if it never will.
fn wait_until_up(disk: &Disk) -> Result<(), Failed> {
    defmt::warn!("the disk's driver is down; waiting");
    loop {
        disk.refresh();
        match disk.geometry() {
            Ok(_) => return Ok(()),
            Err(Failure::Down) => {
                time::set_timer(Some(time::now().after(WATCH)));
                let _ = ipc::receive(notification::PEER | notification::TIMER);
            }
            Err(Failure::Dead) => {}
            Err(failure) => return Err(failure.into()),
        }
    }
}

fn run() -> Result<(), Failed> {
    let reader = Reader::new()?;
    reader.beyond_the_end()?;
    let digest = reader.digest()?;
    let hexadecimal = disk_digest::hexadecimal(&digest);
    defmt::info!(
        "sha256 {=str} over {=u64} bytes",
        hexadecimal.as_str(),
        reader.bytes()
    );
    Ok(())
}

fn main() -> ! {
    let sent = match run() {
        Ok(()) => report(Outcome::Pass, "whole disk read"),
        Err(Failed::Plan(what)) => {
            defmt::error!("the plan has no {=str}", what);
            report(Outcome::Fail, "cannot run as planned")
        }
        Err(Failed::Disk(failure)) => report(Outcome::Fail, failure.name()),
        Err(Failed::Read(buffer, error)) => {
            defmt::error!("read into buffer {=u64}: {=str}", buffer, error.name());
            report(Outcome::Fail, error.name())
        }
        Err(Failed::Lie(what)) => report(Outcome::Fail, what),
    };
    if sent.is_err() {
        userlib::give_up!("the supervisor does not take the report");
    }
    loop {
        // Done; there is nothing to wait for.
        let _ = ipc::receive(0);
    }
}
