//! How long the IOMMU server is busy with one message, in instructions: so long a more urgent task may have to wait
//! for it, since a server does not leave a message half done.
//!
//! Each figure is an upper bound of what is counted on target; the rows of `cargo xtask bench` fail beyond theirs.

use crate::iommu::DomainEntry;

/// Cost of a message that does not depend on what it names: both ways through the kernel, decoding, the reply, and
/// one wait for an SMMU that answers at once.
pub const MESSAGE: u64 = 1_500;
/// Looking at an entry of a window in search of free ones.
pub const SEARCHED_ENTRY: u64 = 19;
/// Writing an entry of a window.
pub const MAPPED_ENTRY: u64 = 9;
/// Finding that an entry is mapped, and clearing it.
pub const UNMAPPED_ENTRY: u64 = 6;
/// An extent of a list that unmaps: its entries are located twice, it is sorted, and forgotten by a command of its own.
pub const UNMAPPED_EXTENT: u64 = 380;
/// An extent of a list that maps.
pub const MAPPED_EXTENT: u64 = 40;
/// A page of a list that exchanges: located three times, sorted, forgotten by a command of its own, and written.
pub const EXCHANGED_PAGE: u64 = 375;
/// A page of a lazy domain that a flush completes: forgotten, cleared, given back, and its pin looked at.
pub const FLUSHED_PAGE: u64 = 120;
/// Emptying an entry at the end of a claim.
pub const EMPTIED_ENTRY: u64 = 22;
/// Extents of the longest list.
pub const EXTENTS_MAX: u64 = 510;
/// Pages of the longest list that exchanges.
pub const REPLACEMENTS_MAX: u64 = 509;

/// A map of `entries` entries from so many extents, for which `searched` entries have to be looked at.
pub const fn map(entries: u64, extents: u64, searched: u64) -> u64 {
    MESSAGE + entries * MAPPED_ENTRY + extents * MAPPED_EXTENT + searched * SEARCHED_ENTRY
}

/// An unmap of `entries` entries in so many extents.
pub const fn unmap(entries: u64, extents: u64) -> u64 {
    MESSAGE + entries * UNMAPPED_ENTRY + extents * UNMAPPED_EXTENT
}

/// An exchange of so many single pages.
pub const fn exchange(pages: u64) -> u64 {
    MESSAGE + pages * EXCHANGED_PAGE
}

/// A flush of so many single pages.
pub const fn flush(pages: u64) -> u64 {
    MESSAGE + pages * FLUSHED_PAGE
}

/// The end of a claim: all entries of the window are emptied.
pub const fn empty(window: u64) -> u64 {
    MESSAGE + window * EMPTIED_ENTRY
}

/// The message that keeps the server busy for longest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Longest {
    /// A map of the whole window, all of which has to be searched.
    Map,
    /// An unmap of the whole window by the longest list.
    Unmap,
    /// The end of a claim.
    Empty,
}

/// The longest of a domain whose window has so many entries, pages and blocks.
pub const fn longest(entries: u64) -> (u64, Longest) {
    let extents = if entries < EXTENTS_MAX {
        entries
    } else {
        EXTENTS_MAX
    };
    let (map, unmap, empty) = (
        map(entries, extents, entries),
        unmap(entries, extents),
        empty(entries),
    );
    if map >= unmap && map >= empty {
        (map, Longest::Map)
    } else if unmap >= empty {
        (unmap, Longest::Unmap)
    } else {
        (empty, Longest::Empty)
    }
}

/// Entries of a domain's window.
pub const fn entries(domain: &DomainEntry) -> u64 {
    domain.pages + domain.blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_at_least_each_of_them() {
        for entries in [0, 1, 10, 509, 510, 511, 4096, 262_144] {
            let extents = entries.min(EXTENTS_MAX);
            let all = [
                map(entries, extents, entries),
                unmap(entries, extents),
                empty(entries),
            ];
            assert_eq!(Some(longest(entries).0), all.into_iter().max());
            // An exchange never decides, in a list or of a run.
            assert!(exchange(entries.min(REPLACEMENTS_MAX)) <= longest(entries).0);
            let run = MESSAGE + entries * (MAPPED_ENTRY + UNMAPPED_ENTRY);
            assert!(run <= longest(entries).0);
        }
        // Long lists decide where windows are small.
        assert_eq!(longest(512).1, Longest::Unmap);
        assert_eq!(longest(262_144).1, Longest::Map);
    }
}
