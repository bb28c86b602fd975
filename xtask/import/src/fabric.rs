//! Functions into a fabric.

use std::collections::{BTreeMap, BTreeSet};

use solver::Machine;
use solver::model::{
    Acs, Buses, DomainType, Function as Seen, FunctionKind, Identity, Node, NodeId, Place, Quiesce,
    RootBus, RootId, Smmu, SmmuId, Source, StreamRange, Unowned, Upstream,
};

use crate::address::Address;
use crate::bar::BarKind;
use crate::board::Board;
use crate::error::{Error, ErrorKind};
use crate::function::Function;

/// Which ACS bits the plan will rely on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AcsState {
    /// The bits that were enabled when the dump was made.
    #[default]
    AsIs,
    /// All that isolation needs and the port implements: the PCI task will enable them.
    Enabled,
}

/// Mistakes of functions taken together. Fills in which are virtual.
pub(crate) fn check(functions: &mut [Function]) -> Vec<Error> {
    let mut errors = Vec::new();
    for pair in functions.windows(2) {
        if pair[0].address == pair[1].address {
            errors.push(Error::new(
                pair[1].line,
                ErrorKind::Duplicate,
                format!(
                    "{} is listed twice, first in line {}",
                    pair[1].address, pair[0].line
                ),
            ));
        }
    }
    not_extended(functions, &mut errors);
    assign_virtual(functions);
    buses(functions, &mut errors);
    // A bus whose bridge is missing looks like a root bus.
    if errors.is_empty() {
        crossing(functions, &mut errors);
    }
    errors
}

/// Ports without extended space are plausible one by one, but not all of them.
fn not_extended(functions: &[Function], errors: &mut Vec<Error>) {
    let needs = |f: &&Function| {
        matches!(
            f.kind,
            FunctionKind::RootPort | FunctionKind::UpstreamPort | FunctionKind::DownstreamPort
        )
    };
    if functions.iter().any(|f| f.config.extended()) {
        return;
    }
    if let Some(port) = functions.iter().find(needs) {
        errors.push(Error::new(
            port.line,
            ErrorKind::NotExtended,
            format!(
                "{}, a {}, shows only 256 bytes, and so does every other function",
                port.address,
                port.kind.text()
            ),
        ));
    }
}

fn assign_virtual(functions: &mut [Function]) {
    let mut physical: BTreeMap<(u32, u16), Address> = BTreeMap::new();
    for function in functions.iter() {
        let Some(sriov) = function.virtual_functions else {
            continue;
        };
        for index in 0..sriov.count {
            let id = function
                .address
                .requester()
                .wrapping_add(sriov.offset)
                .wrapping_add(sriov.stride.wrapping_mul(index));
            if id != function.address.requester() {
                physical.insert((function.address.segment, id), function.address);
            }
        }
    }
    for function in functions {
        if function.virtual_functions.is_none() && !function.kind.is_bridge() {
            function.physical = physical
                .get(&(function.address.segment, function.address.requester()))
                .copied();
        }
    }
}

/// Every bus with functions is below a bridge, or a root bus by what is on it.
fn buses(functions: &[Function], errors: &mut Vec<Error>) {
    let mut bridge_to: BTreeMap<(u32, u8), &Function> = BTreeMap::new();
    for function in functions {
        let Some([_, secondary, subordinate]) = function.buses else {
            continue;
        };
        if secondary == 0 {
            continue;
        }
        if secondary <= function.address.bus || subordinate < secondary {
            errors.push(Error::new(
                function.line,
                ErrorKind::Contradiction,
                format!(
                    "{} on bus {:02x} says secondary {secondary:02x}, subordinate {subordinate:02x}",
                    function.address, function.address.bus
                ),
            ));
        }
        if let Some(other) = bridge_to.insert((function.address.segment, secondary), function) {
            errors.push(Error::new(
                function.line,
                ErrorKind::Contradiction,
                format!(
                    "{} and {} both lead to bus {secondary:02x}",
                    other.address, function.address
                ),
            ));
        }
    }
    let mut reported = BTreeSet::new();
    for function in functions.iter().filter(|f| f.physical.is_none()) {
        let bus = (function.address.segment, function.address.bus);
        if bridge_to.contains_key(&bus) || !reported.insert(bus) {
            continue;
        }
        let inside = functions.iter().find(|b| {
            b.address.segment == bus.0
                && b.buses.is_some_and(|[_, secondary, subordinate]| {
                    secondary != 0 && secondary < bus.1 && bus.1 <= subordinate
                })
        });
        let on_link = functions
            .iter()
            .find(|f| (f.address.segment, f.address.bus) == bus && !root_bus_kind(f.kind));
        if let Some(above) = inside {
            errors.push(Error::new(
                function.line,
                ErrorKind::MissingBridge,
                format!(
                    "no bridge leads to bus {:02x}, though it is in the range of {}: a function is missing",
                    bus.1, above.address
                ),
            ));
        } else if let Some(stray) = on_link {
            errors.push(Error::new(
                stray.line,
                ErrorKind::MissingBridge,
                format!(
                    "{} is a {}, so a bridge leads to bus {:02x}, and it is missing",
                    stray.address,
                    stray.kind.text(),
                    bus.1
                ),
            ));
        }
    }
}

/// The bus numbers below a root bus end where the next root bus begins.
fn crossing(functions: &[Function], errors: &mut Vec<Error>) {
    let led_to = |bus: (u32, u8)| {
        let mut bridges = functions.iter();
        bridges.any(|f| f.address.segment == bus.0 && f.buses.is_some_and(|[_, s, _]| s == bus.1))
    };
    let own = functions.iter().filter(|f| f.physical.is_none());
    let buses: BTreeSet<(u32, u8)> = own.map(|f| (f.address.segment, f.address.bus)).collect();
    let roots: Vec<(u32, u8)> = buses.into_iter().filter(|bus| !led_to(*bus)).collect();
    for bridge in functions {
        let Address { segment, bus, .. } = bridge.address;
        let Some([_, first, last]) = bridge.buses.filter(|[_, first, _]| *first != 0) else {
            continue;
        };
        let crossed = roots
            .iter()
            .find(|root| root.0 == segment && root.1 > bus && root.1 <= last);
        if let (true, Some((_, root))) = (roots.contains(&(segment, bus)), crossed)
            && !(first..=last).contains(root)
        {
            errors.push(Error::new(
                bridge.line,
                ErrorKind::Contradiction,
                format!(
                    "{} leads to buses {first:02x} to {last:02x}, but {root:02x} between is another root bus",
                    bridge.address
                ),
            ));
        }
    }
}

/// Settles where functions that read as ones are. On a bus that a bridge leads to they are kept. Deeper ones are below
/// one of those, of which nothing is known: they are left out, and named at the bridge whose range they are in.
pub(crate) fn place_sleepers(functions: &mut Vec<Function>) {
    let led_to: BTreeMap<(u32, u8), FunctionKind> = functions
        .iter()
        .filter_map(|f| Some(((f.address.segment, f.buses?[1]), f.kind)))
        .collect();
    let at = |f: &Function| (f.address.segment, f.address.bus);
    let awake: BTreeSet<(u32, u8)> = functions.iter().filter(|f| !f.asleep).map(at).collect();
    let above = |f: &Function| {
        functions.iter().position(|bridge| {
            bridge.address.segment == f.address.segment
                && bridge.buses.is_some_and(|[_, first, last]| {
                    first != 0 && (first..=last).contains(&f.address.bus)
                })
        })
    };
    let lost: Vec<(usize, Address)> = functions
        .iter()
        .filter(|f| f.asleep && !led_to.contains_key(&at(f)) && !awake.contains(&at(f)))
        .filter_map(|f| Some((above(f)?, f.address)))
        .collect();
    for (bridge, address) in &lost {
        if let Some(bridge) = functions.get_mut(*bridge) {
            bridge.notes.push(format!(
                "{address} below {} reads as ones, and the bridge that leads there as well: it is left out",
                bridge.address
            ));
        }
    }
    functions.retain(|f| !lost.iter().any(|(_, address)| *address == f.address));
    for function in functions.iter_mut().filter(|f| f.asleep) {
        let bus = (function.address.segment, function.address.bus);
        if !led_to.get(&bus).is_some_and(|kind| kind.leads_to_link()) {
            function.kind = FunctionKind::Conventional;
        }
    }
}

/// Kinds that can be on a root bus.
fn root_bus_kind(kind: FunctionKind) -> bool {
    !matches!(
        kind,
        FunctionKind::UpstreamPort | FunctionKind::DownstreamPort
    )
}

/// A name for a function, unique in its machine: what it is and where.
pub fn name(function: &Function) -> String {
    let what = match function.kind {
        FunctionKind::HostBridge => "host",
        FunctionKind::RootPort => "port",
        FunctionKind::UpstreamPort => "up",
        FunctionKind::DownstreamPort => "down",
        FunctionKind::PcieToPci | FunctionKind::PciToPcie | FunctionKind::ConventionalBridge => {
            "bridge"
        }
        FunctionKind::EventCollector => "collector",
        _ => match function.class >> 8 {
            0x0108 => "nvme",
            0x0200..=0x02ff => "net",
            0x0100..=0x01ff => "disk",
            0x0300..=0x03ff => "display",
            0x0c03 => "usb",
            _ => "device",
        },
    };
    let Address {
        segment,
        bus,
        device,
        function: number,
    } = function.address;
    if segment == 0 {
        format!("{what}-{bus:02x}-{device:02x}-{number}")
    } else {
        format!("{what}-{segment:x}-{bus:02x}-{device:02x}-{number}")
    }
}

/// The machine that `functions` (as [`crate::parse`] returns them) describe: every function under its
/// [`name`], nobody owns anything, bus numbers pinned. Segment `s` goes to StreamIDs `s << 16 | id` of one
/// SMMU, which a device tree would say better.
///
/// The source of a node is the line of its function.
pub fn machine(functions: &[Function], acs: AcsState) -> Machine {
    let mut machine = Machine::default();
    machine.policy.unowned = Unowned::Block;
    machine.smmus.push(Smmu {
        name: "smmu".into(),
        stream_bits: 32,
        ..Smmu::default()
    });
    let segments = segments(functions);
    let numbered = |segment: u32| segments.get(&segment).copied().unwrap_or_default();
    let mut bridge_to: BTreeMap<(u32, u8), NodeId> = BTreeMap::new();
    let mut node_of: BTreeMap<Address, NodeId> = BTreeMap::new();
    for (index, function) in functions.iter().enumerate() {
        node_of.insert(function.address, NodeId::new(index));
        if let Some([_, secondary, _]) = function.buses
            && secondary != 0
        {
            bridge_to.insert((function.address.segment, secondary), NodeId::new(index));
        }
    }
    let mut roots: BTreeMap<(u32, u8), RootId> = BTreeMap::new();
    for function in functions {
        let Address {
            segment,
            bus,
            device,
            function: number,
        } = function.address;
        let physical = function
            .physical
            .and_then(|address| Some((address, *node_of.get(&address)?)));
        let place = if let Some((address, physical)) = physical {
            let offset = function
                .address
                .requester()
                .wrapping_sub(address.requester());
            Place::Virtual { physical, offset }
        } else {
            let upstream = match bridge_to.get(&(segment, bus)) {
                Some(bridge) => Upstream::Bridge(*bridge),
                None => Upstream::Root(*roots.entry((segment, bus)).or_insert_with(|| {
                    let streams = !function.address.is_made_up();
                    machine.roots.push(root(numbered(segment), bus, streams));
                    RootId::new(machine.roots.len() - 1)
                })),
            };
            Place::Slot {
                upstream,
                device,
                function: number,
            }
        };
        machine.nodes.push(node(function, place, acs));
    }
    limit_roots(&mut machine);
    machine
}

/// The numbers of the segments: their own, and free ones for those that an operating system made up.
fn segments(functions: &[Function]) -> BTreeMap<u32, u16> {
    let all: BTreeSet<u32> = functions.iter().map(|f| f.address.segment).collect();
    let mut free = (0..=u16::MAX)
        .rev()
        .filter(|n| !all.contains(&u32::from(*n)));
    all.iter()
        .map(|segment| match u16::try_from(*segment) {
            Ok(own) => (*segment, own),
            Err(_) => (*segment, free.next().unwrap_or_default()),
        })
        .collect()
}

/// The machine of a board whose functions nobody listed: the root buses of its hosts.
pub fn root_buses(board: &Board) -> Machine {
    let mut machine = Machine::default();
    for host in &board.hosts {
        let [bus, bus_last] = host.buses;
        machine.roots.push(RootBus {
            bus_last,
            ..root(host.segment, bus, true)
        });
    }
    machine
}

/// A root bus. Without `streams` no request from it passes the SMMU under its own id.
fn root(segment: u16, bus: u8, streams: bool) -> RootBus {
    let all = StreamRange {
        requester: 0,
        len: 0x1_0000,
        smmu: SmmuId::new(0),
        stream: u32::from(segment) << 16,
    };
    RootBus {
        name: format!("root-{segment:x}-{bus:02x}"),
        segment,
        bus,
        bus_last: u8::MAX,
        streams: streams.then_some(all).into_iter().collect(),
        ..RootBus::default()
    }
}

/// Root buses of one segment end where the next begins, and belong to one root complex: nothing in the
/// dump says that requests are not routed between them.
fn limit_roots(machine: &mut Machine) {
    let mut first: BTreeMap<u16, RootId> = BTreeMap::new();
    let all: Vec<(u16, u8)> = machine.roots.iter().map(|r| (r.segment, r.bus)).collect();
    for (index, root) in machine.roots.iter_mut().enumerate() {
        let next = all
            .iter()
            .filter(|(s, b)| *s == root.segment && *b > root.bus)
            .map(|(_, b)| *b)
            .min();
        root.bus_last = next.map_or(u8::MAX, |bus| bus - 1);
        let main = *first.entry(root.segment).or_insert(RootId::new(index));
        if main.index() != index {
            root.expander_of = Some(main);
        }
    }
}

fn node(function: &Function, place: Place, acs: AcsState) -> Node {
    let buses = match function.buses {
        Some([_, secondary, subordinate]) if secondary != 0 => Buses {
            secondary: Some(secondary),
            subordinate: Some(subordinate),
            spare: 0,
        },
        _ => Buses::default(),
    };
    let enabled = |found: Acs| match acs {
        AcsState::AsIs => found,
        AcsState::Enabled => found.all_enabled(),
    };
    Node {
        name: name(function),
        source: Source(u32::try_from(function.line).unwrap_or(u32::MAX)),
        place,
        function: Seen {
            kind: function.kind,
            identity: Identity {
                vendor: function.vendor,
                device: function.device,
            },
            acs: function.acs.map(enabled),
            multifunction: function.multifunction && function.physical.is_none(),
            buses,
        },
        // What it is like when it wakes is not known.
        demand: function.asleep.then_some(DomainType::Blocked),
        quiesce: if function.function_reset {
            Quiesce::FunctionReset
        } else {
            Quiesce::Unknown
        },
        hotplug: false,
        registers: function.kind.is_bridge()
            && function.bars.iter().any(|bar| bar.kind != BarKind::Io),
        ..Node::default()
    }
}
