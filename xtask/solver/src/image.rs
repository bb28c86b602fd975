//! StreamIDs that requests of a range of requester ids may come to.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::alias::mapped;
use crate::model::{Machine, RootBus, SmmuId};
use crate::solution::Stream;

/// Ranges of StreamIDs, each of one SMMU: its first, and the first behind it.
#[derive(Default)]
pub(crate) struct Image(Vec<(SmmuId, u64, u64)>);

impl Image {
    /// Those of all ids of a segment, by the mapping of any of its root buses.
    pub fn of_segment(machine: &Machine, segment: u16) -> Self {
        let roots = machine.roots.iter().filter(|r| r.segment == segment);
        roots.fold(Self::default(), |image, root| {
            image.with(root, 0..=u16::MAX)
        })
    }

    /// Those of all ids of some buses below a root bus.
    pub fn of_buses(root: &RootBus, buses: RangeInclusive<u8>) -> Self {
        let first = u16::from(*buses.start()) << 8;
        let last = u16::from(*buses.end()) << 8 | 0xff;
        Self::default().with(root, first..=last)
    }

    fn with(mut self, root: &RootBus, ids: RangeInclusive<u16>) -> Self {
        let ids: BTreeSet<Stream> = ids.filter_map(|id| mapped(root, id)).collect();
        for Stream { smmu, id } in ids {
            let id = u64::from(id);
            match self.0.last_mut() {
                Some((of, _, end)) if *of == smmu && *end == id => *end += 1,
                _ => self.0.push((smmu, id, id + 1)),
            }
        }
        self
    }

    pub fn ranges(&self) -> impl Iterator<Item = (SmmuId, u64, u64)> {
        self.0.iter().copied()
    }

    /// True if one of `streams` is among them.
    pub fn has_any(&self, streams: &[Stream]) -> bool {
        streams.iter().any(|stream| {
            let id = u64::from(stream.id);
            let mut ranges = self.ranges();
            ranges.any(|(smmu, first, end)| smmu == stream.smmu && (first..end).contains(&id))
        })
    }
}
