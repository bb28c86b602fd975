//! The address spaces of the kernel and of every task.

use std::collections::BTreeSet;

use crate::Verified;
use crate::blob::{Blob, Record};
use crate::expected::{Mapping, Plan, Task, shown};
use crate::image::Image;
use crate::leaf::Regime;
use crate::run::{Run, differences, merged};
use crate::walk::{Tree, walk};

/// What the processor's tables translate.
pub struct Spaces {
    pub kernel: Vec<Run<bool>>,
    /// By task; `true` where it may write.
    pub tasks: Vec<Vec<Run<bool>>>,
    /// Physical places of the tasks' plans, by task.
    pub plans: Vec<Option<u64>>,
}

/// Where the kernel finds its plan.
const KERNEL_PLAN: u64 = 0xffff_ffd0_0000_0000;
/// Where a task finds its own.
const TASK_PLAN: u64 = 0x0800_0000;
/// Records of tasks in the kernel's plan: their kind, their size, and the offset of `TTBR0_EL1`.
const TASK_KIND: u32 = 0x101;
const TASK_BYTES: usize = 112;
const TASK_TTBR0: usize = 48;
const TASK_SEND_TO: usize = 56;
const TASK_PRIORITY: usize = 76;
const TASK_REGIONS: usize = 80;
const TASK_REGION_COUNT: usize = 84;
/// Records of the memory that the kernel reads and writes for a task: kind, size, and the bit that allows writing.
const REGION_KIND: u32 = 0x102;
const REGION_BYTES: usize = 32;
const REGION_WRITE: u32 = 1 << 1;
const ASID_SHIFT: u32 = 48;
const ROOT: u64 = 0x0000_ffff_ffff_fffe;

/// Walks all of them.
///
/// # Errors
/// If the kernel's plan cannot be read.
pub fn check(image: &Image<'_>, plan: &Plan, verified: &mut Verified) -> Result<Spaces, String> {
    let header = image.header;
    if (header.base, header.base.saturating_add(image.len()))
        != (plan.memory.image, plan.memory.file_end)
    {
        verified.say("the image's place or size is not what plan.json says");
    }
    if header.el2 != (plan.memory.el2.address, plan.memory.el2.bytes) {
        verified.say("the program of EL2 is not where plan.json says");
    }
    // T0SZ and T1SZ.
    let lower = 64 - (header.tcr & 0x3f) as u32;
    let upper = 64 - (header.tcr >> 16 & 0x3f) as u32;
    let mut walked = Walked {
        image,
        plan,
        verified,
    };
    walked.space(
        "the first instructions",
        header.first_root,
        (0, lower),
        Regime::First,
        &plan.kernel.first,
    );
    let start = u64::MAX << upper.min(63);
    let kernel = walked.space(
        "kernel",
        header.kernel_root,
        (start, upper),
        Regime::Kernel,
        &plan.kernel.memory,
    );
    let place = place(&kernel, KERNEL_PLAN).ok_or("the kernel's plan is not mapped")?;
    walked.verified.places.kernel_plan = place;
    let blob = Blob::new(image.bytes(place, header.plan_len), "the kernel")?;
    let records = blob.table(TASK_KIND, TASK_BYTES)?;
    let mut spaces = Spaces {
        kernel,
        tasks: Vec::new(),
        plans: Vec::new(),
    };
    names(plan, &records, walked.verified);
    let regions = blob.table(REGION_KIND, REGION_BYTES)?;
    for (record, task) in records.iter().zip(&plan.tasks) {
        let root = record.u64(TASK_TTBR0) & ROOT;
        let runs = walked.space(
            &format!("task {}", task.name),
            root,
            (0, lower),
            Regime::Task,
            &task.memory,
        );
        self::regions(record, &regions, &runs, task, walked.verified);
        spaces.plans.push(self::place(&runs, TASK_PLAN));
        spaces.tasks.push(runs);
    }
    verified.tasks = spaces.tasks.len();
    Ok(spaces)
}

/// Tasks and their ASIDs: two with one would use each other's translations.
fn names(plan: &Plan, records: &[Record<'_>], verified: &mut Verified) {
    let found: Vec<_> = records
        .iter()
        .map(|record| (record.name(), record.u32(TASK_PRIORITY)))
        .collect();
    let planned: Vec<_> = plan
        .tasks
        .iter()
        .map(|task| (task.name.clone(), task.priority))
        .collect();
    if found != planned {
        verified.say(format!(
            "the kernel's tasks are {found:?}, those of plan.json {planned:?}"
        ));
    }
    for (index, record) in records.iter().enumerate() {
        let may_send = record.u64(TASK_SEND_TO);
        let called = plan.tasks.iter().enumerate();
        let called = called.filter(|(to, _)| may_send >> to & 1 != 0);
        let called: BTreeSet<&str> = called.map(|(_, task)| task.name.as_str()).collect();
        let planned = plan
            .tasks
            .get(index)
            .map(|task| task.calls.iter().map(String::as_str).collect());
        if Some(&called) != planned.as_ref() {
            verified.say(format!(
                "task {}: it may send to {called:?}, not to {planned:?}",
                record.name()
            ));
        }
        let asid = record.u64(TASK_TTBR0) >> ASID_SHIFT;
        let mut before = records.iter().take(index);
        if asid == 0 || before.any(|other| other.u64(TASK_TTBR0) >> ASID_SHIFT == asid) {
            verified.say(format!(
                "task {}: its ASID {asid} is another's",
                record.name()
            ));
        }
    }
}

/// The kernel copies messages by its own table of a task's memory, which must say no more than the task's.
fn regions(
    record: &Record<'_>,
    regions: &[Record<'_>],
    runs: &[Run<bool>],
    task: &Task,
    verified: &mut Verified,
) {
    let (first, count) = (record.u32(TASK_REGIONS), record.u32(TASK_REGION_COUNT));
    let own = regions.iter().skip(first as usize).take(count as usize);
    let runs = merged(runs.to_vec());
    for region in own {
        let (input, output, len) = (region.u64(0), region.u64(8), region.u64(16));
        let write = region.u32(24) & REGION_WRITE != 0;
        let within = |run: &Run<bool>| {
            let offset = input.checked_sub(run.input);
            offset.is_some_and(|at| {
                run.output.checked_add(at) == Some(output) && at.saturating_add(len) <= run.len
            }) && (run.access || !write)
        };
        if !runs.iter().any(within) {
            verified.say(format!("task {}: the kernel takes {input:#x} to be its memory at {output:#x}, its tables do not", task.name));
        }
    }
}

/// Where an address leads.
fn place(runs: &[Run<bool>], address: u64) -> Option<u64> {
    let run = runs.iter().find(|run| {
        address
            .checked_sub(run.input)
            .is_some_and(|at| at < run.len)
    })?;
    Some(run.output.saturating_add(address - run.input))
}

struct Walked<'a, 'b> {
    image: &'a Image<'a>,
    plan: &'a Plan,
    verified: &'b mut Verified,
}

impl Walked<'_, '_> {
    /// Walks one and compares it with what is planned.
    fn space(
        &mut self,
        whose: &str,
        root: u64,
        (start, bits): (u64, u32),
        regime: Regime,
        planned: &[Mapping],
    ) -> Vec<Run<bool>> {
        let tree = walk(self.image, root, start, bits);
        self.tables(whose, &tree);
        let mut runs = Vec::new();
        let mut found = Vec::new();
        for leaf in tree.leaves {
            self.verified.places.leaves.push((whose.to_owned(), leaf));
            let access = leaf.access(regime, self.image.header.mair);
            let run = |access| Run {
                input: leaf.input,
                output: leaf.output,
                len: leaf.len,
                access,
            };
            // What makes no sense is taken for the worst of it.
            runs.push(run(
                access.is_ok_and(|access| access.write) || access.is_err()
            ));
            match access {
                Ok(access) => found.push(Run {
                    input: leaf.input,
                    output: leaf.output,
                    len: leaf.len,
                    access: shown(access),
                }),
                Err(why) => self
                    .verified
                    .say(format!("{whose}: the leaf of {:#x} {why}", leaf.input)),
            }
        }
        let planned = planned.iter().map(Mapping::run).collect();
        for line in differences(whose, found, planned) {
            self.verified.say(line);
        }
        runs
    }

    /// What is wrong with the tables themselves, and tables where the plan has none.
    fn tables(&mut self, whose: &str, tree: &Tree) {
        for wrong in &tree.wrong {
            self.verified.say(format!("{whose}: {wrong}"));
        }
        let place = self.plan.memory.page_tables;
        for table in tree.tables.keys().filter(|table| !place.has(**table)) {
            self.verified.say(format!(
                "{whose}: the table at {table:#x} is outside of the page tables' memory"
            ));
        }
        self.verified.tables += tree.tables.len();
    }
}
