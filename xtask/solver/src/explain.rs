//! Why a device is where it is, edge by edge.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{Machine, NodeId};
use crate::solution::{Edge, EdgeKind, Solution};

/// One step away from a device: an edge that leads to another member of its set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Edges between the device and `edge.to`, this one included; from 1.
    pub distance: usize,
    /// The edge, turned so that it leads away from the device.
    pub edge: Edge,
}

/// Everything that ties one device to others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The device.
    pub node: NodeId,
    /// The facts that the fabric and the SMMU see of the device, a sentence each.
    pub facts: Vec<String>,
    /// How each other member of its alias set is reached over alias edges.
    pub alias: Vec<Step>,
    /// How each other member of its group is reached over alias and isolation edges.
    pub group: Vec<Step>,
    /// How each other member of its reset unit is reached over reset edges.
    pub reset: Vec<Step>,
}

/// Explains `node`.
///
/// # Panics
/// If `node` is not one of `machine`, or `solution` is not of `machine`.
pub fn explain(machine: &Machine, solution: &Solution, node: NodeId) -> Explanation {
    Explanation {
        node,
        facts: facts(machine, solution, node),
        alias: steps(solution, node, &[EdgeKind::Alias]),
        group: steps(solution, node, &[EdgeKind::Alias, EdgeKind::Isolation]),
        reset: steps(solution, node, &[EdgeKind::Reset]),
    }
}

/// A shortest way from `node` to every device in reach over edges of `kinds`, nearest first.
fn steps(solution: &Solution, node: NodeId, kinds: &[EdgeKind]) -> Vec<Step> {
    let mut of_node: Vec<Vec<usize>> = vec![Vec::new(); solution.devices.len()];
    for (index, edge) in solution
        .edges
        .iter()
        .enumerate()
        .filter(|(_, e)| kinds.contains(&e.kind))
    {
        of_node[edge.from.index()].push(index);
        of_node[edge.to.index()].push(index);
    }
    let mut seen = vec![false; solution.devices.len()];
    seen[node.index()] = true;
    let mut queue = VecDeque::from([(node, 0)]);
    let mut steps = Vec::new();
    while let Some((at, distance)) = queue.pop_front() {
        for index in &of_node[at.index()] {
            let edge = &solution.edges[*index];
            let to = if edge.from == at { edge.to } else { edge.from };
            if !core::mem::replace(&mut seen[to.index()], true) {
                let edge = Edge {
                    from: at,
                    to,
                    ..edge.clone()
                };
                steps.push(Step {
                    distance: distance + 1,
                    edge,
                });
                queue.push_back((to, distance + 1));
            }
        }
    }
    steps
}

fn facts(machine: &Machine, solution: &Solution, node: NodeId) -> Vec<String> {
    let entry = &machine.nodes[node.index()];
    let device = solution.device(node);
    let mut facts = Vec::new();
    if let Some(own) = device.requester {
        let kind = entry.function.kind.text();
        let article = if kind.starts_with('e') { "an" } else { "a" };
        facts.push(format!("{article} {kind} at {own}"));
        for alias in device.aliases.iter().filter(|a| **a != own) {
            facts.push(format!("its requests may also carry {alias}"));
        }
    } else {
        facts.push("a platform device".into());
    }
    let smmu = |index: usize| machine.smmus.get(index).map_or("?", |s| s.name.as_str());
    for stream in &device.streams {
        facts.push(format!(
            "StreamID {:#x} at `{}`",
            stream.id,
            smmu(stream.smmu.index())
        ));
    }
    match entry
        .owner
        .and_then(|owner| machine.owners.get(owner.index()))
    {
        Some(owner) => facts.push(format!("driven by `{}`", owner.name)),
        None => facts.push("driven by nobody".into()),
    }
    facts.push(format!(
        "domain `{}`: {}",
        device.domain_type.text(),
        device.domain_because
    ));
    facts
}

/// The steps as a tree from `node`: each right after the one that leads to it.
fn depth_first(node: NodeId, steps: &[Step]) -> Vec<&Step> {
    let mut after: BTreeMap<NodeId, Vec<&Step>> = BTreeMap::new();
    for step in steps {
        after.entry(step.edge.from).or_default().push(step);
    }
    let mut next = |at: NodeId| after.remove(&at).unwrap_or_default().into_iter().rev();
    let mut stack: Vec<&Step> = next(node).collect();
    let mut tree = Vec::with_capacity(steps.len());
    while let Some(step) = stack.pop() {
        tree.push(step);
        stack.extend(next(step.edge.to));
    }
    tree
}

impl Explanation {
    /// The explanation as lines for a person.
    pub fn lines(&self, machine: &Machine) -> Vec<String> {
        let name = |node: NodeId| &machine.nodes[node.index()].name;
        let mut lines = vec![format!("`{}`:", name(self.node))];
        lines.extend(self.facts.iter().map(|fact| format!("  {fact}")));
        let sections = [
            ("alias set: the SMMU cannot tell it from", &self.alias),
            (
                "isolation group: reaches without the SMMU, is reached by, or is one with to the SMMU",
                &self.group,
            ),
            ("reset unit: reset together with", &self.reset),
        ];
        for (title, steps) in sections {
            if steps.is_empty() {
                continue;
            }
            lines.push(format!("  {title}"));
            for step in depth_first(self.node, steps) {
                lines.push(format!(
                    "    {}`{}` - `{}` ({}): {}",
                    "  ".repeat(step.distance - 1),
                    name(step.edge.from),
                    name(step.edge.to),
                    step.edge.kind.text(),
                    step.edge.because
                ));
            }
        }
        lines
    }
}
