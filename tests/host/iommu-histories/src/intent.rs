//! A request under way, as its claimant means it.

use super::oracle::Grant;

/// What a request is to change.
#[derive(Clone, Default, Debug)]
pub struct Intent {
    /// The device it is about.
    pub device: usize,
    /// Memory that it maps: physical address and pages of each extent.
    pub maps: Vec<(u64, u64)>,
    /// What it maps may be written.
    pub write: bool,
    /// Input addresses that it unmaps: first one and bytes of each run.
    pub unmaps: Vec<(u64, u64)>,
}

impl Intent {
    /// Of a request that maps.
    #[must_use]
    pub fn map(device: usize, maps: Vec<(u64, u64)>, write: bool) -> Self {
        Self {
            device,
            maps,
            write,
            ..Self::default()
        }
    }

    /// Of a request that unmaps.
    #[must_use]
    pub fn unmap(device: usize, unmaps: Vec<(u64, u64)>) -> Self {
        Self {
            device,
            unmaps,
            ..Self::default()
        }
    }

    /// Of a request that maps pages in the places of others.
    #[must_use]
    pub fn exchange(
        device: usize,
        maps: Vec<(u64, u64)>,
        write: bool,
        unmaps: Vec<(u64, u64)>,
    ) -> Self {
        Self {
            device,
            maps,
            write,
            unmaps,
        }
    }

    /// Whether it names an input address to unmap.
    pub(crate) fn unmaps(&self, input: u64) -> bool {
        let mut runs = self.unmaps.iter();
        runs.any(|&(first, bytes)| (first..first + bytes).contains(&input))
    }

    /// Whether it maps what `leaf` does.
    pub(crate) fn maps(&self, leaf: &Grant) -> bool {
        leaf.write == self.write
            && self.maps.iter().any(|&(output, pages)| {
                leaf.output >= output && leaf.output + leaf.bytes <= output + pages * 4096
            })
    }
}
