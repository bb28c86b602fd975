//! The repository, and the steps from an `app.toml` to a system.

use std::path::{Path, PathBuf};

use crate::{qemu, setup};
use builder::compile::{self, Programs, Workshop};
use builder::pack::{self, Dist};
use builder::tables::{self, Tables};
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;
use planner::read::{self, App, Paths};
use planner::report::{Report, Reported};
use solver::solution::Mode;

/// The places of the project's parts.
pub struct Project {
    pub paths: Paths,
    /// Cargo's target directory.
    pub target: PathBuf,
}

/// A system that was built.
pub struct Built {
    pub plan: Plan,
    pub programs: Programs,
    pub tables: Tables,
    pub dist: Dist,
}

impl Project {
    pub fn find() -> Outcome<Self> {
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = xtask
            .join("..")
            .canonicalize()
            .map_err(Failure::when("cannot find the repository"))?;
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        std::fs::create_dir_all(&target)
            .and_then(|()| target.canonicalize())
            .map(|target| Self {
                paths: Paths { root },
                target,
            })
            .map_err(Failure::when("cannot make the target directory"))
    }

    pub fn workshop(&self) -> Workshop {
        Workshop {
            root: self.paths.root.clone(),
            target: self.target.clone(),
        }
    }

    /// Does steps 1 and 2, which read the file and plan the system.
    pub fn plan(&self, app: Option<&Path>) -> Outcome<Plan> {
        self.plan_in_mode(app, None)
    }

    /// Plans like [`Self::plan`], in a mode other than that of the file.
    pub fn plan_in_mode(&self, app: Option<&Path>, mode: Option<Mode>) -> Outcome<Plan> {
        let report = Report::default();
        shown(&report, self.plan_reported(&report, app, mode))
    }

    /// Plans like [`Self::plan_in_mode`], but puts diagnostics into `report` instead of on the screen.
    pub fn plan_reported(
        &self,
        report: &Report,
        app: Option<&Path>,
        mode: Option<Mode>,
    ) -> Result<Plan, Reported> {
        let change = |app: &mut App| app.iommu.mode = mode.unwrap_or(app.iommu.mode);
        self.plan_with(report, app, change)
    }

    fn plan_with(
        &self,
        report: &Report,
        app: Option<&Path>,
        change: impl FnOnce(&mut App),
    ) -> Result<Plan, Reported> {
        let file = app.map_or_else(|| self.paths.root.join("app.toml"), Path::to_path_buf);
        let mut app = read::load(report, &self.paths, &file)?;
        change(&mut app);
        Plan::new(report, app)
    }

    /// Does all steps, from the file to the image.
    pub fn build(&self, app: Option<&Path>) -> Outcome<Built> {
        self.steps(app, |_| (), |_, _| Ok(()))
    }

    /// Does all steps, for a system that is to be run.
    pub fn build_to_run(&self, app: Option<&Path>) -> Outcome<Built> {
        self.build_to_run_changed(app, |_| ())
    }

    /// Builds like [`Self::build_to_run`], with a change of what the file says.
    pub fn build_to_run_changed(
        &self,
        app: Option<&Path>,
        change: impl FnOnce(&mut App),
    ) -> Outcome<Built> {
        self.steps(app, change, Plan::check_runnable)
    }

    fn steps(
        &self,
        app: Option<&Path>,
        change: impl FnOnce(&mut App),
        check: impl FnOnce(&Plan, &Report) -> Result<(), Reported>,
    ) -> Outcome<Built> {
        // One report for all steps: a later one points into files that the first one read.
        let report = Report::default();
        let plan = shown(&report, self.plan_with(&report, app, change))?;
        shown(&report, plan.check_buildable(&report))?;
        shown(&report, check(&plan, &report))?;
        setup::target()?;
        let programs = compile::compile(&self.workshop(), &plan.app)?;
        let tables = shown(&report, tables::build(&report, &plan, &programs))?;
        let script = |image: &Path| qemu::script(&plan, &self.target, image);
        let dist = pack::pack(&self.target, &plan, &programs, &tables, script)?;
        Ok(Built {
            plan,
            programs,
            tables,
            dist,
        })
    }
}

/// Shows what a step reported, warnings of a successful one included.
fn shown<T>(report: &Report, result: Result<T, Reported>) -> Outcome<T> {
    report.show();
    Ok(result?)
}
