//! Accounts at their edges: when one is exhausted, and how many are refilled at a time.

use crate::accounts::{AccountIndex, Accounts};

const BUDGET: u64 = 10;
const PERIOD: u64 = 100;

fn account(number: u32) -> AccountIndex {
    AccountIndex::of_plan(number).unwrap()
}

/// So many accounts with a budget each; nobody has paid yet.
fn opened(count: u32) -> Accounts {
    let mut accounts = Accounts::NONE;
    for number in 0..count {
        let opened = accounts.open(account(number), BUDGET, PERIOD, 0);
        assert_eq!(opened, Some(()));
    }
    accounts
}

/// One of them pays from when another did, for so many ticks. Whether it is exhausted from then on.
fn pay(accounts: &mut Accounts, number: u32, ticks: u64) -> bool {
    let now = accounts.paid_until;
    accounts.pay_from(account(number), AccountIndex::FREE);
    accounts.settle(now + ticks);
    accounts.run_out()
}

#[test]
fn a_budget_is_part_of_its_period_and_opened_once() {
    let mut accounts = Accounts::NONE;
    for (index, budget, period) in [
        (AccountIndex::FREE, 1, 2),
        (account(0), 0, PERIOD),
        (account(0), 0, 0),
        (account(0), PERIOD + 1, PERIOD),
        (account(0), u64::MAX, u64::MAX),
    ] {
        let opened = accounts.open(index, budget, period, 0);
        assert_eq!(opened, None, "{index:?} {budget} {period}");
    }
    assert_eq!(accounts.open(account(0), PERIOD, PERIOD, 0), Some(()));
    assert_eq!(accounts.open(account(0), PERIOD, PERIOD, 0), None);
}

#[test]
fn with_the_last_tick_a_budget_is_used_up() {
    let mut accounts = opened(2);
    assert!(!pay(&mut accounts, 0, BUDGET - 1));
    assert!(pay(&mut accounts, 0, 1));
    assert!(accounts.is_exhausted(account(0)) && !accounts.is_exhausted(account(1)));
    assert_eq!(accounts.next_refill(), PERIOD);
    // It owes what a server does for it, and is told once.
    assert!(!pay(&mut accounts, 0, 1));
    assert!(!pay(&mut accounts, 0, PERIOD));
    assert!(accounts.is_exhausted(account(0)));
    // Nobody is told of the account without a limit.
    accounts.pay_from(AccountIndex::FREE, AccountIndex::FREE);
    accounts.settle(10 * PERIOD);
    assert!(!accounts.run_out());
}

#[test]
fn a_refill_that_pays_just_the_debt_leaves_nothing() {
    let mut accounts = opened(1);
    accounts.settle(PERIOD - 2 * BUDGET);
    assert!(pay(&mut accounts, 0, 2 * BUDGET));
    assert_eq!(accounts.left_of(account(0)), 0);
    assert!(accounts.is_exhausted(account(0)));
    assert_eq!(accounts.next_refill(), 2 * PERIOD);
}

#[test]
fn no_more_are_refilled_than_may_be() {
    for most in 1..4 {
        let mut accounts = opened(3);
        for number in 0..3 {
            assert!(pay(&mut accounts, number, BUDGET));
        }
        let exhausted = |accounts: &Accounts| accounts.exhausted.count_ones() as usize;
        assert_eq!(exhausted(&accounts), 3);
        assert!(!accounts.refill(PERIOD - 1, most));
        assert_eq!((exhausted(&accounts), accounts.next_refill()), (3, PERIOD));
        assert!(accounts.refill(PERIOD, most));
        assert_eq!(exhausted(&accounts), 3 - most);
        let left = if most < 3 { PERIOD } else { u64::MAX };
        assert_eq!(accounts.next_refill(), left);
    }
}

#[test]
fn one_that_is_not_due_takes_no_place() {
    let mut accounts = opened(2);
    // The first owes so much that it waits for a later period.
    assert!(pay(&mut accounts, 0, 2 * BUDGET));
    assert!(pay(&mut accounts, 1, BUDGET));
    assert!(accounts.refill(PERIOD, 1));
    assert!(accounts.is_exhausted(account(0)) && !accounts.is_exhausted(account(1)));
    assert_eq!(accounts.next_refill(), 2 * PERIOD);
}
