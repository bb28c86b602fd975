//! What decoding needs of a folder that was built earlier: the tasks of its plan, and their programs.

use std::path::Path;

use builder::pack::elf_name;
use builder::show::JSON_VERSION;
use planner::failure::{Failure, Outcome};
use serde::Deserialize;

/// A task of a built system.
pub struct Task {
    pub name: String,
    pub inspects: bool,
    /// Its program.
    pub elf: Vec<u8>,
}

#[derive(Deserialize)]
struct Described {
    version: u64,
    tasks: Vec<DescribedTask>,
}

#[derive(Deserialize)]
struct DescribedTask {
    name: String,
    inspects: bool,
}

/// The tasks of the system in a folder of `target/dist`, in the order of their numbers.
pub fn tasks(folder: &Path) -> Outcome<Vec<Task>> {
    let read = |name: &str| {
        let file = folder.join(name);
        let cannot = format!("cannot read {}", file.display());
        std::fs::read(&file).map_err(Failure::when(cannot))
    };
    let plan = read("plan.json")?;
    let cannot = format!(
        "{} is no plan of this version ({JSON_VERSION}) of the tool; build the system with `cargo xtask dist`",
        folder.join("plan.json").display()
    );
    let described = serde_json::from_slice::<Described>(&plan).ok();
    let described = described.filter(|described| described.version == JSON_VERSION);
    let described = described.ok_or_else(|| Failure::new(cannot))?;
    let tasks = described.tasks.into_iter().map(|task| {
        Ok(Task {
            elf: read(&elf_name(&task.name))?,
            name: task.name,
            inspects: task.inspects,
        })
    });
    tasks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plan: &str, programs: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plan.json"), plan).unwrap();
        for name in programs {
            std::fs::write(folder.path().join(name), b"elf").unwrap();
        }
        match tasks(folder.path()) {
            Ok(tasks) => Ok(tasks.into_iter().map(|task| task.name).collect()),
            Err(Failure::Message(why)) => Err(why),
            Err(Failure::Shown) => panic!("nothing was shown"),
        }
    }

    #[test]
    fn a_folder_of_this_version_and_others() {
        let tasks = r#"[{"name": "one", "inspects": false}]"#;
        let plan = |version: u64| format!(r#"{{"version": {version}, "tasks": {tasks}}}"#);
        let own = plan(JSON_VERSION);
        assert_eq!(names(&own, &["one.elf"]), Ok(vec!["one".to_owned()]));
        let missing = names(&own, &[]).unwrap_err();
        assert!(missing.contains("one.elf"), "{missing}");
        for other in [&plan(JSON_VERSION - 1), "no plan"] {
            let why = names(other, &["one.elf"]).unwrap_err();
            assert!(why.contains("cargo xtask dist"), "{why}");
        }
    }
}
