//! `run`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::show;
use crate::disk::Digest;
use crate::output::say;
use crate::run::{self, End, Line, Observer, Options, Probe, Watch};
use crate::setup;
use crate::steps;
use planner::failure::Outcome;
use planner::project::Project;

/// Seconds after which a run that has to come to a verdict is given up.
const PATIENCE: u64 = 900;
/// A guest that says nothing for so long is remarked upon.
const SILENCE: Duration = Duration::from_secs(60);
/// The exit code of a program that Ctrl-C ends.
const INTERRUPTED: u8 = 130;

/// Arguments of `run`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// An app.toml; by default the one at the root
    pub app: Option<PathBuf>,
    /// A file to use as the disk; it is never changed
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// Give up after this many seconds; by default 900 if a task reports a verdict, else never
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// The QEMU to use
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<PathBuf>,
    /// Keep the console's bytes in this file, for `log`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Further QEMU arguments
    #[arg(last = true)]
    pub extra: Vec<String>,
}

pub fn run(project: &Project, arguments: Arguments) -> Outcome<u8> {
    let qemu = setup::emulator(arguments.qemu.as_deref(), &project.target)?;
    let built = steps::build_to_run(project, arguments.app.as_deref())?;
    let disks = run::disks(project, &built.plan, arguments.disk.as_ref())?;
    let digest = run::watched(&built.plan, &disks.files).map(Digest::start);
    // A system that reports no verdict has no end.
    let ends = built.plan.app.tasks.iter().any(|task| task.verdict);
    let limit = arguments.timeout.or(ends.then_some(PATIENCE));
    let options = Options {
        qemu,
        timeout: limit.map_or(Duration::MAX, Duration::from_secs),
        extra: arguments.extra,
        variations: Vec::new(),
        record: arguments.record,
    };
    let mut screen = Screen::new(show::width(&built.plan), Watch::new(&built.plan));
    let end = run::observe(&built, &disks.files, &options, &mut screen)?;
    let watch = screen.finish();
    if end == End::Interrupted {
        return Ok(INTERRUPTED);
    }
    let verdict = watch.verdict(&end, digest)?;
    if let Some(note) = verdict.note {
        say!("{note}");
    }
    Ok(verdict.code)
}

/// Shows the log; below it, on a terminal, that the guest is still running.
struct Screen {
    width: usize,
    colour: bool,
    watch: Watch,
    bar: ProgressBar,
    heard: Instant,
    remarked: bool,
}

impl Screen {
    fn new(width: usize, watch: Watch) -> Self {
        let colour = std::io::stdout().is_terminal();
        // Drawn on standard error, and not at all where that is no terminal.
        let bar = if colour {
            show::spinner()
        } else {
            ProgressBar::hidden()
        };
        Self {
            width,
            colour,
            watch,
            bar,
            heard: Instant::now(),
            remarked: false,
        }
    }

    fn finish(self) -> Watch {
        self.bar.finish_and_clear();
        self.watch
    }
}

impl Observer for Screen {
    fn line(&mut self, line: &Line, _: &mut Probe<'_>) {
        self.watch.see(line);
        self.heard = Instant::now();
        self.remarked = false;
        let text = show::line(line, self.width, self.colour);
        self.bar.suspend(|| say!("{text}"));
    }

    fn tick(&mut self, _: &mut Probe<'_>) {
        self.bar.tick();
        if !self.remarked && self.heard.elapsed() >= SILENCE {
            self.remarked = true;
            let seconds = SILENCE.as_secs();
            self.bar.suspend(|| {
                eprintln!("the guest has said nothing for {seconds} s; Ctrl-C ends it");
            });
        }
    }
}
