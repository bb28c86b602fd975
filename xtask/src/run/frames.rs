//! The console's bytes: frames of the log, and the kernel's plain text between them.

use abi::log::FRAME_DELIMITER;
use log_server::frame::{self, Content, FRAME_MAX, Told};

use super::numbers::Numbers;
use super::piece::Piece;

/// Fewest characters in a row that are shown of a stretch that is no frame: a changed frame has shorter runs of
/// letters by chance.
const WORD: usize = 6;

/// Takes the stream apart.
#[derive(Default)]
pub struct Splitter {
    in_frame: bool,
    /// Nobody knows what the stream was in the middle of when it began.
    joined: bool,
    pending: Vec<u8>,
    numbers: Numbers,
}

impl Splitter {
    /// For a stream that may begin in the middle of a frame or of a line.
    pub fn joined() -> Self {
        Self {
            joined: true,
            ..Self::default()
        }
    }

    /// Adds bytes: what became complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for &byte in bytes {
            if byte == FRAME_DELIMITER {
                self.delimiter(&mut pieces);
                continue;
            }
            self.pending.push(byte);
            let ends_line = byte == b'\n' && !self.in_frame;
            // What is longer than every frame is none.
            if ends_line || self.pending.len() > 2 * FRAME_MAX {
                self.text(&mut pieces);
                self.in_frame = false;
            }
        }
        pieces
    }

    /// The pieces of a stream that has been silent for longer than a frame takes: what it is in the middle of will
    /// not be completed.
    pub fn pause(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.text(&mut pieces);
        pieces
    }

    /// The pieces that are left at the end.
    pub fn finish(mut self) -> Vec<Piece> {
        self.pause()
    }

    fn delimiter(&mut self, pieces: &mut Vec<Piece>) {
        if self.in_frame && self.pending.is_empty() {
            // The one that ended a torn frame was lost, or is this one: the next bytes are a frame's.
            return;
        }
        // A frame whose first delimiter was lost is one as well: text has no right check.
        if let Some(content) = frame::content(&self.pending, &mut [0; FRAME_MAX]) {
            self.pending.clear();
            self.in_frame = false;
            self.joined = false;
            self.numbers.see(content.number, &piece(&content), pieces);
            return;
        }
        // Text, or the last words of a kernel that died in the middle of a frame, or a delimiter was lost: this
        // one begins a frame.
        self.text(pieces);
        self.in_frame = true;
    }

    fn text(&mut self, pieces: &mut Vec<Piece>) {
        let bytes = std::mem::take(&mut self.pending);
        let whole = !self.in_frame && !self.joined && bytes.iter().all(is_text);
        self.joined = false;
        if whole {
            let text = String::from_utf8_lossy(&bytes);
            let lines = text.lines().map(str::trim_end);
            let lines = lines.filter(|line| !line.is_empty());
            pieces.extend(
                lines.map(|line| Piece::Text(line.chars().filter(|c| !c.is_control()).collect())),
            );
            return;
        }
        let words = bytes.split(|byte| !is_printable(byte));
        let words: Vec<&[u8]> = words.filter(|word| word.len() >= WORD).collect();
        let readable: usize = words.iter().map(|word| word.len()).sum();
        let rest = bytes.iter().filter(|byte| !is_space(byte)).count();
        if let Some(damaged @ 1..) = rest.checked_sub(readable) {
            pieces.push(Piece::Damaged(damaged));
        }
        pieces.extend(
            words
                .iter()
                .map(|word| Piece::Torn(String::from_utf8_lossy(word).trim().to_owned())),
        );
    }
}

fn piece(content: &Content) -> Piece {
    match content.told {
        Told::Record(record) => Piece::Record(content.task, record.to_vec()),
        Told::Lost(bytes) => Piece::Lost(content.task, bytes),
    }
}

/// The kernel and the supervisor write ASCII.
fn is_text(byte: &u8) -> bool {
    is_printable(byte) || is_space(byte) || *byte == b'\t'
}

fn is_printable(byte: &u8) -> bool {
    byte.is_ascii_graphic() || *byte == b' '
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[cfg(test)]
mod tests;
