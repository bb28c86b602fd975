//! The memory that tasks share, held to rules of its own: a fault in the plan itself would be in both the tables
//! and `plan.json`.

use crate::Verified;
use crate::expected::{Extent, Mapping, Plan, Task};
use crate::run::Run;
use crate::spaces::Spaces;

impl Extent {
    pub fn has(self, address: u64) -> bool {
        address
            .checked_sub(self.address)
            .is_some_and(|offset| offset < self.bytes)
    }

    pub fn run(self) -> Run<()> {
        Run {
            input: 0,
            output: self.address,
            len: self.bytes,
            access: (),
        }
    }
}

/// The kind of mapping by which the IOMMU server has the SMMU's tables.
const SMMU_TABLES: &str = "smmu-tables";
/// The kind of mapping by which its owner has the memory of the interrupt translation service.
const ITS_MEMORY: &str = "its-memory";
/// The kind of range by which a task reads another's log.
const LOG_RING: &str = "log-ring";
const LOG: &str = "log";
/// Kinds of mapping of registers: several tasks may be planned to have one device's.
const REGISTERS: [&str; 4] = ["registers", "bar", "quiesce-bar", "message-table"];

/// Compares every address space with what is nobody's, and all tasks' with each other's.
pub fn check(plan: &Plan, spaces: &Spaces, verified: &mut Verified) {
    for (task, runs) in plan.tasks.iter().zip(&spaces.tasks) {
        private(plan, task, runs, verified);
    }
    for (run, what) in spaces
        .kernel
        .iter()
        .filter(|run| run.access)
        .flat_map(|run| {
            let tables = plan.memory.page_tables.run();
            let el2 = plan.memory.el2.run();
            let pending = plan.memory.pending_messages.iter();
            let pending = pending.map(move |of| (run, "the pending table", of.run()));
            [
                (run, "page tables", tables),
                (run, "the program of EL2", el2),
            ]
            .into_iter()
            .chain(pending)
            .filter(|(run, _, of)| run.meets(of))
            .map(|(run, what, _)| (run, what))
        })
    {
        verified.say(format!("kernel: {:#x} lets it write {what}", run.input));
    }
    for (index, task) in plan.tasks.iter().enumerate() {
        for other in plan.tasks.iter().skip(index + 1) {
            between(task, other, verified);
        }
    }
}

/// What no task may see: the kernel's memory, its tables, the program of EL2; and the SMMU's tables, but as planned.
fn private(plan: &Plan, task: &Task, runs: &[Run<bool>], verified: &mut Verified) {
    let kernels = plan.kernel.memory.iter();
    // The log task writes where the kernel's last words go.
    let kernels = kernels.filter(|mapping| mapping.what != "window" && mapping.name != "console");
    let kernels = kernels.map(|mapping| (mapping.run().without_access(), "memory of the kernel"));
    let memory = &plan.memory;
    let mut closed = vec![
        (memory.page_tables.run(), "page tables"),
        (memory.el2.run(), "the program of EL2"),
    ];
    if !task
        .memory
        .iter()
        .any(|mapping| mapping.what == SMMU_TABLES)
    {
        let tables = plan.smmus.iter().map(|smmu| smmu.tables.run());
        closed.extend(tables.map(|tables| (tables, "the tables of an SMMU")));
    }
    let memory = &plan.memory;
    let pending = memory.pending_messages.iter();
    closed.extend(pending.map(|pending| (pending.run(), "the redistributor's pending table")));
    if !task.memory.iter().any(|mapping| mapping.what == ITS_MEMORY) {
        let its = memory.its.iter();
        closed
            .extend(its.map(|its| (its.run(), "the memory of the interrupt translation service")));
    }
    for (of, what) in kernels.chain(closed) {
        for run in runs.iter().filter(|run| run.meets(&of)) {
            verified.say(format!(
                "task {}: {:#x} leads to {what}, at {:#x}",
                task.name, run.input, run.output
            ));
        }
    }
}

/// Memory that two tasks have, one of them to write, is a log ring that the other reads, or registers.
fn between(one: &Task, two: &Task, verified: &mut Verified) {
    for mine in &one.memory {
        for theirs in two
            .memory
            .iter()
            .filter(|theirs| mine.run().meets(&theirs.run()))
        {
            let written = mine.is_writable() || theirs.is_writable();
            if written && !may_share(mine, theirs) && !may_share(theirs, mine) {
                verified.say(format!(
                    "tasks {} and {}: {} `{}` and {} `{}` are the same memory, at {:#x}",
                    one.name,
                    two.name,
                    mine.what,
                    mine.name,
                    theirs.what,
                    theirs.name,
                    theirs.address
                ));
            }
        }
    }
}

fn may_share(mine: &Mapping, theirs: &Mapping) -> bool {
    let registers = |mapping: &Mapping| REGISTERS.contains(&mapping.what.as_str());
    let ring = mine.what == LOG && theirs.what == LOG_RING && !theirs.is_writable();
    ring || registers(mine) && registers(theirs)
}

impl<A> Run<A> {
    fn without_access(&self) -> Run<()> {
        Run {
            input: self.input,
            output: self.output,
            len: self.len,
            access: (),
        }
    }
}
