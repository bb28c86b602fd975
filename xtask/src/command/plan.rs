//! `plan`: nothing is built.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::output::say_text;
use crate::steps;
use builder::show;
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;
use planner::project::Project;
use solver::solution;

/// Arguments of `plan`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// An app.toml; by default the one at the root
    pub app: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// How much the hardware is believed, whatever the file says
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Explain one device edge by edge
    #[arg(long, value_name = "DEVICE")]
    pub why: Option<String>,
    /// Show what changed in who can reach what since this plan (written with `--format json`)
    #[arg(long, value_name = "OLD.json")]
    pub diff: Option<PathBuf>,
    /// Draw the fabric
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Mode {
    /// What is not known to keep devices apart does not
    Strict,
    /// Linux's groups, its leniencies included
    Linux,
}

impl Arguments {
    /// The mode asked for; `None` is that of the file.
    pub fn mode(&self) -> Option<solution::Mode> {
        self.mode.map(|mode| match mode {
            Mode::Strict => solution::Mode::Strict,
            Mode::Linux => solution::Mode::Linux,
        })
    }
}

pub fn run(project: &Project, arguments: &Arguments) -> Outcome<u8> {
    let plan = steps::plan_in_mode(project, arguments.app.as_deref(), arguments.mode())?;
    if let Some(file) = &arguments.svg {
        std::fs::write(file, show::svg(&plan))
            .map_err(Failure::when(format!("cannot write {}", file.display())))?;
    }
    say_text!("{}", answer(&plan, arguments)?);
    Ok(0)
}

/// The answer that is printed for a plan.
pub fn answer(plan: &Plan, arguments: &Arguments) -> Outcome<String> {
    let mut answer = String::new();
    if let Some(device) = &arguments.why {
        answer += &show::why(plan, device).ok_or_else(|| {
            let names = show::names(plan).join(" ");
            Failure::new(format!("there is no device `{device}`; there are {names}"))
        })?;
    }
    if let Some(file) = &arguments.diff {
        let old = std::fs::read_to_string(file)
            .map_err(Failure::when(format!("cannot read {}", file.display())))?;
        answer += &show::diff(&old, plan).map_err(|why| {
            let file = file.display();
            Failure::new(format!("{file} cannot be compared with: {why}"))
        })?;
    }
    if arguments.why.is_none() && arguments.diff.is_none() && arguments.svg.is_none() {
        answer += &match arguments.format {
            Format::Text => show::text(plan, None),
            Format::Json => show::json(plan, None),
        };
    }
    Ok(answer)
}
