//! The machine as the solver takes it, from an `app.toml` whose fabric is known to be a tree.

use std::collections::BTreeMap;

use solver::model::{
    Containment, DomainType, Function as Facts, FunctionKind as Kind, GroupPolicy, Identity,
    Machine, Node, NodeId, Owner, OwnerId, Place, Policy, Quiesce as Quiet, Region, RootBus,
    RootId, Smmu, SmmuId, StreamRange, Trust, Unowned, Upstream, Waiver, Window,
};

use super::fabric::FunctionKind;
use super::findings::Sources;
use crate::read::{self, App, Device, Domain, EXPANDER, FunctionForm, Quiesce, StreamRow};
use crate::report::Spanned;

/// Bytes of the page that messages of interrupts are written to.
const DOORBELL: u64 = 64 << 10;
/// Name of the root bus that a platform has without being told.
pub const MAIN_ROOT: &str = "root bus";
/// Name of the host bridge's own function on it.
const HOST_BRIDGE: &str = "host-bridge";

/// The machine, and what each of its nodes was declared as.
pub struct Described {
    pub machine: Machine,
    pub sources: Sources,
    /// By node.
    pub kinds: Vec<FunctionKind>,
}

/// Names that functions can be at.
struct Places {
    roots: BTreeMap<String, RootId>,
    nodes: BTreeMap<String, NodeId>,
}

impl Places {
    fn upstream(&self, at: Option<&Spanned<String>>) -> Upstream {
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

/// Describes the machine.
pub fn describe(app: &App) -> Described {
    let mut sources = Sources::default();
    let smmus = app.platform.smmus();
    let mut machine = Machine {
        smmus: smmus
            .iter()
            .map(|smmu| Smmu {
                name: smmu.name.clone(),
                stream_bits: smmu.stream_bits,
                ..Smmu::default()
            })
            .collect(),
        policy: Policy {
            default_domain: domain_type(app.iommu.default_domain),
            unowned: if app.iommu.block_unowned || app.owners_unknown {
                Unowned::Block
            } else {
                Unowned::Refuse
            },
            ..Policy::default()
        },
        reserved: reserved(app),
        ..Machine::default()
    };
    owners(app, &mut machine, &mut sources);
    let (places, kinds) = places(app, &mut machine, &mut sources);
    for kind in &kinds {
        let node = node(app, *kind, &places, &mut sources);
        machine.nodes.push(node);
    }
    for group in &app.iommu.groups {
        let members = group.devices.iter();
        machine.groups.push(GroupPolicy {
            name: group.name.value.clone(),
            members: members
                .filter_map(|name| places.nodes.get(&name.value).copied())
                .collect(),
            default_domain: group.default_domain.map(domain_type),
            source: sources.add(&group.name.span),
        });
    }
    Described {
        machine,
        sources,
        kinds,
    }
}

/// Root buses, and the numbers that all functions will have.
fn places(app: &App, machine: &mut Machine, sources: &mut Sources) -> (Places, Vec<FunctionKind>) {
    let mut places = Places {
        roots: BTreeMap::new(),
        nodes: BTreeMap::new(),
    };
    let mut kinds = Vec::new();
    // A file that declares root buses describes the board whole, its host bridge included.
    let whole = app.roots.iter().any(|root| root.slot.is_none());
    let has_pci = !app.bridges.is_empty()
        || !app.roots.is_empty()
        || app
            .devices
            .iter()
            .any(|device| !matches!(device.place, read::Place::Platform { .. }));
    if !whole && has_pci {
        machine.roots.push(RootBus {
            name: MAIN_ROOT.to_owned(),
            bus_last: u8::try_from(app.platform.pci.buses.saturating_sub(1)).unwrap_or(u8::MAX),
            streams: streams(app, &app.platform.pci.streams, 0),
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
        places.roots.insert(root.name.value.clone(), id);
        machine.roots.push(RootBus {
            name: if root.slot.is_some() {
                format!("{} bus", root.name.value)
            } else {
                root.name.value.clone()
            },
            source: sources.add(&root.name.span),
            segment: root.segment,
            bus: root.bus,
            bus_last: root.bus_last,
            expander_of: root.slot.is_some().then_some(RootId(0)),
            streams: streams(
                app,
                root.streams.as_deref().unwrap_or(&app.platform.pci.streams),
                root.segment,
            ),
            stream_mask: 0,
            never_routes_peers: app.platform.pci.never_routes_peers,
        });
    }
    for (index, root) in app.roots.iter().enumerate() {
        if let (Some(id), Some(main)) = (
            places.roots.get(&root.name.value),
            root.expander_of
                .as_ref()
                .and_then(|main| places.roots.get(&main.value)),
        ) && let Some(bus) = machine.roots.get_mut(id.index())
        {
            bus.expander_of = Some(*main);
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
            places.nodes.entry(name(app, *kind)).or_insert(id);
        }
    }
    (places, kinds)
}

fn streams(app: &App, rows: &[StreamRow], segment: u16) -> Vec<StreamRange> {
    let smmus = app.platform.smmus();
    if rows.is_empty() {
        let identity = StreamRange {
            requester: 0,
            len: 1 << 16,
            smmu: SmmuId(0),
            stream: u32::from(segment) << 16,
        };
        return smmus.first().map(|_| identity).into_iter().collect();
    }
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
fn smmu(app: &App, name: Option<&Spanned<String>>) -> SmmuId {
    let smmus = app.platform.smmus();
    let named = |name: &Spanned<String>| smmus.iter().position(|smmu| smmu.name == name.value);
    SmmuId::new(name.and_then(named).unwrap_or(0))
}

/// Name of a function in `app.toml`.
pub fn name(app: &App, kind: FunctionKind) -> String {
    let name = match kind {
        FunctionKind::HostBridge => None,
        FunctionKind::Expander(index) => app.roots.get(index).map(|root| &root.name),
        FunctionKind::Bridge(index) => app.bridges.get(index).map(|bridge| &bridge.name),
        FunctionKind::Device(index) => app.devices.get(index).map(|device| &device.name),
    };
    name.map_or(HOST_BRIDGE.to_owned(), |name| name.value.clone())
}

fn owners(app: &App, machine: &mut Machine, sources: &mut Sources) {
    for task in &app.tasks {
        machine.owners.push(Owner {
            name: task.name.value.clone(),
            source: sources.add(&task.name.span),
        });
    }
    let owner =
        |name: &Spanned<String>| app.task(&name.value).map(|(index, _)| OwnerId::new(index));
    for (from, task) in app.tasks.iter().enumerate() {
        for to in &task.trusts {
            machine.trust.extend(owner(to).map(|target| Trust {
                from: OwnerId::new(from),
                to: target,
                source: sources.add(&to.span),
            }));
        }
    }
    for waiver in &app.iommu.waivers {
        let mut pair = waiver.tasks.iter().filter_map(owner);
        if let (Some(first), Some(second)) = (pair.next(), pair.next()) {
            machine.waivers.push(Waiver {
                pair: (first, second),
                reason: waiver.reason.value.clone(),
                source: sources.add(&waiver.reason.span),
            });
        }
    }
    for unit in &app.iommu.containment {
        machine.containment.push(Containment {
            name: unit.name.value.clone(),
            owners: unit.tasks.iter().filter_map(owner).collect(),
            source: sources.add(&unit.name.span),
        });
    }
}

fn reserved(app: &App) -> Vec<Region> {
    let platform = &app.platform;
    let [memory, memory_end] = platform.pci.memory;
    let [prefetch, prefetch_end] = platform.pci.prefetch;
    let doorbell = match platform.gic_its {
        0 => 0,
        its => its.saturating_add(DOORBELL),
    };
    [
        (
            "32-bit PCI aperture",
            memory,
            memory_end.saturating_sub(memory),
        ),
        (
            "64-bit PCI aperture",
            prefetch,
            prefetch_end.saturating_sub(prefetch),
        ),
        ("interrupt doorbell", doorbell, DOORBELL.min(doorbell)),
    ]
    .into_iter()
    .filter(|(_, _, len)| *len > 0)
    .map(|(name, base, len)| Region {
        name: name.to_owned(),
        source: solver::model::Source::default(),
        base,
        len,
    })
    .collect()
}

fn node(app: &App, kind: FunctionKind, places: &Places, sources: &mut Sources) -> Node {
    let name = name(app, kind);
    let empty = Node {
        owner: app.driver(&name).map(OwnerId::new),
        name,
        place: Place::Slot {
            upstream: Upstream::Root(RootId(0)),
            device: 0,
            function: 0,
        },
        ..Node::default()
    };
    let identity = |(vendor, device)| Identity { vendor, device };
    match kind {
        FunctionKind::HostBridge => Node {
            function: Facts {
                kind: Kind::HostBridge,
                identity: identity(app.platform.pci.host_bridge),
                ..Facts::default()
            },
            ..empty
        },
        FunctionKind::Expander(index) => {
            let Some(root) = app.roots.get(index) else {
                return empty;
            };
            let (device, function) = root.slot.as_ref().map_or((0, 0), |slot| slot.value);
            Node {
                source: sources.add(&root.name.span),
                place: Place::Slot {
                    upstream: Upstream::Root(RootId(0)),
                    device,
                    function,
                },
                function: Facts {
                    kind: Kind::HostBridge,
                    identity: identity(EXPANDER),
                    ..Facts::default()
                },
                ..empty
            }
        }
        FunctionKind::Bridge(index) => {
            let Some(bridge) = app.bridges.get(index) else {
                return empty;
            };
            let (device, function) = bridge.slot.value;
            Node {
                source: sources.add(&bridge.name.span),
                place: Place::Slot {
                    upstream: places.upstream(bridge.at.as_ref()),
                    device,
                    function,
                },
                function: Facts {
                    kind: bridge.kind,
                    identity: identity(bridge.id),
                    acs: bridge.acs,
                    multifunction: bridge.multifunction,
                    buses: bridge.buses,
                },
                external: bridge.external,
                hotplug: bridge.hotplug,
                ..empty
            }
        }
        FunctionKind::Device(index) => match app.devices.get(index) {
            Some(device) => device_node(app, device, places, empty, sources),
            None => empty,
        },
    }
}

fn device_node(
    app: &App,
    device: &Device,
    places: &Places,
    empty: Node,
    sources: &mut Sources,
) -> Node {
    let mut on_root = false;
    let place = match &device.place {
        read::Place::Slot { at, slot } => {
            let upstream = places.upstream(at.as_ref());
            on_root = matches!(upstream, Upstream::Root(_));
            Place::Slot {
                upstream,
                device: slot.0,
                function: slot.1,
            }
        }
        read::Place::Virtual { of, offset } => Place::Virtual {
            physical: places.nodes.get(&of.value).copied().unwrap_or(NodeId(0)),
            offset: *offset,
        },
        read::Place::Platform {
            smmu: name,
            streams,
        } => {
            let smmu = smmu(app, name.as_ref());
            Place::Platform {
                streams: streams.iter().map(|stream| (smmu, *stream)).collect(),
            }
        }
    };
    Node {
        source: sources.add(&device.name.span),
        place,
        function: Facts {
            kind: match (device.form, on_root) {
                (FunctionForm::Conventional, _) => Kind::Conventional,
                (FunctionForm::Endpoint, _) | (FunctionForm::Express, false) => Kind::Endpoint,
                (FunctionForm::RootComplexEndpoint, _) | (FunctionForm::Express, true) => {
                    Kind::RootComplexEndpoint
                }
                (FunctionForm::EventCollector, _) => Kind::EventCollector,
                (FunctionForm::HostBridge, _) => Kind::HostBridge,
            },
            identity: Identity {
                vendor: device.id.value.0,
                device: device.id.value.1,
            },
            acs: device.acs,
            multifunction: device.multifunction,
            ..Facts::default()
        },
        demand: device
            .domain
            .as_ref()
            .map(|demand| domain_type(demand.value)),
        quiesce: match device.quiesce {
            None => Quiet::Unknown,
            Some(Quiesce::None) => Quiet::Never,
            Some(Quiesce::FunctionReset) => Quiet::FunctionReset,
            Some(Quiesce::BusReset) => Quiet::BusReset,
            Some(Quiesce::Poll { .. } | Quiesce::Wait(_)) => Quiet::Own,
        },
        direct: device
            .direct
            .iter()
            .map(|region| Region {
                name: region.name.value.clone(),
                source: sources.add(&region.name.span),
                base: region.base,
                len: region.len,
            })
            .collect(),
        window: Window {
            page_bytes: device.window.value,
            block_bytes: device.block_window,
            address_bits: device.address_bits,
            base: device.window_base,
        },
        unsafe_bypass: device.bypass.as_ref().map(|reason| reason.value.clone()),
        ..empty
    }
}

fn domain_type(domain: Domain) -> DomainType {
    match domain {
        Domain::Dma => DomainType::Dma,
        Domain::Identity => DomainType::Identity,
        Domain::Blocked => DomainType::Blocked,
    }
}
