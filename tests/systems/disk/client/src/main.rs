//! Writes its own part of a disk, flushes, and reads back what it wrote; if the disk can write zeroes, it has it do so in between.
//!
//! Plan: the disk, a pool; the parameters `sector`, where its part begins, and `for`, how long it does so over and over
//! (twice if there is none).
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::LeaseAttributes;
use blk_api::client::{Disk, Failure};
use blk_api::{Completions, DONE, Error, Kind, LEASE, Transfer, result};
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::ipc::{self, LeaseBuffer, Received};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::{MappingKind, PeerEntry};
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
    /// The disk can write zeroes.
    zeroes: bool,
}

/// The only driver that it may call.
fn server() -> Option<&'static str> {
    let supervisor = config::own().supervisor;
    let peers = config::table::<PeerEntry>().iter();
    let mut servers = peers.filter(|peer| peer.may_send == 1 && peer.index != supervisor);
    servers.next().map(|peer| peer.name.as_str())
}

impl Client {
    fn new() -> Option<Self> {
        let disk = Disk::named(server()?)?;
        Some(Self {
            zeroes: disk.geometry().ok()?.zeroes,
            disk,
            pool: PoolMemory::of(config::mappings(MappingKind::Pool).next()?),
            done: config::notification(DONE)?,
            sector: config::parameter("sector")?,
        })
    }

    /// A word that depends on the place, on whose part it is, and on the round.
    fn word(&self, offset: usize, round: u64) -> u64 {
        (offset as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.sector ^ round << 32
    }

    /// Takes the result of the only request under way, when the driver posts that there is one.
    fn finish(&self, begun: Completions, tag: u16) -> Result<(), &'static str> {
        let mut completions = begun;
        loop {
            if let Some(completion) = completions.next() {
                if completion.tag() != tag {
                    return Err("a completion of another client's request");
                }
                return result(completion).map(|_| ()).map_err(|error| error.name());
            }
            while !matches!(ipc::receive(self.done), Received::Notification(_)) {}
            completions = self.disk.run(&[], None).map_err(|error| error.name())?;
        }
    }

    fn transfer(
        &self,
        kind: Kind,
        offset: usize,
        lent: LeaseAttributes,
    ) -> Result<(), &'static str> {
        let request = Transfer {
            kind,
            tag: self.sector as u16 ^ kind as u16,
            region: LEASE,
            page: 0,
            sector: self.sector,
            count: SECTORS,
        };
        let buffer = LeaseBuffer::pool(self.pool.part(offset, BYTES), lent);
        let begun = self.disk.run(&[request], Some(buffer));
        self.finish(begun.map_err(|error| error.name())?, request.tag)
    }

    /// Several requests in one message, of which the call waits for the last one: the pages of what was written, in
    /// another order.
    fn read_back(&self) -> Result<(), &'static str> {
        let quarter = SECTORS / 4;
        let parts = [2, 0, 3, 1].map(|part: u32| Transfer {
            kind: Kind::Read,
            tag: part as u16,
            region: LEASE,
            page: part * quarter / 8,
            sector: self.sector + u64::from(part * quarter),
            count: quarter,
        });
        let buffer = LeaseBuffer::pool(self.pool.part(BACK, BYTES), LeaseAttributes::all());
        let mut completions = self.disk.wait(&parts, Some(buffer));
        let mut done = 0u32;
        while done != 0b1111 {
            for completion in completions.map_err(|error| error.name())? {
                let part = 1u32.checked_shl(completion.tag().into()).unwrap_or(0);
                if part & 0b1111 == 0 || done & part != 0 {
                    return Err("a completion of nothing");
                }
                match result(completion) {
                    Ok(bytes) if bytes as usize == BYTES / 4 => done |= part,
                    Ok(_) => return Err("a part of another length"),
                    Err(error) => return Err(error.name()),
                }
            }
            completions = self.disk.wait(&[], None);
        }
        // Nothing is under way any more: a call that waits must not wait.
        match completions.map_err(|error| error.name())?.next() {
            None => Ok(()),
            Some(_) => Err("a completion of nothing"),
        }
    }

    /// As often as the plan says, but twice at least; the number of rounds.
    fn run(&self) -> Result<u64, &'static str> {
        let end = time::now().after(config::parameter("for").unwrap_or(0));
        let mut rounds = 0;
        loop {
            self.round(rounds)?;
            rounds += 1;
            if rounds >= 2 && time::now() >= end {
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
        self.disk
            .one(&Transfer::flush(7), None)
            .map_err(|error| error.name())?;
        if round.is_multiple_of(2) {
            self.read_back()?;
        } else {
            self.transfer(Kind::Read, BACK, LeaseAttributes::all())?;
        }
        acquire();
        let is_written = |offset| self.pool.read64(BACK + offset) == self.word(offset, round);
        if !(0..BYTES).step_by(8).all(is_written) {
            return Err("what is read differs from what was written");
        }
        self.zeroes(round)
    }

    /// The second quarter becomes zeroes, and nothing else does; a disk that cannot do it says so.
    fn zeroes(&self, round: u64) -> Result<(), &'static str> {
        let quarter = SECTORS / 4;
        let zeroes = Transfer::zeroes(8, self.sector + u64::from(quarter), quarter);
        match (self.disk.one(&zeroes, None), self.zeroes) {
            (Ok(()), true) => {}
            (Err(Failure::Refused(Error::Unsupported)), false) => return Ok(()),
            (Err(failure), true) => return Err(failure.name()),
            (_, false) => return Err("zeroes that the disk does not have"),
        }
        self.transfer(Kind::Read, BACK, LeaseAttributes::all())?;
        acquire();
        let zero = BYTES / 4..BYTES / 2;
        let as_expected = |offset| {
            let expected = if zero.contains(&offset) {
                0
            } else {
                self.word(offset, round)
            };
            self.pool.read64(BACK + offset) == expected
        };
        if (0..BYTES).step_by(8).all(as_expected) {
            Ok(())
        } else {
            Err("the disk wrote zeroes elsewhere, or none")
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
