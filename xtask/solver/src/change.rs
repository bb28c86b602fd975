//! Changes to a machine that a remedy consists of.

use crate::model::{
    Acs, Containment, DomainType, Machine, NodeId, OwnerId, Quiesce, Source, Trust, Waiver, Window,
};

/// One change to a machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The two trust each other.
    Trust(OwnerId, OwnerId),
    /// The first trusts the second.
    TrustIn(OwnerId, OwnerId),
    /// The task has no registers of the device.
    DropHolder(NodeId, OwnerId),
    /// The pair is waived; the reason is the user's to write.
    Waive(OwnerId, OwnerId),
    /// The waiver (position in [`Machine::waivers`]) names these devices, too.
    Name(usize, Vec<NodeId>),
    /// The two stop and restart together.
    Contain(OwnerId, OwnerId),
    /// The device demands this type, or nothing.
    Demand(NodeId, Option<DomainType>),
    /// The device has no direct regions.
    DropDirect(NodeId),
    /// The device does not bypass the SMMU.
    Translate(NodeId),
    /// The device has this owner, or none.
    Owner(NodeId, Option<OwnerId>),
    /// Every ACS bit that isolation needs and the port implements is enabled.
    EnableAcs(NodeId),
    /// The device is made quiet by a recipe that resets nothing else.
    Quiesce(NodeId),
    /// The root complex of this root bus (position in [`Machine::roots`]) never routes between root ports.
    NeverRoutes(usize),
    /// The bridge's bus numbers are assigned.
    Unpin(NodeId),
    /// The device asks for the smallest window, anywhere.
    SmallWindow(NodeId),
    /// The named group (position in [`Machine::groups`]) does not list the device.
    DropMember(usize, NodeId),
    /// The named group has no default domain.
    DropPolicy(usize),
}

impl Change {
    /// Makes the change.
    ///
    /// # Panics
    /// If it refers to a part that `machine` does not have.
    pub fn apply(&self, machine: &mut Machine) {
        let source = Source::default();
        let node = |node: &NodeId| node.index();
        match self {
            Change::Trust(a, b) => {
                machine.trust.push(Trust {
                    from: *a,
                    to: *b,
                    source,
                });
                machine.trust.push(Trust {
                    from: *b,
                    to: *a,
                    source,
                });
            }
            Change::TrustIn(a, b) => machine.trust.push(Trust {
                from: *a,
                to: *b,
                source,
            }),
            Change::DropHolder(n, task) => {
                let holders = &mut machine.nodes[node(n)].holders;
                holders.retain(|holder| holder.task != *task);
            }
            Change::Waive(a, b) => {
                machine.waivers.push(Waiver {
                    pair: (*a, *b),
                    reason: "a reason".into(),
                    devices: Vec::new(),
                    source,
                });
            }
            Change::Name(waiver, nodes) => machine.waivers[*waiver].devices.extend(nodes),
            Change::Contain(a, b) => {
                let name = format!("unit-{}-{}", a.0, b.0);
                machine.containment.push(Containment {
                    name,
                    owners: vec![*a, *b],
                    source,
                });
            }
            Change::Demand(n, demand) => machine.nodes[node(n)].demand = *demand,
            Change::DropDirect(n) => machine.nodes[node(n)].direct.clear(),
            Change::Translate(n) => machine.nodes[node(n)].unsafe_bypass = None,
            Change::Owner(n, owner) => machine.nodes[node(n)].owner = *owner,
            Change::EnableAcs(n) => {
                let acs = &mut machine.nodes[node(n)].function.acs;
                *acs = acs.map(Acs::all_enabled);
            }
            Change::Quiesce(n) => machine.nodes[node(n)].quiesce = Quiesce::Own,
            Change::NeverRoutes(root) => machine.roots[*root].never_routes_peers = true,
            Change::Unpin(n) => {
                let buses = &mut machine.nodes[node(n)].function.buses;
                (buses.secondary, buses.subordinate) = (None, None);
            }
            Change::SmallWindow(n) => {
                let window = &mut machine.nodes[node(n)].window;
                *window = Window {
                    page_bytes: 2 << 20,
                    address_bits: window.address_bits,
                    ..Window::default()
                };
            }
            Change::DropMember(group, n) => machine.groups[*group].members.retain(|m| m != n),
            Change::DropPolicy(group) => machine.groups[*group].default_domain = None,
        }
    }
}
