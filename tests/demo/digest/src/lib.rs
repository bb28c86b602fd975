//! Reading a disk in order with many requests in flight.
//!
//! * [`window`]: which chunk is asked for, in flight, or ready;
//! * [`progress`]: when to say how far it is.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(test)]
extern crate std;

pub mod progress;
pub mod window;

use heapless::String;

/// A SHA-256 in the usual lower-case hexadecimal.
pub fn hexadecimal(digest: &[u8; 32]) -> String<64> {
    let nibble = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('?');
    digest
        .iter()
        .flat_map(|&byte| [nibble(byte >> 4), nibble(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    #[test]
    fn the_digest_of_abc_is_the_standard_one() {
        // FIPS 180-4, example of SHA-256 with one block.
        let digest: [u8; 32] = Sha256::digest(b"abc").into();
        assert_eq!(
            super::hexadecimal(&digest).as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
