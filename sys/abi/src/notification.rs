//! Notification bits: one 32-bit word a task.

/// Bits that tasks may post to each other, as far as the plan grants; the plan numbers them from 0.
pub const POSTABLE: u32 = 0x0000_ffff;
/// Bits that the plan gives to interrupts, from bit 16 up.
pub const INTERRUPTS: u32 = 0x0fff_0000;
/// A peer that this task declared to depend on is up again; for the task with `dma-authority`, or will not come back:
/// `Refresh` tells which.
pub const PEER: u32 = 1 << 28;
/// To the task with `dma-authority`: a held task died; enumerate the holds.
pub const HELD_DEATH: u32 = 1 << 29;
/// To the supervisor: a task faulted, or its last hold was lifted after its death.
pub const FAULT: u32 = 1 << 30;
/// To the task with [`crate::Rights::MESSAGES`], which is never the supervisor: a message interrupt has to be cut off, or
/// let through again.
pub const MESSAGES: u32 = FAULT;
/// Bits that the kernel sets for what happens to another task; the plan says who gets which.
pub const LIVES: u32 = PEER | HELD_DEATH | FAULT;
/// The task's timer passed its deadline.
pub const TIMER: u32 = 1 << 31;
/// By convention the bit that wakes the log task: the first that the plan gives out in it.
pub const LOG: u32 = 1 << 0;
