//! Hardware that nobody vouches for: what is plugged in at a socket.

use std::collections::BTreeMap;

use crate::alias::Ids;
use crate::diagnostic::{Code, Diagnostic};
use crate::image::{Image, Scope};
use crate::isolation::Isolation;
use crate::model::{Machine, Node, NodeId};
use crate::open_unowned::OpenUnowned;
use crate::relation::Chains;
use crate::solution::{EdgeKind, Mode};
use crate::topology::Topology;

/// The inputs of the checks.
pub(crate) struct Strangers<'a> {
    pub machine: &'a Machine,
    pub topology: &'a Topology,
    pub isolation: &'a Isolation<'a>,
    pub ids: &'a [Ids],
    pub chains: &'a Chains<'a>,
    pub open_unowned: &'a OpenUnowned,
    pub mode: Mode,
    pub units: &'a [Vec<usize>],
    pub unit_of: &'a [usize],
    pub groups: &'a [Vec<usize>],
    pub group_of: &'a [usize],
}

/// StreamIDs that what is plugged in somewhere may use.
#[derive(Default)]
struct StrangersIds {
    image: Image,
    /// Why it may, a relative clause.
    because: String,
}

impl Strangers<'_> {
    /// Reports what nobody can vouch for.
    pub fn check(&self, found: &mut Vec<Diagnostic>) {
        self.sockets(found);
        self.direct(found);
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
        for port in self.ports(|node| node.external) {
            let away = |node: &&usize| {
                let at_stake = self.is_driven(**node) || self.open_unowned.contains(**node);
                at_stake && !self.is_below(**node, port)
            };
            let joined = self.isolation.joins_below(port);
            let group = &self.groups[self.group_of[port]];
            let met = group.iter().find(away).filter(|_| joined);
            if let Some(&device) = met {
                let fault = match self.isolation.fault(port) {
                    Some(fault) => format!("which {fault}"),
                    None => "above which requests turn back".to_owned(),
                };
                let message = format!(
                    "a device plugged in at the external port `{}`, {fault}, can reach `{}`",
                    self.name(port),
                    self.name(device)
                );
                found.push(self.exposed(port, device, "reaches", message));
            }
            let ids = self.ids_at(port);
            let own = |node: &usize| joined && self.group_of[*node] == self.group_of[port];
            let led_to = self.led_to(&ids.image);
            let mut order = self.topology.order.iter();
            // A device that is always open, that nobody drives and that has such an id, is another's finding.
            let device = order.find(|node| {
                let driven = away(node) && self.is_driven(**node);
                driven && !own(node) && led_to.contains_key(&self.unit_of[**node])
            });
            if let Some(&device) = device {
                let user = led_to[&self.unit_of[device]];
                let message = format!(
                    "a device plugged in at the external port `{}`, {}, may use the StreamID of {}",
                    self.name(port),
                    ids.because,
                    self.user(user, device, &ids.image)
                );
                found.push(self.exposed(port, device, "uses ids", message));
            }
        }
    }

    /// The units that a StreamID of `image` leads to, each with the first device that has one.
    fn led_to(&self, image: &Image) -> BTreeMap<usize, usize> {
        let order = self.topology.order.iter();
        let users = order.filter(|node| image.has_any(&self.ids[**node].streams));
        let mut units = BTreeMap::new();
        for &user in users {
            units.entry(self.unit_of[user]).or_insert(user);
        }
        units
    }

    /// `device`, or the one of its domain by whose StreamID it is reached.
    fn user(&self, user: usize, device: usize, image: &Image) -> String {
        let name = self.name(device);
        match image.has_any(&self.ids[device].streams) {
            true => format!("`{name}`"),
            false => format!("`{}`, whose domain is that of `{name}`", self.name(user)),
        }
    }

    /// Ports of a kind.
    fn ports(&self, kind: impl Fn(&Node) -> bool) -> impl Iterator<Item = usize> {
        let order = self.topology.order.iter().copied();
        order.filter(move |port| {
            let port = &self.machine.nodes[*port];
            port.function.kind.is_bridge() && kind(port)
        })
    }

    /// The StreamIDs that what is plugged in at `port` may use: those of all ids that get through, since it may have more
    /// functions than the declared device, and other numbers.
    fn ids_at(&self, port: usize) -> StrangersIds {
        let of = |scope: Scope, because| StrangersIds {
            image: scope.image(self.machine, self.topology),
            because,
        };
        let scope = Scope::of(self.topology, self.isolation, port);
        match scope.filter(|_| self.mode == Mode::Strict) {
            Some(scope @ Scope::Segment(_)) => of(scope, "which has no source validation".into()),
            scope => {
                let scope = scope.unwrap_or(Scope::Below(port));
                of(scope, format!("which has {}", scope.text(self.topology)))
            }
        }
    }

    /// An error of the port, which shows at this device first.
    fn exposed(&self, port: usize, device: usize, what: &str, message: String) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(Code::Stranger, message)
            .device(
                self.machine,
                device,
                match self.is_driven(device) {
                    true => format!("`{}` is driven", self.name(device)),
                    false => format!(
                        "`{}` is always open, and nobody drives it",
                        self.name(device)
                    ),
                },
            )
            .device(
                self.machine,
                port,
                format!("`{}` is external", self.name(port)),
            );
        diagnostic.cause = Some(format!("{} {what}", self.name(port)));
        let kinds = [EdgeKind::Alias, EdgeKind::Isolation];
        diagnostic.chain =
            self.chains
                .find(NodeId::new(port), NodeId::new(device), kinds.as_slice());
        diagnostic
    }

    /// Reports direct regions of devices that can be unplugged: their streams would be open from
    /// the start for any device.
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
                "the direct region `{}` of `{}`{mates} is open from the start to any device plugged in at the {kind} port `{}`",
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
        for port in self.ports(|node| node.external || node.hotplug) {
            self.direct_in_ids(port, found);
        }
    }

    /// A stream that is open from the start, and has an id of what is plugged in at `port`.
    fn direct_in_ids(&self, port: usize, found: &mut Vec<Diagnostic>) {
        let ids = self.ids_at(port);
        let plugged = |unit: &Vec<usize>| {
            let mut members = unit.iter();
            members.any(|node| self.topology.placed[*node].socket.is_some())
        };
        // What shares a domain with a device behind a socket has been reported.
        let led_to = self.led_to(&ids.image);
        let mut units = led_to.iter().filter_map(|(unit, user)| {
            let members = self.units.get(*unit).filter(|unit| !plugged(unit))?;
            let mut members = members.iter();
            let open = members.find(|node| !self.machine.nodes[**node].direct.is_empty())?;
            Some((*open, *user))
        });
        let Some((device, user)) = units.next() else {
            return;
        };
        let region = &self.machine.nodes[device].direct[0];
        let mate = match ids.image.has_any(&self.ids[device].streams) {
            true => String::new(),
            false => format!(", in the domain of `{}`,", self.name(user)),
        };
        let message = format!(
            "the direct region `{}` of `{}`{mate} is open from the start to any device plugged in at the port `{}`, {}",
            region.name,
            self.name(device),
            self.name(port),
            ids.because
        );
        let text = format!("`{}` has direct regions", self.name(device));
        let socket = format!("devices at `{}` come and go", self.name(port));
        found.push(
            Diagnostic::new(Code::DirectSocket, message)
                .device(self.machine, device, text)
                .party(format!("direct region `{}`", region.name), region.source)
                .party(socket, self.machine.nodes[port].source),
        );
    }
}
