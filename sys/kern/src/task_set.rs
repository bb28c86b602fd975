//! Task indexes and sets of them, one bit a task.

use abi::{TASKS_MAX, TaskId};

/// Position in the task table, below [`TASKS_MAX`]. A smaller index never has a lower priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskIndex(u8);

impl TaskIndex {
    /// The supervisor.
    pub const SUPERVISOR: Self = Self(0);

    /// `None` from [`TASKS_MAX`] up.
    pub const fn new(index: usize) -> Option<Self> {
        if index < TASKS_MAX {
            Some(Self(index as u8))
        } else {
            None
        }
    }

    /// The index as a number. The mask changes nothing; it shows the compiler that the number is
    /// below [`TASKS_MAX`], so that indexing the task table has no panic.
    #[inline(always)]
    pub const fn number(self) -> usize {
        self.0 as usize % TASKS_MAX
    }

    /// The index in an id that this kernel made.
    #[inline(always)]
    pub(crate) const fn of(id: TaskId) -> Self {
        Self((id.index() % TASKS_MAX) as u8)
    }

    /// The set of this task alone.
    #[inline(always)]
    pub const fn set(self) -> TaskSet {
        TaskSet(1 << self.number())
    }
}

/// A set of tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct TaskSet(pub u64);

impl TaskSet {
    /// No task.
    pub const EMPTY: Self = Self(0);

    /// Whether the task is in the set.
    #[inline(always)]
    pub const fn contains(self, index: TaskIndex) -> bool {
        self.0 >> index.number() & 1 != 0
    }
    /// Adds a task.
    #[inline(always)]
    pub fn insert(&mut self, index: TaskIndex) {
        self.0 |= index.set().0;
    }
    /// Removes a task.
    #[inline(always)]
    pub fn remove(&mut self, index: TaskIndex) {
        self.0 &= !index.set().0;
    }
    /// Whether there is no task in it.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Tasks in both.
    #[inline(always)]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// The tasks of this set that are not in `other`.
    #[inline(always)]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// The tasks of this set with this index or a larger one.
    #[inline(always)]
    pub const fn at_or_behind(self, index: TaskIndex) -> Self {
        Self(self.0 & u64::MAX << index.number())
    }
    /// The member with the smallest index: one of those with the highest priority.
    #[inline(always)]
    pub const fn first(self) -> Option<TaskIndex> {
        if self.0 == 0 {
            None
        } else {
            Some(TaskIndex(self.0.trailing_zeros() as u8))
        }
    }
}

impl Iterator for TaskSet {
    type Item = TaskIndex;

    #[inline(always)]
    fn next(&mut self) -> Option<TaskIndex> {
        let first = self.first()?;
        self.0 &= self.0.wrapping_sub(1);
        Some(first)
    }
}
