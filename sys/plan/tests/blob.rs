//! A blob reads back what was written, and any other bytes are refused without a panic.

use plan::kernel::{InterruptEntry, PostEntry, RegionEntry};
use plan::task::SelfEntry;
use plan::{Blob, BlobError, Builder, Name, Text};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Blobs are read in place and so must be aligned, as they are in a page.
fn aligned(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    words
}

fn region(seed: u64) -> RegionEntry {
    RegionEntry {
        va: seed,
        pa: seed ^ 0xfff,
        len: 4096,
        attributes: 3,
        reserved: 0,
    }
}

#[test]
fn tables_of_one_blob_do_not_disturb_each_other() {
    let posts: Vec<_> = (0..5).map(|to| PostEntry { to, bits: 1 << to }).collect();
    let regions: Vec<_> = (0..7).map(region).collect();
    let bytes = Builder::new().push(&posts).push(&regions).finish();
    let words = aligned(&bytes);
    let blob = Blob::new(words.as_bytes()).expect("own blob");
    assert_eq!(
        blob.table::<PostEntry>().expect("posts").as_bytes(),
        posts.as_bytes()
    );
    assert_eq!(
        blob.table::<RegionEntry>().expect("regions").as_bytes(),
        regions.as_bytes()
    );
    assert_eq!(
        blob.table::<InterruptEntry>().expect("absent table").len(),
        0
    );
    assert_eq!(
        Blob::claimed_len(words.as_bytes()),
        Some(bytes.len() as u64)
    );
}

#[test]
fn one_means_exactly_one() {
    let bytes = Builder::new()
        .push::<RegionEntry>(&[region(1), region(2)])
        .finish();
    let words = aligned(&bytes);
    let blob = Blob::new(words.as_bytes()).expect("own blob");
    assert!(blob.one::<RegionEntry>().is_err());
    assert!(blob.one::<SelfEntry>().is_err());
}

#[test]
fn another_version_is_named() {
    let mut bytes = Builder::new().finish();
    bytes[4] = 0xee;
    let words = aligned(&bytes);
    assert!(matches!(
        Blob::new(words.as_bytes()),
        Err(BlobError::Version(_))
    ));
}

#[test]
fn text_is_cut_at_a_character() {
    assert_eq!(Name::new("virtio-blk").as_str(), "virtio-blk");
    assert_eq!(Text::<3>::new("aä€").as_str(), "aä");
    assert_eq!(Text::<4>::new("aä€").as_str(), "aä");
    assert_eq!(Name::new("").as_str(), "");
}

/// Fewer cases in the interpreter, which also has no files to look for earlier failures in.
fn cases() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if cfg!(miri) {
        config.cases = 32;
        config.failure_persistence = None;
    }
    config
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn damaged_blobs_never_panic(
        at in 0usize..400, value: u8, cut in 0usize..400, count in 0u64..8
    ) {
        let regions: Vec<_> = (0..count).map(region).collect();
        let mut bytes = Builder::new().push(&regions).finish();
        let len = bytes.len();
        bytes[at % len] = value;
        bytes.truncate(cut.max(1));
        let words = aligned(&bytes);
        let view = &words.as_bytes()[..bytes.len()];
        if let Ok(blob) = Blob::new(view) {
            let _ = blob.table::<RegionEntry>();
            let _ = blob.one::<PostEntry>();
        }
    }
}
