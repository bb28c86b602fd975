//! Address spaces in `plan.json`: every range, what it is for, and what may be done there.

use abi::layout::{
    BLOCK, KERNEL_CONSOLE, KERNEL_GICD, KERNEL_GICR, KERNEL_PLAN_BASE, KERNEL_STACK_TOP,
    KERNEL_WINDOW, PAGE, TASK_LOG_RING, TASK_PLAN_BASE,
};
use serde_json::{Value, json as object};

use super::hex;
use crate::layout::{
    DISTRIBUTOR, Extent, MappingKind, PlacedSegment, Placement, Rights, TaskLayout, console,
    window_of,
};
use planner::planning::Plan;
use planner::read::{Gic, REDISTRIBUTOR};

const READ: &str = "r-- write-back";
const READ_WRITE: &str = "rw- write-back";
const REGISTERS: &str = "rw- device-nGnRE";

/// A range of an address space.
fn range(what: &str, name: &str, va: u64, extent: Extent, access: &str) -> Value {
    object!({
        "what": what,
        "name": name,
        "virtual": hex(va),
        "address": hex(extent.pa),
        "bytes": extent.len,
        "access": access,
    })
}

fn program(name: &str, places: &[PlacedSegment]) -> Vec<Value> {
    let place = |place: &PlacedSegment| {
        let access = match place.rights {
            Rights { write: true, .. } => READ_WRITE,
            Rights { execute: true, .. } => "r-x write-back",
            Rights { .. } => READ,
        };
        range("program", name, place.va, place.extent(), access)
    };
    places.iter().map(place).collect()
}

/// Everything in a task's tables.
pub fn task(name: &str, layout: &TaskLayout) -> Vec<Value> {
    let mut ranges = program(name, &layout.program);
    ranges.extend([
        range("plan", name, TASK_PLAN_BASE, layout.plan, READ),
        range("stack", name, layout.stack_base(), layout.stack, READ_WRITE),
        range("log", name, TASK_LOG_RING, layout.log, READ_WRITE),
    ]);
    ranges.extend(layout.mappings.iter().map(|mapping| {
        let (what, access) = match mapping.kind {
            MappingKind::Registers => ("registers", REGISTERS),
            MappingKind::Bar(..) => ("bar", REGISTERS),
            MappingKind::QuiesceBar(_) => ("quiesce-bar", REGISTERS),
            MappingKind::PciConfiguration => ("pci-configuration", "rw- device-nGnRnE"),
            MappingKind::Pool => ("pool", READ_WRITE),
            MappingKind::LogRing(_) => ("log-ring", READ),
            MappingKind::SmmuTables => ("smmu-tables", READ_WRITE),
            MappingKind::Persistent => ("persistent", READ_WRITE),
            MappingKind::PciRecord => ("pci-record", READ_WRITE),
            MappingKind::ItsMemory => ("its-memory", READ_WRITE),
            MappingKind::MessageTable(_) => ("message-table", REGISTERS),
        };
        let extent = Extent {
            pa: mapping.pa,
            len: mapping.len,
        };
        range(what, &mapping.name, mapping.va, extent, access)
    }));
    ranges
}

/// Everything in the kernel's tables, and in those of its first instructions.
pub fn kernel(plan: &Plan, placement: &Placement) -> Option<Value> {
    let kernel = placement.kernels.first()?;
    let gic = plan.app.platform.gic.as_ref();
    let frame = |frame: fn(&Gic) -> u64| gic.map_or(0, frame);
    let registers = |name, va, pa, len| range("registers", name, va, Extent { pa, len }, REGISTERS);
    let mut ranges = program("kernel", &kernel.program);
    let stack = kernel.stack;
    ranges.extend([
        range("plan", "kernel", KERNEL_PLAN_BASE, kernel.plan, READ),
        range(
            "stack",
            "kernel",
            KERNEL_STACK_TOP - stack.len,
            stack,
            READ_WRITE,
        ),
        registers("console", KERNEL_CONSOLE, console(plan), PAGE),
        registers(
            "distributor",
            KERNEL_GICD,
            frame(|gic| gic.distributor.value),
            DISTRIBUTOR,
        ),
        registers(
            "redistributor",
            KERNEL_GICR,
            frame(|gic| gic.redistributor.value),
            REDISTRIBUTOR,
        ),
    ]);
    let pieces = window_of(placement, kernel).into_iter();
    ranges.extend(pieces.map(|piece| {
        let access = match piece.permissions {
            vmsa::Permissions::ReadWrite => READ_WRITE,
            vmsa::Permissions::Read | vmsa::Permissions::ReadExecute => READ,
        };
        range(
            "window",
            "",
            KERNEL_WINDOW | piece.extent.pa,
            piece.extent,
            access,
        )
    }));
    let image = Extent {
        pa: placement.image_base,
        len: BLOCK - placement.image_base % BLOCK,
    };
    let place = console(plan);
    Some(object!({
        "memory": ranges,
        "window": kernel.window.iter().copied().map(place_of).collect::<Vec<_>>(),
        "first-instructions": [
            range("program", "image", image.pa, image, "r-x write-back"),
            registers("console", place, place, PAGE),
        ],
    }))
}

/// The image's own memory.
pub fn places(placement: &Placement) -> Value {
    object!({
        "image": hex(placement.image_base),
        "file-end": hex(placement.file_end),
        "end": hex(placement.memory_end),
        "page-tables": place_of(placement.page_tables),
        "el2": place_of(placement.el2.extent()),
        "its": placement.messages.as_ref().map(|messages| place_of(messages.its)),
        "pending-messages": placement.messages.as_ref().map(|messages| place_of(messages.pending)),
    })
}

/// An extent of physical memory.
pub fn place_of(extent: Extent) -> Value {
    object!({ "address": hex(extent.pa), "bytes": extent.len })
}
