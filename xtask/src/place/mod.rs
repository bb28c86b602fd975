//! Step 4: addresses. Every page of every program, pool and table gets its place.
//!
//! Physical memory, from the image's base: the kernel; the read-only parts of the tasks; plans; page
//! tables; SMMU tables, log rings and memory that survives restarts (all of this is in the image's
//! file, so that its first contents are known on any boot loader); then what needs no first contents:
//! the kernel's stack, the tasks' writable parts and stacks, and pools.

mod allocator;
mod devices;
mod mappings;
mod program;
mod task;

pub use mappings::{Mapping, MappingKind};
pub use task::{Place, TaskLayout};

use abi::layout::PAGE;

use crate::compile::Programs;
use crate::planning::Plan;
use crate::read::units::show_size;
use crate::report::{Mistake, Report, Reported};
use allocator::Allocator;

/// Sizes that later steps find out; the first guess is zero, and placing is repeated until they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the kernel's plan, then of each task's.
    pub plans: Vec<u64>,
    pub page_tables: u64,
    /// Bytes of the SMMU's table memory.
    pub smmu: u64,
}

/// A run of physical memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub pa: u64,
    pub len: u64,
}

/// All addresses.
#[derive(Clone, Debug)]
pub struct Layout {
    pub image_base: u64,
    /// End of the image's file.
    pub file_end: u64,
    /// End of the memory that the image uses.
    pub memory_end: u64,
    /// The kernel's segments, in the order of its program's.
    pub kernel: Vec<Place>,
    pub kernel_plan: Extent,
    pub kernel_stack: Extent,
    pub page_tables: Extent,
    pub smmu: Extent,
    pub tasks: Vec<TaskLayout>,
    /// Read-only in the kernel's window, in the order of their addresses.
    pub read_only: Vec<Extent>,
}

/// Places everything.
pub fn place(
    report: &Report,
    plan: &Plan,
    programs: &Programs,
    sizes: &Sizes,
) -> Result<Layout, Reported> {
    let image_base = plan.app.platform.image_base;
    let mut memory = Allocator::new(image_base);
    let mut read_only = Vec::new();

    let kernel = program::kernel(report, &programs.kernel, image_base)?;
    for place in &kernel {
        memory.reserve_to(place.pa + place.len);
        if !place.rights.write {
            read_only.push(place.extent());
        }
    }
    let mut tasks: Vec<TaskLayout> = Vec::new();
    for (index, program) in programs.tasks.iter().enumerate() {
        let task = task::read_only(report, plan, index, program, &mut memory)?;
        read_only.extend(
            task.program
                .iter()
                .filter(|p| !p.rights.write)
                .map(Place::extent),
        );
        tasks.push(task);
    }
    let plan_len = |index: usize| sizes.plans.get(index).copied().unwrap_or(PAGE);
    let kernel_plan = memory.pages(plan_len(0));
    read_only.push(kernel_plan);
    for (index, task) in tasks.iter_mut().enumerate() {
        task.plan = memory.pages(plan_len(index + 1));
        read_only.push(task.plan);
    }
    let page_tables = memory.pages(sizes.page_tables);
    read_only.push(page_tables);
    let smmu = memory.aligned(sizes.smmu, SMMU_ALIGNMENT);
    for (index, task) in tasks.iter_mut().enumerate() {
        task::in_file(plan, index, task, &mut memory);
    }
    let file_end = memory.next();
    let kernel_stack = memory.pages(plan.app.kernel_stack);
    for task in &mut tasks {
        task::writable(task, &mut memory);
    }
    for (index, task) in tasks.iter_mut().enumerate() {
        task::pools(plan, index, task, &mut memory);
    }
    let memory_end = memory.next();
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
    let mut layout = Layout {
        image_base,
        file_end,
        memory_end,
        kernel,
        kernel_plan,
        kernel_stack,
        page_tables,
        smmu,
        tasks,
        read_only,
    };
    mappings::place(plan, &mut layout);
    Ok(layout)
}

/// Alignment of the SMMU's tables: that of the largest of them, a level-2 stream table of 16 KiB or a
/// queue of 64 KiB.
pub const SMMU_ALIGNMENT: u64 = 64 << 10;
