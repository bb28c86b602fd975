//! The addresses of an image: every page of every program, pool and table.
//!
//! Physical memory, from the image's base: the kernel; the read-only parts of the tasks; plans; page
//! tables; SMMU tables, log rings and memory that survives restarts (all of this is in the image's
//! file, so that its first contents are known on any boot loader); then what needs no first contents:
//! the kernel's stack, the tasks' writable parts and stacks, and pools.

mod allocator;
mod devices;
mod holes;
mod mapping;
mod mappings;
mod messages;
mod program;
mod task;

pub use devices::tables_of;
pub use mapping::{Mapping, MappingKind};
pub use messages::MessageMemory;
pub use task::{PlacedSegment, Rights, TaskLayout};

use abi::layout::{self, PAGE};

use crate::compile::Programs;
use allocator::Allocator;
use planner::planning::{Plan, SMMU_ALIGNMENT};
use planner::read::BOOT_CORE;
use planner::read::units::show_size;
use planner::report::{Mistake, Report, Reported};

/// The room that an image has for its tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the plan of each kernel, by its number.
    pub kernel_plans: Vec<u64>,
    /// Bytes of the plan of each task, by its index.
    pub task_plans: Vec<u64>,
    /// Pages of the tables of all address spaces.
    pub page_tables: u64,
    /// Bytes of the table memory of each SMMU, by its number.
    pub smmus: Vec<u64>,
}

/// A run of physical memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Physical address of the first byte.
    pub pa: u64,
    /// Bytes.
    pub len: u64,
}

impl Extent {
    /// The physical address after the last byte.
    pub fn end(self) -> u64 {
        self.pa.saturating_add(self.len)
    }
    /// Whether the two have a byte in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.pa < other.end() && other.pa < self.end()
    }
}

/// The memory of one kernel.
#[derive(Debug)]
pub struct KernelLayout {
    /// Number of the core that it runs on.
    pub core: u32,
    /// The kernel's segments, in the order of its program's.
    pub program: Vec<PlacedSegment>,
    /// The kernel's plan.
    pub plan: Extent,
    /// The kernel's stack.
    pub stack: Extent,
    /// The extents that its window maps, in the order of their addresses: memory that this image
    /// uses, and none that belongs to others. A processor may fetch ahead from whatever is mapped, and
    /// firmware's memory answers with an error.
    pub window: Vec<Extent>,
}

/// All addresses of an image. Outside of this module nobody can make one or change one.
#[derive(Debug)]
pub struct Placement {
    /// Physical address of the image.
    pub image_base: u64,
    /// End of the image's file.
    pub file_end: u64,
    /// End of the memory that the image uses.
    pub memory_end: u64,
    /// The kernels by their number. There is one yet, on the first core.
    pub kernels: Vec<KernelLayout>,
    /// The program that stays at EL2, if the image is entered there.
    pub el2: PlacedSegment,
    /// The page tables of all address spaces.
    pub page_tables: Extent,
    /// The tables and queues of each SMMU, by its number among those of the platform.
    pub smmus: Vec<Extent>,
    /// The memory of message interrupts, if there are any.
    pub messages: Option<MessageMemory>,
    /// The tasks, by their index.
    pub tasks: Vec<TaskLayout>,
    /// Read-only in the windows of kernels, in the order of their addresses.
    pub read_only: Vec<Extent>,
    /// Extents that are neither in a kernel's window nor in a task's tables; the identity map of the first
    /// instructions may have them.
    pub hidden: Vec<Extent>,
    /// The room for which everything was placed.
    sizes: Sizes,
}

impl Placement {
    /// The room that the image has for its tables.
    pub(super) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// Places everything, with this room for tables.
    pub(super) fn new(
        report: &Report,
        plan: &Plan,
        programs: &Programs,
        sizes: Sizes,
    ) -> Result<Self, Reported> {
        let image_base = plan.app.platform.image_base;
        let mut memory = Allocator::new(image_base);
        let (program, el2) = program::kernel(report, &programs.kernel, image_base)?;
        memory.reserve_to(el2.extent().end());
        let mut read_only = Vec::new();
        for place in &program {
            memory.reserve_to(place.extent().end());
            if !place.rights.write {
                read_only.push(place.extent());
            }
        }
        let mut tasks = read_only_of_tasks(report, plan, programs, &mut memory, &mut read_only)?;
        let kernel_plan = memory.pages(room(&sizes.kernel_plans, 0));
        read_only.push(kernel_plan);
        for (index, task) in tasks.iter_mut().enumerate() {
            task.plan = memory.pages(room(&sizes.task_plans, index));
            read_only.push(task.plan);
        }
        let page_tables = memory.pages(sizes.page_tables);
        read_only.push(page_tables);
        let smmus = (0..plan.app.platform.smmus().len()).map(|number| {
            // Before its size is known it takes nothing.
            let len = sizes.smmus.get(number).copied().unwrap_or(0);
            memory.aligned(len, SMMU_ALIGNMENT)
        });
        let smmus: Vec<Extent> = smmus.collect();
        let messages = messages::place(plan, &mut memory);
        for (index, task) in tasks.iter_mut().enumerate() {
            task::in_file(plan, index, task, &mut memory);
        }
        let file_end = memory.next();
        let up_to = |end: u64| Extent {
            pa: image_base,
            len: end - image_base,
        };
        let mut holes = holes::find(report, plan, up_to(file_end))?;
        memory.avoid(holes.clone());
        holes.push(el2.extent());
        let pending = messages.as_ref().map(|messages| messages.pending);
        holes.extend(pending);
        let stack = memory.pages(plan.app.kernel_stack);
        for task in &mut tasks {
            task::writable(task, &mut memory);
        }
        for (index, task) in tasks.iter_mut().enumerate() {
            task::pools(plan, index, task, &mut memory);
        }
        let memory_end = memory.next();
        check_room(report, plan, memory_end)?;
        reachable(report, plan, memory_end)?;
        let its = messages.as_ref().map(|messages| messages.its);
        mappings::place(plan, &mut tasks, &smmus, its);
        Ok(Self {
            image_base,
            file_end,
            memory_end,
            kernels: vec![KernelLayout {
                core: BOOT_CORE,
                program,
                plan: kernel_plan,
                stack,
                window: holes::without(up_to(memory_end), holes),
            }],
            hidden: [el2.extent()].into_iter().chain(pending).collect(),
            messages,
            el2,
            page_tables,
            smmus,
            tasks,
            read_only,
            sizes,
        })
    }
}

/// The room for a plan. Before its size is known it is a page.
fn room(sizes: &[u64], index: usize) -> u64 {
    sizes.get(index).copied().unwrap_or(PAGE)
}

/// Places the read-only parts of all tasks.
fn read_only_of_tasks(
    report: &Report,
    plan: &Plan,
    programs: &Programs,
    memory: &mut Allocator,
    read_only: &mut Vec<Extent>,
) -> Result<Vec<TaskLayout>, Reported> {
    let mut tasks: Vec<TaskLayout> = Vec::new();
    for (index, program) in programs.tasks.iter().enumerate() {
        let task = task::read_only(report, plan, index, program, memory)?;
        let places = task.program.iter().filter(|place| !place.rights.write);
        read_only.extend(places.map(PlacedSegment::extent));
        tasks.push(task);
    }
    Ok(tasks)
}

fn check_room(report: &Report, plan: &Plan, memory_end: u64) -> Result<(), Reported> {
    let available = plan.app.platform.memory_end();
    if memory_end > available {
        report
            .error(
                Mistake::MemoryFull,
                "the system does not fit into the platform's memory",
            )
            .note(format!(
                "{} too much; the largest parts are pools and windows",
                show_size(memory_end - available)
            ));
        return Err(Reported);
    }
    Ok(())
}

/// The kernel's window shows memory between two multiples of its size.
fn reachable(report: &Report, plan: &Plan, memory_end: u64) -> Result<(), Reported> {
    let platform = &plan.app.platform;
    let (base, len) = (platform.image_base, layout::KERNEL_WINDOW_LEN);
    if layout::in_one_window(base, memory_end) {
        return Ok(());
    }
    let border = (base / len + 1).saturating_mul(len);
    report
        .error(
            Mistake::OutOfReach,
            "the kernel's window cannot show the memory in use in one piece",
        )
        .at(
            &platform.image_span,
            format!("the image uses {base:#x} to {:#x}", memory_end - 1),
        )
        .note(format!("a window ends one page before {border:#x}"));
    Err(Reported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use planner::project::Project;
    use planner::read;

    /// The system of a configuration case, its direct region moved to `base`.
    pub fn plan(report: &Report, base: u64) -> Plan {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().unwrap();
        let file = root.join("tests/data/configs/direct-unaligned.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace("0x4000_0100", &format!("{base:#x}"));
        // Read as a file of the root.
        let text = text.replace("../../../", "");
        let app = read::from_text(report, &Project::at(root), &file, text).unwrap();
        Plan::new(report, app).unwrap_or_else(|_| panic!("{}", report.text()))
    }

    #[test]
    fn memory_that_no_window_shows_in_one_piece_is_said() {
        let report = Report::default();
        let mut plan = plan(&report, 0x5000_0000);
        let len = layout::KERNEL_WINDOW_LEN;
        for border in [len, 1 << 39, 1 << 40, (1 << 40) + len, 1 << 48] {
            plan.app.platform.image_base = border - (4 << 20);
            let report = Report::default();
            assert!(reachable(&report, &plan, border - PAGE).is_ok());
            assert!(reachable(&report, &plan, border).is_err());
            assert!(reachable(&report, &plan, border + PAGE).is_err());
            let text = report.text();
            assert!(
                text.contains("P0054") && text.contains(&format!("before {border:#x}")),
                "{text}"
            );
        }
    }
}
