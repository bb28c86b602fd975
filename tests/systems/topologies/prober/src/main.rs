//! Drives every edu of a system: compares where the PCI task found it with what the topology's file says,
//! claims it, lets it write where nothing is mapped, and compares the fault that the IOMMU server tells of
//! with what was done and with the file's StreamID.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu::{Direction, Edu, Transfer};
use iommu_api::client::{Device, Failure};
use pci_api::client::Client;
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::delay::{Delay, Polling};
use userlib::plan::task::{DeviceEntry, ParameterEntry};
use userlib::registers::MappedRegisters;
use userlib::server::Server;
use userlib::{config, ipc};

userlib::task!(main);

/// How long something is waited for before it is taken not to happen any more: 3 s.
const LOOKS: Polling = Polling {
    interval_us: 10_000,
    waits: 300,
};
/// Bytes of the provoking transfer: one event for each access, so a short one.
const LENGTH: usize = 8;

/// The parameter called `what` and the device's name, such as `stream-edu0`.
fn expected(what: &str, device: &DeviceEntry) -> Option<u64> {
    config::table::<ParameterEntry>()
        .iter()
        .find(|entry| entry.name.as_str().strip_prefix(what) == Some(device.name.as_str()))
        .map(|entry| entry.value)
}

/// Compares where the PCI task found the device.
fn locate(pci: &Server, device: &DeviceEntry) -> Result<(), &'static str> {
    let requester = expected("requester-", device).ok_or("its requester id is not a parameter")?;
    let found = Client(pci)
        .describe(device.device)
        .map_err(|_| "the PCI task does not describe it")?;
    if (found.vendor_id, found.device_id) != (device.vendor_id, device.device_id) {
        return Err("the PCI task found another device");
    }
    // The PCI task numbers them from 0 without gaps, and refuses the number behind the last.
    let functions = (0..).map_while(|number| Client(pci).describe(number).ok());
    topologies_prober::judge_place(&found, requester, functions)
}

fn probe(iommu: &Server, device: &'static DeviceEntry) -> Result<(), &'static str> {
    let stream = expected("stream-", device).ok_or("its StreamID is not a parameter")?;
    let claim = Device::claim(iommu, device.device).map_err(Failure::name)?;
    let registers = MappedRegisters::bar(device, 0).ok_or("its BAR is not mapped")?;
    let edu = Edu::new(registers).map_err(|_| "not an edu that answers")?;
    let window = claim.window();
    let iova = topologies_prober::target(window.iova_base, window.pages, device.device)
        .ok_or("the window is too small")?;
    let transfer = Transfer {
        direction: Direction::ToMemory,
        iova,
        offset: 0,
        len: LENGTH,
    };
    edu.start(&transfer)
        .map_err(|_| "the transfer did not start")?;
    LOOKS
        .until(&mut Delay::new(), || (!edu.busy()).then_some(()))
        .ok_or("the transfer did not end")?;
    edu.acknowledge();
    let record = LOOKS
        .until(&mut Delay::new(), || {
            claim.next_fault().map_err(Failure::name).transpose()
        })
        .ok_or("no fault was recorded")??;
    topologies_prober::judge(&record, stream, iova)?;
    claim.release().map_err(Failure::name)?;
    defmt::info!(
        "{=str}: write to {=u64:#x} faulted under StreamID {=u32:#x}",
        device.name.as_str(),
        iova,
        record.stream
    );
    Ok(())
}

/// Probes all; the number of devices, or the first that failed and why.
fn probe_all(pci: &Server, iommu: &Server) -> Result<usize, &'static str> {
    let devices = config::devices();
    for device in devices {
        if let Err(reason) = locate(pci, device).and_then(|()| probe(iommu, device)) {
            defmt::error!("{=str}: {=str}", device.name.as_str(), reason);
            return Err(reason);
        }
    }
    Ok(devices.len())
}

fn main() -> ! {
    let (Some(pci), Some(iommu)) = (Server::named("pci"), Server::named("iommu")) else {
        panic!("the plan has no pci or no iommu for this driver");
    };
    let sent = match probe_all(&pci, &iommu) {
        Ok(0) => report(Outcome::Fail, "the plan has no device for it"),
        Ok(_) => report(Outcome::Pass, "every device faulted at its own StreamID"),
        Err(reason) => report(Outcome::Fail, reason),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    loop {
        // Done; there is nothing to wait for.
        let _ = ipc::receive(0);
    }
}
