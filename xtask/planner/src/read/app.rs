//! A whole `app.toml`.

use std::collections::BTreeSet;

use super::device::Device;
use super::iommu::IommuPolicy;
use super::pci::{Bridge, Root};
use super::platform::Platform;
use super::task::{self, Task};
use crate::report::Span;

/// The system as declared. Tasks are in the order of the kernel's table: by priority, then name.
#[derive(Clone, Debug)]
pub struct App {
    /// The system's name.
    pub name: String,
    /// The place of the system's name.
    pub span: Span,
    /// The platform that `platform` names.
    pub platform: Platform,
    /// Bytes of the kernel's stack.
    pub kernel_stack: u64,
    /// `Exit` ends the emulator with the verdict.
    pub semihosting: bool,
    /// Tasks may read the performance counters.
    pub counters: bool,
    /// Tasks may have the calls that only tests need.
    pub test_image: bool,
    /// The tasks; an index into this list is the task's number in the kernel and in every plan.
    pub tasks: Vec<Task>,
    /// Root buses beside the platform's own.
    pub roots: Vec<Root>,
    /// The PCI bridges and root ports.
    pub bridges: Vec<Bridge>,
    /// The devices, PCI and others.
    pub devices: Vec<Device>,
    /// The policy of `[iommu]`.
    pub iommu: IommuPolicy,
    /// The disks that the tool makes.
    pub disks: Vec<Disk>,
    /// True if a task could not be read, or drives a device that does not exist. Then no device is reported for having
    /// no owner: that task was probably meant to drive it.
    pub owners_unknown: bool,
}

/// The first root bus of a root complex.
#[derive(Clone, Copy, Debug)]
pub enum Main<'a> {
    /// The root bus itself.
    Itself,
    /// A root bus that the file declares.
    Declared(&'a Root),
    /// Bus 0 of a platform whose root bus is not declared.
    Platform,
    /// The file does not say, or names what it does not have.
    Unknown,
}

/// A disk that the tool makes unless the user gives one.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The name that the emulator's arguments of a device give it.
    pub name: String,
    /// In bytes.
    pub len: u64,
}

impl App {
    /// The task of that name, and its index.
    pub fn task(&self, name: &str) -> Option<(usize, &Task)> {
        self.tasks
            .iter()
            .enumerate()
            .find(|(_, task)| task.name.value == name)
    }

    /// The cores that are used, the one that the system starts on among them.
    pub fn cores(&self) -> BTreeSet<u32> {
        let cores = self.tasks.iter().map(|task| task.core);
        cores.chain([task::BOOT_CORE]).collect()
    }

    /// The index of the task that reads the logs.
    pub fn log_task(&self) -> Option<usize> {
        self.tasks.iter().position(|task| task.reads_logs.is_some())
    }

    /// The index of the task that owns the SMMU and the right to hold and pin.
    pub fn authority(&self) -> Option<usize> {
        self.tasks.iter().position(|task| task.authority.is_some())
    }

    /// Whether the file describes the board whole, its root buses and host bridges included.
    pub fn declares_root_buses(&self) -> bool {
        self.roots.iter().any(|root| root.slot.is_none())
    }

    /// The first root bus of the root complex of a root bus.
    pub fn main_of(&self, root: &Root) -> Main<'_> {
        if let Some(main) = &root.expander_of {
            let mut roots = self.roots.iter();
            let named = roots.find(|other| other.name.value == main.value);
            return named.map_or(Main::Unknown, Main::Declared);
        }
        if root.slot.is_none() {
            return Main::Itself;
        }
        if !self.declares_root_buses() {
            return Main::Platform;
        }
        let mut candidates = self.roots.iter().filter(|other| {
            other.segment == root.segment && other.slot.is_none() && other.expander_of.is_none()
        });
        match (candidates.next(), candidates.next()) {
            (Some(only), None) => Main::Declared(only),
            _ => Main::Unknown,
        }
    }

    /// Index of the task that drives a device.
    pub fn driver(&self, device: &str) -> Option<usize> {
        self.tasks
            .iter()
            .position(|task| task.drives.iter().any(|drive| drive.value == device))
    }

    /// Index of the task that owns a platform device.
    pub fn owner(&self, device: &str) -> Option<usize> {
        self.tasks
            .iter()
            .position(|task| task.owns.iter().any(|own| own.value == device))
    }
}

/// Names of tables that could not be read. What refers to one of them is not wrong for that.
#[derive(Default)]
pub struct Unread {
    pub names: BTreeSet<String>,
    /// Whether one of the two is a task.
    pub task: bool,
}
