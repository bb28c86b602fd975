//! Seeded changes to inputs.

use oorandom::Rand64;

/// Values at which code likes to go wrong.
const EDGES: [u64; 10] = [
    0,
    1,
    0x7f,
    0xff,
    0xfff,
    0x1000,
    0xffff_ffff,
    1 << 32,
    1 << 63,
    u64::MAX,
];

/// Makes inputs.
pub struct Mutator(Rand64);

impl Mutator {
    /// The same seed makes the same inputs.
    pub fn new(seed: u64) -> Self {
        Self(Rand64::new(u128::from(seed)))
    }

    fn below(&mut self, end: usize) -> usize {
        (self.0.rand_u64() % end.max(1) as u64) as usize
    }

    /// An input made from `corpus`, or from nothing, of about `len_max` bytes at most.
    pub fn input(&mut self, corpus: &[Vec<u8>], len_max: usize) -> Vec<u8> {
        if corpus.is_empty() || self.below(4) == 0 {
            let len = self.below(len_max + 1);
            return (0..len).map(|_| self.0.rand_u64() as u8).collect();
        }
        let which = self.below(corpus.len());
        let mut input = corpus[which].clone();
        for _ in 0..=self.below(4) {
            let other = self.below(corpus.len());
            self.change(&mut input, &corpus[other]);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len());
        let long = self.below(4) == 0;
        let run = 1 + self.below(if long { 256 } else { 8 });
        let end = (at + run).min(input.len());
        match self.below(8) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = self.0.rand_u64() as u8;
                }
            }
            2 => {
                let which = self.below(EDGES.len());
                let edge = EDGES[which].to_le_bytes();
                for (to, from) in input.iter_mut().skip(at / 4 * 4).zip(edge) {
                    *to = from;
                }
            }
            3 => drop(input.drain(at.min(end)..end)),
            4 => {
                let again = input.get(at..end).unwrap_or_default().to_vec();
                input.splice(at..at, again);
            }
            5 => input.truncate(at),
            6 => {
                let from = self.below(other.len());
                let part = other.get(from..(from + run).min(other.len()));
                input.splice(at.min(end)..end, part.unwrap_or_default().iter().copied());
            }
            _ => self.change_line(input),
        }
    }

    /// Removes, repeats or moves a line; does little to what is no text.
    fn change_line(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = input.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
        let (at, to) = (self.below(lines.len()), self.below(lines.len()));
        match self.below(3) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(to, lines[at].clone()),
            _ => lines.swap(at, to),
        }
        *input = lines.join(&b'\n');
    }
}
