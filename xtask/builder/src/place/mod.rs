//! Step 4: addresses. Every page of every program, pool and table gets its place.
//!
//! Physical memory, from the image's base: the kernel; the read-only parts of the tasks; plans; page
//! tables; SMMU tables, log rings and memory that survives restarts (all of this is in the image's
//! file, so that its first contents are known on any boot loader); then what needs no first contents:
//! the kernel's stack, the tasks' writable parts and stacks, and pools.

mod allocator;
mod devices;
mod mapping;
mod mappings;
mod program;
mod task;

pub use mapping::{Mapping, MappingKind};
pub use task::{Place, Rights, TaskLayout};

use abi::layout::{self, PAGE};

use crate::compile::Programs;
use allocator::Allocator;
use planner::planning::{Plan, SMMU_ALIGNMENT, direct_in_ram};
use planner::read::units::show_size;
use planner::report::{Mistake, Report, Reported, Span};

/// Sizes that later steps find out; the first guess is zero, and placing is repeated until they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the kernel's plan, then of each task's.
    pub plans: Vec<u64>,
    /// Pages of the tables of all address spaces.
    pub page_tables: u64,
    /// Bytes of the SMMU's table memory.
    pub smmu: u64,
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

/// All addresses.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Physical address of the image.
    pub image_base: u64,
    /// End of the image's file.
    pub file_end: u64,
    /// End of the memory that the image uses.
    pub memory_end: u64,
    /// The kernel's segments, in the order of its program's.
    pub kernel: Vec<Place>,
    /// The program that stays at EL2, if the image is entered there.
    pub el2: Place,
    /// The plan page of the kernel.
    pub kernel_plan: Extent,
    /// The stack of the kernel.
    pub kernel_stack: Extent,
    /// The page tables of all address spaces.
    pub page_tables: Extent,
    /// The SMMU's tables and queues.
    pub smmu: Extent,
    /// The tasks, by their index.
    pub tasks: Vec<TaskLayout>,
    /// Read-only in the kernel's window, in the order of their addresses.
    pub read_only: Vec<Extent>,
    /// Extents that are neither in the kernel's window nor in a task's tables; the identity map of the first
    /// instructions may have them.
    pub hidden: Vec<Extent>,
    /// The extents that the kernel's window maps, in the order of their addresses: memory that this image
    /// uses, and none that belongs to others. A processor may fetch ahead from whatever is mapped, and
    /// firmware's memory answers with an error.
    pub window: Vec<Extent>,
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
    let up_to = |end: u64| Extent {
        pa: image_base,
        len: end - image_base,
    };
    let mut holes = holes(report, plan, up_to(file_end))?;
    memory.avoid(holes.clone());
    holes.push(el2.extent());
    let kernel_stack = memory.pages(plan.app.kernel_stack);
    for task in &mut tasks {
        task::writable(task, &mut memory);
    }
    for (index, task) in tasks.iter_mut().enumerate() {
        task::pools(plan, index, task, &mut memory);
    }
    let memory_end = memory.next();
    check_room(report, plan, memory_end)?;
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
        window: without(up_to(memory_end), holes),
    };
    reachable(report, plan, memory_end)?;
    mappings::place(plan, &mut layout);
    Ok(layout)
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

/// Memory that is not the image's to use: what devices reach at any time, and what is reserved. The file itself
/// is loaded in one piece, so none may lie in it.
fn holes(report: &Report, plan: &Plan, file: Extent) -> Result<Vec<Extent>, Reported> {
    let gate = report.gate();
    let mut holes = Vec::new();
    let shown = |hole: Extent| format!("{:#x} to {:#x}", hole.pa, hole.end() - 1);
    let refuse = |hole: Extent, what: String, name: &Span| {
        report
            .error(
                Mistake::Overlap,
                format!("{what} lies where the image is loaded"),
            )
            .at(name, shown(hole))
            .note(format!("the image's file is {}", shown(file)))
    };
    for (device, region) in direct_in_ram(&plan.app) {
        let hole = whole_pages(region.base, region.len);
        holes.push(hole);
        if hole.overlaps(file) {
            let (region, device) = (&region.name, &device.name);
            let what = format!("the direct region `{}` of `{}`", region.value, device.value);
            refuse(hole, what, &region.span)
                .with(&device.span, "would reach the kernel and page tables")
                .remedy(
                    "move the region, or load the image elsewhere (`memory.image` of the platform)",
                );
        }
    }
    for reserved in &plan.app.platform.reserved {
        let hole = whole_pages(reserved.base, reserved.len);
        holes.push(hole);
        if hole.overlaps(file) {
            let what = format!("the reserved range `{}`", reserved.name.value);
            refuse(hole, what, &reserved.name.span)
                .remedy("load the image elsewhere (`memory.image` of the platform)");
        }
    }
    gate.pass(holes)
}

fn whole_pages(base: u64, len: u64) -> Extent {
    let pa = base - base % PAGE;
    Extent {
        pa,
        len: base.saturating_add(len).next_multiple_of(PAGE) - pa,
    }
}

/// The rest of an extent without some holes, from the bottom up.
fn without(all: Extent, mut holes: Vec<Extent>) -> Vec<Extent> {
    holes.sort_by_key(|hole| hole.pa);
    let mut left = Vec::new();
    let mut at = all.pa;
    for hole in holes {
        let end = hole.pa.min(all.end());
        if at < end {
            left.push(Extent {
                pa: at,
                len: end - at,
            });
        }
        at = at.max(hole.end());
    }
    if at < all.end() {
        left.push(Extent {
            pa: at,
            len: all.end() - at,
        });
    }
    left
}

/// The kernel's window ends where its image is mapped, and the first instructions run in an identity map.
fn reachable(report: &Report, plan: &Plan, memory_end: u64) -> Result<(), Reported> {
    let platform = &plan.app.platform;
    let gate = report.gate();
    let refuse = |what: &str, at: u64, limit: u64, span: &Span, why: &str| {
        report
            .error(
                Mistake::OutOfReach,
                format!("{what} is beyond what the kernel's tables reach"),
            )
            .at(span, format!("{what} is at {at:#x}"))
            .note(format!("{why} ends at {limit:#x}"));
    };
    if memory_end > layout::KERNEL_WINDOW_LEN {
        refuse(
            "the end of the memory in use",
            memory_end,
            layout::KERNEL_WINDOW_LEN,
            &platform.span,
            "the kernel's window",
        );
    }
    let console = platform.device(&platform.console);
    if let Some(console) = console.filter(|console| console.base >> layout::TASK_VA_BITS != 0) {
        refuse(
            "the console",
            console.base,
            1 << layout::TASK_VA_BITS,
            &console.span,
            "the identity map of the first instructions",
        );
    }
    gate.pass(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use planner::project::Project;
    use planner::read;

    /// The system of a configuration case, its direct region moved to `base`.
    fn plan(report: &Report, base: u64) -> Plan {
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
    fn a_direct_region_is_kept_free_or_refused() {
        let placed = |base: u64| {
            let report = Report::default();
            let plan = plan(&report, base);
            first_page(&report, &plan)
        };
        assert_eq!(placed(FILE.end()).0, Some(FILE.end() + PAGE));
        assert_eq!(placed(FILE.end() + PAGE).0, Some(FILE.end()));
        assert_eq!(placed(FILE.pa - PAGE).0, Some(FILE.end()));
        for base in [FILE.pa, FILE.end() - PAGE] {
            let (page, text) = placed(base);
            assert_eq!(page, None);
            assert!(
                text.contains("`fb` of `edu0` lies where the image is loaded"),
                "{text}"
            );
            assert!(text.contains("direct.fb"), "{text}");
        }
    }

    const FILE: Extent = Extent {
        pa: 0x4020_0000,
        len: 0x10_0000,
    };

    /// Where the first page behind the file lies, and what was said.
    fn first_page(report: &Report, plan: &Plan) -> (Option<u64>, String) {
        let mut memory = Allocator::new(FILE.end());
        let holes = holes(report, plan, FILE).ok();
        let page = holes.map(|holes| {
            memory.avoid(holes);
            memory.pages(PAGE).pa
        });
        (page, report.text())
    }

    #[test]
    fn nothing_is_placed_in_reserved_memory() {
        let placed = |base: u64, len: u64| {
            let report = Report::default();
            // Its direct region is elsewhere.
            let mut plan = plan(&report, 0x5000_0000);
            plan.app.platform.reserved.push(planner::read::Reserved {
                name: plan.app.devices[0].name.clone(),
                base,
                len,
            });
            first_page(&report, &plan)
        };
        // Parts of pages are whole pages.
        assert_eq!(placed(FILE.end() + 8, 8).0, Some(FILE.end() + PAGE));
        assert_eq!(placed(FILE.end(), PAGE + 1).0, Some(FILE.end() + 2 * PAGE));
        assert_eq!(placed(FILE.end() + PAGE, PAGE).0, Some(FILE.end()));
        let (page, text) = placed(FILE.end() - 8, PAGE);
        assert_eq!(page, None);
        let said = "the reserved range `edu0` lies where the image is loaded";
        assert!(
            text.contains(said) && text.contains("memory.image"),
            "{text}"
        );
    }

    #[test]
    fn the_window_is_what_the_image_uses_without_holes() {
        let extent = |pa: u64, end: u64| Extent { pa, len: end - pa };
        let all = extent(0x10, 0x90);
        assert_eq!(without(all, vec![]), [all]);
        let holes = vec![
            extent(0x60, 0x68),
            extent(0x00, 0x18),
            extent(0x20, 0x30),
            extent(0x28, 0x40),
            extent(0x88, 0xa0),
            extent(0xb0, 0xc0),
        ];
        let left = [(0x18, 0x20), (0x40, 0x60), (0x68, 0x88)];
        assert_eq!(without(all, holes), left.map(|(pa, end)| extent(pa, end)));
        assert_eq!(without(all, vec![extent(0, 0x100)]), []);
    }

    #[test]
    fn what_the_tables_do_not_reach_is_said() {
        let report = Report::default();
        let mut plan = plan(&report, 0x5000_0000);
        let end = layout::KERNEL_WINDOW_LEN;
        assert!(reachable(&report, &plan, end).is_ok());
        assert!(reachable(&report, &plan, end + PAGE).is_err());
        let text = report.text();
        assert!(
            text.contains("P0054") && text.contains("the end of the memory in use"),
            "{text}"
        );
        let console = plan.app.platform.console.clone();
        for device in &mut plan.app.platform.devices {
            if device.name == console {
                device.base = 1 << 39;
            }
        }
        let report = Report::default();
        assert!(reachable(&report, &plan, end).is_err());
        assert!(
            report.text().contains("the console is beyond"),
            "{}",
            report.text()
        );
    }
}
