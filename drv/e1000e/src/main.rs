//! The e1000e driver: one network interface for one client, by IPC (protocol: `nic-api`).
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

use blk_server::start::{NoDisk, claim, map_own, own_pool};
use e1000e::device::Nic;
use e1000e::layout::POOL_LEN;
use e1000e::service::{Claimed, Client, serve};
use iommu_api::MapFlags;
use userlib::config;
use userlib::memory::PoolMemory;
use userlib::registers::MappedRegisters;
use userlib::server::Server;

userlib::task!(main);

/// A driver that cannot start, or whose controller or IOMMU server failed, dies with the reason. The IOMMU server then cuts
/// off what it had mapped, and the supervisor starts it again by policy.
fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        userlib::give_up!("the plan has no iommu for this driver");
    };
    match find(&iommu) {
        Ok(claimed) => serve(claimed),
        Err(reason) => userlib::give_up!("{}", reason),
    }
}

/// Claims the controller, and maps the driver's own memory for it.
fn find(iommu: &Server) -> Result<Claimed<'_, MappedRegisters, PoolMemory>, NoDisk> {
    let client = Client::of_plan().ok_or(NoDisk::Plan("one client to post `frame-done` to"))?;
    let device = config::devices()
        .first()
        .ok_or(NoDisk::Plan("device to drive"))?;
    if device.interrupt == 0 {
        return Err(NoDisk::Plan("interrupt of the device"));
    }
    let pool = own_pool(POOL_LEN)?;
    let mut claim = claim(iommu, device.device)?;
    let registers = MappedRegisters::bar(device, 0).ok_or(NoDisk::Plan("BAR of the device"))?;
    let place = map_own(&mut claim, 0, POOL_LEN, MapFlags::READ_WRITE)?;
    let nic = Nic::new(registers, pool, place, device.vectors);
    Ok(Claimed {
        claim,
        interrupts: device.interrupt,
        place,
        client,
        nic: nic.map_err(|error| NoDisk::Device(error.name()))?,
    })
}
