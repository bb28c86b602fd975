//! The plan for people and other tools: what is tied to what, why, and who can reach what.

mod canvas;
mod compare;
mod diff;
mod groups;
mod json;
mod reach;
mod registers;
mod svg;
mod system;
mod time;
mod tree;
mod wait;

pub use diff::{Unreadable, diff};
pub use json::{VERSION as JSON_VERSION, json};
pub use svg::svg;
pub use system::text;

use std::fmt::Write;

use solver::Severity;
use solver::model::NodeId;

use crate::layout::Placement;
use planner::planning::Plan;

/// Fabric, relations, domains and reach; with addresses once programs are placed.
fn relations(plan: &Plan, placement: Option<&Placement>, out: &mut String) -> std::fmt::Result {
    if plan.machine.nodes.is_empty() {
        return registers::write(plan, out);
    }
    tree::write(plan, out)?;
    groups::write(plan, out)?;
    reach::write(plan, placement, out)?;
    registers::write(plan, out)?;
    wait::write(plan, out)?;
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
        exceptions.map(|node| exception(plan, *node)).collect(),
    )?;
    section(out, "warnings", warnings(plan))
}

/// A device with direct regions: what it reaches at any time.
fn exception(plan: &Plan, node: NodeId) -> String {
    let reach = solver::reach(&plan.machine, &plan.solution, node);
    let listed = |names: &std::collections::BTreeSet<String>| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.join(", ")
    };
    let regions = listed(&reach.direct);
    format!("{}: {regions}", name(plan, node))
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
    if let Some(lazy) = reach::lazy(plan, NodeId::new(index)) {
        let why = match &lazy.said_by {
            Some(said) => format!("`{said}` says `invalidation = \"lazy\"`"),
            None => "`[iommu]` says `invalidation = \"lazy\"`".to_owned(),
        };
        text += &format!("its domain is lazy: {}\n", reach::after_unmap(lazy.bounds));
        text += &format!("    because {why}\n");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use planner::project::Project;
    use planner::read;
    use planner::report::Report;

    /// The plan of the system of tests/systems/bypass, whose device has `keys` instead.
    pub(super) fn planned(keys: &str) -> Plan {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut text = std::fs::read_to_string(root.join("tests/systems/bypass/app.toml")).unwrap();
        text = text
            .replace("../../../", "")
            .replace("\"driver\"", "\"tests/systems/bypass/driver\"");
        text = text.replace("unsafe-bypass", "# ") + keys;
        planned_of(text)
    }

    /// The plan of a file at the root of the repository.
    pub(super) fn planned_of(text: String) -> Plan {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let report = Report::default();
        let app = read::from_text(&report, &Project::at(root), "app.toml".as_ref(), text);
        app.and_then(|app| Plan::new(&report, app))
            .unwrap_or_else(|_| panic!("{}", report.text()))
    }

    /// What is open from the start.
    fn exceptions(keys: &str) -> Vec<String> {
        let plan = planned(keys);
        let nodes = plan.solution.exceptions.iter();
        nodes.map(|node| exception(&plan, *node)).collect()
    }

    #[test]
    fn what_is_open_from_the_start_is_listed_with_its_addresses() {
        let region = "direct.fw = { base = 0x4800_0000, size = \"64 KiB\" }\n";
        assert_eq!(exceptions(""), [""; 0]);
        assert_eq!(exceptions(region), ["edu0: fw 0x48000000 to 0x4800ffff"]);
    }

    /// The lines of a text that say something of laziness.
    fn lazy_lines(text: &str) -> Vec<&str> {
        let lines = text.lines();
        lines
            .filter(|line| line.contains("after their unmap") || line.contains("invalidation"))
            .collect()
    }

    #[test]
    fn a_lazy_domain_is_told_wherever_its_device_is() {
        const STAY: &str = "at most stay within reach for up to";
        let keys = "invalidation = { lazy = { pages = 20, within = \"3 ms\" } }\n";
        let stay = format!("20 pages {STAY} 3 ms after their unmap");
        let plan = planned(keys);
        let text = text(&plan, None);
        let lines = lazy_lines(&text);
        let [domain, device] = lines.as_slice() else {
            panic!("{text}");
        };
        assert!(
            domain.starts_with("  edu0: dma, ")
                && domain.contains(&format!(", lazy: {stay}, tables ")),
            "{domain}"
        );
        assert_eq!(*device, format!("    of all that, {stay}"));
        assert_eq!(
            lazy_lines(&why(&plan, "edu0").unwrap()),
            [
                format!("its domain is lazy: {stay}"),
                "    because `edu0` says `invalidation = \"lazy\"`".to_owned()
            ]
        );
        let default = planned("\n[iommu]\ninvalidation = { lazy = { pages = 1 } }\n");
        assert_eq!(
            lazy_lines(&why(&default, "edu0").unwrap()),
            [
                format!("its domain is lazy: 1 page {STAY} 10 ms after their unmap").as_str(),
                "    because `[iommu]` says `invalidation = \"lazy\"`"
            ]
        );
        let strict = planned("");
        assert_eq!(lazy_lines(&super::text(&strict, None)), [""; 0]);
        assert_eq!(lazy_lines(&why(&strict, "edu0").unwrap()), [""; 0]);
    }
}
