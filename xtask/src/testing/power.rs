//! `tests/systems/power-key`: the tool presses the key while the disk is written, and looks at what is left.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::run::{End, Line, Observer, Probe};
use planner::failure::{Failure, Outcome};

/// Writes that are acknowledged before the key is pressed: each block once.
const BEFORE: u64 = BLOCKS;
/// The blocks that the writer writes in turn, and their bytes; see its source.
const BLOCKS: u64 = 64;
const BYTES: usize = 4096;
/// The time by which the machine must be off: two tasks that are asked and two that are stopped, with the
/// supervisor's limits for each, the log, and as much again for a busy host.
const BOUND: Duration = Duration::from_secs(60);

/// The lines that the supervisor must say, in this order.
const ORDER: [&str; 10] = [
    "power key: all tasks are asked to finish",
    "writer: has ended",
    "deaf: asked to finish",
    "deaf: does not finish in time, and is stopped",
    "deaf: has ended",
    "virtio-blk: asked to finish",
    "virtio-blk: has finished",
    "virtio-blk: has ended",
    "pl061: has ended",
    "all tasks have ended; the machine is switched off",
];

/// Follows the run, and presses the key.
pub struct Press<'l> {
    log: &'l mut Vec<String>,
    /// Lines of the supervisor.
    said: Vec<String>,
    acknowledged: u64,
    at_work: bool,
    written_out: bool,
    pressed: Option<Instant>,
}

impl<'l> Press<'l> {
    /// `log` gets every line.
    pub fn new(log: &'l mut Vec<String>) -> Self {
        Self {
            log,
            said: Vec::new(),
            acknowledged: 0,
            at_work: false,
            written_out: false,
            pressed: None,
        }
    }

    /// Judges the end of a run, with the disk as the machine left it.
    pub fn judge(&self, end: &End, disk: &Path) -> Outcome<()> {
        let Some(pressed) = self.pressed else {
            return Err(Failure::new(format!(
                "{end}, before the key could be pressed"
            )));
        };
        if *end != End::PoweredOff {
            return Err(Failure::new(format!("the key was pressed, and {end}")));
        }
        if pressed.elapsed() > BOUND {
            let took = pressed.elapsed().as_secs();
            return Err(Failure::new(format!("it took {took} s to switch off")));
        }
        in_order(&self.said)?;
        if !self.written_out {
            return Err(Failure::new("the driver did not say that all is written"));
        }
        let bytes = std::fs::read(disk).map_err(Failure::when("cannot read the disk"))?;
        all_there(&bytes, self.acknowledged)
    }
}

impl Observer for Press<'_> {
    fn line(&mut self, line: &Line, probe: &mut Probe<'_>) {
        let task = line.task.as_deref().unwrap_or("kernel");
        self.log.push(format!("{task}  {}", line.text));
        match (task, line.text.as_str()) {
            ("supervisor", text) => self.said.push(text.to_owned()),
            ("deaf", "at work") => self.at_work = true,
            ("virtio-blk", "all is written; the device is reset") => self.written_out = true,
            ("writer", text) => {
                let number = text.strip_prefix("acknowledged ");
                let number = number.and_then(|number| number.parse().ok());
                self.acknowledged = self.acknowledged.max(number.unwrap_or(0));
            }
            _ => {}
        }
        if self.pressed.is_none() && self.at_work && self.acknowledged >= BEFORE {
            probe.press_power_key();
            // Whoever is impatient presses again; that must change nothing.
            probe.press_power_key();
            self.pressed = Some(Instant::now());
        }
    }
}

/// Whether the lines of [`ORDER`] are all there is from the first on.
fn in_order(said: &[String]) -> Outcome<()> {
    let first = said.iter().position(|line| line == ORDER[0]);
    let mut said = said.iter().skip(first.unwrap_or(said.len()));
    for expected in ORDER {
        let found = said.next().map_or("", String::as_str);
        if found != expected {
            return Err(Failure::new(format!(
                "the supervisor said `{found}` where `{expected}` was expected"
            )));
        }
    }
    match said.next() {
        None => Ok(()),
        Some(more) => Err(Failure::new(format!("the supervisor went on: `{more}`"))),
    }
}

/// Whether every write up to `last`, or a later one to the same block, is on the disk.
fn all_there(disk: &[u8], last: u64) -> Outcome<()> {
    for (block, bytes) in (0..BLOCKS).zip(disk.chunks_exact(BYTES)) {
        let words = bytes.as_chunks::<8>().0.iter();
        // A block is as old as the oldest of its words.
        let oldest = words.map(|word| u64::from_le_bytes(*word)).min();
        let newest_acknowledged = (1..=last).rev().take(BLOCKS as usize);
        let expected = newest_acknowledged
            .filter(|number| number % BLOCKS == block)
            .max();
        if oldest < expected {
            return Err(Failure::new(format!(
                "write {} was acknowledged, and block {block} has write {}",
                expected.unwrap_or(0),
                oldest.unwrap_or(0)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(newest: u64) -> Vec<u8> {
        let mut disk = vec![0; BLOCKS as usize * BYTES];
        for number in 1..=newest {
            let at = (number % BLOCKS) as usize * BYTES;
            let block = disk.get_mut(at..at + BYTES).unwrap();
            for word in block.as_chunks_mut::<8>().0 {
                *word = number.to_le_bytes();
            }
        }
        disk
    }

    #[test]
    fn what_was_acknowledged_must_be_there() {
        for last in [1, 63, 64, 65, 200] {
            assert!(all_there(&disk(last), last).is_ok());
            assert!(all_there(&disk(last + 1), last).is_ok(), "one in flight");
            assert!(all_there(&disk(last), last + 1).is_err());
        }
        // The last sector of one block is a write older.
        let mut torn = disk(200);
        let block = (199 % BLOCKS) as usize * BYTES;
        let word = torn.get_mut(block + BYTES - 8..block + BYTES).unwrap();
        word.copy_from_slice(&(199 - BLOCKS).to_le_bytes());
        assert!(all_there(&torn, 200).is_err());
    }

    #[test]
    fn the_order_is_the_whole_of_it() {
        let said: Vec<String> = ORDER.iter().map(|line| (*line).to_owned()).collect();
        assert!(in_order(&said).is_ok());
        for at in 0..said.len() {
            let mut lacking = said.clone();
            lacking.remove(at);
            assert!(in_order(&lacking).is_err(), "{at}");
            let mut early = said.clone();
            early.rotate_left(at);
            assert_eq!(in_order(&early).is_ok(), at == 0, "{at}");
        }
        let mut more = said;
        more.push("virtio-blk: started again".to_owned());
        assert!(in_order(&more).is_err());
    }
}
