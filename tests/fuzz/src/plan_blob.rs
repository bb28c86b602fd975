//! Plan blobs: any bytes are read in place without leaving them.

use plan::task::{MappingEntry, ParameterEntry, PeerEntry, SelfEntry};
use plan::{Blob, Builder, Name, Record};
use zerocopy::{FromZeros, IntoBytes};

/// Every table of a task's plan.
pub fn run(bytes: &[u8]) {
    // Where the kernel and the tasks find theirs, it is aligned.
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    let bytes = &words.as_bytes()[..bytes.len()];
    let _ = Blob::claimed_len(bytes);
    let Ok(blob) = Blob::new(bytes) else {
        return;
    };
    table::<SelfEntry>(&blob, bytes);
    table::<PeerEntry>(&blob, bytes);
    table::<MappingEntry>(&blob, bytes);
    table::<ParameterEntry>(&blob, bytes);
    if let Ok(own) = blob.one::<SelfEntry>() {
        let _ = own.name.as_str().len();
    }
    for peer in blob.table::<PeerEntry>().unwrap_or_default() {
        assert!(peer.name.as_str().len() <= size_of::<Name>());
    }
}

fn table<T: Record>(blob: &Blob<'_>, bytes: &[u8]) {
    if let Ok(table) = blob.table::<T>() {
        assert!(size_of_val(table) <= bytes.len());
        let inside = bytes.as_ptr_range();
        let range = table.as_ptr_range();
        let (start, end) = (range.start.cast(), range.end.cast());
        assert!(table.is_empty() || (inside.start <= start && end <= inside.end));
    }
}

/// A good one.
pub fn seeds() -> Vec<Vec<u8>> {
    let own = SelfEntry {
        name: Name::new("edu"),
        ..SelfEntry::new_zeroed()
    };
    let peer = PeerEntry {
        name: Name::new("iommu"),
        index: 2,
        may_send: 1,
    };
    let mapping = MappingEntry::new_zeroed();
    let blob = Builder::new()
        .push(&[own])
        .push(&[peer, peer])
        .push(&[mapping; 3])
        .finish();
    vec![blob]
}
