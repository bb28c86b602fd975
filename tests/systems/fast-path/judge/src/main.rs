//! The judge: draws rounds, has each played by the kernel's core and by its fast path, and compares.
//!
//! It is the supervisor, and more urgent than all actors, so that none runs while it prepares a round. Plan: the
//! parameters `calls`, how many have to be made by the fast path or given up by it, and `seed`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

mod play;
mod tally;

use core::fmt::Write;

use fast_path_calls::ACTORS;
use fast_path_calls::compare::{Ended, Pair, Played};
use fast_path_calls::draw::{Draw, resolve};
use heapless::String;
use play::Stage;
use tally::Tally;
use userlib::{config, privileged};

userlib::task!(main);

/// How often it says how far it is.
const PROGRESS: u64 = 1_000_000;

/// Prints a line; what does not fit is cut.
pub fn print(text: core::fmt::Arguments<'_>) {
    let mut line = String::<256>::new();
    // Cut text is no error.
    let _ = line.write_fmt(text);
    let _ = line.push('\n');
    privileged::console(&line);
}

/// Ends the run as failed.
pub fn fail(text: core::fmt::Arguments<'_>) -> ! {
    print(format_args!("fast path: {text}"));
    privileged::exit(1)
}

fn parameter(name: &str) -> u64 {
    match config::parameter(name) {
        Some(value) => value,
        None => panic!("the plan has no parameter {}", name),
    }
}

/// Prints what the actors did.
fn tell(pair: &Pair<'_>) {
    for (actor, steps) in pair.round.iter().enumerate() {
        let (core, fast) = (&pair.core.actors[actor], &pair.fast.actors[actor]);
        let ids = (pair.core.ids[actor], pair.fast.ids[actor]);
        print(format_args!(
            "{} {:#x} {:#x}: {:?} {}, {:?} {}",
            ACTORS[actor], ids.0, ids.1, core.way, core.outcome.count, fast.way, fast.outcome.count
        ));
        for (number, step) in steps.iter().enumerate() {
            let given = resolve(step, &pair.fast.ids);
            let after = |ended: &Ended| {
                let after = ended.outcome.after.get(number).copied().unwrap_or([0; 31]);
                [after[0], after[8], after[9]]
            };
            print(format_args!(
                "  {number} {:?} {:x?}: {:x?}, {:x?}",
                step.call,
                &given[8..15],
                after(core),
                after(fast)
            ));
        }
    }
}

fn main() -> ! {
    let (calls, seed) = (parameter("calls"), parameter("seed"));
    let stage = Stage::new();
    let mut draw = Draw::new(seed, stage.pools());
    let (mut core, mut fast) = (Played::NONE, Played::NONE);
    let mut tally = Tally::default();
    let mut rounds = 0u64;
    let mut told = 0;
    while tally.calls() < calls {
        let round = draw.round();
        stage.play(&round, true, &mut core);
        stage.play(&round, false, &mut fast);
        let pair = Pair {
            round: &round,
            core: &core,
            fast: &fast,
        };
        let owed = draw.owed();
        let paid = owed.map_or(Ok(()), |owed| pair.pay(&owed));
        if let Err(difference) = pair.compare().and(paid) {
            let call = round[difference.actor].get(difference.step);
            tell(&pair);
            fail(format_args!(
                "seed {seed} round {rounds}: {} step {} {:?}: {} {}: core {:#x}, fast path {:#x}",
                ACTORS[difference.actor],
                difference.step,
                call.map(|step| step.call),
                difference.what,
                difference.number,
                difference.core,
                difference.fast,
            ));
        }
        rounds += 1;
        let is_known = core.paid.is_some() && fast.paid.is_some();
        tally.paid += u64::from(is_known);
        tally.owed += u64::from(is_known && owed.is_some());
        for (actor, (steps, ended)) in round.iter().zip(&fast.actors).enumerate() {
            tally.count(actor, steps, ended, &fast.ids);
        }
        if tally.calls() / PROGRESS > told {
            told = tally.calls() / PROGRESS;
            print(format_args!("fast path: {} calls", tally.calls()));
        }
    }
    print(format_args!(
        "fast path: seed {seed}, {rounds} rounds, {} calls",
        tally.calls()
    ));
    match tally.missing() {
        None => {
            print(format_args!("fast path: all calls agree"));
            privileged::exit(0)
        }
        Some(what) => fail(format_args!("too few of: {what}")),
    }
}
