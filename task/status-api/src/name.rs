//! Names in records.

use heapless::String;
use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};

/// A name from `app.toml`, of up to 24 bytes: letters, digits, `-` and `_`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, MaxSize)]
pub struct Name(String<24>);

impl Name {
    /// Makes a name; bytes that do not fit are cut off.
    pub fn new(text: &str) -> Self {
        let mut name = String::new();
        for character in text.chars() {
            if name.push(character).is_err() {
                break;
            }
        }
        Self(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one, made of what names are made of. Anything else could fake lines of its own in a log.
    pub(crate) fn is_good(&self) -> bool {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !self.0.is_empty() && self.0.bytes().all(good)
    }
}
