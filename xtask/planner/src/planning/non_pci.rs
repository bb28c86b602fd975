//! Devices that are not on PCI. In every protocol their numbers follow those of the functions.

use solver::model::Machine;
use solver::solution::Solution;

use super::function::FunctionKind;
use super::machine::Described;
use crate::read::{App, Device, Place};
use crate::report::{Mistake, Report};

/// One device that is not on PCI.
#[derive(Clone, Debug)]
pub struct NonPciDevice {
    /// The name in `app.toml`.
    pub name: String,
    /// Index in `App::devices`.
    pub device: usize,
    /// The platform's registers that are its own, by name.
    pub registers: Option<String>,
}

/// The devices that are not on PCI, in the order of the solution, as the domains have them.
pub fn devices(app: &App, described: &Described, solution: &Solution) -> Vec<NonPciDevice> {
    let nodes = solution.order.iter();
    nodes
        .filter_map(|node| match described.kinds.get(node.index())? {
            FunctionKind::Device(index) => {
                let device = app.devices.get(*index)?;
                let Place::Platform { registers, .. } = &device.place else {
                    return None;
                };
                Some(NonPciDevice {
                    name: device.name.value.clone(),
                    device: *index,
                    registers: registers.as_ref().map(|name| name.value.clone()),
                })
            }
            _ => None,
        })
        .collect()
}

/// Checks that some undriven devices have a recipe. A device without bus mastering, and one with direct regions,
/// whose bus mastering is on from the start, uses its stream whenever another member of its domain has it open. So
/// the other's memory is given back only once this device is quiet.
pub fn check(report: &Report, app: &App, machine: &Machine, solution: &Solution) {
    for domain in &solution.domains {
        let members = || {
            let nodes = domain.devices.iter();
            let names = nodes.filter_map(|node| Some(&machine.nodes.get(node.index())?.name));
            names.filter_map(|name| app.devices.iter().find(|d| d.name.value == *name))
        };
        let is_driven = |device: &&Device| app.driver(&device.name.value).is_some();
        let Some(driven) = members().find(is_driven) else {
            continue;
        };
        for device in members().filter(|device| !is_driven(device)) {
            let why = match device.place {
                Place::Platform { .. } => "it has no bus mastering to turn off",
                _ if !device.direct.is_empty() => {
                    "its direct regions need its bus mastering from the start"
                }
                _ => continue,
            };
            if device.quiesce.is_none() {
                report
                    .error(
                        Mistake::NoQuiesce,
                        format!(
                            "there is no way to make `{}` quiet, which shares the stream of `{}`",
                            device.name.value, driven.name.value
                        ),
                    )
                    .at(
                        &device.name.span,
                        format!("no recipe is known for it, and {why}"),
                    )
                    .with(&driven.name.span, "it reaches what is mapped for this device")
                    .remedy(
                        "declare `quiesce`: \"flr\" or \"bus\" on PCI, { poll = … }, { wait = … }, or \"none\"",
                    );
            }
        }
    }
}
