//! Shutdowns of tasks that behave, and of others.

use std::collections::BTreeMap;
use std::vec::Vec as List;

use super::*;
use Event::{Asked, Died, Finished, Late, NotQuiet, Quiet};

/// Tasks as the kernel has them.
#[derive(Default)]
struct Fake {
    looks: BTreeMap<usize, Look>,
    /// Those that declare the bit.
    partners: List<usize>,
    /// What a task becomes when it is stopped; gone unless it says so here.
    stopped: BTreeMap<usize, Look>,
    told: List<(usize, Event)>,
    stops: List<usize>,
}

impl World for Fake {
    fn look(&self, task: usize) -> Look {
        self.looks.get(&task).copied().unwrap_or(Look::Up)
    }
    fn ask(&mut self, task: usize) -> bool {
        assert_eq!(self.look(task), Look::Up, "only who is up is asked");
        self.partners.contains(&task)
    }
    fn stop(&mut self, task: usize) {
        self.stops.push(task);
        let look = self.stopped.get(&task).copied().unwrap_or(Look::Retired);
        self.looks.insert(task, look);
    }
    fn tell(&mut self, task: usize, event: Event) {
        self.told.push((task, event));
    }
}

const LIMITS: Limits = Limits {
    finish: 100,
    quiet: 1000,
};

fn shutdown(order: &[usize]) -> Shutdown {
    Shutdown::new(order.iter().copied().collect(), LIMITS)
}

#[test]
fn nobody_is_to_end() {
    assert_eq!(
        shutdown(&[]).advance(7, &mut Fake::default()),
        Progress::Over
    );
}

#[test]
fn each_is_quiet_before_the_next_is_asked() {
    let mut world = Fake {
        partners: std::vec![6, 4],
        stopped: [(4, Look::Held)].into(),
        ..Fake::default()
    };
    let mut shutdown = shutdown(&[6, 5, 4, 3]);
    assert_eq!(shutdown.advance(10, &mut world), Progress::Wait(110));
    assert_eq!(world.told, [(6, Asked)]);
    assert!(!shutdown.finished(4), "it is not its turn");
    assert!(shutdown.finished(6));
    assert_eq!(shutdown.advance(20, &mut world), Progress::Wait(120));
    assert_eq!(
        world.told,
        [
            (6, Asked),
            (6, Finished),
            (6, Quiet),
            (5, Quiet),
            (4, Asked)
        ]
    );
    assert_eq!(world.stops, [6, 5]);
    assert!(shutdown.finished(4));
    assert_eq!(shutdown.advance(30, &mut world), Progress::Wait(1030));
    assert_eq!(world.stops, [6, 5, 4], "3 waits until nothing holds 4");
    world.looks.insert(4, Look::Retired);
    assert_eq!(shutdown.advance(40, &mut world), Progress::Over);
    assert_eq!(world.told[5..], [(4, Finished), (4, Quiet), (3, Quiet)]);
    assert_eq!(world.stops, [6, 5, 4, 3]);
}

#[test]
fn who_does_not_answer_is_stopped_when_its_time_is_over() {
    let mut world = Fake {
        partners: std::vec![6],
        stopped: [(6, Look::Held)].into(),
        ..Fake::default()
    };
    let mut shutdown = shutdown(&[6, 5]);
    assert_eq!(shutdown.advance(0, &mut world), Progress::Wait(100));
    assert_eq!(shutdown.advance(99, &mut world), Progress::Wait(100));
    assert!(world.stops.is_empty());
    assert_eq!(shutdown.advance(100, &mut world), Progress::Wait(1100));
    assert_eq!(world.told, [(6, Asked), (6, Late)]);
    assert!(!shutdown.finished(6), "too late");
    // Its device never becomes quiet: that is told, and the others end all the same.
    assert_eq!(shutdown.advance(1099, &mut world), Progress::Wait(1100));
    assert_eq!(shutdown.advance(1100, &mut world), Progress::Over);
    assert_eq!(world.told[2..], [(6, NotQuiet), (5, Quiet)]);
}

#[test]
fn who_dies_meanwhile_is_not_waited_for() {
    for death in [Look::Dead, Look::Held] {
        let mut world = Fake {
            partners: std::vec![6],
            ..Fake::default()
        };
        let mut shutdown = shutdown(&[6]);
        assert_eq!(shutdown.advance(0, &mut world), Progress::Wait(100));
        world.looks.insert(6, death);
        assert_eq!(shutdown.advance(1, &mut world), Progress::Over);
        assert_eq!(world.told, [(6, Asked), (6, Died), (6, Quiet)]);
        assert_eq!(world.stops, [6], "or it would be started again");
    }
}

#[test]
fn who_is_down_is_not_asked() {
    let looks = [
        (9, Look::NeverStarted),
        (8, Look::Retired),
        (7, Look::Dead),
        (6, Look::Held),
    ];
    let mut world = Fake {
        looks: looks.into(),
        partners: std::vec![9, 8, 7, 6],
        stopped: [(6, Look::Held)].into(),
        ..Fake::default()
    };
    let mut shutdown = shutdown(&[9, 8, 7, 6]);
    assert_eq!(shutdown.advance(5, &mut world), Progress::Wait(1005));
    assert_eq!(world.stops, [7, 6]);
    world.looks.insert(6, Look::Retired);
    assert_eq!(shutdown.advance(6, &mut world), Progress::Over);
    assert_eq!(world.told, [(7, Quiet), (6, Quiet)]);
}

#[test]
fn all_of_it_has_a_bound() {
    // Nobody answers, no device becomes quiet.
    let tasks: List<usize> = (1..TASKS_MAX).collect();
    let mut world = Fake {
        partners: tasks.clone(),
        stopped: tasks.iter().map(|&task| (task, Look::Held)).collect(),
        ..Fake::default()
    };
    let mut shutdown = shutdown(&tasks);
    let mut now = 0;
    while let Progress::Wait(until) = shutdown.advance(now, &mut world) {
        assert!(until > now, "it would be looked at for ever");
        now = until;
    }
    assert_eq!(now, tasks.len() as u64 * (LIMITS.finish + LIMITS.quiet));
    assert!(tasks.iter().all(|&task| shutdown.ends(task)) && !shutdown.ends(0));
}
