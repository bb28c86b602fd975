//! A list of tasks reads back what was written, and any other is refused.

use plan::{TaskList, TaskLists, TaskNumber};

fn numbers(of: &[u32]) -> Vec<TaskNumber> {
    of.iter().map(|&number| TaskNumber { number }).collect()
}

#[test]
fn lists_of_one_table_do_not_disturb_each_other() {
    let mut lists = TaskLists::default();
    let all = [vec![3, 1, 3], vec![], vec![0, 63]].map(|tasks| lists.add(tasks));
    let read = |list: TaskList| list.of(lists.numbers(), 64).map(<[_]>::to_vec);
    let expected = [&[1, 3][..], &[], &[0, 63]];
    assert_eq!(all.map(read), expected.map(|tasks| Some(numbers(tasks))));
}

#[test]
fn what_is_no_list_is_refused() {
    let table = numbers(&[0, 5, 5, 2, 7]);
    let list = |first, count| TaskList { first, count }.of(&table, 8);
    assert!(list(0, 2).is_some() && list(3, 2).is_some() && list(5, 0).is_some());
    for (first, count, why) in [
        (1, 2, "twice"),
        (2, 2, "out of order"),
        (4, 2, "beyond the table"),
        (6, 0, "behind the table"),
        (0, u32::MAX, "longer than the table"),
        (u32::MAX, 1, "nowhere in it"),
    ] {
        assert_eq!(list(first, count), None, "{why}");
    }
    let end = TaskList { first: 3, count: 2 };
    assert_eq!(end.of(&table, 7), None, "no such task");
}
