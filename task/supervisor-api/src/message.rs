//! A report, and how it travels.

use heapless::String;
use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use userlib::abi::REGISTER_BYTES;
use userlib::ipc::Payload;
use userlib::packed;
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub enum Outcome {
    /// The task did what it is there for.
    Pass,
    /// The run failed.
    Fail,
}

/// A short text for a person, of up to 56 bytes: what was done, or what went wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub struct Detail(String<56>);

impl Detail {
    /// Makes a text; bytes that do not fit are cut off.
    pub fn new(text: &str) -> Self {
        let mut detail = String::new();
        for character in text.chars() {
            if detail.push(character).is_err() {
                break;
            }
        }
        Self(detail)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A task's outcome. It travels as `postcard` has it, with zeros up to the end of the message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub struct Report {
    /// Pass or fail.
    pub outcome: Outcome,
    /// The text of the report: what was done, or why it failed.
    pub detail: Detail,
}

const _: () = assert!(Report::POSTCARD_MAX_SIZE <= Report::LEN);

impl Wire for Report {
    const LEN: usize = REGISTER_BYTES;

    fn to_words(&self) -> Payload {
        // The longest fits. What is no report is refused, and never taken for a pass.
        packed::to_words(self)
    }

    fn from_words(words: &Payload) -> Option<Self> {
        let report: Self = packed::from_words(words)?;
        // Control characters could fake lines of their own in the log.
        let printable = !report.detail.as_str().chars().any(char::is_control);
        printable.then_some(report)
    }
}

#[cfg(test)]
mod tests {
    use userlib::ipc;

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
            assert_eq!(Report::from_words(&report.to_words()), Some(report.clone()));
        }
    }

    /// The words of a message that begins with these bytes.
    fn words(bytes: &[u8]) -> Payload {
        let mut all = [0; 64];
        all[..bytes.len()].copy_from_slice(bytes);
        ipc::payload_of(&all)
    }

    #[test]
    fn the_bytes_are_outcome_length_text() {
        let fail = report(Outcome::Fail, "why");
        assert_eq!(fail.to_words(), words(b"\x01\x03why"));
        assert_eq!(Report::POSTCARD_MAX_SIZE, 58);
    }

    #[test]
    fn nonsense_is_no_report() {
        let long = [b'x'; 62];
        let refused: [&[u8]; 9] = [
            b"\x02\x01x",
            b"\xff\x01x",
            // A number in more bytes than it needs, and one that does not end.
            b"\x80\x00\x01x",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            // A length beyond the text that a report can have, and beyond the message.
            &[[0, 57].as_slice(), &long[..57]].concat(),
            b"\x00\xff\x7f",
            b"\x00\x03two",
            b"\x00\x08two\nline",
            b"\x00\x02\xff\xfe",
        ];
        for bytes in refused {
            // "two" is followed by a byte that is not zero where its length is right.
            let mut words = words(bytes);
            if bytes == b"\x00\x03two" {
                words[7] = 1;
            }
            assert_eq!(Report::from_words(&words), None, "{bytes:x?}");
        }
        assert_eq!(Report::from_words(&[u64::MAX; 8]), None);
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        let detail = Detail::new(&"ö".repeat(40));
        assert_eq!(detail.as_str(), "ö".repeat(28));
        let longest = report(Outcome::Fail, &"x".repeat(100));
        assert_eq!(longest.detail.as_str().len(), 56);
        assert_eq!(Report::from_words(&longest.to_words()), Some(longest));
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
