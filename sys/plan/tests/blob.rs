//! A blob reads back what was written, and any other bytes are refused without a panic.

use plan::kernel::{InterruptEntry, PostEntry, RegionEntry};
use plan::task::{PeerEntry, SelfEntry};
use plan::{Blob, BlobError, Builder, Known, Name, OF_TASKS, Record, Text};
use proptest::prelude::*;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
        blob.exact::<PostEntry>().expect("posts").as_bytes(),
        posts.as_bytes()
    );
    assert_eq!(
        blob.exact::<RegionEntry>().expect("regions").as_bytes(),
        regions.as_bytes()
    );
    let read = blob.table::<RegionEntry>().expect("regions");
    let read: Vec<u8> = read.iter().flat_map(|r| r.as_bytes().to_vec()).collect();
    assert_eq!(read, regions.as_bytes());
    assert!(blob.exact::<InterruptEntry>().expect("absent").is_empty());
    assert!(blob.table::<InterruptEntry>().expect("absent").is_empty());
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
    assert!(blob.exactly_one::<RegionEntry>().is_err());
    assert!(blob.exactly_one::<SelfEntry>().is_err());
}

/// A peer as a later version may have it: longer, by as much as may be.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct LaterPeer {
    peer: PeerEntry,
    core: u32,
    channel: u32,
}

impl Record for LaterPeer {
    const KIND: u32 = PeerEntry::KIND;
}

/// A table that this version does not have.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Channel {
    number: u64,
}

impl Record for Channel {
    const KIND: u32 = 0x2ff;
}

fn later_peers() -> Vec<LaterPeer> {
    let names = ["iommu", "pci", "virtio-blk"];
    let peers = (1..).zip(names).map(|(index, name)| LaterPeer {
        peer: PeerEntry {
            name: Name::new(name),
            index,
            may_send: 1,
        },
        core: !0,
        channel: !0,
    });
    peers.collect()
}

/// A prebuilt driver, placed into a system that a later version of the build tool built.
#[test]
fn an_older_reader_reads_the_beginning_of_longer_records() {
    let bytes = Builder::new()
        .push(&later_peers())
        .push(&[Channel { number: 7 }])
        .push(&[region(1)])
        .finish();
    let words = aligned(&bytes);
    let blob = Blob::new(words.as_bytes()).expect("a plan");
    assert_eq!(blob.check_understood(&OF_TASKS), Ok(()));
    let peers = blob.table::<PeerEntry>().expect("peers");
    let read: Vec<_> = peers
        .iter()
        .map(|peer| (peer.name.as_str(), peer.index, peer.may_send))
        .collect();
    assert_eq!(read, [("iommu", 1, 1), ("pci", 2, 1), ("virtio-blk", 3, 1)]);
    assert_eq!(peers.get(2).map(|peer| peer.index), Some(3));
    assert!(peers.get(3).is_none() && peers.get(usize::MAX).is_none());
    assert_eq!(blob.one::<RegionEntry>().map(|region| region.va), Ok(1));
    // Whoever is built with the plan sees that it is not its own.
    let malformed = BlobError::Malformed(PeerEntry::KIND);
    assert_eq!(blob.exact::<PeerEntry>().err(), Some(malformed));
    // A reader of now does not take a shorter record of before for its own.
    let bytes = Builder::new().push(&[later_peers()[0].peer]).finish();
    let words = aligned(&bytes);
    let blob = Blob::new(words.as_bytes()).expect("a plan");
    assert_eq!(blob.table::<LaterPeer>().err(), Some(malformed));
    assert_eq!(blob.one::<LaterPeer>().err(), Some(malformed));
}

/// A record whose new end changes what the rest means, or a table that takes something away.
#[test]
fn what_must_be_understood_is_refused_by_who_does_not() {
    let not_understood = |bytes: Vec<u8>, known: &[Known]| {
        let words = aligned(&bytes);
        let blob = Blob::new(words.as_bytes()).expect("a plan");
        blob.check_understood(known).err()
    };
    let longer = || {
        Builder::new()
            .push_to_be_understood(&later_peers())
            .finish()
    };
    let peers = Some(BlobError::NotUnderstood(PeerEntry::KIND));
    assert_eq!(not_understood(longer(), &OF_TASKS), peers);
    assert_eq!(not_understood(longer(), &[Known::of::<LaterPeer>()]), None);
    let channels = [Channel { number: 7 }];
    let other = || Builder::new().push_to_be_understood(&channels).finish();
    let unknown = Some(BlobError::NotUnderstood(Channel::KIND));
    assert_eq!(not_understood(other(), &OF_TASKS), unknown);
    assert_eq!(not_understood(other(), &[]), unknown);
    // Of a table that is known to its end the flag takes nothing away.
    let bytes = Builder::new()
        .push_to_be_understood(&[later_peers()[0].peer])
        .finish();
    assert_eq!(not_understood(bytes.clone(), &OF_TASKS), None);
    let words = aligned(&bytes);
    let blob = Blob::new(words.as_bytes()).expect("a plan");
    assert_eq!(blob.one::<PeerEntry>().map(|peer| peer.index), Ok(1));
    assert_eq!(
        blob.exactly_one::<PeerEntry>().map(|peer| peer.index),
        Ok(1)
    );
}

/// Records that are not where a reader could look at them in place.
#[test]
fn a_stride_that_breaks_the_alignment_is_refused() {
    let regions: Vec<_> = (0..3).map(region).collect();
    for stride in [33u32, 34, 36, 31, 0] {
        let mut bytes = Builder::new().push(&regions).finish();
        bytes[20..24].copy_from_slice(&stride.to_le_bytes());
        bytes[28..32].copy_from_slice(&2u32.to_le_bytes());
        let words = aligned(&bytes);
        let blob = Blob::new(words.as_bytes()).expect("a plan");
        let malformed = Some(BlobError::Malformed(RegionEntry::KIND));
        assert_eq!(blob.table::<RegionEntry>().err(), malformed, "{stride}");
    }
    // One record too many, at every length that there could be.
    for count in [4u32, 1 << 27, u32::MAX] {
        let mut bytes = Builder::new().push(&regions).finish();
        bytes[28..32].copy_from_slice(&count.to_le_bytes());
        let words = aligned(&bytes);
        let blob = Blob::new(words.as_bytes()).expect("a plan");
        assert!(blob.table::<RegionEntry>().is_err(), "{count}");
        assert!(blob.exact::<RegionEntry>().is_err(), "{count}");
    }
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
            if let Ok(table) = blob.table::<RegionEntry>() {
                assert_eq!(table.iter().count(), table.len());
            }
            let _ = blob.exact::<RegionEntry>();
            let _ = blob.one::<PostEntry>();
            let _ = blob.check_understood(&OF_TASKS);
        }
    }
}
