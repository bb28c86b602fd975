//! Devices that nobody drives, devices that are driven in vain, and those that nobody can make quiet.

use crate::diagnostic::{Code, Diagnostic};
use crate::model::{DomainType, FunctionKind, Machine, Quiesce, Unowned};
use crate::topology::Topology;

/// The decisions for all nodes.
pub(crate) struct Outcome<'a> {
    pub machine: &'a Machine,
    pub topology: &'a Topology,
    /// Whether the node's streams have a domain.
    pub open: &'a dyn Fn(usize) -> bool,
    /// Why it has its type.
    pub because: &'a dyn Fn(usize) -> String,
}

impl Outcome<'_> {
    pub fn check(&self, found: &mut Vec<Diagnostic>) {
        let order = self.topology.order.iter().copied();
        let on_pci = |node: usize| self.topology.placed[node].requester.is_some();
        let mut list = Vec::new();
        for node in order {
            let entry = &self.machine.nodes[node];
            let kind = entry.function.kind;
            let passive = kind.is_bridge()
                || matches!(
                    kind,
                    FunctionKind::HostBridge | FunctionKind::EventCollector
                );
            if entry.owner.is_some() {
                self.driven(node, found);
            } else if !(on_pci(node) && passive) && entry.demand != Some(DomainType::Blocked) {
                list.push(node);
            }
            // A device that is always open without an owner is as little quiet.
            let mate = !on_pci(node) && (self.open)(node);
            let is_opened = entry.owner.is_some() || !entry.direct.is_empty() || mate;
            if is_opened && entry.quiesce == Quiesce::Never {
                let message = format!("`{}` cannot be made quiet", entry.name);
                found.push(self.about(Code::NeverQuiet, message, node));
            }
        }
        match self.machine.policy.unowned {
            Unowned::Refuse => {
                for node in list {
                    let name = &self.machine.nodes[node].name;
                    let message = format!("`{name}` is neither owned nor blocked");
                    found.push(self.about(Code::Unowned, message, node));
                }
            }
            Unowned::Block => {
                let (open, blocked): (Vec<usize>, Vec<usize>) =
                    list.into_iter().partition(|node| (self.open)(*node));
                self.blocked(&blocked, found);
                for node in open {
                    let entry = &self.machine.nodes[node];
                    // Its direct regions are open, which is a finding of its own.
                    if entry.direct.is_empty() {
                        let message = format!(
                            "nobody owns `{}`, but its stream is not blocked: {}",
                            entry.name,
                            (self.because)(node)
                        );
                        found.push(self.about(Code::UnownedBlocked, message, node));
                    }
                }
            }
        }
    }

    fn about(&self, code: Code, message: String, node: usize) -> Diagnostic {
        let text = format!("`{}`", self.machine.nodes[node].name);
        Diagnostic::new(code, message).device(self.machine, node, text)
    }

    /// A device whose driver could never claim it.
    fn driven(&self, node: usize, found: &mut Vec<Diagnostic>) {
        let entry = &self.machine.nodes[node];
        if (self.open)(node) || entry.function.kind.is_bridge() {
            return;
        }
        let Some(owner) = entry.owner.and_then(|o| self.machine.owners.get(o.index())) else {
            return;
        };
        let message = format!("`{}` is blocked but has a driver", entry.name);
        let why = (self.because)(node);
        let mut diagnostic = Diagnostic::new(Code::DrivenBlocked, message)
            .device(self.machine, node, format!("`{}`: {why}", entry.name))
            .party(format!("`{}` drives it", owner.name), owner.source);
        diagnostic.presumes.push(node);
        found.push(diagnostic);
    }

    fn blocked(&self, list: &[usize], found: &mut Vec<Diagnostic>) {
        let Some(&first) = list.first() else {
            return;
        };
        let names: Vec<_> = list
            .iter()
            .map(|n| format!("`{}`", self.machine.nodes[*n].name))
            .collect();
        let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        let more = if names.len() > 8 {
            format!(" and {} more", names.len() - 8)
        } else {
            String::new()
        };
        let stays = if names.len() == 1 {
            "it stays"
        } else {
            "they stay"
        };
        let message = format!("nobody owns {shown}{more}, so {stays} blocked");
        found.push(self.about(Code::UnownedBlocked, message, first));
    }
}
