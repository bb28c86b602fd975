//! A whole `app.toml`.

use std::path::Path;

use super::fields::Fields;
use super::iommu::{self, IommuPolicy};
use super::pci::{self, Bridge, Device};
use super::platform::{self, Platform};
use super::task::{self, Task};
use super::{Paths, Source, check, known};
use crate::report::{Report, Reported};

/// The system as declared. Tasks are in the order of the kernel's table: by priority, then name.
#[derive(Clone, Debug)]
pub struct App {
    pub name: String,
    pub platform: Platform,
    pub kernel_stack: u64,
    /// `Exit` ends the emulator with the verdict.
    pub semihosting: bool,
    /// Tasks may read the performance counters.
    pub counters: bool,
    pub tasks: Vec<Task>,
    pub bridges: Vec<Bridge>,
    pub devices: Vec<Device>,
    pub iommu: IommuPolicy,
    pub drives: Vec<Drive>,
}

/// A disk that the tool makes unless the user gives one.
#[derive(Clone, Debug)]
pub struct Drive {
    pub name: String,
    pub len: u64,
}

impl App {
    pub fn task(&self, name: &str) -> Option<(usize, &Task)> {
        self.tasks
            .iter()
            .enumerate()
            .find(|(_, task)| task.name.value == name)
    }

    pub fn log_task(&self) -> Option<usize> {
        self.tasks.iter().position(|task| task.reads_logs.is_some())
    }

    pub fn authority(&self) -> Option<usize> {
        self.tasks.iter().position(|task| task.authority.is_some())
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

/// Bytes of the kernel's stack unless `app.toml` says otherwise.
const KERNEL_STACK: u64 = 32 << 10;
/// Bytes of a drive that the tool makes, unless `app.toml` says otherwise.
const DRIVE: u64 = 16 << 20;

/// Reads and checks `file`; everything wrong with it is in the report.
pub fn load(report: &Report, paths: &Paths, file: &Path) -> Result<App, Reported> {
    let source = Source::read(report, file)?;
    let known = known::load(report, paths)?;
    let fields = source.fields(report);
    let directory = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let app = read(report, paths, &known, &fields, &directory);
    fields.finish();
    if let Some(app) = &app {
        check::app(report, app);
    }
    report.check()?;
    app.ok_or(Reported)
}

fn read(
    report: &Report,
    paths: &Paths,
    known: &known::KnownDevices,
    fields: &Fields<'_>,
    directory: &Path,
) -> Option<App> {
    let name = fields.required("name", |fields, key| {
        fields.parsed(key, "a name of letters, digits, `-` and `_`", parse_name)
    });
    let platform = fields
        .required("platform", Fields::string)
        .and_then(|name| platform::load(report, paths, &name).ok());
    let semihosting = fields.boolean("semihosting").is_some_and(|v| v.value);
    let counters = fields.boolean("counters").is_some_and(|v| v.value);
    let kernel_stack = fields
        .size("kernel-stack")
        .map_or(KERNEL_STACK, |v| v.value);
    let mut tasks: Vec<Task> = fields
        .tables("tasks")
        .into_iter()
        .filter_map(|(name, fields)| task::read(name, fields, directory))
        .collect();
    tasks.sort_by(|a, b| (a.priority.value, &a.name.value).cmp(&(b.priority.value, &b.name.value)));
    let bridges = fields
        .tables("pci")
        .into_iter()
        .filter_map(|(name, fields)| pci::read_bridge(name, fields, known))
        .collect();
    let devices = fields
        .tables("devices")
        .into_iter()
        .filter_map(|(name, fields)| pci::read_device(name, fields, known))
        .collect();
    let iommu = fields.table("iommu").map(iommu::read).unwrap_or_default();
    let drives = fields
        .tables("drives")
        .into_iter()
        .map(|(name, fields)| {
            let len = fields.size("size").map_or(DRIVE, |size| size.value);
            fields.finish();
            Drive {
                name: name.value,
                len,
            }
        })
        .collect();
    Some(App {
        name: name?.value,
        platform: platform?,
        kernel_stack: kernel_stack.next_multiple_of(abi::layout::PAGE),
        semihosting,
        counters,
        tasks,
        bridges,
        devices,
        iommu,
        drives,
    })
}

fn parse_name(text: &str) -> Option<String> {
    let good = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    good.then(|| text.to_owned())
}
