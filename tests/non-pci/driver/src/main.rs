//! Devices that are not on PCI.
//!
//! No device of QEMU's machine but those on PCI does DMA through the SMMU. So one of the platform's devices is
//! declared with the StreamID of an edu: what is mapped for it the edu can reach, and nothing else shows as
//! well that its claim opened that stream. Their registers are the clock's.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu::channel::Channel;
use edu::{Direction, Transfer, pattern};
use iommu_api::client::{Device, Failure};
use iommu_api::{Error, Extent, MapFlags};
use supervisor::report::{self, Outcome};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::{DeviceEntry, MappingKind};
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;
use userlib::{config, ipc, time};

userlib::task!(main);

/// Event of an access to an IOVA that nothing is mapped at (IHI 0070, 7.3.12, F_TRANSLATION).
const TRANSLATION: u8 = 0x10;
/// First byte of the clock's peripheral id (Arm DDI 0224, 3.3.9), and its value.
const PERIPHERAL_ID: usize = 0xfe0;
const CLOCK: u32 = 0x31;
/// Nanoseconds of the recipe of `waiting`.
const WAIT: u64 = 30_000_000;
/// Bytes moved; the page that they come from and the one they go to.
const LEN: usize = 1000;
const SOURCE: usize = 0;
const DESTINATION: usize = 4096;

fn why(error: Failure) -> &'static str {
    match error {
        Failure::Refused(error) => error.name(),
        _ => "no answer",
    }
}

fn device(name: &str) -> Result<&'static DeviceEntry, &'static str> {
    let mut devices = config::devices().iter();
    let device = devices.find(|device| device.name.as_str() == name);
    device.ok_or("a device is missing in the plan")
}

fn check(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// Its registers are its driver's, as BAR 0, and so is their interrupt.
fn registers(entry: &'static DeviceEntry) -> Result<(), &'static str> {
    let registers = MappedRegisters::bar(entry, 0).ok_or("no registers of `engine`")?;
    let id = registers.read32(PERIPHERAL_ID) & 0xff;
    check(id == CLOCK, "the registers of `engine` are not the clock's")?;
    check(entry.interrupt != 0, "`engine` has no interrupt")
}

/// What is mapped for one member of the alias set, the other reaches; and no longer than it is mapped.
fn shared_stream(iommu: &Server) -> Result<(), &'static str> {
    let entry = device("engine")?;
    registers(entry)?;
    let pool = config::mappings(MappingKind::Pool).next();
    let pool = PoolMemory::of(pool.ok_or("no pool in the plan")?);
    let mut engine = Device::claim(iommu, entry.device).map_err(why)?;
    let both = Extent { first: 0, pages: 2 };
    let iova = engine.map(0, both, MapFlags::READ_WRITE).map_err(why)?;
    let edu0 = device("edu0")?;
    let edu = Device::claim(iommu, edu0.device).map_err(why)?;
    let channel = Channel::new(edu0).map_err(|_| "not an edu that answers")?;
    let run = |direction, offset: usize| {
        let transfer = Transfer {
            direction,
            iova: iova + offset as u64,
            offset: 0,
            len: LEN,
        };
        channel.run(&transfer).map_err(|_| "a transfer did not end")
    };
    pattern::write(&pool, SOURCE, LEN, 7);
    pool.fill(DESTINATION, LEN, 0);
    publish();
    run(Direction::FromMemory, SOURCE)?;
    run(Direction::ToMemory, DESTINATION)?;
    acquire();
    let differences = pattern::differences(&pool, DESTINATION, LEN, 7);
    check(differences == 0, "edu0 does not reach what `engine` mapped")?;
    check(
        edu.next_fault().map_err(why)?.is_none(),
        "edu0 faulted on what is mapped",
    )?;

    // With both pages still mapped: the server makes it quiet and unmaps them.
    engine.release().map_err(why)?;
    pool.fill(DESTINATION, LEN, 0);
    publish();
    run(Direction::ToMemory, DESTINATION)?;
    acquire();
    check(
        pool.read8(DESTINATION) == 0 && pool.read8(DESTINATION + LEN - 1) == 0,
        "edu0 reaches what `engine` gave back",
    )?;
    let fault = edu.next_fault().map_err(why)?.ok_or("no fault was told")?;
    check(
        fault.event == TRANSLATION && fault.iova == iova + DESTINATION as u64,
        "another fault was told",
    )?;
    edu.release().map_err(why)
}

/// Its recipe is a time: a claim takes as long.
fn waiting(iommu: &Server) -> Result<(), &'static str> {
    let entry = device("waiting")?;
    let start = time::now().nanoseconds();
    let claim = Device::claim(iommu, entry.device).map_err(why)?;
    let took = time::now().nanoseconds() - start;
    check(took >= WAIT, "`waiting` was claimed before it was quiet")?;
    claim.release().map_err(why)
}

/// Its register never shows that it is quiet.
fn never_quiet(iommu: &Server) -> Result<(), &'static str> {
    let entry = device("busy")?;
    match Device::claim(iommu, entry.device) {
        Err(Failure::Refused(Error::NotQuiet)) => Ok(()),
        Err(error) => Err(why(error)),
        Ok(_) => Err("`busy` was opened although it is not quiet"),
    }
}

fn all(iommu: &Server) -> Result<(), &'static str> {
    waiting(iommu)?;
    never_quiet(iommu)?;
    shared_stream(iommu)
}

fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        panic!("the plan has no iommu for this driver");
    };
    let sent = match all(&iommu) {
        Ok(()) => report::send(Outcome::Pass, "devices beside PCI work as planned"),
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
