//! The plan for people and other tools: what is tied to what, why, and who can reach what.

mod canvas;
mod diff;
mod groups;
mod json;
mod reach;
mod svg;
mod tree;

pub use diff::{Unreadable, diff};
pub use json::add as add_json;
pub use svg::svg;

use std::fmt::Write;

use solver::Severity;
use solver::model::NodeId;

use crate::place::Layout;
use crate::planning::Plan;

/// Fabric, relations, domains and reach; with addresses once programs are placed.
pub fn text(plan: &Plan, layout: Option<&Layout>, out: &mut String) -> std::fmt::Result {
    if plan.machine.nodes.is_empty() {
        return Ok(());
    }
    tree::write(plan, out)?;
    groups::write(plan, out)?;
    reach::write(plan, layout, out)?;
    remarks(plan, out)
}

/// Everything that somebody has to answer for: waivers, bypasses, exceptions, warnings.
fn remarks(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let section = |out: &mut String, title: &str, lines: Vec<String>| -> std::fmt::Result {
        if lines.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{title}")?;
        lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
    };
    section(out, "waivers", plan.domains.waivers.clone())?;
    section(
        out,
        "bypasses: streams that the SMMU does not translate",
        bypasses(plan),
    )?;
    let exceptions = plan.solution.exceptions.iter();
    section(
        out,
        "open from the start: streams with direct regions",
        exceptions
            .map(|node| name(plan, *node).to_owned())
            .collect(),
    )?;
    section(out, "warnings", warnings(plan))
}

fn bypasses(plan: &Plan) -> Vec<String> {
    let nodes = plan.machine.nodes.iter();
    nodes
        .filter_map(|node| Some(format!("{}: {}", node.name, node.unsafe_bypass.as_ref()?)))
        .collect()
}

fn warnings(plan: &Plan) -> Vec<String> {
    let found = plan.solution.diagnostics.iter();
    found
        .filter(|found| found.severity == Severity::Warning)
        .map(|found| format!("{}: {}", found.code, found.message))
        .collect()
}

/// One device edge by edge; `None` if there is none of that name.
pub fn why(plan: &Plan, device: &str) -> Option<String> {
    let index = plan
        .machine
        .nodes
        .iter()
        .position(|node| node.name == device)?;
    let explained = solver::explain(&plan.machine, &plan.solution, NodeId::new(index));
    let mut text = explained.lines(&plan.machine).join("\n");
    text.push('\n');
    Some(text)
}

/// Names of all devices, for messages.
pub fn names(plan: &Plan) -> Vec<&str> {
    plan.machine
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .collect()
}

fn name(plan: &Plan, node: NodeId) -> &str {
    plan.machine
        .nodes
        .get(node.index())
        .map_or("", |node| &node.name)
}

fn joined(plan: &Plan, nodes: &[NodeId]) -> String {
    let names: Vec<&str> = nodes.iter().map(|node| name(plan, *node)).collect();
    names.join(" ")
}
