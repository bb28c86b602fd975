//! A device whose stream bypasses the SMMU, by `unsafe-bypass`: it reaches memory by physical addresses as long
//! as it is claimed, nothing before and nothing after.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu::channel::Channel;
use edu::{Direction, Transfer, pattern};
use iommu_api::client::{self, Device, Failure};
use iommu_api::{Error, Extent, MapFlags, StatusFlags};
use supervisor::report::{self, Outcome};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::MappingKind;
use userlib::server::Server;
use userlib::{config, ipc};

userlib::task!(main);

/// Bytes moved, and the two pages of the pool that they travel between.
const LEN: usize = 1000;
const SOURCE: usize = 0;
const DESTINATION: usize = 4096;

fn why(error: Failure) -> &'static str {
    match error {
        Failure::Refused(error) => error.name(),
        _ => "no answer",
    }
}

fn check(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// The pool, by the task's addresses and by physical ones, and a device to reach it.
struct Board {
    pool: PoolMemory,
    physical: u64,
    channel: Channel,
}

impl Board {
    /// Whether a word travels through the device from one page of the pool to the other, by physical addresses.
    fn reaches(&self, seed: u8) -> Result<bool, &'static str> {
        pattern::write(&self.pool, SOURCE, LEN, seed);
        self.pool.fill(DESTINATION, LEN, 0);
        publish();
        for (direction, offset) in [
            (Direction::FromMemory, SOURCE),
            (Direction::ToMemory, DESTINATION),
        ] {
            let transfer = Transfer {
                direction,
                iova: self.physical + offset as u64,
                offset: 0,
                len: LEN,
            };
            self.channel
                .run(&transfer)
                .map_err(|_| "a transfer did not end")?;
        }
        acquire();
        let there = pattern::differences(&self.pool, DESTINATION, LEN, seed) == 0;
        let untouched = (0..LEN).all(|at| self.pool.read8(DESTINATION + at) == 0);
        check(there || untouched, "some of it travelled")?;
        Ok(there)
    }
}

fn refused<T>(result: Result<T, Failure>, error: Error) -> Result<(), &'static str> {
    match result {
        Err(Failure::Refused(found)) if found == error => Ok(()),
        Err(other) => Err(why(other)),
        Ok(_) => Err("a map of a device that is not translated was granted"),
    }
}

fn all(iommu: &Server) -> Result<(), &'static str> {
    let device = config::devices().first().ok_or("no device in the plan")?;
    let pool = config::mappings(MappingKind::Pool).next();
    let board = Board {
        pool: PoolMemory::of(pool.ok_or("no pool in the plan")?),
        physical: config::parameter("pool").ok_or("no parameter `pool`")?,
        channel: Channel::new(device).map_err(|_| "not an edu that answers")?,
    };
    let is_open = || {
        let status = client::status(iommu, device.device).map_err(why)?;
        Ok::<_, &'static str>(status.flags.0 & StatusFlags::OPEN != 0)
    };
    check(!is_open()?, "it is open before its first claim")?;
    check(
        !board.reaches(1)?,
        "it reaches memory before its first claim",
    )?;

    let mut claim = Device::claim(iommu, device.device).map_err(why)?;
    let window = claim.window();
    check(
        (window.pages, window.blocks) == (0, 0),
        "it has a window although nothing is translated",
    )?;
    check(is_open()?, "it is not open although it is claimed")?;
    check(
        board.reaches(2)?,
        "it does not reach memory although it is claimed",
    )?;
    check(
        claim.next_fault().map_err(why)?.is_none(),
        "it faulted although nothing is translated",
    )?;
    let one = Extent { first: 0, pages: 1 };
    refused(claim.map(0, one, MapFlags::READ), Error::NoSpace)?;
    refused(
        claim.map_at(0, one, MapFlags::READ.with(MapFlags::FIXED), board.physical),
        Error::BadRange,
    )?;
    refused(claim.unmap(board.physical, 1), Error::BadRange)?;

    claim.release().map_err(why)?;
    check(!is_open()?, "it is open although it was given back")?;
    check(
        !board.reaches(3)?,
        "it reaches memory although it was given back",
    )?;
    let again = Device::claim(iommu, device.device).map_err(why)?;
    check(board.reaches(4)?, "it does not work again")?;
    again.release().map_err(why)
}

fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        panic!("the plan has no iommu for this driver");
    };
    let sent = match all(&iommu) {
        Ok(()) => report::send(Outcome::Pass, "open while claimed, and only then"),
        Err(reason) => report::send(Outcome::Fail, reason),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    loop {
        // Done; there is nothing to wait for.
        let _ = ipc::receive(0);
    }
}
