//! Requests in the name of others.

use iommu_api::client::{Device, Failure};
use iommu_api::{Error, Extent, Handle, Iova, Map, MapFlags, Operation, Sequenced};
use userlib::protocol::Caller;
use userlib::server::Server;
use witness::attempt::Finished;

/// Device numbers tried; more than the demo has.
const DEVICES: u32 = 16;

/// Claims every device but its own, and maps into their domains with guessed handles.
pub fn claim_what_is_not_mine(iommu: &Server, own: u32) -> Finished {
    let mut finished = Finished {
        refused: 0,
        granted: 0,
    };
    let mut others = 0;
    let mut forged = 0;
    for device in (0..DEVICES).filter(|&device| device != own) {
        match Device::claim(iommu, device) {
            Ok(_) => finished.granted += 1,
            Err(Failure::Refused(Error::NotOwner)) => {
                others += 1;
                finished.refused += 1;
            }
            Err(Failure::Refused(Error::Blocked | Error::NoSuchDevice)) => finished.refused += 1,
            Err(_) => {}
        }
        match forged_map(iommu, device) {
            Ok(_) => finished.granted += 1,
            Err(Failure::Refused(_)) => {
                forged += 1;
                finished.refused += 1;
            }
            Err(_) => {}
        }
    }
    if finished.granted == 0 {
        defmt::info!(
            "claims of {=u32} devices of others: refused, {=str}; {=u32} forged handles: refused",
            others,
            Error::NotOwner.name(),
            forged,
        );
    } else {
        defmt::error!(
            "{=u64} requests in another's name were GRANTED",
            finished.granted
        );
    }
    finished
}

/// Maps the first page of this task's pool with the handle that the device's first owner was given.
fn forged_map(iommu: &Server, device: u32) -> Result<Iova, Failure> {
    let request = Map {
        head: Sequenced {
            handle: Handle::new(device as u16, 1),
            sequence: 1,
        },
        extent: Extent { first: 0, pages: 1 },
        pool: 0,
        flags: MapFlags::READ_WRITE,
        iova: 0,
    };
    iommu.exchange(Operation::Map as u16, &request, &[])
}
