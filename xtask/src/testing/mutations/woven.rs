//! A copy of the workspace in which a package has all its changes, each behind a switch, built once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::list::Changes;
use super::sites::{self, Obstacle, Site};
use super::weave::{self, Numbers};
use builder::compile::artifacts;
use planner::failure::{self, Failure};

/// Builds with errors before it is given up: an error can hide others that the compiler would look for later.
const BUILDS: usize = 30;

/// Packages whose whole is tried by a program of another package, with that one and the program's name.
const HISTORIES: [(&str, &str, &str); 1] = [("iommu", "iommu-histories", "histories")];

/// A program that was built, and the folder of its package, in which it runs.
pub struct Program {
    pub file: PathBuf,
    pub folder: PathBuf,
}

/// A package with all changes in it.
pub struct Woven {
    /// The tests of its library.
    pub tests: Program,
    /// Random histories of it on a model, which judge what no test of the library notices.
    pub histories: Option<Program>,
    sources: Sources,
}

/// The files with changes, and what became of these.
struct Sources {
    files: BTreeMap<String, File>,
    left_out: BTreeSet<u32>,
    /// Names of functions that the compiler works out.
    constant: BTreeSet<String>,
}

struct File {
    first: u32,
    sites: Vec<Site>,
    obstacles: BTreeMap<usize, Obstacle>,
}

/// What stands for a change in a woven program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Its own number, and the number by which its place is known in a trace.
    Number { own: u32, place: u32 },
    /// It does not build.
    Unbuildable,
    /// It cannot be switched while the program runs.
    Constant,
}

impl Woven {
    /// Copies, weaves and builds.
    ///
    /// # Errors
    /// If it does not build for a reason that is none of the changes.
    pub fn build(
        root: &Path,
        package: &str,
        changes: &Changes,
        folder: &Path,
    ) -> failure::Outcome<Self> {
        let tree = folder.join("tree");
        let mut sources = Sources {
            files: BTreeMap::new(),
            left_out: BTreeSet::new(),
            constant: BTreeSet::new(),
        };
        sources.find(root, changes)?;
        sources.copy(root, &tree)?;
        let build = |what: &[&str]| compile(&tree, package, what, &folder.join("target"));
        for _ in 0..BUILDS {
            sources.write(root, &tree)?;
            match build(&["--lib", "--package", package])? {
                Ok(tests) => {
                    return Ok(Self {
                        tests,
                        histories: histories(package, build)?,
                        sources,
                    });
                }
                Err(errors) => {
                    let constant = errors.iter().filter_map(CompilerError::constant);
                    let constant: BTreeSet<String> = constant.collect();
                    if constant.is_subset(&sources.constant) {
                        sources.leave_out(&tree, &errors)?;
                    } else {
                        sources.constant.extend(constant);
                        sources.find(root, changes)?;
                    }
                }
            }
        }
        Err(Failure::new(format!(
            "{package} with all changes does not build"
        )))
    }

    /// What stands for a change, by its number in its file's list.
    pub fn switch(&self, file: &str, number: usize) -> Switch {
        self.sources.switch(file, number)
    }
}

/// The program that tries the whole of a package, if it has one.
fn histories(
    package: &str,
    build: impl Fn(&[&str]) -> failure::Outcome<Built>,
) -> failure::Outcome<Option<Program>> {
    let known = HISTORIES.iter().find(|(of, ..)| *of == package);
    let Some((_, package, program)) = known else {
        return Ok(None);
    };
    match build(&["--test", program, "--package", package])? {
        Ok(program) => Ok(Some(program)),
        Err(errors) => Err(Failure::new(format!(
            "{package} does not build with all changes\n{}",
            errors
                .iter()
                .map(|error| error.text.as_str())
                .collect::<String>()
        ))),
    }
}

impl Sources {
    fn find(&mut self, root: &Path, changes: &Changes) -> failure::Outcome<()> {
        let mut first = 0;
        for (name, changes) in changes {
            let text = read(&root.join(name))?;
            let (sites, obstacles) = sites::find(&text, changes, &self.constant)
                .map_err(|error| Failure::new(format!("{name} is no Rust: {error}")))?;
            let file = File {
                first,
                sites,
                obstacles: obstacles.into_iter().collect(),
            };
            self.files.insert(name.clone(), file);
            first += u32::try_from(changes.len()).unwrap_or(0);
        }
        Ok(())
    }

    fn switch(&self, file: &str, number: usize) -> Switch {
        let Some(file) = self.files.get(file) else {
            return Switch::Constant;
        };
        match file.obstacles.get(&number) {
            Some(Obstacle::Grammar) => return Switch::Unbuildable,
            Some(_) => return Switch::Constant,
            None => {}
        }
        let numbered = |number: &usize| file.first + u32::try_from(*number).unwrap_or(0);
        let own = numbered(&number);
        if self.left_out.contains(&own) {
            return Switch::Unbuildable;
        }
        let of_site = |site: &&Site| site.alternatives.iter().any(|(of, _)| *of == number);
        let site = file.sites.iter().find(of_site);
        let all = site.into_iter().flat_map(|site| &site.alternatives);
        let mut kept = all.map(|(number, _)| numbered(number));
        let place = kept.find(|number| !self.left_out.contains(number));
        let place = place.unwrap_or(own);
        Switch::Number { own, place }
    }

    fn copy(&self, root: &Path, tree: &Path) -> failure::Outcome<()> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others"])
            .arg("--exclude-standard")
            .current_dir(root)
            .output()
            .map_err(Failure::when("cannot run git"))?;
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        for name in names.split_terminator('\0') {
            if self.files.contains_key(name) || !root.join(name).is_file() {
                continue;
            }
            let bytes = std::fs::read(root.join(name))
                .map_err(Failure::when(format!("cannot read {name}")))?;
            renew(&tree.join(name), &bytes)?;
        }
        Ok(())
    }

    /// Writes the woven files, and the module that they ask beside the library's front page.
    fn write(&self, root: &Path, tree: &Path) -> failure::Outcome<()> {
        let left_out = |number| self.left_out.contains(&number);
        for (name, file) in &self.files {
            let numbers = Numbers {
                first: file.first,
                left_out: &left_out,
            };
            let woven = weave::weave(&read(&root.join(name))?, &file.sites, &numbers);
            renew(&tree.join(name), woven.as_bytes())?;
        }
        let Some(sources) = self.files.keys().find_map(|name| sources(name)) else {
            return Ok(());
        };
        let front = sources.join("lib.rs");
        let name = front.to_string_lossy().into_owned();
        let of = match self.files.contains_key(&name) {
            true => tree,
            false => root,
        };
        let mut text = read(&of.join(&front))?;
        text.push_str("\npub(crate) mod mutation_switch;\n");
        renew(&tree.join(&front), text.as_bytes())?;
        let switch = tree.join(sources).join("mutation_switch.rs");
        renew(&switch, weave::SWITCH.as_bytes())
    }

    /// Leaves out the changes in which the errors are.
    fn leave_out(&mut self, tree: &Path, errors: &[CompilerError]) -> failure::Outcome<()> {
        let before = self.left_out.len();
        let errors_of_changes = errors.iter().filter(|error| error.code != "E0015");
        for error in errors_of_changes {
            let places = error.places.iter();
            let found = places.filter_map(|(file, byte)| {
                let woven = std::fs::read_to_string(tree.join(file)).ok()?;
                weave::around(&woven, *byte)
            });
            self.left_out.extend(found.take(1));
        }
        if self.left_out.len() > before {
            return Ok(());
        }
        let all: String = errors.iter().map(|error| error.text.as_str()).collect();
        Err(Failure::new(format!(
            "what does not build is none of the changes\n{all}"
        )))
    }
}

/// The folder `src` in which a file lies.
fn sources(name: &str) -> Option<PathBuf> {
    let folders = Path::new(name).ancestors();
    let folder = folders.filter(|folder| folder.ends_with("src")).last()?;
    Some(folder.to_path_buf())
}

fn read(file: &Path) -> failure::Outcome<String> {
    std::fs::read_to_string(file).map_err(Failure::when(format!("cannot read {}", file.display())))
}

/// Writes a file if it is not so already, so that cargo builds again only what is new.
fn renew(file: &Path, bytes: &[u8]) -> failure::Outcome<()> {
    if std::fs::read(file).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    let cannot = || format!("cannot write {}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(Failure::when(cannot()))?;
    }
    std::fs::write(file, bytes).map_err(Failure::when(cannot()))
}

/// An error of the compiler with the places that it names: its own first.
struct CompilerError {
    code: String,
    message: String,
    places: Vec<(String, usize)>,
    text: String,
}

impl CompilerError {
    /// The function that would have to be constant, if that is the error: the last name of the path that it quotes.
    fn constant(&self) -> Option<String> {
        if self.code != "E0015" {
            return None;
        }
        let path = self.message.split('`').nth(1)?;
        let path = path.strip_suffix("::<").unwrap_or(path);
        let name = path.rsplit("::").find(|name| !name.starts_with('<'))?;
        let letters = |character: char| character.is_alphanumeric() || character == '_';
        Some(
            name.split(|character| !letters(character))
                .next()?
                .to_owned(),
        )
    }
}

type Built = Result<Program, Vec<CompilerError>>;

/// Builds one program of tests, optimised, with all checks of arithmetic.
fn compile(tree: &Path, package: &str, what: &[&str], target: &Path) -> failure::Outcome<Built> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--no-run"])
        .args(what)
        .args(["--message-format", "json", "--quiet"])
        .args(["--config", "profile.dev.debug=0"])
        .args(["--config", "profile.dev.opt-level=1"])
        .arg("--config")
        .arg(format!("profile.dev.package.{package}.opt-level=2"))
        .arg("--target-dir")
        .arg(target)
        // What a change makes of the source may be what a lint forbids.
        .env("RUSTFLAGS", "--cap-lints=allow")
        .current_dir(tree)
        .stdin(Stdio::null())
        .output()
        .map_err(Failure::when("cannot run cargo"))?;
    let mut errors = Vec::new();
    let mut program = None;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else {
            continue;
        };
        if let Some((_, file)) = artifacts::program(&message) {
            let manifest = message.get("manifest_path");
            let manifest = manifest.and_then(serde_json::Value::as_str);
            let folder = manifest.and_then(|path| Path::new(path).parent());
            program = folder.map(|folder| Program {
                file,
                folder: folder.to_path_buf(),
            });
        }
        errors.extend(error(&message));
    }
    match program {
        Some(program) if output.status.success() => Ok(Ok(program)),
        _ if errors.is_empty() => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(Failure::new(format!("{package} does not build: {why}")))
        }
        _ => Ok(Err(errors)),
    }
}

fn error(message: &serde_json::Value) -> Option<CompilerError> {
    let message = message.get("message")?;
    let spans = message.get("spans")?.as_array()?;
    if message.get("level")?.as_str()? != "error" {
        return None;
    }
    let is_own = |span: &&serde_json::Value| span["is_primary"].as_bool() == Some(true);
    let (own, others): (Vec<_>, Vec<_>) = spans.iter().partition(is_own);
    let place = |span: &serde_json::Value| {
        let byte = usize::try_from(span["byte_start"].as_u64()?).ok()?;
        Some((span["file_name"].as_str()?.to_owned(), byte))
    };
    Some(CompilerError {
        code: message["code"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        message: message["message"].as_str().unwrap_or_default().to_owned(),
        places: own.into_iter().chain(others).filter_map(place).collect(),
        text: message["rendered"].as_str().unwrap_or_default().to_owned(),
    })
}
