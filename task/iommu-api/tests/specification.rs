//! The tables of `docs/reference/iommu-protocol.md` say what the code does.

use std::collections::BTreeSet;
use std::path::Path;

use iommu_api::{
    Claim, DeviceRequest, Error, Exchange, ExchangeList, Extent, FaultRecord, Handle,
    HandleRequest, Map, MapFlags, MapLease, MapList, OldestFault, Operation, Register, Replacement,
    Sequenced, Status, StatusFlags, Unmap, UnmapList, Unregister, Window,
};
use userlib::protocol::Wire;

fn page() -> String {
    reference("iommu-protocol.md")
}

fn reference(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    std::fs::read_to_string(folder.join(file)).expect("the specification")
}

/// Rows of the table whose head begins with these cells, without the head.
fn table(head: &[&str]) -> Vec<Vec<String>> {
    let page = page();
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect()
    };
    let rows: Vec<Vec<String>> = page
        .lines()
        .skip_while(|line| !(line.starts_with('|') && cells(line).starts_with(&owned(head))))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "no table {head:?}");
    rows
}

fn owned(cells: &[&str]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

fn number(cell: &str) -> u64 {
    cell.parse().expect("a number")
}

/// Name as in the table, request bytes without extents, whether extents follow, reply bytes.
fn lengths(operation: Operation) -> (&'static str, usize, bool, usize) {
    match operation {
        Operation::Describe => ("describe", DeviceRequest::LEN, false, Window::LEN),
        Operation::Claim => ("claim", DeviceRequest::LEN, false, Claim::LEN),
        Operation::Release => ("release", Sequenced::LEN, false, 0),
        Operation::Map => ("map", Map::LEN, false, 8),
        Operation::MapLease => ("map_lease", MapLease::LEN, false, 8),
        Operation::MapList => ("map_list", MapList::WORDS * 8, true, 8),
        Operation::Unmap => ("unmap", Unmap::LEN, false, 0),
        Operation::UnmapList => ("unmap_list", UnmapList::WORDS * 8, true, 0),
        Operation::Flush => ("flush", Sequenced::LEN, false, 0),
        Operation::NextFault => ("next_fault", HandleRequest::LEN, false, OldestFault::LEN),
        Operation::Status => ("status", DeviceRequest::LEN, false, Status::LEN),
        Operation::Exchange => ("exchange", Exchange::LEN, false, 0),
        Operation::ExchangeList => ("exchange_list", ExchangeList::WORDS * 8, true, 0),
        Operation::Register => ("register", Register::LEN, false, 8),
        Operation::Unregister => ("unregister", Unregister::LEN, false, 0),
    }
}

#[test]
fn operations() {
    let rows = table(&["number", "operation"]);
    let defined: Vec<Operation> = (0..=u16::MAX).filter_map(Operation::from_number).collect();
    assert_eq!(rows.len(), defined.len());
    for (row, operation) in rows.iter().zip(defined) {
        let (name, request, list, reply) = lengths(operation);
        let extents = if list { " + 8 n" } else { "" };
        assert_eq!(number(&row[0]), operation as u64);
        assert_eq!(row[1], name);
        assert_eq!(row[3], format!("{request}{extents}"), "{name}");
        assert_eq!(row[4], reply.to_string(), "{name}");
    }
}

#[test]
fn errors() {
    let rows = table(&["code", "name"]);
    assert_eq!(rows.len(), Error::ALL.len());
    for (row, error) in rows.iter().zip(Error::ALL) {
        assert_eq!(number(&row[0]), error as u64);
        assert_eq!(row[1], format!("{error:?}"));
    }
}

/// The page for authors of drivers says what to do about each error of `claim` and `map`, and knows no other.
#[test]
fn errors_that_a_driver_gets() {
    let page = reference("userlib.md");
    let mut named = BTreeSet::new();
    let mut rows = page.lines();
    while rows.by_ref().any(|line| line.starts_with("| refused with")) {
        let rows = rows.by_ref().take_while(|line| line.starts_with('|'));
        named.extend(rows.skip(1).filter_map(|row| row.split('`').nth(1)));
    }
    let all: BTreeSet<String> = Error::ALL.map(|error| format!("{error:?}")).into();
    let elsewhere = ["NotMapped", "PartOfLease"];
    for name in elsewhere {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    let named = named.into_iter().chain(elsewhere).map(ToString::to_string);
    assert_eq!(named.collect::<BTreeSet<_>>(), all);
}

const HEAD: Sequenced = Sequenced {
    handle: Handle::new(7, 9),
    sequence: 11,
};
const EXTENT: Extent = Extent {
    first: 13,
    pages: 17,
};
const IOVA: u64 = 23 << 12;
const LENDER: u64 = 29;

/// Words that the code makes of a request whose fields are all different.
fn words_of(operation: &str) -> Vec<u64> {
    let (head, extent, iova) = (HEAD, EXTENT, IOVA);
    let flags = MapFlags::READ.with(MapFlags::FIXED);
    let with_extent = |header: &[u64]| [header, &[extent.to_word()]].concat();
    match operation {
        "describe" | "claim" | "status" => DeviceRequest { device: 31 }.to_words().to_vec(),
        "next_fault" => HandleRequest {
            handle: head.handle,
        }
        .to_words()
        .to_vec(),
        "release" | "flush" => head.to_words().to_vec(),
        "map" => Map {
            head,
            extent,
            pool: 19,
            flags,
            iova,
        }
        .to_words()
        .to_vec(),
        "map_lease" => MapLease {
            head,
            extent,
            lease: 21,
            flags,
            iova,
            lender: LENDER,
        }
        .to_words()
        .to_vec(),
        "register" => Register {
            head,
            extent,
            lease: 21,
            lender: LENDER,
        }
        .to_words()
        .to_vec(),
        "unregister" => Unregister { head, pool: 19 }.to_words().to_vec(),
        "map_list" => with_extent(
            &MapList {
                head,
                pool: 19,
                flags,
                iova,
            }
            .to_words(),
        ),
        "unmap" => Unmap {
            head,
            iova,
            pages: 37,
        }
        .to_words()
        .to_vec(),
        "unmap_list" => with_extent(&UnmapList { head }.to_words()),
        "exchange" => Exchange {
            head,
            extent,
            pool: 19,
            flags: MapFlags::READ_WRITE,
            iova,
        }
        .to_words()
        .to_vec(),
        "exchange_list" => {
            let header = ExchangeList {
                head,
                pool: 19,
                flags: MapFlags::READ_WRITE,
            };
            let replacement = Replacement { page: 41, at: 43 };
            [&header.to_words()[..], &[replacement.to_word()]].concat()
        }
        other => panic!("the table has {other}"),
    }
}

/// The word of such a request that the table calls so.
fn word_named(cell: &str) -> u64 {
    match cell {
        "device" => 31,
        "handle" => 7 | 9 << 16,
        "sequence" => 11,
        "extent" => 13 | 17 << 32,
        "pool, flags" => 19 | 5 << 16,
        "pool, rights" => 19 | 3 << 16,
        "replacement" => 41 | 43 << 32,
        "lease, flags" => 21 | 5 << 16,
        "lease" => 21,
        "pool" => 19,
        "IOVA" => IOVA,
        "lender's id" => LENDER,
        "pages" => 37,
        other => panic!("the table has {other}"),
    }
}

#[test]
fn words_of_requests() {
    let mut seen = BTreeSet::new();
    for row in table(&[
        "operation",
        "word 0",
        "word 1",
        "word 2",
        "word 3",
        "word 4",
        "word 5",
    ]) {
        for operation in row[0].split(", ") {
            if !seen.insert(operation.to_string()) {
                continue;
            }
            let cells: Vec<&str> = row[1..]
                .iter()
                .map(String::as_str)
                .filter(|cell| !cell.is_empty() && *cell != "extents" && *cell != "replacements")
                .collect();
            // Every field is something, so that a word without a name would be found.
            let mut named: Vec<u64> = cells.iter().map(|cell| word_named(cell)).collect();
            let words = words_of(operation);
            named.resize(words.len(), 0);
            assert_eq!(named, words, "{operation}");
        }
    }
    let defined = (0..=u16::MAX).filter_map(Operation::from_number);
    assert_eq!(seen.len(), defined.count());
}

#[test]
fn flags() {
    let rows = table(&["flag", "bit", "meaning"]);
    let bits: Vec<(String, u64)> = rows
        .iter()
        .map(|row| (row[0].clone(), number(&row[1])))
        .collect();
    let mapping = [
        ("READ", u64::from(MapFlags::READ.0)),
        (
            "WRITE",
            u64::from(MapFlags::READ_WRITE.0 ^ MapFlags::READ.0),
        ),
        ("FIXED", u64::from(MapFlags::FIXED)),
        ("BLOCKS", u64::from(MapFlags::BLOCKS)),
    ];
    assert_eq!(bits.len(), mapping.len());
    for ((name, bit), (expected, mask)) in bits.iter().zip(mapping) {
        assert_eq!((name.as_str(), 1 << bit), (expected, mask));
    }
}

/// First words whose one field is all ones, in the order of the table; the record's bit 0 is in all of them.
fn answers() -> [(&'static str, Vec<u64>); 2] {
    let none = FaultRecord::default();
    let record = |fault: FaultRecord| OldestFault(Some(fault)).to_words()[0];
    let empty = record(none);
    let records = vec![
        empty,
        record(FaultRecord {
            event: u8::MAX,
            ..none
        }) ^ empty,
        record(FaultRecord { read: true, ..none }) ^ empty,
        record(FaultRecord {
            stream: u32::MAX,
            ..none
        }) ^ empty,
    ];
    let none = Status::default();
    let state = |status: Status| status.to_words()[0];
    let states = vec![
        state(Status {
            flags: StatusFlags(u8::MAX),
            ..none
        }),
        state(Status {
            last_event: u8::MAX,
            ..none
        }),
        state(Status {
            last_read: true,
            ..none
        }),
        state(Status {
            last_stream: u32::MAX,
            ..none
        }),
    ];
    [("record", records), ("state", states)]
}

#[test]
fn bits_of_answers() {
    let rows = table(&["word", "bits", "field"]);
    for (word, masks) in answers() {
        let bits: Vec<&str> = rows
            .iter()
            .filter(|row| row[0] == word)
            .map(|row| row[1].as_str())
            .collect();
        let made: Vec<String> = masks
            .iter()
            .map(|mask| match (mask.ilog2(), mask.trailing_zeros()) {
                (last, first) if last == first => first.to_string(),
                (last, first) => format!("{last}:{first}"),
            })
            .collect();
        assert_eq!(bits, made, "{word}");
    }
}

#[test]
fn states() {
    let page = page();
    let part = page
        .split_once("State of a device:")
        .expect("the table of states")
        .1;
    for (name, mask) in [
        ("CLAIMED", StatusFlags::CLAIMED),
        ("OPEN", StatusFlags::OPEN),
        ("STORM", StatusFlags::STORM),
        ("QUIESCING", StatusFlags::QUIESCING),
        ("STUCK", StatusFlags::STUCK),
        ("BLOCKED", StatusFlags::BLOCKED),
    ] {
        let row = format!("| `{name}` | {} |", mask.trailing_zeros());
        assert!(part.contains(&row), "{row}");
        assert_eq!(mask.count_ones(), 1);
    }
}

#[test]
fn every_number_is_given_once() {
    let page = page();
    let mut seen = BTreeSet::new();
    for (_, rest) in page
        .match_indices("**IOMMU-")
        .map(|(at, _)| page.split_at(at))
    {
        let number = rest.trim_start_matches('*').split('*').next().unwrap_or("");
        assert!(seen.insert(number.to_string()), "{number} is given twice");
    }
    assert!(seen.len() > 90);
}

#[test]
fn longest_lists() {
    let page = page();
    let text = format!(
        "({} extents to map, {} to unmap, {} replacements)",
        MapList::EXTENTS_MAX,
        UnmapList::EXTENTS_MAX,
        ExchangeList::REPLACEMENTS_MAX
    );
    assert!(page.contains(&text), "{text}");
}
