//! Who dies in the runs of `tests/systems/chaos`: one image, with other weights of the reaper's for each run.

use planner::read::{App, Parameter};

/// The folder below `tests/systems/`, and what the runs' names begin with.
pub const CHAOS: &str = "chaos";

/// One run.
pub struct Chaos {
    pub name: &'static str,
    /// What the reaper is told instead of what the file says; victims that are not named here are none.
    parameters: &'static [(&'static str, Parameter)],
    /// Devices lose their state whenever the PCI task dies.
    forgetful: bool,
}

/// A run is this but for what it says.
const USUAL: Chaos = Chaos {
    name: "",
    parameters: &[],
    forgetful: false,
};

const fn number(name: &'static str, value: u64) -> (&'static str, Parameter) {
    (name, Parameter::Number(value))
}

const fn milliseconds(name: &'static str, value: u64) -> (&'static str, Parameter) {
    (name, Parameter::Nanoseconds(value * 1_000_000))
}

const VICTIMS: [&str; 6] = ["pci", "iommu", "virtio-blk", "first", "second", "churn"];

/// All runs but the file as it stands.
pub const RUNS: [Chaos; 8] = [
    Chaos {
        name: "pci-dies-once",
        parameters: &[number("pci", 1), number("kills", 1), number("together", 1)],
        ..USUAL
    },
    Chaos {
        name: "pci-dies",
        parameters: &[
            number("pci", 1),
            number("together", 1),
            milliseconds("shortest", 20),
            milliseconds("longest", 60),
        ],
        ..USUAL
    },
    Chaos {
        name: "devices-lose-their-state",
        // A driver whose device was cut off ends its life.
        parameters: &[
            number("pci", 8),
            number("virtio-blk", 1),
            number("together", 1),
            milliseconds("shortest", 20),
            milliseconds("longest", 60),
        ],
        forgetful: true,
    },
    Chaos {
        name: "iommu-dies",
        parameters: &[
            number("iommu", 1),
            number("together", 1),
            milliseconds("shortest", 20),
            milliseconds("longest", 60),
        ],
        ..USUAL
    },
    Chaos {
        name: "servers-die-together",
        parameters: &[number("pci", 1), number("iommu", 1)],
        ..USUAL
    },
    Chaos {
        name: "drivers-die",
        parameters: &[number("virtio-blk", 3), number("churn", 1)],
        ..USUAL
    },
    Chaos {
        name: "clients-die",
        parameters: &[number("first", 1), number("second", 1)],
        ..USUAL
    },
    Chaos {
        name: "lenders-and-driver-die",
        parameters: &[
            number("first", 1),
            number("second", 1),
            number("virtio-blk", 2),
        ],
        ..USUAL
    },
];

impl Chaos {
    /// Makes it of the file.
    pub fn change(&self, app: &mut App) {
        app.name = format!("{CHAOS}-{}", self.name);
        for victim in VICTIMS {
            set(app, victim, &Parameter::Number(0));
        }
        for (name, value) in self.parameters {
            set(app, name, value);
        }
        if self.forgetful {
            forget(app);
        }
    }
}

/// As the file stands, with another seed and for long.
pub fn lengthen(app: &mut App) {
    app.name.push_str("-long");
    set(app, "seed", &Parameter::Number(2));
    set(app, "kills", &Parameter::Number(10_000));
}

/// The PCI task becomes one whose machine forgets; its crate is the reaper's neighbour.
fn forget(app: &mut App) {
    let folder = |app: &App, name| {
        let task = app.tasks.iter().find(|task| task.name.value == name)?;
        Some(task.folder.with_file_name("forgetful"))
    };
    let forgetful = folder(app, "reaper");
    let pci = app.tasks.iter_mut().find(|task| task.name.value == "pci");
    if let (Some(pci), Some(forgetful)) = (pci, forgetful) {
        pci.folder = forgetful;
    }
}

fn set(app: &mut App, name: &str, value: &Parameter) {
    let reaper = app
        .tasks
        .iter_mut()
        .find(|task| task.name.value == "reaper");
    let parameters = reaper.into_iter().flat_map(|reaper| &mut reaper.parameters);
    for (_, parameter) in parameters.filter(|(of, _)| of.value == name) {
        parameter.value = value.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use planner::read::{self, Paths};
    use planner::report::Report;
    use std::path::Path;

    fn app() -> App {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let paths = Paths {
            root: root.to_path_buf(),
        };
        let report = Report::default();
        read::load(&report, &paths, &root.join("tests/systems/chaos/app.toml")).unwrap()
    }

    fn parameter(app: &App, name: &str) -> Option<Parameter> {
        let reaper = app.tasks.iter().find(|task| task.name.value == "reaper")?;
        let found = reaper.parameters.iter().find(|(of, _)| of.value == name);
        found.map(|(_, value)| value.value.clone())
    }

    #[test]
    fn every_parameter_of_a_run_is_one_of_the_file() {
        for run in RUNS {
            let mut app = app();
            run.change(&mut app);
            for (name, value) in run.parameters {
                assert_eq!(
                    parameter(&app, name).as_ref(),
                    Some(value),
                    "{}: {name}",
                    run.name
                );
            }
            let pci = app.tasks.iter().find(|task| task.name.value == "pci");
            let folder = &pci.unwrap().folder;
            assert_eq!(folder.ends_with("chaos/forgetful"), run.forgetful);
            assert!(folder.join("Cargo.toml").exists());
            let named = |victim: &&str| run.parameters.iter().any(|(name, _)| name == victim);
            for victim in VICTIMS.iter().filter(|victim| !named(victim)) {
                assert_eq!(parameter(&app, victim), Some(Parameter::Number(0)));
            }
        }
    }
}
