//! The runner: the image's supervisor.

mod life;
mod line;
mod play;
mod requests;
mod system;

pub use system::{OnTarget, System};

use heapless::Vec;

use crate::Suite;
use crate::protocol::ROLES_MAX;
use life::Role;
use line::Line;
use play::Verdict;

/// Time for the roles to start before a case, nanoseconds; a held task is waited for as long.
const START: u64 = 2_000_000_000;
/// Longest case, nanoseconds.
const CASE: u64 = 3_000_000_000;

/// What it knows while it runs a suite.
pub(crate) struct Runner<'s, S> {
    pub system: S,
    pub suite: &'s Suite,
    pub roles: Vec<Role, ROLES_MAX>,
    pub notes: Vec<u64, 7>,
    pub note_count: u64,
}

/// Runs all cases and ends the run with the verdict.
pub fn run(suite: &Suite) -> ! {
    let failed = run_on(OnTarget, suite);
    userlib::privileged::exit(u8::from(failed != 0))
}

/// Runs all cases; gives how many failed.
pub fn run_on<S: System>(system: S, suite: &Suite) -> usize {
    let mut runner = Runner {
        system,
        suite,
        roles: Vec::new(),
        notes: Vec::new(),
        note_count: 0,
    };
    if let Err(missing) = runner.find_roles() {
        runner.print(format_args!("suite {}: no task {missing}", suite.name));
        return 1;
    }
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (number, case) in suite.cases().enumerate() {
        match runner.play(number, case) {
            Verdict::Passed => {
                passed += 1;
                runner.print(format_args!("case {} ok", case.name));
            }
            Verdict::Failed(why) => {
                failed += 1;
                runner.print(format_args!("case {} FAILED {why}", case.name));
            }
            Verdict::Skipped(why) => {
                skipped += 1;
                runner.print(format_args!("case {} skipped {why}", case.name));
            }
        }
    }
    let name = suite.name;
    runner.print(format_args!(
        "suite {name}: {passed} passed, {failed} failed, {skipped} skipped"
    ));
    failed
}

impl<S: System> Runner<'_, S> {
    fn print(&mut self, text: core::fmt::Arguments<'_>) {
        let mut line = Line::new();
        line.add(text);
        line.end();
        self.system.print(line.as_str());
    }
}
