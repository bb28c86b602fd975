//! The ranges that are premapped in a domain, mapped by the build step and never unmapped: direct regions, and pools.

use solver::model::{DomainType, Machine, NodeId};

use super::domain_plan::{DomainPlan, Premapped};
use super::premapped_pools;
use crate::read::{AddressRange, App, Device, Direct, RangeKind};
use crate::report::{Mistake, Report};

/// IOVA bits of a domain, and of every window: its root is one level-1 table.
pub const IOVA_BITS: u32 = 39;
/// IOVA bits of a domain in which something lies at a physical address beyond [`IOVA_BITS`]: one level more.
pub const IOVA_BITS_FAR: u32 = 48;

/// The IOVA bits of a domain with these ranges.
pub fn iova_bits(app: &App, premapped: &[Premapped]) -> u32 {
    let is_far = |range: &Premapped| match *range {
        Premapped::Direct { base, len, .. } => base.saturating_add(len) > 1 << IOVA_BITS,
        Premapped::Doorbell { base } => base >> IOVA_BITS != 0,
        // Wherever in memory the pool will be.
        Premapped::Identity { .. } => app.platform.memory_end() > 1 << IOVA_BITS,
        Premapped::Pool { .. } => false,
    };
    if premapped.iter().any(is_far) {
        IOVA_BITS_FAR
    } else {
        IOVA_BITS
    }
}

/// The ranges that the image maps in a domain of `members`: direct regions that touch are one.
pub fn of_domain(
    app: &App,
    machine: &Machine,
    members: &[NodeId],
    domain: &DomainPlan,
) -> Vec<Premapped> {
    let nodes = members
        .iter()
        .filter_map(|node| machine.nodes.get(node.index()));
    let mut regions: Vec<(u64, u64)> = nodes
        .flat_map(|node| &node.direct)
        .map(|region| (region.base, region.base.saturating_add(region.len)))
        .collect();
    regions.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (base, end) in regions {
        match merged.last_mut() {
            Some(last) if base <= last.1 && in_ram(app, base) == in_ram(app, last.0) => {
                last.1 = last.1.max(end)
            }
            _ => merged.push((base, end)),
        }
    }
    let direct = merged.into_iter().map(|(base, end)| Premapped::Direct {
        base,
        len: end - base,
        ram: in_ram(app, base),
    });
    let pools = |task: &usize| app.tasks.get(*task).map_or(0, |task| task.pools.len());
    let identity = domain
        .owners
        .iter()
        .filter(|_| domain.kind == DomainType::Identity);
    let identity = identity
        .flat_map(|&task| (0..pools(&task)).map(move |pool| Premapped::Identity { task, pool }));
    direct
        .chain(identity)
        .chain(premapped_pools::pools(app, domain))
        .collect()
}

fn in_ram(app: &App, address: u64) -> bool {
    let platform = &app.platform;
    (platform.memory_base..platform.memory_end()).contains(&address)
}

/// Direct regions that lie in RAM, with the device that has them: nothing of the image may lie there.
pub fn direct_in_ram(app: &App) -> impl Iterator<Item = (&Device, &Direct)> {
    let all = app.devices.iter();
    all.flat_map(|device| device.direct.iter().map(move |region| (device, region)))
        .filter(|(_, region)| in_ram(app, region.base))
}

/// Reports direct regions that no domain can map, or that nobody can vouch for. Those in an aperture, or on the
/// doorbell, the solver finds.
pub fn check(report: &Report, app: &App) {
    let ranges = app.platform.ranges();
    for device in &app.devices {
        for region in &device.direct {
            check_region(report, app, &ranges, device, region);
        }
    }
}

fn check_region(
    report: &Report,
    app: &App,
    ranges: &[AddressRange],
    device: &Device,
    region: &Direct,
) {
    let platform = &app.platform;
    let end = region.base.saturating_add(region.len);
    let refuse = |mistake: Mistake, why: &str| {
        let message = format!(
            "the direct region `{}` of `{}` {why}",
            region.name.value, device.name.value
        );
        report
            .error(mistake, message)
            .at(
                &region.name.span,
                format!("{:#x} to {:#x}", region.base, end - 1),
            )
            .with(&device.name.span, "needs it at any time")
    };
    if end > 1 << IOVA_BITS_FAR.min(platform.address_bits) {
        drop(refuse(
            Mistake::Window,
            "is beyond what a domain translates",
        ));
        return;
    }
    let touched: Vec<&AddressRange> = ranges
        .iter()
        .filter(|range| range.overlaps(region.base, end))
        .collect();
    let registers = touched.iter().filter(|range| {
        matches!(
            range.kind,
            RangeKind::Registers | RangeKind::InterruptController
        )
    });
    for range in registers {
        drop(
            refuse(
                Mistake::Window,
                &format!("covers registers of `{}`", range.name),
            )
            .with(&range.span, range.shown())
            .remedy(
                "declare only what the device needs: through these registers it could open more to itself",
            ),
        );
    }
    let is_memory = |range: &&&AddressRange| range.kind.is_memory();
    let memory = touched.iter().find(is_memory);
    if let Some(memory) = memory
        && (region.base < memory.base || memory.end < end)
    {
        drop(
            refuse(
                Mistake::Window,
                &format!("lies partly in `{}`", memory.name),
            )
            .with(&memory.span, memory.shown())
            .remedy("declare the two parts as two regions"),
        );
    }
    // Of a board that is only looked at, memory may be unknown.
    if touched.is_empty() && platform.memory_len > 0 {
        drop(
            refuse(
                Mistake::UnknownHardware,
                "lies where the platform's description has nothing",
            )
            .with(&platform.span, "what is there may have a DMA engine of its own")
            .remedy(
                "if it is memory, declare it in the platform as `memory.other.NAME`; if registers, no device may reach them",
            ),
        );
    }
}
