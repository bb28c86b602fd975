//! The address spaces of the kernel and of every task.

use crate::Verified;
use crate::blob::{Blob, kind};
use crate::expected::{Mapping, Plan, shown};
use crate::image::Image;
use crate::kernel;
use crate::leaf::Regime;
use crate::run::{Run, differences};
use crate::walk::{Tree, walk};

/// The translations of the processor's tables.
pub struct Spaces {
    pub kernel: Vec<Run<bool>>,
    /// The memory that each task reaches, by task; `true` where it may write.
    pub tasks: Vec<Vec<Run<bool>>>,
    /// Physical places of the tasks' plans, by task.
    pub plans: Vec<Option<u64>>,
    /// What `TTBR0_EL1` is for each task.
    pub roots: Vec<u64>,
}

/// Addresses of the first instructions, which have a size of their own.
const FIRST_BITS: u32 = 48;
/// Address of the kernel's plan.
const KERNEL_PLAN: u64 = 0xffff_ff90_0000_0000;
/// Address of a task's plan.
const TASK_PLAN: u64 = 0x0800_0000;
/// The offset of `TTBR0_EL1` in the record of a task.
const TASK_TTBR0: usize = 48;
const ROOT: u64 = 0x0000_ffff_ffff_ffff;

/// Walks all of them.
///
/// # Errors
/// If the kernel's plan cannot be read.
pub fn check(image: &Image<'_>, plan: &Plan, verified: &mut Verified) -> Result<Spaces, String> {
    let header = image.header;
    crate::header::check(image, plan, verified);
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
        (0, FIRST_BITS),
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
    walked.verified.addresses.kernel_plan = place;
    let blob = Blob::new(image.bytes(place, header.plan_len), "the kernel")?;
    let mut spaces = Spaces {
        kernel,
        tasks: Vec::new(),
        plans: Vec::new(),
        roots: Vec::new(),
    };
    for (record, task) in blob.table(kind::TASK).iter().zip(&plan.tasks) {
        let root = record.u64(TASK_TTBR0) & ROOT;
        let runs = walked.space(
            &format!("task {}", task.name),
            root,
            (0, lower),
            Regime::Task,
            &task.memory,
        );
        spaces.roots.push(record.u64(TASK_TTBR0));
        spaces.plans.push(self::place(&runs, TASK_PLAN));
        spaces.tasks.push(runs);
    }
    verified.tasks = spaces.tasks.len();
    kernel::check(&blob, plan, verified);
    Ok(spaces)
}

/// The output of an address.
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
            self.verified
                .addresses
                .leaves
                .push((whose.to_owned(), leaf));
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

    /// Mistakes in the tables themselves, and tables where the plan has none.
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
