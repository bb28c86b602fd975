//! What the counter of instructions has to do with a figure.

/// How a figure comes from the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// What lies between two looks at the counter.
    Once,
    /// The same, for so many operations.
    Each(u64),
    /// Not between two looks: bytes, or the difference of two counts.
    Apart,
}

impl Counted {
    /// The figure of a stretch of so many instructions.
    pub fn figure(self, instructions: u64) -> Option<u64> {
        match self {
            Self::Once => Some(instructions),
            Self::Each(operations) => instructions.checked_div(operations),
            Self::Apart => None,
        }
    }
}
