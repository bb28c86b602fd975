//! Generation-numbered task identifiers.

/// Names one life of one task: the index in bits 7:0, the generation in bits 63:8.
///
/// The generation advances when the task dies, so an id held by a peer goes stale at that moment
/// and never names a later life. 56 bits do not wrap in any machine's lifetime.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct TaskId(pub u64);

impl TaskId {
    /// The sender that a receive reports when what arrived is a notification, not a message.
    pub const KERNEL: Self = Self(u64::MAX);
    /// In a receive's filter: accept messages from anybody with the right to send.
    pub const ANY: Self = Self(u64::MAX);

    /// Composes an id; `generation` is below 2^56.
    pub const fn new(index: u8, generation: u64) -> Self {
        Self(index as u64 | generation << 8)
    }
    /// Position in the plan's task table (tasks are ordered by priority, the supervisor is 0).
    pub const fn index(self) -> usize {
        (self.0 & 0xff) as usize
    }
    /// How many lives of this task ended before this one.
    pub const fn generation(self) -> u64 {
        self.0 >> 8
    }
}
