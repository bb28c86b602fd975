//! The numbers of frames: which are missing, which came twice.

use std::collections::VecDeque;

use super::piece::Piece;

/// Frames that are remembered, to know one that comes again.
const MEMORY: usize = 64;

/// What was seen of the numbers of one stream.
#[derive(Default)]
pub struct Numbers {
    /// The last frames with their numbers, newest last.
    seen: VecDeque<(u16, Piece)>,
}

impl Numbers {
    /// Puts a frame behind what its number tells.
    pub fn see(&mut self, number: u16, piece: &Piece, pieces: &mut Vec<Piece>) {
        if let Some((last, _)) = self.seen.back() {
            let same = |(other, seen): &(u16, Piece)| *other == number && seen == piece;
            let distance = number.wrapping_sub(*last);
            if self.seen.iter().any(same) && (number != 0 || distance == 0) {
                pieces.push(Piece::Repeated);
                return;
            }
            // A log task that died while it noted a frame gives its number to the next: no distance, no loss.
            match distance {
                0 | 1 => {}
                2..0x8000 => pieces.push(Piece::Missing(distance - 1)),
                _ => {
                    // Frames before the first that arrived are lost as well.
                    pieces.push(Piece::Again);
                    if number != 0 {
                        pieces.push(Piece::Missing(number));
                    }
                    self.seen.clear();
                }
            }
        }
        pieces.push(piece.clone());
        self.seen.push_back((number, piece.clone()));
        if self.seen.len() > MEMORY {
            self.seen.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(frames: &[(u16, u8)]) -> Vec<Piece> {
        let mut numbers = Numbers::default();
        let mut pieces = Vec::new();
        for (number, byte) in frames {
            numbers.see(*number, &record(*byte), &mut pieces);
        }
        pieces
    }

    fn record(byte: u8) -> Piece {
        Piece::Record(1, vec![byte])
    }

    #[test]
    fn gaps_repeats_and_another_boot() {
        let whole = told(&[(0, 1), (1, 2), (2, 3)]);
        assert_eq!(whole, [record(1), record(2), record(3)]);
        let gap = told(&[(7, 1), (10, 2)]);
        assert_eq!(gap, [record(1), Piece::Missing(2), record(2)]);
        let around = told(&[(0xffff, 1), (0, 2), (2, 3)]);
        assert_eq!(around, [record(1), record(2), Piece::Missing(1), record(3)]);
        let twice = told(&[(4, 1), (5, 2), (4, 1), (5, 2), (6, 3)]);
        let repeats = [
            record(1),
            record(2),
            Piece::Repeated,
            Piece::Repeated,
            record(3),
        ];
        assert_eq!(twice, repeats);
        // Another boot may say the same with the same numbers.
        let again = told(&[(0, 1), (1, 2), (0, 1), (1, 2)]);
        assert_eq!(
            again,
            [record(1), record(2), Piece::Again, record(1), record(2)]
        );
        let late = told(&[(8, 1), (3, 2)]);
        assert_eq!(
            late,
            [record(1), Piece::Again, Piece::Missing(3), record(2)]
        );
    }

    #[test]
    fn a_number_that_a_dying_log_task_gave_twice() {
        assert_eq!(
            told(&[(4, 1), (4, 2), (5, 3)]),
            [record(1), record(2), record(3)]
        );
        assert_eq!(
            told(&[(4, 1), (4, 1), (5, 3)]),
            [record(1), Piece::Repeated, record(3)]
        );
    }
}
