//! What a console brings, piece by piece.

/// Something complete that came over the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A line of the kernel's, without its end.
    Text(String),
    /// A raw `defmt` frame of the task with this number.
    Record(u16, Vec<u8>),
    /// Bytes of that task's log that were overwritten before they were read.
    Lost(u16, u64),
    /// Characters out of a stretch that is neither a frame nor whole text. Nothing says who wrote them.
    Torn(String),
    /// So many bytes that are neither frame nor text.
    Damaged(usize),
    /// So many frames that were sent, by their numbers, and did not arrive whole.
    Missing(u16),
    /// A frame that came a second time, and is left out.
    Repeated,
    /// The frames are numbered from 0 again: this is another boot.
    Again,
}
