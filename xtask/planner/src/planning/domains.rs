//! Groups, domains, streams and windows of the devices, from the solver.

use solver::model::{DomainType, Machine, OwnerId};
use solver::solution::Solution;

use super::coherence::is_coherent;
use super::fabric::Fabric;
use super::permanent::{self, Permanent};
use super::persistent;
use crate::read::App;

/// What became of the devices.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    /// One for each function of the fabric, then one for each platform device.
    pub devices: Vec<DevicePlan>,
    /// All domains; a device names its own by the index.
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
    /// It has direct regions, so its streams translate from the start.
    pub standing: bool,
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
    /// The type.
    pub kind: DomainType,
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
    /// Whether its leaves say that accesses look into the caches: a device that does not snoop is not hurt by
    /// that, but one that does would miss what a cache holds without it.
    pub snoops: bool,
    /// Its streams are not translated, by a written reason.
    pub bypass: bool,
    /// The pools of its owner are mapped once, by the build step.
    pub persistent: bool,
    /// What the image maps in it.
    pub permanent: Vec<Permanent>,
}

impl Domains {
    /// The domain of a stream that translates in the image: a device with direct regions has it, and no
    /// alternative of its hotplug slot in another domain, since nobody knows before the start which is there.
    pub fn standing(&self, stream: u32) -> Option<usize> {
        let has = |device: &&DevicePlan| device.streams.contains(&stream);
        let all = || self.devices.iter().filter(has);
        let domain = all().find(|device| device.standing)?.domain?;
        all()
            .all(|device| device.domain == Some(domain))
            .then_some(domain)
    }
}

/// What the image needs of a solution: functions first, in the order of the fabric, then platform devices.
pub fn domains(app: &App, machine: &Machine, solution: &Solution, fabric: &Fabric) -> Domains {
    let functions = fabric.functions.iter().map(|function| function.node);
    let others = solution.order.iter().copied().filter(|node| {
        let device = solution.devices.get(node.index());
        device.is_some_and(|device| device.requester.is_none())
    });
    let devices = functions
        .chain(others)
        .filter_map(|node| Some((node, solution.devices.get(node.index())?)))
        .map(|(node, device)| DevicePlan {
            streams: device.streams.iter().map(|stream| stream.id).collect(),
            standing: solution.exceptions.contains(&node),
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
            let mut planned = DomainPlan {
                kind: domain.domain_type,
                asid: domain.contexts.first().map_or(0, |context| context.asid),
                iova_base: window.map_or(0, |window| window.page_base),
                page_bytes: window.map_or(0, |window| window.page_bytes),
                block_base: window.map_or(0, |window| window.block_base),
                block_bytes: window.map_or(0, |window| window.block_bytes),
                owners: domain.owners.iter().map(|owner| owner.index()).collect(),
                snoops: domain
                    .devices
                    .iter()
                    .any(|node| is_coherent(app, machine, *node)),
                bypass: domain.devices.iter().any(|node| {
                    let node = machine.nodes.get(node.index());
                    node.is_some_and(|node| node.unsafe_bypass.is_some())
                }),
                persistent: persistent::is_asked(app, machine, &domain.devices),
                permanent: Vec::new(),
            };
            planned.permanent = permanent::of_domain(app, machine, &domain.devices, &planned);
            planned
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
