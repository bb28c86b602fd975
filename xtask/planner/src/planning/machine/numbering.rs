//! Adds the root buses to the machine, and gives each function the number that it will have.

use std::collections::BTreeMap;

use solver::model::{Machine, NodeId, RootBus, RootId, SmmuId, StreamRange, Upstream};

use super::{FunctionKind, MAIN_ROOT, Sources, name};
use crate::read::{self, App, Main, StreamRow};
use crate::report::Spanned;

/// The solver's numbers of root buses and functions, by the names that functions can be at.
pub struct Numbering {
    pub roots: BTreeMap<String, RootId>,
    pub nodes: BTreeMap<String, NodeId>,
}

impl Numbering {
    pub fn upstream(&self, at: Option<&Spanned<String>>) -> Upstream {
        let Some(at) = at else {
            return Upstream::Root(RootId(0));
        };
        match (self.roots.get(&at.value), self.nodes.get(&at.value)) {
            (Some(root), _) => Upstream::Root(*root),
            (None, Some(node)) => Upstream::Bridge(*node),
            (None, None) => Upstream::Root(RootId(0)),
        }
    }
}

impl Numbering {
    /// The first root bus of the root complex that a root bus belongs to: for an expander the one it hangs on.
    pub fn main_of(&self, app: &App, root: &read::Root) -> Option<RootId> {
        match app.main_of(root) {
            Main::Declared(main) => self.roots.get(&main.name.value).copied(),
            Main::Platform => Some(RootId(0)),
            Main::Itself | Main::Unknown => None,
        }
    }
}

/// Adds the root buses to the machine, and numbers them and all functions.
pub fn add_roots_and_number(
    app: &App,
    machine: &mut Machine,
    sources: &mut Sources,
) -> (Numbering, Vec<FunctionKind>) {
    let mut numbering = Numbering {
        roots: BTreeMap::new(),
        nodes: BTreeMap::new(),
    };
    let mut kinds = Vec::new();
    let has_pci = !app.bridges.is_empty()
        || !app.roots.is_empty()
        || app
            .devices
            .iter()
            .any(|device| !matches!(device.place, read::Place::Platform { .. }));
    if !app.declares_root_buses() && has_pci {
        machine.roots.push(RootBus {
            name: MAIN_ROOT.to_owned(),
            bus_last: u8::try_from(app.platform.pci.buses.saturating_sub(1)).unwrap_or(u8::MAX),
            streams: streams(app, app.platform.pci.streams.as_deref(), 0),
            stream_mask: app.platform.pci.stream_mask,
            never_routes_peers: app.platform.pci.never_routes_peers,
            ..RootBus::default()
        });
        kinds.push(FunctionKind::HostBridge);
    }
    // The first root bus first: what names no place is on it.
    let mut roots: Vec<(usize, &read::Root)> = app.roots.iter().enumerate().collect();
    roots.sort_by_key(|(index, root)| (root.segment, root.bus, *index));
    for (_, root) in &roots {
        let id = RootId::new(machine.roots.len());
        numbering.roots.insert(root.name.value.clone(), id);
        machine.roots.push(root_bus(app, root, sources));
    }
    for (index, root) in app.roots.iter().enumerate() {
        let id = numbering.roots.get(&root.name.value).copied();
        let main = numbering.main_of(app, root);
        if let Some(bus) = id.and_then(|id| machine.roots.get_mut(id.index())) {
            bus.expander_of = main;
        }
        if root.slot.is_some() {
            kinds.push(FunctionKind::Expander(index));
        }
    }
    // A root bus ends where the next of its segment begins.
    let starts: Vec<(u16, u8)> = machine.roots.iter().map(|r| (r.segment, r.bus)).collect();
    for root in &mut machine.roots {
        let next = starts
            .iter()
            .filter(|(segment, bus)| *segment == root.segment && *bus > root.bus)
            .map(|(_, bus)| bus - 1)
            .min();
        root.bus_last = root.bus_last.min(next.unwrap_or(u8::MAX));
    }
    kinds.extend((0..app.bridges.len()).map(FunctionKind::Bridge));
    kinds.extend((0..app.devices.len()).map(FunctionKind::Device));
    for (index, kind) in kinds.iter().enumerate() {
        if !matches!(kind, FunctionKind::Expander(_)) {
            let id = NodeId::new(index);
            numbering.nodes.entry(name(app, *kind)).or_insert(id);
        }
    }
    (numbering, kinds)
}

/// A declared root bus; what it is an expander of is known once all of them have their numbers.
fn root_bus(app: &App, root: &read::Root, sources: &mut Sources) -> RootBus {
    let platform = &app.platform.pci;
    let own = root.streams.as_deref();
    RootBus {
        name: if root.slot.is_some() {
            format!("{} bus", root.name.value)
        } else {
            root.name.value.clone()
        },
        source: sources.add(&root.name.span),
        segment: root.segment,
        bus: root.bus,
        bus_last: root.bus_last,
        expander_of: None,
        streams: streams(app, own.or(platform.streams.as_deref()), root.segment),
        stream_mask: if own.is_some() || root.stream_mask != 0 {
            root.stream_mask
        } else {
            platform.stream_mask
        },
        never_routes_peers: root
            .never_routes_peers
            .unwrap_or(platform.never_routes_peers),
    }
}

/// The StreamIDs of requester ids: as the rows say, none where there are no rows, equal where nobody says anything.
fn streams(app: &App, rows: Option<&[StreamRow]>, segment: u16) -> Vec<StreamRange> {
    let smmus = app.platform.smmus();
    let Some(rows) = rows else {
        let identity = StreamRange {
            requester: 0,
            len: 1 << 16,
            smmu: SmmuId(0),
            stream: u32::from(segment) << 16,
        };
        return smmus.first().map(|_| identity).into_iter().collect();
    };
    rows.iter()
        .map(|row| StreamRange {
            requester: u16::try_from(row.requester).unwrap_or(u16::MAX),
            len: row.len,
            smmu: smmu(app, row.smmu.as_ref()),
            stream: row.stream,
        })
        .collect()
}

/// An SMMU by name; the first without one.
pub fn smmu(app: &App, name: Option<&Spanned<String>>) -> SmmuId {
    let smmus = app.platform.smmus();
    let named = |name: &Spanned<String>| smmus.iter().position(|smmu| smmu.name == name.value);
    SmmuId::new(name.and_then(named).unwrap_or(0))
}
