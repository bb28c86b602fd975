//! Which tasks have the registers of which device. Whoever writes to them can make the device reach what its driver's
//! domain reaches, so each of them is in the report.

use std::collections::BTreeMap;

use super::Plan;
use crate::read::{Place, Quiesce};

/// Why a task, or the kernel, has registers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Access {
    /// The task drives the device.
    Drives,
    /// The task owns the platform's block of registers.
    Owns,
    /// The task watches the device.
    Watches,
    /// The task makes the device quiet by a register.
    Quiesces,
    /// The kernel prints there.
    Console,
}

impl Access {
    pub fn text(self) -> &'static str {
        match self {
            Self::Drives => "drives",
            Self::Owns => "owns",
            Self::Watches => "watches",
            Self::Quiesces => "quiesces",
            Self::Console => "prints",
        }
    }
}

/// The tasks that have registers, by name of the device: its driver first. The kernel is called so.
pub type Holders = BTreeMap<String, Vec<(Access, String)>>;

impl Plan {
    /// The tasks that have the registers of each device and of each block of the platform, and in which
    /// way: BARs, and what counts as a BAR.
    pub fn register_holders(&self) -> Holders {
        let mut holders = Holders::new();
        let mut add = |device: &str, access, task: &str| {
            let of = holders.entry(device.to_owned()).or_default();
            of.push((access, task.to_owned()));
        };
        let app = &self.app;
        let pci = self.pci_task().and_then(|task| app.tasks.get(task));
        for device in &app.devices {
            let name = &device.name.value;
            let block = match &device.place {
                Place::Platform { registers, .. } => registers.as_ref(),
                Place::Slot { .. } | Place::Virtual { .. } => None,
            };
            if device.bars.is_empty() && block.is_none() {
                continue;
            }
            for task in &app.tasks {
                let named = |list: &[crate::report::Spanned<String>]| {
                    list.iter().any(|listed| listed.value == *name)
                };
                if named(&task.drives) {
                    add(name, Access::Drives, &task.name.value);
                }
                // What is not on PCI has no BAR to map for a look.
                if named(&task.watches) && block.is_none() {
                    add(name, Access::Watches, &task.name.value);
                }
                let owns = |block: &&crate::report::Spanned<String>| {
                    task.owns.iter().any(|own| own.value == block.value)
                };
                if !named(&task.drives) && block.filter(owns).is_some() {
                    add(name, Access::Owns, &task.name.value);
                }
            }
            if let (Some(pci), Some(Quiesce::Poll { .. })) = (pci, device.quiesce) {
                add(name, Access::Quiesces, &pci.name.value);
            }
        }
        for block in &app.platform.devices {
            for task in &app.tasks {
                if task.owns.iter().any(|own| own.value == block.name) {
                    add(&block.name, Access::Owns, &task.name.value);
                }
            }
            if block.name == app.platform.console.device {
                add(&block.name, Access::Console, KERNEL);
            }
        }
        for of in holders.values_mut() {
            of.sort();
        }
        holders
    }
}

/// How a report calls it.
const KERNEL: &str = "the kernel";
