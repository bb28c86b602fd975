//! A device whose stream bypasses the SMMU, by `unsafe-bypass`: it reaches memory by physical addresses as long
//! as it is claimed, nothing before and nothing after.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu_helper::{Board, DESTINATION, Reason, check, refused};
use iommu_api::client::{self, Device, Failure};
use iommu_api::{Error, Extent, MapFlags, StatusFlags};
use userlib::config;
use userlib::server::Server;

userlib::task!(main);

fn bypass(iommu: &Server) -> Result<(), Reason> {
    let device = edu_helper::device("edu0")?;
    let board = Board::new(device)?;
    let pool = config::parameter("pool").ok_or("no parameter `pool`")?;
    let reaches = |seed| board.moves(pool, pool + DESTINATION as u64, seed);
    let is_open = || {
        let status = client::status(iommu, device.device).map_err(Failure::name)?;
        Ok::<_, Reason>(status.flags.0 & StatusFlags::OPEN != 0)
    };
    check(!is_open()?, "it is open before its first claim")?;
    check(!reaches(1)?, "it reaches memory before its first claim")?;

    let mut claim = Device::claim(iommu, device.device).map_err(Failure::name)?;
    let window = claim.window();
    check(
        (window.pages, window.blocks) == (0, 0),
        "it has a window although nothing is translated",
    )?;
    check(is_open()?, "it is not open although it is claimed")?;
    check(
        reaches(2)?,
        "it does not reach memory although it is claimed",
    )?;
    check(
        claim.next_fault().map_err(Failure::name)?.is_none(),
        "it faulted although nothing is translated",
    )?;
    let one = Extent { first: 0, pages: 1 };
    refused(claim.map(0, one, MapFlags::READ), Error::NoSpace)?;
    let fixed = MapFlags::READ.with(MapFlags::FIXED);
    refused(claim.map_at(0, one, fixed, pool), Error::BadRange)?;
    refused(claim.unmap(pool, 1), Error::BadRange)?;

    claim.release().map_err(Failure::name)?;
    check(!is_open()?, "it is open although it was given back")?;
    check(!reaches(3)?, "it reaches memory although it was given back")?;
    let again = Device::claim(iommu, device.device).map_err(Failure::name)?;
    check(reaches(4)?, "it does not work again")?;
    again.release().map_err(Failure::name)
}

fn main() -> ! {
    edu_helper::main(bypass, "open while claimed, and only then")
}
