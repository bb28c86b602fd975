//! Text of bounded length.

use core::fmt::{Arguments, Write};

use heapless::String;

/// Longest line, bytes.
const LINE: usize = 256;

/// One line; what does not fit is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line(String<LINE>);

impl Line {
    pub(crate) const fn new() -> Self {
        Self(String::new())
    }

    pub(crate) fn of(text: Arguments<'_>) -> Self {
        let mut line = Self::new();
        line.add(text);
        line
    }

    pub(crate) fn add(&mut self, text: Arguments<'_>) {
        // Cut text is no error: `write_str` takes what fits.
        let _ = self.write_fmt(text);
    }

    /// Ends it with a line feed, for which there is room.
    pub(crate) fn end(&mut self) {
        while self.0.len() >= LINE {
            self.0.pop();
        }
        let _ = self.0.push('\n');
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for character in text.chars() {
            // A report is one line, whatever a role sends.
            let character = if character.is_control() {
                ' '
            } else {
                character
            };
            if self.0.push(character).is_err() {
                break;
            }
        }
        Ok(())
    }
}

impl core::fmt::Display for Line {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}
