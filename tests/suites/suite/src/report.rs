//! What a role says of its part: one message, as `postcard` has it.

use serde::{Deserialize, Serialize};

/// Longest text of a failure or of a skip, bytes.
pub const TEXT_MAX: usize = 160;

/// Most bytes of a report: its kind, a line, whether there are values, two values, a length, the text.
pub const REPORT_MAX: usize = 1 + 5 + 1 + 10 + 10 + 2 + TEXT_MAX;

/// How a part ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Report<'a> {
    /// The part is over and all is well.
    Returned,
    /// The part failed.
    Failed {
        /// Line of the source where it did; 0 if it is of no line.
        line: u32,
        /// What was found and what was expected, where these are numbers.
        values: Option<(u64, u64)>,
        /// What was expected, as source text.
        what: &'a str,
    },
    /// The case cannot be run here, for this reason.
    Skipped(&'a str),
}

/// Why bytes are no report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// They end in the middle.
    Short,
    /// Something follows the report, or they are more than the longest has.
    Long,
    /// A number is of no kind of report, or is in more bytes than its field can have.
    Number,
    /// The text is not UTF-8.
    Text,
}

impl Malformed {
    /// What is wrong, for a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "it ends in the middle",
            Self::Long => "it is longer than it says, or than a report can be",
            Self::Number => "a number in it is of no kind of report",
            Self::Text => "its text is no text",
        }
    }
}

impl<'a> Report<'a> {
    /// The bytes, in `buffer`. Text that does not fit is cut between two characters.
    pub fn write(self, buffer: &mut [u8; REPORT_MAX]) -> &[u8] {
        match postcard::to_slice(&self.cut(), buffer) {
            Ok(bytes) => bytes,
            // The longest has room. No bytes are no report, and never taken for a part that is well.
            Err(_) => &[],
        }
    }

    fn cut(self) -> Self {
        let short = |text: &'a str| {
            let end = text.floor_char_boundary(TEXT_MAX);
            text.get(..end).unwrap_or_default()
        };
        match self {
            Self::Returned => self,
            Self::Failed { line, values, what } => Self::Failed {
                line,
                values,
                what: short(what),
            },
            Self::Skipped(why) => Self::Skipped(short(why)),
        }
    }

    /// Reads what a role sent, which may be anything.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        use postcard::Error::{DeserializeBadUtf8, DeserializeUnexpectedEnd};
        match postcard::take_from_bytes(bytes) {
            Ok((_, rest)) if !rest.is_empty() || bytes.len() > REPORT_MAX => Err(Malformed::Long),
            Ok((report, _)) => Ok(report),
            Err(DeserializeUnexpectedEnd) => Err(Malformed::Short),
            Err(DeserializeBadUtf8) => Err(Malformed::Text),
            Err(_) => Err(Malformed::Number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn bytes(report: Report<'_>) -> Vec<u8> {
        report.write(&mut [0; REPORT_MAX]).to_vec()
    }

    const FAILED: Report<'_> = Report::Failed {
        line: 300,
        values: Some((0x1234, u64::MAX)),
        what: "größer",
    };

    #[test]
    fn reports_survive_the_way() {
        let without = Report::Failed {
            line: 0,
            values: None,
            what: "",
        };
        for report in [Report::Returned, FAILED, without, Report::Skipped("no ATS")] {
            assert_eq!(Report::read(&bytes(report)), Ok(report));
        }
        assert_eq!(bytes(Report::Returned), [0]);
        assert_eq!(bytes(Report::Skipped("no")), b"\x02\x02no");
    }

    #[test]
    fn the_longest_fits() {
        let what = "x".repeat(1000);
        let longest = bytes(Report::Failed {
            line: u32::MAX,
            values: Some((u64::MAX, u64::MAX)),
            what: &what,
        });
        assert_eq!(longest.len(), REPORT_MAX);
        assert!(Report::read(&longest).is_ok());
        let wide = "ö".repeat(100) + "x";
        let odd = std::format!("x{wide}");
        let cut = bytes(Report::Skipped(&odd));
        let Ok(Report::Skipped(text)) = Report::read(&cut) else {
            panic!("{cut:?}");
        };
        assert_eq!(text.len(), TEXT_MAX - 1, "cut between two characters");
    }

    #[test]
    fn each_beginning_ends_in_the_middle() {
        let whole = bytes(FAILED);
        for end in 0..whole.len() {
            assert_eq!(Report::read(&whole[..end]), Err(Malformed::Short), "{end}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        let long = [b'x'; 2 * REPORT_MAX];
        let refused: [(&[u8], Malformed); 8] = [
            (b"\x03", Malformed::Number),
            (b"\xff\xff\xff\xff\xff\xff", Malformed::Number),
            // A line of more than 32 bits, and values that are neither there nor not.
            (b"\x01\xff\xff\xff\xff\x7f\x00\x00", Malformed::Number),
            (b"\x01\x01\x02\x00", Malformed::Number),
            (b"\x02\x02\xff\xfe", Malformed::Text),
            (b"\x00\x00", Malformed::Long),
            (b"\x02\x01xx", Malformed::Long),
            // A length beyond everything.
            (
                b"\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                Malformed::Short,
            ),
        ];
        for (bytes, why) in refused {
            assert_eq!(Report::read(bytes), Err(why), "{bytes:x?}");
        }
        let longer = [b"\x02\xbc\x01".as_slice(), &long[..188]].concat();
        assert_eq!(longer.len(), REPORT_MAX + 2);
        assert_eq!(Report::read(&longer), Err(Malformed::Long));
        let names = [
            Malformed::Short,
            Malformed::Long,
            Malformed::Number,
            Malformed::Text,
        ];
        for (at, why) in names.iter().enumerate() {
            assert!(names[..at].iter().all(|other| other.name() != why.name()));
        }
    }

    /// Whatever the bytes are, reading ends, and what was read is a report that can be written.
    #[test]
    fn any_bytes_are_a_report_or_have_a_name() {
        let mut random = oorandom::Rand32::new(0x5e9d);
        let mut read = 0;
        for _ in 0..100_000 {
            let len = random.rand_range(0..80) as usize;
            let mut frame: Vec<u8> = (0..len).map(|_| random.rand_u32() as u8 & 0x83).collect();
            if let Some(kind) = frame.first_mut() {
                *kind %= 4;
            }
            match Report::read(&frame) {
                Ok(report) => {
                    read += 1;
                    assert_eq!(Report::read(&bytes(report)), Ok(report));
                }
                Err(why) => assert!(!why.name().is_empty()),
            }
        }
        assert!(read > 0);
    }
}
