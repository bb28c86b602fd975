//! Groups, domains, streams and windows of the devices, from the solver.

use solver::model::{
    Acs, Buses, Containment, DomainType, Function as Facts, FunctionKind as Kind, Identity,
    Machine, Node, NodeId, Owner, OwnerId, Place, Policy, Quiesce as Quiet, Region, RootBus,
    RootId, Smmu, SmmuId, Source, StreamRange, Trust, Upstream, Waiver, Window,
};
use solver::solution::{Mode, Solution};
use solver::{Options, solve};

use super::fabric::{Fabric, Function, FunctionKind};
use super::findings::{self, Sources};
use crate::read::{App, Domain, FunctionForm, PlatformDeviceKind, Quiesce, SolverMode};
use crate::report::{Report, Spanned};

/// What became of the devices.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    /// One for each function of the fabric.
    pub devices: Vec<DevicePlan>,
    pub domains: Vec<DomainPlan>,
    /// Names of the isolation groups.
    pub groups: Vec<String>,
    /// Pairs that share a group without trust: group, both tasks, reason.
    pub waivers: Vec<String>,
}

/// A device's part of the plan.
#[derive(Clone, Debug, Default)]
pub struct DevicePlan {
    pub streams: Vec<u32>,
    /// Index in `Domains::domains`; none for a bridge and for a blocked device.
    pub domain: Option<usize>,
    /// Index in `Domains::groups`.
    pub group: usize,
    pub reset_unit: usize,
    /// Its domain with the reason, one line.
    pub reason: String,
}

/// One set of tables.
#[derive(Clone, Debug)]
pub struct DomainPlan {
    pub kind: Domain,
    /// From 1.
    pub asid: u16,
    /// IOVA of the page part.
    pub iova_base: u64,
    /// Bytes of the page part.
    pub page_bytes: u64,
    /// IOVA of the block part.
    pub block_base: u64,
    /// Bytes of the block part.
    pub block_bytes: u64,
    /// Indices of the tasks that map into it.
    pub owners: Vec<usize>,
}

/// Bytes of the page that messages of interrupts are written to.
const DOORBELL: u64 = 64 << 10;

/// Solves the fabric; contradictions are reported.
pub fn plan(report: &Report, app: &App, fabric: &Fabric) -> Option<Domains> {
    if fabric.functions.is_empty() {
        return Some(Domains::default());
    }
    let mut sources = Sources::default();
    let machine = machine(app, fabric, &mut sources);
    let mode = match app.iommu.mode {
        SolverMode::Strict => Mode::Strict,
        SolverMode::Linux => Mode::Linux,
    };
    let solution = solve(
        &machine,
        &Options {
            mode,
            ..Options::default()
        },
    );
    findings::report(report, &machine, &sources, &solution);
    solution.accepted().then(|| domains(&machine, &solution))
}

fn machine(app: &App, fabric: &Fabric, sources: &mut Sources) -> Machine {
    let platform = &app.platform;
    let smmu = platform.device_of_kind(PlatformDeviceKind::SmmuV3);
    let owners = app
        .tasks
        .iter()
        .map(|task| Owner {
            name: task.name.value.clone(),
            source: sources.add(&task.name.span),
        })
        .collect();
    let owner =
        |name: &Spanned<String>| app.task(&name.value).map(|(index, _)| OwnerId::new(index));
    let mut trust = Vec::new();
    for (from, task) in app.tasks.iter().enumerate() {
        for to in &task.trusts {
            trust.extend(owner(to).map(|target| Trust {
                from: OwnerId::new(from),
                to: target,
                source: sources.add(&to.span),
            }));
        }
    }
    let mut waivers = Vec::new();
    for waiver in &app.iommu.waivers {
        let mut pair = waiver.tasks.iter().filter_map(owner);
        if let (Some(first), Some(second)) = (pair.next(), pair.next()) {
            waivers.push(Waiver {
                pair: (first, second),
                reason: waiver.reason.value.clone(),
                source: sources.add(&waiver.reason.span),
            });
        }
    }
    let containment = app
        .iommu
        .containment
        .iter()
        .map(|unit| Containment {
            name: unit.name.value.clone(),
            owners: unit.tasks.iter().filter_map(owner).collect(),
            source: sources.add(&unit.name.span),
        })
        .collect();
    let nodes = fabric
        .functions
        .iter()
        .map(|function| node(app, fabric, function, sources))
        .collect();
    let region = |name: &str, base: u64, len: u64| Region {
        name: name.to_owned(),
        source: Source::default(),
        base,
        len,
    };
    let [memory, memory_end] = platform.pci.memory;
    let [prefetch, prefetch_end] = platform.pci.prefetch;
    Machine {
        smmus: smmu
            .iter()
            .map(|smmu| Smmu {
                name: smmu.name.clone(),
                stream_bits: smmu.stream_bits,
                ..Smmu::default()
            })
            .collect(),
        roots: vec![RootBus {
            name: "root bus".to_owned(),
            bus_last: u8::try_from(platform.pci.buses.saturating_sub(1)).unwrap_or(u8::MAX),
            streams: vec![StreamRange {
                requester: 0,
                len: 1 << 16,
                smmu: SmmuId(0),
                stream: 0,
            }],
            ..RootBus::default()
        }],
        nodes,
        owners,
        trust,
        waivers,
        containment,
        groups: Vec::new(),
        policy: Policy {
            default_domain: domain_type(app.iommu.default_domain),
            ..Policy::default()
        },
        reserved: vec![
            region(
                "32-bit PCI aperture",
                memory,
                memory_end.saturating_sub(memory),
            ),
            region(
                "64-bit PCI aperture",
                prefetch,
                prefetch_end.saturating_sub(prefetch),
            ),
            region("interrupt doorbell", platform.gic_its + DOORBELL, DOORBELL),
        ],
    }
}

fn node(app: &App, fabric: &Fabric, function: &Function, sources: &mut Sources) -> Node {
    let mut node = Node {
        name: function.name.clone(),
        place: Place::Slot {
            upstream: function.parent.map_or(Upstream::Root(RootId(0)), |parent| {
                Upstream::Bridge(NodeId::new(parent))
            }),
            device: function.slot.0,
            function: function.slot.1,
        },
        function: Facts {
            identity: Identity {
                vendor: function.id.0,
                device: function.id.1,
            },
            multifunction: function.multifunction,
            ..Facts::default()
        },
        owner: app.driver(&function.name).map(OwnerId::new),
        ..Node::default()
    };
    match function.kind {
        FunctionKind::HostBridge => node.function.kind = Kind::HostBridge,
        FunctionKind::Bridge(index) => {
            node.function.kind = Kind::RootPort;
            if let Some((secondary, subordinate)) = function.buses_below {
                node.function.buses = Buses {
                    secondary: Some(secondary),
                    subordinate: Some(subordinate),
                    spare: 0,
                };
            }
            if let Some(bridge) = app.bridges.get(index) {
                node.source = sources.add(&bridge.name.span);
                node.function.acs =
                    bridge
                        .known
                        .acs
                        .then_some(if bridge.acs { Acs::ON } else { Acs::OFF });
            }
        }
        FunctionKind::Device(index) => {
            if let Some(device) = app.devices.get(index) {
                node.source = sources.add(&device.name.span);
                node.function.kind = match (device.form, function.parent.is_some()) {
                    (FunctionForm::Conventional, _) => Kind::Conventional,
                    (FunctionForm::Express, true) => Kind::Endpoint,
                    (FunctionForm::Express, false) => Kind::RootComplexEndpoint,
                };
                node.demand = device
                    .domain
                    .as_ref()
                    .map(|demand| domain_type(demand.value));
                node.quiesce = match device.quiesce {
                    Quiesce::None => Quiet::Never,
                    Quiesce::FunctionReset => Quiet::FunctionReset,
                    Quiesce::BusReset => Quiet::BusReset,
                    Quiesce::Poll { .. } | Quiesce::Wait(_) => Quiet::Own,
                };
                node.window = Window {
                    page_bytes: device.window.value,
                    block_bytes: device.block_window,
                    ..Window::default()
                };
            }
        }
    }
    debug_assert!(
        function
            .parent
            .is_none_or(|parent| parent < fabric.functions.len())
    );
    node
}

fn domain_type(domain: Domain) -> DomainType {
    match domain {
        Domain::Dma => DomainType::Dma,
        Domain::Identity => DomainType::Identity,
        Domain::Blocked => DomainType::Blocked,
    }
}

fn domain_kind(domain: DomainType) -> Domain {
    match domain {
        DomainType::Dma => Domain::Dma,
        DomainType::Identity => Domain::Identity,
        DomainType::Blocked => Domain::Blocked,
    }
}

fn domains(machine: &Machine, solution: &Solution) -> Domains {
    let devices = solution
        .devices
        .iter()
        .map(|device| DevicePlan {
            streams: device.streams.iter().map(|stream| stream.id).collect(),
            domain: device.domain,
            group: device.group,
            reset_unit: device.reset_unit,
            reason: format!("{}: {}", device.domain_type.text(), device.domain_because),
        })
        .collect();
    let domains = solution
        .domains
        .iter()
        .map(|domain| {
            let window = domain.window;
            DomainPlan {
                kind: domain_kind(domain.domain_type),
                asid: domain.contexts.first().map_or(0, |context| context.asid),
                iova_base: window.map_or(0, |window| window.page_base),
                page_bytes: window.map_or(0, |window| window.page_bytes),
                block_base: window.map_or(0, |window| window.block_base),
                block_bytes: window.map_or(0, |window| window.block_bytes),
                owners: domain.owners.iter().map(|owner| owner.index()).collect(),
            }
        })
        .collect();
    Domains {
        devices,
        domains,
        groups: solution
            .groups
            .iter()
            .map(|group| group.name.clone())
            .collect(),
        waivers: waivers(machine, solution),
    }
}

fn waivers(machine: &Machine, solution: &Solution) -> Vec<String> {
    solution
        .waivers
        .iter()
        .filter_map(|used| {
            let waiver = machine.waivers.get(used.waiver)?;
            let name = |owner: OwnerId| Some(&machine.owners.get(owner.index())?.name);
            Some(format!(
                "group {}: {} and {} do not trust each other; waived: {}",
                solution.groups.get(used.group)?.name,
                name(waiver.pair.0)?,
                name(waiver.pair.1)?,
                waiver.reason
            ))
        })
        .collect()
}
