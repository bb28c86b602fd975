//! Snapshots survive the registers, and nothing else is one.

use std::vec::Vec;

use super::*;
use crate::*;

fn longest_name() -> Name {
    Name::new("a-name-of-24-bytes_00000")
}

/// A record of each kind with the largest of everything.
fn largest() -> [Record; 4] {
    [
        Record::Task(Task {
            name: longest_name(),
            state: TaskState::Retired,
            generation: u64::MAX,
            restarts: u32::MAX,
            last_fault: u16::MAX,
            verdict: Verdict::Failed,
        }),
        Record::Device(Device {
            name: longest_name(),
            smmu: Some(u8::MAX),
            claim: Claim::HeldForever,
            task: Some(u8::MAX),
            flags: 0xf,
            mapped_pages: u32::MAX,
            window_pages: u32::MAX,
            window_blocks: u32::MAX,
            pins: u16::MAX,
            faults: u32::MAX,
            claims: u32::MAX,
        }),
        Record::Smmu(Smmu {
            name: longest_name(),
            used: SmmuUse::Broken,
            adopted: true,
            commands: u32::MAX,
            events: u32::MAX,
            events_waiting: u32::MAX,
            lost: u32::MAX,
        }),
        Record::Function(Function {
            name: longest_name(),
            found: Found::Blocked,
            reason: u8::MAX,
            requester_id: u16::MAX,
            vendor_id: u16::MAX,
            device_id: u16::MAX,
            bus_master: true,
            quiesce: Quiesce::Failed,
        }),
    ]
}

fn bytes(record: Record) -> Vec<u8> {
    packed::bytes(&Snapshot::new(128, record).to_words()).to_vec()
}

#[test]
fn the_largest_records_fit() {
    for record in largest() {
        let snapshot = Snapshot::new(200, record);
        assert_eq!(Snapshot::from_words(&snapshot.to_words()), Some(snapshot));
    }
}

#[test]
fn zeros_at_the_end_may_be_missing() {
    for record in largest() {
        let whole = bytes(record);
        let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
        let short = Snapshot::from_bytes(&whole[..=end]);
        assert!(short.is_ok() && short == Snapshot::from_bytes(&whole));
        // One byte less is another record, or none.
        assert_ne!(Snapshot::from_bytes(&whole[..end]), short);
    }
}

#[test]
fn another_version_is_named() {
    let [task, ..] = largest();
    let mut bytes = bytes(task);
    for version in [0, VERSION + 1, u8::MAX] {
        bytes[0] = version;
        let read = Snapshot::from_bytes(&bytes);
        assert_eq!(read, Err(Unreadable::Version(version)));
    }
    assert_eq!(Snapshot::from_bytes(&[]), Err(Unreadable::Malformed));
}

#[test]
fn nonsense_is_no_snapshot() {
    let [task, device, ..] = largest();
    let change = |record: &Record, at: usize, to: u8| {
        let mut bytes = bytes(record.clone());
        bytes[at] = to;
        Snapshot::from_bytes(&bytes)
    };
    // Version, count (two bytes of one number are one too many), kind, length of the name, its first byte.
    for (at, to) in [(2, 4), (3, 25), (4, b'\n'), (4, b' '), (4, 0xff), (63, 1)] {
        assert_eq!(
            change(&task, at, to),
            Err(Unreadable::Malformed),
            "{at} {to}"
        );
    }
    // A flag that there is not.
    let Record::Device(device) = device else {
        unreachable!("the second is a device");
    };
    let short = Record::Device(Device {
        name: Name::new("d"),
        smmu: None,
        task: None,
        ..device
    });
    // Version, count, kind, the name and its length, no SMMU, the claim, no task: then the flags.
    assert_eq!(bytes(short.clone())[8], 0xf);
    assert_eq!(change(&short, 8, 0x10), Err(Unreadable::Malformed));
    assert!(change(&short, 8, 0x08).is_ok());
    let long = [VERSION; REGISTER_BYTES + 1];
    assert_eq!(Snapshot::from_bytes(&long), Err(Unreadable::Malformed));
}

#[test]
fn requests_name_a_subject_and_a_number() {
    for subject in Subject::ALL {
        let ask = Ask {
            subject,
            index: u32::MAX,
        };
        assert_eq!(Ask::from_words(&ask.to_words()), Some(ask));
    }
    for word in [0, 5, u64::from(u32::MAX)] {
        assert_eq!(Ask::from_words(&[word, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
