//! Drives every edu of a system: claims it, lets it write where nothing is mapped, and compares the fault
//! that the IOMMU server tells of with what was done.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu::{Direction, Edu, Transfer};
use iommu_api::client::{Device, Failure};
use supervisor::report::{self, Outcome};
use userlib::plan::task::DeviceEntry;
use userlib::registers::MappedRegisters;
use userlib::server::Server;
use userlib::{config, ipc, time};

userlib::task!(main);

/// Nanoseconds between two looks at a device or at the server.
const PAUSE: u64 = 10_000_000;
/// Looks before something is taken not to happen any more.
const LOOKS: usize = 300;
/// Bytes of the provoking transfer: one event for each access, so a short one.
const LENGTH: usize = 8;

fn why(error: Failure) -> &'static str {
    match error {
        Failure::Refused(error) => error.name(),
        _ => "no answer",
    }
}

fn pause() {
    let deadline = time::now().after(PAUSE);
    time::set_timer(Some(deadline));
    while time::now() < deadline {
        let _ = ipc::receive(abi::notification::TIMER);
    }
    time::set_timer(None);
}

/// Looks until `ready` gives something.
fn eventually<T>(mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..LOOKS {
        if let Some(found) = ready() {
            return Some(found);
        }
        pause();
    }
    None
}

fn probe(iommu: &Server, device: &'static DeviceEntry) -> Result<(), &'static str> {
    let claim = Device::claim(iommu, device.device).map_err(why)?;
    let registers = MappedRegisters::bar(device, 0).ok_or("its BAR is not mapped")?;
    let edu = Edu::new(registers).map_err(|_| "not an edu that answers")?;
    let window = claim.window();
    let iova = prober::target(window.iova_base, window.pages, device.device)
        .ok_or("the window is too small")?;
    let transfer = Transfer {
        direction: Direction::ToMemory,
        iova,
        offset: 0,
        len: LENGTH,
    };
    edu.start(&transfer)
        .map_err(|_| "the transfer did not start")?;
    eventually(|| (!edu.busy()).then_some(())).ok_or("the transfer did not end")?;
    edu.acknowledge();
    let record = eventually(|| claim.next_fault().map_err(why).transpose())
        .ok_or("no fault was recorded")??;
    prober::judge(&record, iova)?;
    claim.release().map_err(why)?;
    defmt::info!(
        "{=str}: write to {=u64:#x} faulted as planned",
        device.name.as_str(),
        iova
    );
    Ok(())
}

/// Probes all; the number of devices, or the first that failed and why.
fn probe_all(iommu: &Server) -> Result<usize, &'static str> {
    let devices = config::devices();
    for device in devices {
        if let Err(reason) = probe(iommu, device) {
            defmt::error!("{=str}: {=str}", device.name.as_str(), reason);
            return Err(reason);
        }
    }
    Ok(devices.len())
}

fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        panic!("the plan has no iommu for this driver");
    };
    let sent = match probe_all(&iommu) {
        Ok(0) => report::send(Outcome::Fail, "the plan has no device for it"),
        Ok(_) => report::send(Outcome::Pass, "every device faulted at its own StreamID"),
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
