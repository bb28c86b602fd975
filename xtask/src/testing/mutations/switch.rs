//! Which change this run makes. `MUTATION` has its number; if it is `trace`, no change is made, and each switch that is asked is
//! noted in the file that `MUTATION_TRACE` names.

use std::collections::BTreeSet;
use std::io::Write;
use std::string::String;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

static ACTIVE: AtomicU32 = AtomicU32::new(UNKNOWN);
static SEEN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
const UNKNOWN: u32 = u32::MAX;
const TRACE: u32 = u32::MAX - 1;
const NONE: u32 = u32::MAX - 2;

/// Which of `count` changes from a number on is made, from 1; 0 if none is.
#[inline]
pub(crate) fn at(first: u32, count: u32) -> u32 {
    let active = ACTIVE.load(Relaxed);
    if active >= TRACE {
        return first_time(first, count);
    }
    let number = active.wrapping_sub(first);
    if number < count { number + 1 } else { 0 }
}

#[cold]
fn first_time(first: u32, count: u32) -> u32 {
    if ACTIVE.load(Relaxed) == UNKNOWN {
        let asked: Option<String> = std::env::var("MUTATION").ok();
        let active = match asked.as_deref() {
            None => NONE,
            Some("trace") => TRACE,
            Some(number) => number.parse().expect("MUTATION is a number"),
        };
        ACTIVE.store(active, Relaxed);
        return at(first, count);
    }
    if SEEN.lock().expect("nobody panics there").insert(first) {
        let file = std::env::var_os("MUTATION_TRACE").expect("MUTATION_TRACE is set");
        let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
        writeln!(file.expect("the trace can be opened"), "{first}").expect("the trace can be written");
    }
    0
}
