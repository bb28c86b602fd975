//! Frames on the console: how one is made, and how its content is read.

use abi::log::{FRAME_DELIMITER, FRAME_LOST, FRAME_RECORD, RECORD_MAX};
use crc::{CRC_16_IBM_3740, Crc};
use heapless::Vec;

/// Kind, task, the frame's number.
const HEAD: usize = 1 + size_of::<u16>() + size_of::<u16>();
/// Head, record, check.
const CONTENT_MAX: usize = HEAD + RECORD_MAX + size_of::<u16>();
/// Encoded content between two delimiters; COBS adds a byte, and one more for every 254.
pub const FRAME_MAX: usize = 2 + cobs::max_encoding_length(CONTENT_MAX);

static CHECK: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// A frame, ready for the console.
pub type Frame = Vec<u8, FRAME_MAX>;

/// What a frame says, as far as its kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content<'b> {
    /// Whose ring it is from.
    pub task: u16,
    /// Its own number.
    pub number: u16,
    /// The words of the kind.
    pub told: Told<'b>,
}

/// A kind of frame with its contents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told<'b> {
    /// A raw `defmt` frame.
    Record(&'b [u8]),
    /// So many bytes of the ring were overwritten before they were read.
    Lost(u64),
}

/// A record of a task.
pub fn record(task: u16, number: u16, record: &[u8]) -> Frame {
    frame(FRAME_RECORD, task, number, record)
}

/// Bytes that a task's ring lost.
pub fn lost(task: u16, number: u16, bytes: u64) -> Frame {
    frame(FRAME_LOST, task, number, &bytes.to_le_bytes())
}

/// A body beyond [`RECORD_MAX`] is cut; no ring gives a record that is longer.
fn frame(kind: u8, task: u16, number: u16, body: &[u8]) -> Frame {
    let body = body.get(..RECORD_MAX).unwrap_or(body);
    let mut content = Vec::<u8, CONTENT_MAX>::new();
    // There is room for the longest body.
    let _ = content.push(kind);
    let _ = content.extend_from_slice(&task.to_le_bytes());
    let _ = content.extend_from_slice(&number.to_le_bytes());
    let _ = content.extend_from_slice(body);
    let check = CHECK.checksum(&content);
    let _ = content.extend_from_slice(&check.to_le_bytes());
    let mut encoded = [0; FRAME_MAX - 2];
    // There is room for the longest content; a frame without any says nothing to its reader.
    let encoded_len = cobs::try_encode(&content, &mut encoded).unwrap_or(0);
    let mut frame = Frame::new();
    // A frame has room for its longest content and both delimiters.
    let _ = frame.push(FRAME_DELIMITER);
    let _ = frame.extend_from_slice(encoded.get(..encoded_len).unwrap_or(&[]));
    let _ = frame.push(FRAME_DELIMITER);
    frame
}

/// Reads what lay between two delimiters, by way of `room`; none if it is no whole frame.
pub fn content<'b>(encoded: &[u8], room: &'b mut [u8; FRAME_MAX]) -> Option<Content<'b>> {
    let len = cobs::decode(encoded, room).ok()?.frame_size();
    let (content, check) = room.get(..len)?.split_last_chunk()?;
    if CHECK.checksum(content) != u16::from_le_bytes(*check) {
        return None;
    }
    let (&kind, rest) = content.split_first()?;
    let (task, rest) = rest.split_first_chunk()?;
    let (number, body) = rest.split_first_chunk()?;
    let told = match kind {
        FRAME_RECORD => Told::Record(body),
        FRAME_LOST => Told::Lost(u64::from_le_bytes(body.try_into().ok()?)),
        _ => return None,
    };
    Some(Content {
        task: u16::from_le_bytes(*task),
        number: u16::from_le_bytes(*number),
        told,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inner(frame: &Frame) -> &[u8] {
        let inner = &frame[1..frame.len() - 1];
        assert_eq!((frame[0], frame[frame.len() - 1]), (0, 0));
        assert!(inner.iter().all(|&byte| byte != FRAME_DELIMITER));
        inner
    }

    #[test]
    fn the_format_is_as_written_down() {
        let frame = lost(0x103, 0x204, 0x1_0000);
        let mut bytes = [0; FRAME_MAX];
        let len = cobs::decode(inner(&frame), &mut bytes)
            .expect("decodable")
            .frame_size();
        let head = [FRAME_LOST, 3, 1, 4, 2, 0, 0, 1, 0, 0, 0, 0, 0];
        assert_eq!(bytes[..len - 2], head);
        // The check value of CRC-16/IBM-3740 in the catalogue of parametrised CRC algorithms.
        assert_eq!(CHECK.checksum(b"123456789"), 0x29b1);
        let check = CHECK.checksum(&head).to_le_bytes();
        assert_eq!(bytes[len - 2..len], check);
    }

    proptest! {
        /// No content of a record can end its frame early and speak for another task.
        #[test]
        fn a_record_stays_inside_its_frame(
            task in any::<u16>(),
            number in any::<u16>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..=RECORD_MAX),
        ) {
            let expected = Content { task, number, told: Told::Record(&bytes) };
            let mut room = [0; FRAME_MAX];
            let frame = record(task, number, &bytes);
            prop_assert_eq!(content(inner(&frame), &mut room), Some(expected));
        }

        /// A frame with a changed byte is none. (COBS may move what follows; up to 16 neighbouring bits are sure.)
        #[test]
        fn a_damaged_frame_is_no_frame(
            bytes in proptest::collection::vec(any::<u8>(), 1..64),
            at in any::<prop::sample::Index>(),
            change in 1u8..,
        ) {
            let frame = record(3, 9, &bytes);
            let mut damaged = inner(&frame).to_vec();
            let at = at.index(damaged.len());
            damaged[at] ^= change;
            prop_assume!(damaged[at] != FRAME_DELIMITER);
            let mut room = [0; FRAME_MAX];
            let len = cobs::decode(&damaged, &mut room).map_or(0, |report| report.frame_size());
            let moved = len != HEAD + bytes.len() + size_of::<u16>();
            prop_assert!(moved || content(&damaged, &mut room).is_none());
        }

        /// Nothing that a line may bring makes the reader fall over.
        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..2 * FRAME_MAX)) {
            let _ = content(&bytes, &mut [0; FRAME_MAX]);
        }
    }
}
