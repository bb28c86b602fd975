//! `inspect`: the state of a running system, from the snapshots that a task of it logs.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use status_api::{Record, VERSION};

use crate::output::say;
use crate::run::status::{self, Told};
use crate::run::{self, End, Line, Observer, Options, Probe};
use crate::setup;
use crate::steps::{self, Built};
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;
use planner::project::Project;

/// Seconds without a whole snapshot after which there will be none.
const PATIENCE: u64 = 60;

/// Arguments of `inspect`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// An app.toml; by default the one at the root. One of its tasks has to be declared `inspects`
    pub app: Option<PathBuf>,
    /// Print the first snapshot that the system is so many seconds old for
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub after: u64,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Read what came over a serial line from this file instead, and print the last whole snapshot
    #[arg(long, value_name = "FILE", conflicts_with_all = ["after", "qemu"])]
    pub console: Option<PathBuf>,
    /// The QEMU to use
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<PathBuf>,
    /// Further QEMU arguments
    #[arg(last = true)]
    pub extra: Vec<String>,
}

pub fn run(project: &Project, arguments: &Arguments) -> Outcome<u8> {
    let app = arguments.app.as_deref();
    // Before anything is built for it.
    if !steps::plan(project, app)?
        .app
        .tasks
        .iter()
        .any(|task| task.inspects)
    {
        return Err(Failure::new(
            "no task of this system may inspect it; add a task with `crate = \"status\"` and `inspects = true` \
             (docs/reference/status-protocol.md)",
        ));
    }
    let built = match arguments.console {
        Some(_) => steps::build(project, app)?,
        None => steps::build_to_run(project, app)?,
    };
    let round = match &arguments.console {
        Some(file) => recorded(&built, file)?,
        None => live(project, &built, arguments)?,
    };
    let names = names(&built.plan);
    if arguments.json {
        say!("{:#}", json(&round, &names));
    } else {
        for record in &round.records {
            say!("{}", status::line(record, &names));
        }
    }
    Ok(0)
}

fn names(plan: &Plan) -> Vec<&str> {
    let tasks = plan.app.tasks.iter();
    tasks.map(|task| task.name.value.as_str()).collect()
}

/// The last whole round in what a serial line brought.
fn recorded(built: &Built, file: &std::path::Path) -> Outcome<Round> {
    let cannot = format!("cannot read {}", file.display());
    let bytes = std::fs::read(file).map_err(Failure::when(cannot))?;
    let mut rounds = Rounds::default();
    run::lines(built, &bytes, |line| rounds.see(line));
    rounds.whole.ok_or_else(|| none(&rounds.unreadable))
}

/// Runs the system until a round is whole.
fn live(project: &Project, built: &Built, arguments: &Arguments) -> Outcome<Round> {
    let qemu = setup::emulator(arguments.qemu.as_deref(), &project.target)?;
    let disks = run::disks(project, &built.plan, None)?;
    let options = Options {
        qemu,
        timeout: Duration::from_secs(arguments.after.saturating_add(PATIENCE)),
        extra: arguments.extra.clone(),
        variations: Vec::new(),
        record: None,
    };
    let mut follower = Follower {
        rounds: Rounds::default(),
        after: Duration::from_secs(arguments.after),
        started: std::time::Instant::now(),
    };
    let end = run::observe(built, &disks.files, &options, &mut follower)?;
    let Rounds {
        whole, unreadable, ..
    } = follower.rounds;
    match whole {
        Some(round) => Ok(round),
        None if matches!(end, End::Timeout(_) | End::Exit(_)) => Err(none(&unreadable)),
        None => Err(Failure::new(end.to_string())),
    }
}

fn none(unreadable: &Option<String>) -> Failure {
    let why = unreadable.as_ref().map_or_else(
        || "the task that inspects logged no whole snapshot".to_owned(),
        |why| format!("a snapshot cannot be read: {why}"),
    );
    Failure::new(why)
}

/// The records of one round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Round {
    number: u32,
    records: Vec<Record>,
}

/// Puts rounds together.
#[derive(Debug, Default)]
struct Rounds {
    open: Round,
    whole: Option<Round>,
    unreadable: Option<String>,
}

impl Rounds {
    fn see(&mut self, line: &Line) {
        match &line.status {
            None => {}
            Some(Err(why)) => self.unreadable = Some(format!("{why:?}")),
            Some(Ok(Told::Record(number, record))) => {
                if *number != self.open.number {
                    self.open = Round {
                        number: *number,
                        records: Vec::new(),
                    };
                }
                self.open.records.push(record.clone());
            }
            Some(Ok(Told::End(number, records))) => {
                let round = std::mem::take(&mut self.open);
                // Records that were lost on the way are missing.
                if (round.number, round.records.len()) == (*number, *records as usize) {
                    self.whole = Some(round);
                }
            }
        }
    }
}

/// Follows a run until there is a round that is new enough.
struct Follower {
    rounds: Rounds,
    after: Duration,
    started: std::time::Instant,
}

impl Observer for Follower {
    fn line(&mut self, line: &Line, _: &mut Probe<'_>) {
        if !self.is_satisfied() {
            self.rounds.see(line);
            if self.started.elapsed() < self.after {
                self.rounds.whole = None;
            }
        }
    }

    fn is_satisfied(&self) -> bool {
        self.rounds.whole.is_some()
    }
}

/// The document that scripts read; its keys are spelled as those of plan.json.
fn json(round: &Round, names: &[&str]) -> Value {
    let of = |pick: &dyn Fn(&Record) -> Option<Value>| -> Vec<Value> {
        round.records.iter().filter_map(pick).collect()
    };
    json!({
        "version": VERSION,
        "snapshot": round.number,
        "tasks": of(&|record| match record {
            Record::Task(task) => Some(json!({
                "name": task.name.as_str(),
                "state": status::state(task.state),
                "generation": task.generation,
                "restarts": task.restarts,
                "last-fault": status::fault(task.last_fault),
                "verdict": status::verdict(task.verdict),
            })),
            _ => None,
        }),
        "smmus": of(&|record| match record {
            Record::Smmu(smmu) => Some(json!({
                "name": smmu.name.as_str(),
                "used": status::used(smmu.used),
                "adopted": smmu.adopted,
                "command-queue": smmu.commands,
                "event-queue": smmu.events,
                "events-waiting": smmu.events_waiting,
                "lost": smmu.lost,
            })),
            _ => None,
        }),
        "devices": of(&|record| match record {
            Record::Device(device) => Some(json!({
                "name": device.name.as_str(),
                "smmu": device.smmu,
                "claim": status::claim(device.claim),
                "task": status::holder(device, names),
                "flags": device.flags().collect::<Vec<_>>(),
                "mapped-pages": device.mapped_pages,
                "window-pages": device.window_pages,
                "window-blocks": device.window_blocks,
                "pins": device.pins,
                "faults": device.faults,
                "claims": device.claims,
            })),
            _ => None,
        }),
        "functions": of(&|record| match record {
            Record::Function(function) => Some(json!({
                "name": function.name.as_str(),
                "found": status::found(function.found),
                "reason": status::reason(function.reason),
                "requester-id": function.requester_id,
                "id": format!("{:04x}:{:04x}", function.vendor_id, function.device_id),
                "bus-master": function.bus_master,
                "quiesce": status::quiesce(function.quiesce),
            })),
            _ => None,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Level;
    use status_api::{Name, Task, TaskState, Unreadable, Verdict};

    fn record(name: &str) -> Record {
        Record::Task(Task {
            name: Name::new(name),
            state: TaskState::Up,
            generation: 2,
            restarts: 1,
            last_fault: 12,
            verdict: Verdict::None,
        })
    }

    fn whole(told: impl IntoIterator<Item = Result<Told, Unreadable>>) -> Option<Round> {
        let mut rounds = Rounds::default();
        for told in told {
            rounds.see(&Line {
                task: Some("status".to_owned()),
                level: Level::Plain,
                text: String::new(),
                status: Some(told),
            });
        }
        rounds.whole
    }

    #[test]
    fn a_round_is_whole_or_none() {
        let one = || Ok(Told::Record(1, record("pci")));
        let two = |name| Ok(Told::Record(2, record(name)));
        assert_eq!(whole([one(), Ok(Told::End(1, 2))]), None);
        assert_eq!(whole([one(), Ok(Told::End(2, 1))]), None);
        assert_eq!(whole([one()]), None);
        // The end of the first was lost, and so was nothing of the second.
        let both = [one(), two("pci"), two("log"), Ok(Told::End(2, 2))];
        let round = whole(both).unwrap();
        assert_eq!((round.number, round.records.len()), (2, 2));
        // A record that cannot be read is missing.
        let bad = Err(Unreadable::Version(2));
        assert_eq!(whole([one(), bad, Ok(Told::End(1, 2))]), None);
    }

    #[test]
    fn scripts_read_names() {
        let round = Round {
            number: 1,
            records: vec![record("pci")],
        };
        let json = json(&round, &[]);
        assert_eq!(json["tasks"][0]["name"], "pci");
        assert_eq!(json["tasks"][0]["last-fault"], "panic");
        assert_eq!(json["devices"], json!([]));
    }
}
