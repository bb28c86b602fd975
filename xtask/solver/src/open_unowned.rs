//! Devices that are always open though nobody drives them: they have no owner whom the owner of another device
//! could trust.

use crate::model::Machine;
use crate::pairs::Pairs;

/// The nodes of devices that have direct regions, and of whose domain nobody drives any device.
pub(crate) struct OpenUnowned(Vec<bool>);

impl OpenUnowned {
    /// `units` are what has one domain each.
    pub fn new(machine: &Machine, pairs: &Pairs<'_>, units: &[Vec<usize>]) -> Self {
        let mut is_open = vec![false; machine.nodes.len()];
        for unit in units {
            if unit.iter().all(|node| pairs.owner(*node).is_none()) {
                for &node in unit {
                    is_open[node] = !machine.nodes[node].direct.is_empty();
                }
            }
        }
        Self(is_open)
    }

    pub fn contains(&self, node: usize) -> bool {
        self.0[node]
    }
}

/// The device's direct regions in words; there is at least one.
pub(crate) fn regions(machine: &Machine, node: usize) -> String {
    let direct = &machine.nodes[node].direct;
    let named: Vec<String> = direct.iter().map(|r| format!("`{}`", r.name)).collect();
    match named.as_slice() {
        [one] => format!("direct region {one}"),
        all => format!("direct regions {}", all.join(", ")),
    }
}

/// The device's direct regions as a clause that says that they are open.
pub(crate) fn open(machine: &Machine, node: usize) -> String {
    let verb = match machine.nodes[node].direct.len() {
        1 => "is",
        _ => "are",
    };
    format!("{} {verb} open from the start", regions(machine, node))
}
