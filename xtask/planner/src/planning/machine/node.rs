//! One function or platform device.

use solver::model::{
    Function as Facts, FunctionKind as Kind, Holder, Identity, Node, NodeId, OwnerId, Place,
    Quiesce as Quiet, Region, RootId, Source, Upstream, Window,
};

use super::numbering::{Numbering, smmu};
use super::{FunctionKind, Sources, name};
use crate::read::{self, App, Device, EXPANDER, FunctionForm, Quiesce};

pub fn describe(
    app: &App,
    kind: FunctionKind,
    numbering: &Numbering,
    sources: &mut Sources,
) -> Node {
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
                    upstream: Upstream::Root(numbering.main_of(app, root).unwrap_or(RootId(0))),
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
                    upstream: numbering.upstream(bridge.at.as_ref()),
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
                registers: !bridge.bars.is_empty(),
                ..empty
            }
        }
        FunctionKind::Device(index) => match app.devices.get(index) {
            Some(device) => device_node(app, device, numbering, empty, sources),
            None => empty,
        },
    }
}

fn device_node(
    app: &App,
    device: &Device,
    numbering: &Numbering,
    empty: Node,
    sources: &mut Sources,
) -> Node {
    let place = device_place(app, device, numbering);
    let on_root = matches!(
        place,
        Place::Slot {
            upstream: Upstream::Root(_),
            ..
        }
    );
    Node {
        source: sources.add(&device.name.span),
        holders: holders(app, device, sources),
        place,
        function: Facts {
            kind: kind(device.form, on_root),
            identity: Identity {
                vendor: device.id.value.0,
                device: device.id.value.1,
            },
            acs: device.acs,
            multifunction: device.multifunction,
            ..Facts::default()
        },
        demand: device.domain.as_ref().map(|demand| demand.value),
        demand_source: device
            .domain
            .as_ref()
            .map_or(Source::default(), |demand| sources.add(&demand.span)),
        quiesce: match device.quiesce {
            None => Quiet::Unknown,
            Some(Quiesce::None) => Quiet::Never,
            Some(Quiesce::FunctionReset) => Quiet::FunctionReset,
            Some(Quiesce::BusReset) => Quiet::BusReset,
            Some(Quiesce::Poll { .. } | Quiesce::Wait(_)) => Quiet::Own,
        },
        direct: direct(device, sources),
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

fn device_place(app: &App, device: &Device, numbering: &Numbering) -> Place {
    match &device.place {
        read::Place::Slot { at, slot } => Place::Slot {
            upstream: numbering.upstream(at.as_ref()),
            device: slot.0,
            function: slot.1,
        },
        read::Place::Virtual { of, offset } => Place::Virtual {
            physical: numbering.nodes.get(&of.value).copied().unwrap_or(NodeId(0)),
            offset: *offset,
        },
        read::Place::Platform {
            smmu: name,
            streams,
            ..
        } => {
            let smmu = smmu(app, name.as_ref());
            Place::Platform {
                streams: streams.iter().map(|stream| (smmu, *stream)).collect(),
            }
        }
    }
}

/// An endpoint on a root bus is the root complex's.
fn kind(form: FunctionForm, on_root: bool) -> Kind {
    match (form, on_root) {
        (FunctionForm::Conventional, _) => Kind::Conventional,
        (FunctionForm::Endpoint, _) | (FunctionForm::Express, false) => Kind::Endpoint,
        (FunctionForm::RootComplexEndpoint, _) | (FunctionForm::Express, true) => {
            Kind::RootComplexEndpoint
        }
        (FunctionForm::EventCollector, _) => Kind::EventCollector,
        (FunctionForm::HostBridge, _) => Kind::HostBridge,
    }
}

fn direct(device: &Device, sources: &mut Sources) -> Vec<Region> {
    let regions = device.direct.iter();
    regions
        .map(|region| Region {
            name: region.name.value.clone(),
            source: sources.add(&region.name.span),
            base: region.base,
            len: region.len,
        })
        .collect()
}

/// Tasks that have registers of a device and do not drive it: on PCI by `watches`, otherwise because they own the block.
fn holders(app: &App, device: &Device, sources: &mut Sources) -> Vec<Holder> {
    let name = &device.name.value;
    let driver = app.driver(name);
    let mut holders = Vec::new();
    for (index, task) in app.tasks.iter().enumerate() {
        let (given, registers) = match &device.place {
            read::Place::Platform { registers, .. } => (&task.owns, registers.as_ref()),
            _ => (&task.watches, Some(&device.name)),
        };
        let mut given = given.iter();
        let given = given.find(|given| registers.is_some_and(|own| own.value == given.value));
        if let Some(given) = given.filter(|_| Some(index) != driver) {
            holders.push(Holder {
                task: OwnerId::new(index),
                source: sources.add(&given.span),
            });
        }
    }
    holders
}
