//! `describe` and `status`: who may see what.

use iommu_api::{Error, Operation, StatusFlags, Window};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};
use userlib::protocol::Wire;

use crate::help::{BLOCK_PAGES, BLOCKS, READ, WINDOW_PAGES, claim, numbers, pool, refusal, status};
use crate::message::{about_device, reply_len, send};
use crate::{FIRST, HOST_BRIDGE, OUTSIDER, SECOND, alone, devices, disk, edu0, edu1, root_port};

fn describe(device: u64) -> core::result::Result<Window, suite::Failure> {
    let answer = send(
        Operation::Describe as u16,
        &about_device(device),
        reply_len(Operation::Describe),
        &[],
    );
    check_eq!(answer.code.0, 0);
    check_eq!(answer.len, Window::LEN);
    Ok(check_is!(Window::from_words(&answer.payload), Some(window) => window))
}

fn describe_own(_: &Stage) -> Result {
    let window = describe(edu0())?;
    check_eq!(window.pages, WINDOW_PAGES);
    check_eq!(window.blocks, 2);
    check_eq!(window.iova_base % (2 << 20), 0);
    check_eq!(window.block_base % (2 << 20), 0);
    // Nobody has to claim a device to be told of it, and a claim says the same.
    check!(claim()?.window == window);
    Ok(())
}

fn parts_apart(_: &Stage) -> Result {
    let window = describe(edu0())?;
    let pages_end = window.iova_base + window.pages * 4096;
    let blocks_end = window.block_base + window.blocks * (2 << 20);
    check!(window.block_base >= pages_end || window.iova_base >= blocks_end);
    Ok(())
}

fn strangers(operation: Operation) -> Result {
    for device in [edu0(), edu1(), disk()] {
        check!(refusal(operation, device) == Some(Error::NotOwner));
    }
    Ok(())
}

fn other_drivers(operation: Operation) -> Result {
    for device in [edu1(), disk(), HOST_BRIDGE, root_port()] {
        check!(refusal(operation, device) == Some(Error::NotOwner));
    }
    Ok(())
}

fn beyond(operation: Operation) -> Result {
    for device in [
        devices(),
        devices() + 1,
        64,
        256,
        0xffff,
        u64::from(u32::MAX),
    ] {
        check!(refusal(operation, device) == Some(Error::NoSuchDevice));
    }
    Ok(())
}

fn wide(operation: Operation) -> Result {
    for device in [1 << 32, 1 << 32 | edu0(), 1 << 63 | edu0(), u64::MAX] {
        check!(refusal(operation, device) == Some(Error::Malformed));
    }
    Ok(())
}

fn status_before_and_after(_: &Stage) -> Result {
    let before = status(edu0())?;
    check_eq!(before.flags.0, 0);
    check_eq!(before.mapped_pages, 0);
    let mut claimed = claim()?;
    let during = status(edu0())?;
    check_eq!(during.flags.0, StatusFlags::CLAIMED | StatusFlags::OPEN);
    check_eq!(during.claims, before.claims + 1);
    check!(claimed.release().is_ok());
    let after = status(edu0())?;
    check_eq!(after.flags.0, 0);
    check_eq!(after.claims, before.claims + 1);
    Ok(())
}

fn status_counts(_: &Stage) -> Result {
    let mut claimed = claim()?;
    claimed.has_mapped(0)?;
    let five = check_is!(claimed.map(0, 5, READ), Ok(iova) => iova);
    claimed.has_mapped(5)?;
    let again = check_is!(claimed.map(0, 5, READ), Ok(iova) => iova);
    claimed.has_mapped(10)?;
    check!(claimed.unmap(five, 2).is_ok());
    claimed.has_mapped(8)?;
    claimed.pool = pool("blocks");
    let block = check_is!(claimed.map(0, BLOCK_PAGES, READ | BLOCKS), Ok(iova) => iova);
    claimed.has_mapped(8 + BLOCK_PAGES)?;
    check!(claimed.unmap(block, BLOCK_PAGES).is_ok());
    check!(claimed.unmap(again, 5).is_ok());
    check!(claimed.unmap(five + 2 * 4096, 3).is_ok());
    claimed.has_mapped(0)
}

fn undefined_operations(_: &Stage) -> Result {
    let numbers = (0..=255).chain([0x7fff, 0xffff]);
    for operation in numbers.filter(|number| Operation::from_number(*number).is_none()) {
        for len in [0, 8, 64, 72, 4096] {
            let message = about_device(edu0()).with_len(len);
            check_eq!(send(operation, &message, 64, &[]).code.0, Error::Malformed);
        }
    }
    Ok(())
}

pub const CASES: &[Case] = &[
    Case::new(
        "numbers-of-the-plan",
        &["IOMMU-LOOK-2"],
        &[
            Part::returns(FIRST, numbers),
            Part::returns(SECOND, numbers),
        ],
    ),
    alone!(
        "describe-own-device",
        &["IOMMU-LOOK-3", "IOMMU-LOOK-1"],
        describe_own
    ),
    alone!(
        "page-and-block-part-are-apart",
        &["IOMMU-LOOK-3"],
        parts_apart
    ),
    Case::new(
        "describe-by-an-auditor",
        &["IOMMU-LOOK-1"],
        &[Part::returns(SECOND, |_| {
            check_eq!(describe(edu0())?.pages, WINDOW_PAGES);
            Ok(())
        })],
    ),
    Case::new(
        "describe-by-a-stranger",
        &["IOMMU-LOOK-1"],
        &[Part::returns(OUTSIDER, |_| strangers(Operation::Describe))],
    ),
    alone!("describe-a-device-of-another", &["IOMMU-LOOK-1"], |_| {
        other_drivers(Operation::Describe)
    }),
    alone!("describe-no-device", &["IOMMU-LOOK-2"], |_| beyond(
        Operation::Describe
    )),
    alone!("describe-a-wide-number", &["IOMMU-FORM-5"], |_| wide(
        Operation::Describe
    )),
    alone!(
        "status-through-a-claim",
        &["IOMMU-LOOK-5", "IOMMU-REL-1"],
        status_before_and_after
    ),
    alone!("status-counts-pages", &["IOMMU-LOOK-5"], status_counts),
    Case::new(
        "status-by-an-auditor",
        &["IOMMU-LOOK-1"],
        &[Part::returns(SECOND, |_| {
            check_eq!(status(edu0())?.flags.0, 0);
            Ok(())
        })],
    ),
    Case::new(
        "status-by-a-stranger",
        &["IOMMU-LOOK-1"],
        &[Part::returns(OUTSIDER, |_| strangers(Operation::Status))],
    ),
    alone!("status-of-a-device-of-another", &["IOMMU-LOOK-1"], |_| {
        other_drivers(Operation::Status)
    }),
    alone!("status-of-no-device", &["IOMMU-LOOK-2"], |_| beyond(
        Operation::Status
    )),
    alone!("status-of-a-wide-number", &["IOMMU-FORM-5"], |_| wide(
        Operation::Status
    )),
    alone!(
        "operations-that-do-not-exist",
        &["IOMMU-FORM-1"],
        undefined_operations
    ),
    Case::new(
        "claim-by-a-stranger",
        &["IOMMU-CLAIM-1"],
        &[Part::returns(OUTSIDER, |_| strangers(Operation::Claim))],
    ),
    alone!("claim-a-device-of-another", &["IOMMU-CLAIM-1"], |_| {
        other_drivers(Operation::Claim)
    }),
    alone!("claim-no-device", &["IOMMU-LOOK-2"], |_| beyond(
        Operation::Claim
    )),
    alone!("claim-a-wide-number", &["IOMMU-FORM-5"], |_| wide(
        Operation::Claim
    )),
];
