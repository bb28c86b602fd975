//! Budgets: who has time left runs before everybody who has none, and time is charged to whom it belongs.

use abi::privileged::Privileged;
use abi::{Syscall, TaskId};
use plan::kernel::AccountEntry;

use super::world::*;
use crate::State;

/// Ticks of each period in these tests; a tick is a nanosecond.
const PERIOD: u64 = 10_000;

/// A system in which the tasks named have these budgets, in periods of [`PERIOD`].
fn with_budgets(budgets: &[(usize, u64)]) -> Tables {
    let mut tables = Tables::new();
    tables.tasks[LOW].max_run = 0;
    for (number, (task, budget)) in budgets.iter().enumerate() {
        tables.tasks[*task].account = number as u32;
        tables.accounts.push(AccountEntry {
            budget: *budget,
            period: PERIOD,
        });
    }
    tables
}

/// All tasks above `first` wait in an open receive for [`WAKE`].
fn down_to(tables: &Tables, first: usize) -> World {
    let mut world = tables.boot().unwrap();
    for _ in 0..first {
        world.park();
    }
    assert_eq!(world.runs(), first);
    world
}

/// Time passes, with all timer interrupts that come of it.
fn pass(world: &mut World, ticks: u64) {
    let end = world.kernel.arch().now + ticks;
    loop {
        let at = world.kernel.arch().timer;
        if at > end {
            break;
        }
        let now = world.kernel.arch().now;
        world.kernel.arch_mut().now = now.max(at);
        world.running = world.kernel.timer_interrupt(world.running);
    }
    world.kernel.arch_mut().now = end;
}

/// Runs for `ticks` in steps of `step`; how many of them each task had.
fn shares(world: &mut World, ticks: u64, step: u64) -> [u64; COUNT] {
    let mut shares = [0; COUNT];
    for _ in 0..ticks / step {
        if let Some(running) = world.running {
            shares[running.number()] += step;
        }
        pass(world, step);
    }
    shares
}

fn wake(world: &mut World, task: usize) {
    world.kernel.notify(index(task), u64::from(WAKE));
    world.resume();
}

#[test]
fn who_never_waits_has_its_budget_and_no_more() {
    let tables = with_budgets(&[(DRIVER, 2000), (LEFT, 3000), (LOW, 4000)]);
    let mut world = down_to(&tables, DRIVER);
    for _ in DRIVER..LOW {
        world.park();
    }
    // LOW runs; all three are to run for ever.
    assert_eq!(world.runs(), LOW);
    wake(&mut world, DRIVER);
    wake(&mut world, LEFT);
    let shares = shares(&mut world, 100 * PERIOD, 10);
    let part = |task: usize| shares[task] / 100;
    // What is left of each period belongs to the most urgent of those who have used up theirs.
    assert_eq!(
        [part(DRIVER), part(LEFT), part(LOW)],
        [2000 + 1000, 3000, 4000]
    );
}

#[test]
fn who_is_spent_goes_on_when_nobody_else_is_ready() {
    let tables = with_budgets(&[(DRIVER, 2000), (LOW, 1000)]);
    let mut world = down_to(&tables, DRIVER);
    pass(&mut world, 2500);
    // LEFT and RIGHT are trusted and ready.
    assert_eq!(world.runs(), LEFT);
    world.park();
    world.park();
    assert_eq!(world.runs(), LOW);
    pass(&mut world, 1000);
    // Now both are spent, and the more urgent one runs.
    assert_eq!(world.runs(), DRIVER);
    world.park();
    assert_eq!(world.runs(), LOW);
    // A trusted task is before it at once.
    wake(&mut world, LEFT);
    assert_eq!(world.runs(), LEFT);
    world.park();
    // So is one that gets its next budget.
    wake(&mut world, DRIVER);
    assert_eq!(world.runs(), DRIVER);
}

#[test]
fn what_else_is_due_when_a_budget_ends_has_an_interrupt_of_its_own() {
    let tables = with_budgets(&[(LEFT, 100)]);
    let mut world = down_to(&tables, LEFT);
    world.kernel.arch_mut().now += 100;
    world.running = world.kernel.timer_interrupt(world.running);
    assert_eq!(world.kernel.arch().timer, 0);
}

#[test]
fn a_servers_work_is_its_clients_time() {
    let tables = with_budgets(&[(SERVER, 5000), (LOW, 1000)]);
    let mut world = down_to(&tables, LOW);
    wake(&mut world, SERVER);
    world.receive(SERVER, 0, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), LOW);
    world.send_pattern(LOW, SERVER, 1);
    assert_eq!(world.runs(), SERVER);
    pass(&mut world, 1500);
    // The client has nothing left, the server finishes.
    assert_eq!(world.runs(), SERVER);
    let id = world.id(LOW).0;
    wake(&mut world, RIGHT);
    assert_eq!(world.runs(), SERVER);
    let arguments = [id, 0, 0, 0, TaskId::ANY.0, 0, 0];
    world.call(SERVER, Syscall::ReplyReceive as u16, &arguments);
    assert_eq!(world.runs(), RIGHT);
    pass(&mut world, PERIOD - 1500 - 1);
    assert_eq!((world.runs(), world.state(LOW)), (RIGHT, State::Runnable));
    world.park();
    assert_eq!(world.runs(), LOW);
}

#[test]
fn a_server_that_keeps_a_request_pays_itself_at_the_end() {
    let tables = with_budgets(&[(SERVER, 3000), (LOW, 1000)]);
    let mut world = down_to(&tables, LOW);
    wake(&mut world, SERVER);
    world.receive(SERVER, 0, TaskId::ANY, 0, 0);
    world.send_pattern(LOW, SERVER, 1);
    wake(&mut world, RIGHT);
    assert_eq!(world.runs(), SERVER);
    // A thousand of the client's, three thousand of its own.
    pass(&mut world, 3900);
    assert_eq!(world.runs(), SERVER);
    pass(&mut world, 200);
    assert_eq!(world.runs(), RIGHT);
    assert!(world.kernel.is_spent(index(SERVER)));
}

/// A server that has another one work for it while its client has nothing left: the other one's time is not free.
#[test]
fn who_finishes_a_request_calls_on_its_own_account() {
    let tables = with_budgets(&[(SERVER, 3000), (LOW, 1000)]);
    let mut world = down_to(&tables, LOW);
    for server in [AUTHORITY, SERVER] {
        wake(&mut world, server);
        world.receive(server, 0, TaskId::ANY, 0, 0);
    }
    world.send_pattern(LOW, SERVER, 1);
    pass(&mut world, 1000);
    assert_eq!(world.runs(), SERVER);
    wake(&mut world, RIGHT);
    for _ in 0..3 {
        world.send_pattern(SERVER, AUTHORITY, 1);
        assert_eq!(world.runs(), AUTHORITY);
        pass(&mut world, 990);
        assert_eq!(world.runs(), AUTHORITY);
        let arguments = [world.id(SERVER).0, 0, 0, 0, TaskId::ANY.0, 0, 0];
        world.call(AUTHORITY, Syscall::ReplyReceive as u16, &arguments);
        assert_eq!(world.runs(), SERVER);
    }
    pass(&mut world, 40);
    assert_eq!(world.runs(), RIGHT);
    assert!(world.kernel.is_spent(index(SERVER)));
}

/// RIGHT was ready first, but was spent meanwhile.
#[test]
fn whoever_changes_sides_comes_behind_its_equals() {
    let tables = with_budgets(&[(LEFT, 5000), (RIGHT, 500)]);
    let mut world = down_to(&tables, LEFT);
    world.park();
    assert_eq!(world.runs(), RIGHT);
    wake(&mut world, LEFT);
    assert_eq!(world.runs(), RIGHT);
    pass(&mut world, 500);
    assert_eq!(world.runs(), LEFT);
    wake(&mut world, DRIVER);
    pass(&mut world, PERIOD - 500);
    assert!(!world.kernel.is_spent(index(RIGHT)));
    world.park();
    assert_eq!(world.runs(), LEFT);
}

#[test]
fn what_others_worked_for_a_task_is_its_debt() {
    let tables = with_budgets(&[(LOW, 1000)]);
    let mut world = down_to(&tables, LOW);
    wake(&mut world, SERVER);
    world.receive(SERVER, 0, TaskId::ANY, 0, 0);
    wake(&mut world, RIGHT);
    world.park();
    world.send_pattern(LOW, SERVER, 1);
    // RIGHT waits for the processor meanwhile.
    wake(&mut world, RIGHT);
    pass(&mut world, 3500);
    let arguments = [world.id(LOW).0, 0, 0, 0, TaskId::ANY.0, 0, 0];
    world.call(SERVER, Syscall::ReplyReceive as u16, &arguments);
    assert_eq!(world.runs(), RIGHT);
    // 2500 are owed: that is the next budgets, and half of the one behind.
    pass(&mut world, 3 * PERIOD - 3500 - 1);
    assert!(world.kernel.is_spent(index(LOW)));
    pass(&mut world, 1);
    assert!(!world.kernel.is_spent(index(LOW)));
    world.park();
    assert_eq!(world.runs(), LOW);
    wake(&mut world, RIGHT);
    world.park();
    let mut had = 0;
    while world.kernel.task(index(LOW)).state() == State::Runnable
        && !world.kernel.is_spent(index(LOW))
    {
        had += 10;
        pass(&mut world, 10);
    }
    assert!((490..=510).contains(&had), "{had}");
}

#[test]
fn nobody_pays_for_time_that_nobody_else_wants() {
    let tables = with_budgets(&[(LOW, 1000)]);
    let mut world = down_to(&tables, LOW);
    wake(&mut world, SERVER);
    world.receive(SERVER, 0, TaskId::ANY, 0, 0);
    // Spent, alone, with calls: no debt comes of it.
    for _ in 0..40 {
        world.send_pattern(LOW, SERVER, 1);
        pass(&mut world, 100);
        let arguments = [world.id(LOW).0, 0, 0, 0, TaskId::ANY.0, 0, 0];
        world.call(SERVER, Syscall::ReplyReceive as u16, &arguments);
        assert_eq!(world.runs(), LOW);
    }
    wake(&mut world, RIGHT);
    assert_eq!(world.runs(), RIGHT);
    pass(&mut world, PERIOD - 4000);
    world.park();
    assert!(!world.kernel.is_spent(index(LOW)));
    wake(&mut world, RIGHT);
    world.park();
    pass(&mut world, 900);
    assert!(!world.kernel.is_spent(index(LOW)));
}

#[test]
fn a_task_that_wakes_itself_pays() {
    let tables = with_budgets(&[(DRIVER, 2000)]);
    let mut world = down_to(&tables, DRIVER);
    let mut ticks = 0;
    while world.runs() == DRIVER {
        let now = world.kernel.arch().now;
        world.call(DRIVER, Syscall::Timer as u16, &[now]);
        world.receive(DRIVER, abi::notification::TIMER, TaskId::ANY, 0, 0);
        pass(&mut world, 50);
        ticks += 50;
    }
    assert_eq!((world.runs(), ticks), (LEFT, 2000));
}

#[test]
fn an_interrupts_owner_pays_for_it() {
    let tables = with_budgets(&[(DRIVER, 2000), (LOW, 2000)]);
    let mut world = down_to(&tables, LOW);
    world.unmask(DRIVER);
    wake(&mut world, DRIVER);
    world.receive(DRIVER, DRIVER_BIT | WAKE, TaskId::ANY, 0, 0);
    for _ in 0..20 {
        let since = world.kernel.arch().now;
        // The way into the kernel took a while.
        world.kernel.arch_mut().now += 50;
        world.running = world.kernel.interrupt(world.running, DRIVER_INTID, since);
        assert_eq!(world.runs(), DRIVER);
        pass(&mut world, 20);
        world.unmask(DRIVER);
        world.receive(DRIVER, DRIVER_BIT | WAKE, TaskId::ANY, 0, 0);
        assert_eq!(world.runs(), LOW);
    }
    let left = |world: &World, task: usize| {
        let kernel = &world.kernel;
        kernel
            .accounts
            .left_of(kernel.task(index(task)).own_account())
    };
    assert_eq!(left(&world, LOW), 2000);
    assert_eq!(left(&world, DRIVER), 2000 - 20 * 70);
}

#[test]
fn an_unused_budget_is_not_saved_up() {
    let tables = with_budgets(&[(DRIVER, 2000)]);
    let mut world = down_to(&tables, LEFT);
    pass(&mut world, 20 * PERIOD);
    wake(&mut world, DRIVER);
    pass(&mut world, 1999);
    assert_eq!(world.runs(), DRIVER);
    // One budget was left, and the next came at once, since its period was over long ago.
    pass(&mut world, 2001 - 1);
    assert_eq!(world.runs(), DRIVER);
    pass(&mut world, 1);
    assert_eq!(world.runs(), LEFT);
}

#[test]
fn a_restart_brings_no_budget() {
    let tables = with_budgets(&[(LOW, 1000)]);
    let mut world = down_to(&tables, LOW);
    pass(&mut world, 900);
    world.crash(LOW);
    world.only(SUPERVISOR);
    let code = world.privileged(
        SUPERVISOR,
        abi::privileged::Privileged::Restart,
        &[LOW as u64],
    );
    assert_eq!(code, abi::Code::OK);
    wake(&mut world, LEFT);
    world.park();
    world.park();
    pass(&mut world, 100);
    assert!(world.kernel.is_spent(index(LOW)));
}

#[test]
fn a_plan_with_a_wrong_account_is_refused() {
    let spoil: [fn(&mut Tables); 4] = [
        |tables| tables.accounts[0].budget = 0,
        |tables| tables.accounts[0].period = 999,
        |tables| {
            let entry = tables.accounts[0];
            tables.accounts = std::vec![entry; 64];
        },
        |tables| tables.tasks[LOW].account = 1,
    ];
    for spoil in spoil {
        let mut tables = with_budgets(&[(LOW, 1000)]);
        spoil(&mut tables);
        assert!(tables.boot().is_err());
    }
}

/// What a test image's supervisor reads of the accounts: every tick is taken from one of them.
#[test]
fn the_supervisor_of_a_test_image_reads_what_is_left() {
    let mut world = down_to(&with_budgets(&[(LEFT, 7000), (RIGHT, 6000)]), LEFT);
    let read = |world: &mut World, task: usize| {
        let number = Privileged::Registers;
        world.privileged(SUPERVISOR, number, &[task as u64, 34]);
        (world.x(SUPERVISOR, 1), world.x(SUPERVISOR, 2))
    };
    let free = (i64::MAX / 2) as u64;
    let start = world.kernel.arch().now;
    pass(&mut world, 300);
    world.kill(LEFT);
    pass(&mut world, 50);
    world.kill(RIGHT);
    world.kill(LOW);
    world.only(SUPERVISOR);
    pass(&mut world, 20);
    world.privileged(SUPERVISOR, Privileged::Status, &[0]);
    assert_eq!(read(&mut world, LEFT).0, 7000 - 300);
    assert_eq!(read(&mut world, RIGHT).0, 6000 - 50);
    let (left, until) = read(&mut world, LOW);
    assert_eq!(free - left + 350, until);
    assert!(until >= start + 350);
}
