//! Tasks with registers of a device that they do not drive: who writes to those makes the device do what its driver
//! could, so they are trusted by all whom the device reaches.

use std::collections::BTreeSet;

use crate::alternative::apart;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Holder, Machine, NodeId};
use crate::pairs::Pairs;
use crate::relation::Chains;
use crate::solution::{EdgeKind, Mode};
use crate::topology::Topology;
use crate::usable::{Usables, led_to};

/// The inputs of the check.
pub(crate) struct Holders<'a> {
    pub machine: &'a Machine,
    pub topology: &'a Topology,
    pub usables: &'a Usables,
    pub pairs: &'a Pairs<'a>,
    pub chains: &'a Chains<'a>,
    pub mode: Mode,
    pub units: &'a [Vec<usize>],
    pub unit_of: &'a [usize],
    pub groups: &'a [Vec<usize>],
    pub group_of: &'a [usize],
}

impl Holders<'_> {
    /// One error for each task and owner. That the driver of the device itself trusts the task is the caller's to ask.
    pub fn check(&self, found: &mut Vec<Diagnostic>) {
        let mut named = BTreeSet::new();
        for &node in &self.topology.order {
            let holders = &self.machine.nodes[node].holders;
            if holders.is_empty() || !self.can_act(node) {
                continue;
            }
            let reached = self.reached(node);
            for holder in holders {
                let task = holder.task.index();
                for &(owner, other) in &reached {
                    let asked = Some(owner) != self.pairs.owner(node);
                    if asked && !self.pairs.trusts(owner, task) && named.insert((task, owner)) {
                        found.push(self.untrusted(node, holder, owner, other));
                    }
                }
            }
        }
    }

    /// Whether a device can access memory. If nobody drives it, the PCI task keeps its bus mastering off, unless it
    /// has direct regions; a platform device has nothing to turn off.
    fn can_act(&self, node: usize) -> bool {
        let entry = &self.machine.nodes[node];
        let on_pci = self.topology.placed[node].requester.is_some();
        self.pairs.owner(node).is_some() || !entry.direct.is_empty() || !on_pci
    }

    /// Owners of what a device reaches, each with a device of it.
    fn reached(&self, node: usize) -> Vec<(usize, usize)> {
        let group = &self.groups[self.group_of[node]];
        let meet = |other: &&usize| {
            self.unit_of[**other] == self.unit_of[node] || !apart(self.topology, node, **other)
        };
        let usable = self.usables.of(self.topology, node);
        let usable = usable.filter(|_| self.mode == Mode::Strict);
        let bus = self.topology.placed[node].parent;
        let users = usable.zip(bus).into_iter();
        let users = users.flat_map(|(usable, bus)| usable.elsewhere(self.topology, bus));
        let by_id = led_to(users, self.units, self.unit_of);
        let by_id = by_id.iter().map(|(other, _)| other).filter(&meet);
        let all = group.iter().filter(&meet).chain(by_id);
        all.filter_map(|other| Some((self.pairs.owner(*other)?, *other)))
            .collect()
    }

    fn untrusted(&self, node: usize, holder: &Holder, owner: usize, other: usize) -> Diagnostic {
        let name = |node: usize| &self.machine.nodes[node].name;
        let [task, owner] = [holder.task.index(), owner].map(|owner| self.pairs.owner_name(owner));
        let (device, reached) = (name(node), name(other));
        let message = format!(
            "`{task}` has registers of `{device}`, which can reach `{reached}` of `{owner}`, and `{owner}` does not trust `{task}`"
        );
        let mut diagnostic = Diagnostic::new(Code::HolderTrust, message)
            .device(self.machine, node, format!("`{task}` has its registers"))
            .device(
                self.machine,
                other,
                format!("`{reached}` is owned by `{owner}`"),
            )
            .party(format!("given to `{task}` here"), holder.source);
        let kinds = [EdgeKind::Alias, EdgeKind::Isolation];
        diagnostic.chain = self
            .chains
            .find(NodeId::new(node), NodeId::new(other), &kinds);
        diagnostic
    }
}
