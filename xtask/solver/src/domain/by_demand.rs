//! Units that their own members decide.

use super::{Decision, Demand, Domains};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{DomainType, FunctionKind, NodeId};
use crate::solution::{EdgeKind, Mode};

impl Domains<'_> {
    /// Decides a unit from what its own members say; `None` if it is neutral and owned.
    pub(super) fn by_demand(
        &self,
        members: &[usize],
        found: &mut Vec<Diagnostic>,
    ) -> Option<Decision> {
        let demands = self.demands(members);
        self.check_external(&demands, found);
        if let Some(first) = demands.first() {
            let mut others = demands.iter();
            let other = others.find(|other| other.domain_type != first.domain_type);
            return Some(match other {
                Some(other) => self.contradicted(*first, *other, found),
                None => self.demanded(*first, self.direct(members), found),
            });
        }
        self.bypassed(members)
            .or_else(|| self.unowned(members, self.direct(members)))
    }

    /// The first member with a direct region.
    fn direct(&self, members: &[usize]) -> Option<usize> {
        let mut members = members.iter().copied();
        members.find(|node| !self.machine.nodes[*node].direct.is_empty())
    }

    /// Reports demands of `identity` behind external ports: any device may be plugged in there, so no
    /// device there can demand to be mapped 1:1.
    fn check_external(&self, demands: &[Demand], found: &mut Vec<Diagnostic>) {
        for demand in demands {
            let entry = &self.machine.nodes[demand.node];
            if let Some(port) = self.topology.placed[demand.node].external
                && demand.domain_type == DomainType::Identity
            {
                let above = &self.machine.nodes[port];
                found.push(
                    Diagnostic::new(
                        Code::UntrustedIdentity,
                        format!(
                            "`{}` demands `identity` behind the external port `{}`",
                            entry.name, above.name
                        ),
                    )
                    .device(self.machine, demand.node, self.demand_text(*demand))
                    .party(format!("`{}` is external", above.name), above.source),
                );
            }
        }
    }

    /// Two members demand different types: the unit is blocked.
    fn contradicted(&self, first: Demand, other: Demand, found: &mut Vec<Diagnostic>) -> Decision {
        let (code, what) = match self.mode {
            Mode::Strict => (Code::AliasDemands, "share a StreamID"),
            Mode::Linux => (
                Code::GroupDemands,
                "share a group, which in `linux` mode has one domain",
            ),
        };
        let mut diagnostic = Diagnostic::new(
            code,
            format!(
                "`{}` and `{}` {what}, but one is to be `{}` and the other `{}`",
                self.name(first.node),
                self.name(other.node),
                first.domain_type.text(),
                other.domain_type.text()
            ),
        );
        diagnostic = self.party(self.party(diagnostic, first), other);
        let kinds: &[EdgeKind] = match self.mode {
            Mode::Strict => &[EdgeKind::Alias],
            Mode::Linux => &[EdgeKind::Alias, EdgeKind::Isolation],
        };
        diagnostic.chain =
            self.chains
                .find(NodeId::new(first.node), NodeId::new(other.node), kinds);
        found.push(diagnostic);
        Decision {
            conflict: true,
            ..Decision::new(DomainType::Blocked, "its members demand different types")
        }
    }

    /// All members that demand anything demand the same.
    fn demanded(
        &self,
        demand: Demand,
        direct: Option<usize>,
        found: &mut Vec<Diagnostic>,
    ) -> Decision {
        let conflict = direct.filter(|_| demand.domain_type == DomainType::Blocked);
        if let Some(direct) = conflict {
            let entry = &self.machine.nodes[direct];
            let region = &entry.direct[0];
            let diagnostic = Diagnostic::new(
                Code::DirectBlocked,
                format!(
                    "`{}` is to be `blocked`, but `{}` has the direct region `{}`",
                    self.name(demand.node),
                    entry.name,
                    region.name
                ),
            );
            found.push(
                self.party(diagnostic, demand)
                    .party(format!("direct region `{}`", region.name), region.source),
            );
        }
        Decision {
            conflict: conflict.is_some(),
            ..Decision::new(demand.domain_type, self.demand_text(demand))
        }
    }

    /// A unit whose stream bypasses the SMMU has no use for a policy: its driver opens it, and nothing is translated.
    fn bypassed(&self, members: &[usize]) -> Option<Decision> {
        let mut members = members.iter().copied();
        let bypass = members.find(|node| {
            let node = &self.machine.nodes[*node];
            node.unsafe_bypass.is_some() && node.owner.is_some()
        })?;
        let reason = self.machine.nodes[bypass].unsafe_bypass.as_deref();
        let reason = reason.unwrap_or_default();
        let because = format!("`{}` bypasses the SMMU: {reason}", self.name(bypass));
        Some(Decision::new(DomainType::Dma, because))
    }

    /// A unit that nobody owns is blocked, unless a member needs its direct regions; `None` if somebody owns it.
    fn unowned(&self, members: &[usize], direct: Option<usize>) -> Option<Decision> {
        let entry = |node: &usize| &self.machine.nodes[*node];
        if members.iter().any(|node| entry(node).owner.is_some()) {
            return None;
        }
        if let Some(direct) = direct {
            let needs = self.name(direct);
            let because = format!("nobody owns it, but `{needs}` needs its direct regions");
            return Some(Decision::new(DomainType::Dma, because));
        }
        let bridges = members.iter().all(|node| {
            let kind = entry(node).function.kind;
            kind.is_bridge() || kind == FunctionKind::HostBridge
        });
        let because = if bridges {
            "a bridge: its own stream stays blocked"
        } else {
            "nobody owns it"
        };
        Some(Decision::new(DomainType::Blocked, because))
    }
}
