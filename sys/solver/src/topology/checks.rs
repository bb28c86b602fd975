//! What no machine can be.

use std::collections::BTreeMap;

use super::Builder;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{FunctionKind, Place, Source, Upstream};

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

    pub(super) fn check_slots(&mut self, list: &[usize]) {
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
