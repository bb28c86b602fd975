//! The bring-up report: what the plan says of the hardware, beside what the servers of a boot found and told.
//!
//! A fact is *equal*, *DIFFERENT*, *not planned*, or *not shown*. What no line of the log tells is not shown, and is
//! never taken for equal.

mod heard;
mod planned;

use std::fmt;
use std::path::Path;

use crate::run::{Listener, Tally, decoder_of_dist};
use planner::failure::Outcome;

pub use heard::Heard;
pub use planned::Planned;

/// What the last boot in the bytes of a console told, and what of it arrived.
pub fn told(planned: &Planned, folder: &Path, log: &[u8]) -> Outcome<(Heard, Tally)> {
    let mut listener = Listener::new(decoder_of_dist(folder)?);
    let mut heard = planned.heard();
    let mut boots = 0;
    let mut see = |lines: Vec<crate::run::Line>, tally: &Tally| {
        if tally.boots != boots {
            boots = tally.boots;
            heard.again();
        }
        lines.iter().for_each(|line| heard.see(line));
    };
    // Byte by byte, so that what a boot tells is not mixed with what the one before told.
    for byte in log {
        let lines = listener.push(std::slice::from_ref(byte));
        see(lines, listener.tally());
    }
    let lines = listener.pause();
    see(lines, listener.tally());
    Ok((heard, listener.tally().clone()))
}

/// One fact about the hardware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The device or part, and the register or property of it.
    pub what: String,
    /// By the plan; none if it says nothing of it.
    pub planned: Option<String>,
    /// By the log.
    pub found: Option<String>,
    pub state: State,
}

/// How plan and log go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Equal,
    Different,
    /// The plan says nothing of it.
    NotPlanned,
    /// The log says nothing of it.
    NotShown,
}

impl State {
    /// The state in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "DIFFERENT",
            Self::NotPlanned => "not planned",
            Self::NotShown => "not shown",
        }
    }
}

impl Row {
    /// A fact that has to be the same.
    pub fn same(what: String, planned: String, found: Option<String>) -> Self {
        let state = match &found {
            None => State::NotShown,
            Some(found) if *found == planned => State::Equal,
            Some(_) => State::Different,
        };
        Self {
            what,
            planned: Some(planned),
            found,
            state,
        }
    }

    /// A number that has to be at least as large.
    pub fn at_least(what: String, planned: u64, found: Option<u64>) -> Self {
        let state = match found {
            None => State::NotShown,
            Some(found) if found >= planned => State::Equal,
            Some(_) => State::Different,
        };
        Self {
            what,
            planned: Some(format!("at least {planned}")),
            found: found.map(|found| found.to_string()),
            state,
        }
    }

    /// A fact that the plan says nothing of.
    pub fn unplanned(what: String, found: Option<String>) -> Self {
        let state = match found {
            None => State::NotShown,
            Some(_) => State::NotPlanned,
        };
        Self {
            what,
            planned: None,
            found,
            state,
        }
    }
}

/// All facts of a boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(pub Vec<Row>);

impl Rows {
    /// How many are in a state.
    pub fn count(&self, state: State) -> usize {
        self.0.iter().filter(|row| row.state == state).count()
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let width = |of: &dyn Fn(&Row) -> usize| self.0.iter().map(of).max().unwrap_or(0);
        let what = width(&|row| row.what.len());
        let planned = width(&|row| text(&row.planned).len()).max("planned".len());
        let found = width(&|row| text(&row.found).len()).max("found".len());
        writeln!(
            f,
            "{:<what$}  {:<planned$}  {:<found$}",
            "", "planned", "found"
        )?;
        for row in &self.0 {
            let (of_plan, of_log) = (text(&row.planned), text(&row.found));
            let state = row.state.word();
            writeln!(
                f,
                "{:<what$}  {of_plan:<planned$}  {of_log:<found$}  {state}",
                row.what
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
