//! Where ids go: from a requester's mapping to an SMMU and its StreamIDs, and on to DeviceIDs.

use super::Iort;
use super::mapping::{Mapping, Target};

/// A node whose ids come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Requester {
    /// A device that is not on PCI, by its index.
    NamedComponent(usize),
    /// Reserved memory, by its index: its StreamIDs are those that use it.
    Rmr(usize),
    /// A PCI segment, by the index of its node.
    RootComplex(usize),
}

/// The way of one mapping's ids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// Whose ids.
    pub requester: Requester,
    /// Index of the mapping at that node.
    pub mapping: usize,
    /// First and last id; none where every id goes out as one.
    pub ids: Option<(u64, u64)>,
    /// Where they go.
    pub way: Way,
}

/// Where ids go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// Through an SMMUv3.
    Smmu {
        /// Index of the SMMU.
        smmu: usize,
        /// First and last StreamID.
        streams: (u64, u64),
        /// DeviceIDs of the StreamIDs that have one.
        messages: Vec<Messages>,
    },
    /// Through an SMMU that is not driven here.
    OldSmmu {
        /// Index of the SMMU.
        smmu: usize,
        /// First and last StreamID.
        streams: (u64, u64),
    },
    /// Through no SMMU.
    Untranslated {
        /// Index of the group of translation services.
        group: usize,
        /// First and last DeviceID.
        devices: (u64, u64),
    },
}

/// DeviceIDs of some StreamIDs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Messages {
    /// First and last StreamID.
    pub streams: (u64, u64),
    /// DeviceID of the first.
    pub device: u64,
    /// Index of the group of translation services.
    pub group: usize,
}

pub fn all(iort: &Iort) -> Vec<Path> {
    let mut paths = Vec::new();
    let mut add = |requester, mappings: &[Mapping]| {
        let mappings = mappings.iter().enumerate();
        paths.extend(mappings.filter_map(|(index, mapping)| path(iort, requester, index, mapping)));
    };
    for (index, root) in iort.root_complexes.iter().enumerate() {
        add(Requester::RootComplex(index), &root.head.mappings);
    }
    for (index, component) in iort.named_components.iter().enumerate() {
        add(Requester::NamedComponent(index), &component.head.mappings);
    }
    for (index, rmr) in iort.rmrs.iter().enumerate() {
        add(Requester::Rmr(index), &rmr.head.mappings);
    }
    paths
}

fn path(iort: &Iort, requester: Requester, index: usize, mapping: &Mapping) -> Option<Path> {
    let out = (u64::from(mapping.output_base), mapping.output_last());
    let way = match mapping.target? {
        Target::ItsGroup(group) => Way::Untranslated {
            group,
            devices: out,
        },
        Target::OldSmmu(smmu) => Way::OldSmmu { smmu, streams: out },
        Target::SmmuV3(smmu) => Way::Smmu {
            smmu,
            streams: out,
            messages: messages(iort, smmu, out),
        },
    };
    let ids = (u64::from(mapping.input_base), mapping.input_last());
    Some(Path {
        requester,
        mapping: index,
        ids: (!mapping.single).then_some(ids),
        way,
    })
}

/// DeviceIDs of an SMMU's StreamIDs.
fn messages(iort: &Iort, smmu: usize, (first, last): (u64, u64)) -> Vec<Messages> {
    let Some(smmu) = iort.smmus.get(smmu) else {
        return Vec::new();
    };
    let part = |mapping: &Mapping| {
        let Some(Target::ItsGroup(group)) = mapping.target else {
            return None;
        };
        let base = u64::from(mapping.input_base);
        let streams = (first.max(base), last.min(mapping.input_last()));
        (streams.0 <= streams.1).then(|| Messages {
            streams,
            device: u64::from(mapping.output_base) + (streams.0 - base),
            group,
        })
    };
    smmu.ranges().filter_map(part).collect()
}
