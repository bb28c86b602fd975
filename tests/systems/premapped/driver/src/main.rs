//! A device with `invalidation = "premapped"`: its driver's pool is in its window from the start, a map gives the
//! place that it has, and an unmap takes nothing away. The rest of the window is strict.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu_helper::{Board, Reason, check, refused};
use iommu_api::client::{Device, Failure};
use iommu_api::{Error, Extent, MapFlags, PAGE};
use userlib::memory::Memory;
use userlib::server::Server;

userlib::task!(main);

/// Event of an access that the mapping does not allow (IHI 0070, 7.3.15, F_PERMISSION).
const PERMISSION: u8 = 0x13;

fn page(first: u32) -> Extent {
    Extent { first, pages: 1 }
}

fn premapped(iommu: &Server) -> Result<(), Reason> {
    let device = edu_helper::device("edu0")?;
    let board = Board::new(device)?;
    let pages = (board.pool.len() as u64 / PAGE) as u32;
    let mut claim = Device::claim(iommu, device.device).map_err(Failure::name)?;
    let base = claim.window().iova_base;
    let (source, destination) = (base, base + PAGE);

    check(
        board.moves(source, destination, 1)?,
        "the pool is not mapped from the start",
    )?;
    for (first, place) in [(0, source), (1, destination), (1, destination)] {
        let iova = claim.map(0, page(first), MapFlags::READ_WRITE);
        check(
            iova.map_err(Failure::name)? == place,
            "a map gives another place than the pool has",
        )?;
    }
    claim.unmap(destination, 1).map_err(Failure::name)?;
    claim.unmap(base, u64::from(pages)).map_err(Failure::name)?;
    check(
        board.moves(source, destination, 2)?,
        "an unmap took the pool away",
    )?;
    let status = claim.status().map_err(Failure::name)?;
    check(
        (status.mapped_pages, status.faults) == (0, 0),
        "something is counted as mapped, or faulted",
    )?;

    // What the pool does not give is strict, behind it.
    let reading = claim
        .map(0, page(1), MapFlags::READ)
        .map_err(Failure::name)?;
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
        .map_err(Failure::name)?
        .ok_or("no fault was told")?;
    check(fault.event == PERMISSION, "another fault was told")?;
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    refused(claim.map_at(0, page(0), fixed, base), Error::Overlap)?;
    let beyond = claim.map(0, page(pages), MapFlags::READ_WRITE);
    refused(beyond, Error::BadMemory)?;
    refused(claim.unmap(base, u64::from(pages) + 2), Error::NotMapped)?;
    claim.unmap(reading, 1).map_err(Failure::name)?;
    refused(claim.unmap(reading, 1), Error::NotMapped)?;

    claim.release().map_err(Failure::name)?;
    check(
        !board.moves(source, destination, 4)?,
        "it reaches the pool although it was given back",
    )?;
    let again = Device::claim(iommu, device.device).map_err(Failure::name)?;
    check(
        board.moves(source, destination, 5)?,
        "it does not work again",
    )?;
    again.release().map_err(Failure::name)
}

fn main() -> ! {
    edu_helper::main(premapped, "premapped, and reached while claimed")
}
