//! A driver that a task inspects: it dies once, then claims its device, maps two pages, lets the device fault, and
//! asks for a snapshot at each of these steps. It may not inspect, and tries to.
//!
//! Plan: an edu, a pool, persistent memory `diary` that counts lives, and the bit `snapshot` of the status task, which is
//! more urgent than this one.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu_helper::{Board, DESTINATION, Reason, check};
use iommu_api::client::{Device, Failure};
use iommu_api::{Extent, MapFlags};
use status_api::client::{self, ask};
use status_api::{Error, Record, Subject};
use userlib::config;
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;

userlib::task!(main);

/// Lets the status task take a snapshot, which is whole when this returns.
fn snapshot() -> Result<(), Reason> {
    let status = config::peer("status").ok_or("the plan has no status task")?;
    let bit = config::notification_of(status.index, "snapshot").ok_or("no right to post")?;
    let status = Server::at(status.index as usize);
    status.post(bit).map_err(|_| "the status task is down")
}

/// Counts a life; how many there were before.
fn lives() -> Result<u64, Reason> {
    let diary = config::mapping("diary").ok_or("no diary in the plan")?;
    let diary = MappedRegisters::of(diary);
    let before = diary.read64(0);
    diary.write64(0, before + 1);
    Ok(before)
}

/// The servers answer a task that may not inspect with a refusal, and one that asks the wrong server as well.
fn is_refused(server: &str, subject: Subject, error: Error) -> Result<(), Reason> {
    let server = Server::named(server).ok_or("the plan has no such server")?;
    let asked = ask(&server, subject, 0);
    check(
        asked == Err(client::Failure::Refused(error)),
        "a snapshot was not refused as it has to be",
    )
}

fn refusals(device: u32) -> Result<(), Reason> {
    is_refused("supervisor", Subject::Task, Error::NotInspector)?;
    is_refused("iommu", Subject::Device, Error::NotInspector)?;
    is_refused("iommu", Subject::Smmu, Error::NotInspector)?;
    is_refused("supervisor", Subject::Device, Error::Malformed)?;
    is_refused("iommu", Subject::Task, Error::Malformed)?;
    is_refused("pci", Subject::Device, Error::Malformed)?;
    let pci = Server::named("pci").ok_or("the plan has no such server")?;
    let beyond = ask(&pci, Subject::Function, 1000);
    check(
        beyond == Err(client::Failure::Refused(Error::NoSuchRecord)),
        "there is a function beyond the last",
    )?;
    let own = ask(&pci, Subject::Function, device).map_err(client::Failure::name)?;
    let is_own =
        matches!(own.record, Record::Function(function) if function.name.as_str() == "edu0");
    check(is_own, "the PCI task tells of another function")
}

/// Asks for the device's state until the server has taken all faults that the SMMU has recorded.
fn all_recorded(iommu: &Server, device: u32) -> Result<(), Reason> {
    let mut before = 0;
    loop {
        let status = iommu_api::client::status(iommu, device).map_err(Failure::name)?;
        if status.faults == before {
            return check(before != 0, "an access that was blocked is no fault");
        }
        before = status.faults;
    }
}

fn looked_at(iommu: &Server) -> Result<(), Reason> {
    let device = edu_helper::device("edu0")?;
    if lives()? == 0 {
        panic!("as planned, in the first life");
    }
    snapshot()?;
    refusals(device.device)?;
    let mut claim = Device::claim(iommu, device.device).map_err(Failure::name)?;
    let board = Board::new(device)?;
    let both = Extent { first: 0, pages: 2 };
    let base = claim
        .map(0, both, MapFlags::READ_WRITE)
        .map_err(Failure::name)?;
    let destination = base + DESTINATION as u64;
    check(
        board.moves(base, destination, 1)?,
        "the device does not reach its pool",
    )?;
    // A page that is not mapped.
    check(
        !board.moves(base, destination + DESTINATION as u64, 2)?,
        "it reaches what is not mapped",
    )?;
    all_recorded(iommu, device.device)?;
    snapshot()?;
    claim.release().map_err(Failure::name)
}

fn main() -> ! {
    edu_helper::main(looked_at, "looked at, and not let look")
}
