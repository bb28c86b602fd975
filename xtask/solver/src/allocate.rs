//! ASIDs and IOVA windows.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::{DomainType, Machine, NodeId, Region, SmmuId};
use crate::solution::{Context, Domain, PlacedWindow, Stream};

/// Granule of a window: what one level-2 entry covers.
const BLOCK: u64 = 2 << 20;
/// What one level-2 table covers.
const TABLE: u64 = 1 << 30;

/// Gives each domain an ASID on each SMMU its streams go to, from 1, in order.
pub(crate) fn contexts(
    machine: &Machine,
    domains: &mut [Domain],
    streams: impl Fn(usize) -> Vec<Stream>,
    found: &mut Vec<Diagnostic>,
) {
    let mut next: BTreeMap<SmmuId, u32> = BTreeMap::new();
    for domain in domains {
        let mut smmus: Vec<SmmuId> = domain
            .devices
            .iter()
            .flat_map(|d| streams(d.index()))
            .map(|s| s.smmu)
            .collect();
        smmus.sort_unstable();
        smmus.dedup();
        for smmu in smmus {
            let Some(entry) = machine.smmus.get(smmu.index()) else {
                continue;
            };
            let asid = next.entry(smmu).or_insert(1);
            if *asid >= 1 << entry.asid_bits.min(16) {
                if *asid == 1 << entry.asid_bits.min(16) {
                    *asid += 1;
                    found.push(
                        Diagnostic::new(
                            Code::NoAsid,
                            format!(
                                "`{}` has {} bits of ASID, too few for its domains",
                                entry.name, entry.asid_bits
                            ),
                        )
                        .party(format!("`{}`", entry.name), entry.source),
                    );
                }
                continue;
            }
            domain.contexts.push(Context {
                smmu,
                asid: *asid as u16,
            });
            *asid += 1;
        }
    }
}

/// Places the window of every translated domain.
pub(crate) fn windows(machine: &Machine, domains: &mut [Domain], found: &mut Vec<Diagnostic>) {
    for domain in domains {
        let bypassed = domain
            .devices
            .iter()
            .any(|node| machine.nodes[node.index()].unsafe_bypass.is_some());
        if domain.domain_type == DomainType::Dma && !bypassed {
            domain.window = window(machine, domain, found);
        }
    }
}

fn round_up(bytes: u64) -> Option<u64> {
    Some(bytes.checked_add(BLOCK - 1)? & !(BLOCK - 1))
}

fn window(machine: &Machine, domain: &Domain, found: &mut Vec<Diagnostic>) -> Option<PlacedWindow> {
    let nodes = || domain.devices.iter().map(|d| &machine.nodes[d.index()]);
    let owned = |d: &&NodeId| machine.nodes[d.index()].owner.is_some();
    let named = *domain
        .devices
        .iter()
        .find(owned)
        .or_else(|| domain.devices.first())?;
    let first = &machine.nodes[named.index()];
    let mut page_bytes: u64 = 0;
    let mut block_bytes: u64 = 0;
    let mut bits = machine.policy.iova_bits.clamp(22, 48);
    let mut fixed = None;
    let mut differ = false;
    for node in nodes().filter(|n| n.owner.is_some()) {
        let asked = if node.window.page_bytes == 0 {
            machine.policy.window
        } else {
            node.window.page_bytes
        };
        page_bytes = page_bytes.saturating_add(round_up(asked).unwrap_or(u64::MAX));
        block_bytes =
            block_bytes.saturating_add(round_up(node.window.block_bytes).unwrap_or(u64::MAX));
        if node.window.address_bits != 0 {
            bits = bits.min(node.window.address_bits);
        }
        match (fixed, node.window.base) {
            (Some(one), Some(other)) if one != other => differ = true,
            _ => fixed = fixed.or(node.window.base),
        }
    }
    let size = page_bytes.saturating_add(block_bytes);
    let refuse = |code, message: String| {
        Diagnostic::new(code, message).device(machine, named.index(), format!("`{}`", first.name))
    };
    if size == 0 {
        return None;
    }
    if differ {
        found.push(refuse(
            Code::WindowBases,
            format!(
                "the devices in the domain of `{}` fix their window at different addresses",
                first.name
            ),
        ));
        return None;
    }
    if size > TABLE {
        found.push(refuse(
            Code::WindowTooLarge,
            format!(
                "the domain of `{}` asks for {} MiB of IOVAs; one level-2 table covers 1024 MiB",
                first.name,
                size >> 20
            ),
        ));
        return None;
    }
    // What is mapped 1:1 in this very domain, and what is reserved for all.
    let mut taken: Vec<(u64, u64)> = machine
        .reserved
        .iter()
        .chain(nodes().flat_map(|n| &n.direct))
        .map(|r| (r.base, r.base.saturating_add(r.len)))
        .collect();
    taken.sort_unstable();
    let limit = 1u64 << bits.min(63);
    if let Some(base) = fixed
        && !free(base, size, limit, &taken)
    {
        let regions = machine
            .reserved
            .iter()
            .chain(nodes().flat_map(|n| &n.direct));
        let (why, party) = unfit(base, size, limit, regions);
        let message = format!(
            "the window of `{}` cannot be at {base:#x}: {why}",
            first.name
        );
        let mut diagnostic = refuse(Code::NoWindow, message);
        if let Some(region) = party {
            diagnostic = diagnostic.party(format!("`{}`", region.name), region.source);
        }
        found.push(diagnostic);
        return None;
    }
    let base = fixed.or_else(|| {
        find(machine.policy.window_base, size, limit, &taken)
            .or_else(|| find(BLOCK, size, limit, &taken))
    });
    let Some(base) = base else {
        found.push(refuse(
            Code::NoWindow,
            format!(
                "no room for {} MiB of IOVAs below {bits} bits for the domain of `{}`",
                size >> 20,
                first.name
            ),
        ));
        return None;
    };
    Some(PlacedWindow {
        page_base: base,
        page_bytes,
        block_base: base + page_bytes,
        block_bytes,
    })
}

/// Why a window cannot be where it is fixed, and what is there.
fn unfit<'a>(
    base: u64,
    size: u64,
    limit: u64,
    mut regions: impl Iterator<Item = &'a Region>,
) -> (String, Option<&'a Region>) {
    if !base.is_multiple_of(BLOCK) {
        return ("that is no multiple of 2 MiB".into(), None);
    }
    let Some(end) = base.checked_add(size).filter(|end| *end <= limit) else {
        let bits = limit.trailing_zeros();
        return (format!("it would end beyond {bits} address bits"), None);
    };
    let own = |region: &&Region| region.base < end && base < region.base.saturating_add(region.len);
    if let Some(region) = regions.find(own) {
        let last = region.base.saturating_add(region.len.saturating_sub(1));
        let why = format!(
            "it overlaps `{}`, {:#x} to {last:#x}",
            region.name, region.base
        );
        return (why, Some(region));
    }
    (
        "it crosses a multiple of 1 GiB, where another level-2 table begins".into(),
        None,
    )
}

fn free(base: u64, size: u64, limit: u64, taken: &[(u64, u64)]) -> bool {
    let Some(end) = base.checked_add(size) else {
        return false;
    };
    base.is_multiple_of(BLOCK)
        && end <= limit
        && base / TABLE == (end - 1) / TABLE
        && taken
            .iter()
            .all(|(first, last)| end <= *first || *last <= base)
}

/// The lowest free place at or above `from`. Only the start, the ends of what is taken and the starts of
/// tables can be lowest, so only those are tried.
fn find(from: u64, size: u64, limit: u64, taken: &[(u64, u64)]) -> Option<u64> {
    let mut candidates = vec![round_up(from)?];
    for (_, end) in taken {
        candidates.extend(round_up(*end));
    }
    let tables: Vec<u64> = candidates
        .iter()
        .filter_map(|c| Some((c / TABLE).checked_add(1)? * TABLE))
        .collect();
    candidates.extend(tables);
    candidates.sort_unstable();
    candidates
        .into_iter()
        .filter(|c| *c >= from)
        .find(|c| free(*c, size, limit, taken))
}
