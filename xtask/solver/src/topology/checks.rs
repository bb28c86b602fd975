//! Mistakes that no machine can have.

use std::collections::BTreeMap;

use super::Builder;
use crate::alternative::placed_apart;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{FunctionKind, Place, Source, Upstream};
use crate::solution::Requester;

impl Builder<'_> {
    pub(super) fn check_names(&mut self) {
        let mut names: BTreeMap<&str, (String, Source)> = BTreeMap::new();
        let nodes = self
            .machine
            .nodes
            .iter()
            .map(|n| ("device", n.name.as_str(), n.source));
        let roots = self
            .machine
            .roots
            .iter()
            .map(|r| ("root bus", r.name.as_str(), r.source));
        let mut found = Vec::new();
        for (what, name, source) in roots.chain(nodes) {
            let text = format!("{what} `{name}`");
            if let Some((other, other_source)) = names.get(name) {
                found.push(
                    Diagnostic::new(
                        Code::DuplicateName,
                        format!("the name `{name}` is used twice"),
                    )
                    .party(text, source)
                    .party(other.clone(), *other_source),
                );
            } else {
                names.insert(name, (text, source));
            }
        }
        self.diagnostics.append(&mut found);
    }

    /// A virtual function's id is its own: what has it too could not be told from it on the bus.
    pub(super) fn check_ids(&mut self) {
        let mut users: BTreeMap<Requester, Vec<usize>> = BTreeMap::new();
        for &node in &self.order {
            let Some(id) = self.placed[node].requester else {
                continue;
            };
            let is_virtual = |node: usize| self.placed[node].physical.is_some();
            let before = users.entry(id).or_default();
            let clash = before.iter().copied().find(|other| {
                (is_virtual(node) || is_virtual(*other))
                    && !placed_apart(&self.placed, node, *other)
            });
            before.push(node);
            let Some(other) = clash else { continue };
            let (one, two) = (&self.machine.nodes[other], &self.machine.nodes[node]);
            self.diagnostics.push(
                Diagnostic::new(
                    Code::SlotTaken,
                    format!(
                        "`{}` and `{}` have one requester id, {id}",
                        one.name, two.name
                    ),
                )
                .device(self.machine, node, format!("`{}`", two.name))
                .device(self.machine, other, format!("`{}`", one.name)),
            );
        }
    }

    /// Function 0 of a slot is there: whoever scans a bus looks no further without it. With ARI, functions
    /// beyond 7 look like further slots of a link; the first function of the link counts for them.
    fn check_first(&mut self, list: &[usize]) {
        let place = |node: usize| match self.machine.nodes[node].place {
            Place::Slot {
                upstream,
                device,
                function,
            } => Some((upstream, device, function)),
            _ => None,
        };
        let slots: Vec<_> = list.iter().filter_map(|n| Some((*n, place(*n)?))).collect();
        let mut found = Vec::new();
        for (index, &(node, (upstream, device, function))) in slots.iter().enumerate() {
            let link = match upstream {
                Upstream::Bridge(bridge) => self.machine.nodes.get(bridge.index()),
                Upstream::Root(_) => None,
            };
            let link = link.is_some_and(|above| above.function.kind.leads_to_link());
            let starts = if link {
                index == 0
            } else {
                slots[..index]
                    .last()
                    .is_none_or(|(_, (_, before, _))| *before != device)
            };
            let entry = &self.machine.nodes[node];
            if starts && (function != 0 || link && device != 0) {
                let message = format!(
                    "`{}` is function {function} of a slot without function 0: no scan of the bus finds it",
                    entry.name
                );
                found.push(Diagnostic::new(Code::WrongPlace, message).device(
                    self.machine,
                    node,
                    format!("`{}`", entry.name),
                ));
            }
        }
        self.diagnostics.append(&mut found);
    }

    pub(super) fn check_slots(&mut self, list: &[usize]) {
        self.check_first(list);
        for pair in list.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            if self.key(a).0 != self.key(b).0 {
                continue;
            }
            let (first, second) = (&self.machine.nodes[a], &self.machine.nodes[b]);
            let hotplug = match second.place {
                Place::Slot {
                    upstream: Upstream::Bridge(above),
                    ..
                } => self
                    .machine
                    .nodes
                    .get(above.index())
                    .is_some_and(|n| n.hotplug),
                _ => false,
            };
            if hotplug {
                self.placed[a].alternative = true;
                self.placed[b].alternative = true;
            } else {
                self.diagnostics.push(
                    Diagnostic::new(
                        Code::SlotTaken,
                        format!("`{}` and `{}` are in one slot", first.name, second.name),
                    )
                    .device(self.machine, b, format!("`{}`", second.name))
                    .device(self.machine, a, format!("`{}`", first.name)),
                );
            }
        }
    }

    /// Points out kinds in unusual places: a slip of the pen more often than a machine.
    pub(super) fn check_place(&mut self, node: usize, bridge: Option<usize>) {
        let entry = &self.machine.nodes[node];
        let above = bridge.map(|b| self.machine.nodes[b].function.kind);
        let fault = match (entry.function.kind, above) {
            (
                FunctionKind::RootPort
                | FunctionKind::RootComplexEndpoint
                | FunctionKind::EventCollector,
                Some(_),
            ) => Some("belongs on a root bus"),
            (FunctionKind::DownstreamPort, above) if above != Some(FunctionKind::UpstreamPort) => {
                Some("belongs below a switch upstream port")
            }
            (
                FunctionKind::UpstreamPort,
                Some(FunctionKind::RootPort | FunctionKind::DownstreamPort),
            ) => None,
            (FunctionKind::UpstreamPort, Some(FunctionKind::PciToPcie)) => None,
            (FunctionKind::UpstreamPort, _) => {
                Some("belongs below a root port or a switch downstream port")
            }
            (FunctionKind::DownstreamPort, _) => None,
            (_, Some(FunctionKind::UpstreamPort)) => {
                Some("sits on the bus inside a switch, where only downstream ports do")
            }
            _ => None,
        };
        if let Some(fault) = fault {
            let mut diagnostic = Diagnostic::new(
                Code::WrongPlace,
                format!(
                    "`{}` is a {} and {fault}",
                    entry.name,
                    entry.function.kind.text()
                ),
            )
            .device(self.machine, node, format!("`{}`", entry.name));
            if let Some(bridge) = bridge {
                let above = &self.machine.nodes[bridge];
                diagnostic = diagnostic.party(
                    format!(
                        "`{}`, a {}, is above it",
                        above.name,
                        above.function.kind.text()
                    ),
                    above.source,
                );
            }
            self.diagnostics.push(diagnostic);
        }
    }
}
