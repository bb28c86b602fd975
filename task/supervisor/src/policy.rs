//! Whether and when a dead task is started again. Times are ticks of one counter.

/// The restart rule of one task from the plan, with times in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Delay before a restart.
    pub after: u64,
    /// Restarts allowed in `period`; 0 never, `u32::MAX` without limit.
    pub limit: u32,
    /// Over which `limit` counts. A period begins with the first restart after the last one ended, so that
    /// two numbers a task are all the memory it takes.
    pub period: u64,
}

/// The decision about a death.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Start it again at this time.
    RestartAt(u64),
    /// The task died too often, or is not to be restarted: stop it for good.
    GiveUp,
}

/// The restarts of a task, and when the next one is due.
#[derive(Debug)]
pub struct Policy {
    rule: Rule,
    began: u64,
    restarts: u32,
    due: Option<u64>,
}

impl Policy {
    /// A task that has not died yet.
    pub const fn new(rule: Rule) -> Self {
        Self {
            rule,
            began: 0,
            restarts: 0,
            due: None,
        }
    }

    /// The task died and nothing holds it any more.
    pub fn died(&mut self, now: u64) -> Decision {
        if self.rule.limit == u32::MAX {
            return self.schedule(now);
        }
        if self.restarts == 0 || now.saturating_sub(self.began) > self.rule.period {
            self.began = now;
            self.restarts = 0;
        }
        if self.restarts >= self.rule.limit {
            return Decision::GiveUp;
        }
        self.restarts += 1;
        self.schedule(now)
    }

    fn schedule(&mut self, now: u64) -> Decision {
        let at = now.saturating_add(self.rule.after);
        self.due = Some(at);
        Decision::RestartAt(at)
    }

    /// The task was stopped because another of its unit died: it is started again with that, and it does not count
    /// as a death of its own.
    pub fn stopped_with_another(&mut self, now: u64) -> Decision {
        self.schedule(now)
    }

    /// When the task is due to be started, if it is.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Notes that the task is being started.
    pub fn start(&mut self) {
        self.due = None;
    }
}

/// The time when tasks that stop and start together can be started: when the last of them is due, and not before each
/// of them is down. For each of them that will come back, when it is due; none for one that is up or held.
pub fn start_together(mut members: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    members.try_fold(0, |latest, due| Some(latest.max(due?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        after: 10,
        limit: 3,
        period: 100,
    };

    #[test]
    fn a_restart_is_due_after_its_delay_until_it_is_made() {
        let mut policy = Policy::new(RULE);
        assert_eq!(policy.died(5), Decision::RestartAt(15));
        assert_eq!(policy.due(), Some(15));
        policy.start();
        assert_eq!(policy.due(), None);
    }

    #[test]
    fn the_limit_counts_over_the_period() {
        let mut policy = Policy::new(RULE);
        for now in [0, 40, 80] {
            assert_eq!(policy.died(now), Decision::RestartAt(now + 10));
        }
        assert_eq!(policy.died(100), Decision::GiveUp);
        for now in [101, 102, 201] {
            assert_eq!(policy.died(now), Decision::RestartAt(now + 10));
        }
        assert_eq!(policy.died(201), Decision::GiveUp);
    }

    #[test]
    fn who_is_stopped_with_another_comes_back_uncounted() {
        let mut policy = Policy::new(RULE);
        for now in 0..10 {
            let decision = policy.stopped_with_another(now);
            assert_eq!(decision, Decision::RestartAt(now + 10));
        }
        let mut never = Policy::new(Rule { limit: 0, ..RULE });
        assert_eq!(never.stopped_with_another(1), Decision::RestartAt(11));
        assert_eq!(never.died(20), Decision::GiveUp);
        for now in 20..23 {
            assert_eq!(policy.died(now), Decision::RestartAt(now + 10));
        }
        assert_eq!(policy.died(23), Decision::GiveUp);
    }

    #[test]
    fn all_of_a_unit_start_when_the_last_is_due_and_down() {
        let start = |members: &[Option<u64>]| start_together(members.iter().copied());
        assert_eq!(start(&[Some(5)]), Some(5));
        assert_eq!(start(&[Some(5), Some(90), Some(7)]), Some(90));
        assert_eq!(start(&[Some(5), None]), None);
        assert_eq!(start(&[None, Some(5)]), None);
    }

    #[test]
    fn never_and_always() {
        let mut never = Policy::new(Rule { limit: 0, ..RULE });
        assert_eq!(never.died(0), Decision::GiveUp);
        let mut always = Policy::new(Rule {
            limit: u32::MAX,
            ..RULE
        });
        for now in 0..1000 {
            assert_eq!(always.died(now), Decision::RestartAt(now + 10));
        }
    }

    #[test]
    fn times_do_not_overflow() {
        let mut policy = Policy::new(Rule {
            after: u64::MAX,
            ..RULE
        });
        assert_eq!(policy.died(7), Decision::RestartAt(u64::MAX));
    }
}
