//! The kernel's plan: what a task may do beyond its own memory, and what the kernel believes of that memory.

use std::collections::BTreeMap;

use crate::Verified;
use crate::blob::{Blob, Record, Runs, kind};
use crate::expected::{CORE, Extent, Interrupt, Mapping, Plan, Task};
use crate::signals;

/// Offsets in the record of a task.
mod at {
    pub const ENTRY: usize = 24;
    pub const STACK_TOP: usize = 32;
    pub const STACK_BASE: usize = 40;
    pub const TTBR0: usize = 48;
    pub const SEND_TO: usize = 56;
    pub const MAX_RUN: usize = 64;
    pub const RIGHTS: usize = 72;
    pub const PRIORITY: usize = 76;
    /// First record and how many, of each table in which a task has some.
    pub const REGIONS: usize = 80;
    pub const POSTS: usize = 88;
    pub const LISTENERS: usize = 96;
    pub const START: usize = 104;
    pub const ACCOUNT: usize = 108;
}

/// The number of a task where there is none.
const NONE: u32 = u32::MAX;
/// Privileged calls by the names of `plan.json`.
const RIGHTS: [&str; 6] = [
    "SUPERVISE",
    "DMA_AUTHORITY",
    "CONSOLE",
    "EXIT",
    "TEST",
    "MESSAGES",
];
const ASID_SHIFT: u32 = 48;
/// What the kernel tells of the lives of tasks: number of the event, and bit of whoever hears of it.
const UP: (u32, u32) = (0, 1 << 28);
const RETIRED: (u32, u32) = (2, 1 << 28);
const FAULT: (u32, u32) = (3, 1 << 30);
const HELD_DEATH: (u32, u32) = (4, 1 << 29);
const SUPERVISOR: u32 = 0;

/// Compares every record with `plan.json`.
pub fn check(blob: &Blob<'_>, plan: &Plan, verified: &mut Verified) {
    let words = |record: &Record<'_>| [0, 4, 8, 12].map(|at| record.u32(at));
    let of_system = |record: &Record<'_>| [0, 4, 8, 12, 16, 20].map(|at| record.u32(at));
    let system: Vec<_> = blob.table(kind::SYSTEM).iter().map(of_system).collect();
    let authority = plan.authority().unwrap_or(NONE);
    let (flags, count) = (u32::from(plan.counters), plan.cores.len() as u32);
    let translator = signals::translator(plan).unwrap_or(NONE);
    let planned = vec![[SUPERVISOR, authority, translator, flags, CORE, count]];
    let what = "supervisor, authority, owner of the ITS, flags, core, cores";
    verified.compare("kernel", what, &system, &planned);
    let window = blob.table(kind::WINDOW).iter().map(|range| Extent {
        address: range.u64(0),
        bytes: range.u64(8),
    });
    let window: Vec<_> = window.collect();
    verified.compare("kernel", "its window covers", &window, &plan.kernel.window);
    tasks(blob, plan, verified);
    accounts(blob, plan, verified);
    cores(plan, verified);
    let routes: Vec<_> = blob.table(kind::INTERRUPT).iter().map(words).collect();
    verified.compare_rows("kernel", "it routes", Some(&routes), &routed(plan));
    signals::kernel(blob, plan, verified);
}

/// Nanoseconds of processor time in each period, of every account. Two tasks with one account share what is in it.
fn accounts(blob: &Blob<'_>, plan: &Plan, verified: &mut Verified) {
    let told = blob.table(kind::ACCOUNT).iter();
    let told: Vec<_> = told.map(|row| (row.u64(0), row.u64(8))).collect();
    let mut planned = BTreeMap::new();
    for (task, budget) in plan
        .tasks
        .iter()
        .filter_map(|task| Some((task, task.budget.as_ref()?)))
    {
        let budget_of = (budget.time_ns, budget.period_ns);
        let known = planned.entry(budget.account).or_insert(budget_of);
        let whose = format!("task {}", task.name);
        verified.compare(&whose, "its account has", &budget_of, known);
        if budget.time_ns == 0 || budget.time_ns > budget.period_ns {
            verified.say(format!("{whose}: its budget cannot be kept: {budget_of:?}"));
        }
    }
    if plan.tasks.first().is_some_and(|task| task.budget.is_some()) {
        verified.say("the supervisor's time is limited");
    }
    let numbered: Vec<_> = planned.keys().copied().collect();
    let all: Vec<u32> = (0..planned.len() as u32).collect();
    verified.compare("kernel", "its accounts are numbered", &numbered, &all);
    let planned: Vec<_> = planned.into_values().collect();
    verified.compare_rows("kernel", "its accounts have", Some(&told), &planned);
}

/// An image has one kernel: all that `plan.json` gives a core is on that one.
fn cores(plan: &Plan, verified: &mut Verified) {
    verified.compare("kernel", "it runs on the cores", &vec![CORE], &plan.cores);
    for task in &plan.tasks {
        let whose = format!("task {}", task.name);
        verified.compare(whose, "it runs on core", &CORE, &task.core);
    }
    for line in &plan.interrupts {
        let whose = format!("interrupt {}", line.intid);
        verified.compare(whose, "it goes to core", &CORE, &line.target);
    }
}

fn tasks(blob: &Blob<'_>, plan: &Plan, verified: &mut Verified) {
    let records = blob.table(kind::TASK);
    let told: Vec<String> = records.iter().map(|record| record.name()).collect();
    let planned: Vec<String> = plan.tasks.iter().map(|task| task.name.clone()).collect();
    verified.compare("kernel", "its tasks are", &told, &planned);
    // Each table has the records of one task behind those of another, and none between.
    let [mut regions, mut posts, mut listeners] = [Runs::default(); 3];
    for (index, (record, task)) in records.iter().zip(&plan.tasks).enumerate() {
        let whose = format!("task {}", task.name);
        one(record, task, plan, &whose, verified);
        let asid = record.u64(at::TTBR0) >> ASID_SHIFT;
        verified.compare(&whose, "its ASID is", &asid, &(index as u64 + 1));
        let told = regions.next(blob.table(kind::REGION), record, at::REGIONS);
        let told = told.map(|rows| rows.iter().map(region).collect::<Vec<_>>());
        let what = "the kernel takes to be its memory";
        verified.compare_rows(&whose, what, told.as_deref(), &memory(task));
        let told = posts.next(blob.table(kind::POST), record, at::POSTS);
        let pair = |row: &Record<'_>| (row.u32(0), row.u32(4));
        let told = told.map(|rows| rows.iter().map(pair).collect::<Vec<_>>());
        verified.compare_rows(&whose, "it may post", told.as_deref(), &posted(plan, task));
        let told = listeners.next(blob.table(kind::LISTENER), record, at::LISTENERS);
        let triple = |row: &Record<'_>| (row.u32(0), row.u32(4), row.u32(8));
        let told = told.map(|rows| rows.iter().map(triple).collect::<Vec<_>>());
        let planned = hearers(plan, index as u32, task);
        verified.compare_rows(&whose, "of its life hear", told.as_deref(), &planned);
    }
    for (what, run, kind) in [
        ("regions", regions, kind::REGION),
        ("posts", posts, kind::POST),
        ("listeners", listeners, kind::LISTENER),
    ] {
        let count = blob.table(kind).len();
        verified.compare("kernel", &format!("{what} of tasks"), &count, &run.end());
    }
}

/// Checks the record of a task by itself.
fn one(record: &Record<'_>, task: &Task, plan: &Plan, whose: &str, verified: &mut Verified) {
    let entry = record.u64(at::ENTRY);
    verified.compare(whose, "it begins at", &entry, &task.entry);
    let mut code = task.memory.iter().filter(|range| range.is_executable());
    if !code.any(|range| range.holds(entry)) {
        verified.say(format!(
            "{whose}: it begins at {entry:#x}, which it cannot execute"
        ));
    }
    let stack = (record.u64(at::STACK_BASE), record.u64(at::STACK_TOP));
    let mut stacks = task.memory.iter().filter(|range| range.what == "stack");
    let planned = stacks
        .next()
        .map(|range| (range.input, range.input.saturating_add(range.bytes)));
    verified.compare(whose, "its stack is", &Some(stack), &planned);
    let called = task.calls.iter().filter_map(|name| plan.task(name));
    let called = called.fold(0, |set, task| set | 1u64.checked_shl(task).unwrap_or(0));
    verified.compare(whose, "it may send to", &record.u64(at::SEND_TO), &called);
    let right = |name: &str| RIGHTS.iter().position(|right| *right == name);
    let rights: Option<u32> = task.rights.iter().map(|name| Some(1 << right(name)?)).sum();
    verified.compare(
        whose,
        "its rights are",
        &Some(record.u32(at::RIGHTS)),
        &rights,
    );
    verified.compare(
        whose,
        "its longest run is",
        &record.u64(at::MAX_RUN),
        &task.max_run_ns,
    );
    verified.compare(
        whose,
        "its priority is",
        &record.u32(at::PRIORITY),
        &task.priority,
    );
    let start = record.u32(at::START);
    verified.compare(
        whose,
        "it is started at boot:",
        &start,
        &u32::from(task.start),
    );
    let account = task.budget.as_ref().map_or(NONE, |budget| budget.account);
    verified.compare(whose, "its account is", &record.u32(at::ACCOUNT), &account);
}

/// Virtual address, physical address, bytes, attributes with the reserved word.
type Region = (u64, u64, u64, u64);

const READ: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const EXECUTE: u64 = 1 << 2;
/// Never a message buffer or a lease.
const DEVICE: u64 = 1 << 3;
/// Leases of it can be pinned for a device.
const DMA: u64 = 1 << 4;

fn region(record: &Record<'_>) -> Region {
    (record.u64(0), record.u64(8), record.u64(16), record.u64(24))
}

/// A task's memory as the kernel has to know it: in the order of its addresses.
fn memory(task: &Task) -> Vec<Region> {
    let region = |range: &Mapping| {
        let kind = match range.what.as_str() {
            "pool" => DMA,
            "registers" | "bar" | "quiesce-bar" | "pci-configuration" | "smmu-tables"
            | "its-memory" | "message-table" => DEVICE,
            _ => 0,
        };
        let write = if range.is_writable() { WRITE } else { 0 };
        let execute = if range.is_executable() { EXECUTE } else { 0 };
        (
            range.input,
            range.address,
            range.bytes,
            READ | write | execute | kind,
        )
    };
    let mut memory: Vec<Region> = task.memory.iter().map(region).collect();
    memory.sort_unstable();
    memory
}

/// The tasks that a task may post, and the bits: those of its `posts`, and, for every task, the one that wakes
/// the task that reads logs.
fn posted(plan: &Plan, task: &Task) -> Vec<(u32, u32)> {
    let own = |name: &str| {
        let (to, notification) = name.split_once('.')?;
        let to = plan.task(to)?;
        let at = plan.tasks.get(to as usize)?;
        let place = at
            .notifications
            .iter()
            .position(|known| known == notification)?;
        Some((
            to,
            1u32.checked_shl(place as u32 + u32::from(at.reads_logs))?,
        ))
    };
    let mut bits: BTreeMap<u32, u32> = BTreeMap::new();
    let logs = plan
        .tasks
        .iter()
        .filter(|log| log.reads_logs && log.name != task.name);
    let logs = logs.filter_map(|log| Some((plan.task(&log.name)?, 1)));
    // A name that nothing has is a right to post nobody, which no record is.
    let named = task.posts.iter().map(|name| own(name).unwrap_or((NONE, 0)));
    for (to, bit) in named.chain(logs) {
        *bits.entry(to).or_default() |= bit;
    }
    bits.into_iter().collect()
}

/// Who hears of a task's life: that it is up, whoever depends on it, and the authority if it calls it; that it will not come
/// back, the authority if it hears of the start; that it can be started, the supervisor; that it died held, the authority.
fn hearers(plan: &Plan, index: u32, task: &Task) -> Vec<(u32, u32, u32)> {
    let authority = plan.tasks.iter().find(|other| other.dma_authority);
    let number = plan.authority();
    let calling =
        number.filter(|_| authority.is_some_and(|caller| caller.calls.contains(&task.name)));
    let depending = plan
        .tasks
        .iter()
        .filter(|other| other.depends_on.contains(&task.name));
    let depending = depending.filter_map(|other| plan.task(&other.name));
    let mut up: Vec<u32> = depending.chain(calling).collect();
    up.sort_unstable();
    up.dedup();
    let told = |(event, bit): (u32, u32)| move |to| (event, to, bit);
    let refreshed = number.filter(|number| up.contains(number));
    let up = up.into_iter().map(told(UP));
    let rest = refreshed.map(told(RETIRED)).into_iter();
    let rest = rest
        .chain([told(FAULT)(SUPERVISOR)])
        .chain(number.map(told(HELD_DEATH)));
    up.chain(rest).filter(|(_, to, _)| *to != index).collect()
}

/// The class of an interrupt that is a message; of a line it says whether it is an edge.
const MESSAGE: u32 = 2;

/// Each line once, to the first who is told of it: INTID, task, bit, and class.
fn routed(plan: &Plan) -> Vec<[u32; 4]> {
    let mut routes: Vec<[u32; 4]> = Vec::new();
    for Interrupt {
        intid,
        edge,
        task,
        bit,
        message,
        ..
    } in &plan.interrupts
    {
        if routes.iter().all(|route| route[0] != *intid) {
            let bit = u32::try_from(*bit).unwrap_or(0);
            routes.push([
                *intid,
                plan.task(task).unwrap_or(NONE),
                bit,
                if message.is_some() {
                    MESSAGE
                } else {
                    u32::from(*edge)
                },
            ]);
        }
    }
    routes
}
