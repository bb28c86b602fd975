//! Streams that bypass the SMMU: declared, with a reason, and in no contradiction to anything else.

use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Machine, NodeId};
use crate::relation::Chains;
use crate::solution::EdgeKind;

/// Reports bypasses that cannot be. `units` are what shares a domain: alias sets, in `linux` mode groups; `socket` is
/// the external port at which a stranger could reach a device.
pub(crate) fn check(
    machine: &Machine,
    chains: &Chains<'_>,
    units: &[Vec<usize>],
    socket: impl Fn(usize) -> Option<usize>,
    found: &mut Vec<Diagnostic>,
) {
    for members in units {
        for &node in members {
            let entry = &machine.nodes[node];
            let Some(reason) = &entry.unsafe_bypass else {
                continue;
            };
            if reason.trim().is_empty() {
                let message = format!("the bypass of `{}` gives no reason", entry.name);
                let diagnostic = Diagnostic::new(Code::EmptyReason, message);
                found.push(diagnostic.device(machine, node, format!("`{}`", entry.name)));
            }
            let refuse = |why: String| {
                Diagnostic::new(
                    Code::Bypass,
                    format!("`{}` cannot bypass the SMMU: {why}", entry.name),
                )
                .device(
                    machine,
                    node,
                    format!("`{}` bypasses the SMMU", entry.name),
                )
            };
            if let Some(port) = socket(node) {
                let port = &machine.nodes[port];
                let why = format!(
                    "a device plugged in at the external port `{}` could reach its registers, and through them all memory",
                    port.name
                );
                found
                    .push(refuse(why).party(format!("external port `{}`", port.name), port.source));
            }
            if entry.owner.is_none() {
                found.push(refuse(
                    "nobody drives it, so its stream would never be opened".into(),
                ));
            }
            if let Some(region) = entry.direct.first() {
                let why = format!("its direct region `{}` needs a translation", region.name);
                found.push(
                    refuse(why).party(format!("direct region `{}`", region.name), region.source),
                );
            }
            if let Some(demand) = entry.demand {
                found.push(refuse(format!("it demands a `{}` domain", demand.text())));
            }
            let translated = members.iter().copied().find(|other| {
                let other = &machine.nodes[*other];
                other.unsafe_bypass.is_none() && !other.function.kind.is_bridge()
            });
            if let Some(other) = translated {
                let name = &machine.nodes[other].name;
                let why = format!("it shares a domain with `{name}`, which would bypass it too");
                let mut diagnostic =
                    refuse(why).device(machine, other, format!("`{name}` is to be translated"));
                diagnostic.chain = chains.find(
                    NodeId::new(node),
                    NodeId::new(other),
                    &[EdgeKind::Alias, EdgeKind::Isolation],
                );
                found.push(diagnostic);
            }
        }
    }
}
