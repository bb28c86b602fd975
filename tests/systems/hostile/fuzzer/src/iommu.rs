//! Near-valid messages to the IOMMU server.

use abi::TaskId;
use iommu_api::{
    Claim, DeviceRequest, Exchange, ExchangeList, Extent, HandleRequest, Map, MapFlags, MapLease,
    MapList, OldestFault, Operation, PAGE, REGISTERED, Register, Replacement, Sequenced, Status,
    Unmap, UnmapList, Unregister, Window,
};
use userlib::protocol::Wire;

use crate::choice::Choice;
use crate::session::Session;
use crate::shot::{LONG_WORDS, Shot};

/// How often each is sent, of 100, but for `release`.
const WEIGHTS: [(Operation, u64); 14] = [
    (Operation::Register, 3),
    (Operation::Unregister, 2),
    (Operation::Map, 22),
    (Operation::Unmap, 17),
    (Operation::Exchange, 5),
    (Operation::ExchangeList, 3),
    (Operation::MapList, 8),
    (Operation::UnmapList, 8),
    (Operation::MapLease, 5),
    (Operation::Claim, 7),
    (Operation::Flush, 4),
    (Operation::NextFault, 8),
    (Operation::Describe, 4),
    (Operation::Status, 4),
];
/// One message in so many is a `release`: making the device quiet afterwards can take the 100 ms of a
/// transfer, in which the fuzzer waits.
const RELEASE_EVERY: u64 = 400;

fn operation(choice: &mut Choice) -> Operation {
    if choice.one_in(RELEASE_EVERY) {
        return Operation::Release;
    }
    let mut left = choice.below(100);
    for (operation, weight) in WEIGHTS {
        match left.checked_sub(weight) {
            Some(rest) => left = rest,
            None => return operation,
        }
    }
    Operation::Claim
}

fn rights(choice: &mut Choice) -> MapFlags {
    match choice.below(16) {
        0 => MapFlags(0),
        // Writing without reading, which stage 1 cannot express.
        1 => MapFlags(2),
        2 => MapFlags(choice.bits() as u16),
        3..=7 => MapFlags::READ,
        _ => MapFlags::READ_WRITE,
    }
}

fn flags(choice: &mut Choice) -> MapFlags {
    let rights = rights(choice);
    let rights = if choice.one_in(4) {
        rights.with(MapFlags::FIXED)
    } else {
        rights
    };
    if choice.one_in(12) {
        rights.with(MapFlags::BLOCKS)
    } else {
        rights
    }
}

fn device(session: &Session, choice: &mut Choice) -> DeviceRequest {
    DeviceRequest {
        device: match choice.below(8) {
            0 => choice.below(16) as u32,
            1 => choice.edge() as u32,
            _ => session.device,
        },
    }
}

fn head(session: &Session, choice: &mut Choice) -> Sequenced {
    Sequenced {
        handle: session.any_handle(choice),
        sequence: session.any_sequence(choice),
    }
}

/// Words of a list: often a few, sometimes as many as fit. Returns the message's words.
fn list(
    header: &[u64],
    long: &mut [u64; LONG_WORDS],
    choice: &mut Choice,
    mut word: impl FnMut(&mut Choice) -> u64,
) -> usize {
    let count = match choice.below(16) {
        0 => 0,
        1 => choice.below(LONG_WORDS as u64),
        2 => LONG_WORDS as u64,
        _ => 1 + choice.below(8),
    };
    let len = LONG_WORDS.min(header.len() + count as usize);
    for (to, from) in long.iter_mut().zip(header) {
        *to = *from;
    }
    for to in long.iter_mut().take(len).skip(header.len()) {
        *to = word(choice);
    }
    len
}

/// A run of IOVA pages.
fn iovas(session: &Session, choice: &mut Choice) -> Extent {
    if choice.one_in(8) {
        return Extent {
            first: (session.any_iova(choice) / PAGE) as u32,
            pages: choice.below(4) as u32,
        };
    }
    let (iova, pages) = session.any_mapped(choice);
    Extent {
        first: (iova / PAGE) as u32,
        pages,
    }
}

/// A page of the pool for a page that is mapped, or nearly.
fn replacement(session: &Session, choice: &mut Choice) -> Replacement {
    let iova = if choice.one_in(8) {
        session.any_iova(choice)
    } else {
        let (iova, pages) = session.any_mapped(choice);
        iova.wrapping_add(choice.below(u64::from(pages)) * PAGE)
    };
    Replacement {
        page: session.any_extent(choice).first,
        at: (iova / PAGE) as u32,
    }
}

fn map(session: &Session, choice: &mut Choice) -> Map {
    Map {
        head: head(session, choice),
        extent: session.any_extent(choice),
        pool: if choice.one_in(24) {
            choice.edge() as u16
        } else {
            0
        },
        flags: flags(choice),
        iova: session.any_iova(choice),
    }
}

/// Nobody may call the fuzzer, so no lender is right.
fn map_lease(session: &Session, choice: &mut Choice) -> MapLease {
    MapLease {
        head: head(session, choice),
        extent: session.any_extent(choice),
        lease: choice.below(3) as u16,
        flags: flags(choice),
        iova: 0,
        lender: TaskId::new(choice.below(16) as u8, choice.below(2)).0,
    }
}

fn register(session: &Session, choice: &mut Choice) -> Register {
    Register {
        head: head(session, choice),
        extent: session.any_extent(choice),
        lease: choice.below(3) as u16,
        lender: TaskId::new(choice.below(16) as u8, choice.below(2)).0,
    }
}

fn unregister(session: &Session, choice: &mut Choice) -> Unregister {
    Unregister {
        head: head(session, choice),
        pool: REGISTERED.wrapping_add(choice.below(3) as u16),
    }
}

fn unmap(session: &Session, choice: &mut Choice) -> Unmap {
    let (iova, pages) = session.any_mapped(choice);
    Unmap {
        head: head(session, choice),
        iova: if choice.one_in(6) {
            session.any_iova(choice)
        } else {
            iova
        },
        pages: if choice.one_in(6) {
            choice.edge()
        } else {
            u64::from(pages)
        },
    }
}

fn map_list(session: &Session, choice: &mut Choice) -> MapList {
    MapList {
        head: head(session, choice),
        pool: 0,
        flags: flags(choice),
        iova: session.any_iova(choice),
    }
}

/// What an honest driver might send, or nearly. The part beyond 64 bytes of a long message is in `long`.
pub fn near_valid(session: &Session, choice: &mut Choice, long: &mut [u64; LONG_WORDS]) -> Shot {
    let operation = operation(choice);
    let about = |choice: &mut Choice| (device(session, choice).to_words(), DeviceRequest::LEN);
    let ((payload, len), reply) = match operation {
        Operation::Describe => (about(choice), Window::LEN),
        Operation::Claim => (about(choice), Claim::LEN),
        Operation::Status => (about(choice), Status::LEN),
        Operation::Release | Operation::Flush => {
            ((head(session, choice).to_words(), Sequenced::LEN), 0)
        }
        Operation::NextFault => {
            let handle = session.any_handle(choice);
            let request = HandleRequest { handle };
            ((request.to_words(), HandleRequest::LEN), OldestFault::LEN)
        }
        Operation::Map => ((map(session, choice).to_words(), Map::LEN), 8),
        Operation::MapLease => ((map_lease(session, choice).to_words(), MapLease::LEN), 8),
        Operation::Register => ((register(session, choice).to_words(), Register::LEN), 8),
        Operation::Unregister => {
            let words = unregister(session, choice).to_words();
            ((words, Unregister::LEN), 0)
        }
        Operation::Unmap => ((unmap(session, choice).to_words(), Unmap::LEN), 0),
        Operation::Exchange => {
            let map = map(session, choice);
            let exchange = Exchange {
                head: map.head,
                extent: map.extent,
                pool: map.pool,
                flags: rights(choice),
                iova: session.any_iova(choice),
            };
            ((exchange.to_words(), Exchange::LEN), 0)
        }
        Operation::ExchangeList => {
            let header = ExchangeList {
                head: head(session, choice),
                pool: 0,
                flags: rights(choice),
            };
            let words = list(&header.to_words(), long, choice, |choice| {
                replacement(session, choice).to_word()
            });
            ((first(long), 8 * words), 0)
        }
        Operation::MapList => {
            let header = map_list(session, choice).to_words();
            let words = list(&header, long, choice, |choice| {
                session.any_extent(choice).to_word()
            });
            ((first(long), 8 * words), 8)
        }
        Operation::UnmapList => {
            let header = UnmapList {
                head: head(session, choice),
            };
            let words = list(&header.to_words(), long, choice, |choice| {
                iovas(session, choice).to_word()
            });
            ((first(long), 8 * words), 0)
        }
    };
    Shot::new(operation as u16, payload, len, reply)
}

/// The words that travel in registers if the message is short.
fn first(long: &[u64; LONG_WORDS]) -> [u64; 8] {
    let mut payload = [0; 8];
    for (to, from) in payload.iter_mut().zip(long) {
        *to = *from;
    }
    payload
}
