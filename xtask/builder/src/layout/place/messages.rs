//! The memory of message interrupts: that of the interrupt translation service, and that of the redistributor.

use its::memory::{PAGE, PENDING_BYTES};
use its::{Memory, Table};

use super::Extent;
use super::allocator::Allocator;
use planner::planning::Plan;

/// The memory of message interrupts. All of it is in the image's file, so that it begins as zeros on any boot loader.
#[derive(Clone, Debug)]
pub struct MessageMemory {
    /// Queue and tables of the interrupt translation service, and the configuration table.
    pub its: Extent,
    /// The redistributor's pending table, which nobody else has.
    pub pending: Extent,
    /// The places within [`Self::its`].
    pub memory: Memory,
    /// The interrupt translation tables, in the order of the plan's devices.
    pub tables: Vec<Table>,
}

/// Makes room, if any function signals by messages.
pub fn place(plan: &Plan, memory: &mut Allocator) -> Option<MessageMemory> {
    if plan.messages.is_empty() {
        return None;
    }
    let mut places = Memory::default();
    let devices = plan.messages.iter();
    let tables = devices
        .map(|device| places.add(u32::from(device.device_id), device.vectors))
        .collect();
    Some(MessageMemory {
        its: memory.aligned(places.bytes(), PAGE),
        pending: memory.aligned(PENDING_BYTES, PAGE),
        memory: places,
        tables,
    })
}
