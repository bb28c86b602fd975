//! What a provoked fault must look like, and the fabric that the PCI task found.
//!
//! The IOMMU server routes a fault to a device by the plan's StreamIDs. What a record says of its StreamID is
//! what the SMMU wrote, and is compared with a number worked out by hand, beside the topology in its file.
#![no_std]
#![forbid(unsafe_code)]

use iommu_api::FaultRecord;
use pci_api::{Description, DeviceState};

/// Event of an access to an IOVA that nothing is mapped at (IHI 0070, 7.3.12, F_TRANSLATION).
pub const TRANSLATION: u8 = 0x10;
/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// The IOVA that device number `device` is sent to: a page of its own, whatever shares its window.
/// `base` is the first IOVA of the window's page part, `pages` its length.
pub fn target(base: u64, pages: u64, device: u32) -> Option<u64> {
    let page = u64::from(device);
    if page >= pages {
        return None;
    }
    base.checked_add(page.checked_mul(PAGE)?)
}

/// What is wrong with the place at which the PCI task found a device: it should be at `requester`, and its
/// bus that of the one bridge which leads there, by that bridge's own registers. `functions` are all
/// functions of the fabric.
pub fn judge_place(
    found: &Description,
    requester: u64,
    functions: impl Iterator<Item = Description>,
) -> Result<(), &'static str> {
    if found.state != DeviceState::Ready {
        return Err("the PCI task did not find it as planned");
    }
    if u64::from(found.requester_id) != requester {
        return Err("the PCI task found it at another requester id");
    }
    let [_, bus] = found.requester_id.to_le_bytes();
    let to_it = |bridge: &Description| bridge.buses[0] == bus && bridge.buses[1] >= bus;
    let bridges = functions.filter(|function| bus != 0 && to_it(function));
    match (bus, bridges.count()) {
        (0, _) | (_, 1) => Ok(()),
        _ => Err("no bridge, or several, lead to its bus"),
    }
}

/// What is wrong with the record of a write to `iova` under the StreamID `stream`.
pub fn judge(record: &FaultRecord, stream: u64, iova: u64) -> Result<(), &'static str> {
    if u64::from(record.stream) != stream {
        return Err("the fault is of another StreamID");
    }
    if record.event != TRANSLATION {
        return Err("the fault is of another kind");
    }
    if record.read {
        return Err("the fault is a read, but the device wrote");
    }
    if record.iova & !(PAGE - 1) != iova {
        return Err("the fault is at another address");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_has_a_page_of_its_own() {
        assert_eq!(target(1 << 32, 512, 0), Some(1 << 32));
        assert_eq!(target(1 << 32, 512, 3), Some((1 << 32) + 3 * PAGE));
        assert_eq!(target(1 << 32, 512, 512), None);
        assert_eq!(target(u64::MAX, 512, 1), None);
    }

    fn function(requester_id: u16, buses: [u8; 2]) -> Description {
        Description {
            state: DeviceState::Ready,
            reason: None,
            bus_master: false,
            requester_id,
            vendor_id: 0x1234,
            device_id: 0x11e8,
            group: 0,
            buses,
        }
    }

    #[test]
    fn one_bridge_leads_to_a_device() {
        let found = function(0x208, [0; 2]);
        let port = function(8, [1, 2]);
        let bridge = function(0x100, [2, 2]);
        let judge = |requester, bridges: &[Description]| {
            judge_place(&found, requester, bridges.iter().copied()).is_ok()
        };
        assert!(judge(0x208, &[port, bridge, found]));
        assert!(!judge(0x200, &[port, bridge, found]));
        assert!(!judge(0x208, &[port, found]));
        assert!(!judge(0x208, &[port, bridge, bridge]));
        let closed = function(0x100, [2, 0]);
        assert!(!judge(0x208, &[port, closed]));
        let absent = Description {
            state: DeviceState::Absent,
            ..found
        };
        assert!(judge_place(&absent, 0x208, [bridge].into_iter()).is_err());
        let on_root = function(0x20, [0; 2]);
        assert_eq!(judge_place(&on_root, 0x20, [port].into_iter()), Ok(()));
    }

    #[test]
    fn only_the_provoked_fault_counts() {
        let good = FaultRecord {
            event: TRANSLATION,
            read: false,
            stream: 0x200,
            iova: 0x1_0000_3010,
            count: 1,
            lost: 0,
        };
        let page = 0x1_0000_3000;
        assert_eq!(judge(&good, 0x200, page), Ok(()));
        assert!(judge(&good, 0x201, page).is_err());
        assert!(judge(&good, 0x200, page + PAGE).is_err());
        let of_the_bridge = FaultRecord { stream: 0, ..good };
        let a_read = FaultRecord { read: true, ..good };
        let mapped = FaultRecord {
            event: 0x13,
            ..good
        };
        for other in [of_the_bridge, a_read, mapped] {
            assert!(judge(&other, 0x200, page).is_err());
        }
    }
}
