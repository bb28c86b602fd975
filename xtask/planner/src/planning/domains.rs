//! Groups, domains, streams and windows of the devices, from the solver.

use solver::model::{DomainType, Machine, NodeId, OwnerId};
use solver::solution::Solution;

use super::coherence::is_coherent;
use super::domain_plan::{DevicePlan, DomainPlan, Domains, Premapped};
use super::fabric::Fabric;
use super::lazy;
use super::messages::{self, MessageDevice};
use super::premapped;
use super::premapped_pools;
use crate::read::App;

/// The parts of a solution that the image needs: functions first, in the order of the fabric, then
/// platform devices.
pub fn domains(
    app: &App,
    machine: &Machine,
    solution: &Solution,
    fabric: &Fabric,
    messages: &[MessageDevice],
) -> Domains {
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
            smmu: device
                .streams
                .first()
                .map_or(0, |stream| stream.smmu.index()),
            always_open: solution.exceptions.contains(&node),
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
            let context = domain.contexts.first();
            let mut planned = DomainPlan {
                kind: domain.domain_type,
                smmu: context.map_or(0, |context| context.smmu.index()),
                asid: context.map_or(0, |context| context.asid),
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
                premaps_pools: premapped_pools::is_asked(app, machine, &domain.devices),
                lazy: None,
                premapped: Vec::new(),
                iova_bits: premapped::IOVA_BITS,
            };
            if planned.kind == DomainType::Dma && !planned.bypass {
                planned.lazy = lazy::of_domain(app, machine, &domain.devices);
            }
            planned.premapped = premapped::of_domain(app, machine, &domain.devices, &planned);
            let signals = !planned.bypass && signals(fabric, messages, &domain.devices);
            let doorbell = messages::doorbell(app).filter(|_| signals);
            let doorbell = doorbell.map(|base| Premapped::Doorbell { base });
            planned.premapped.extend(doorbell);
            planned.iova_bits = premapped::iova_bits(app, &planned.premapped);
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

/// Whether one of the devices signals by messages.
fn signals(fabric: &Fabric, messages: &[MessageDevice], devices: &[NodeId]) -> bool {
    messages.iter().any(|device| {
        let function = fabric.functions.get(device.function);
        function.is_some_and(|function| devices.contains(&function.node))
    })
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
