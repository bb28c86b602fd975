//! The fabric as a drawing: one box a function, one colour a group.

use std::collections::BTreeMap;

use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;
use solver::model::{NodeId, Place, Upstream};

use super::canvas::Canvas;
use crate::planning::Plan;

/// Fill colours of groups with several members, light enough for black text; used in turn.
const COLOURS: [u32; 10] = [
    0xffe0_b2ff,
    0xc8e6_c9ff,
    0xbbde_fbff,
    0xf8bb_d0ff,
    0xfff9_c4ff,
    0xd1c4_e9ff,
    0xb2eb_f2ff,
    0xffcc_bcff,
    0xdced_c8ff,
    0xcfd8_dcff,
];
/// Functions whose group has no other member.
const ALONE: u32 = 0xffff_ffff;
const LINE: u32 = 0x3030_30ff;
const FONT: usize = 14;
/// Width of a character and height of a line in the font, in the drawing's units.
const CHARACTER: f64 = 8.6;
const ROW: f64 = 19.0;

/// Draws the plan, what is on the root buses on the left.
pub fn svg(plan: &Plan) -> String {
    let mut graph = VisualGraph::new(Orientation::LeftToRight);
    let colours = colours(plan);
    let mut nodes = BTreeMap::new();
    for &id in &plan.solution.order {
        let colour = colours.get(&plan.solution.device(id).group).copied();
        let owned = plan
            .machine
            .nodes
            .get(id.index())
            .is_some_and(|node| node.owner.is_some());
        let width = if owned { 3 } else { 1 };
        let handle = graph.add_node(element(&label(plan, id), colour.unwrap_or(ALONE), width));
        nodes.insert(id, handle);
    }
    for (id, handle) in &nodes {
        let Some(node) = plan.machine.nodes.get(id.index()) else {
            continue;
        };
        let above = match node.place {
            Place::Slot {
                upstream: Upstream::Bridge(bridge),
                ..
            } => nodes.get(&bridge),
            Place::Virtual { physical, .. } => nodes.get(&physical),
            // What is on a root bus starts a line: its address names the bus, and arrows from one box to
            // many would cross the others.
            Place::Slot { .. } | Place::Platform { .. } => None,
        };
        if let Some(above) = above {
            graph.add_edge(Arrow::simple(""), *above, *handle);
        }
    }
    let mut canvas = Canvas::new();
    graph.do_it(false, false, false, &mut canvas);
    canvas.finish()
}

/// Colours of the groups with more than one member.
fn colours(plan: &Plan) -> BTreeMap<usize, u32> {
    let groups = plan.solution.groups.iter().enumerate();
    groups
        .filter(|(_, group)| group.devices.len() > 1)
        .map(|(index, _)| index)
        .zip(COLOURS.iter().cycle().copied())
        .collect()
}

/// Name and address; what is driven also says by whom, its domain and its StreamIDs.
fn label(plan: &Plan, id: NodeId) -> String {
    let Some(node) = plan.machine.nodes.get(id.index()) else {
        return String::new();
    };
    let found = plan.solution.device(id);
    let mut lines = vec![node.name.clone()];
    if let Some(requester) = found.requester {
        lines.push(requester.to_string());
    }
    if let Some(owner) = node
        .owner
        .and_then(|owner| plan.machine.owners.get(owner.index()))
    {
        let streams: Vec<String> = found
            .streams
            .iter()
            .map(|s| format!("{:#x}", s.id))
            .collect();
        lines.push(format!("{}: {}", owner.name, found.domain_type.text()));
        lines.push(format!("stream {}", streams.join(" ")));
    }
    if let Some(group) = plan.solution.groups.get(found.group)
        && group.devices.len() > 1
    {
        lines.push(format!("group {}", group.name));
    }
    lines.join("\n")
}

fn element(text: &str, fill: u32, width: usize) -> Element {
    let longest = text
        .lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    let rows = text.lines().count();
    let size = Point::new(longest as f64 * CHARACTER + 16.0, rows as f64 * ROW + 12.0);
    let style = StyleAttr::new(Color::new(LINE), width, Some(Color::new(fill)), 0, FONT);
    Element::create(
        ShapeKind::new_box(text),
        style,
        Orientation::LeftToRight,
        size,
    )
}
