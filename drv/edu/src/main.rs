//! The edu driver: moves data memory -> device -> memory through mapped IOVAs and compares.
//!
//! Plan: its device, a pool; the parameter `repeat`, how often all of it is done (once if there is none).
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

use edu::channel::Channel;
use edu::{Direction, TRANSFER_MAX, Transfer, pattern};
use iommu_api::client::{Device, Failure};
use iommu_api::enduring::Enduring;
use iommu_api::{Extent, MapFlags};
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::delay::{Delay, Polling};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::{DeviceEntry, MappingKind};
use userlib::server::Server;
use userlib::{config, ipc};

userlib::task!(main);

/// Bytes of each round trip.
const LENGTHS: [usize; 3] = [64, 1000, TRANSFER_MAX];
/// Offset in the pool of the page that the data comes from.
const SOURCE: usize = 0;
/// Offset in the pool of the page that the data comes back to.
const DESTINATION: usize = 4096;

/// How the server's word is waited for that the device was cut off: it may hear later than the driver sees.
const NOTICE: Polling = Polling {
    interval_us: 1000,
    waits: 2000,
};

fn was_cut_off(claim: &mut Enduring<Device<'_>>) -> Result<bool, &'static str> {
    let cut_off = NOTICE.until(&mut Delay::new(), || match claim.is_cut_off() {
        Ok(false) => None,
        said => Some(said),
    });
    cut_off.unwrap_or(Ok(false)).map_err(Failure::name)
}

/// Claims after which a device that is cut off again and again is given up.
const CLAIMS_MAX: usize = 10;

/// Everything the task is there for; the bytes moved, or what went wrong. What goes wrong because the device was cut
/// off, for another's sake or as it lost its state, is done again with a new claim.
fn round_trips(iommu: &Server) -> Result<usize, &'static str> {
    let device = config::devices().first().ok_or("no device in the plan")?;
    let mut cut_off = 0;
    loop {
        let mut claim = Enduring::claim(iommu, device.device).map_err(Failure::name)?;
        match with_claim(device, &mut claim) {
            Ok(moved) => {
                claim.release().map_err(Failure::name)?;
                return Ok(moved);
            }
            Err(_) if cut_off < CLAIMS_MAX && was_cut_off(&mut claim)? => {
                defmt::warn!("{=str}: cut off; begun again", device.name.as_str());
                cut_off += 1;
                claim.release().map_err(Failure::name)?;
            }
            Err(reason) => return Err(reason),
        }
    }
}

fn with_claim(
    device: &'static DeviceEntry,
    claim: &mut Enduring<Device<'_>>,
) -> Result<usize, &'static str> {
    let pool = config::mappings(MappingKind::Pool)
        .next()
        .ok_or("no pool in the plan")?;
    let pool = PoolMemory::of(pool);
    if pool.len() < DESTINATION + 4096 {
        return Err("the pool is smaller than two pages");
    }
    let channel = Channel::new(device).map_err(|_| "not an edu that answers")?;
    let (major, minor) = channel.edu().version();
    defmt::info!(
        "{=str}: edu {=u8}.{=u8} claimed",
        device.name.as_str(),
        major,
        minor
    );

    let source = claim
        .map(0, Extent { first: 0, pages: 1 }, MapFlags::READ)
        .map_err(Failure::name)?;
    let destination = claim
        .map(0, Extent { first: 1, pages: 1 }, MapFlags::READ_WRITE)
        .map_err(Failure::name)?;
    let mut moved = 0;
    let repeat = config::parameter("repeat").unwrap_or(1) as usize;
    let lengths = LENGTHS.into_iter().cycle();
    for (trip, len) in lengths.take(repeat * LENGTHS.len()).enumerate() {
        // Other bytes than the trip before left.
        let seed = trip as u8;
        pattern::write(&pool, SOURCE, len, seed);
        pool.fill(DESTINATION, 4096, 0);
        pool.hand_over(SOURCE, DESTINATION + 4096);
        publish();
        for (direction, iova) in [
            (Direction::FromMemory, source),
            (Direction::ToMemory, destination),
        ] {
            let transfer = Transfer {
                direction,
                iova,
                offset: 0,
                len,
            };
            channel
                .run(&transfer)
                .map_err(|_| "a transfer did not end")?;
        }
        pool.hand_over(DESTINATION, 4096);
        acquire();
        if pattern::differences(&pool, DESTINATION, len, seed) != 0 {
            return Err("what came back differs from what went out");
        }
        if pool.read8(DESTINATION + len) != 0 {
            return Err("more came back than went out");
        }
        moved += len;
    }
    claim.unmap(source, 1).map_err(Failure::name)?;
    claim.unmap(destination, 1).map_err(Failure::name)?;
    Ok(moved)
}

fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        userlib::give_up!("the plan has no iommu for this driver");
    };
    let sent = match round_trips(&iommu) {
        Ok(bytes) => {
            defmt::info!("{=usize} bytes memory -> device -> memory, equal", bytes);
            report(Outcome::Pass, "memory -> device -> memory, equal")
        }
        Err(reason) => report(Outcome::Fail, reason),
    };
    if sent.is_err() {
        userlib::give_up!("the supervisor does not take the report");
    }
    loop {
        // Done; there is nothing to wait for.
        let _ = ipc::receive(0);
    }
}
