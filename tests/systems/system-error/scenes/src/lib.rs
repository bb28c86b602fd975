//! What the tasks of this image say to each other.
#![no_std]
#![forbid(unsafe_code)]

/// Operation: what is to be done next? The reply has a [`Deed`] and a syndrome.
pub const NEXT: u16 = 1;
/// Operation: it was done, and the sender lives.
pub const LIVED: u16 = 2;

/// What a victim does while an error is pending, or comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Deed {
    /// Nothing: the error is taken at once.
    Take = 0,
    /// A call of the judge.
    Send = 1,
    /// A post to the judge.
    Post = 2,
    /// A question to the kernel.
    Ask = 3,
    /// It waits for the interrupt of the judge's timer.
    Spin = 4,
    /// Nothing: an interrupt of group 0 is taken at once.
    FastInterrupt = 5,
}

impl Deed {
    /// All of them; each one's number is its place.
    pub const ALL: [Self; 6] = [
        Self::Take,
        Self::Send,
        Self::Post,
        Self::Ask,
        Self::Spin,
        Self::FastInterrupt,
    ];
}
