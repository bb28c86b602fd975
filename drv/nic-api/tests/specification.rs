//! The tables of `docs/reference/frame-protocol.md` say what the code does.

use std::path::Path;

use nic_api::{
    COMPLETIONS_MAX, DEPTH, Error, FRAME_MAX, FRAME_MIN, Frame, Interface, Kind, Link, Operation,
    REGIONS_MAX, REQUESTS_MAX, ROOM, link,
};
use queue_api::client::Region;
use queue_api::message::{COMPLETION_BYTES, REQUEST_BYTES};
use userlib::protocol::Wire;

/// Rows of the table whose head begins with these cells, without the head and without marks of code.
fn table(head: &[&str]) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/frame-protocol.md");
    let page = std::fs::read_to_string(path).expect("the reference");
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_start_matches('|').trim_end_matches('|');
        let cells = inner.split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    let is_head = |line: &&str| {
        line.starts_with('|')
            && head
                .iter()
                .zip(cells(line))
                .all(|(cell, found)| found == *cell)
    };
    let rows: Vec<_> = page
        .lines()
        .skip_while(|line| !is_head(line))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "no table {head:?}");
    rows
}

#[test]
fn operations() {
    let rows = table(&["number", "operation"]);
    let defined: Vec<_> = (0..=u16::MAX).filter_map(Operation::from_number).collect();
    assert_eq!(rows.len(), defined.len());
    for (row, operation) in rows.iter().zip(defined) {
        let (request, reply) = match operation {
            Operation::Interface => ("0".to_owned(), Interface::LEN.to_string()),
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
fn kinds() {
    let found: Vec<_> = table(&["kind", "request"])
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let defined: Vec<_> = (0..=u8::MAX)
        .filter_map(Kind::from_number)
        .map(|kind| ((kind as u8).to_string(), format!("{kind:?}")))
        .collect();
    assert_eq!(found, defined);
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
            ("FRAME_MIN", u64::from(FRAME_MIN)),
            ("FRAME_MAX", u64::from(FRAME_MAX)),
            ("ROOM", u64::from(ROOM)),
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
    let (high, low) = row[2].split_once(':').unwrap_or((&row[2], &row[2]));
    let mask = u64::MAX >> (63 - (number(high) - number(low)));
    let found = words[number(&row[1]) as usize] >> number(low) & mask;
    assert_eq!(found, value, "{message}: {field}");
}

#[test]
fn fields() {
    let frame = Frame {
        offset: 0x345,
        ..Frame::send(0x1234, 2, 0xa_bcde, 1514)
    };
    for (field, value) in [
        ("tag", 0x1234),
        ("kind", 1),
        ("region", 2),
        ("page", 0xa_bcde),
        ("bytes of the frame", 1514),
        ("first byte of the frame", 0x345),
    ] {
        assert_field(&frame.request().words(), "request", field, value);
    }
    let known = Link {
        speed: 1000,
        full_duplex: true,
    };
    let words = link(5, known).words();
    assert_field(&words, "request of Link", "megabits", 1000);
    assert_field(&words, "request of Link", "full duplex", 1);
    let words = [known.completion(5).word()];
    for (field, value) in [("tag", 5), ("code", 0), ("flags", 1), ("bytes", 1000)] {
        assert_field(&words, "completion", field, value);
    }
    let interface = Interface {
        address: [1, 2, 3, 4, 5, 6],
        frame_max: 1518,
        room: 2048,
        depth: 64,
        link: known,
    };
    for (field, value) in [
        ("the address", 0x0605_0403_0201),
        ("bytes of the longest frame", 1518),
        ("bytes that a page", 2048),
        ("most requests", 64),
        ("megabits", 1000),
        ("full duplex", 1),
    ] {
        assert_field(&interface.to_words(), "reply of Interface", field, value);
    }
}
