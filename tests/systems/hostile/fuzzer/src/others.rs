//! Near-valid messages to the PCI task, the disk's driver and the supervisor.

use abi::LeaseAttributes;
use blk_api::{Geometry, Kind, LEASE};
use pci_api::{
    BusMaster, ConfigRead, ConfigWrite, Describe, GetBootStatus, QuiesceResult, QuiesceStart,
    Request, Width,
};
use queue_api::message::{REPLY_BYTES, requests_to_words};
use queue_api::{Fields, REQUESTS_MAX, Request as Asked};
use supervisor_api::{Detail, Operation, Outcome, Report};
use userlib::protocol::Wire;

use crate::choice::Choice;
use crate::shot::{Lent, Shot};

fn request<R: Request>(request: &R) -> Shot {
    let reply = <R::Reply as Wire>::LEN;
    Shot::new(R::OPERATION as u16, request.to_words(), R::LEN, reply)
}

/// To the PCI task. `own` is the fuzzer's device.
pub fn pci(own: u32, choice: &mut Choice) -> Shot {
    let device = match choice.below(6) {
        0 => choice.below(16) as u32,
        1 => choice.edge() as u32,
        _ => own,
    };
    let width = choice.of([Width::Byte, Width::HalfWord, Width::Word]);
    let anywhere = choice.below(4096) as u16;
    let offset = match choice.below(4) {
        0 => choice.of([0x04, 0x06, 0x0c, 0x3c, 0x10, 0x34]),
        1 => choice.edge() as u16,
        _ => anywhere - anywhere % width as u16,
    };
    match choice.below(10) {
        0..=3 => request(&ConfigRead {
            device,
            offset,
            width,
        }),
        4 | 5 => request(&ConfigWrite {
            device,
            offset,
            width,
            value: choice.edge() as u32 & width.mask(),
        }),
        6 => request(&Describe { device }),
        // The rest is reserved to the authority.
        7 => request(&GetBootStatus),
        8 => request(&BusMaster {
            device,
            on: choice.one_in(2),
        }),
        _ if choice.one_in(2) => request(&QuiesceStart { device }),
        _ => request(&QuiesceResult { device }),
    }
}

/// Pages that the fuzzer lends for disk requests.
const LENT_PAGES: u64 = 4;
const PAGE: u64 = abi::layout::PAGE;

/// To the disk's driver.
pub fn disk(pool_pages: u32, choice: &mut Choice) -> Shot {
    match choice.below(10) {
        0 => Shot::new(
            blk_api::Operation::Geometry as u16,
            [0; 8],
            0,
            Geometry::LEN,
        ),
        1..=3 => Shot::new(blk_api::Operation::Run as u16, [0; 8], 0, REPLY_BYTES),
        // Nothing under way is no reason to wait for ever.
        4 => Shot::new(blk_api::Operation::Wait as u16, [0; 8], 0, REPLY_BYTES),
        _ => transfers(pool_pages, choice),
    }
}

fn transfer(choice: &mut Choice) -> Asked {
    let kind = match choice.below(8) {
        0 => Kind::Flush as u8,
        1 => Kind::Write as u8,
        2 => choice.bits() as u8,
        _ => Kind::Read as u8,
    };
    let length = match choice.below(8) {
        0 => choice.edge() as u32,
        _ => 512 * (1 + choice.below(8 * LENT_PAGES) as u32),
    };
    let position = match choice.below(8) {
        0 => choice.edge(),
        _ => choice.below(16 << 11),
    };
    Asked::new(&Fields {
        operation: kind,
        tag: choice.bits() as u16,
        region: if choice.one_in(8) {
            choice.bits() as u8
        } else {
            LEASE
        },
        page: choice.below(LENT_PAGES + 1) as u32,
        offset: if choice.one_in(4) {
            choice.bits() as u16
        } else {
            0
        },
        length: if kind == Kind::Flush as u8 { 0 } else { length },
        position,
    })
}

fn transfers(pool_pages: u32, choice: &mut Choice) -> Shot {
    let operation = choice.of([blk_api::Operation::Run, blk_api::Operation::Wait]);
    let count = 1 + choice.below(REQUESTS_MAX as u64) as usize;
    let (payload, len) = requests_to_words((0..count).map(|_| transfer(choice)));
    let shot = Shot::new(operation as u16, payload, len, REPLY_BYTES);
    if choice.one_in(16) {
        return shot;
    }
    let first = choice.below(u64::from(pool_pages).saturating_sub(LENT_PAGES));
    let attributes = match choice.below(8) {
        0 => LeaseAttributes::WRITE,
        1 => LeaseAttributes::READ,
        _ => LeaseAttributes::all(),
    };
    shot.lending(Lent {
        offset: (first * PAGE) as usize,
        len: (LENT_PAGES * PAGE) as usize,
        attributes,
    })
}

/// To the supervisor: reports of a task that nobody waits for.
pub fn supervisor(choice: &mut Choice) -> Shot {
    let outcome = choice.of([Outcome::Pass, Outcome::Fail]);
    let text = choice.of(["", "done", "a\u{7}b", "größer"]);
    let report = Report {
        outcome,
        detail: Detail::new(text),
    };
    Shot::new(Operation::Report as u16, report.to_words(), Report::LEN, 0)
}
