//! Lists of tasks: runs of one table of the same blob.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Record;

/// A task of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TaskNumber {
    /// The task's number, as [`abi::TaskId::number`] has it.
    pub number: u32,
}

impl Record for TaskNumber {
    const KIND: u32 = 0x001;
}

/// A list of tasks, as a run of the blob's table of [`TaskNumber`]: tasks in ascending order, none of them twice.
///
/// Not a set of bits: a task of another core has a number that no word has a bit for.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct TaskList {
    /// First of its records.
    pub first: u32,
    /// The number of tasks in the list.
    pub count: u32,
}

impl TaskList {
    /// The tasks of the list, all of them below `end`. `None` if it leaves the table, is out of order, or names a
    /// task twice or beyond `end`.
    pub fn of(self, numbers: &[TaskNumber], end: usize) -> Option<&[TaskNumber]> {
        let tasks = numbers
            .get(self.first as usize..)?
            .get(..self.count as usize)?;
        let below = |task: &TaskNumber| (task.number as usize) < end;
        let ascending = tasks.is_sorted_by(|before, behind| before.number < behind.number);
        (ascending && tasks.iter().all(below)).then_some(tasks)
    }
}

/// The table of all lists of a blob while it is written.
#[cfg(feature = "build")]
#[derive(Default)]
pub struct TaskLists {
    numbers: alloc::vec::Vec<TaskNumber>,
}

#[cfg(feature = "build")]
impl TaskLists {
    /// Adds a list, whatever order its tasks come in.
    pub fn add(&mut self, tasks: impl IntoIterator<Item = usize>) -> TaskList {
        let tasks: alloc::collections::BTreeSet<usize> = tasks.into_iter().collect();
        let list = TaskList {
            first: self.numbers.len() as u32,
            count: tasks.len() as u32,
        };
        let numbers = tasks.into_iter().map(|task| TaskNumber {
            number: task as u32,
        });
        self.numbers.extend(numbers);
        list
    }

    /// The table that the lists are runs of.
    pub fn numbers(&self) -> &[TaskNumber] {
        &self.numbers
    }
}
