//! What each device can reach at most, whatever its driver does.

use std::collections::BTreeSet;
use std::fmt::Write;

use solver::Reach;
use solver::model::{DomainType, NodeId};

use super::name;
use crate::place::Layout;
use planner::planning::Plan;
use planner::read::units::show_size;

/// Writes the reach of every device that is no bridge.
pub fn write(plan: &Plan, layout: Option<&Layout>, out: &mut String) -> std::fmt::Result {
    let endpoint = |node: &&NodeId| {
        let node = plan.machine.nodes.get(node.index());
        node.is_some_and(|node| {
            let kind = node.function.kind;
            !kind.is_bridge() && kind != solver::model::FunctionKind::HostBridge
        })
    };
    // A device with a message-signalled interrupt could write to the doorbell; none is given one.
    writeln!(
        out,
        "\nmaximal reach of each device (no domain maps the interrupt doorbell: interrupts are lines)"
    )?;
    for &node in plan.solution.order.iter().filter(endpoint) {
        device(plan, layout, node, out)?;
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

fn device(
    plan: &Plan,
    layout: Option<&Layout>,
    node: NodeId,
    out: &mut String,
) -> std::fmt::Result {
    let found = plan.solution.device(node);
    let reach = solver::reach(&plan.machine, &plan.solution, node);
    let streams: Vec<String> = found
        .streams
        .iter()
        .map(|s| format!("{:#x}", s.id))
        .collect();
    let streams = match streams.as_slice() {
        [] => "no StreamID".to_owned(),
        [one] => format!("StreamID {one}"),
        many => format!("StreamIDs {}", many.join(" ")),
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
    writeln!(out)?;
    for owner in &reach.owners {
        let Some((index, task)) = plan.app.task(owner) else {
            continue;
        };
        for (number, (pool, len)) in task.pools.iter().enumerate() {
            let place = layout
                .and_then(|layout| layout.tasks.get(index))
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
        if !callers.is_empty() {
            writeln!(
                out,
                "    buffers that {} lends to {owner}, while it waits",
                callers.join(" or ")
            )?;
        }
    }
    let pins = pins(plan, name(plan, node), &reach);
    if pins > 0 {
        writeln!(out, "    at most {pins} such buffers at once")?;
    }
    if !reach.direct.is_empty() {
        let regions: Vec<&str> = reach.direct.iter().map(String::as_str).collect();
        writeln!(
            out,
            "    direct regions {}, at any time",
            regions.join(", ")
        )?;
    }
    if !reach.domain_mates.is_empty() {
        let mates: Vec<&str> = reach.domain_mates.iter().map(String::as_str).collect();
        writeln!(
            out,
            "    what is mapped for {}: one domain",
            mates.join(" ")
        )?;
    }
    if !reach.peers.is_empty() {
        let peers: Vec<&str> = reach.peers.iter().map(String::as_str).collect();
        writeln!(
            out,
            "    registers of {}, without the SMMU",
            peers.join(" ")
        )?;
    }
    if !reach.ports.is_empty() {
        let ports: Vec<&str> = reach.ports.iter().map(String::as_str).collect();
        writeln!(
            out,
            "    registers of {} above it, without the SMMU",
            ports.join(" ")
        )?;
    }
    if let Some(segment) = reach.forges {
        writeln!(
            out,
            "    whatever any StreamID of segment {segment} reaches: no port above it checks ids"
        )?;
    }
    Ok(())
}
