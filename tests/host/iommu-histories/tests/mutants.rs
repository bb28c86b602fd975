//! The seeded faults, of the server and of a small driver, and which check caught each: `cargo test -p iommu-histories --test mutants -- [--list] [--exact] [NAME]...`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use iommu_histories::history::{Outcome, Setting, run};
use iommu_histories::layout::MACHINES;
use iommu_histories::mutants;
use iommu_histories::sabotage::Mutant;
use smmu_model::rig::steps::STEPS;
use smmu_model::{Check, Features, Liberties};

/// Histories on each part, and steps of each, until a fault must have been caught.
const SEEDS: u64 = 1200;
const LENGTH: u64 = 800;

/// The first history in which one of the checks that stand for the rule was the first to find something, and
/// how often the fault struck until then.
fn hunt(mutant: Mutant) -> (Option<(Outcome, u64)>, u64, BTreeSet<Check>) {
    let (mut struck, mut others) = (0, BTreeSet::new());
    for seed in 0..SEEDS {
        for features in Features::ALL {
            let setting = Setting {
                seed,
                steps: LENGTH,
                machine: MACHINES[seed as usize % MACHINES.len()],
                features: Some(features),
                liberties: if seed % 2 == 0 {
                    Liberties::ALL
                } else {
                    Liberties::SLOW
                },
                troubles: (mutant.troubles)(seed),
                aimed: seed % 4 == 3,
                trace: false,
                mutant: Some(mutant),
            };
            let outcome = run(&setting);
            struck += outcome.struck;
            let found = outcome.finding.as_ref();
            if found.is_some_and(|finding| mutant.by.contains(&finding.check)) {
                return (Some((outcome, seed)), struck, others);
            }
            others.extend(found.map(|finding| finding.check));
        }
    }
    (None, struck, others)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for mutant in mutants::all() {
            println!("{}: test", mutant.name);
        }
        for step in STEPS {
            println!("{}: test", step.name);
        }
        return ExitCode::SUCCESS;
    }
    let exact = arguments.iter().any(|argument| argument == "--exact");
    let (_, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|name| name.starts_with('-'));
    let is_named = |name: &str, asked: &str| name == asked || !exact && name.contains(asked);
    let asked = |name: &str| names.is_empty() || names.iter().any(|asked| is_named(name, asked));
    let mut escaped = 0;
    let mut caught = 0;
    for mutant in mutants::all() {
        if !asked(mutant.name) {
            continue;
        }
        match hunt(mutant) {
            (Some((outcome, seed)), ..) => {
                caught += 1;
                let Some(finding) = outcome.finding else {
                    continue;
                };
                println!(
                    "{:<24} {:<12} caught by {:?} (seed {seed}, step {}): {}",
                    mutant.name,
                    mutant.rule,
                    finding.check,
                    outcome.steps,
                    finding.detail.chars().take(100).collect::<String>(),
                );
            }
            (None, struck, others) => {
                escaped += 1;
                println!(
                    "{:<24} {:<12} ESCAPED after striking {struck} times; found otherwise: {others:?}",
                    mutant.name, mutant.rule
                );
            }
        }
    }
    for step in STEPS.iter().filter(|step| asked(step.name)) {
        let (name, rule) = (step.name, step.rule);
        let (whole, without) = (step.wrong(true), step.wrong(false));
        if whole == 0 && without > 0 {
            caught += 1;
            println!("{name:<24} {rule:<12} caught by {without} runs of a small driver");
        } else {
            escaped += 1;
            println!(
                "{name:<24} {rule:<12} ESCAPED with {whole} wrong runs of the whole, {without} without"
            );
        }
    }
    println!("{caught} caught, {escaped} escaped");
    if escaped == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
