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
use crate::planning::{Plan, direct_in_ram};
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

impl Extent {
    pub fn end(self) -> u64 {
        self.pa.saturating_add(self.len)
    }
    pub fn overlaps(self, other: Self) -> bool {
        self.pa < other.end() && other.pa < self.end()
    }
}

/// All addresses.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub image_base: u64,
    /// End of the image's file.
    pub file_end: u64,
    /// End of the memory that the image uses.
    pub memory_end: u64,
    /// The kernel's segments, in the order of its program's.
    pub kernel: Vec<Place>,
    /// The program that stays at EL2, if the image is entered there.
    pub el2: Place,
    pub kernel_plan: Extent,
    pub kernel_stack: Extent,
    pub page_tables: Extent,
    pub smmu: Extent,
    pub tasks: Vec<TaskLayout>,
    /// Read-only in the kernel's window, in the order of their addresses.
    pub read_only: Vec<Extent>,
    /// Not in the kernel's window, nor anywhere else.
    pub hidden: Vec<Extent>,
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

    let (kernel, el2) = program::kernel(report, &programs.kernel, image_base)?;
    memory.reserve_to(el2.extent().end());
    for place in &kernel {
        memory.reserve_to(place.extent().end());
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
    let file = Extent {
        pa: image_base,
        len: file_end - image_base,
    };
    direct_regions(report, plan, file, &mut memory)?;
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
        hidden: vec![el2.extent()],
        el2,
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

/// Keeps what follows clear of direct regions. The file itself is loaded in one piece, so none may lie in it.
fn direct_regions(
    report: &Report,
    plan: &Plan,
    file: Extent,
    memory: &mut Allocator,
) -> Result<(), Reported> {
    let mut holes = Vec::new();
    let before = report.errors();
    for (device, region) in direct_in_ram(&plan.app) {
        let hole = Extent {
            pa: region.base,
            len: region.len,
        };
        holes.push(hole);
        if hole.overlaps(file) {
            report
                .error(
                    Mistake::Overlap,
                    format!(
                        "the direct region `{}` of `{}` lies where the image is loaded",
                        region.name.value, device.name.value
                    ),
                )
                .at(
                    &region.name.span,
                    format!("{:#x} to {:#x}", hole.pa, hole.end() - 1),
                )
                .with(&device.name.span, "would reach the kernel and page tables")
                .note(format!(
                    "the image's file is {:#x} to {:#x}",
                    file.pa,
                    file.end() - 1
                ))
                .remedy(
                    "move the region, or load the image elsewhere (`memory.image` of the platform)",
                );
        }
    }
    memory.avoid(holes);
    if report.errors() > before {
        Err(Reported)
    } else {
        Ok(())
    }
}

/// Alignment of the SMMU's tables: that of the largest of them, a level-2 stream table of 16 KiB or a
/// queue of 64 KiB.
pub const SMMU_ALIGNMENT: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{self, Paths};

    /// The system of a configuration case, its direct region moved to `base`.
    fn plan(report: &Report, base: u64) -> Plan {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root.canonicalize().unwrap();
        let file = root.join("tests/configs/direct-unaligned.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace("0x4000_0100", &format!("{base:#x}"));
        // Read as a file of the root.
        let text = text.replace("../../", "");
        let app = read::from_text(report, &Paths { root }, &file, text).unwrap();
        Plan::new(report, app).unwrap_or_else(|_| panic!("{}", report.text()))
    }

    #[test]
    fn a_direct_region_is_kept_free_or_refused() {
        let file = Extent {
            pa: 0x4020_0000,
            len: 0x10_0000,
        };
        let placed = |base: u64| {
            let report = Report::default();
            let plan = plan(&report, base);
            let mut memory = Allocator::new(file.end());
            let result = direct_regions(&report, &plan, file, &mut memory);
            (result.map(|()| memory.pages(PAGE).pa), report.text())
        };
        assert_eq!(placed(file.end()).0.ok(), Some(file.end() + PAGE));
        assert_eq!(placed(file.end() + PAGE).0.ok(), Some(file.end()));
        assert_eq!(placed(file.pa - PAGE).0.ok(), Some(file.end()));
        for base in [file.pa, file.end() - PAGE] {
            let (result, text) = placed(base);
            assert!(result.is_err());
            assert!(
                text.contains("`fb` of `edu0` lies where the image is loaded"),
                "{text}"
            );
            assert!(text.contains("direct.fb"), "{text}");
        }
    }
}
