//! Every target over its corpus and over inputs made with a fixed seed.
//!
//! `FUZZ_FACTOR` multiplies the inputs, `FUZZ_SEED` is another seed: a long run is
//! `FUZZ_FACTOR=1000 cargo test --release --package fuzz`.

// As in `src/lib.rs`.
#[cfg(fuzzing)]
use bolero as _;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fuzz::mutate::Mutator;
use fuzz::{TARGETS, Target};

const SEED: u64 = 0x00c0_ffee;

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => otherwise,
    }
}

/// The corpus in the order of its names, so that every run is the same.
fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a corpus can be listed").path())
        .map(|path| {
            let bytes = std::fs::read(&path).expect("a corpus can be read");
            (path, bytes)
        })
        .collect();
    files.sort();
    files
}

/// Runs one input; one that breaks a promise is kept, to become a part of the corpus.
fn survive(target: &Target, input: &[u8], from: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.crash", target.name));
        std::fs::write(&kept, input).expect("a crash can be kept");
        panic!(
            "{} breaks on {from}; the input is in {}: put it into tests/host/fuzz/corpus/{}",
            target.name,
            kept.display(),
            target.name
        );
    }
}

fn run(name: &str) {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("no target {name}"));
    let files = corpus(target);
    for (path, bytes) in &files {
        survive(target, bytes, &path.display().to_string());
    }
    let mut seeds = (target.seeds)();
    for seed in &seeds {
        survive(target, seed, "a seed");
    }
    seeds.extend(files.into_iter().map(|(_, bytes)| bytes));
    let seed = number("FUZZ_SEED", SEED);
    let mut mutator = Mutator::new(seed);
    for round in 0..u64::from(target.rounds) * number("FUZZ_FACTOR", 1) {
        let input = mutator.input(&seeds, target.len_max);
        survive(target, &input, &format!("round {round} of seed {seed:#x}"));
    }
}

macro_rules! targets {
    ($($test:ident $name:literal),*) => {
        $(#[test]
        fn $test() {
            run($name);
        })*

        #[test]
        fn every_target_has_its_test() {
            assert_eq!([$($name),*], TARGETS.map(|target| target.name));
        }
    };
}
targets!(
    iommu_messages "iommu-messages",
    pci_messages "pci-messages",
    block_messages "block-messages",
    status_snapshots "status-snapshots",
    smmu_events "smmu-events",
    frame_messages "frame-messages",
    network_controller "network-controller",
    virtqueue "virtqueue",
    virtio_transport "virtio-transport",
    pci_fabric "pci-fabric",
    plan_blob "plan-blob",
    lspci "lspci",
    app_toml "app-toml",
    device_tree "device-tree",
    acpi_tables "acpi-tables"
);
