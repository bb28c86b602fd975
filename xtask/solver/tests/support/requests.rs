//! Which functions a request reaches without the SMMU, from the PCIe rules and `docs/reference/plan.md`: a walk of
//! requests over the fabric, hop by hop, that knows nothing of edges and shares no code with the solver.

use std::collections::BTreeSet;

use solver::Machine;
use solver::model::*;

/// The fabric as a request sees it.
pub struct Fabric<'a> {
    m: &'a Machine,
    /// What is never there together.
    apart: &'a dyn Fn(usize, usize) -> bool,
}

/// A bus: below a bridge, or a root bus.
type Bus = Upstream;

impl<'a> Fabric<'a> {
    pub fn new(m: &'a Machine, apart: &'a dyn Fn(usize, usize) -> bool) -> Self {
        Self { m, apart }
    }

    fn kind(&self, node: usize) -> FunctionKind {
        self.m.nodes[node].function.kind
    }

    /// The function whose slot it is in: its physical one's.
    fn physical(&self, node: usize) -> usize {
        match self.m.nodes[node].place {
            Place::Virtual { physical, .. } => physical.index(),
            _ => node,
        }
    }

    fn is_virtual(&self, node: usize) -> bool {
        self.physical(node) != node
    }

    fn slot(&self, node: usize) -> Option<(Bus, u8, u8)> {
        match self.m.nodes[self.physical(node)].place {
            Place::Slot {
                upstream,
                device,
                function,
            } => Some((upstream, device, function)),
            _ => None,
        }
    }

    /// All functions on a bus, virtual ones with their physical one.
    fn on(&self, bus: Bus) -> impl Iterator<Item = usize> {
        (0..self.m.nodes.len()).filter(move |node| self.slot(*node).is_some_and(|s| s.0 == bus))
    }

    fn is_port(&self, node: usize) -> bool {
        use FunctionKind::*;
        matches!(self.kind(node), RootPort | DownstreamPort)
    }

    /// A link has one device, whatever the numbers of its functions.
    fn is_link(&self, bus: Bus) -> bool {
        match bus {
            Upstream::Root(_) => false,
            Upstream::Bridge(above) => {
                self.is_port(above.index()) || self.kind(above.index()) == FunctionKind::PciToPcie
            }
        }
    }

    /// The functions of one device: itself and those beside it.
    fn device(&self, node: usize) -> Vec<usize> {
        let Some((bus, number, _)) = self.slot(node) else {
            return vec![node];
        };
        let of_device = |other: &usize| {
            self.is_link(bus) || self.slot(*other).is_some_and(|slot| slot.1 == number)
        };
        self.on(bus).filter(of_device).collect()
    }

    fn has_several_functions(&self, node: usize) -> bool {
        self.device(node).iter().any(|other| {
            let link = self.slot(*other).is_some_and(|slot| self.is_link(slot.0));
            let number = self
                .slot(*other)
                .map_or(0, |slot| slot.2 | if link { slot.1 } else { 0 });
            self.m.nodes[*other].function.multifunction || number != 0 || self.is_virtual(*other)
        })
    }

    /// Its access control, of a virtual function, too.
    fn control(&self, node: usize) -> Option<Acs> {
        self.m.nodes[node].function.acs
    }

    /// Every one of the four bits that it has is on, and neither egress control nor direct translated requests.
    fn redirects(&self, node: usize) -> bool {
        self.control(node).is_some_and(|acs| {
            let all = [0, 2, 3, 4].iter().all(|bit| {
                let mask = 1u16 << bit;
                acs.implemented & mask == 0 || acs.enabled & mask != 0
            });
            all && acs.enabled & 0x60 == 0
        })
    }

    fn has(&self, node: usize, bits: u16) -> bool {
        self.control(node)
            .is_some_and(|acs| acs.implemented & bits == bits)
    }

    /// The field of memory target access control at `shift` blocks or redirects.
    fn guards(&self, node: usize, shift: u16) -> bool {
        self.has(node, 0x80)
            && self
                .control(node)
                .is_some_and(|acs| [1, 2].contains(&(acs.enabled >> shift & 3)))
    }

    /// Whether a request from below a port can turn at it, to what is beside it or below it.
    fn turns(&self, port: usize) -> bool {
        let known_not_to = {
            let id = self.m.nodes[port].function.identity;
            (id.vendor, id.device) == (0x8088, 0x0110)
        };
        match self.kind(port) {
            FunctionKind::RootPort => {
                known_not_to || !self.redirects(port) || !self.has(port, 0x01)
            }
            FunctionKind::DownstreamPort => {
                known_not_to
                    || !self.redirects(port)
                    || !self.has(port, 0x1d)
                    || self.serves_switch_registers(port)
            }
            // An upstream port and its downstream ports are one switch; what turns there turns at those.
            FunctionKind::UpstreamPort => known_not_to || self.passes_sideways(port),
            // Conventional buses, and bridges to and from them.
            _ => true,
        }
    }

    /// A request that came by `port` and hits a BAR of a port of its switch is served there.
    fn serves_switch_registers(&self, port: usize) -> bool {
        let Some((bus @ Upstream::Bridge(up), ..)) = self.slot(port) else {
            return false;
        };
        let beside = self.on(bus).any(|other| self.m.nodes[other].registers);
        beside && !self.guards(port, 8)
            || self.m.nodes[up.index()].registers && !self.guards(port, 10)
    }

    /// An upstream port whose switch sends requests between its ports, whichever of its alternatives is there.
    fn is_open_switch(&self, node: usize) -> bool {
        let sideways =
            |inside: usize| self.kind(inside) != FunctionKind::DownstreamPort || self.turns(inside);
        self.kind(node) == FunctionKind::UpstreamPort
            && self.on(Upstream::Bridge(NodeId::new(node))).any(sideways)
    }

    /// Whether a function's own requests may go to the functions beside it in its device.
    fn passes_sideways(&self, node: usize) -> bool {
        let id = self.m.nodes[node].function.identity;
        if (id.vendor, id.device) == (0x8088, 0x0110) {
            return true;
        }
        use FunctionKind::*;
        match self.kind(node) {
            Endpoint | RootComplexEndpoint | UpstreamPort => {
                self.has_several_functions(node) && !self.redirects(node)
            }
            RootPort | DownstreamPort => self.turns(node),
            _ => true,
        }
    }

    /// A request that comes to `node` from above or beside: it reaches it, and below a bridge everything, since no
    /// control looks at what goes down.
    fn enter(&self, node: usize, reached: &mut BTreeSet<usize>) {
        if !reached.insert(node) || !self.kind(node).is_bridge() {
            return;
        }
        for below in self.on(Upstream::Bridge(NodeId::new(node))) {
            self.enter(below, reached);
        }
    }

    /// The root bus of the host bridge.
    fn complex(&self, bus: Bus) -> Option<usize> {
        let Upstream::Root(root) = bus else {
            return None;
        };
        let above = self.m.roots[root.index()].expander_of;
        Some(above.unwrap_or(root).index())
    }

    /// What the root complex may send a request to that turned at the root port `port`: other ports that redirect nothing
    /// either, and what is integrated.
    fn beside_root_port(&self, port: usize) -> Vec<usize> {
        let complex = self.slot(port).and_then(|slot| self.complex(slot.0));
        let Some(complex) = complex.filter(|c| !self.m.roots[*c].never_routes_peers) else {
            return Vec::new();
        };
        let all = 0..self.m.nodes.len();
        let of_complex =
            |node: &usize| self.slot(*node).and_then(|slot| self.complex(slot.0)) == Some(complex);
        let open = |node: &usize| match self.kind(*node) {
            FunctionKind::HostBridge => false,
            FunctionKind::RootPort => self.turns(*node),
            _ => true,
        };
        all.filter(of_complex).filter(open).collect()
    }

    /// Everything that requests of `node`, or what comes from below it if it is a bridge, may reach.
    pub fn reached(&self, node: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let Some((bus, ..)) = self.slot(node) else {
            return reached;
        };
        if self.kind(node).is_bridge() && (self.turns(node) || self.is_open_switch(node)) {
            self.turn(node, &mut reached);
        }
        let mut beside = BTreeSet::new();
        let mut at = (node, bus);
        loop {
            let (function, bus) = at;
            if self.passes_sideways(function) {
                for other in self.device(function) {
                    // Between root ports the root complex routes.
                    let ports = [function, other].map(|n| self.kind(n) == FunctionKind::RootPort);
                    if ports == [true, true] {
                        beside.insert(other);
                    } else if !(self.apart)(node, other) {
                        self.enter(other, &mut reached);
                    }
                }
            }
            let Upstream::Bridge(above) = bus else { break };
            let above = above.index();
            // Inside a switch there is nothing between what is no downstream port and the others.
            let inside = self.kind(above) == FunctionKind::UpstreamPort
                && self.kind(function) != FunctionKind::DownstreamPort;
            if inside || self.turns(above) {
                self.turn(above, &mut reached);
            }
            let Some((bus, ..)) = self.slot(above) else {
                break;
            };
            at = (above, bus);
        }
        reached.extend(beside);
        reached.retain(|other| !(self.apart)(node, *other));
        reached
    }

    /// A request turns at `bridge`: it, all below it, and what is beside it.
    fn turn(&self, bridge: usize, reached: &mut BTreeSet<usize>) {
        self.enter(bridge, reached);
        match (self.kind(bridge), self.slot(bridge)) {
            (FunctionKind::RootPort, _) => {
                for other in self.beside_root_port(bridge) {
                    self.enter(other, reached);
                }
            }
            (FunctionKind::DownstreamPort, Some((Upstream::Bridge(up), ..)))
                if self.kind(up.index()) == FunctionKind::UpstreamPort =>
            {
                self.enter(up.index(), reached);
            }
            _ => {}
        }
    }
}
