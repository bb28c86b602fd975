//! The tables of `docs/reference/pci-protocol.md` say what the code does.

use std::path::Path;

use pci_api::{
    BootStatus, BusMaster, ConfigRead, ConfigValue, ConfigWrite, Describe, Description,
    DeviceState, Error, GetBootStatus, Mismatch, Operation, QuiesceFailure, QuiesceResult,
    QuiesceStart, QuiesceState, Request, Width,
};
use userlib::protocol::Wire;

/// Rows of the table whose head begins with these cells, without the head and without marks of code.
fn table(head: &[&str]) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/pci-protocol.md");
    let page = std::fs::read_to_string(path).expect("the reference");
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_start_matches('|').trim_end_matches('|');
        let cells = inner.split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rows: Vec<_> = page
        .lines()
        .skip_while(|line| !(line.starts_with('|') && cells(line).starts_with(&head)))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "no table {head:?}");
    rows
}

/// Number, request bytes and reply bytes of an operation.
fn row<R: Request>() -> [String; 3] {
    let reply = <R::Reply as Wire>::LEN;
    let number = R::OPERATION as u16;
    [number.to_string(), R::LEN.to_string(), reply.to_string()]
}

#[test]
fn operations() {
    let defined = [
        row::<ConfigRead>(),
        row::<ConfigWrite>(),
        row::<Describe>(),
        row::<GetBootStatus>(),
        row::<BusMaster>(),
        row::<QuiesceStart>(),
        row::<QuiesceResult>(),
    ];
    let rows = table(&["number", "operation"]);
    let found: Vec<_> = rows
        .iter()
        .map(|row| [row[0].clone(), row[3].clone(), row[4].clone()])
        .collect();
    assert_eq!(found, defined);
    for (number, row) in (1..).zip(&rows) {
        let operation = Operation::from_number(number).unwrap();
        assert_eq!(row[1], format!("{operation:?}"));
    }
    assert!(Operation::from_number(8).is_err());
}

#[test]
fn errors() {
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
fn differences() {
    let found: Vec<_> = table(&["difference", "name"])
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone(), row[2].clone()))
        .collect();
    let reason = |number: u64| {
        let words = [number << 8, 0, 0, 0, 0, 0, 0, 0];
        Description::from_words(&words).and_then(|found| found.reason)
    };
    let defined: Vec<_> = (0..256)
        .filter_map(reason)
        .map(|reason| {
            let name = reason.name().replace('`', "");
            ((reason as u8).to_string(), format!("{reason:?}"), name)
        })
        .collect();
    assert_eq!(found, defined);
}

/// Asserts that fields of a message's words have these values.
fn assert_fields(words: &[u64; 8], message: &str, fields: &[(&str, u64)]) {
    let rows = table(&["message", "word", "bits"]);
    for (field, value) in fields {
        let row = rows
            .iter()
            .find(|row| row[0] == message && row[3].starts_with(field))
            .unwrap_or_else(|| panic!("{message} has no {field}"));
        let number = |text: &str| text.parse::<u32>().unwrap();
        let (high, low) = row[2].split_once(':').unwrap_or((&row[2], &row[2]));
        let mask = u64::MAX >> (63 - (number(high) - number(low)));
        let found = words[number(&row[1]) as usize] >> number(low) & mask;
        assert_eq!(found, *value, "{message}: {field}");
    }
}

#[test]
fn fields_of_requests() {
    let write = ConfigWrite {
        device: 7,
        offset: 0x104,
        width: Width::Word,
        value: 0x1234_5678,
    };
    let words = write.to_words();
    assert_fields(&words, "all requests with a device", &[("device", 7)]);
    let access = "ConfigRead, ConfigWrite";
    assert_fields(&words, access, &[("offset", 0x104), ("width", 4)]);
    assert_fields(&words, "ConfigWrite", &[("value", 0x1234_5678)]);
    let words = BusMaster {
        device: 9,
        on: true,
    }
    .to_words();
    assert_fields(&words, "all requests with a device", &[("device", 9)]);
    assert_fields(&words, "BusMaster", &[("1: on", 1)]);
}

#[test]
fn fields_of_replies() {
    let description = Description {
        state: DeviceState::Blocked,
        reason: Some(Mismatch::Acs),
        bus_master: true,
        requester_id: 0x0108,
        vendor_id: 0x1af4,
        device_id: 0x1042,
        group: 11,
        buses: [3, 5],
    };
    let fields = [
        ("state: 0 ready, 1 absent, 2 blocked", 2),
        ("first difference", 9),
        ("bus mastering", 1),
        ("requester id", 0x0108),
        ("vendor id", 0x1af4),
        ("device id", 0x1042),
        ("number of the isolation group", 11),
        ("secondary", 3),
        ("subordinate", 5),
    ];
    assert_fields(&description.to_words(), "reply of Describe", &fields);
    let status = BootStatus {
        ready: 10,
        mismatches: 3,
        undeclared: 2,
        refused: true,
    };
    let fields = [
        ("functions that are ready", 10),
        ("differences", 3),
        ("functions that nobody", 2),
        ("1: the boot", 1),
    ];
    assert_fields(&status.to_words(), "reply of BootStatus", &fields);
    let failed = QuiesceState::Failed(QuiesceFailure::Identity);
    let fields = [
        ("0 never, 1 running, 2 quiet, 3 failed", 3),
        (
            "why it failed: 1 deadline, 2 unsupported, 3 not restored, 4 other identity",
            4,
        ),
    ];
    assert_fields(&failed.to_words(), "reply of QuiesceResult", &fields);
    assert_fields(
        &ConfigValue(6).to_words(),
        "reply of ConfigRead",
        &[("value", 6)],
    );
}
