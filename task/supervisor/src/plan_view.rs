//! The supervisor's part of the plan, checked once so that later look-ups cannot go astray.

use abi::TASKS_MAX;
use heapless::Vec;
use userlib::plan::task::RestartEntry;
use userlib::plan::{Blob, TaskList, TaskNumber};

/// The plan for the death of each task.
#[derive(Clone, Copy)]
pub struct PlanView<'p> {
    /// What to do at the death of each task, by its number.
    pub tasks: &'p [RestartEntry],
    numbers: &'p [TaskNumber],
}

impl<'p> PlanView<'p> {
    /// Reads the tables. `None` if they cannot be read, are of more tasks than there can be, or name tasks that do
    /// not exist: a broken image.
    pub fn new(blob: &Blob<'p>) -> Option<Self> {
        let view = Self {
            tasks: blob.exact().ok()?,
            numbers: blob.exact().ok()?,
        };
        let good = |list: TaskList| list.of(view.numbers, view.tasks.len()).is_some();
        let mut tasks = view.tasks.iter();
        let all = tasks.all(|task| good(task.dependants) && good(task.together));
        (all && view.tasks.len() <= TASKS_MAX).then_some(view)
    }

    /// Name of a task.
    pub fn name(&self, task: usize) -> &'p str {
        self.tasks.get(task).map_or("", |entry| entry.name.as_str())
    }

    /// Whether a task may know the state of all tasks.
    pub fn inspects(&self, task: usize) -> bool {
        self.tasks
            .get(task)
            .is_some_and(|entry| entry.inspects == 1)
    }

    /// Tasks that declared to depend on this one.
    pub fn dependants(&self, task: usize) -> impl Iterator<Item = usize> + use<'p> {
        self.list(task, |entry| entry.dependants)
    }

    /// Tasks that stop and start together with this one.
    pub fn together(&self, task: usize) -> impl Iterator<Item = usize> + use<'p> {
        self.list(task, |entry| entry.together)
    }

    /// Tasks that end before the machine is switched off, in the order in which they do.
    pub fn shut_down(&self) -> Vec<usize, TASKS_MAX> {
        let places = 1..=self.tasks.len() as u32;
        let at = |place| self.tasks.iter().position(|task| task.shut_down == place);
        let mut order = Vec::new();
        for task in places.filter_map(at) {
            // A plan has at most as many tasks; what came after would not be ended in order.
            let _ = order.push(task);
        }
        order
    }

    fn list(
        &self,
        task: usize,
        of: fn(&RestartEntry) -> TaskList,
    ) -> impl Iterator<Item = usize> + use<'p> {
        let list = self.tasks.get(task).map(of).unwrap_or_default();
        let tasks = list.of(self.numbers, self.tasks.len()).unwrap_or_default();
        tasks.iter().map(|task| task.number as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{Blob, PlanView, RestartEntry, TASKS_MAX, TaskList, TaskNumber};
    use userlib::plan::{Builder, Name, TaskLists};
    use zerocopy::IntoBytes;

    fn task(dependants: TaskList, together: TaskList) -> RestartEntry {
        RestartEntry {
            name: Name::new("task"),
            after: 0,
            limit: 0,
            reports: 0,
            period: 0,
            dependants,
            together,
            shut_down: 0,
            inspects: 0,
        }
    }

    /// The lists of each task, if the plan is read; they are runs of `numbers`.
    fn read(tasks: &[RestartEntry], numbers: &[u32]) -> Option<Vec<[Vec<usize>; 2]>> {
        let numbers = numbers.iter().map(|&number| TaskNumber { number });
        let numbers: Vec<_> = numbers.collect();
        let bytes = Builder::new().push(tasks).push(&numbers).finish();
        let mut words = std::vec![0u64; bytes.len() / 8];
        words.as_mut_bytes().copy_from_slice(&bytes);
        let view = PlanView::new(&Blob::new(words.as_bytes()).ok()?)?;
        let lists = |task| {
            [
                view.dependants(task).collect(),
                view.together(task).collect(),
            ]
        };
        Some((0..tasks.len()).map(lists).collect())
    }

    #[test]
    fn lists_are_read_back() {
        let mut lists = TaskLists::default();
        let tasks = [
            task(lists.add([1, 2]), TaskList::default()),
            task(TaskList::default(), lists.add([2])),
            task(TaskList::default(), lists.add([1])),
        ];
        let numbers: Vec<u32> = lists.numbers().iter().map(|task| task.number).collect();
        let expected: [[&[usize]; 2]; 3] = [[&[1, 2], &[]], [&[], &[2]], [&[], &[1]]];
        let expected = expected.map(|lists| lists.map(<[_]>::to_vec));
        assert_eq!(read(&tasks, &numbers), Some(expected.to_vec()));
    }

    #[test]
    fn a_broken_plan_is_refused() {
        let none = TaskList::default();
        let (good, bad) = (
            TaskList { first: 0, count: 2 },
            TaskList { first: 1, count: 2 },
        );
        for numbers in [[0, 1, 1], [0, 1, 0], [0, 1, 2]] {
            assert!(read(&[task(good, none), task(none, good)], &numbers).is_some());
            assert!(read(&[task(bad, none), task(none, good)], &numbers).is_none());
            assert!(read(&[task(good, none), task(none, bad)], &numbers).is_none());
        }
        assert!(read(&[task(bad, none)], &[0]).is_none(), "beyond the table");
        let many = [task(none, none); TASKS_MAX + 1];
        assert!(read(many.get(..TASKS_MAX).unwrap(), &[]).is_some());
        assert!(read(&many, &[]).is_none());
    }
}
