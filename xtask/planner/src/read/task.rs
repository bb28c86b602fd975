//! `[tasks.NAME]`.

use std::path::PathBuf;

use super::fields::Fields;
use super::include::Folders;
use super::time::{self, ProcessorTime};
use super::units;
use crate::report::{Mistake, Span, Spanned};

/// A task as declared.
#[derive(Clone, Debug)]
pub struct Task {
    /// The name of the task.
    pub name: Spanned<String>,
    /// Folder of its crate, absolute.
    pub folder: PathBuf,
    /// The place where the file names the crate.
    pub crate_span: Span,
    /// The priority; 0 is the most urgent.
    pub priority: Spanned<u32>,
    /// The core that it runs on.
    pub core: u32,
    /// Bytes, whole pages.
    pub stack: u64,
    /// Bytes of data in its log ring, a power of two.
    pub log: u64,
    /// The tasks that this one may send to.
    pub calls: Vec<Spanned<String>>,
    /// Tasks whose restart it is told of.
    pub depends_on: Vec<Spanned<String>>,
    /// Platform devices.
    pub owns: Vec<Spanned<String>>,
    /// Entries of `[devices]`.
    pub drives: Vec<Spanned<String>>,
    /// Devices whose status it may read without driving them.
    pub audits: Vec<Spanned<String>>,
    /// Whether the servers tell it the state of all tasks and devices.
    pub inspects: bool,
    /// Devices whose BARs are mapped in it without the right to claim them.
    pub watches: Vec<Spanned<String>>,
    /// Tasks whose devices it accepts in one isolation group with its own.
    pub trusts: Vec<Spanned<String>>,
    /// Name and bytes (whole pages) of each.
    pub pools: Vec<(Spanned<String>, u64)>,
    /// Pools of it that drivers may keep lent.
    pub lends: Vec<Lend>,
    /// Memory that survives a restart, with names and sizes.
    pub persistent: Vec<(Spanned<String>, u64)>,
    /// The place where `dma-authority` is declared, if it is.
    pub authority: Option<Span>,
    /// The place where `reads-logs` is declared, if it is.
    pub reads_logs: Option<Span>,
    /// The privileged calls that the task may make.
    pub rights: Vec<Spanned<TaskRight>>,
    /// The task's own notification bits that others may post.
    pub notifications: Vec<Spanned<String>>,
    /// `task.notification`
    pub posts: Vec<Spanned<String>>,
    /// Nanoseconds; 0 for no limit.
    pub max_run: u64,
    /// How much processor time it may use.
    pub time: ProcessorTime,
    /// The supervisor's action after a death of the task.
    pub restart: Restart,
    /// Whether a run passes only if this task reports a pass.
    pub verdict: bool,
    /// Whether the task is started at boot.
    pub start: bool,
    /// Most leases that a device of it may have mapped at once; `None`: its share of what is left.
    pub pins: Option<Spanned<u32>>,
    /// The parameters that the task's plan page has, by name.
    pub parameters: Vec<(Spanned<String>, Spanned<Parameter>)>,
}

/// A pool that a task lends to the driver of a device as a whole, for longer than a call.
#[derive(Clone, Debug)]
pub struct Lend {
    /// The device.
    pub device: Spanned<String>,
    /// The pool; `None`: the task's only one.
    pub pool: Option<Spanned<String>>,
    /// Whether the device may write to it.
    pub writable: bool,
    /// Most bytes of it, whole pages; `None`: all of it.
    pub most: Option<Spanned<u64>>,
}

/// A group of privileged calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskRight {
    /// Starts, stops and examines tasks.
    Supervise,
    /// Prints to the kernel's console.
    Console,
    /// Ends the run.
    Exit,
    /// Calls of test images only.
    Test,
}

/// The supervisor's action after a death.
#[derive(Clone, Copy, Debug, Default)]
pub struct Restart {
    /// Nanoseconds.
    pub after: u64,
    /// 0: never.
    pub limit: u32,
    /// Nanoseconds over which the limit counts.
    pub period: u64,
}

/// Value of a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parameter {
    /// A number.
    Number(u64),
    /// First page of the kernel's program.
    Kernel,
    /// Root table of a task.
    PageTable(String),
    /// First page of a pool of a task.
    Pool(String, String),
    /// Registers of a platform device.
    PlatformDevice(String),
    /// The doorbell page of the interrupt translation service.
    Its,
    /// How the console is written to: a word of `abi::console`.
    Console,
    /// A time.
    Nanoseconds(u64),
    /// The number of a device or bridge, by which the servers know it.
    DeviceNumber(String),
}

/// The core that the system starts on, and the only one that is used yet.
pub const BOOT_CORE: u32 = 0;
/// Bytes of a task's stack unless it says otherwise.
const STACK: u64 = 32 << 10;
/// The shortest `max-run`, in nanoseconds: below it a task could not make one call.
const MAX_RUN_LEAST: u64 = 100_000;
/// Bytes of a log ring's data unless the task says otherwise.
const LOG: u64 = 4 << 10;

/// Reads one task; a relative path starts at the folder of the file that it stands in.
pub fn read(name: Spanned<String>, fields: Fields<'_>, folders: &Folders<'_>) -> Option<Task> {
    let krate = fields.required("crate", Fields::string);
    let priority = fields.required("priority", Fields::word);
    let stack = fields.at_least("stack", abi::layout::PAGE, STACK);
    let log = read_log(&fields);
    let reads_logs = fields.flag("reads-logs");
    let rights = read_rights(&fields);
    let mut supervises = rights
        .iter()
        .filter(|right| right.value == TaskRight::Supervise);
    let time = time::read(&fields, supervises.next().map(|right| &right.span));
    let task = Task {
        calls: fields.names("calls"),
        depends_on: fields.names("depends-on"),
        owns: fields.names("owns"),
        drives: fields.names("drives"),
        audits: fields.names("audits"),
        inspects: fields.flag("inspects").is_some(),
        watches: fields.names("watches"),
        trusts: fields.names("trusts"),
        pools: read_pools(&fields, &name),
        lends: read_lends(&fields),
        persistent: read_persistent(&fields, reads_logs.clone()),
        authority: fields.flag("dma-authority"),
        reads_logs,
        rights,
        notifications: read_notifications(&fields),
        posts: fields.names("posts"),
        max_run: fields
            .time(
                "max-run",
                MAX_RUN_LEAST,
                "leave `max-run` out if it may run as long as it likes",
            )
            .map_or(0, |time| time.value),
        time,
        restart: read_restart(&fields),
        verdict: fields.flag("verdict").is_some(),
        start: fields.boolean("start").is_none_or(|start| start.value),
        pins: fields.word("pins"),
        parameters: read_parameters(&fields),
        folder: PathBuf::new(),
        crate_span: name.span.clone(),
        priority: Spanned::new(0, name.span.clone()),
        core: read_core(&fields),
        stack: stack.next_multiple_of(abi::layout::PAGE),
        log,
        name,
    };
    fields.finish();
    let krate = krate?;
    Some(Task {
        folder: folders.of(&krate.span).join(&krate.value),
        crate_span: krate.span,
        priority: priority?,
        ..task
    })
}

/// The core that the task runs on. The key is there already, so that no file has to be written anew for several cores.
fn read_core(fields: &Fields<'_>) -> u32 {
    if let Some(core) = fields.word("core")
        && core.value != BOOT_CORE
    {
        fields
            .report()
            .error(
                Mistake::NotYet,
                format!("a task on core {} is not possible yet", core.value),
            )
            .at(&core.span, "the kernel uses one core, core 0")
            .remedy("leave `core` out, or write 0");
    }
    BOOT_CORE
}

fn read_log(fields: &Fields<'_>) -> u64 {
    let Some(size) = fields.size("log") else {
        return LOG;
    };
    let good = size.value.is_power_of_two() && (1024..=1 << 20).contains(&size.value);
    if !good {
        fields
            .report()
            .error(
                Mistake::BadValue,
                "the size of a log ring must be a power of two",
            )
            .at(&size.span, "expected 1 KiB to 1 MiB, a power of two");
        return LOG;
    }
    size.value
}

fn read_pools(fields: &Fields<'_>, task: &Spanned<String>) -> Vec<(Spanned<String>, u64)> {
    let mut pools = read_sizes(fields, "dma-pools");
    if let Some(size) = fields.size("dma-pool") {
        let name = Spanned::new("pool".to_owned(), size.span);
        pools.insert(0, (name, pages(size.value)));
    }
    for (i, (name, len)) in pools.iter().enumerate() {
        if *len == 0 {
            fields
                .report()
                .error(Mistake::BadValue, "a pool must have at least one byte")
                .at(&name.span, format!("pool of `{}`", task.value));
        }
        if let Some((other, _)) = pools.iter().take(i).find(|pool| pool.0.value == name.value) {
            fields
                .report()
                .error(
                    Mistake::BadName,
                    format!("two pools are called `{}`", name.value),
                )
                .at(&name.span, "the second")
                .with(&other.span, "the first")
                .remedy("rename one; `dma-pool` makes a pool called `pool`");
        }
    }
    pools
}

fn read_lends(fields: &Fields<'_>) -> Vec<Lend> {
    let mut lends = Vec::new();
    for (device, fields) in fields.tables("lends") {
        let access = fields.choice("access", &[("read", false), ("read-write", true)]);
        lends.push(Lend {
            device,
            pool: fields.string("pool"),
            writable: access.is_none_or(|access| access.value),
            most: fields
                .size("most")
                .map(|size| Spanned::new(pages(size.value), size.span)),
        });
        fields.finish();
    }
    lends
}

/// Names of bits, by which the task finds them and others post them.
fn read_notifications(fields: &Fields<'_>) -> Vec<Spanned<String>> {
    let names = fields.strings("notifications");
    for name in &names {
        fields.check_name(&name.value, &name.span);
    }
    names
}

fn read_sizes(fields: &Fields<'_>, key: &'static str) -> Vec<(Spanned<String>, u64)> {
    let mut sizes = Vec::new();
    for (name, value) in fields.entries(key) {
        match value.value.as_str().and_then(units::size) {
            Some(0) => {
                fields
                    .report()
                    .error(
                        Mistake::BadValue,
                        format!("`{key}.{}` must have at least one byte", name.value),
                    )
                    .at(&value.span, "nothing could be mapped")
                    .remedy("leave it out, or write its size");
            }
            Some(size) => sizes.push((name, pages(size))),
            None => {
                fields
                    .report()
                    .error(
                        Mistake::BadValue,
                        format!("`{key}.{}` is not a size", name.value),
                    )
                    .at(&value.span, "expected a size such as \"64 KiB\"");
            }
        }
    }
    sizes
}

/// Memory that survives a restart; whoever reads the logs has some to keep how far it has read.
fn read_persistent(fields: &Fields<'_>, reads_logs: Option<Span>) -> Vec<(Spanned<String>, u64)> {
    let mut persistent = read_sizes(fields, "persistent");
    let given = |(name, _): &(Spanned<String>, u64)| name.value == abi::log::CURSORS;
    if let Some(span) = reads_logs
        && !persistent.iter().any(given)
    {
        let name = Spanned::new(abi::log::CURSORS.to_owned(), span);
        persistent.push((name, abi::layout::PAGE));
    }
    persistent
}

fn pages(size: u64) -> u64 {
    size.checked_next_multiple_of(abi::layout::PAGE)
        .unwrap_or(size)
}

fn read_rights(fields: &Fields<'_>) -> Vec<Spanned<TaskRight>> {
    let known = [
        ("supervise", TaskRight::Supervise),
        ("console", TaskRight::Console),
        ("exit", TaskRight::Exit),
        ("test", TaskRight::Test),
    ];
    let mut rights = Vec::new();
    for word in fields.names("rights") {
        match known.iter().find(|known| known.0 == word.value) {
            Some(known) => rights.push(Spanned::new(known.1, word.span)),
            None => {
                fields
                    .report()
                    .error(
                        Mistake::BadValue,
                        format!("there is no right `{}`", word.value),
                    )
                    .at(&word.span, "expected supervise, console, exit or test");
            }
        }
    }
    rights
}

fn read_restart(fields: &Fields<'_>) -> Restart {
    let Some(restart) = fields.table("restart") else {
        return Restart::default();
    };
    let after = restart.duration("after").map_or(0, |after| after.value);
    let limit = restart.parsed("limit", "a rate such as \"5 per minute\"", units::rate);
    if let Some(limit) = limit.as_ref().filter(|limit| limit.value.0 == 0) {
        fields
            .report()
            .error(
                Mistake::BadValue,
                "a task with `restart` must be restarted at least once",
            )
            .at(&limit.span, "never")
            .remedy("leave `restart` out if it is never started again");
    }
    restart.finish();
    let (limit, period) = limit.map_or((u32::MAX, 0), |limit| limit.value);
    Restart {
        after,
        limit,
        period,
    }
}

fn read_parameters(fields: &Fields<'_>) -> Vec<(Spanned<String>, Spanned<Parameter>)> {
    let mut parameters = Vec::new();
    for (name, value) in fields.entries("parameters") {
        let parameter = if let Some(number) = value.value.as_integer() {
            u64::try_from(number).ok().map(Parameter::Number)
        } else {
            value.value.as_str().and_then(parse_parameter)
        };
        match parameter {
            Some(parameter) => parameters.push((name, Spanned::new(parameter, value.span))),
            None => {
                fields
                    .report()
                    .error(
                        Mistake::Parameter,
                        format!("parameter `{}` has no meaning", name.value),
                    )
                    .at(&value.span, "not a number, time, or number or address of the plan")
                    .note(
                        "known: a number from 0 up, \"20 ms\", \"console\", \"address:kernel\", \
                         \"address:page-table:TASK\", \"address:pool:TASK\", \
                         \"address:pool:TASK.POOL\", \"address:its\", \"address:DEVICE\" of the platform, \"number:DEVICE\"",
                    );
            }
        }
    }
    parameters
}

fn parse_parameter(text: &str) -> Option<Parameter> {
    if let Some(device) = text.strip_prefix("number:") {
        return Some(Parameter::DeviceNumber(device.to_owned()));
    }
    if text == "console" {
        return Some(Parameter::Console);
    }
    let Some(address) = text.strip_prefix("address:") else {
        return units::duration(text).map(Parameter::Nanoseconds);
    };
    if let Some(task) = address.strip_prefix("page-table:") {
        return Some(Parameter::PageTable(task.to_owned()));
    }
    if let Some(place) = address.strip_prefix("pool:") {
        let (task, pool) = place.split_once('.').unwrap_or((place, "pool"));
        return Some(Parameter::Pool(task.to_owned(), pool.to_owned()));
    }
    match address {
        "kernel" => Some(Parameter::Kernel),
        "its" => Some(Parameter::Its),
        device => Some(Parameter::PlatformDevice(device.to_owned())),
    }
}
