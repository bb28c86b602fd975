//! ASIDs and IOVA windows.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::{DomainType, Machine, Node, NodeId, Region, SmmuId};
use crate::solution::{Context, Domain, PlacedWindow, Stream};

/// Granule of a window: what one level-2 entry covers.
const BLOCK: u64 = 2 << 20;
/// The size that one level-2 table covers.
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
            // A context descriptor has 16 bits for an ASID, whatever the file says of the SMMU.
            if *asid >= 1 << entry.asid_bits.min(16) {
                if *asid == 1 << entry.asid_bits.min(16) {
                    // One further, so that the mistake is reported once for the SMMU and not for each domain.
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

/// The window that the owned devices of a domain ask for together.
struct Asked {
    page_bytes: u64,
    block_bytes: u64,
    /// The fewest address bits of any of them.
    bits: u32,
    /// The address at which the window is fixed.
    fixed: Option<u64>,
    /// Whether the window is fixed at two places.
    differ: bool,
}

impl Asked {
    fn new<'a>(machine: &Machine, nodes: impl Iterator<Item = &'a Node>) -> Self {
        let mut asked = Self {
            page_bytes: 0,
            block_bytes: 0,
            // With fewer than 22 bits no block fits above address 0; with more than 48 the tables would need a level more.
            bits: machine.policy.iova_bits.clamp(22, 48),
            fixed: None,
            differ: false,
        };
        for window in nodes.filter(|n| n.owner.is_some()).map(|n| &n.window) {
            let pages = match window.page_bytes {
                0 => machine.policy.window,
                bytes => bytes,
            };
            let add = |sum: u64, bytes| sum.saturating_add(round_up(bytes).unwrap_or(u64::MAX));
            asked.page_bytes = add(asked.page_bytes, pages);
            asked.block_bytes = add(asked.block_bytes, window.block_bytes);
            if window.address_bits != 0 {
                asked.bits = asked.bits.min(window.address_bits);
            }
            match (asked.fixed, window.base) {
                (Some(one), Some(other)) if one != other => asked.differ = true,
                _ => asked.fixed = asked.fixed.or(window.base),
            }
        }
        asked
    }

    fn size(&self) -> u64 {
        self.page_bytes.saturating_add(self.block_bytes)
    }

    /// First address that is too large.
    fn limit(&self) -> u64 {
        1u64 << self.bits.min(63)
    }
}

fn window(machine: &Machine, domain: &Domain, found: &mut Vec<Diagnostic>) -> Option<PlacedWindow> {
    let nodes = || domain.devices.iter().map(|d| &machine.nodes[d.index()]);
    let owned = |d: &&NodeId| machine.nodes[d.index()].owner.is_some();
    let mut devices = domain.devices.iter();
    let named = *devices.find(owned).or_else(|| domain.devices.first())?;
    let first = &machine.nodes[named.index()].name;
    let asked = Asked::new(machine, nodes());
    let size = asked.size();
    if size == 0 {
        return None;
    }
    let mut refuse = |code, message: String, party: Option<&Region>| {
        let mut diagnostic = Diagnostic::new(code, message);
        diagnostic = diagnostic.device(machine, named.index(), format!("`{first}`"));
        if let Some(region) = party {
            diagnostic = diagnostic.party(format!("`{}`", region.name), region.source);
        }
        found.push(diagnostic);
        None
    };
    if asked.differ {
        let message = format!(
            "the devices in the domain of `{first}` fix their window at different addresses"
        );
        return refuse(Code::WindowBases, message, None);
    }
    if size > TABLE {
        let message = format!(
            "the domain of `{first}` asks for {} MiB of IOVAs; one level-2 table covers 1024 MiB",
            size >> 20
        );
        return refuse(Code::WindowTooLarge, message, None);
    }
    // What is mapped 1:1 in this very domain, and what is reserved for all.
    let direct = nodes().flat_map(|n| &n.direct);
    let regions: Vec<&Region> = machine.reserved.iter().chain(direct).collect();
    let base = match base(machine, &asked, &regions) {
        Ok(base) => base,
        Err(Misfit::Fixed(base, why, party)) => {
            let message = format!("the window of `{first}` cannot be at {base:#x}: {why}");
            return refuse(Code::NoWindow, message, party);
        }
        Err(Misfit::NoRoom) => {
            let message = format!(
                "no room for {} MiB of IOVAs below {} bits for the domain of `{first}`",
                size >> 20,
                asked.bits
            );
            return refuse(Code::NoWindow, message, None);
        }
    };
    Some(PlacedWindow {
        page_base: base,
        page_bytes: asked.page_bytes,
        block_base: base + asked.page_bytes,
        block_bytes: asked.block_bytes,
    })
}

/// Why a window has no place.
enum Misfit<'a> {
    /// The window cannot be where it is fixed, for a reason, and because of the region there.
    Fixed(u64, String, Option<&'a Region>),
    NoRoom,
}

/// The base of a window: where it is fixed, or the first place that is free, if there is one from the policy's base
/// on.
fn base<'a>(machine: &Machine, asked: &Asked, regions: &[&'a Region]) -> Result<u64, Misfit<'a>> {
    let end = |region: &Region| region.base.saturating_add(region.len);
    let taken = regions.iter().map(|region| (region.base, end(region)));
    let mut taken: Vec<(u64, u64)> = taken.collect();
    taken.sort_unstable();
    let (size, limit) = (asked.size(), asked.limit());
    match asked.fixed {
        Some(base) if free(base, size, limit, &taken) => Ok(base),
        Some(base) => {
            let (why, party) = unfit(base, size, limit, regions.iter().copied());
            Err(Misfit::Fixed(base, why, party))
        }
        None => find(machine.policy.window_base, size, limit, &taken)
            .or_else(|| find(BLOCK, size, limit, &taken))
            .ok_or(Misfit::NoRoom),
    }
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
