//! A report, and how it travels in payload words.

use userlib::ipc::{self, Payload};
use userlib::plan::Text;
use userlib::protocol::Wire;

/// Number of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Operation {
    /// [`Report`].
    Report = 1,
    /// No words: the caller has finished, as it was asked to by [`SHUT_DOWN`](crate::SHUT_DOWN).
    Finished = 2,
}

impl Operation {
    /// The operation with this number.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Report),
            2 => Some(Self::Finished),
            _ => None,
        }
    }
}

/// Part of a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Outcome {
    /// The task did what it is there for.
    Pass = 0,
    /// It did not.
    Fail = 1,
}

/// What was done or what went wrong, for a person; up to 56 bytes.
pub type Detail = Text<DETAIL_BYTES>;
const DETAIL_BYTES: usize = 56;

/// A task's outcome. Word 0 of the message is the [`Outcome`], words 1 to 7 are the [`Detail`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Pass or fail.
    pub outcome: Outcome,
    /// What was done, or why it failed.
    pub detail: Detail,
}

impl Wire for Report {
    const LEN: usize = 8 + DETAIL_BYTES;

    fn to_words(&self) -> Payload {
        let mut bytes = [0; Self::LEN];
        let text = self.detail.as_str().as_bytes();
        for (to, from) in bytes.iter_mut().skip(8).zip(text) {
            *to = *from;
        }
        let mut payload = ipc::payload_of(&bytes);
        payload[0] = self.outcome as u64;
        payload
    }

    fn from_words(words: &Payload) -> Option<Self> {
        let [outcome, words @ ..] = words;
        let outcome = match outcome {
            0 => Outcome::Pass,
            1 => Outcome::Fail,
            _ => return None,
        };
        let mut bytes = [0; DETAIL_BYTES];
        for (to, word) in bytes.chunks_mut(8).zip(words) {
            for (to, from) in to.iter_mut().zip(word.to_le_bytes()) {
                *to = from;
            }
        }
        let end = bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len());
        let text = core::str::from_utf8(bytes.get(..end)?).ok()?;
        // Control characters could fake lines of their own in the log.
        let printable = !text.chars().any(char::is_control);
        printable.then(|| Self {
            outcome,
            detail: Detail::new(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome, text: &str) -> Report {
        let detail = Detail::new(text);
        Report { outcome, detail }
    }

    #[test]
    fn reports_survive_the_registers() {
        let longest = "sha256 over 16777216 bytes, in 256 KiB reads, 32 deep..";
        for report in [
            report(Outcome::Pass, ""),
            report(Outcome::Fail, longest),
            report(Outcome::Pass, "größer"),
        ] {
            assert_eq!(Report::from_words(&report.to_words()), Some(report));
        }
    }

    #[test]
    fn nonsense_is_no_report() {
        let good = report(Outcome::Pass, "x").to_words();
        let mut payload = good;
        payload[0] = 2;
        assert_eq!(Report::from_words(&payload), None);
        payload = good;
        payload[1] = u64::from_le_bytes(*b"two\nline");
        assert_eq!(Report::from_words(&payload), None);
        payload[1] = u64::MAX;
        assert_eq!(Report::from_words(&payload), None);
    }

    #[test]
    fn operations_have_one_number_each() {
        for (number, operation) in [(1, Operation::Report), (2, Operation::Finished)] {
            assert_eq!(operation as u16, number);
            assert_eq!(Operation::from_number(number), Some(operation));
        }
        for other in [0, 3] {
            assert_eq!(Operation::from_number(other), None);
        }
    }
}
