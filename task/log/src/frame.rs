//! Frames on the console.

use abi::log::{FRAME_DELIMITER, FRAME_LOST, FRAME_RECORD, RECORD_MAX};
use heapless::Vec;

/// Kind, task, record.
const CONTENT_MAX: usize = 1 + size_of::<u16>() + RECORD_MAX;
/// Encoded content between two delimiters; COBS adds a byte, and one more for every 254.
pub const FRAME_MAX: usize = 2 + cobs::max_encoding_length(CONTENT_MAX);

/// A frame, ready for the console.
pub type Frame = Vec<u8, FRAME_MAX>;

/// A record of a task.
pub fn record(task: u16, record: &[u8]) -> Frame {
    frame(FRAME_RECORD, task, record)
}

/// Bytes that a task's ring lost.
pub fn lost(task: u16, bytes: u64) -> Frame {
    frame(FRAME_LOST, task, &bytes.to_le_bytes())
}

/// Content beyond [`CONTENT_MAX`] is cut; no ring gives a record that is longer.
fn frame(kind: u8, task: u16, body: &[u8]) -> Frame {
    let [low, high] = task.to_le_bytes();
    let head = [kind, low, high];
    let mut content = [0; CONTENT_MAX];
    let mut len = 0;
    for (to, from) in content.iter_mut().zip(head.iter().chain(body)) {
        *to = *from;
        len += 1;
    }
    let mut encoded = [0; FRAME_MAX - 2];
    // There is room for the longest content; a frame without any says nothing to its reader.
    let encoded_len =
        cobs::try_encode(content.get(..len).unwrap_or(&[]), &mut encoded).unwrap_or(0);
    let mut frame = Frame::new();
    // A frame has room for its longest content and both delimiters.
    let _ = frame.push(FRAME_DELIMITER);
    let _ = frame.extend_from_slice(encoded.get(..encoded_len).unwrap_or(&[]));
    let _ = frame.push(FRAME_DELIMITER);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(frame: &Frame) -> std::vec::Vec<u8> {
        let inner = &frame[1..frame.len() - 1];
        assert_eq!((frame[0], frame[frame.len() - 1]), (0, 0));
        assert!(inner.iter().all(|&byte| byte != FRAME_DELIMITER));
        let mut content = std::vec![0; FRAME_MAX];
        let len = cobs::decode(inner, &mut content)
            .expect("decodable")
            .frame_size();
        content.truncate(len);
        content
    }

    #[test]
    fn loss_is_a_frame_of_its_own() {
        let frame = lost(0x103, 0x1_0000);
        assert_eq!(decoded(&frame), [FRAME_LOST, 3, 1, 0, 0, 1, 0, 0, 0, 0, 0]);
    }

    proptest! {
        /// No content of a record can end its frame early and speak for another task.
        #[test]
        fn a_record_stays_inside_its_frame(
            task in any::<u16>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..=RECORD_MAX),
        ) {
            let content = decoded(&record(task, &bytes));
            let [low, high] = task.to_le_bytes();
            prop_assert_eq!(&content[..3], &[FRAME_RECORD, low, high]);
            prop_assert_eq!(&content[3..], &bytes[..]);
        }
    }
}
