use crate::*;
use userlib::protocol::Wire;

fn head() -> Sequenced {
    Sequenced {
        handle: Handle::new(0x1234, 0x0fed_cba9_8765),
        sequence: 0x1122_3344_5566_7788,
    }
}

#[test]
fn handle_fields() {
    let handle = head().handle;
    assert_eq!(handle.slot(), 0x1234);
    assert_eq!(handle.generation(), 0x0fed_cba9_8765);
}

#[test]
fn requests_round_trip() {
    let map = Map {
        head: head(),
        extent: Extent {
            first: 0xdead_beef,
            pages: 0x1234_5678,
        },
        pool: 0xabcd,
        flags: MapFlags::READ_WRITE.with(MapFlags::FIXED),
        iova: 0x1_0000_2000,
    };
    assert_eq!(Map::from_words(&map.to_words()), Some(map));
    assert!(map.to_words()[Map::LEN / 8..].iter().all(|&word| word == 0));

    let lease = MapLease {
        head: head(),
        extent: map.extent,
        lease: 1,
        flags: MapFlags::READ,
        iova: 0,
        lender: 0x0102_0304_0506_0708,
    };
    assert_eq!(MapLease::from_words(&lease.to_words()), Some(lease));
    assert!(
        lease.to_words()[MapLease::LEN / 8..]
            .iter()
            .all(|&word| word == 0)
    );

    let unmap = Unmap {
        head: head(),
        iova: 0x1_0000_2000,
        pages: 17,
    };
    assert_eq!(Unmap::from_words(&unmap.to_words()), Some(unmap));

    let list = MapList {
        head: head(),
        pool: 7,
        flags: MapFlags::READ,
        iova: 0,
    };
    assert_eq!(MapList::from_words(&list.to_words()), Some(list));
    let unlist = UnmapList { head: head() };
    assert_eq!(UnmapList::from_words(&unlist.to_words()), unlist);

    let exchange = Exchange {
        head: head(),
        extent: map.extent,
        pool: 0xabcd,
        flags: MapFlags::READ,
        iova: 0x1_0000_2000,
    };
    assert_eq!(Exchange::from_words(&exchange.to_words()), Some(exchange));
    let list = ExchangeList {
        head: head(),
        pool: 7,
        flags: MapFlags::READ_WRITE,
    };
    assert_eq!(ExchangeList::from_words(&list.to_words()), Some(list));
    let replacement = Replacement {
        page: 0xdead_beef,
        at: 0x1234_5678,
    };
    assert_eq!(replacement.to_word(), 0x1234_5678_dead_beef);
    assert_eq!(Replacement::from_word(replacement.to_word()), replacement);
}

#[test]
fn undefined_flags_are_refused() {
    let mut words = Map {
        head: head(),
        extent: Extent { first: 0, pages: 1 },
        pool: 0,
        flags: MapFlags::READ,
        iova: 0,
    }
    .to_words();
    words[3] |= 1 << 20;
    assert_eq!(Map::from_words(&words), None);
    assert_eq!(
        DeviceRequest::from_words(&[1 << 32, 0, 0, 0, 0, 0, 0, 0]),
        None
    );
}

#[test]
fn answers_round_trip() {
    let window = Window {
        iova_base: 0x1_0000_0000,
        pages: 512,
        block_base: 0x1_0020_0000,
        blocks: 3,
    };
    assert_eq!(Window::from_words(&window.to_words()), Some(window));
    let claim = Claim {
        handle: head().handle,
        sequence: 9,
        window,
    };
    assert_eq!(Claim::from_words(&claim.to_words()), Some(claim));
    assert_eq!(Window::from_words(&[u64::MAX, 1, 0, 0, 0, 0, 0, 0]), None);

    let fault = FaultRecord {
        event: 0x10,
        read: true,
        stream: 0x8765_4321,
        iova: 0x1234,
        count: 3,
        lost: 4,
    };
    let words = OldestFault(Some(fault)).to_words();
    assert_eq!(
        OldestFault::from_words(&words),
        Some(OldestFault(Some(fault)))
    );
    assert_eq!(OldestFault::from_words(&[0; 8]), Some(OldestFault(None)));
    assert_eq!(words[0], 0x8765_4321 << 32 | 0x1_1001);
    assert_eq!(OldestFault::from_words(&[2, 0, 0, 0, 0, 0, 0, 0]), None);
    assert_eq!(
        OldestFault::from_words(&[1 << 32, 0, 0, 0, 0, 0, 0, 0]),
        None
    );

    let status = Status {
        flags: StatusFlags(StatusFlags::CLAIMED | StatusFlags::OPEN),
        last_event: 0x13,
        last_read: false,
        last_stream: 0x1_0000,
        last_iova: 0x5000,
        faults: 6,
        lost: 7,
        mapped_pages: 8,
        claims: 9,
    };
    assert_eq!(status.to_words()[0], 0x1_0000 << 32 | 0x1303);
    assert_eq!(Status::from_words(&status.to_words()), Some(status));
    assert_eq!(Status::from_words(&[1 << 17, 0, 0, 0, 0, 0, 0, 0]), None);
}

#[test]
fn codes_and_operations_are_unique() {
    for error in Error::ALL {
        assert_eq!(Error::from_code(error as u32), Some(error));
        let same_name = Error::ALL.iter().filter(|e| e.name() == error.name());
        assert_eq!(same_name.count(), 1);
    }
    assert_eq!(Error::from_code(0), None);
    for number in 0..64 {
        if let Some(operation) = Operation::from_number(number) {
            assert_eq!(operation as u16, number);
        }
    }
    assert_eq!(Operation::from_number(0), None);
    assert_eq!(Operation::from_number(16), None);
}

#[test]
fn an_extent_is_one_word_as_bytes_too() {
    use zerocopy::IntoBytes;
    let extent = Extent {
        first: 0x0102_0304,
        pages: 0x0506_0708,
    };
    assert_eq!(extent.as_bytes(), extent.to_word().to_le_bytes());
    assert_eq!(Extent::from_word(extent.to_word()), extent);
}

#[test]
fn a_list_takes_as_many_as_it_has_room_for() {
    let page = |first| Extent { first, pages: 1 };
    let room = MapList::EXTENTS_MAX as u32;
    for (before, more) in [(0, 0), (0, 5), (3, room - 3), (3, room - 2), (room, 1)] {
        let mut list = crate::client::PoolList::new();
        assert!(list.extend((0..before).map(page)));
        let all = list.extend((before..before + more).map(page));
        assert_eq!(all, before + more <= room, "{before} and {more}");
        let held = (before + more).min(room);
        assert!(list.extents().eq((0..held).map(page)));
        assert_eq!(list.push(page(held)), held < room);
    }
}
