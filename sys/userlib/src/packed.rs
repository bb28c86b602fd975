//! Messages with structure, as `postcard` has them: what is not frequent and has names, texts and alternatives.
//!
//! Such a message is as long as the registers are, with zeros behind its last byte, so that it has one form:
//! `postcard` reads longer numbers than it writes and leaves what follows, and so a message that was read is written
//! again and compared. That the longest message fits is for its crate to prove, by `postcard`'s `MaxSize`.

use abi::REGISTER_BYTES;
use serde::{Deserialize, Serialize};

use crate::ipc::{self, Payload};

/// The words of a message. What does not fit becomes words that are no message of anybody.
pub fn to_words<T: Serialize>(message: &T) -> Payload {
    let mut bytes = [0; REGISTER_BYTES];
    match postcard::to_slice(message, &mut bytes) {
        Ok(_) => ipc::payload_of(&bytes),
        Err(_) => [u64::MAX; 8],
    }
}

/// Reads the words back; none if they are not what [`to_words`] makes of a message.
pub fn from_words<T: Serialize + for<'de> Deserialize<'de>>(words: &Payload) -> Option<T> {
    let message: T = postcard::from_bytes(&bytes(words)).ok()?;
    (to_words(&message) == *words).then_some(message)
}

/// The bytes of a message's words.
pub fn bytes(words: &Payload) -> [u8; REGISTER_BYTES] {
    let mut bytes = [0; REGISTER_BYTES];
    for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *to = word.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_one_form() {
        let words = to_words(&(300u32, true));
        assert_eq!(bytes(&words)[..4], [0xac, 0x02, 1, 0]);
        assert_eq!(from_words(&words), Some((300u32, true)));
        let mut longer = [0; REGISTER_BYTES];
        // The same number in a byte more, and a byte behind the end.
        longer[..4].copy_from_slice(&[0xac, 0x82, 0, 1]);
        assert_eq!(from_words::<(u32, bool)>(&ipc::payload_of(&longer)), None);
        let mut more = words;
        more[7] = 1;
        assert_eq!(from_words::<(u32, bool)>(&more), None);
    }

    #[test]
    fn what_does_not_fit_is_no_message() {
        let words = to_words(&[1u64 << 63; 32]);
        assert_eq!(words, [u64::MAX; 8]);
        assert_eq!(from_words::<(u32, bool)>(&words), None);
    }
}
