//! Bytes of a console in, lines out, with a count of what was lost on the way.

use super::decode::{Decoder, Line};
use super::frames::Splitter;
use super::piece::Piece;

/// What arrived, and what did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Whole frames, without those that came again.
    pub frames: u64,
    /// Frames that their neighbours' numbers tell of.
    pub missing: u64,
    /// Frames that came again.
    pub repeated: u64,
    /// Bytes that are neither frame nor text.
    pub damaged: u64,
    /// How often the frames were numbered anew.
    pub boots: u64,
    /// Bytes of tasks' logs that were overwritten in their rings. The line is not to blame for these.
    pub overwritten: u64,
}

impl Tally {
    /// Whether everything came as it was sent.
    pub fn is_whole(&self) -> bool {
        let of_line = self.missing + self.repeated + self.damaged;
        of_line + self.overwritten == 0
    }

    fn see(&mut self, piece: &Piece) {
        match piece {
            Piece::Record(..) => self.frames += 1,
            Piece::Lost(_, bytes) => {
                self.frames += 1;
                self.overwritten = self.overwritten.saturating_add(*bytes);
            }
            Piece::Missing(frames) => self.missing += u64::from(*frames),
            Piece::Repeated => self.repeated += 1,
            Piece::Damaged(bytes) => self.damaged += *bytes as u64,
            Piece::Again => self.boots += 1,
            Piece::Text(_) | Piece::Torn(_) => {}
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} frames", self.frames)?;
        for (count, what) in [
            (self.missing, "frames missing"),
            (self.repeated, "frames that came twice"),
            (self.damaged, "bytes that are neither frame nor text"),
            (self.overwritten, "bytes overwritten in the tasks' rings"),
        ] {
            if count != 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// Follows one console.
pub struct Listener {
    decoder: Decoder,
    splitter: Splitter,
    tally: Tally,
}

impl Listener {
    /// For a stream that nobody has seen the beginning of.
    pub fn new(decoder: Decoder) -> Self {
        Self {
            decoder,
            splitter: Splitter::joined(),
            tally: Tally::default(),
        }
    }

    /// The lines that bytes complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let pieces = self.splitter.push(bytes);
        self.lines(pieces)
    }

    /// The lines of a stream that is silent, or at its end.
    pub fn pause(&mut self) -> Vec<Line> {
        let pieces = self.splitter.pause();
        self.lines(pieces)
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn lines(&mut self, pieces: Vec<Piece>) -> Vec<Line> {
        for piece in &pieces {
            self.tally.see(piece);
        }
        let pieces = pieces.into_iter();
        pieces.map(|piece| self.decoder.line(piece)).collect()
    }
}
