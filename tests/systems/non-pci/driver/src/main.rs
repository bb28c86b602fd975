//! Devices that are not on PCI.
//!
//! No device of QEMU's machine but those on PCI does DMA through the SMMU. So one of the platform's devices is
//! declared with the StreamID of an edu: what is mapped for it the edu can reach, and nothing else shows as
//! well that its claim opened that stream. Their registers are the clock's.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu_helper::{Board, DESTINATION, Reason, check};
use iommu_api::client::{Device, Failure};
use iommu_api::{Error, Extent, MapFlags};
use userlib::plan::task::DeviceEntry;
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;
use userlib::time;

userlib::task!(main);

/// Event of an access to an IOVA that nothing is mapped at (IHI 0070, 7.3.12, F_TRANSLATION).
const TRANSLATION: u8 = 0x10;
/// First byte of the clock's peripheral id (Arm DDI 0224, 3.3.9), and its value.
const PERIPHERAL_ID: usize = 0xfe0;
const CLOCK: u32 = 0x31;
/// Nanoseconds of the recipe of `waiting`.
const WAIT: u64 = 30_000_000;

/// Its registers are its driver's, as BAR 0, and so is their interrupt.
fn registers(entry: &'static DeviceEntry) -> Result<(), Reason> {
    let registers = MappedRegisters::bar(entry, 0).ok_or("no registers of `engine`")?;
    let id = registers.read32(PERIPHERAL_ID) & 0xff;
    check(id == CLOCK, "the registers of `engine` are not the clock's")?;
    check(entry.interrupt != 0, "`engine` has no interrupt")
}

/// What is mapped for one member of the alias set, the other reaches; and no longer than it is mapped.
fn shared_stream(iommu: &Server) -> Result<(), Reason> {
    let entry = edu_helper::device("engine")?;
    registers(entry)?;
    let mut engine = Device::claim(iommu, entry.device).map_err(Failure::name)?;
    let both = Extent { first: 0, pages: 2 };
    let iova = engine
        .map(0, both, MapFlags::READ_WRITE)
        .map_err(Failure::name)?;
    let destination = iova + DESTINATION as u64;
    let edu0 = edu_helper::device("edu0")?;
    let edu = Device::claim(iommu, edu0.device).map_err(Failure::name)?;
    let board = Board::new(edu0)?;
    check(
        board.moves(iova, destination, 7)?,
        "edu0 does not reach what `engine` mapped",
    )?;
    check(
        edu.next_fault().map_err(Failure::name)?.is_none(),
        "edu0 faulted on what is mapped",
    )?;

    // With both pages still mapped: the server makes it quiet and unmaps them.
    engine.release().map_err(Failure::name)?;
    check(
        !board.moves(iova, destination, 8)?,
        "edu0 reaches what `engine` gave back",
    )?;
    let fault = edu
        .next_fault()
        .map_err(Failure::name)?
        .ok_or("no fault was told")?;
    check(
        fault.event == TRANSLATION && fault.iova == iova && fault.read,
        "another fault was told",
    )?;
    edu.release().map_err(Failure::name)
}

/// Its recipe is a time: a claim takes as long.
fn waiting(iommu: &Server) -> Result<(), Reason> {
    let entry = edu_helper::device("waiting")?;
    let start = time::now().nanoseconds();
    let claim = Device::claim(iommu, entry.device).map_err(Failure::name)?;
    let took = time::now().nanoseconds() - start;
    check(took >= WAIT, "`waiting` was claimed before it was quiet")?;
    claim.release().map_err(Failure::name)
}

/// Its register never shows that it is quiet.
fn never_quiet(iommu: &Server) -> Result<(), Reason> {
    let entry = edu_helper::device("busy")?;
    match Device::claim(iommu, entry.device) {
        Err(Failure::Refused(Error::NotQuiet)) => Ok(()),
        Err(error) => Err(error.name()),
        Ok(_) => Err("`busy` was opened although it is not quiet"),
    }
}

fn non_pci(iommu: &Server) -> Result<(), Reason> {
    waiting(iommu)?;
    never_quiet(iommu)?;
    shared_stream(iommu)
}

fn main() -> ! {
    edu_helper::main(non_pci, "devices beside PCI work as planned")
}
