//! Ports whose access control an erratum rules out, though it is to be enabled.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::Machine;
use crate::quirk;
use crate::solution::Mode;
use crate::topology::Topology;

/// Reports the functions with bits enabled that must not be: one warning for those that have one bridge above them, since
/// they are ports of one switch.
pub(crate) fn check(
    machine: &Machine,
    topology: &Topology,
    mode: Mode,
    found: &mut Vec<Diagnostic>,
) {
    let mut list: BTreeMap<(Option<usize>, u16, &str), Vec<usize>> = BTreeMap::new();
    for &node in &topology.order {
        let function = &machine.nodes[node].function;
        if let (Some(acs), Some((bits, erratum))) = (function.acs, quirk::erratum(function))
            && acs.enabled & bits != 0
        {
            let above = topology.placed[node].parent;
            list.entry((above, bits, erratum)).or_default().push(node);
        }
    }
    let mut list: Vec<_> = list.into_iter().collect();
    let place = |node: usize| topology.order.iter().position(|other| *other == node);
    list.sort_by_key(|(_, ports)| ports.first().map(|port| place(*port)));
    for ((above, bits, erratum), ports) in list {
        let name = |node: usize| &machine.nodes[node].name;
        let names: Vec<String> = ports
            .iter()
            .map(|port| format!("`{}`", name(*port)))
            .collect();
        let what = match bits {
            u16::MAX => "ACS".to_owned(),
            bits => format!("{bits:#x} of ACS"),
        };
        let outcome = match mode {
            Mode::Strict => "so the PCI task leaves it off, and the plan does not count on it",
            Mode::Linux => "which Linux works around, and the PCI task does not",
        };
        let message = format!(
            "{what} must not be enabled on {}, {outcome}",
            names.join(", ")
        );
        let mut diagnostic = Diagnostic::new(Code::AcsErratum, message);
        for &port in &ports {
            let function = &machine.nodes[port].function;
            let enabled = function.acs.map_or(0, |acs| acs.enabled);
            let (vendor, device) = (function.identity.vendor, function.identity.device);
            let text = format!(
                "`{}`, {vendor:04x}:{device:04x}, is to have {enabled:#x} enabled",
                name(port)
            );
            diagnostic = diagnostic.device(machine, port, text);
        }
        if let Some(above) = above {
            let text = format!("`{}` is above", name(above));
            diagnostic = diagnostic.party(text, machine.nodes[above].source);
        }
        found.push(diagnostic.party(erratum, crate::model::Source::default()));
    }
}
