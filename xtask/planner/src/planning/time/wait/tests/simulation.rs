//! A processor with the kernel's rules of budgets (`sys/kern/src/budget.rs` and `accounts.rs`), tick by tick, on which
//! tasks wait, work and call each other at random.

use crate::planning::time::wait::Contender;

#[derive(Clone, Copy)]
struct Account {
    left: i64,
    budget: i64,
    period: u64,
    since: u64,
    /// When it has something again, while it is exhausted.
    due: Option<u64>,
}

impl Account {
    fn refill(&mut self, now: u64, waited: bool) -> bool {
        let periods = (now - self.since) / self.period;
        if periods > 0 {
            self.left = (self.left + periods as i64 * self.budget).min(self.budget);
            self.since = if waited {
                self.since + periods * self.period
            } else {
                now
            };
        }
        self.due = (self.left <= 0).then(|| {
            let missing = self.left.unsigned_abs() + 1;
            self.since + missing.div_ceil(self.budget as u64) * self.period
        });
        self.left > 0
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// In a receive, until then or until a message comes.
    Waits(u64),
    Ready,
    Calls(usize),
}

/// How eager a task is, in thousandths a tick.
#[derive(Clone, Copy, Default)]
pub struct Mood {
    pub waits: u32,
    pub calls: u32,
    pub replies: u32,
}

struct Task {
    doing: Doing,
    ticket: u64,
    /// Whose account it works on.
    account: usize,
    client: Option<usize>,
    /// In the order of their calls.
    senders: Vec<usize>,
    /// Ticks of the message that it works on.
    worked: u64,
    mood: Mood,
    /// Since when it is ready with budget left and has not run.
    measured: Option<u64>,
}

pub struct Simulation<'a> {
    told: &'a [Contender],
    random: &'a mut oorandom::Rand32,
    tasks: Vec<Task>,
    /// That of each task; `None` if it is trusted.
    accounts: Vec<Option<Account>>,
    now: u64,
    tickets: u64,
    /// What each task is set on; without one it changes its mind whenever it becomes ready.
    pub plots: Vec<Option<Mood>>,
}

impl<'a> Simulation<'a> {
    pub fn new(told: &'a [Contender], random: &'a mut oorandom::Rand32) -> Self {
        let accounts = told.iter().map(|task| {
            let budget = task.budget?;
            Some(Account {
                left: budget.time as i64,
                budget: budget.time as i64,
                period: budget.period,
                since: 0,
                due: None,
            })
        });
        let task = |account: usize| Task {
            doing: Doing::Waits(if told[account].budget.is_some() {
                account as u64
            } else {
                u64::MAX
            }),
            ticket: 0,
            account,
            client: None,
            senders: Vec::new(),
            worked: 0,
            mood: Mood::default(),
            measured: None,
        };
        Self {
            told,
            random,
            tasks: (0..told.len()).map(task).collect(),
            accounts: accounts.collect(),
            now: 0,
            tickets: 0,
            plots: vec![None; told.len()],
        }
    }

    /// One tick. The task that runs its first instruction since it became ready, and how long it waited for that.
    pub fn tick(&mut self) -> Option<(usize, u64)> {
        let before = self.all_spent();
        for account in self.accounts.iter_mut().flatten() {
            if account.due.is_some_and(|due| due <= self.now) {
                account.refill(self.now, true);
            }
        }
        self.sort(&before);
        for task in 0..self.tasks.len() {
            if matches!(self.tasks[task].doing, Doing::Waits(until) if until <= self.now) {
                self.make_ready(task);
            }
        }
        let running = self.foremost();
        let mut waited = None;
        if let Some(running) = running {
            let since = self.tasks[running].measured.take();
            waited = since.map(|since| (running, self.now - since));
            self.charge(running);
        }
        self.now += 1;
        if let Some(running) = running {
            self.act(running);
        }
        waited
    }

    fn exhausted(&self, account: usize) -> bool {
        self.accounts[account].is_some_and(|account| account.due.is_some())
    }

    fn is_spent(&self, task: usize) -> bool {
        self.exhausted(self.tasks[task].account) && self.exhausted(task)
    }

    fn foremost(&self) -> Option<usize> {
        let ready = (0..self.tasks.len()).filter(|task| self.tasks[*task].doing == Doing::Ready);
        ready.min_by_key(|&task| {
            let urgency = self.told[task].priority;
            (self.is_spent(task), urgency, self.tasks[task].ticket)
        })
    }

    fn make_ready(&mut self, task: usize) {
        self.tickets += 1;
        let mut pick = |of: [u32; 3]| of[self.random.rand_range(0..3) as usize];
        let any = Mood {
            waits: pick([2, 40, 400]),
            calls: pick([0, 100, 600]),
            replies: pick([2, 100, 500]),
        };
        let mood = self.plots[task].unwrap_or(any);
        let own = self.tasks[task].account == task && self.tasks[task].client.is_none();
        let measured = own && !self.exhausted(task);
        let ticket = self.tickets;
        let task = &mut self.tasks[task];
        task.doing = Doing::Ready;
        (task.ticket, task.mood) = (ticket, mood);
        task.measured = measured.then_some(self.now);
    }

    fn charge(&mut self, running: usize) {
        let account = self.tasks[running].account;
        let mut others = (0..self.tasks.len()).filter(|&other| {
            other != running && self.tasks[other].doing == Doing::Ready && !self.is_spent(other)
        });
        let (payer, debtor) = if !self.exhausted(account) {
            (account, None)
        } else if self.is_spent(running) || others.next().is_none() {
            return;
        } else {
            (running, Some(account))
        };
        if let Some(debtor) = debtor.and_then(|debtor| self.accounts[debtor].as_mut()) {
            debtor.left -= 1;
        }
        let before = self.all_spent();
        if let Some(account) = self.accounts[payer].as_mut() {
            account.left -= 1;
            if account.left <= 0 {
                account.refill(self.now + 1, false);
            }
        }
        self.sort(&before);
    }

    fn all_spent(&self) -> Vec<bool> {
        (0..self.tasks.len())
            .map(|task| self.is_spent(task))
            .collect()
    }

    /// Who can run and changed sides comes behind its equals there.
    fn sort(&mut self, before: &[bool]) {
        for (task, was_spent) in before.iter().enumerate() {
            if self.tasks[task].doing == Doing::Ready && self.is_spent(task) != *was_spent {
                self.tickets += 1;
                self.tasks[task].ticket = self.tickets;
            }
        }
    }

    fn chance(&mut self, thousandths: u32) -> bool {
        self.random.rand_range(0..1000) < thousandths
    }

    fn act(&mut self, running: usize) {
        let mood = self.tasks[running].mood;
        self.tasks[running].worked += 1;
        let most = self.told[running].message.unwrap_or(u64::MAX);
        if self.tasks[running].client.is_some() {
            if self.tasks[running].worked >= most || self.chance(mood.replies) {
                return self.reply(running);
            }
        } else if self.chance(mood.waits) {
            return self.receive(running);
        }
        let calls = &self.told[running].calls;
        if !calls.is_empty() && self.chance(mood.calls) {
            let server = calls[self.random.rand_range(0..calls.len() as u32) as usize];
            self.tasks[running].doing = Doing::Calls(server);
            self.tasks[server].senders.push(running);
            if matches!(self.tasks[server].doing, Doing::Waits(_)) {
                self.take(server);
            }
        }
    }

    fn take(&mut self, server: usize) {
        let client = self.tasks[server].senders.remove(0);
        let account = self.tasks[client].account;
        // Who finishes something on its own budget calls on that.
        let pays_itself = self.exhausted(account) && self.accounts[client].is_some();
        let task = &mut self.tasks[server];
        task.account = if pays_itself { client } else { account };
        task.client = Some(client);
        task.worked = 0;
        self.make_ready(server);
    }

    fn reply(&mut self, server: usize) {
        if let Some(client) = self.tasks[server].client.take() {
            self.make_ready(client);
        }
        self.receive(server);
    }

    fn receive(&mut self, task: usize) {
        self.tasks[task].account = task;
        if !self.tasks[task].senders.is_empty() {
            return self.take(task);
        }
        let until = match self.told[task].budget {
            Some(budget) => {
                let most = budget.period as u32 * [1, 6][self.random.rand_range(0..2) as usize] / 2;
                self.now + u64::from(self.random.rand_range(1..most))
            }
            None => u64::MAX,
        };
        self.tasks[task].doing = Doing::Waits(until);
    }
}
