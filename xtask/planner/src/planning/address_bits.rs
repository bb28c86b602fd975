//! Devices that do not drive as many address bits as memory has, where they use it at its own addresses: such a device
//! could be planned and would never work.

use solver::model::{DomainType, Machine, NodeId};
use solver::solution::{Domain, Solution};

use super::domain_plan::{DomainPlan, Domains};
use super::premapped::IOVA_BITS_FAR;
use crate::read::{App, Device};
use crate::report::{Mistake, Report};

/// Reports devices in identity domains, with an untranslated stream or with direct regions that they cannot reach.
pub fn check(
    report: &Report,
    app: &App,
    machine: &Machine,
    solution: &Solution,
    domains: &Domains,
) {
    for (domain, planned) in solution.domains.iter().zip(&domains.domains) {
        untranslated(report, app, machine, solution, (domain, planned));
    }
    for device in &app.devices {
        for region in &device.direct {
            let end = region.base.saturating_add(region.len);
            if reaches(device.address_bits, end) {
                continue;
            }
            report
                .error(
                    Mistake::AddressBits,
                    format!(
                        "`{}` cannot drive the addresses of its direct region `{}`",
                        device.name.value, region.name.value
                    ),
                )
                .at(
                    &region.name.span,
                    format!("ends at {end:#x}, which takes {} bits", bits_of(end)),
                )
                .with(&device.name.span, drives(device.address_bits))
                .remedy("correct `address-bits`, or the base of the region");
        }
    }
}

/// A domain in which the device uses the addresses that memory has, because nothing is translated or because it is mapped
/// 1:1. Where a pool is placed is not known yet, so that it needs the bits of the end of memory.
fn untranslated(
    report: &Report,
    app: &App,
    machine: &Machine,
    solution: &Solution,
    (domain, planned): (&Domain, &DomainPlan),
) {
    let platform = &app.platform;
    let end = platform.memory_end();
    let translated = planned.kind != DomainType::Identity && !planned.bypass;
    let mut owners = planned
        .owners
        .iter()
        .filter_map(|task| app.tasks.get(*task));
    let Some(pool) = owners.find_map(|task| task.pools.first()) else {
        return;
    };
    if translated || platform.memory_len == 0 {
        return;
    }
    // No domain translates more, however far memory is; an untranslated stream has no tables.
    let most = if planned.bypass { 0 } else { IOVA_BITS_FAR };
    let bits = |device: &Device| match (device.address_bits, most) {
        (0, most) => most,
        (bits, 0) => bits,
        (bits, most) => bits.min(most),
    };
    let driven = domain
        .devices
        .iter()
        .filter_map(|node| driven(app, machine, *node));
    let short = driven.filter(|(_, device)| !reaches(bits(device), end));
    let Some((node, device)) = short.min_by_key(|(_, device)| bits(device)) else {
        return;
    };
    let name = &device.name.value;
    let (what, remedy) = if planned.bypass {
        (
            "its stream is not translated",
            "take `unsafe-bypass` off it: a window lies within the bits that it drives",
        )
    } else {
        (
            "its domain is `identity`",
            "let it demand `domain = \"dma\"`: a window lies within the bits that it drives",
        )
    };
    let message = format!("`{name}` cannot drive the addresses of memory, but {what}");
    let demand = device.domain.as_ref().map(|demand| &demand.span);
    let label = match device.address_bits {
        0 => format!("a domain translates {IOVA_BITS_FAR} bits"),
        bits => drives(bits),
    };
    report
        .error(Mistake::AddressBits, message)
        .at(demand.unwrap_or(&device.name.span), label)
        .with(
            &platform.memory_span,
            format!("memory ends at {end:#x}, which takes {} bits", bits_of(end)),
        )
        .with(&pool.0.span, "the pool that it is to use lies there")
        .note(&solution.device(node).domain_because)
        .remedy(remedy);
}

/// The declaration of a device that a task drives.
fn driven<'a>(app: &'a App, machine: &Machine, node: NodeId) -> Option<(NodeId, &'a Device)> {
    let entry = machine.nodes.get(node.index())?;
    entry.owner?;
    let mut devices = app.devices.iter();
    let device = devices.find(|device| device.name.value == entry.name)?;
    Some((node, device))
}

/// Whether all below `end` can be addressed with `bits`; 0: without a limit.
fn reaches(bits: u32, end: u64) -> bool {
    !(1..64).contains(&bits) || end <= 1 << bits
}

/// The bits of the last address before `end`.
fn bits_of(end: u64) -> u32 {
    u64::BITS - end.saturating_sub(1).leading_zeros()
}

fn drives(bits: u32) -> String {
    format!("drives {bits} address bits")
}
