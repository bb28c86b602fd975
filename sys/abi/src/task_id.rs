//! Generation-numbered task identifiers.

/// Names one life of one task: its index in bits 7:0, the core whose kernel has the task in bits 15:8, the
/// generation in bits 63:16.
///
/// The generation advances when the task dies, so an id held by a peer goes stale at that moment
/// and never names a later life. 48 bits do not wrap in any machine's lifetime. There is one core, number 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct TaskId(pub u64);

impl TaskId {
    /// The sender that a receive reports when what arrived is a notification, not a message.
    pub const KERNEL: Self = Self(u64::MAX);
    /// In a receive's filter: accept messages from anybody with the right to send.
    pub const ANY: Self = Self(u64::MAX);

    /// Composes an id of core 0; `generation` is below 2^48.
    pub const fn new(index: u8, generation: u64) -> Self {
        Self(index as u64 | generation << 16)
    }
    /// Position in the plan's task table (tasks are ordered by priority, the supervisor is 0).
    pub const fn index(self) -> usize {
        (self.0 & 0xff) as usize
    }
    /// The core whose kernel has the task.
    pub const fn core(self) -> usize {
        (self.0 >> 8 & 0xff) as usize
    }
    /// The task's number: its index in bits 7:0, its core in bits 15:8. Which task, whatever its life.
    pub const fn number(self) -> u16 {
        self.0 as u16
    }
    /// How many lives of this task ended before this one.
    pub const fn generation(self) -> u64 {
        self.0 >> 16
    }
    /// The id of the task's next life.
    pub const fn next_life(self) -> Self {
        Self(self.0.wrapping_add(1 << 16))
    }
}
