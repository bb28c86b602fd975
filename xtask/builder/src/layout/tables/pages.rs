//! Page tables of every kernel and of every task.

use abi::layout::{
    BLOCK, FIRST_VA_BITS, KERNEL_CONSOLE, KERNEL_GICD, KERNEL_GICR, KERNEL_PLAN_BASE,
    KERNEL_STACK_TOP, KERNEL_VA_BITS, KERNEL_WINDOW, PAGE, TASK_LOG_RING, TASK_PLAN_BASE,
    TASK_VA_BITS,
};
use vmsa::{
    AddressSpace, Arena, Attributes, Blocks, Granule, Half, MapError, Memory, Permissions, Regime,
};

use super::window;
use crate::layout::place::{KernelLayout, MappingKind, PlacedSegment, Placement, TaskLayout};
use planner::planning::Plan;
use planner::read::{Gic, REDISTRIBUTOR};
use planner::report::{Mistake, Report, Reported};

/// Root tables.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// Identity map of the first instructions.
    pub boot: u64,
    /// Physical address of the root table of each kernel, by its number.
    pub kernels: Vec<u64>,
    /// `TTBR0_EL1` of each task, the ASID included.
    pub tasks: Vec<u64>,
}

/// Bytes of the distributor's registers (GICv3: 64 KiB frames).
pub const DISTRIBUTOR: u64 = 64 << 10;
/// Words of memory for building: far more than the tables of any system that fits.
const ARENA_WORDS: usize = 16 << 20 >> 3;

/// Root tables, and the tables' words from `placement.page_tables.pa` up.
pub fn build(
    report: &Report,
    plan: &Plan,
    placement: &Placement,
) -> Result<(Roots, Vec<u64>), Reported> {
    let mut words = vec![0; ARENA_WORDS];
    let mut arena = Arena::new(&mut words, placement.page_tables.pa);
    let roots = all(plan, placement, &mut arena).map_err(|error| {
        report
            .error(Mistake::Overlap, "the page tables cannot be built")
            .note(format!("{error:?}"));
        Reported
    })?;
    let used = usize::try_from((arena.end() - placement.page_tables.pa) / 8).unwrap_or(ARENA_WORDS);
    words.truncate(used);
    Ok((roots, words))
}

fn all(plan: &Plan, placement: &Placement, arena: &mut Arena<'_>) -> Result<Roots, MapError> {
    let boot = boot(plan, placement, arena)?;
    let mut kernels = Vec::new();
    for layout in &placement.kernels {
        kernels.push(kernel(plan, placement, layout, arena)?);
    }
    let mut tasks = Vec::new();
    for (index, layout) in placement.tasks.iter().enumerate() {
        let root = task(layout, arena)?;
        // ASID 0 belongs to the first instructions.
        let asid = u16::try_from(index + 1).unwrap_or(u16::MAX);
        tasks.push(vmsa::ttbr(root, asid));
    }
    Ok(Roots {
        boot,
        kernels,
        tasks,
    })
}

/// An address space while it is filled.
struct Space<'a, 'b> {
    space: AddressSpace,
    arena: &'a mut Arena<'b>,
    regime: Regime,
}

impl<'a, 'b> Space<'a, 'b> {
    fn new(
        arena: &'a mut Arena<'b>,
        bits: u32,
        half: Half,
        regime: Regime,
    ) -> Result<Self, MapError> {
        let space = AddressSpace::new(arena, Granule::Size4K, bits, half)?;
        Ok(Self {
            space,
            arena,
            regime,
        })
    }

    fn map(
        &mut self,
        va: u64,
        pa: u64,
        len: u64,
        memory: Memory,
        permissions: Permissions,
    ) -> Result<(), MapError> {
        if len == 0 {
            return Ok(());
        }
        let Ok(attributes) = Attributes::new(self.regime, memory, permissions) else {
            return Err(MapError::OutputRange);
        };
        self.space
            .map(self.arena, va, pa, len, attributes, Blocks::WhereAligned)
    }

    fn program(&mut self, places: &[PlacedSegment]) -> Result<(), MapError> {
        for place in places {
            let permissions = match (place.rights.write, place.rights.execute) {
                (true, _) => Permissions::ReadWrite,
                (false, true) => Permissions::ReadExecute,
                (false, false) => Permissions::Read,
            };
            self.map(
                place.va,
                place.pa,
                place.len,
                Memory::NormalWriteBack,
                permissions,
            )?;
        }
        Ok(())
    }
}

/// The image's first block and the console, at their physical addresses.
fn boot(plan: &Plan, placement: &Placement, arena: &mut Arena<'_>) -> Result<u64, MapError> {
    let mut space = Space::new(arena, FIRST_VA_BITS, Half::Lower, Regime::Boot)?;
    let base = placement.image_base;
    let len = BLOCK - base % BLOCK;
    space.map(
        base,
        base,
        len,
        Memory::NormalWriteBack,
        Permissions::ReadExecute,
    )?;
    let console = console(plan);
    space.map(
        console,
        console,
        PAGE,
        Memory::DeviceNgnre,
        Permissions::ReadWrite,
    )?;
    Ok(space.space.root())
}

/// Physical address of the console's registers.
pub fn console(plan: &Plan) -> u64 {
    let platform = &plan.app.platform;
    platform
        .device(&platform.console.device)
        .map_or(0, |device| device.base)
}

fn kernel(
    plan: &Plan,
    placement: &Placement,
    layout: &KernelLayout,
    arena: &mut Arena<'_>,
) -> Result<u64, MapError> {
    let platform = &plan.app.platform;
    let mut space = Space::new(arena, KERNEL_VA_BITS, Half::Upper, Regime::Kernel)?;
    space.program(&layout.program)?;
    let normal = Memory::NormalWriteBack;
    let plan_page = layout.plan;
    space.map(
        KERNEL_PLAN_BASE,
        plan_page.pa,
        plan_page.len,
        normal,
        Permissions::Read,
    )?;
    let stack = layout.stack;
    let stack_va = KERNEL_STACK_TOP - stack.len;
    space.map(
        stack_va,
        stack.pa,
        stack.len,
        normal,
        Permissions::ReadWrite,
    )?;
    let gic = platform.gic.as_ref();
    let frame = |frame: fn(&Gic) -> u64| gic.map_or(0, frame);
    for (va, pa, len) in [
        (KERNEL_CONSOLE, console(plan), PAGE),
        (KERNEL_GICD, frame(|gic| gic.distributor.value), DISTRIBUTOR),
        (
            KERNEL_GICR,
            frame(|gic| gic.redistributor.value),
            REDISTRIBUTOR,
        ),
    ] {
        space.map(va, pa, len, Memory::DeviceNgnre, Permissions::ReadWrite)?;
    }
    for shown in window::of_kernel(placement, layout) {
        let (pa, len) = (shown.extent.pa, shown.extent.len);
        space.map(KERNEL_WINDOW | pa, pa, len, normal, shown.permissions)?;
    }
    Ok(space.space.root())
}

fn task(layout: &TaskLayout, arena: &mut Arena<'_>) -> Result<u64, MapError> {
    let mut space = Space::new(arena, TASK_VA_BITS, Half::Lower, Regime::User)?;
    let normal = Memory::NormalWriteBack;
    space.program(&layout.program)?;
    space.map(
        TASK_PLAN_BASE,
        layout.plan.pa,
        layout.plan.len,
        normal,
        Permissions::Read,
    )?;
    let stack = layout.stack;
    space.map(
        layout.stack_base(),
        stack.pa,
        stack.len,
        normal,
        Permissions::ReadWrite,
    )?;
    space.map(
        TASK_LOG_RING,
        layout.log.pa,
        layout.log.len,
        normal,
        Permissions::ReadWrite,
    )?;
    for mapping in &layout.mappings {
        let (memory, permissions) = match mapping.kind {
            MappingKind::Registers
            | MappingKind::Bar(..)
            | MappingKind::QuiesceBar(_)
            | MappingKind::MessageTable(_) => (Memory::DeviceNgnre, Permissions::ReadWrite),
            MappingKind::PciConfiguration => (Memory::DeviceNgnrne, Permissions::ReadWrite),
            MappingKind::LogRing(_) => (normal, Permissions::Read),
            MappingKind::Pool
            | MappingKind::SmmuTables
            | MappingKind::ItsMemory
            | MappingKind::Persistent
            | MappingKind::PciRecord => (normal, Permissions::ReadWrite),
        };
        space.map(mapping.va, mapping.pa, mapping.len, memory, permissions)?;
    }
    Ok(space.space.root())
}
