//! `test`: everything, or what a filter selects.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::coverage;
use crate::failure::Outcome;
use crate::project::Project;
use crate::qemu;
use crate::test::{self, Outcome as End, Result};

/// Arguments of `test`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Only host tests whose names contain this, or the suite on target of this name
    pub filter: Option<String>,
    /// Show what there is
    #[arg(long)]
    pub list: bool,
    /// Show which tests hold the code to which requirement of the reference
    #[arg(long)]
    pub coverage_of_spec: bool,
    /// The QEMU to use
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<std::path::PathBuf>,
}

pub fn run(project: &Project, arguments: &Arguments) -> Outcome<u8> {
    let root = &project.paths.root;
    let filter = arguments.filter.as_deref();
    let suites = test::images(root);
    if arguments.coverage_of_spec {
        let images: Vec<_> = suites.iter().map(|suite| suite.name.clone()).collect();
        let table = coverage::table(root, &images)?;
        print!("{table}");
        return Ok(u8::from(!table.is_complete()));
    }
    let named = suites
        .iter()
        .find(|suite| Some(suite.name.as_str()) == filter);
    let suites: Vec<_> = match (filter, named) {
        (None, _) => suites.iter().collect(),
        (Some(_), named) => named.into_iter().collect(),
    };
    let host = named.is_none();
    if arguments.list {
        for suite in &suites {
            println!("{}: suite on target", suite.name);
        }
        if host {
            for name in test::host_list(root, filter)? {
                println!("{name}");
            }
        }
        return Ok(0);
    }
    let mut progress = Progress::new();
    if host {
        progress.stage("host");
        test::host(root, filter, |result| progress.show(result))?;
    }
    if !suites.is_empty() {
        let qemu = qemu::find(arguments.qemu.as_deref())?;
        for suite in suites {
            progress.stage(&suite.name);
            test::image(project, suite, &qemu, |result| progress.show(result))?;
        }
    }
    Ok(progress.finish())
}

/// Counts, and shows how far it is.
struct Progress {
    bar: Option<ProgressBar>,
    stage: String,
    passed: usize,
    failed: Vec<Result>,
    skipped: usize,
}

impl Progress {
    fn new() -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}");
            ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Self {
            bar,
            stage: String::new(),
            passed: 0,
            failed: Vec::new(),
            skipped: 0,
        }
    }

    fn stage(&mut self, name: &str) {
        name.clone_into(&mut self.stage);
        if self.bar.is_none() {
            println!("{name}");
        }
    }

    fn show(&mut self, result: &Result) {
        match &result.outcome {
            End::Passed => self.passed += 1,
            End::Skipped(why) => {
                self.skipped += 1;
                self.print(&format!("skipped {}: {why}", result.name));
            }
            End::Failed(why) => {
                self.failed.push(result.clone());
                self.print(&format!("FAILED {} {why}", result.name));
            }
        }
        let done = self.passed + self.failed.len() + self.skipped;
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("{}: {done} done, {}", self.stage, result.name));
                bar.tick();
            }
            None if done % 100 == 0 => println!("{}: {done} done", self.stage),
            None => {}
        }
    }

    fn print(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => println!("{line}"),
        }
    }

    fn finish(self) -> u8 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        for result in &self.failed {
            println!("FAILED {}", result.name);
        }
        if self.skipped > 0 {
            println!("{} skipped", self.skipped);
        }
        println!("{} passed, {} failed", self.passed, self.failed.len());
        u8::from(!self.failed.is_empty())
    }
}
