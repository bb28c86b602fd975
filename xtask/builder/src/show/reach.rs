//! The most that each device can reach, whatever its driver does.

use std::collections::BTreeSet;
use std::fmt::Write;

use solver::Reach;
use solver::model::{DomainType, NodeId};
use solver::solution::Stream;

use super::name;
use crate::layout::Placement;
use planner::planning::{LazyPlan, MessageDevice, Plan};
use planner::read::LazyBounds;
use planner::read::units::show_size;

/// Writes the reach of every device that is no bridge.
pub fn write(plan: &Plan, placement: Option<&Placement>, out: &mut String) -> std::fmt::Result {
    let endpoint = |node: &&NodeId| {
        let node = plan.machine.nodes.get(node.index());
        node.is_some_and(|node| {
            let kind = node.function.kind;
            !kind.is_bridge() && kind != solver::model::FunctionKind::HostBridge
        })
    };
    let doorbell = match plan.messages.is_empty() {
        true => "no domain maps the interrupt doorbell: interrupts are lines",
        false => "the interrupt doorbell only where it is listed",
    };
    writeln!(out, "\nmaximal reach of each device ({doorbell})")?;
    for &node in plan.solution.order.iter().filter(endpoint) {
        device(plan, placement, node, out)?;
    }
    Ok(())
}

/// Tasks that may lend a task buffers.
fn clients<'p>(plan: &'p Plan, owner: &str) -> impl Iterator<Item = &'p str> {
    let callers = plan.app.tasks.iter().filter(move |caller| {
        let mut calls = caller.calls.iter();
        calls.any(|call| call.value == owner)
    });
    callers.map(|caller| caller.name.value.as_str())
}

/// Tasks whose buffers a device can reach while they are lent to an owner of its domain.
pub fn lenders(plan: &Plan, reach: &Reach) -> BTreeSet<String> {
    let owners = reach.owners.iter();
    let lenders = owners.flat_map(|owner| clients(plan, owner));
    lenders.map(str::to_owned).collect()
}

/// Most buffers of clients that can be mapped at once where a device can use them: its own and its mates'.
pub fn pins(plan: &Plan, device: &str, reach: &Reach) -> usize {
    let mates = reach.domain_mates.iter().map(String::as_str);
    let members = mates.chain(std::iter::once(device));
    members.map(|member| plan.pins(member)).sum()
}

/// A pool that a task lends as a whole, with the names of both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LentPool {
    /// The task.
    pub task: String,
    /// The pool.
    pub pool: String,
    /// Most bytes of it.
    pub bytes: u64,
    /// Whether the device may write to it.
    pub writable: bool,
}

/// The pools that tasks lend as a whole to the drivers of a device and its mates, each with the device that they are
/// lent to.
pub fn lent(plan: &Plan, device: &str, reach: &Reach) -> Vec<(String, LentPool)> {
    let mates = reach.domain_mates.iter().map(String::as_str);
    let members = std::iter::once(device).chain(mates);
    let lent = members.flat_map(|member| {
        let lent = plan.lent_to(member).into_iter();
        lent.map(move |lent| (member.to_owned(), named(plan, &lent)))
    });
    lent.collect()
}

fn named(plan: &Plan, lent: &planner::planning::LentPool) -> LentPool {
    let task = plan.app.tasks.get(lent.task);
    let pool = task.and_then(|task| task.pools.get(lent.pool));
    LentPool {
        task: task.map_or(String::new(), |task| task.name.value.clone()),
        pool: pool.map_or(String::new(), |pool| pool.0.value.clone()),
        bytes: lent.bytes,
        writable: lent.writable,
    }
}

fn device(
    plan: &Plan,
    placement: Option<&Placement>,
    node: NodeId,
    out: &mut String,
) -> std::fmt::Result {
    let reach = solver::reach(&plan.machine, &plan.solution, node);
    heading(plan, node, &reach, out)?;
    for owner in &reach.owners {
        memory(plan, placement, owner, out)?;
    }
    let pins = pins(plan, name(plan, node), &reach);
    if pins > 0 {
        writeln!(out, "    at most {pins} such buffers at once")?;
    }
    for (device, lent) in lent(plan, name(plan, node), &reach) {
        let access = if lent.writable { "" } else { ", to read" };
        writeln!(
            out,
            "    pool `{}` that {} lends to {device} as a whole, {}{access}",
            lent.pool,
            lent.task,
            show_size(lent.bytes)
        )?;
    }
    if let Some(bounds) = lazy_bounds(plan, node) {
        writeln!(out, "    of all that, {}", after_unmap(bounds))?;
    }
    messages(plan, node, out)?;
    others(&reach, out)
}

/// The doorbell of a device that signals by messages, and what it can signal there.
fn messages(plan: &Plan, node: NodeId, out: &mut String) -> std::fmt::Result {
    let of_node = |device: &&MessageDevice| {
        let function = plan.fabric.functions.get(device.function);
        function.is_some_and(|function| function.node == node)
    };
    let (Some(device), Some(doorbell)) = (
        plan.messages.iter().find(of_node),
        planner::planning::doorbell(&plan.app),
    ) else {
        return Ok(());
    };
    let (first, last) = (device.first_intid, device.first_intid + device.vectors - 1);
    let raises = match device.vectors {
        1 => format!("INTID {first}"),
        _ => format!("INTIDs {first} to {last}"),
    };
    writeln!(
        out,
        "    the interrupt doorbell at {doorbell:#x}: as DeviceID {:#x} it raises {raises}, and nothing else",
        device.device_id
    )
}

/// The device, and what is special about all it reaches.
fn heading(plan: &Plan, node: NodeId, reach: &Reach, out: &mut String) -> std::fmt::Result {
    let found = plan.solution.device(node);
    // Where there are several SMMUs, the same number means another stream at each.
    let at = |stream: &Stream| match plan.machine.smmus.as_slice() {
        [_, _, ..] => plan.machine.smmus.get(stream.smmu.index()),
        _ => None,
    };
    let text = |stream: &Stream| match at(stream) {
        Some(smmu) => format!("{:#x} at {}", stream.id, smmu.name),
        None => format!("{:#x}", stream.id),
    };
    let streams: Vec<String> = found.streams.iter().map(text).collect();
    let streams = match streams.as_slice() {
        [] => "no StreamID".to_owned(),
        [one] => format!("StreamID {one}"),
        many => format!("StreamIDs {}", many.join(", ")),
    };
    write!(out, "  {} ({streams})", name(plan, node))?;
    if !plan.is_coherent(node) {
        write!(out, ", does not snoop the caches")?;
    }
    if reach.untranslated {
        write!(
            out,
            ": all memory and the doorbell, its stream is not translated"
        )?;
    } else if reach.domain == DomainType::Blocked {
        write!(out, ": no memory, blocked")?;
    }
    writeln!(out)
}

/// The pages that a device reaches although they are unmapped.
pub fn after_unmap(bounds: LazyBounds) -> String {
    let pages = match bounds.pages {
        1 => "1 page".to_owned(),
        pages => format!("{pages} pages"),
    };
    format!(
        "{pages} at most stay within reach for up to {} ms after their unmap",
        bounds.milliseconds
    )
}

/// What the domain of a device leaves to a later flush.
pub fn lazy_bounds(plan: &Plan, node: NodeId) -> Option<LazyBounds> {
    lazy(plan, node).map(|lazy| lazy.bounds)
}

/// The lazy domain of a device, with who said so.
pub fn lazy(plan: &Plan, node: NodeId) -> Option<&LazyPlan> {
    let domain = plan.solution.device(node).domain?;
    plan.domains.domains.get(domain)?.lazy.as_ref()
}

/// Pools of an owner, and what its clients lend it.
fn memory(
    plan: &Plan,
    placement: Option<&Placement>,
    owner: &str,
    out: &mut String,
) -> std::fmt::Result {
    let Some((index, task)) = plan.app.task(owner) else {
        return Ok(());
    };
    for (number, (pool, len)) in task.pools.iter().enumerate() {
        let place = placement
            .and_then(|placement| placement.tasks.get(index))
            .and_then(|task| task.pools.get(number));
        let address = place.map_or(String::new(), |extent| format!(" at {:#x}", extent.pa));
        writeln!(
            out,
            "    pool `{}` of {owner}, {}{address}",
            pool.value,
            show_size(*len)
        )?;
    }
    let callers: Vec<&str> = clients(plan, owner).collect();
    if callers.is_empty() {
        return Ok(());
    }
    let callers = callers.join(" or ");
    writeln!(
        out,
        "    buffers that {callers} lends to {owner}, while it waits"
    )
}

/// The things that a device reaches beside the memory of its owners.
fn others(reach: &Reach, out: &mut String) -> std::fmt::Result {
    let joined = |names: &BTreeSet<String>, between: &str| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(between))
    };
    if let Some(regions) = joined(&reach.direct, ", ") {
        writeln!(out, "    direct regions {regions}, at any time")?;
    }
    if let Some(mates) = joined(&reach.domain_mates, " ") {
        writeln!(out, "    what is mapped for {mates}: one domain")?;
    }
    if let Some(peers) = joined(&reach.peers, " ") {
        writeln!(out, "    registers of {peers}, without the SMMU")?;
    }
    if let Some(ports) = joined(&reach.ports, " ") {
        writeln!(out, "    registers of {ports} above it, without the SMMU")?;
    }
    ids(reach, out)
}

/// What it reaches under ids that are not its own; of its own bus only if somebody has them.
fn ids(reach: &Reach, out: &mut String) -> std::fmt::Result {
    let Some(forges) = &reach.forges else {
        return Ok(());
    };
    let own_bus = forges.checked_by.is_some() && forges.first_bus == forges.last_bus;
    if own_bus && forges.devices.is_empty() {
        return Ok(());
    }
    let why = match &forges.checked_by {
        Some(port) => format!("`{port}` checks no more"),
        None => "no port above it checks them".to_owned(),
    };
    let devices: Vec<&str> = forges.devices.iter().map(String::as_str).collect();
    let reached = match devices.as_slice() {
        [] => "nothing yet".to_owned(),
        devices => format!("what is mapped for {}", devices.join(" ")),
    };
    writeln!(out, "    under {}, as {why}: {reached}", forges.ids())
}
