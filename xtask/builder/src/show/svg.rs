//! The fabric as a drawing: one box a function, one colour a group.

use std::collections::BTreeMap;

use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::geometry::{Point, Position};
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;
use solver::model::{NodeId, Place, Upstream};

use super::canvas::{Canvas, MARGIN};
use planner::planning::Plan;

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
/// Most StreamIDs that a box lists.
const STREAMS: usize = 3;

/// Distance of boxes that an arrow connects, and of trees in one column.
const ARROW: f64 = 60.0;
const GAP: f64 = 16.0;
/// Distance of columns.
const COLUMN_GAP: f64 = 48.0;
/// Width of a drawing in units of its height, as far as its trees allow.
const ASPECT: f64 = 4.0 / 3.0;

/// Draws the plan. What is on a root bus starts a tree; the trees stand in columns, in the order of the plan.
pub fn svg(plan: &Plan) -> String {
    let trees = trees(plan);
    let colours = colours(plan);
    let extents: Vec<(Point, Point)> = trees
        .iter()
        .map(|tree| {
            let mut canvas = Canvas::new();
            draw(plan, &colours, tree, &mut canvas);
            canvas.extent()
        })
        .collect();
    let sizes: Vec<Point> = extents.iter().map(|extent| extent.1).collect();
    let mut canvas = Canvas::new();
    for ((tree, (from, _)), to) in trees.iter().zip(extents).zip(columns(&sizes)) {
        canvas.set_offset(Point::new(to.x + MARGIN - from.x, to.y + MARGIN - from.y));
        draw(plan, &colours, tree, &mut canvas);
    }
    canvas.finish()
}

/// Every function on a root bus, or not on PCI, with all below it.
fn trees(plan: &Plan) -> Vec<Vec<NodeId>> {
    let mut trees: Vec<Vec<NodeId>> = Vec::new();
    // Parents come first, so what is above a function has its tree.
    let mut tree_of: BTreeMap<NodeId, usize> = BTreeMap::new();
    for &id in &plan.solution.order {
        let tree = match above(plan, id).and_then(|above| tree_of.get(&above)) {
            Some(&tree) => tree,
            None => {
                trees.push(Vec::new());
                trees.len() - 1
            }
        };
        tree_of.insert(id, tree);
        if let Some(tree) = trees.get_mut(tree) {
            tree.push(id);
        }
    }
    trees
}

fn above(plan: &Plan, id: NodeId) -> Option<NodeId> {
    match plan.machine.nodes.get(id.index())?.place {
        Place::Slot {
            upstream: Upstream::Bridge(bridge),
            ..
        } => Some(bridge),
        Place::Virtual { physical, .. } => Some(physical),
        Place::Slot { .. } | Place::Platform { .. } => None,
    }
}

/// The beginnings of the trees: columns from left to right, none much taller than the others.
fn columns(sizes: &[Point]) -> Vec<Point> {
    let widest = sizes.iter().map(|size| size.x).fold(1.0, f64::max);
    let tallest = sizes.iter().map(|size| size.y).fold(0.0, f64::max);
    let total: f64 = sizes.iter().map(|size| size.y + GAP).sum();
    let wanted = (total * ASPECT / (widest + COLUMN_GAP))
        .sqrt()
        .round()
        .max(1.0);
    // A little more than its share, so that no column is left for the last tree alone.
    let height = (total / wanted * 1.1).max(tallest);
    let mut places = Vec::new();
    let (mut at, mut width) = (Point::zero(), 0.0);
    for size in sizes {
        if at.y > 0.0 && at.y + size.y > height {
            at = Point::new(at.x + width + COLUMN_GAP, 0.0);
            width = 0.0;
        }
        places.push(at);
        at.y += size.y + GAP;
        width = size.x.max(width);
    }
    places
}

fn draw(plan: &Plan, colours: &BTreeMap<usize, u32>, tree: &[NodeId], canvas: &mut Canvas) {
    let mut graph = VisualGraph::new(Orientation::LeftToRight);
    let mut nodes = BTreeMap::new();
    for &id in tree {
        let colour = colours.get(&plan.solution.device(id).group).copied();
        let node = plan.machine.nodes.get(id.index());
        let owned = node.is_some_and(|node| node.owner.is_some());
        let width = if owned { 3 } else { 1 };
        let handle = graph.add_node(element(&label(plan, id), colour.unwrap_or(ALONE), width));
        nodes.insert(id, handle);
    }
    for (id, handle) in &nodes {
        if let Some(above) = above(plan, *id).and_then(|above| nodes.get(&above)) {
            graph.add_edge(Arrow::simple(""), *above, *handle);
        }
    }
    graph.do_it(false, false, false, canvas);
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
    let several = plan.machine.roots.iter().any(|root| root.segment != 0);
    let address = found.requester.map(|requester| {
        let text = requester.to_string();
        match text.split_once(':') {
            Some((_, short)) if !several => short.to_owned(),
            _ => text,
        }
    });
    let mut lines = vec![match address {
        Some(address) => format!("{} {address}", node.name),
        None => node.name.clone(),
    }];
    if let Some(owner) = node
        .owner
        .and_then(|owner| plan.machine.owners.get(owner.index()))
    {
        let mut streams: Vec<String> = found
            .streams
            .iter()
            .map(|s| format!("{:#x}", s.id))
            .collect();
        if streams.len() > STREAMS {
            let more = streams.len() - STREAMS;
            streams.truncate(STREAMS);
            streams.push(format!("and {more} more"));
        }
        let domain = match node.unsafe_bypass {
            Some(_) => "not translated",
            None => found.domain_type.text(),
        };
        lines.push(format!("{}: {domain}", owner.name));
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
    let mut element = Element::create(
        ShapeKind::new_box(text),
        style,
        Orientation::LeftToRight,
        size,
    );
    // The crate's own distance leaves more empty than drawn.
    element.pos = Position::new(Point::zero(), size, Point::zero(), Point::new(ARROW, GAP));
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_apart_and_of_one_height() {
        let sizes: Vec<Point> = (0..50)
            .map(|tree| {
                Point::new(
                    100.0 + 40.0 * f64::from(tree % 7),
                    50.0 * f64::from(1 + tree % 4),
                )
            })
            .collect();
        let places = columns(&sizes);
        assert_eq!(places.len(), sizes.len());
        let corners: Vec<(Point, Point)> = places
            .iter()
            .zip(&sizes)
            .map(|(at, size)| (*at, Point::new(at.x + size.x, at.y + size.y)))
            .collect();
        for (index, (from, to)) in corners.iter().enumerate() {
            for (other_from, other_to) in &corners[..index] {
                let apart = other_to.x < from.x
                    || to.x < other_from.x
                    || other_to.y < from.y
                    || to.y < other_from.y;
                assert!(apart, "{from:?} {to:?} {other_from:?} {other_to:?}");
            }
        }
        let far = |of: fn(&Point) -> f64| corners.iter().map(|c| of(&c.1)).fold(0.0, f64::max);
        let (width, height) = (far(|p| p.x), far(|p| p.y));
        assert!(
            width / height > 0.6 && width / height < 2.5,
            "{width} by {height}"
        );
        assert_eq!(columns(&[]).len(), 0);
    }
}
