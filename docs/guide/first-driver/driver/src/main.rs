//! A first driver: gives the device one page, and takes it away again.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use iommu_api::client::{Device, Failure};
use iommu_api::{Extent, MapFlags};
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::MappingKind;
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;
use userlib::{config, ipc};

userlib::task!(main);

/// Registers of edu (QEMU's `docs/specs/edu`).
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_BYTES: usize = 0x90;
const DMA_COMMAND: usize = 0x98;
/// Its own buffer, as a DMA address.
const BUFFER: u64 = 0x4_0000;
const START: u64 = 1;
const TO_MEMORY: u64 = 2;

fn transfer(edu: &MappedRegisters, from: u64, to: u64, command: u64) {
    edu.write64(DMA_SOURCE, from);
    edu.write64(DMA_DESTINATION, to);
    edu.write64(DMA_BYTES, 64);
    edu.write64(DMA_COMMAND, START | command);
    while edu.read64(DMA_COMMAND) & START != 0 {}
}

/// A word travels into the device and back to another place of the same page.
fn lesson() -> Result<bool, Failure> {
    let plan = config::device("teacher").expect("app.toml gives it to this task");
    let edu = MappedRegisters::bar(plan, 0).expect("edu has a BAR 0");
    let pool = config::mappings(MappingKind::Pool).next().expect("app.toml declares a pool");
    let pool = PoolMemory::of(pool);

    let iommu = Server::named("iommu").expect("app.toml lets this task call it");
    let mut device = Device::claim(&iommu, plan.device)?;
    let iova = device.map(0, Extent { first: 0, pages: 1 }, MapFlags::READ_WRITE)?;
    defmt::info!("page 0 of the pool is at IOVA {=u64:#x}", iova);

    pool.write64(0, 0x0123_4567_89ab_cdef);
    pool.hand_over(0, 4096);
    publish();
    transfer(&edu, iova, BUFFER, 0);
    transfer(&edu, BUFFER, iova + 512, TO_MEMORY);
    pool.hand_over(0, 4096);
    acquire();
    let same = pool.read64(512) == 0x0123_4567_89ab_cdef;

    device.unmap(iova, 1)?;
    device.release()?;
    Ok(same)
}

fn main() -> ! {
    let outcome = match lesson() {
        Ok(true) => Outcome::Pass,
        _ => Outcome::Fail,
    };
    let _ = report(outcome, "a word went in and came back");
    loop {
        ipc::receive(0);
    }
}
