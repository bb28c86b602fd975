//! The console's bytes: frames of the log, and the kernel's plain text between them.

use abi::log::{FRAME_DELIMITER, FRAME_LOST, FRAME_RECORD};

/// Something complete that came over the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A line of the kernel's, without its end.
    Text(String),
    /// A raw `defmt` frame of the task with this number.
    Record(u16, Vec<u8>),
    /// Bytes of that task's log that were overwritten before they were read.
    Lost(u16, u64),
}

/// Takes the stream apart.
#[derive(Default)]
pub struct Splitter {
    in_frame: bool,
    pending: Vec<u8>,
}

impl Splitter {
    /// Adds bytes: what became complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for &byte in bytes {
            if byte == FRAME_DELIMITER {
                self.delimiter(&mut pieces);
            } else if byte == b'\n' && !self.in_frame {
                self.text(&mut pieces);
            } else {
                self.pending.push(byte);
            }
        }
        pieces
    }

    /// The pieces that are left at the end.
    pub fn finish(mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.text(&mut pieces);
        pieces
    }

    fn delimiter(&mut self, pieces: &mut Vec<Piece>) {
        if !self.in_frame {
            self.text(pieces);
            self.in_frame = true;
            return;
        }
        if self.pending.is_empty() {
            return;
        }
        match frame(&self.pending) {
            Some(piece) => {
                self.pending.clear();
                self.in_frame = false;
                pieces.push(piece);
            }
            // The last words of a kernel that died in the middle of a frame, or a delimiter was lost: this
            // one begins a frame.
            None => self.text(pieces),
        }
    }

    fn text(&mut self, pieces: &mut Vec<Piece>) {
        let bytes = std::mem::take(&mut self.pending);
        let text = String::from_utf8_lossy(&bytes);
        pieces.extend(
            text.lines()
                .map(str::trim_end)
                .filter(|line| !line.is_empty())
                .map(|line| Piece::Text(line.chars().filter(|c| !c.is_control()).collect())),
        );
    }
}

fn frame(encoded: &[u8]) -> Option<Piece> {
    let content = cobs::decode_vec(encoded).ok()?;
    let (&kind, rest) = content.split_first()?;
    let (task, rest) = rest.split_first_chunk()?;
    let task = u16::from_le_bytes(*task);
    match kind {
        FRAME_RECORD => Some(Piece::Record(task, rest.to_vec())),
        FRAME_LOST => Some(Piece::Lost(task, u64::from_le_bytes(rest.try_into().ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(cobs::encode_vec(content));
        bytes.push(0);
        bytes
    }

    #[test]
    fn text_and_frames() {
        let mut bytes = b"kernel up\n".to_vec();
        bytes.extend(framed(&[FRAME_RECORD, 3, 0, 0, 10, 0]));
        bytes.extend(framed(&[FRAME_LOST, 4, 1, 7, 0, 0, 0, 0, 0, 0, 0]));
        bytes.extend(b"panic");
        let mut splitter = Splitter::default();
        let mut pieces: Vec<Piece> = bytes
            .iter()
            .flat_map(|&byte| splitter.push(&[byte]))
            .collect();
        pieces.extend(splitter.finish());
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(
            pieces,
            [
                text("kernel up"),
                Piece::Record(3, vec![0, 10, 0]),
                Piece::Lost(0x104, 7),
                text("panic")
            ]
        );
    }

    #[test]
    fn resynchronises_after_a_torn_frame() {
        let mut splitter = Splitter::default();
        let mut bytes = vec![0, 0x41, 0x42];
        bytes.extend(b"kernel panic");
        bytes.extend(framed(&[FRAME_RECORD, 1, 0, 9]));
        let pieces = splitter.push(&bytes);
        assert_eq!(pieces.last(), Some(&Piece::Record(1, vec![9])));
        assert!(matches!(pieces.first(), Some(Piece::Text(text)) if text.contains("kernel panic")));
    }
}
