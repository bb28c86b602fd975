//! Has its device move data over and over, and does not look at the bit by which it is asked to finish.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu_helper::{Board, DESTINATION};
use iommu_api::client::Device;
use iommu_api::{Extent, MapFlags};
use userlib::server::Server;

userlib::task!(main);

fn run(iommu: &Server) -> Result<(), edu_helper::Reason> {
    let entry = edu_helper::device("edu0")?;
    let mut claim = Device::claim(iommu, entry.device).map_err(|error| error.name())?;
    let both = Extent { first: 0, pages: 2 };
    let iova = claim
        .map(0, both, MapFlags::READ_WRITE)
        .map_err(|error| error.name())?;
    let board = Board::new(entry)?;
    defmt::info!("at work");
    for round in 0u64.. {
        edu_helper::check(
            board.moves(iova, iova + DESTINATION as u64, round as u8)?,
            "data was lost",
        )?;
    }
    Ok(())
}

fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        panic!("the plan has no iommu for this driver");
    };
    match run(&iommu) {
        Ok(()) => panic!("it came to an end"),
        Err(reason) => panic!("{}", reason),
    }
}
