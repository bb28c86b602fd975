//! Writes its own part of a disk, flushes, and reads back what it wrote.
//!
//! Plan: the disk, a pool; the parameters `sector`, where its part begins, and `for`, how long it does so over and over
//! (once if there is none).
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::LeaseAttributes;
use blk_api::client::Disk;
use blk_api::{DONE, Kind, Submit};
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::ipc::{self, LeaseBuffer, Received};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::MappingKind;
use userlib::{config, time};

userlib::task!(main);

/// Bytes of each request, and of each half of the pool.
const BYTES: usize = 32 << 10;
const SECTORS: u32 = (BYTES / 512) as u32;
/// Offset in the pool of what is read back.
const BACK: usize = BYTES;

struct Client {
    disk: Disk,
    pool: PoolMemory,
    done: u32,
    sector: u64,
}

impl Client {
    fn new() -> Option<Self> {
        Some(Self {
            disk: Disk::named("virtio-blk")?,
            pool: PoolMemory::of(config::mappings(MappingKind::Pool).next()?),
            done: config::notification(DONE)?,
            sector: config::parameter("sector")?,
        })
    }

    /// A word that depends on the place, on whose part it is, and on the round.
    fn word(&self, offset: usize, round: u64) -> u64 {
        (offset as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.sector ^ round << 32
    }

    fn finish(&self, tag: u32) -> Result<(), &'static str> {
        loop {
            while !matches!(ipc::receive(self.done), Received::Notification(_)) {}
            let mut completed = self.disk.collect().map_err(|error| error.name())?;
            if let Some(completion) = completed.next() {
                if completion.tag != tag {
                    return Err("a completion of another client's request");
                }
                return completion.result.map_err(|error| error.name());
            }
        }
    }

    fn transfer(
        &self,
        kind: Kind,
        offset: usize,
        lent: LeaseAttributes,
    ) -> Result<(), &'static str> {
        let tag = self.sector as u32 ^ kind as u32;
        let buffer = LeaseBuffer::pool(self.pool.part(offset, BYTES), lent);
        let request = Submit {
            kind,
            tag,
            sector: self.sector,
            count: SECTORS,
        };
        self.disk
            .submit(&request, buffer)
            .map_err(|error| error.name())?;
        self.finish(tag)
    }

    /// As often as the plan says; the number of rounds.
    fn run(&self) -> Result<u64, &'static str> {
        let end = time::now().after(config::parameter("for").unwrap_or(0));
        let mut rounds = 0;
        loop {
            self.round(rounds)?;
            rounds += 1;
            if time::now() >= end {
                return Ok(rounds);
            }
        }
    }

    fn round(&self, round: u64) -> Result<(), &'static str> {
        for offset in (0..BYTES).step_by(8) {
            self.pool.write64(offset, self.word(offset, round));
        }
        publish();
        self.transfer(Kind::Write, 0, LeaseAttributes::READ)?;
        self.disk.flush(7).map_err(|error| error.name())?;
        self.finish(7)?;
        self.transfer(Kind::Read, BACK, LeaseAttributes::all())?;
        acquire();
        let same = (0..BYTES)
            .step_by(8)
            .all(|offset| self.pool.read64(BACK + offset) == self.word(offset, round));
        if same {
            Ok(())
        } else {
            Err("what is read differs from what was written")
        }
    }
}

fn main() -> ! {
    let result = Client::new()
        .ok_or("the plan lacks something")
        .and_then(|client| client.run());
    let (outcome, text) = match result {
        Ok(rounds) => {
            defmt::info!("{=u64} rounds", rounds);
            (Outcome::Pass, "written, flushed, read back, equal")
        }
        Err(why) => (Outcome::Fail, why),
    };
    let _ = report(outcome, text);
    loop {
        ipc::receive(0);
    }
}
