//! The order of runs under load: what was run least comes first, and no two runs of one file at a time.

use std::path::PathBuf;

use super::record::Record;
use super::{BUILT_FOR, ENOUGH, Unit};

/// The runs that are left, and what is under way.
pub struct Plan {
    /// For each unit, how many runs are left.
    left: Vec<u32>,
    apps: Vec<PathBuf>,
    under_way: Vec<usize>,
}

/// What somebody who is idle is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The unit, and how often.
    Run(usize, u32),
    /// All that is left waits for what is under way.
    Wait,
    Over,
}

impl Plan {
    pub fn new(units: &[Unit], record: &Record) -> Self {
        let left = |unit: &Unit| match record.unexplained(&unit.name) {
            Some(_) => 0,
            None => ENOUGH.saturating_sub(record.runs(&unit.name)),
        };
        Self {
            left: units.iter().map(left).collect(),
            apps: units.iter().map(|unit| unit.app.clone()).collect(),
            under_way: Vec::new(),
        }
    }

    /// Takes the unit that has most left, among those whose image nobody else builds or runs now: two runs of one file write one
    /// image.
    pub fn take(&mut self) -> Next {
        let is_free = |unit: &usize| {
            let apps = self.under_way.iter().map(|other| &self.apps[*other]);
            self.left[*unit] > 0 && !apps.into_iter().any(|app| *app == self.apps[*unit])
        };
        let units = 0..self.left.len();
        // The first of those with most: the order of a usual run.
        let Some(unit) = units
            .rev()
            .filter(is_free)
            .max_by_key(|unit| self.left[*unit])
        else {
            return if self.left.iter().any(|left| *left > 0) {
                Next::Wait
            } else {
                Next::Over
            };
        };
        let times = self.left[unit].min(BUILT_FOR);
        self.left[unit] -= times;
        self.under_way.push(unit);
        Next::Run(unit, times)
    }

    pub fn put_back(&mut self, unit: usize) {
        self.under_way.retain(|other| *other != unit);
    }

    /// Runs the unit no more.
    pub fn finish(&mut self, unit: usize) {
        self.left[unit] = 0;
    }

    /// The number of runs that nobody has begun.
    pub fn left(&self) -> u32 {
        self.left.iter().sum()
    }

    /// Runs nothing more.
    pub fn stop(&mut self) {
        self.left.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(left: &[u32], apps: &[&str]) -> Plan {
        Plan {
            left: left.to_vec(),
            apps: apps.iter().map(PathBuf::from).collect(),
            under_way: Vec::new(),
        }
    }

    #[test]
    fn what_was_run_least_comes_first() {
        let mut plan = plan(&[6, 12, 12], &["a", "b", "c"]);
        assert_eq!(plan.take(), Next::Run(1, 5));
        assert_eq!(plan.take(), Next::Run(2, 5));
        plan.put_back(1);
        plan.put_back(2);
        let mut order = Vec::new();
        while let Next::Run(unit, times) = plan.take() {
            order.push((unit, times));
            plan.put_back(unit);
        }
        assert_eq!(order, [(1, 5), (2, 5), (0, 5), (1, 2), (2, 2), (0, 1)]);
        assert_eq!((plan.take(), plan.left()), (Next::Over, 0));
    }

    #[test]
    fn one_file_is_not_run_twice_at_a_time() {
        let mut plan = plan(&[6, 1], &["a", "a"]);
        assert_eq!(plan.take(), Next::Run(0, 5));
        assert_eq!(plan.take(), Next::Wait);
        plan.put_back(0);
        assert_eq!(plan.take(), Next::Run(0, 1));
        plan.put_back(0);
        assert_eq!(plan.take(), Next::Run(1, 1));
        assert_eq!(plan.take(), Next::Over);
    }

    #[test]
    fn what_failed_is_run_no_more() {
        let mut plan = plan(&[9, 9], &["a", "b"]);
        plan.finish(0);
        assert_eq!(plan.take(), Next::Run(1, 5));
        plan.stop();
        plan.put_back(1);
        assert_eq!(plan.take(), Next::Over);
    }
}
