//! Random histories of the server's core on the model.
//!
//! `cargo test -p iommu-histories --test histories -- [--steps N] [--seed S] [--machine M] [--aimed] [--trace]`; without arguments a million
//! steps on all machines. Every fourth history, and with `--aimed` each, is aimed: half of its steps are about pools that clients
//! lend, and what waits for a flush.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use iommu_histories::history::{Setting, run};
use iommu_histories::layout::MACHINES;
use iommu_histories::troubles::Troubles;
use smmu_model::Liberties;

/// Steps of one history; each begins with another machine and an empty system.
const STEPS: u64 = 1000;

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name)?;
    arguments.next()?.parse().ok()
}

fn main() -> ExitCode {
    let total = argument("--steps").unwrap_or(1_000_000);
    let first = argument("--seed").unwrap_or(0);
    let histories = total.div_ceil(STEPS);
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let counts: Vec<[u64; 11]> = std::thread::scope(|scope| {
        let work = || {
            let mut counts = [0; 11];
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= histories || failed.load(Ordering::Relaxed) > 3 {
                    return counts;
                }
                let seed = first + number;
                let setting = Setting {
                    seed,
                    steps: STEPS,
                    machine: MACHINES
                        [argument("--machine").unwrap_or(seed / 3) as usize % MACHINES.len()],
                    features: None,
                    liberties: match seed % 3 {
                        0 => Liberties::ORDERLY_DEVICES,
                        1 => Liberties::SLOW,
                        _ => Liberties::ALL,
                    },
                    troubles: Troubles::of(seed),
                    aimed: seed % 4 == 3 || std::env::args().any(|argument| argument == "--aimed"),
                    trace: std::env::args().any(|argument| argument == "--trace"),
                    mutant: None,
                };
                let outcome = run(&setting);
                if let Some(finding) = outcome.finding {
                    failed.fetch_add(1, Ordering::Relaxed);
                    eprintln!(
                        "seed {seed}, step {}: {:?}: {}",
                        outcome.steps, finding.check, finding.detail
                    );
                }
                for (sum, count) in counts.iter_mut().zip(outcome.counts) {
                    *sum += count;
                }
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .collect()
    });
    let sum = |index: usize| counts.iter().map(|counts| counts[index]).sum::<u64>();
    println!(
        "{} steps in {histories} histories: {} claims, {} maps, {} unmaps, {} faults told, {} deaths, {} restarts, {} successors of the server, which died {} times in a turn and {} times in a start, {} deaths of the PCI task, {} devices taken away for a dead lender",
        histories * STEPS,
        sum(0),
        sum(1),
        sum(2),
        sum(3),
        sum(4),
        sum(5),
        sum(6),
        sum(7),
        sum(8),
        sum(9),
        sum(10),
    );
    if failed.load(Ordering::Relaxed) > 0 || counts.len() < workers {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
