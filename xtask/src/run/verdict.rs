//! The meaning of a run: how the emulator ended, what the supervisor said, and the tool's own view of
//! the digest.

use super::decode::{Level, Line};
use super::guest::End;
use super::watch::DigestWatch;
use crate::disk::Digest;
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;

/// Begins the supervisor's last line.
const SPOKEN: &str = "verdict: ";
/// Begins what it says on the polled console, which only tasks with the right to it reach.
const ON_CONSOLE: &str = "supervisor: ";

/// Listens for what counts in the end.
#[derive(Debug)]
pub struct Watch {
    supervisor: Option<String>,
    /// Whether the supervisor said `pass`. Its ring is its own, so no other task can say it.
    spoken: Option<bool>,
    digest: DigestWatch,
}

/// A run that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The exit code.
    pub code: u8,
    /// The tool's own finding, for the last line.
    pub note: Option<String>,
}

impl Watch {
    pub fn new(plan: &Plan) -> Self {
        Self {
            supervisor: plan.app.tasks.first().map(|task| task.name.value.clone()),
            spoken: None,
            digest: DigestWatch::default(),
        }
    }

    pub fn see(&mut self, line: &Line) {
        self.digest.see(line);
        let said = match &line.task {
            None => line.text.strip_prefix(ON_CONSOLE),
            task => (*task == self.supervisor).then_some(line.text.as_str()),
        };
        if let Some(word) = said.and_then(|text| text.strip_prefix(SPOKEN)) {
            let passed = word.starts_with("pass");
            // A task's words, out of a frame that was cut, could look like the supervisor's.
            if line.level != Level::Torn || !passed {
                self.spoken = Some(passed);
            }
        }
    }

    /// The supervisor's verdict, if it came to one.
    pub fn spoken(&self) -> Option<bool> {
        self.spoken
    }

    /// The verdict; `digest` is that of the disk's file where the guest computes it as well.
    pub fn verdict(self, end: &End, digest: Option<Digest>) -> Outcome<Verdict> {
        let code = match (end, self.spoken) {
            (End::Exit(code), Some(passed)) if passed != (*code == 0) => {
                let word = if passed { "pass" } else { "FAIL" };
                return Err(Failure::new(format!(
                    "the supervisor said {word}, and the run ended with exit code {code}"
                )));
            }
            (End::Exit(code), _) => u8::try_from(*code).unwrap_or(1),
            // Without semihosting the guest can only switch off; its last line tells how it ended.
            (End::PoweredOff, Some(passed)) => u8::from(!passed),
            (end, _) => return Err(Failure::new(end.to_string())),
        };
        let digest = digest.filter(|_| code == 0);
        let note = digest
            .map(|digest| self.digest.compare(digest.finish()?))
            .transpose()?;
        Ok(Verdict { code, note })
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "the run ended with exit code {code}"),
            Self::PoweredOff => write!(f, "the guest switched the machine off without a verdict"),
            Self::Killed => write!(f, "QEMU was killed"),
            Self::Interrupted => write!(f, "interrupted"),
            Self::Timeout(late) => {
                let (limit, silent) = (late.limit.as_secs(), late.silent.as_secs());
                write!(
                    f,
                    "no verdict within {limit} s; the guest said nothing for the last {silent} s"
                )?;
                match late.counter {
                    Some(counter) => write!(f, ", its processor is at {counter:#x}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(task: &str, text: &str) -> Watch {
        said_at(Level::Plain, task, text)
    }

    fn said_at(level: Level, task: &str, text: &str) -> Watch {
        let mut watch = Watch {
            supervisor: Some("supervisor".to_owned()),
            spoken: None,
            digest: DigestWatch::default(),
        };
        watch.see(&Line {
            status: None,
            task: (task != "console").then(|| task.to_owned()),
            level,
            text: text.to_owned(),
        });
        watch
    }

    #[test]
    fn machine_switched_off() {
        let code = |watch: Watch| {
            let verdict = watch.verdict(&End::PoweredOff, None);
            verdict.ok().map(|verdict| verdict.code)
        };
        assert_eq!(code(said("supervisor", "verdict: pass (3 of 3)")), Some(0));
        assert_eq!(
            code(said("supervisor", "verdict: FAIL (2 of 3 passed)")),
            Some(1)
        );
        assert_eq!(code(said("rogue", "verdict: pass (3 of 3)")), None);
        assert_eq!(code(said("supervisor", "up")), None);
        let plain = "supervisor: verdict: FAIL";
        assert_eq!(code(said("console", plain)), Some(1));
        assert_eq!(code(said("rogue", plain)), None);
        // Out of a torn frame: a pass may be another task's, and a failure is believed.
        assert_eq!(code(said_at(Level::Torn, "console", plain)), Some(1));
        let pass = "supervisor: verdict: pass";
        assert_eq!(code(said("console", pass)), Some(0));
        assert_eq!(code(said_at(Level::Torn, "console", pass)), None);
    }

    #[test]
    fn a_word_that_the_exit_code_contradicts_is_no_verdict() {
        let verdict = |word, code| said("supervisor", word).verdict(&End::Exit(code), None);
        assert!(verdict("verdict: FAIL (2 of 3 passed)", 0).is_err());
        assert!(verdict("verdict: pass (3 of 3)", 1).is_err());
        assert!(verdict("verdict: FAIL (2 of 3 passed)", 1).is_ok());
        assert!(verdict("verdict: pass (3 of 3)", 0).is_ok());
    }

    #[test]
    fn exit_codes() {
        let code = |number| {
            let verdict = said("pci", "up").verdict(&End::Exit(number), None);
            verdict.ok().map(|verdict| verdict.code)
        };
        assert_eq!(code(0), Some(0));
        assert_eq!(code(3), Some(3));
        assert_eq!(code(-1), Some(1));
        assert_eq!(code(256), Some(1));
    }
}
