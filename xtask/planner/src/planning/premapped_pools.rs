//! Domains whose owner's pools are premapped: `invalidation = "premapped"`.

use solver::model::{DomainType, Machine, NodeId};
use solver::solution::Solution;

use super::domain_plan::{DomainPlan, Domains, Premapped};
use super::lazy;
use crate::read::units::show_size;
use crate::read::{App, Device, Invalidation};
use crate::report::{Mistake, Report, Spanned};

/// The word of a device that asks for premapped pools.
fn asked(device: &Device) -> Option<&Spanned<Invalidation>> {
    let word = device.invalidation.as_ref()?;
    (word.value == Invalidation::Premapped).then_some(word)
}

fn devices<'a>(
    app: &'a App,
    machine: &'a Machine,
    members: &'a [NodeId],
) -> impl Iterator<Item = &'a Device> {
    let name = |node: &NodeId| Some(&machine.nodes.get(node.index())?.name);
    let names = members.iter().filter_map(name);
    names.filter_map(|name| app.devices.iter().find(|d| d.name.value == *name))
}

/// Whether the pools of the owner are premapped in a domain of `members`: one of them says so, and [`check`] sees to it that no other says
/// anything else.
pub fn is_asked(app: &App, machine: &Machine, members: &[NodeId]) -> bool {
    devices(app, machine, members).any(|device| asked(device).is_some())
}

/// The pools of the domain's owner, in a row from the first IOVA of the page part.
pub fn pools(app: &App, domain: &DomainPlan) -> Vec<Premapped> {
    let mut iova = domain.iova_base;
    let mut placed = Vec::new();
    for &task in domain.owners.iter().filter(|_| domain.premaps_pools) {
        let pools = app.tasks.get(task).map(|task| &task.pools);
        for (pool, (_, len)) in pools.into_iter().flatten().enumerate() {
            placed.push(Premapped::Pool { task, pool, iova });
            iova = iova.saturating_add(*len);
        }
    }
    placed
}

/// Reports domains in which no pools can be premapped.
pub fn check(
    report: &Report,
    app: &App,
    machine: &Machine,
    solution: &Solution,
    domains: &Domains,
) {
    for device in &app.devices {
        let in_domain = |node: &&NodeId| {
            let node = machine.nodes.get(node.index());
            node.is_some_and(|node| node.name == device.name.value)
        };
        let found = solution.domains.iter().zip(&domains.domains);
        let own = found
            .clone()
            .find(|(domain, _)| domain.devices.iter().any(|n| in_domain(&n)));
        let Some(word) = asked(device) else { continue };
        let name = &device.name.value;
        let Some((domain, planned)) = own else {
            report
                .error(
                    Mistake::Premapped,
                    format!("`{name}` is blocked, so nothing can be premapped for it"),
                )
                .at(&word.span, "asks for premapped pools")
                .with(&device.name.span, "has no domain");
            continue;
        };
        if planned.kind != DomainType::Dma || planned.bypass {
            let kind = if planned.bypass {
                "is not translated"
            } else {
                "is mapped 1:1"
            };
            report
                .error(
                    Mistake::Premapped,
                    format!("`{name}` has no window, as it {kind}"),
                )
                .at(&word.span, "its owner's pools would lie in the window")
                .with(&device.name.span, kind);
            continue;
        }
        always_open_member(report, app, machine, &domain.devices, device, word);
        strict_member(report, app, machine, &domain.devices, device, word);
        owner(report, app, planned, device, word);
    }
}

/// A member that is always open, by direct regions: premapped pools would be open to it with nobody held for them.
fn always_open_member(
    report: &Report,
    app: &App,
    machine: &Machine,
    members: &[NodeId],
    device: &Device,
    word: &Spanned<Invalidation>,
) {
    let mut regions = devices(app, machine, members).flat_map(|member| &member.direct);
    if let Some(region) = regions.next() {
        report
            .error(
                Mistake::Premapped,
                format!(
                    "the domain of `{}` has a direct region, so no pool can be premapped in it",
                    device.name.value
                ),
            )
            .at(
                &word.span,
                "its owner's pools would be open without a claim",
            )
            .with(&region.name.span, "keeps the stream open at any time")
            .remedy("write `invalidation = \"strict\"`");
    }
}

/// A member of the domain that is strict: both use the same entries.
fn strict_member(
    report: &Report,
    app: &App,
    machine: &Machine,
    members: &[NodeId],
    device: &Device,
    word: &Spanned<Invalidation>,
) {
    let is_driven = |other: &&Device| app.driver(&other.name.value).is_some();
    let other = devices(app, machine, members)
        .filter(is_driven)
        // Of lazy ones, the check of these tells.
        .filter(|other| !lazy::is_lazy(app, other))
        .find(|other| asked(other).is_none());
    if let Some(other) = other {
        report
            .error(
                Mistake::Premapped,
                format!(
                    "`{}` and `{}` share a domain, but only one has premapped pools",
                    device.name.value, other.name.value
                ),
            )
            .at(&word.span, "its owner's pools are premapped")
            .with(&other.name.span, "reaches them as well, and is strict")
            .remedy("write the same `invalidation` at both");
    }
}

/// One owner, with pools that fit the window.
fn owner(
    report: &Report,
    app: &App,
    planned: &DomainPlan,
    device: &Device,
    word: &Spanned<Invalidation>,
) {
    let mut owners = planned
        .owners
        .iter()
        .filter_map(|task| app.tasks.get(*task));
    let (Some(owner), other) = (owners.next(), owners.next()) else {
        return;
    };
    if let Some(other) = other {
        report
            .error(
                Mistake::Premapped,
                format!(
                    "the domain of `{}` has two owners, so no pool can be premapped in it",
                    device.name.value
                ),
            )
            .at(
                &word.span,
                "a premapped pool is reached also while its own driver has no claim",
            )
            .with(&owner.name.span, "one owner")
            .with(&other.name.span, "another");
        return;
    }
    let bytes = owner
        .pools
        .iter()
        .fold(0u64, |sum, (_, len)| sum.saturating_add(*len));
    let Some((largest, _)) = owner.pools.iter().max_by_key(|(_, len)| *len) else {
        report
            .error(
                Mistake::Premapped,
                format!("`{}` has no pool that could be premapped", owner.name.value),
            )
            .at(&word.span, "its owner's pools are premapped")
            .with(&owner.name.span, "declares none")
            .remedy("give the task a `dma-pool`, or write `invalidation = \"strict\"`");
        return;
    };
    // Without any window the solver has said why.
    if planned.page_bytes > 0 && bytes > planned.page_bytes {
        report
            .error(
                Mistake::Premapped,
                format!(
                    "the pools of `{}`, {}, do not fit the window of `{}`, {}",
                    owner.name.value,
                    show_size(bytes),
                    device.name.value,
                    show_size(planned.page_bytes)
                ),
            )
            .at(&device.window.span, "the window's page part")
            .with(&largest.span, "the largest pool")
            .remedy(format!(
                "use a `window` of at least {}",
                show_size(bytes.next_multiple_of(abi::layout::BLOCK))
            ));
    }
}
