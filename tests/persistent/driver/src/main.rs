//! A device with `invalidation = "persistent"`: its driver's pool is in its window from the start, a map gives the
//! place that it has, and an unmap takes nothing away. The rest of the window is strict.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu::channel::Channel;
use edu::{Direction, Transfer, pattern};
use iommu_api::client::{Device, Failure};
use iommu_api::{Error, Extent, MapFlags, PAGE};
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
/// Event of an access that the mapping does not allow (IHI 0070, 7.3.15, F_PERMISSION).
const PERMISSION: u8 = 0x13;

fn why(error: Failure) -> &'static str {
    match error {
        Failure::Refused(error) => error.name(),
        _ => "no answer",
    }
}

fn check(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn refused<T>(result: Result<T, Failure>, error: Error) -> Result<(), &'static str> {
    match result {
        Err(Failure::Refused(found)) if found == error => Ok(()),
        Err(other) => Err(why(other)),
        Ok(_) => Err("what has to be refused was granted"),
    }
}

struct Board {
    pool: PoolMemory,
    channel: Channel,
}

impl Board {
    /// Whether data travels through the device from `source` to `destination`, IOVAs of the two pages.
    fn moves(&self, source: u64, destination: u64, seed: u8) -> Result<bool, &'static str> {
        pattern::write(&self.pool, SOURCE, LEN, seed);
        self.pool.fill(DESTINATION, LEN, 0);
        publish();
        for (direction, iova) in [
            (Direction::FromMemory, source),
            (Direction::ToMemory, destination),
        ] {
            let transfer = Transfer {
                direction,
                iova,
                offset: 0,
                len: LEN,
            };
            self.channel
                .run(&transfer)
                .map_err(|_| "a transfer did not end")?;
        }
        acquire();
        Ok(pattern::differences(&self.pool, DESTINATION, LEN, seed) == 0)
    }
}

fn page(first: u32) -> Extent {
    Extent { first, pages: 1 }
}

fn all(iommu: &Server) -> Result<(), &'static str> {
    let device = config::devices().first().ok_or("no device in the plan")?;
    let pool = config::mappings(MappingKind::Pool).next();
    let pool = PoolMemory::of(pool.ok_or("no pool in the plan")?);
    let pages = (pool.len() as u64 / PAGE) as u32;
    let board = Board {
        pool,
        channel: Channel::new(device).map_err(|_| "not an edu that answers")?,
    };
    let mut claim = Device::claim(iommu, device.device).map_err(why)?;
    let base = claim.window().iova_base;
    let (source, destination) = (base, base + PAGE);

    check(
        board.moves(source, destination, 1)?,
        "the pool is not mapped from the start",
    )?;
    for (first, place) in [(0, source), (1, destination), (1, destination)] {
        let iova = claim.map(0, page(first), MapFlags::READ_WRITE);
        check(
            iova.map_err(why)? == place,
            "a map gives another place than the pool has",
        )?;
    }
    claim.unmap(destination, 1).map_err(why)?;
    claim.unmap(base, u64::from(pages)).map_err(why)?;
    check(
        board.moves(source, destination, 2)?,
        "an unmap took the pool away",
    )?;
    let status = claim.status().map_err(why)?;
    check(
        (status.mapped_pages, status.faults) == (0, 0),
        "something is counted as mapped, or faulted",
    )?;

    // What the pool does not give is strict, behind it.
    let reading = claim.map(0, page(1), MapFlags::READ).map_err(why)?;
    check(
        reading >= base + u64::from(pages) * PAGE,
        "a page to be read only lies where it can be written",
    )?;
    check(
        !board.moves(source, reading, 3)?,
        "it writes where it may only read",
    )?;
    let fault = claim
        .next_fault()
        .map_err(why)?
        .ok_or("no fault was told")?;
    check(fault.event == PERMISSION, "another fault was told")?;
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    refused(claim.map_at(0, page(0), fixed, base), Error::Overlap)?;
    let beyond = claim.map(0, page(pages), MapFlags::READ_WRITE);
    refused(beyond, Error::BadMemory)?;
    refused(claim.unmap(base, u64::from(pages) + 2), Error::NotMapped)?;
    claim.unmap(reading, 1).map_err(why)?;
    refused(claim.unmap(reading, 1), Error::NotMapped)?;

    claim.release().map_err(why)?;
    check(
        !board.moves(source, destination, 4)?,
        "it reaches the pool although it was given back",
    )?;
    let again = Device::claim(iommu, device.device).map_err(why)?;
    check(
        board.moves(source, destination, 5)?,
        "it does not work again",
    )?;
    again.release().map_err(why)
}

fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        panic!("the plan has no iommu for this driver");
    };
    let sent = match all(&iommu) {
        Ok(()) => report::send(Outcome::Pass, "mapped once, and reached while claimed"),
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
