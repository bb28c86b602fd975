//! What many cases do.

use abi::Code;
use iommu_api::{Error, FaultRecord, OldestFault, Operation, Status, Window};
use suite::{Failure, Result, Stage, check, check_eq, check_is};
use userlib::config;
use userlib::ipc::Answer;
use userlib::plan::task::MappingKind;
use userlib::protocol::Wire;

use crate::message::{Words, about_device, extent, reply_len, send, what};
use crate::{devices, disk, edu0, edu1};

/// The device may read.
pub const READ: u64 = 1;
/// The device may read and write.
pub const BOTH: u64 = 3;
/// At the IOVA given.
pub const FIXED: u64 = 4;
/// In blocks.
pub const BLOCKS: u64 = 8;
/// Bytes of a page.
pub const PAGE: u64 = iommu_api::PAGE;
/// Bytes of a block.
pub const BLOCK: u64 = abi::layout::BLOCK;
/// Pages in a block.
pub const BLOCK_PAGES: u64 = iommu_api::BLOCK_PAGES;
/// Pages of the pool `pages`.
pub const POOL_PAGES: u64 = 16;
/// Pages of the window's page part, of either device.
pub const WINDOW_PAGES: u64 = 512;

/// The first word of the reply, or the code.
pub type Got = core::result::Result<u64, u32>;

/// The code of a request, 0 if it succeeded.
pub fn code(got: Got) -> u32 {
    got.err().unwrap_or(0)
}

/// The same of an answer.
pub fn got(answer: &Answer) -> Got {
    match answer.code {
        Code::OK => Ok(answer.payload[0]),
        Code(code) => Err(code),
    }
}

/// Number of a pool of this task.
pub fn pool(name: &str) -> u64 {
    config::mappings(MappingKind::Pool)
        .position(|pool| pool.name.as_str() == name)
        .map_or(u64::from(u16::MAX), |number| number as u64)
}

/// A claim of this task, and the words of its requests.
#[derive(Clone, Copy)]
pub struct Claimed {
    /// The device's number.
    pub device: u64,
    /// The claim's handle.
    pub handle: u64,
    /// Number of the last request.
    pub sequence: u64,
    /// Where to map.
    pub window: Window,
    /// Number of the pool that is mapped.
    pub pool: u64,
}

/// Asks for a claim.
pub fn claim_words(device: u64) -> Answer {
    send(
        Operation::Claim as u16,
        &about_device(device),
        reply_len(Operation::Claim),
        &[],
    )
}

/// Claims the only device of this driver.
pub fn claim() -> core::result::Result<Claimed, Failure> {
    let device = check_is!(config::devices().first(), Some(device) => device);
    claim_device(u64::from(device.device))
}

/// Claims a device.
pub fn claim_device(device: u64) -> core::result::Result<Claimed, Failure> {
    let answer = claim_words(device);
    check_eq!(answer.code.0, 0);
    check_eq!(answer.len, reply_len(Operation::Claim));
    let claim = check_is!(
        iommu_api::Claim::from_words(&answer.payload), Some(claim) => claim);
    Ok(Claimed {
        device,
        handle: claim.handle.0,
        sequence: claim.sequence,
        window: claim.window,
        pool: pool("pages"),
    })
}

impl Claimed {
    /// First IOVA of the page part.
    pub fn base(&self) -> u64 {
        self.window.iova_base
    }

    /// IOVA of a page of the page part.
    pub fn page(&self, number: u64) -> u64 {
        self.window.iova_base + number * PAGE
    }

    /// Sends a request that has handle and number as its first words.
    pub fn request(&mut self, operation: Operation, rest: &[u64]) -> Answer {
        self.sequence += 1;
        let mut message = Words::of(&[self.handle, self.sequence]);
        for &word in rest {
            message.push(word);
        }
        send(operation as u16, &message, reply_len(operation), &[])
    }

    /// Maps pages of the pool anywhere.
    pub fn map(&mut self, first: u64, pages: u64, flags: u64) -> Got {
        self.map_at(first, pages, flags, 0)
    }

    /// Maps with every word as given.
    pub fn map_at(&mut self, first: u64, pages: u64, flags: u64, iova: u64) -> Got {
        let rest = [extent(first, pages), what(self.pool, flags), iova];
        got(&self.request(Operation::Map, &rest))
    }

    /// Maps at page `page` of the window, readable.
    pub fn fix(&mut self, first: u64, pages: u64, page: u64) -> Got {
        self.map_at(first, pages, READ | FIXED, self.page(page))
    }

    /// Maps extents.
    pub fn map_list(&mut self, flags: u64, iova: u64, extents: &[(u64, u64)]) -> Got {
        let mut rest = Words::of(&[self.handle, self.sequence + 1, what(self.pool, flags), iova]);
        self.sequence += 1;
        for &(first, pages) in extents {
            rest.push(extent(first, pages));
        }
        got(&send(Operation::MapList as u16, &rest, 8, &[]))
    }

    /// Unmaps.
    pub fn unmap(&mut self, iova: u64, pages: u64) -> Got {
        got(&self.request(Operation::Unmap, &[iova, pages]))
    }

    /// Unmaps several ranges: first IOVA and pages.
    pub fn unmap_list(&mut self, ranges: &[(u64, u64)]) -> Got {
        self.sequence += 1;
        let mut message = Words::of(&[self.handle, self.sequence]);
        for &(iova, pages) in ranges {
            message.push(extent(iova >> 12, pages));
        }
        got(&send(Operation::UnmapList as u16, &message, 0, &[]))
    }

    /// Waits for everything unmapped.
    pub fn flush(&mut self) -> Got {
        got(&self.request(Operation::Flush, &[]))
    }

    /// Gives it back.
    pub fn release(&mut self) -> Got {
        got(&self.request(Operation::Release, &[]))
    }

    /// Its state.
    pub fn status(&self) -> core::result::Result<Status, Failure> {
        status(self.device)
    }

    /// The oldest fault.
    pub fn next_fault(&self) -> core::result::Result<Option<FaultRecord>, Failure> {
        let answer = send(
            Operation::NextFault as u16,
            &Words::of(&[self.handle]),
            reply_len(Operation::NextFault),
            &[],
        );
        check_eq!(answer.code.0, 0);
        check_eq!(answer.len, reply_len(Operation::NextFault));
        Ok(check_is!(OldestFault::from_words(&answer.payload), Some(OldestFault(fault)) => fault))
    }

    /// Fails unless so many pages are mapped.
    pub fn has_mapped(&self, pages: u64) -> Result {
        check_eq!(self.status()?.mapped_pages, pages);
        Ok(())
    }

    /// Fails unless the whole page part can be mapped, which shows that nothing is mapped in it; it is
    /// empty again afterwards.
    pub fn is_empty(&mut self) -> Result {
        let pages = self.window.pages;
        let own = self.pool;
        self.pool = pool("blocks");
        check_eq!(code(self.map_at(0, pages, READ | FIXED, self.base())), 0);
        check_eq!(code(self.unmap(self.base(), pages)), 0);
        self.pool = own;
        Ok(())
    }
}

/// State of a device.
pub fn status(device: u64) -> core::result::Result<Status, Failure> {
    let answer = send(
        Operation::Status as u16,
        &about_device(device),
        reply_len(Operation::Status),
        &[],
    );
    check_eq!(answer.code.0, 0);
    check_eq!(answer.len, reply_len(Operation::Status));
    Ok(check_is!(Status::from_words(&answer.payload), Some(status) => status))
}

/// The window of a device, claimed or not.
pub fn describe(device: u64) -> core::result::Result<Window, Failure> {
    let answer = send(
        Operation::Describe as u16,
        &about_device(device),
        reply_len(Operation::Describe),
        &[],
    );
    check_eq!(answer.code.0, 0);
    Ok(check_is!(Window::from_words(&answer.payload), Some(window) => window))
}

/// The error that a request for a device gets, with good lengths.
pub fn refusal(operation: Operation, device: u64) -> Option<Error> {
    let answer = send(
        operation as u16,
        &about_device(device),
        reply_len(operation),
        &[],
    );
    Error::from_code(answer.code.0)
}

/// A task is told of its own devices; the numbers of others are parameters.
pub fn numbers(_: &Stage) -> Result {
    check_eq!(config::devices().len(), 1);
    for number in [edu0(), edu1(), disk()] {
        check!(number < devices());
    }
    Ok(())
}

/// Waits until so many notes were left.
pub fn notes(stage: &Stage, count: u64) -> [u64; 7] {
    loop {
        let (found, notes) = stage.notes();
        if found >= count {
            return notes;
        }
        stage.pause(1);
    }
}
