//! The seeded faults, and which check caught each: `cargo test -p smmu-model --test mutants -- [--list] [NAME]`.

use std::process::ExitCode;

use smmu_model::harness::history::{Outcome, Setting, run};
use smmu_model::harness::mutants::MUTANTS;
use smmu_model::harness::sabotage::Mutant;
use smmu_model::{Features, Liberties};

/// Histories on each part, and steps of each, until a fault must have been caught.
const SEEDS: u64 = 40;
const STEPS: u64 = 800;

fn hunt(mutant: Mutant) -> (Option<(Outcome, u64)>, u64) {
    let mut struck = 0;
    for seed in 0..SEEDS {
        for features in Features::ALL {
            let setting = Setting {
                seed,
                steps: STEPS,
                features: Some(features),
                liberties: Liberties::ALL,
                quiesce_failures: 0,
                trace: false,
                mutant: Some(mutant),
            };
            let outcome = run(&setting);
            struck += outcome.struck;
            if outcome.finding.is_some() {
                return (Some((outcome, seed)), struck);
            }
        }
    }
    (None, struck)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for mutant in MUTANTS {
            println!("{}: test", mutant.name);
        }
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let mut escaped = 0;
    let mut caught = 0;
    for &mutant in MUTANTS {
        if filter.is_some_and(|filter| !mutant.name.contains(filter.as_str())) {
            continue;
        }
        match hunt(mutant) {
            (Some((outcome, seed)), _) => {
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
            (None, struck) => {
                escaped += 1;
                println!(
                    "{:<24} {:<12} ESCAPED after striking {struck} times",
                    mutant.name, mutant.rule
                );
            }
        }
    }
    println!("{caught} caught, {escaped} escaped");
    if escaped == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
