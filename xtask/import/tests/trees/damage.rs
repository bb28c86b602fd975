//! Damaged blobs: an answer or an error that names a node, never a panic.

use super::blob;
use import::device_tree::read;

/// Blobs that have nodes of every kind.
const WHOLE: [&str; 2] = ["memory", "masters"];

fn answered(bytes: &[u8]) {
    if let Err(errors) = read(bytes) {
        assert!(!errors.is_empty());
        assert!(
            errors
                .iter()
                .all(|error| error.place.0.starts_with('/') && !error.problem.is_empty())
        );
    }
}

#[test]
fn a_blob_with_one_wrong_byte_is_answered() {
    for name in WHOLE {
        let whole = blob(name);
        for at in 0..whole.len() {
            for flip in [0x01, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                answered(&bytes);
            }
        }
    }
}

#[test]
fn a_blob_that_is_cut_off_is_refused() {
    let whole = blob("memory");
    for len in 0..whole.len() {
        let errors = read(&whole[..len]).unwrap_err();
        assert_eq!(errors.len(), 1, "{len}");
    }
}

#[test]
fn what_is_no_blob_is_refused() {
    for bytes in [&b""[..], b"hello", &[0xd0, 0x0d, 0xfe, 0xed]] {
        assert!(read(bytes).is_err());
    }
    let mut ones = vec![0xff; 4096];
    ones[..4].copy_from_slice(&[0xd0, 0x0d, 0xfe, 0xed]);
    assert!(read(&ones).is_err());
}

/// Loops of interrupt parents and of interrupt maps end.
#[test]
fn loops_end() {
    let mut whole = blob("interrupt-nexus");
    // Every phandle becomes 1, so that the map leads to itself.
    for at in (0..whole.len() - 4).step_by(4) {
        if matches!(whole[at..at + 4], [0, 0, 0, 2 | 3]) && at > 0x60 {
            whole[at + 3] = 1;
            answered(&whole);
        }
    }
}
