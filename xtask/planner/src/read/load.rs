//! Reading a whole `app.toml`.

use std::path::Path;

use super::app::{App, Disk, Unread};
use super::device;
use super::fields::Fields;
use super::include::{self, Folders};
use super::iommu;
use super::pci::{self, Wired};
use super::platform::{self, Platform};
use super::task::{self, Task};
use super::{Source, check, known};
use crate::project::Project;
use crate::report::{Report, Reported, Span};

/// Bytes of the kernel's stack unless `app.toml` says otherwise.
const KERNEL_STACK: u64 = 32 << 10;
/// Letters of a system's name, which is a folder's: with what is added to it, a line of a report has room for it.
const NAME_MAX: usize = 48;
/// The fewest that leave room for its deepest path and an exception in it.
const KERNEL_STACK_MIN: u64 = 16 << 10;
/// Bytes of a sector, the least that a disk has.
const SECTOR: u64 = 512;
/// Bytes of a disk that the tool makes, unless `app.toml` says otherwise.
const DISK: u64 = 16 << 20;

/// Reads and checks `file`; everything wrong with it is in the report. A file whose tables all make
/// sense is returned even if they do not fit together, so that planning can add what it finds.
pub fn load(report: &Report, project: &Project, file: &Path) -> Result<App, Reported> {
    let source = Source::read(report, file)?;
    let directory = file.parent().map(Path::to_path_buf).unwrap_or_default();
    from_source(report, project, &source, &directory)
}

/// Reads a system from text that is in no file.
pub fn from_text(
    report: &Report,
    project: &Project,
    name: &Path,
    text: String,
) -> Result<App, Reported> {
    let source = Source::parse(report, name, text)?;
    from_source(report, project, &source, &project.root)
}

fn from_source(
    report: &Report,
    project: &Project,
    source: &Source,
    directory: &Path,
) -> Result<App, Reported> {
    let gate = report.gate();
    let known = known::load(report, project)?;
    let first = source.fields(report);
    let included = include::read(report, &first, directory)?;
    // Behind what is included, which it borrows to its end.
    let mut fields = first;
    if let Some(included) = &included {
        let span = Span {
            file: included.source.file,
            range: 0..0,
        };
        fields = fields.including(included.source.document.as_table(), span);
    }
    let folders = Folders {
        own: directory,
        included: included.as_ref(),
    };
    let mut unread = Unread::default();
    let app = read(report, project, &known, &fields, &folders, &mut unread);
    fields.finish();
    let sound = gate.pass(());
    let mut app = app.ok_or(Reported)?;
    check::check_and_derive(report, &mut app, &unread);
    sound.map(|()| app)
}

fn read(
    report: &Report,
    project: &Project,
    known: &known::KnownDevices,
    fields: &Fields<'_>,
    folders: &Folders<'_>,
    unread: &mut Unread,
) -> Option<App> {
    let name = fields.required("name", Fields::string);
    if let Some(name) = &name {
        fields.check_name_within(&name.value, &name.span, NAME_MAX);
    }
    let platform = read_platform(report, project, known, fields);
    let semihosting = fields.boolean("semihosting").is_some_and(|v| v.value);
    let counters = fields.boolean("counters").is_some_and(|v| v.value);
    let test_image = fields.boolean("test-image").is_some_and(|v| v.value);
    let kernel_stack = fields.at_least("kernel-stack", KERNEL_STACK_MIN, KERNEL_STACK);
    let tasks = read_tasks(fields, folders, unread);
    let mut bridges = Vec::new();
    let mut roots = Vec::new();
    for (name, fields) in fields.tables("pci") {
        let text = name.value.clone();
        match pci::read(name, fields, known) {
            Some(Wired::Bridge(bridge)) => bridges.push(bridge),
            Some(Wired::Root(root)) => roots.push(root),
            None => drop(unread.names.insert(text)),
        }
    }
    let mut devices = Vec::new();
    for (name, fields) in fields.tables("devices") {
        let text = name.value.clone();
        match device::read(name, fields, known) {
            Some(device) => devices.push(device),
            None => drop(unread.names.insert(text)),
        }
    }
    if let Some(platform) = &platform {
        devices.extend(platform.built_in.iter().cloned());
    }
    let iommu = fields.table("iommu").map(iommu::read).unwrap_or_default();
    let disks = read_disks(fields);
    check_reserved(fields);
    let name = name?;
    let other = project
        .platform
        .iter()
        .map(|platform| format!("-{platform}"));
    Some(App {
        name: name.value + &other.collect::<String>(),
        span: name.span,
        platform: platform?,
        kernel_stack: kernel_stack.next_multiple_of(abi::layout::PAGE),
        semihosting,
        counters,
        test_image,
        tasks,
        roots,
        bridges,
        devices,
        iommu,
        disks,
        owners_unknown: false,
    })
}

/// `platform`: a table of the file, or the name of one beside it.
fn read_platform(
    report: &Report,
    project: &Project,
    known: &known::KnownDevices,
    fields: &Fields<'_>,
) -> Option<Platform> {
    if fields.is_table("platform") {
        fields
            .table("platform")
            .and_then(|fields| platform::inline(report, fields, known))
    } else {
        fields
            .required("platform", Fields::string)
            .and_then(|mut name| {
                if let Some(other) = &project.platform {
                    name.value.clone_from(other);
                }
                platform::load(report, project, known, &name).ok()
            })
    }
}

/// The tasks in the order of the kernel's table.
fn read_tasks(fields: &Fields<'_>, folders: &Folders<'_>, unread: &mut Unread) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for (name, fields) in fields.tables("tasks") {
        let text = name.value.clone();
        match task::read(name, fields, folders) {
            Some(task) => tasks.push(task),
            None => {
                unread.names.insert(text);
                unread.task = true;
            }
        }
    }
    tasks.sort_by(|a, b| (a.priority.value, &a.name.value).cmp(&(b.priority.value, &b.name.value)));
    tasks
}

fn read_disks(fields: &Fields<'_>) -> Vec<Disk> {
    fields.named_otherwise("drives", "disks");
    fields
        .tables("disks")
        .into_iter()
        .map(|(name, fields)| {
            let len = fields.at_least("size", SECTOR, DISK);
            fields.finish();
            Disk {
                name: name.value,
                len,
            }
        })
        .collect()
}

/// Names that are kept for later.
fn check_reserved(fields: &Fields<'_>) {
    fields.not_yet("cores", "several cores");
    fields.not_yet("channels", "channels between tasks");
    fields.not_yet("guests", "guests");
    fields.not_yet("network", "networks");
}
