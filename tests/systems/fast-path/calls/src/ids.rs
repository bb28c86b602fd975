//! Ids of actors, which differ from one playing of a round to the next.

use abi::TaskId;

use crate::COUNT;

/// From one life to the next.
pub const LIFE: u64 = TaskId::new(0, 1).0;

/// How a word is made from an actor's id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variation {
    /// As it is.
    Current,
    /// Of the life before.
    Stale,
    /// Of a life to come.
    Next,
    /// Of an index that is none, with the same low six bits.
    Alias,
    /// With one bit of another value.
    Bit(u8),
}

impl Variation {
    /// The word.
    pub const fn of(self, id: u64) -> u64 {
        match self {
            Self::Current => id,
            Self::Stale => id.wrapping_sub(LIFE),
            Self::Next => id.wrapping_add(LIFE),
            Self::Alias => id ^ 0x40,
            Self::Bit(bit) => id ^ 1 << (bit & 63),
        }
    }
}

/// The actors' ids while a round is played.
pub type Ids = [u64; COUNT];

/// Whether two words mean the same: they are equal, or made from an actor's id in the same way.
pub fn same(first: u64, second: u64, ids: (&Ids, &Ids)) -> bool {
    if first == second {
        return true;
    }
    let few = [
        Variation::Current,
        Variation::Stale,
        Variation::Next,
        Variation::Alias,
    ];
    ids.0.iter().zip(ids.1).any(|(a, b)| {
        few.into_iter()
            .chain((0..64).map(Variation::Bit))
            .any(|variation| variation.of(*a) == first && variation.of(*b) == second)
    })
}
