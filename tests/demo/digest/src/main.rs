//! Reads a whole disk through its driver, 32 requests in flight, and logs its SHA-256.
//!
//! Plan: one disk driver that it may call, a pool for the buffers (a DMA pool's memory is not Rust's: the
//! device writes it while this task runs), the notification `blk-done`.
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

use core::cell::Cell;

use abi::{LeaseAttributes, TaskId, notification};
use blk_api::client::{Disk, Failure};
use blk_api::{DEPTH, Error, Geometry, Kind, SECTOR, Submit};
use disk_digest::progress::Progress;
use disk_digest::window::Window;
use sha2::{Digest, Sha256};
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::ipc::{self, LeaseBuffer};
use userlib::memory::{Memory, PoolMemory, acquire};
use userlib::plan::task::{MappingKind, PeerEntry};
use userlib::{config, time};

userlib::task!(main);

const PAGE: u64 = abi::layout::PAGE;
/// Nanoseconds until a driver that has no room is asked again.
const BUSY_WAIT: u64 = 1_000_000;
/// Nanoseconds between two looks at whether a silent driver is still there.
const WATCH: u64 = 500_000_000;

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
    done: u32,
    /// The driver's life that has what is in flight.
    life: Cell<TaskId>,
}

impl Reader {
    fn new() -> Result<Self, Failed> {
        let supervisor = config::own().supervisor;
        let driver = config::table::<PeerEntry>()
            .iter()
            .find(|peer| peer.may_send == 1 && peer.index != supervisor)
            .ok_or(Failed::Plan("disk driver to call"))?;
        let disk = Disk::named(driver.name.as_str()).ok_or(Failed::Plan("disk driver to call"))?;
        let done = config::notification(blk_api::DONE).ok_or(Failed::Plan("blk-done"))?;
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
        let life = Cell::new(disk.driver());
        Ok(Self {
            disk,
            geometry,
            pool,
            chunk,
            done,
            life,
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

    /// Lends buffer number `buffer` for a read of `count` sectors from `sector`.
    fn submit(&self, sector: u64, count: u32, buffer: u32) -> Result<(), Failure> {
        let request = Submit {
            kind: Kind::Read,
            tag: buffer,
            sector,
            count,
        };
        let offset = (u64::from(buffer) * self.chunk) as usize;
        let memory = self.pool.part(offset, self.chunk as usize);
        let lent = LeaseBuffer::pool(memory, LeaseAttributes::all());
        self.disk.submit(&request, lent)
    }

    /// A read of the sector behind the last must be refused by name.
    fn beyond_the_end(&self) -> Result<(), Failed> {
        match self.submit(self.geometry.sectors, 1, 0) {
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
        let mut hash = Sha256::new();
        let mut progress = Progress::new(self.bytes());
        while !window.complete() {
            self.ask(&mut window)?;
            self.wait(&mut window)?;
            while let Some((chunk, buffer)) = window.to_consume() {
                self.consume(&mut hash, chunk, buffer);
                window.consumed();
                let done = chunk * self.chunk + self.len_of(chunk);
                if let Some(percent) = progress.at(done) {
                    defmt::info!("{=u64} % of {=u64} MiB", percent, self.bytes() >> 20);
                }
                // Keep the device busy while this one hashes.
                self.ask(&mut window)?;
            }
        }
        Ok(hash.finalize().into())
    }

    fn ask(&self, window: &mut Window) -> Result<(), Failed> {
        while let Some((chunk, buffer)) = window.to_ask() {
            let sector = chunk * (self.chunk / SECTOR);
            let count = self.len_of(chunk) / SECTOR;
            match self.submit(sector, count as u32, buffer) {
                Ok(()) => window.asked(buffer),
                // A completion makes room; one is under way, or there would be.
                Err(Failure::Refused(Error::Busy | Error::QueueFull)) => return Ok(()),
                Err(Failure::Dead | Failure::Down) => self.recover(window)?,
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }

    /// Waits for completions and takes all there are.
    fn wait(&self, window: &mut Window) -> Result<(), Failed> {
        if window.to_consume().is_none() {
            // With nothing in flight the driver is busy with others and will post nothing. Otherwise the
            // timer notices a driver that is down for good, which nobody announces.
            let wait = if window.idle() { BUSY_WAIT } else { WATCH };
            time::set_timer(Some(time::now().after(wait)));
            let mask = self.done | notification::PEER | notification::TIMER;
            if let ipc::Received::Notification(bits) = ipc::receive(mask)
                && bits & self.done == 0
            {
                self.disk.refresh();
                // A post may be older than what is in flight.
                if self.disk.driver() != self.life.get() {
                    return self.recover(window);
                }
            }
        }
        loop {
            let mut count = 0;
            let completions = match self.disk.collect() {
                Ok(completions) => completions,
                Err(Failure::Dead | Failure::Down) => {
                    return self.recover(window);
                }
                Err(failure) => return Err(failure.into()),
            };
            for completion in completions {
                count += 1;
                if let Err(error) = completion.result {
                    return Err(Failed::Read(u64::from(completion.tag), error));
                }
                if !window.finished(completion.tag) {
                    return Err(Failed::Lie("the driver completes what was not asked for"));
                }
            }
            if count < blk_api::COLLECT_MAX {
                return Ok(());
            }
        }
    }

    /// The driver died: wait for its next life, and ask again for everything it had.
    fn recover(&self, window: &mut Window) -> Result<(), Failed> {
        window.lost();
        wait_until_up(&self.disk)?;
        self.life.set(self.disk.driver());
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
