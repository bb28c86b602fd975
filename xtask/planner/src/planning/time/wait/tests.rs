//! Waits worked out by hand, and those of simulated systems.

mod simulation;

use self::simulation::{Mood, Simulation};
use super::*;

/// A kernel that takes no time.
const FREE: Overhead = Overhead { entry: 0, lines: 0 };

fn limited(priority: u32, time: u64, period: u64, calls: &[usize]) -> Contender {
    Contender {
        priority,
        budget: Some(Budget { time, period }),
        calls: calls.to_vec(),
        message: None,
    }
}

fn trusted(priority: u32, message: Option<u64>, calls: &[usize]) -> Contender {
    Contender {
        priority,
        budget: None,
        calls: calls.to_vec(),
        message,
    }
}

fn bounds(tasks: &[Contender]) -> Vec<Result<u64, u64>> {
    let waits = waits(tasks, FREE);
    waits.into_iter().map(|wait| wait.bound).collect()
}

#[test]
fn who_is_alone_at_the_top_waits_for_nobody() {
    assert_eq!(bounds(&[limited(0, 5, 10, &[])]), [Ok(0)]);
}

#[test]
fn one_above_has_two_budgets_at_most() {
    // 2 * (0 + 1) = 2, 2 * (1 + 1) = 4, and 4 is within the first period.
    assert_eq!(
        bounds(&[limited(0, 2, 10, &[]), limited(1, 5, 10, &[])]),
        [Ok(0), Ok(4)]
    );
}

#[test]
fn two_above_go_on_into_the_third_period() {
    // 7, then 14, 21, 28: 3 * (3 + 1) + 4 * (3 + 1), and 28 is within three periods.
    let tasks = [
        limited(0, 3, 10, &[]),
        limited(1, 4, 10, &[]),
        limited(2, 1, 10, &[]),
    ];
    assert_eq!(bounds(&tasks), [Ok(0), Ok(6), Ok(28)]);
}

#[test]
fn equals_are_waited_for_by_each_other() {
    let tasks = [limited(1, 3, 10, &[]), limited(1, 4, 20, &[])];
    assert_eq!(bounds(&tasks), [Ok(8), Ok(6)]);
}

#[test]
fn a_less_urgent_client_of_an_urgent_server_counts() {
    // The server's own 2 * 2 and its client's 3 * 2; the task between calls nobody.
    let tasks = [
        limited(0, 2, 10, &[]),
        limited(1, 1, 10, &[]),
        limited(2, 3, 10, &[0]),
    ];
    assert_eq!(bounds(&tasks), [Ok(0), Ok(10), Ok(6)]);
    // Through another server as well.
    let tasks = [
        limited(0, 2, 10, &[]),
        limited(1, 1, 10, &[]),
        limited(2, 1, 10, &[0]),
        limited(3, 3, 10, &[2]),
    ];
    // 0 + 4 of the server, 2 and 6 of both below: 12, then 3 * (2 + 1 + 3) = 18.
    assert_eq!(bounds(&tasks).get(1), Some(&Ok(18)));
}

#[test]
fn who_is_trusted_is_named_and_its_last_messages_count() {
    let tasks = [
        trusted(0, Some(7), &[]),
        limited(1, 1, 10, &[0]),
        limited(2, 2, 10, &[0]),
        limited(3, 1, 10, &[]),
    ];
    let waits = waits(&tasks, FREE);
    let of = |task: usize| (waits[task].bound, waits[task].beside.clone());
    // Nobody else can keep the server from running.
    assert_eq!(of(0), (Ok(0), vec![]));
    // One message of the client below.
    assert_eq!(of(1), (Ok(7), vec![0]));
    // A last message of both clients, and their budgets: 14 + 3 * (3 + 1) = 26.
    assert_eq!(of(3), (Ok(14 + 3 * 4), vec![0]));
}

#[test]
fn who_is_trusted_below_is_named_if_a_limited_server_works_for_it() {
    let tasks = [
        limited(0, 1, 10, &[]),
        limited(1, 1, 10, &[]),
        trusted(2, None, &[0]),
        trusted(3, None, &[]),
    ];
    assert_eq!(waits(&tasks, FREE)[1].beside, [2]);
    // One that only trusted servers work for adds one message of each.
    let tasks = [
        trusted(0, Some(5), &[]),
        limited(1, 1, 10, &[]),
        trusted(2, None, &[0]),
    ];
    let wait = &waits(&tasks, FREE)[1];
    assert_eq!((&wait.bound, &wait.beside), (&Ok(5), &vec![0]));
}

#[test]
fn the_kernel_takes_its_own() {
    let tasks = [limited(0, 200, 1000, &[]), limited(1, 1, 1000, &[])];
    let overhead = Overhead { entry: 3, lines: 2 };
    // One entry under way, two of the account, two interrupts: 5 * 3; and 200 * (1 + 1).
    assert_eq!(waits(&tasks, overhead)[1].bound, Ok(15 + 400));
}

#[test]
fn without_a_rest_there_is_no_bound() {
    let tasks = [
        limited(0, 5, 10, &[]),
        limited(1, 5, 10, &[]),
        limited(2, 1, 10, &[]),
    ];
    assert_eq!(bounds(&tasks).get(2), Some(&Err(1_000_000)));
}

#[test]
fn the_bound_in_one_step_is_never_below_the_fixed_point() {
    let accounts = [(3, 10), (1, 7), (10, 90)].map(|(time, period)| Budget { time, period });
    let taken = accounts.iter().copied().map(share).sum();
    for once in [0, 1, 17, 400] {
        for late in [0, 2] {
            let exact = fixed_point(once, late, &accounts).unwrap();
            let bound = in_one_step(once, late, &accounts, taken);
            assert!(
                (exact..=3 * exact + 300).contains(&bound),
                "{exact} {bound}"
            );
        }
    }
    // Where it takes long to come, it is what is given.
    let accounts = [Budget {
        time: 999_999,
        period: 1_000_000,
    }];
    assert_eq!(fixed_point(0, 0, &accounts), Ok(1_999_998_000_000));
}

/// A system at random: some are trusted and only serve, the others do whatever they like.
fn system(random: &mut oorandom::Rand32) -> Vec<Contender> {
    let mut priority = 0;
    let mut tasks: Vec<Contender> = Vec::new();
    for _ in 0..random.rand_range(2..7) {
        priority += random.rand_range(0..2);
        let above = (0..tasks.len()).filter(|other| tasks[*other].priority < priority);
        let calls: Vec<usize> = above.filter(|_| random.rand_range(0..2) == 0).collect();
        tasks.push(if random.rand_range(0..5) == 0 {
            trusted(priority, Some(random.rand_range(1..13).into()), &[])
        } else {
            let period = [10, 16, 20, 30, 50][random.rand_range(0..5) as usize];
            let time = random.rand_range(1..(period / 3 + 1) as u32);
            limited(priority, time.into(), period, &calls)
        });
    }
    tasks
}

/// Systems, and the ticks that each runs.
const SYSTEMS: u32 = 1500;
const TICKS: u64 = 2000;

#[test]
fn no_simulated_wait_is_longer_than_its_bound() {
    let mut random = oorandom::Rand32::new(0xb0d6_e701);
    let (mut waits, mut long) = (0, 0);
    for number in 0..SYSTEMS {
        let tasks = system(&mut random);
        let bounds = bounds(&tasks);
        let mut simulation = Simulation::new(&tasks, &mut random);
        for _ in 0..TICKS {
            let Some((task, waited)) = simulation.tick() else {
                continue;
            };
            if let Ok(bound) = bounds[task] {
                assert!(
                    waited <= bound,
                    "system {number}: task {task} waited {waited}, at most {bound}: {tasks:#?}"
                );
                waits += 1;
                long += u32::from(bound > 5 && waited * 10 >= bound * 7);
            }
        }
    }
    assert!(waits > 20_000, "{waits} waits");
    assert!(
        long > 20,
        "{long} of {waits} waits are of 70 % of the bound or more"
    );
}

/// A driver that never finishes its client's request, and has the server work for it as long as it can itself: what it
/// begins after its client has nothing left is on its own account.
#[test]
fn who_works_for_a_spent_client_cannot_spend_the_servers_time() {
    let tasks = [
        trusted(0, Some(12), &[]),
        limited(1, 10, 50, &[0]),
        limited(2, 5, 50, &[]),
        limited(3, 10, 50, &[1]),
    ];
    // Two last messages, 24; 24 + 10 * 2 + 10 * 2 = 64, then 24 + 20 * 3 = 84, which is within two periods.
    let bound = bounds(&tasks)[2].unwrap();
    assert_eq!(bound, 84);
    let mut random = oorandom::Rand32::new(1);
    let mut simulation = Simulation::new(&tasks, &mut random);
    let mood = |waits, calls, replies| {
        Some(Mood {
            waits,
            calls,
            replies,
        })
    };
    simulation.plots = vec![
        mood(0, 0, 0),
        mood(1000, 1000, 0),
        mood(1000, 0, 0),
        mood(0, 1000, 0),
    ];
    let waits = (0..5000).filter_map(|_| simulation.tick());
    let longest = waits
        .filter(|(task, _)| *task == 2)
        .map(|(_, wait)| wait)
        .max();
    assert!((30..=bound).contains(&longest.unwrap()), "{longest:?}");
}
