//! Hardware that nobody vouches for: what is plugged in at a socket, and requests under the id of another device.

use std::collections::{BTreeMap, BTreeSet};

use crate::alias::Ids;
use crate::diagnostic::{Code, Diagnostic};
use crate::isolation::Isolation;
use crate::model::{Machine, NodeId, SmmuId};
use crate::ownership::Pairs;
use crate::relation::Chains;
use crate::solution::{EdgeKind, Mode, UsedWaiver};
use crate::topology::Topology;

/// The inputs of the checks.
pub(crate) struct Strangers<'a> {
    pub machine: &'a Machine,
    pub topology: &'a Topology,
    pub isolation: &'a Isolation<'a>,
    pub ids: &'a [Ids],
    pub pairs: &'a Pairs<'a>,
    pub chains: &'a Chains<'a>,
    pub mode: Mode,
    pub units: &'a [Vec<usize>],
    pub groups: &'a [Vec<usize>],
    pub group_of: &'a [usize],
}

/// A device of an owner in a group.
struct Stand {
    owner: usize,
    group: usize,
    node: usize,
}

impl Strangers<'_> {
    /// Reports what strict promises cannot cover; the waivers that cover something are added to `used`.
    pub fn check(&self, used: &mut Vec<UsedWaiver>, found: &mut Vec<Diagnostic>) {
        self.sockets(found);
        self.direct(found);
        if self.mode == Mode::Strict {
            self.forgers(used, found);
        }
    }

    fn name(&self, node: usize) -> &str {
        &self.machine.nodes[node].name
    }

    /// The external port at which a stranger would be in the group of `node`.
    pub fn socket_in_group(&self, node: usize) -> Option<usize> {
        let mut members = self.groups[self.group_of[node]].iter().copied();
        members.find_map(|member| {
            let entry = &self.machine.nodes[member];
            let port = entry.external
                && entry.function.kind.is_bridge()
                && self.isolation.joins_below(member);
            self.topology.placed[member]
                .external
                .or(port.then_some(member))
        })
    }

    fn is_driven(&self, node: usize) -> bool {
        self.machine.nodes[node].owner.is_some()
    }

    fn is_below(&self, node: usize, port: usize) -> bool {
        let mut at = self.topology.placed[node].parent;
        while let Some(bridge) = at {
            if bridge == port {
                return true;
            }
            at = self.topology.placed[bridge].parent;
        }
        false
    }

    /// A stranger at an external port has no owner whom anybody could trust.
    fn sockets(&self, found: &mut Vec<Diagnostic>) {
        for &port in &self.topology.order {
            let bridge = self.machine.nodes[port].function.kind.is_bridge();
            if !(self.machine.nodes[port].external && bridge) {
                continue;
            }
            let away = |node: &&usize| self.is_driven(**node) && !self.is_below(**node, port);
            let joined = self.isolation.joins_below(port);
            let group = &self.groups[self.group_of[port]];
            let met = group.iter().find(away).filter(|_| joined);
            if let Some(&device) = met {
                let fault = match self.isolation.fault(port) {
                    Some(fault) => format!("which {fault}"),
                    None => "above which requests turn back".to_owned(),
                };
                let message = format!(
                    "what is plugged in at the external port `{}`, {fault}, can reach `{}`",
                    self.name(port),
                    self.name(device)
                );
                found.push(self.exposed(port, device, message));
            }
            if self.mode == Mode::Strict
                && let Some(device) = self.forgeable(port)
            {
                let message = format!(
                    "what is plugged in at the external port `{}`, which has no source validation, may use the \
                     StreamID of `{}`",
                    self.name(port),
                    self.name(device)
                );
                found.push(self.exposed(port, device, message));
            }
        }
    }

    /// The first driven device of another group whose StreamID what is plugged in at `port` may use.
    fn forgeable(&self, port: usize) -> Option<usize> {
        self.isolation.unvalidated_below(port)?;
        let segment = self.topology.placed[port].requester?.segment;
        let image = self.image(segment);
        let mut order = self.topology.order.iter().copied();
        order.find(|node| {
            self.is_driven(*node)
                && !self.is_below(*node, port)
                && self.group_of[*node] != self.group_of[port]
                && self.uses(*node, &image)
        })
    }

    fn exposed(&self, port: usize, device: usize, message: String) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(Code::Stranger, message)
            .device(
                self.machine,
                device,
                format!("`{}` is driven", self.name(device)),
            )
            .device(
                self.machine,
                port,
                format!("`{}` is external", self.name(port)),
            );
        let kinds = [EdgeKind::Alias, EdgeKind::Isolation];
        diagnostic.chain =
            self.chains
                .find(NodeId::new(port), NodeId::new(device), kinds.as_slice());
        diagnostic
    }

    /// What stands open from the start stands for no device that can be unplugged.
    fn direct(&self, found: &mut Vec<Diagnostic>) {
        for unit in self.units {
            let direct = unit
                .iter()
                .find(|node| !self.machine.nodes[**node].direct.is_empty());
            let plugged = unit
                .iter()
                .find_map(|node| Some((*node, self.topology.placed[*node].socket?)));
            let (Some(&owner), Some((node, socket))) = (direct, plugged) else {
                continue;
            };
            let region = &self.machine.nodes[owner].direct[0];
            let (kind, article) = match self.machine.nodes[socket].external {
                true => ("external", "an"),
                false => ("hotplug", "a"),
            };
            let mates = if owner == node {
                String::new()
            } else {
                format!(", whose stream `{}` uses, too", self.name(node))
            };
            let message = format!(
                "the direct region `{}` of `{}`{mates} stands open for whatever is plugged in at the {kind} port `{}`",
                region.name,
                self.name(owner),
                self.name(socket)
            );
            let mut diagnostic = Diagnostic::new(Code::DirectSocket, message)
                .device(
                    self.machine,
                    owner,
                    format!("`{}` has direct regions", self.name(owner)),
                )
                .party(format!("direct region `{}`", region.name), region.source)
                .party(
                    format!("`{}` is {article} {kind} port", self.name(socket)),
                    self.machine.nodes[socket].source,
                );
            diagnostic.chain = self.chains.find(
                NodeId::new(owner),
                NodeId::new(node),
                &[EdgeKind::Alias, EdgeKind::Isolation],
            );
            found.push(diagnostic);
        }
    }

    /// Ranges of StreamIDs that the requester ids of a segment are mapped to.
    fn image(&self, segment: u16) -> Vec<(SmmuId, u64, u64)> {
        let roots = self.machine.roots.iter().filter(|r| r.segment == segment);
        roots
            .flat_map(|root| &root.streams)
            .map(|row| {
                let first = u64::from(row.stream);
                (row.smmu, first, first + u64::from(row.len))
            })
            .collect()
    }

    fn uses(&self, node: usize, image: &[(SmmuId, u64, u64)]) -> bool {
        self.ids[node].streams.iter().any(|stream| {
            let id = u64::from(stream.id);
            image
                .iter()
                .any(|(smmu, first, end)| *smmu == stream.smmu && (*first..*end).contains(&id))
        })
    }

    /// Whoever drives a device that may use any StreamID of its segment is trusted, or waived, by all who have one.
    /// One error for each two owners.
    fn forgers(&self, used: &mut Vec<UsedWaiver>, found: &mut Vec<Diagnostic>) {
        let forging = |stand: &Stand| {
            let port = self.isolation.unvalidated(stand.node)?;
            Some((self.topology.placed[stand.node].requester?.segment, port))
        };
        // The first device of each owner in each group, so that large machines stay cheap.
        let mut seen = BTreeSet::new();
        let mut named = BTreeSet::new();
        let mut victims: BTreeMap<u16, Vec<&Stand>> = BTreeMap::new();
        let stands = self.stands();
        let users = self.users(&stands);
        for forger in &stands {
            let Some((segment, port)) = forging(forger) else {
                continue;
            };
            if !seen.insert((segment, forger.owner, forger.group)) {
                continue;
            }
            let victims = victims
                .entry(segment)
                .or_insert_with(|| self.victims(segment, &users));
            // Those of one group are compared as such.
            for victim in victims.iter().filter(|v| v.group != forger.group) {
                if self.pairs.trusting(forger.owner, victim.owner) {
                    continue;
                }
                let devices = [forger.node, victim.node];
                if let Some(waiver) = self.pairs.waiver(forger.owner, victim.owner, &devices) {
                    let group = forger.group;
                    used.push(UsedWaiver { waiver, group });
                } else if named.insert((forger.owner, victim.owner)) {
                    found.push(self.forged(forger, victim, port, segment));
                }
            }
        }
    }

    /// All driven devices.
    fn stands(&self) -> Vec<Stand> {
        let stand = |node: &usize| {
            Some(Stand {
                owner: self.pairs.owner(*node)?,
                group: self.group_of[*node],
                node: *node,
            })
        };
        self.topology.order.iter().filter_map(stand).collect()
    }

    /// Who has which StreamID, with the position in the order of devices.
    fn users<'s>(&self, stands: &'s [Stand]) -> BTreeMap<(SmmuId, u64, usize), &'s Stand> {
        let stands = stands.iter().enumerate();
        stands
            .flat_map(|(place, stand)| {
                let streams = self.ids[stand.node].streams.iter();
                streams.map(move |s| ((s.smmu, u64::from(s.id), place), stand))
            })
            .collect()
    }

    /// The first device of each owner in each group with a StreamID of `segment`.
    fn victims<'s>(
        &self,
        segment: u16,
        users: &BTreeMap<(SmmuId, u64, usize), &'s Stand>,
    ) -> Vec<&'s Stand> {
        let image = self.image(segment);
        let found: BTreeMap<usize, &Stand> = image
            .iter()
            .flat_map(|(smmu, first, end)| users.range((*smmu, *first, 0)..(*smmu, *end, 0)))
            .map(|((_, _, place), stand)| (*place, *stand))
            .collect();
        let mut seen = BTreeSet::new();
        let first = |stand: &&Stand| seen.insert((stand.owner, stand.group));
        found.into_values().filter(first).collect()
    }

    fn forged(&self, forger: &Stand, victim: &Stand, port: usize, segment: u16) -> Diagnostic {
        let of = |stand: &Stand| {
            let owner = self.pairs.owner_name(stand.owner);
            format!("`{}` of `{owner}`", self.name(stand.node))
        };
        let message = format!(
            "{} may use any StreamID of segment {segment}, that of {} included, without trust in each other",
            of(forger),
            of(victim)
        );
        let owned = |stand: &Stand| {
            let owner = self.pairs.owner_name(stand.owner);
            format!("`{}` is owned by `{owner}`", self.name(stand.node))
        };
        let why = format!(
            "`{}` does not check the ids of what is below it",
            self.name(port)
        );
        Diagnostic::new(Code::ForgedStream, message)
            .device(self.machine, forger.node, owned(forger))
            .device(self.machine, victim.node, owned(victim))
            .device(self.machine, port, why)
    }
}
