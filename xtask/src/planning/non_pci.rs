//! Devices that are not on PCI. In every protocol their numbers follow those of the functions.

use solver::solution::Solution;

use super::fabric::FunctionKind;
use super::machine::Described;
use crate::read::{App, Place};

/// One of them.
#[derive(Clone, Debug)]
pub struct NonPciDevice {
    pub name: String,
    /// Index in `App::devices`.
    pub device: usize,
    /// The platform's registers that are its own, by name.
    pub registers: Option<String>,
}

/// In the order of the solution, as the domains have them.
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
