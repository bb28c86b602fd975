//! The candidates for remedies of an error.

mod domain;
mod fabric;
mod open_unowned;
mod owners;

use crate::diagnostic::{Code, Diagnostic, Remedy};
use crate::model::{Machine, NodeId};
use crate::solution::{Mode, Solution};

pub(super) use fabric::enabling;

/// A remedy that has not been tried.
type Candidate = Remedy;

/// Candidates for one error, the least change first.
pub(super) fn all(
    machine: &Machine,
    solution: &Solution,
    diagnostic: &Diagnostic,
) -> Vec<Candidate> {
    let builder = Builder {
        machine,
        solution,
        diagnostic,
    };
    match diagnostic.code {
        Code::AliasDemands => builder.same_demand(true),
        Code::GroupDemands if solution.mode == Mode::Linux => builder.same_demand(true),
        Code::GroupDemands => [
            builder.trust(),
            builder.same_demand(false),
            builder.fabric(),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Code::GroupTrust => [
            builder.trust(),
            builder.waive(),
            builder.undriven(),
            builder.fabric(),
            builder.one_owner(),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Code::AliasTrust => [builder.trust(), builder.one_owner()]
            .into_iter()
            .flatten()
            .collect(),
        Code::ForgedStream => [
            builder.trust(),
            builder.waive(),
            builder.undriven(),
            builder.enable(2),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Code::HolderTrust => [builder.hold(), builder.fabric()].concat(),
        Code::DirectOverlap => [builder.trust(), builder.waive(), builder.adopt()].concat(),
        Code::Stranger => [builder.fabric(), builder.enable(1)].concat(),
        Code::Containment => [builder.contain(), builder.recipe(), builder.one_owner()]
            .into_iter()
            .flatten()
            .collect(),
        Code::Unowned => [builder.block(), builder.mate()].concat(),
        Code::DrivenBlocked => builder.open(),
        Code::UntrustedIdentity | Code::DirectBlocked => builder.neutral(),
        Code::Bypass => builder.translate(),
        Code::BridgeDemand => builder.bare_bridge(),
        Code::GroupSplit | Code::GroupPolicies => builder.named_group(),
        Code::NoWindow | Code::WindowTooLarge | Code::WindowBases => builder.window(),
        Code::BusNumbers => builder.unpin(),
        _ => Vec::new(),
    }
}

struct Builder<'a> {
    machine: &'a Machine,
    solution: &'a Solution,
    diagnostic: &'a Diagnostic,
}

impl Builder<'_> {
    fn node(&self, node: NodeId) -> &str {
        &self.machine.nodes[node.index()].name
    }

    fn list(&self, nodes: &[NodeId]) -> String {
        let names: Vec<String> = nodes
            .iter()
            .take(6)
            .map(|n| format!("`{}`", self.node(*n)))
            .collect();
        let more = if nodes.len() > 6 {
            format!(" and {} more", nodes.len() - 6)
        } else {
            String::new()
        };
        names.join(", ") + &more
    }
}
