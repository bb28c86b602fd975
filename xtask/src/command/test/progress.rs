//! The tests that are over: what is told of each, and what they come to.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::ProgressBar;

use crate::command::show;
use crate::testing::{self, Case, Outcome as End};
use planner::failure::{Failure, Outcome};
use planner::project::Project;

/// Counts, and shows how far it is.
pub struct Progress {
    bar: ProgressBar,
    pub filter: Option<String>,
    /// Appended to the names of cases on one of several machines.
    machine: String,
    stages: Vec<(String, Vec<Case>)>,
    started: Instant,
}

impl Progress {
    pub fn new(filter: Option<&str>) -> Self {
        let bar = if std::io::stdout().is_terminal() {
            show::spinner()
        } else {
            ProgressBar::hidden()
        };
        Self {
            bar,
            filter: filter.map(str::to_owned),
            machine: String::new(),
            stages: Vec::new(),
            started: Instant::now(),
        }
    }

    pub fn stage(&mut self, name: &str) {
        self.stage_on(name, "");
    }

    pub fn stage_on(&mut self, name: &str, machine: &str) {
        self.sum_up();
        machine.clone_into(&mut self.machine);
        let name = match machine {
            "" => name.to_owned(),
            machine => format!("{name} on {machine}"),
        };
        self.under_way(&name);
        self.stages.push((name, Vec::new()));
    }

    /// One line for the stage that is over.
    fn sum_up(&self) {
        let Some((name, cases)) = self.stages.last() else {
            return;
        };
        let [passed, failed, skipped] = testing::counts(cases);
        let at = self.started.elapsed().as_secs();
        self.print(&format!(
            "{name}: {passed} passed, {failed} failed, {skipped} skipped ({at} s)"
        ));
    }

    pub fn under_way(&self, name: &str) {
        self.bar.set_message(name.to_owned());
        self.bar.tick();
    }

    /// How far something long is: a line where there is no bar.
    pub fn far(&mut self, far: &str) {
        if self.bar.is_hidden() {
            println!("{far}");
        }
        self.under_way(far);
    }

    pub fn show(&mut self, case: Case) {
        // What was not asked for is told only where it kept the rest from being run: an image that hangs.
        let asked = self
            .filter
            .as_ref()
            .is_none_or(|filter| case.name.contains(filter.as_str()));
        if asked || case.failed() {
            self.record(case);
        }
    }

    pub fn record(&mut self, mut case: Case) {
        if !self.machine.is_empty() {
            case.name = format!("{} ({})", case.name, self.machine);
        }
        match &case.outcome {
            End::Passed => {}
            End::Skipped(why) => self.print(&format!("skipped {}: {why}", case.name)),
            End::Failed(why) => {
                let why = if why.is_empty() {
                    ""
                } else {
                    &format!(": {why}")
                };
                self.print(&format!("FAILED {}{why}", case.name));
                for line in &case.log {
                    self.print(&format!("    {line}"));
                }
            }
        }
        let name = case.name.clone();
        let Some((stage, cases)) = self.stages.last_mut() else {
            return;
        };
        cases.push(case);
        let message = format!("{stage}: {} done, {name}", cases.len());
        self.under_way(&message);
    }

    /// One image that cannot be built or started does not stop the others.
    pub fn survive(&mut self, name: &str, run: Outcome<()>) -> Outcome<()> {
        let why = match run {
            Ok(()) => return Ok(()),
            Err(Failure::Shown) => "it does not build".to_owned(),
            Err(Failure::Message(why)) => why,
        };
        self.show(Case::new(name, End::Failed(why)));
        Ok(())
    }

    pub fn print(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }

    pub fn finish(self, project: &Project) -> Outcome<u8> {
        self.sum_up();
        self.bar.finish_and_clear();
        let cases = || self.stages.iter().flat_map(|(_, cases)| cases);
        let [passed, failed, skipped] = testing::counts(cases());
        for case in cases().filter(|case| case.failed()) {
            println!("FAILED {}", case.name);
        }
        let [xml, text] = testing::write_reports(&project.target.join("test"), &self.stages)?;
        println!("reports: {} and {}", xml.display(), text.display());
        let skipped = match skipped {
            0 => String::new(),
            skipped => format!(", {skipped} skipped"),
        };
        println!("{passed} passed, {failed} failed{skipped}");
        Ok(u8::from(failed > 0))
    }
}
