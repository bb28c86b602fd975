//! Status snapshots: the answers of servers as a task reads them from its registers, and as the tool reads them from a log.

use status_api::{Record, Snapshot};
use userlib::packed;
use userlib::protocol::Wire;

/// Reads any bytes as an answer. What is taken for one is written as it was read, and its name can be shown.
pub fn run(bytes: &[u8]) {
    let Ok(snapshot) = Snapshot::from_bytes(bytes) else {
        return;
    };
    let words = snapshot.to_words();
    let written = packed::bytes(&words);
    let (same, rest) = written.split_at(bytes.len());
    assert_eq!(same, bytes, "a snapshot has one form");
    assert!(rest.iter().all(|byte| *byte == 0));
    assert_eq!(Snapshot::from_words(&words), Some(snapshot.clone()));
    let name = match &snapshot.record {
        Record::Task(task) => &task.name,
        Record::Device(device) => &device.name,
        Record::Smmu(smmu) => &smmu.name,
        Record::Function(function) => &function.name,
    };
    assert!(name.as_str().len() <= 24);
    assert!(name.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
}

/// One of each kind, shortest and longest: chance finds few of their forms.
pub fn seeds() -> Vec<Vec<u8>> {
    let record = |kind: u8, name: &[u8], rest: u8| {
        let len = name.len() as u8;
        let mut bytes = vec![status_api::VERSION, 1, kind, len];
        bytes.extend(name);
        bytes.resize(64, 0);
        if let Some(last) = bytes.get_mut(4 + name.len()) {
            *last = rest;
        }
        bytes
    };
    let names: [&[u8]; 2] = [b"a", b"a-name-of-24-bytes_00000"];
    let kinds = (0..4).flat_map(|kind| names.map(|name| (kind, name)));
    kinds
        .flat_map(|(kind, name)| [0, 1].map(|rest| record(kind, name, rest)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_snapshots() {
        for seed in seeds() {
            assert!(Snapshot::from_bytes(&seed).is_ok(), "{seed:x?}");
            run(&seed);
        }
    }
}
