//! Why a function does not keep requests apart.

use crate::model::{Acs, Function, FunctionKind, Machine};
use crate::quirk::{self, Effect};
use crate::solution::Mode;
use crate::topology::Topology;

/// Why a function does not keep requests apart; `None` if it does.
pub(crate) type Fault = Option<&'static str>;

pub(super) const NO_ACS: &str = "has no ACS";
const ACS_OFF: &str = "has ACS that is not enabled";
const DENIED: &str = "is known not to keep requests apart";
const ACS_PARTIAL: &str = "lacks an ACS bit that isolation needs";
const BY_VECTOR: &str = "routes to peers by its egress control vector";
const TRANSLATED: &str = "lets requests that call themselves translated go to peers";
const REGISTERS: &str = "does not keep requests off the registers of its switch";

/// The reason why `node` does not isolate, if there is one. `shared`: its slot has several
/// functions.
pub(super) fn fault(
    machine: &Machine,
    topology: &Topology,
    mode: Mode,
    node: usize,
    shared: bool,
) -> Fault {
    topology.placed[node].requester?;
    let function = &machine.nodes[node].function;
    match quirk::isolation(function.identity, function.kind) {
        Some(Effect::DeclaresIsolation) if mode == Mode::Linux => return None,
        Some(Effect::DeclaresRootSlot)
            if mode == Mode::Linux && shared && topology.placed[node].parent.is_none() =>
        {
            return None;
        }
        Some(Effect::DeniesIsolation) => return Some(DENIED),
        _ => {}
    }
    // Of a virtual function, too, this is its own: what its physical function enables does not act on its requests
    // (PCIe base specification, ACS Functions in SR-IOV Capable and Multi-Function Devices).
    let acs = acs_in(mode, function);
    match function.kind {
        FunctionKind::Conventional
        | FunctionKind::ConventionalBridge
        | FunctionKind::HostBridge => Some("is a conventional function, which cannot have ACS"),
        FunctionKind::PcieToPci | FunctionKind::PciToPcie => {
            Some("is a bridge to a bus without ACS")
        }
        FunctionKind::EventCollector => Some("is an event collector"),
        // It need not redirect what it cannot route, but a port with ACS has to implement source validation
        // (PCIe base specification, ACS Functional Requirements); without it, what is below may take the
        // requester id, and so the StreamID, of any other device.
        FunctionKind::RootPort => port_fault(acs, mode, Acs::SOURCE_VALIDATION),
        // It has to implement all of them; one that does not is not what it says.
        FunctionKind::DownstreamPort => port_fault(acs, mode, Acs::WANTED).or_else(|| {
            (mode == Mode::Strict).then(|| registers_fault(machine, topology, node))?
        }),
        FunctionKind::Endpoint | FunctionKind::UpstreamPort | FunctionKind::RootComplexEndpoint => {
            if shared {
                acs_fault(acs, mode)
            } else {
                None
            }
        }
    }
}

/// The access control that is counted on. Linux enables also what errata rule out, and works around.
pub(super) fn acs_in(mode: Mode, function: &Function) -> Option<Acs> {
    match (mode, function.acs) {
        (Mode::Linux, acs) => acs,
        (Mode::Strict, None) => None,
        (Mode::Strict, Some(acs)) => {
            Some(quirk::settable_acs(function).unwrap_or(Acs { enabled: 0, ..acs }))
        }
    }
}

/// The fault of a port that has to implement the bits `needed`.
fn port_fault(acs: Option<Acs>, mode: Mode, needed: u16) -> Fault {
    match acs {
        Some(acs) if mode == Mode::Strict && acs.implemented & needed != needed => {
            Some(ACS_PARTIAL)
        }
        _ => acs_fault(acs, mode),
    }
}

/// Wanted bits that are implemented must be enabled; in strict mode what undoes redirection must not be (PCIe base
/// specification, ACS Peer-to-Peer Control Interactions).
fn acs_fault(acs: Option<Acs>, mode: Mode) -> Fault {
    let Some(acs) = acs else { return Some(NO_ACS) };
    let on = |bit: u16| mode == Mode::Strict && acs.enabled & bit != 0;
    if acs.implemented & Acs::WANTED & !acs.enabled != 0 {
        Some(ACS_OFF)
    } else if on(Acs::EGRESS_CONTROL) {
        Some(BY_VECTOR)
    } else if on(Acs::DIRECT_TRANSLATED) {
        Some(TRANSLATED)
    } else {
        None
    }
}

/// The fault of a downstream port whose switch has unguarded registers. A port's own memory BAR is no peer, so
/// redirection does not act on it: a request from below that hits a BAR of the switch is served there, unless the
/// memory target access control of the port by which it came in says otherwise.
fn registers_fault(machine: &Machine, topology: &Topology, port: usize) -> Fault {
    let acs = machine.nodes[port].function.acs.unwrap_or_default();
    let above = topology.placed[port].parent?;
    let has = |node: &usize| machine.nodes[*node].registers;
    let downstream = topology.children[above].iter().any(has) && !acs.guards_downstream();
    let upstream = has(&above) && !acs.guards_upstream();
    (downstream || upstream).then_some(REGISTERS)
}
