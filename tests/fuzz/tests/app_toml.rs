//! `app.toml`, changed at random: `cargo xtask plan` accepts it or says what is wrong, and never panics.
//!
//! The tool is a program, so this drives the program. `FUZZ_FACTOR` and `FUZZ_SEED` as in `seeded.rs`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fuzz::mutate::Mutator;

const ROUNDS: u64 = 80;
const SEED: u64 = 0x00c0_ffee;

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => otherwise,
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Builds the tool, so that an old one is not tested, and finds it beside this test.
fn tool() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "xtask"])
        .current_dir(root())
        .status()
        .expect("cargo runs");
    assert!(built.success(), "xtask does not build");
    let own = std::env::current_exe().expect("a test has a file");
    let folder = own.ancestors().nth(3).expect("target/PROFILE/deps/test");
    folder.join("debug/xtask")
}

fn plan(tool: &Path, file: &Path) -> Output {
    Command::new(tool)
        .arg("plan")
        .arg(file)
        .env("CARGO_MANIFEST_DIR", root().join("xtask"))
        .output()
        .expect("the tool runs")
}

#[test]
fn app_toml() {
    let tool = tool();
    let root = root().canonicalize().expect("the repository is there");
    let demo = std::fs::read_to_string(root.join("app.toml")).expect("the demo can be read");
    // The file lies elsewhere, and crates are named relative to it.
    let demo = demo.replace("crate = \"", &format!("crate = \"{}/", root.display()));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("app.toml");
    let mut mutator = Mutator::new(number("FUZZ_SEED", SEED));
    let (mut accepted, mut refused) = (0, 0);
    let corpus = [demo.into_bytes()];
    for round in 0..ROUNDS * number("FUZZ_FACTOR", 1) {
        let input = match round {
            0 => corpus[0].clone(),
            _ => mutator.input(&corpus, 64),
        };
        std::fs::write(&file, &input).expect("the file can be written");
        let output = plan(&tool, &file);
        let errors = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => accepted += 1,
            Some(1) if round > 0 => {
                refused += 1;
                assert!(errors.contains("error"), "refused without a word");
            }
            _ => panic!(
                "round {round}: {}; the input is in {}\n{errors}",
                output.status,
                file.display()
            ),
        }
        assert!(!errors.contains("panicked"), "round {round}: {errors}");
    }
    // Comments take some of the changes, so both happen.
    assert!(
        accepted > 1 && refused > 1,
        "{accepted} accepted, {refused} refused"
    );
}
