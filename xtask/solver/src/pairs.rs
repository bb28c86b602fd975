//! What owners say of each other: trust, waivers, containment.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::{Diagnostic, Short};
use crate::model::{Machine, NodeId};

/// The trust, waivers and containment units that owners declare, by pairs.
pub(crate) struct Pairs<'a> {
    machine: &'a Machine,
    trust: HashSet<(usize, usize)>,
    waived: HashMap<(usize, usize), Vec<usize>>,
    contained: Vec<Vec<usize>>,
}

impl<'a> Pairs<'a> {
    pub fn new(machine: &'a Machine) -> Self {
        let trust = machine
            .trust
            .iter()
            .map(|t| (t.from.index(), t.to.index()))
            .collect();
        let mut waived: HashMap<_, Vec<usize>> = HashMap::new();
        for (index, waiver) in machine.waivers.iter().enumerate() {
            let pair = ordered(waiver.pair.0.index(), waiver.pair.1.index());
            waived.entry(pair).or_default().push(index);
        }
        let mut contained = vec![Vec::new(); machine.owners.len()];
        for (index, unit) in machine.containment.iter().enumerate() {
            for owner in &unit.owners {
                if let Some(list) = contained.get_mut(owner.index()) {
                    list.push(index);
                }
            }
        }
        Self {
            machine,
            trust,
            waived,
            contained,
        }
    }

    /// True if both trust each other, or are one.
    pub fn trusting(&self, a: usize, b: usize) -> bool {
        self.trusts(a, b) && self.trusts(b, a)
    }

    /// True if `from` trusts `to`, or is it.
    pub fn trusts(&self, from: usize, to: usize) -> bool {
        from == to || self.trust.contains(&(from, to))
    }

    /// The waiver of the two that covers all of `devices`: one that names them, or else one that names none.
    pub fn waiver(&self, a: usize, b: usize, devices: &[usize]) -> Option<usize> {
        let list = self.waived.get(&ordered(a, b))?;
        let named = |index: &&usize| {
            let of = &self.machine.waivers[**index].devices;
            !of.is_empty() && devices.iter().all(|node| of.contains(&NodeId::new(*node)))
        };
        let any = |index: &&usize| self.machine.waivers[**index].devices.is_empty();
        list.iter()
            .find(named)
            .or_else(|| list.iter().find(any))
            .copied()
    }

    /// Names in an error about the pair the waiver that names some of `devices`, and does not cover it for want of the rest.
    pub fn falls_short(
        &self,
        pair: (usize, usize),
        devices: &[usize],
        mut diagnostic: Diagnostic,
    ) -> Diagnostic {
        let named = |index: usize, node: &usize| {
            let waiver = &self.machine.waivers[index];
            waiver.devices.contains(&NodeId::new(*node))
        };
        let list = self.waived.get(&ordered(pair.0, pair.1));
        let count = |index: usize| devices.iter().filter(|node| named(index, node)).count();
        let most = list
            .into_iter()
            .flatten()
            .filter(|index| count(**index) > 0)
            .max_by_key(|index| (count(**index), std::cmp::Reverse(**index)));
        let Some(&waiver) = most else {
            return diagnostic;
        };
        let missing = devices.iter().filter(|node| !named(waiver, node));
        let devices: Vec<NodeId> = missing.map(|node| NodeId::new(*node)).collect();
        let names = devices.iter().map(|node| {
            let node = &self.machine.nodes[node.index()];
            format!("`{}`", node.name)
        });
        let names = names.collect::<Vec<_>>().join(", ");
        let source = self.machine.waivers[waiver].source;
        diagnostic.short = Some(Short { waiver, devices });
        diagnostic.party(format!("the waiver does not name {names}"), source)
    }

    /// The owner of `node`, if there is one of that number.
    pub fn owner(&self, node: usize) -> Option<usize> {
        let owner = self.machine.nodes[node].owner?.index();
        (owner < self.machine.owners.len()).then_some(owner)
    }

    /// True if they are declared to stop and restart together.
    pub fn contained(&self, a: usize, b: usize) -> bool {
        a == b
            || self.contained[a]
                .iter()
                .any(|unit| self.contained[b].contains(unit))
    }

    /// The name of an owner that there is.
    pub fn owner_name(&self, owner: usize) -> &str {
        &self.machine.owners[owner].name
    }
}

fn ordered(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}
