//! The tables of `docs/reference/block-protocol.md` say what the code does.

use std::path::Path;

use blk_api::{
    COMPLETIONS_MAX, Completion, DEPTH, Error, Geometry, Kind, LEASE, Operation, REGIONS_MAX,
    REQUESTS_MAX, SECTOR, Transfer,
};
use queue_api::client::Region;
use queue_api::message::{COMPLETION_BYTES, REQUEST_BYTES};
use queue_api::{Fields, Request};
use userlib::protocol::Wire;

/// Rows of the table whose head begins with these cells, without the head and without marks of code.
fn table(head: &[&str]) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/block-protocol.md");
    let page = std::fs::read_to_string(path).expect("the reference");
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_start_matches('|').trim_end_matches('|');
        let cells = inner.split('|');
        cells
            .map(|cell| cell.trim().replace('`', ""))
            .collect::<Vec<_>>()
    };
    let rows: Vec<_> = page
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

#[test]
fn operations() {
    let rows = table(&["number", "operation"]);
    let defined: Vec<_> = (0..=u16::MAX).filter_map(Operation::from_number).collect();
    assert_eq!(rows.len(), defined.len());
    for (row, operation) in rows.iter().zip(defined) {
        let (request, reply) = match operation {
            Operation::Geometry => ("0".to_owned(), Geometry::LEN.to_string()),
            Operation::Run | Operation::Wait => (
                format!("{REQUEST_BYTES} *n*"),
                format!("{COMPLETION_BYTES} *m*"),
            ),
            Operation::Lend | Operation::Forget => (Region::LEN.to_string(), "0".to_owned()),
        };
        assert_eq!(row[0], (operation as u16).to_string());
        assert_eq!(row[1], format!("{operation:?}"));
        assert_eq!(row[2..4], [request, reply]);
    }
}

#[test]
fn codes() {
    let found: Vec<_> = table(&["code", "name"])
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let defined: Vec<_> = (0..1000)
        .filter_map(Error::from_code)
        .map(|error| ((error as u32).to_string(), format!("{error:?}")))
        .collect();
    assert_eq!(found, defined);
}

#[test]
fn limits() {
    let rows = table(&["limit", "value"]);
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row[2].as_str(), row[1].parse::<u64>().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("SECTOR", SECTOR),
            ("DEPTH", DEPTH as u64),
            ("REQUESTS_MAX", REQUESTS_MAX as u64),
            ("COMPLETIONS_MAX", COMPLETIONS_MAX as u64),
            ("REGIONS_MAX", REGIONS_MAX as u64)
        ]
    );
}

/// Asserts that a field of a message's words has this value.
fn assert_field(words: &[u64], message: &str, field: &str, value: u64) {
    let rows = table(&["message", "word", "bits"]);
    let row = rows
        .iter()
        .find(|row| row[0] == message && row[3].starts_with(field))
        .unwrap_or_else(|| panic!("{message} has no {field}"));
    let number = |text: &str| text.parse::<u32>().unwrap();
    let (word, _) = row[1].split_once(" to ").unwrap_or((&row[1], ""));
    let (high, low) = row[2].split_once(':').unwrap_or((&row[2], &row[2]));
    let mask = u64::MAX >> (63 - (number(high) - number(low)));
    let found = words[number(word) as usize] >> number(low) & mask;
    assert_eq!(found, value, "{message}: {field}");
}

#[test]
fn fields() {
    let words = Request::new(&Fields {
        operation: Kind::Flush as u8,
        tag: 0x1234,
        region: 9,
        page: 0xa_bcde,
        offset: 0x345,
        length: 0x9_8765,
        position: (1 << 52) - 2,
    })
    .words();
    for (field, value) in [
        ("tag", 0x1234),
        ("operation: 0 read, 1 write, 2 flush, 3 write zeroes", 2),
        ("region", 9),
        ("first page", 0xa_bcde),
        ("bytes of the data", 0x9_8765),
        ("first sector", (1 << 52) - 2),
        ("first byte", 0x345),
    ] {
        assert_field(&words, "request", field, value);
    }
    assert_eq!([Kind::Read as u32, Kind::Write as u32], [0, 1]);
    assert_eq!(Kind::WriteZeroes as u32, 3);
    assert_eq!(Transfer::flush(0).region, LEASE);
    assert_eq!(LEASE, 0);
    for (read_only, flush, zeroes) in [
        (true, false, false),
        (false, true, false),
        (false, false, true),
    ] {
        let geometry = Geometry {
            sectors: 1 << 40,
            sector_bytes: 512,
            transfer_max: 1 << 18,
            depth: 32,
            block_bytes: 4096,
            read_only,
            flush,
            zeroes,
        };
        let words = geometry.to_words();
        for (field, value) in [
            ("sectors of the disk", 1 << 40),
            ("bytes of a sector", 512),
            ("most bytes", 1 << 18),
            ("most requests", 32),
            ("writes are refused", u64::from(read_only)),
            ("the disk has a volatile cache", u64::from(flush)),
            ("bytes of the disk's own block", 4096),
            ("the disk can write zeroes", u64::from(zeroes)),
        ] {
            assert_field(&words[..], "reply of Geometry", field, value);
        }
    }
    assert_field(
        &Region(3).to_words(),
        "Lend, Forget",
        "number of the region",
        3,
    );
    let words = [Completion::new(5, Error::Device as u8, 0xff, 0x1234_5678).word()];
    for (field, value) in [
        ("tag", 5),
        ("code", 8),
        ("flags", 0xff),
        ("bytes", 0x1234_5678),
    ] {
        assert_field(&words, "completion", field, value);
    }
}
