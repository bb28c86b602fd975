//! What a provoked fault must look like.
//!
//! The IOMMU server routes a fault to a device by its StreamID in the plan. A record of the page that
//! this device alone was told to reach therefore says that the plan's StreamID is the real one.
#![no_std]
#![forbid(unsafe_code)]

use iommu_api::FaultRecord;

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

/// What is wrong with the record of a write to `iova`.
pub fn judge(record: &FaultRecord, iova: u64) -> Result<(), &'static str> {
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

    #[test]
    fn only_the_provoked_fault_counts() {
        let good = FaultRecord {
            event: TRANSLATION,
            read: false,
            iova: 0x1_0000_3010,
            count: 1,
            lost: 0,
        };
        assert_eq!(judge(&good, 0x1_0000_3000), Ok(()));
        assert!(judge(&good, 0x1_0000_4000).is_err());
        assert!(judge(&FaultRecord { read: true, ..good }, 0x1_0000_3000).is_err());
        assert!(
            judge(
                &FaultRecord {
                    event: 0x13,
                    ..good
                },
                0x1_0000_3000
            )
            .is_err()
        );
    }
}
