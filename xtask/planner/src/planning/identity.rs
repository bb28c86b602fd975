//! Identity domains: their pools are mapped in the image, and nobody but a claimant is held for them.

use solver::model::{DomainType, Machine, NodeId};
use solver::solution::Solution;

use super::domain_plan::{DomainPlan, Domains};
use crate::read::{App, Device, Task};
use crate::report::{Mistake, Report};

/// Reports identity domains whose pools a device could reach while the task that they belong to, which holds
/// nothing, is started again: those of two owners, and those that are always open because of a direct region.
pub fn check(
    report: &Report,
    app: &App,
    machine: &Machine,
    solution: &Solution,
    domains: &Domains,
) {
    let identity = |planned: &DomainPlan| planned.kind == DomainType::Identity && !planned.bypass;
    let domains = solution.domains.iter().zip(&domains.domains);
    for (domain, planned) in domains.filter(|(_, planned)| identity(planned)) {
        let owners: Vec<&Task> = planned
            .owners
            .iter()
            .filter_map(|t| app.tasks.get(*t))
            .collect();
        let Some((pool, _)) = owners.iter().find_map(|task| task.pools.first()) else {
            // Nothing of anybody's is in reach.
            continue;
        };
        let members = members(app, machine, &domain.devices);
        let Some(first) = members.first() else {
            continue;
        };
        let name = &first.name;
        if let [one, other, ..] = owners.as_slice() {
            report
                .error(
                    Mistake::UnheldPools,
                    format!("the identity domain of `{}` has two owners", name.value),
                )
                .at(
                    &name.span,
                    "reaches the pools of both while only one of them has a claim",
                )
                .with(&one.name.span, "one owner")
                .with(&other.name.span, "another")
                .with(&pool.span, "one of the pools")
                .remedy("let one task drive all of the domain's devices, or let them demand `dma`, or take the pools away");
        }
        let always_open = members
            .iter()
            .find_map(|member| Some((*member, member.direct.first()?)));
        if let Some((member, region)) = always_open {
            report
                .error(
                    Mistake::UnheldPools,
                    format!(
                        "the identity domain of `{}` has a direct region and a pool",
                        member.name.value
                    ),
                )
                .at(&region.name.span, "keeps the stream open at any time")
                .with(&pool.span, "would be open without a claim")
                .remedy("let the domain be `dma`, or take the pool or the region away");
        }
    }
}

fn members<'a>(app: &'a App, machine: &Machine, nodes: &[NodeId]) -> Vec<&'a Device> {
    let names = nodes
        .iter()
        .filter_map(|node| machine.nodes.get(node.index()));
    names
        .filter_map(|node| {
            app.devices
                .iter()
                .find(|device| device.name.value == node.name)
        })
        .collect()
}
