//! The memory of one task.

use abi::layout::{BLOCK, PAGE, TASK_IMAGE_BASE, TASK_PLAN_BASE, TASK_STACK_TOP};
use plan::pci::RECORD_BYTES;

use super::Extent;
use super::allocator::Allocator;
use super::mapping::Mapping;
use crate::compile::{Program, Segment};
use planner::planning::Plan;
use planner::report::{Mistake, Report, Reported};

/// The rights of a task or the kernel, beside reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Whether the task may write there.
    pub write: bool,
    /// Whether the task may fetch instructions there.
    pub execute: bool,
}

/// A segment in its place; all numbers are whole pages.
#[derive(Clone, Debug, Default)]
pub struct PlacedSegment {
    /// Virtual address of the first byte.
    pub va: u64,
    /// Physical address of the first byte.
    pub pa: u64,
    /// Bytes, whole pages.
    pub len: u64,
    /// First contents, as long as `len`; empty if there are none.
    pub bytes: Vec<u8>,
    /// The task's rights there.
    pub rights: Rights,
}

impl PlacedSegment {
    /// The physical range.
    pub fn extent(&self) -> Extent {
        Extent {
            pa: self.pa,
            len: self.len,
        }
    }
}

/// The places of a task's memory.
#[derive(Clone, Debug, Default)]
pub struct TaskLayout {
    /// Virtual address of the first instruction.
    pub entry: u64,
    /// The program's segments.
    pub program: Vec<PlacedSegment>,
    /// The task's plan page.
    pub plan: Extent,
    /// The task's stack.
    pub stack: Extent,
    /// Header and data of its log ring.
    pub log: Extent,
    /// The task's DMA pools, by their index.
    pub pools: Vec<Extent>,
    /// The memory that survives the task's restart, by its index.
    pub persistent: Vec<Extent>,
    /// The record of the PCI task, if the task owns the PCI host bridge.
    pub pci_record: Option<Extent>,
    /// Everything from `layout::TASK_MAPPINGS` up.
    pub mappings: Vec<Mapping>,
}

impl TaskLayout {
    /// Lowest address of the stack.
    pub fn stack_base(&self) -> u64 {
        TASK_STACK_TOP - self.stack.len
    }
}

/// Places the program's read-only segments and notes the writable ones.
pub fn read_only(
    report: &Report,
    plan: &Plan,
    index: usize,
    program: &Program,
    memory: &mut Allocator,
) -> Result<TaskLayout, Reported> {
    let mut layout = TaskLayout {
        entry: program.entry,
        ..TaskLayout::default()
    };
    let mut end = TASK_IMAGE_BASE;
    for segment in &program.segments {
        if !segment.is_within(end, TASK_PLAN_BASE) {
            let name = plan
                .app
                .tasks
                .get(index)
                .map_or("", |task| &task.name.value);
            report
                .error(Mistake::Program, format!("the program of `{name}` does not fit"))
                .note(format!(
                    "segment at {:#x}, {:#x} bytes: expected whole pages from {end:#x} to {TASK_PLAN_BASE:#x}",
                    segment.va, segment.len
                ));
            return Err(Reported);
        }
        let place = if segment.write {
            PlacedSegment {
                va: segment.va,
                len: segment.len.next_multiple_of(PAGE),
                rights: Rights {
                    write: true,
                    execute: false,
                },
                ..PlacedSegment::default()
            }
        } else {
            read_only_segment(segment, pristine(segment, &program.segments), memory)
        };
        end = place.va + place.len;
        layout.program.push(place);
    }
    Ok(layout)
}

/// Initial values of writable segments that are loaded behind a read-only one: the entry code copies
/// them from there at every start.
fn pristine<'a>(
    segment: &'a Segment,
    all: &'a [Segment],
) -> impl Iterator<Item = &'a Segment> + 'a {
    all.iter().filter(|other| {
        other.write
            && !other.bytes.is_empty()
            && other.load >= segment.va
            && all
                .iter()
                .filter(|next| !next.write && next.va > segment.va)
                .all(|next| other.load < next.va)
    })
}

fn read_only_segment<'a>(
    segment: &Segment,
    pristine: impl Iterator<Item = &'a Segment>,
    memory: &mut Allocator,
) -> PlacedSegment {
    let mut bytes = segment.bytes.clone();
    for values in pristine {
        let offset = usize::try_from(values.load - segment.va).unwrap_or(usize::MAX);
        if let Some(end) = offset.checked_add(values.bytes.len()) {
            bytes.resize(bytes.len().max(end), 0);
            if let Some(to) = bytes.get_mut(offset..end) {
                to.copy_from_slice(&values.bytes);
            }
        }
    }
    let len = (bytes.len() as u64).max(segment.len);
    let extent = memory.pages(len);
    bytes.resize(usize::try_from(extent.len).unwrap_or(0), 0);
    PlacedSegment {
        va: segment.va,
        pa: extent.pa,
        len: extent.len,
        bytes,
        rights: Rights {
            write: false,
            execute: segment.execute,
        },
    }
}

/// Places what is in the image's file: zero at the first start, kept over the task's restarts.
pub fn in_file(plan: &Plan, index: usize, layout: &mut TaskLayout, memory: &mut Allocator) {
    let Some(task) = plan.app.tasks.get(index) else {
        return;
    };
    layout.log = memory.pages(task.log + abi::log::HEADER_BYTES as u64);
    layout.persistent = task
        .persistent
        .iter()
        .map(|(_, len)| memory.pages(*len))
        .collect();
    layout.pci_record = (plan.pci_task() == Some(index)).then(|| memory.pages(RECORD_BYTES));
    layout.stack.len = task.stack;
}

/// Places writable segments and the stack.
pub fn writable(layout: &mut TaskLayout, memory: &mut Allocator) {
    for place in layout.program.iter_mut().filter(|place| place.rights.write) {
        place.pa = memory.pages(place.len).pa;
    }
    layout.stack = memory.pages(layout.stack.len);
}

/// Places pools; one that holds a whole block starts at one, so that a device can reach it by blocks.
pub fn pools(plan: &Plan, index: usize, layout: &mut TaskLayout, memory: &mut Allocator) {
    let Some(task) = plan.app.tasks.get(index) else {
        return;
    };
    layout.pools = task
        .pools
        .iter()
        .map(|(_, len)| memory.aligned(*len, if *len >= BLOCK { BLOCK } else { PAGE }))
        .collect();
}
