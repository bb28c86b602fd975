//! StreamIDs that requests of a range of requester ids may come to.

use std::ops::RangeInclusive;

use crate::alias::mapped;
use crate::isolation::Isolation;
use crate::model::{Machine, RootBus, SmmuId};
use crate::solution::Stream;
use crate::topology::Topology;

/// The requester ids that ports let through. Source validation looks at the bus number only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// All of a segment: no port validates them.
    Segment(u16),
    /// All of the buses below a port.
    Below(usize),
}

impl Scope {
    /// The StreamIDs that a device below `bridge` may use: those of the ids of the nearest port with source
    /// validation. Nothing is known where no port could validate them.
    pub fn of(topology: &Topology, isolation: &Isolation<'_>, bridge: usize) -> Option<Self> {
        if let Some(port) = isolation.validated_by(bridge) {
            return Some(Self::Below(port));
        }
        isolation.unvalidated_below(bridge)?;
        let requester = topology.placed[bridge].requester?;
        Some(Self::Segment(requester.segment))
    }

    /// The StreamIDs of all of them.
    pub fn image(self, machine: &Machine, topology: &Topology) -> Image {
        let port = match self {
            Self::Segment(segment) => return Image::of_segment(machine, segment),
            Self::Below(port) => &topology.placed[port],
        };
        match (port.root, port.buses) {
            (Some(root), Some(buses)) => Image::of_buses(
                &machine.roots[root.index()],
                buses.secondary..=buses.subordinate,
            ),
            _ => Image::default(),
        }
    }

    /// The segment, the first bus, and the last.
    pub fn ids(self, topology: &Topology) -> (u16, (u8, u8)) {
        let port = match self {
            Self::Segment(segment) => return (segment, (0, u8::MAX)),
            Self::Below(port) => &topology.placed[port],
        };
        let segment = port.requester.map_or(0, |requester| requester.segment);
        let buses = port.buses.map(|b| (b.secondary, b.subordinate));
        (segment, buses.unwrap_or_default())
    }

    /// The port that lets no others through.
    pub fn checked_by(self) -> Option<usize> {
        match self {
            Self::Segment(_) => None,
            Self::Below(port) => Some(port),
        }
    }

    /// The ids in words.
    pub fn text(self, topology: &Topology) -> String {
        let (segment, buses) = self.ids(topology);
        match (self, buses) {
            (Self::Segment(_), _) => format!("all ids of segment {segment}"),
            (_, (first, last)) if first == last => format!("all ids of bus {first:02x}"),
            (_, (first, last)) => format!("all ids of buses {first:02x} to {last:02x}"),
        }
    }
}

/// Ranges of StreamIDs, each of one SMMU: its first, and the first behind it.
#[derive(Default)]
pub(crate) struct Image(Vec<(SmmuId, u64, u64)>);

impl Image {
    /// The StreamIDs of all ids of a segment, by the mapping of any of its root buses.
    fn of_segment(machine: &Machine, segment: u16) -> Self {
        let roots = machine.roots.iter().filter(|r| r.segment == segment);
        roots.fold(Self::default(), |image, root| {
            image.with(root, 0..=u16::MAX)
        })
    }

    /// The StreamIDs of all ids of some buses below a root bus.
    fn of_buses(root: &RootBus, buses: RangeInclusive<u8>) -> Self {
        let first = u16::from(*buses.start()) << 8;
        let last = u16::from(*buses.end()) << 8 | 0xff;
        Self::default().with(root, first..=last)
    }

    fn with(mut self, root: &RootBus, ids: RangeInclusive<u16>) -> Self {
        let mut ids: Vec<Stream> = ids.filter_map(|id| mapped(root, id)).collect();
        ids.sort_unstable();
        ids.dedup();
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
