//! Dependencies between crates go downward: each room says which rooms its crates may use, and all of those are below it.

use std::path::{Path, PathBuf};
use std::process::Command;

use planner::failure::{Failure, Outcome};
use serde::Deserialize;

/// The rooms from the top down, and what the crates of each may use. A room is a folder, and what lies deeper in it if no
/// longer name fits. `-api` are the crates whose names end so, wherever they are: the interfaces.
const ROOMS: [(&str, &[&str]); 20] = [
    (
        "xtask",
        &[
            "tests",
            "xtask/builder",
            "xtask/verify",
            "xtask/planner",
            "xtask/import",
            "xtask/solver",
            "task",
            "-api",
            "sys/userlib",
            "sys/plan",
            "sys/smmu",
            "sys/its",
            "sys/abi",
        ],
    ),
    (
        "tests/host",
        &[
            "tests/host",
            "xtask/builder",
            "xtask/planner",
            "xtask/import",
            "xtask/solver",
            "drv",
            "drv/blk-server",
            "task",
            "-api",
            "drv/queue-api",
            "sys/kern",
            "sys/userlib",
            "sys/plan",
            "sys/vmsa",
            "sys/smmu",
            "sys/its",
            "sys/abi",
        ],
    ),
    (
        "tests",
        &[
            "tests",
            "drv",
            "drv/blk-server",
            "task",
            "-api",
            "drv/queue-api",
            "sys/userlib",
            "sys/plan",
            "sys/vmsa",
            "sys/smmu",
            "sys/its",
            "sys/abi",
        ],
    ),
    (
        "xtask/builder",
        &[
            "xtask/verify",
            "xtask/planner",
            "xtask/solver",
            "sys/plan",
            "sys/vmsa",
            "sys/smmu",
            "sys/its",
            "sys/abi",
        ],
    ),
    ("xtask/verify", &[]),
    (
        "xtask/planner",
        &[
            "xtask/import",
            "xtask/solver",
            "sys/plan",
            "sys/smmu",
            "sys/its",
            "sys/abi",
        ],
    ),
    ("xtask/import", &["xtask/solver"]),
    ("xtask/solver", &[]),
    (
        "drv",
        &[
            "drv/blk-server",
            "-api",
            "drv/queue-api",
            "sys/userlib",
            "sys/abi",
        ],
    ),
    // What drivers of disks have in common.
    (
        "drv/blk-server",
        &["-api", "drv/queue-api", "sys/userlib", "sys/abi"],
    ),
    (
        "task",
        &[
            "-api",
            "sys/userlib",
            "sys/plan",
            "sys/vmsa",
            "sys/smmu",
            "sys/its",
            "sys/abi",
        ],
    ),
    ("-api", &["drv/queue-api", "sys/userlib", "sys/abi"]),
    // What the interfaces of drivers have in common.
    ("drv/queue-api", &["sys/userlib", "sys/abi"]),
    ("sys/kern", &["sys/plan", "sys/abi"]),
    ("sys/userlib", &["sys/plan", "sys/abi"]),
    ("sys/plan", &["sys/abi"]),
    ("sys/vmsa", &[]),
    ("sys/smmu", &[]),
    ("sys/its", &[]),
    ("sys/abi", &[]),
];

/// The part of cargo's answer that is of interest.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    /// The folder of a crate of this repository.
    path: Option<PathBuf>,
}

/// A crate that uses another, both by their folders.
type Arrow = (String, String);

/// Fails if a crate uses another that is not below it.
pub fn layers(root: &Path) -> Outcome<()> {
    let (crates, arrows) = read(root)?;
    let wrong = complaints(&crates, &arrows);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "dependencies between crates do not go downward, as xtask/src/lint/layers.rs has it:\n  {}",
        wrong.join("\n  ")
    )))
}

/// The crates of the workspace, and who uses whom: tests and build scripts count like anything else.
fn read(root: &Path) -> Outcome<(Vec<String>, Vec<Arrow>)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["metadata", "--no-deps", "--locked", "--format-version", "1"])
        .output()
        .map_err(Failure::when("cannot run cargo"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::new(why));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(Failure::when(
        "cannot read what cargo says of the workspace",
    ))?;
    let name = |folder: &Path| {
        let folder = folder.strip_prefix(root).unwrap_or(folder);
        folder.to_string_lossy().into_owned()
    };
    let mut crates = Vec::new();
    let mut arrows = Vec::new();
    for package in &metadata.packages {
        let own = name(package.manifest_path.parent().unwrap_or(root));
        let used = package
            .dependencies
            .iter()
            .filter_map(|used| used.path.as_deref());
        arrows.extend(used.map(|used| (own.clone(), name(used))));
        crates.push(own);
    }
    Ok((crates, arrows))
}

/// What is wrong with a workspace.
fn complaints(crates: &[String], arrows: &[Arrow]) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    for (user, used) in arrows {
        let (Some(of_user), Some(of_used)) = (room(user), room(used)) else {
            continue;
        };
        if user != used && !ROOMS[of_user].1.contains(&ROOMS[of_used].0) {
            let (above, below) = (ROOMS[of_user].0, ROOMS[of_used].0);
            wrong.push(format!(
                "{user} uses {used}: a crate of `{above}` may use none of `{below}`"
            ));
        }
    }
    let homeless = crates.iter().filter(|folder| room(folder).is_none());
    wrong.extend(homeless.map(|folder| format!("{folder} is in no room")));
    let is_empty = |index: &usize| !crates.iter().any(|folder| room(folder) == Some(*index));
    let empty = (0..ROOMS.len()).filter(is_empty);
    wrong.extend(empty.map(|index| format!("no crate is in `{}`", ROOMS[index].0)));
    wrong
}

/// The number of the room that a crate is in: the one with the longest name that fits.
fn room(folder: &str) -> Option<usize> {
    let fits = |name: &str| match name.strip_prefix('-') {
        Some(_) => folder.ends_with(name) && !folder.starts_with("tests/"),
        None => {
            let rest = folder.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    };
    let fitting = (0..ROOMS.len()).filter(|index| fits(ROOMS[*index].0));
    // An interface is one wherever it is, unless it has a room of its own.
    fitting.max_by_key(|index| {
        let name = ROOMS[*index].0;
        (name == folder, name.starts_with('-'), name.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        own.join("..").canonicalize().unwrap()
    }

    #[test]
    fn a_room_uses_what_is_below_it() {
        let names = ROOMS.map(|(name, _)| name);
        for (index, (name, uses)) in ROOMS.iter().enumerate() {
            for used in *uses {
                let below = names.iter().position(|other| other == used);
                let below = below.unwrap_or_else(|| panic!("{used} is no room"));
                // Tests share libraries, which are tests as well.
                let is_own = below == index && name.starts_with("tests");
                assert!(below > index || is_own, "{name} uses {used}");
            }
        }
    }

    #[test]
    fn the_longest_name_is_the_room() {
        let name = |folder| room(folder).map(|index| ROOMS[index].0);
        assert_eq!(name("xtask"), Some("xtask"));
        assert_eq!(name("xtask/planner"), Some("xtask/planner"));
        assert_eq!(name("tests/host/fuzz"), Some("tests/host"));
        assert_eq!(name("tests/systems/edu-helper"), Some("tests"));
        assert_eq!(name("drv/blk-api"), Some("-api"));
        assert_eq!(name("drv/queue-api"), Some("drv/queue-api"));
        assert_eq!(name("drv/blk-server"), Some("drv/blk-server"));
        assert_eq!(name("drv/edu"), Some("drv"));
        assert_eq!(name("sys/planning"), None);
        assert_eq!(name("other"), None);
    }

    #[test]
    fn what_runs_up_is_told() {
        let (mut crates, arrows) = read(&root()).unwrap_or_else(|_| panic!("cargo answers"));
        assert_eq!(complaints(&crates, &arrows), [""; 0]);
        assert!(arrows.len() > 200, "{} arrows", arrows.len());
        for (user, used, what) in [
            (
                "task/log",
                "drv/edu",
                "a crate of `task` may use none of `drv`",
            ),
            ("task/pci", "task/iommu", "of `task` may use none of `task`"),
            (
                "sys/abi",
                "sys/plan",
                "of `sys/abi` may use none of `sys/plan`",
            ),
            ("drv/blk-api", "drv/edu", "of `-api` may use none of `drv`"),
            (
                "xtask/verify",
                "xtask/builder",
                "`xtask/verify` may use none",
            ),
        ] {
            let mut arrows = arrows.clone();
            arrows.push((user.to_owned(), used.to_owned()));
            let wrong = complaints(&crates, &arrows);
            assert!(wrong.len() == 1 && wrong[0].contains(what), "{wrong:?}");
        }
        crates.push("extra/one".to_owned());
        crates.retain(|folder| folder != "xtask/verify");
        let wrong = complaints(&crates, &arrows);
        assert_eq!(
            wrong,
            ["extra/one is in no room", "no crate is in `xtask/verify`"]
        );
    }

    #[test]
    fn the_page_has_the_same_rooms() {
        let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
        let quoted = |name: &&str| format!("`{name}`");
        for (name, uses) in ROOMS {
            let uses: Vec<String> = uses.iter().map(quoted).collect();
            let uses = if uses.is_empty() {
                "none".to_owned()
            } else {
                uses.join(", ")
            };
            let row = format!("| `{name}` | {uses} |");
            assert!(
                page.contains(&row),
                "docs/architecture.md has not the row\n{row}"
            );
        }
    }
}
