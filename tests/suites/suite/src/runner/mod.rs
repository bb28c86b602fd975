//! The runner: the image's supervisor.

mod life;
mod line;
mod play;
mod requests;
mod system;

pub use system::{OnTarget, System};

use abi::notification;
use heapless::Vec;

use crate::Suite;
use crate::protocol::{ROLES_MAX, is_asked};
use crate::report::REPORT_MAX;
use life::Role;
use line::Line;
use play::Verdict;

/// Time for the roles to start before a case, nanoseconds; a held task is waited for as long. The clock of a guest that
/// is emulated is the host's and goes on while a busy host runs others: this and the next are for what hangs, and
/// nothing that only takes its time comes near.
const START: u64 = 30_000_000_000;
/// Longest case, nanoseconds.
const CASE: u64 = 60_000_000_000;
/// Time for the host to read what the tasks logged, after a case that failed, nanoseconds.
const READING: u64 = 1_000_000_000;

/// What it knows while it runs a suite.
pub(crate) struct Runner<'s, S> {
    pub system: S,
    pub suite: &'s Suite,
    pub roles: Vec<Role, ROLES_MAX>,
    pub notes: Vec<u64, 7>,
    pub note_count: u64,
}

/// Runs all cases that are asked for and ends the run with the verdict.
pub fn run(suite: &Suite) -> ! {
    let failed = run_on(OnTarget, suite);
    userlib::privileged::exit(u8::from(failed != 0))
}

/// Runs all cases that are asked for; gives how many failed.
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
        if !is_asked(number, |name| runner.system.parameter(name)) {
            continue;
        }
        let begun = runner.system.now();
        match runner.play(number, case) {
            Verdict::Passed => {
                passed += 1;
                runner.print(format_args!("case {} ok", case.name));
            }
            Verdict::Failed(why) => {
                failed += 1;
                runner.print_times(begun);
                runner.print(format_args!("case {} FAILED {why}", case.name));
                runner.pause(READING);
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

    /// When the case ran, by the clock of the logs.
    fn print_times(&mut self, begun: u64) {
        let (first, last) = (begun / 1000, self.system.now() / 1000);
        self.print(format_args!("between {first} and {last} us"));
    }

    /// Does nothing for a while; whoever asks for something meanwhile is stopped before the next case.
    fn pause(&mut self, time: u64) {
        let end = self.system.now().saturating_add(time);
        loop {
            let left = end.saturating_sub(self.system.now());
            if left == 0 {
                self.system.set_timer(None);
                return;
            }
            self.system.set_timer(Some(left));
            self.system
                .receive(notification::TIMER, &mut [0; REPORT_MAX]);
        }
    }
}
