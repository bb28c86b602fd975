//! `test`: everything, or what a filter selects.

mod load;
mod progress;

use std::path::PathBuf;

use crate::bench;
use crate::requirements;
use crate::steps;
use crate::testing::{
    self, Asked, Case, HostPrograms, LONG, Matrix, Outcome as End, Row, Suite, System,
};
use planner::failure::Outcome;
use planner::project::Project;
use progress::Progress;

/// The filter that names the run under Miri, which takes minutes and another compiler.
const MIRI: &str = "miri";

/// The stage of what is counted.
const BENCH: &str = "bench";

/// Arguments of `test`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Only tests whose names contain this; `miri` runs the kernel's host tests under Miri, which is installed
    /// if it is missing, `long` or the name of one what takes long, `load` everything on target fifty times beside busy loops
    pub filter: Option<String>,
    /// Show what there is
    #[arg(long)]
    pub list: bool,
    /// Show which tests hold the code to which requirement of the reference
    #[arg(long)]
    pub coverage_of_spec: bool,
    /// Run what runs on target with two versions of QEMU and with each SMMU they offer
    #[arg(long)]
    pub matrix: bool,
    /// A QEMU to use; may be given several times
    #[arg(long, value_name = "PATH")]
    pub qemu: Vec<PathBuf>,
}

pub fn run(project: &Project, arguments: &Arguments) -> Outcome<u8> {
    let filter = arguments.filter.as_deref();
    if arguments.coverage_of_spec {
        let all = Target::select(project, None)?;
        let table = requirements::table(&project.root, &all.names())?;
        print!("{table}");
        return Ok(u8::from(!table.is_complete()));
    }
    if filter == Some(MIRI) {
        let mut progress = Progress::new(filter);
        progress.stage(MIRI);
        testing::miri(&project.root, &mut |case| progress.show(case))?;
        return progress.finish(project);
    }
    if let Some(filter) = filter.filter(|filter| filter.starts_with(testing::MUTATIONS)) {
        let mut progress = Progress::new(Some(filter));
        progress.stage(testing::MUTATIONS);
        let root = &project.root;
        let show = &mut |case| progress.show(case);
        testing::mutations(root, &project.target, filter, show)?;
        return progress.finish(project);
    }
    if let Some(filter) = filter.filter(|filter| filter.starts_with(testing::LOAD)) {
        return load::run(project, arguments, filter);
    }
    if let Some(filter) = filter.filter(|filter| filter.starts_with(LONG)) {
        return run_long(project, arguments, filter);
    }
    let target = Target::select(project, filter)?;
    let host = if target.is_meant_by(filter) {
        Ok(HostPrograms::none())
    } else {
        HostPrograms::build(&project.root)
    };
    if let (Ok(host), Some(filter)) = (&host, filter)
        && target.is_empty()
        && host.select(Some(filter)).is_empty()
    {
        return nothing_fits(project, host, filter);
    }
    if arguments.list {
        return list(&host?, &target, filter).map(|()| 0);
    }
    let mut progress = Progress::new(filter);
    match &host {
        Ok(programs) => run_host(programs, &mut progress)?,
        // Cargo has shown why; what runs on target may be built all the same.
        Err(_) => {
            progress.stage("host");
            progress.show(Case::new(
                "host",
                End::Failed("it does not build".to_owned()),
            ));
        }
    }
    if !target.is_empty() {
        run_target(project, arguments, &target, &mut progress)?;
    }
    progress.finish(project)
}

/// Long runs whose names contain the filter.
fn run_long(project: &Project, arguments: &Arguments, filter: &str) -> Outcome<u8> {
    let programs = testing::LONG_PROGRAMS.iter();
    let programs = programs.filter(|program| program.name.contains(filter));
    let mut target = Target {
        suites: Vec::new(),
        systems: testing::long_systems(&project.root)?,
        rows: Vec::new(),
        profile: false,
    };
    target.systems.retain(|system| system.name.contains(filter));
    if arguments.list {
        programs.for_each(|program| println!("{}", program.name));
        target
            .systems
            .iter()
            .for_each(|system| println!("{}", system.name));
        return Ok(0);
    }
    let mut progress = Progress::new(Some(filter));
    progress.stage("long runs");
    for program in programs {
        progress.under_way(program.name);
        let case = testing::long_program(&project.root, program)?;
        progress.show(case);
    }
    if !target.is_empty() {
        run_target(project, arguments, &target, &mut progress)?;
    }
    progress.finish(project)
}

/// The exit code of a command that was not understood, as for an unknown argument.
const MISUNDERSTOOD: u8 = 2;

/// Says what the filter may have been meant to be.
fn nothing_fits(project: &Project, host: &HostPrograms, filter: &str) -> Outcome<u8> {
    let all = Target::select(project, None)?;
    let mut names = all.case_names()?;
    names.extend(host.names());
    names.extend(all.counted());
    names.extend(all.systems.into_iter().map(|system| system.name));
    names.extend(testing::LONG_PROGRAMS.map(|program| program.name.to_owned()));
    let long = testing::long_systems(&project.root)?;
    names.extend(long.into_iter().map(|system| system.name));
    let meant = testing::suggest(filter, names.iter().map(String::as_str));
    eprintln!("error: {}", testing::nothing_fits(filter, &meant));
    Ok(MISUNDERSTOOD)
}

/// The part of a test run that runs on target.
struct Target {
    suites: Vec<(Suite, Asked)>,
    systems: Vec<System>,
    /// Names of the rows that are counted.
    rows: Vec<String>,
    /// Whether one is shown instruction by instruction.
    profile: bool,
}

impl Target {
    /// Systems and cases whose names the filter fits; a filter that begins like a system or like a suite with its
    /// cases means nothing else.
    fn select(project: &Project, filter: Option<&str>) -> Outcome<Self> {
        let root = &project.root;
        let mut systems = testing::systems(root)?;
        let all = testing::images(root)?;
        let means = |filter: &str| {
            let begins = |system: &System| system.name.starts_with(filter);
            is_row(Some(filter))
                || systems.iter().any(begins)
                || all.iter().any(|suite| is_of(suite, filter))
        };
        let certain = filter.is_some_and(means);
        systems.retain(|system| testing::fits(filter, &system.name));
        let mut suites = Vec::new();
        for suite in all {
            let prefix = format!("{}::", suite.name);
            let asked = match filter {
                _ if testing::fits(filter, &prefix) => Asked::All,
                Some(filter) if certain && !is_of(&suite, filter) => continue,
                _ => {
                    let cases = suite.cases()?.into_iter().enumerate();
                    let fits = |name: &str| testing::fits(filter, &format!("{prefix}{name}"));
                    let asked = cases.filter(|(_, case)| fits(&case.name));
                    Asked::Cases(asked.map(|(number, _)| number).collect())
                }
            };
            if asked != Asked::Cases(Vec::new()) {
                suites.push((suite, asked));
            }
        }
        let rows = bench::ROWS.iter().map(bench::Row::case);
        let meant = |row: &String| testing::fits(filter, row) && (!certain || is_row(filter));
        let rows = rows.filter(meant);
        Ok(Self {
            suites,
            systems,
            rows: rows.collect(),
            profile: meant(&bench::PROFILE.to_owned()),
        })
    }

    /// The first version of QEMU that has the machines of all of them; nothing if any has.
    fn since(&self, project: &Project) -> Option<(u32, u32)> {
        let suites = self.suites.iter().map(|(suite, _)| suite.since(project));
        let systems = self.systems.iter().map(|system| system.since(project));
        suites.chain(systems).flatten().max()
    }

    fn names(&self) -> Vec<String> {
        let suites = self.suites.iter().map(|(suite, _)| suite.name.clone());
        let systems = self.systems.iter().map(|system| system.name.clone());
        suites
            .chain(systems)
            .chain(self.rows.iter().cloned())
            .collect()
    }

    /// Names of the tests that count instructions.
    fn counted(&self) -> impl Iterator<Item = String> {
        let profile = self.profile.then(|| bench::PROFILE.to_owned());
        self.rows.iter().cloned().chain(profile)
    }

    /// Full names of the cases that are asked for.
    fn case_names(&self) -> Outcome<Vec<String>> {
        let mut names = Vec::new();
        for (suite, asked) in &self.suites {
            let cases = suite.cases()?.into_iter().enumerate();
            let asked = |number: &usize| match asked {
                Asked::All => true,
                Asked::Cases(numbers) => numbers.contains(number),
            };
            let cases = cases.filter(|(number, _)| asked(number));
            names.extend(cases.map(|(_, case)| format!("{}::{}", suite.name, case.name)));
        }
        Ok(names)
    }

    /// Whether the filter can only mean something that runs on target.
    fn is_meant_by(&self, filter: Option<&str>) -> bool {
        let Some(filter) = filter else { return false };
        let mut suites = self.suites.iter();
        is_row(Some(filter))
            || suites.any(|(suite, _)| is_of(suite, filter))
            || self
                .systems
                .iter()
                .any(|system| system.name.starts_with(filter))
    }

    fn is_empty(&self) -> bool {
        self.suites.is_empty() && self.systems.is_empty() && self.counted().next().is_none()
    }
}

/// Whether the filter can only mean rows.
fn is_row(filter: Option<&str>) -> bool {
    filter.is_some_and(|filter| filter.starts_with("bench::"))
}

/// Whether the filter names the suite, or begins with its name.
fn is_of(suite: &Suite, filter: &str) -> bool {
    filter == suite.name || filter.starts_with(&format!("{}::", suite.name))
}

fn list(host: &HostPrograms, target: &Target, filter: Option<&str>) -> Outcome<()> {
    for (program, tests) in host.select(filter) {
        for test in tests {
            println!("{}", program.name(&test));
        }
    }
    for name in target.case_names()? {
        println!("{name}");
    }
    let systems = target.systems.iter().map(|system| system.name.clone());
    for name in systems.chain(target.counted()) {
        println!("{name}");
    }
    Ok(())
}

fn run_host(programs: &HostPrograms, progress: &mut Progress) -> Outcome<()> {
    let selected = programs.select(progress.filter.as_deref());
    if !selected.is_empty() {
        progress.stage("host");
    }
    for (program, tests) in selected {
        program.run(&tests, &mut |case| progress.show(case))?;
    }
    Ok(())
}

fn run_target(
    project: &Project,
    arguments: &Arguments,
    target: &Target,
    progress: &mut Progress,
) -> Outcome<()> {
    let matrix = if arguments.matrix {
        let platform = steps::plan(project, None)?.app.platform;
        let since = target.since(project);
        Matrix::whole(&arguments.qemu, &project.target, &platform, since)?
    } else {
        Matrix::plain(&arguments.qemu, &project.target)?
    };
    let several = matrix.rows.len() > 1;
    for row in &matrix.rows {
        let name = if several { row.name() } else { String::new() };
        run_row(project, target, row, &name, progress)?;
    }
    if !matrix.omitted.is_empty() {
        progress.stage("matrix");
    }
    for (what, why) in matrix.omitted {
        progress.record(Case::new(what, End::Skipped(why)));
    }
    Ok(())
}

/// Everything that one machine is for.
fn run_row(
    project: &Project,
    target: &Target,
    row: &Row,
    name: &str,
    progress: &mut Progress,
) -> Outcome<()> {
    let suites = target.suites.iter().filter(|(suite, _)| suite.fits(row));
    for (suite, asked) in suites.filter(|(suite, _)| row.is_for(suite.since(project))) {
        progress.stage_on(&suite.name, name);
        if row.stage1 {
            let run = testing::image(project, suite, asked, row, &mut |case| progress.show(case));
            progress.survive(&suite.name, run)?;
        } else {
            let why = "the SMMU has no stage 1";
            let whole = format!("{}::*", suite.name);
            progress.record(Case::new(whole, End::Skipped(why.to_owned())));
        }
    }
    let mut systems = target
        .systems
        .iter()
        .filter(|system| system.fits(row) && row.is_for(system.since(project)))
        .peekable();
    if systems.peek().is_some() {
        progress.stage_on("systems", name);
    }
    for system in systems {
        let run = run_system(project, system, row, progress);
        progress.survive(&system.name, run)?;
    }
    let is_counted = row.variant.is_empty() && row.stage1 && row.beyond.is_none();
    if is_counted && target.counted().next().is_some() {
        progress.stage_on(BENCH, name);
        let run = run_bench(project, target, row, progress);
        progress.survive(BENCH, run)?;
    }
    Ok(())
}

/// Counts, and compares with the figures that are kept.
fn run_bench(
    project: &Project,
    target: &Target,
    row: &Row,
    progress: &mut Progress,
) -> Outcome<()> {
    if target.profile {
        progress.under_way(bench::PROFILE);
        progress.show(bench::profile_case(project, &row.qemu)?);
    }
    if target.rows.is_empty() {
        return Ok(());
    }
    let kept = bench::Kept::read(&project.root.join(bench::FIGURES))?;
    let figures = bench::run(project, &row.qemu, |_| ())?;
    let cases = bench::cases(&figures, &kept, progress.filter.as_deref());
    cases.into_iter().for_each(|case| progress.show(case));
    Ok(())
}

fn run_system(
    project: &Project,
    system: &System,
    row: &Row,
    progress: &mut Progress,
) -> Outcome<()> {
    progress.under_way(&system.name);
    let case = testing::system(project, system, row)?;
    progress.show(case);
    Ok(())
}
