//! What is mapped in a domain at build time and stays so: direct regions, and pools.

use solver::model::{Machine, NodeId};

use super::domains::DomainPlan;
use super::persistent;
use crate::read::{App, Device, Direct, Domain};
use crate::report::{Mistake, Report};

/// One such mapping; addresses of pools are known once they are placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permanent {
    /// Memory or registers at their physical address.
    Direct { base: u64, len: u64, ram: bool },
    /// A pool, by task and number, at its physical address.
    Identity { task: usize, pool: usize },
    /// A pool at an IOVA of the window's page part.
    Persistent { task: usize, pool: usize, iova: u64 },
}

/// IOVA bits of a domain: its root is one level-1 table.
pub const IOVA_BITS: u32 = 39;

/// The permanent mappings of a domain of `members`: direct regions that touch are one.
pub fn of_domain(
    app: &App,
    machine: &Machine,
    members: &[NodeId],
    domain: &DomainPlan,
) -> Vec<Permanent> {
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
    let direct = merged.into_iter().map(|(base, end)| Permanent::Direct {
        base,
        len: end - base,
        ram: in_ram(app, base),
    });
    let pools = |task: &usize| app.tasks.get(*task).map_or(0, |task| task.pools.len());
    let identity = domain
        .owners
        .iter()
        .filter(|_| domain.kind == Domain::Identity);
    let identity = identity
        .flat_map(|&task| (0..pools(&task)).map(move |pool| Permanent::Identity { task, pool }));
    direct
        .chain(identity)
        .chain(persistent::pools(app, domain))
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

/// Registers of the interrupt controller that the kernel uses, and those of its translation service.
fn interrupt_controller(app: &App) -> impl Iterator<Item = (&str, u64, u64)> {
    let platform = &app.platform;
    let frames = [
        ("gic distributor", platform.gic_distributor, 64 << 10),
        ("gic redistributor", platform.gic_redistributor, 128 << 10),
        ("gic its", platform.gic_its, 64 << 10),
    ];
    frames.into_iter().filter(|(_, base, _)| *base != 0)
}

/// Reports direct regions that no domain can map. Those in an aperture, or on the doorbell, the solver finds.
pub fn check(report: &Report, app: &App) {
    let platform = &app.platform;
    let described = platform.missing.is_empty();
    for device in &app.devices {
        for region in &device.direct {
            let end = region.base.saturating_add(region.len);
            let refuse = |why: &str| {
                let message = format!(
                    "the direct region `{}` of `{}` {why}",
                    region.name.value, device.name.value
                );
                report
                    .error(Mistake::Window, message)
                    .at(
                        &region.name.span,
                        format!("{:#x} to {:#x}", region.base, end - 1),
                    )
                    .with(&device.name.span, "needs it at any time")
            };
            if end > 1 << IOVA_BITS.min(platform.address_bits) {
                drop(refuse("is beyond what a domain translates"));
            }
            let ram = (platform.memory_base, platform.memory_end());
            let straddles =
                region.base < ram.1 && ram.0 < end && (region.base < ram.0 || end > ram.1);
            if described && straddles {
                drop(
                    refuse("lies partly in RAM")
                        .note(format!("RAM is {:#x} to {:#x}", ram.0, ram.1 - 1))
                        .remedy("declare the two parts as two regions"),
                );
            }
            let devices = platform.devices.iter();
            let devices = devices.map(|other| (other.name.as_str(), other.base, other.len));
            for (name, base, len) in devices.chain(interrupt_controller(app)) {
                let other_end = base.saturating_add(len.max(1));
                if region.base < other_end && base < end {
                    drop(
                        refuse(&format!("covers registers of `{name}`"))
                            .note(format!("`{}` is {:#x} to {:#x}", name, base, other_end - 1))
                            .remedy("a device that reaches them could open itself more; declare only what it needs"),
                    );
                }
            }
        }
    }
}
