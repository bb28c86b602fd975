//! Which change this run makes. `MUTATION` has its number; if it is `trace`, no change is made, and each switch that is asked is
//! noted in the file that `MUTATION_TRACE` names.

extern crate std;

use std::io::Write;
use std::string::String;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

static ACTIVE: AtomicU32 = AtomicU32::new(UNKNOWN);
/// Which switches were asked, by the numbers of their first changes.
static SEEN: [AtomicBool; 1 << 14] = [const { AtomicBool::new(false) }; 1 << 14];
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
    let seen = SEEN.get(first as usize).expect("there is room for all changes of a package");
    if !seen.load(Relaxed) && !seen.swap(true, Relaxed) {
        let file = std::env::var_os("MUTATION_TRACE").expect("MUTATION_TRACE is set");
        let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
        writeln!(file.expect("the trace can be opened"), "{first}").expect("the trace can be written");
    }
    0
}
