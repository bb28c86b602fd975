//! Accounts of processor time: what each may use in a period, what it has used, and which one pays now.
//!
//! An account holds a budget, in ticks of the kernel's clock. Time is taken from the account that pays; one with
//! nothing left is exhausted until its period ends. The end of a period is looked at only when an account has
//! nothing left, so that one which uses little costs nothing: it then gets its next budget at once.
//! Over any time `t` an account so gets at most `budget * (t / period + 2)`, and at least what is its due.

use abi::TASKS_MAX;

/// Number of an account. The table of accounts is apart from that of the tasks: a task has the number of one, and a
/// call carries it along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct AccountIndex(u64);

/// Places in the table: [`AccountIndex::FREE`], which the supervisor has, and one for each other task; a set of them is
/// one word.
pub(crate) const ACCOUNTS: usize = TASKS_MAX;
/// log2 of the size of an account.
pub(crate) const ACCOUNT_SHIFT: usize = 6;
/// What the free account starts with: so much that it never ends.
const ENDLESS: i64 = i64::MAX / 2;

impl AccountIndex {
    /// The account without a limit. Those who are trusted with time pay from it, and nobody pays for time that
    /// nobody else wants.
    pub const FREE: Self = Self(0);

    /// The account of a number in the plan; `None` beyond the table.
    pub fn of_plan(number: u32) -> Option<Self> {
        let number = u64::from(number).checked_add(1)?;
        (number < ACCOUNTS as u64).then_some(Self(number))
    }

    #[inline(always)]
    fn number(self) -> usize {
        self.0 as usize % ACCOUNTS
    }

    /// Its place in a set.
    #[inline(always)]
    fn bit(self) -> u64 {
        1 << (self.0 % ACCOUNTS as u64)
    }
}

/// One account. The machine's wake path and receive path charge it as [`Accounts::settle`] does.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Account {
    /// Ticks left; not above 0 when it is exhausted, below 0 by what others worked for it since.
    pub(crate) left: i64,
    /// Ticks in a period.
    budget: i64,
    /// Ticks; 0 for no limit.
    period: u64,
    /// Start of the period.
    since: u64,
    /// When it has something again, while it is exhausted.
    due: u64,
}

const _: () = assert!(size_of::<Account>() == 1 << ACCOUNT_SHIFT);

impl Account {
    const FREE: Self = Self {
        left: ENDLESS,
        budget: ENDLESS,
        period: 0,
        since: 0,
        due: u64::MAX,
    };

    /// Gives it the budgets of the periods that ended by `now`, at most one of which is kept. Whether it has
    /// something left then.
    #[inline(never)]
    fn refill(&mut self, now: u64, waited: bool) -> bool {
        let periods = now
            .saturating_sub(self.since)
            .checked_div(self.period)
            .unwrap_or(0);
        if periods == 0 {
            return self.left > 0;
        }
        let more = i64::try_from(periods)
            .unwrap_or(i64::MAX)
            .saturating_mul(self.budget);
        self.left = self.left.saturating_add(more).min(self.budget);
        // Who waited for the end of a period gets the next one from there, not from when it was noticed.
        self.since = if waited {
            self.since
                .saturating_add(periods.saturating_mul(self.period))
        } else {
            now
        };
        self.left > 0
    }

    /// When the budgets to come make up for what is missing.
    fn next_due(&self) -> u64 {
        let missing = self.left.unsigned_abs().saturating_add(1);
        let periods = missing.div_ceil(self.budget.unsigned_abs().max(1));
        self.since
            .saturating_add(periods.saturating_mul(self.period))
    }
}

/// All accounts, and who pays. The words that the machine's paths read come first.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Accounts {
    /// The account that pays now.
    pub(crate) paying: AccountIndex,
    /// Up to when it has paid.
    pub(crate) paid_until: u64,
    /// Owes the time of now as well: the paying one is that of a server which finishes this one's request.
    debtor: AccountIndex,
    pub(crate) exhausted: u64,
    /// The first end of a period that somebody waits for.
    next_refill: u64,
    pub(crate) table: [Account; ACCOUNTS],
}

impl Accounts {
    pub const NONE: Self = Self {
        paying: AccountIndex::FREE,
        paid_until: 0,
        debtor: AccountIndex::FREE,
        exhausted: 0,
        next_refill: u64::MAX,
        table: [Account::FREE; ACCOUNTS],
    };

    /// Sets up an account, with its whole budget; both in ticks. `None` if it is no limit that can be kept.
    pub fn open(&mut self, index: AccountIndex, budget: u64, period: u64, now: u64) -> Option<()> {
        let account = self.table.get_mut(index.number())?;
        let ticks = i64::try_from(budget).ok()?;
        if index == AccountIndex::FREE || budget == 0 || budget > period || account.period != 0 {
            return None;
        }
        *account = Account {
            left: ticks,
            budget: ticks,
            period,
            since: now,
            due: u64::MAX,
        };
        Some(())
    }

    #[inline(always)]
    fn account(&mut self, index: AccountIndex) -> &mut Account {
        &mut self.table[index.number()]
    }

    /// Ticks that an account has left.
    #[inline(always)]
    pub fn left_of(&self, index: AccountIndex) -> i64 {
        self.table[index.number()].left
    }

    /// Whether any account has used up its budget.
    #[inline(always)]
    pub fn any_exhausted(&self) -> bool {
        self.exhausted != 0
    }

    /// Whether an account has used up its budget.
    #[inline(always)]
    pub fn is_exhausted(&self, index: AccountIndex) -> bool {
        self.exhausted & index.bit() != 0
    }

    /// When a refill is due, if anybody waits for one.
    #[inline(always)]
    pub fn next_refill(&self) -> u64 {
        self.next_refill
    }

    /// The account that pays does so up to `now`.
    #[inline(never)]
    pub fn settle(&mut self, now: u64) {
        let ticks = now.saturating_sub(self.paid_until);
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        self.paid_until = now;
        // The free one pays as well, so that the wake path need not ask; it never ends.
        let paying = self.paying;
        let account = self.account(paying);
        account.left = account.left.saturating_sub(ticks);
        if self.debtor != AccountIndex::FREE {
            let debtor = self.debtor;
            let account = self.account(debtor);
            account.left = account.left.saturating_sub(ticks);
        }
    }

    /// From where [`Accounts::settle`] left off another account pays, and one owes the same time, if it is not the
    /// free one. Returns when the paying one has nothing left.
    pub fn pay_from(&mut self, paying: AccountIndex, debtor: AccountIndex) -> u64 {
        self.paying = paying;
        self.debtor = debtor;
        if paying == AccountIndex::FREE {
            return u64::MAX;
        }
        let left = self.account(paying).left;
        self.paid_until.saturating_add(left.max(0).unsigned_abs())
    }

    /// What became of the account that pays, which was settled up to now: whether it is exhausted from now on.
    pub fn run_out(&mut self) -> bool {
        let (index, now) = (self.paying, self.paid_until);
        let bit = index.bit();
        if index == AccountIndex::FREE || self.exhausted & bit != 0 {
            return false;
        }
        let account = self.account(index);
        if account.left > 0 || account.refill(now, false) {
            return false;
        }
        account.due = account.next_due();
        let due = account.due;
        self.exhausted |= bit;
        self.next_refill = self.next_refill.min(due);
        true
    }

    /// Refills what is due by `now`, `most` accounts at most. Whether any of them is not exhausted any more. If some are
    /// left, [`Accounts::next_refill`] has passed.
    #[inline(never)]
    pub fn refill(&mut self, now: u64, most: usize) -> bool {
        let mut waiting = self.exhausted;
        let mut room = most;
        let mut next = u64::MAX;
        let mut any = false;
        while waiting != 0 {
            let bit = waiting & waiting.wrapping_neg();
            waiting &= !bit;
            let index = AccountIndex(u64::from(bit.trailing_zeros()));
            let account = self.account(index);
            if account.due <= now && room > 0 {
                room -= 1;
                if account.refill(now, true) {
                    self.exhausted &= !bit;
                    any = true;
                    continue;
                }
                account.due = account.next_due();
            }
            next = next.min(account.due);
        }
        self.next_refill = next;
        any
    }
}
