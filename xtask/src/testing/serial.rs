//! The log of a run as a serial line brings it: whole, cut, doubled and damaged. Nothing may be shown that was not
//! sent, and what is not shown must be counted.

use std::path::Path;

use crate::run::{Line, Listener, Tally, decoder_of_dist};
use planner::failure::{Failure, Outcome};

/// Places at which the bytes are cut and damaged: so many of each.
const PLACES: usize = 40;

/// What was decoded of some bytes.
struct Decoded {
    /// The lines of tasks.
    said: Vec<String>,
    tally: Tally,
}

/// Judges the bytes of a console; `seen` are the lines that the run showed, and the folder has the programs.
pub fn judge(bytes: &[u8], folder: &Path, seen: &[String]) -> Outcome<()> {
    let whole = decoded(bytes, folder)?;
    let frames = usize::try_from(whole.tally.frames).unwrap_or(usize::MAX);
    let lines: Vec<&String> = seen.iter().filter(|line| !of_kernel(line)).collect();
    let same = whole.said.iter().eq(lines.iter().copied());
    check(whole.tally.is_whole(), "the whole log", &whole.tally)?;
    check(
        same && frames > PLACES,
        "the lines of the whole log",
        &whole.tally,
    )?;
    for place in 1..PLACES {
        let at = bytes.len() * place / PLACES;
        let (before, after) = bytes.split_at(at);
        cut(
            &whole,
            &decoded(after, folder)?,
            "from a place in the middle on",
        )?;
        cut(
            &whole,
            &decoded(before, folder)?,
            "up to a place in the middle",
        )?;
        damaged(&whole, &changed(bytes, at), folder)?;
    }
    doubled(&whole, bytes, folder)
}

/// A part of the log shows a part of the lines.
fn cut(whole: &Decoded, part: &Decoded, what: &str) -> Outcome<()> {
    let is_part = whole.said.starts_with(&part.said) || whole.said.ends_with(&part.said);
    check(is_part && part.tally.missing == 0, what, &part.tally)
}

/// One byte is another one: at most two frames are lost, and each is counted.
fn damaged(whole: &Decoded, bytes: &[u8], folder: &Path) -> Outcome<()> {
    let part = decoded(bytes, folder)?;
    let mut rest = whole.said.iter();
    let in_order = part.said.iter().all(|line| rest.any(|sent| sent == line));
    let lost = whole.tally.frames.saturating_sub(part.tally.frames);
    // Behind the last frame no number tells of a missing one.
    let counted = lost == part.tally.missing || part.said.last() != whole.said.last();
    check(
        in_order && counted && lost <= 2,
        "a changed byte",
        &part.tally,
    )
}

/// What a line repeats is shown once, and another boot is another log.
fn doubled(whole: &Decoded, bytes: &[u8], folder: &Path) -> Outcome<()> {
    let zeros = |bytes: &[u8], at: usize| bytes.get(at..at + 2) == Some(&[0, 0][..]);
    let between: Vec<usize> = (0..bytes.len()).filter(|at| zeros(bytes, *at)).collect();
    let middle = between.len() / 2;
    let (Some(from), Some(to)) = (between.get(middle), between.get(middle + 5)) else {
        return Err(Failure::new("the log has no frames to double"));
    };
    let (head, tail) = bytes.split_at(to + 1);
    let again = bytes.get(from + 1..to + 1).unwrap_or_default();
    let twice = decoded(&[head, again, tail].concat(), folder)?;
    check(
        twice.said == whole.said && twice.tally.repeated == 5,
        "five frames that came twice",
        &twice.tally,
    )?;
    let boots = decoded(&[bytes, bytes].concat(), folder)?;
    check(
        boots.said == [&whole.said[..], &whole.said[..]].concat(),
        "two boots",
        &boots.tally,
    )
}

fn check(right: bool, what: &str, tally: &Tally) -> Outcome<()> {
    let wrong = || Failure::new(format!("read as a serial line, {what}: {tally}"));
    right.then_some(()).ok_or_else(wrong)
}

fn decoded(bytes: &[u8], folder: &Path) -> Outcome<Decoded> {
    let mut listener = Listener::new(decoder_of_dist(folder)?);
    let mut lines = listener.push(bytes);
    lines.extend(listener.pause());
    let of_task = |line: &Line| {
        let task = line.task.as_deref().filter(|task| *task != "(line)")?;
        Some(format!("{task}  {}", line.text))
    };
    Ok(Decoded {
        said: lines.iter().filter_map(of_task).collect(),
        tally: listener.tally().clone(),
    })
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 0x20;
    }
    bytes
}

fn of_kernel(line: &str) -> bool {
    line.starts_with("kernel  ")
}
