//! What is in the frames of the sender.
#![no_std]
#![forbid(unsafe_code)]

use nic_api::{Address, FRAME_MAX};
use userlib::memory::Memory;

/// Type of an experiment (IEEE 802, 9.2.3).
const TYPE: [u8; 2] = [0x88, 0xb5];
/// Bytes before the pattern: addresses, type and number.
const HEAD: usize = 22;
/// Bytes that the device fills a frame up to.
const SHORTEST: usize = 60;
/// Lengths of frames, one after another.
const LENGTHS: [u32; 9] = [22, 59, 60, 64, 65, 512, 1513, 1514, FRAME_MAX];

/// Bytes of a frame.
pub fn length(number: u64) -> u32 {
    let at = (number % LENGTHS.len() as u64) as usize;
    LENGTHS.get(at).copied().unwrap_or(FRAME_MAX)
}

fn pattern(number: u64, at: usize) -> u8 {
    let mixed = (number << 16 ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

fn byte(number: u64, at: usize, addresses: [Address; 2]) -> u8 {
    let [to, from] = addresses;
    let number_bytes = number.to_le_bytes();
    let part = match at {
        0..6 => to.get(at),
        6..12 => from.get(at - 6),
        12..14 => TYPE.get(at - 12),
        14..HEAD => number_bytes.get(at - 14),
        _ => None,
    };
    part.copied().unwrap_or(pattern(number, at))
}

/// Writes a frame to all.
pub fn write(pool: &impl Memory, at: usize, number: u64, own: Address) {
    for offset in 0..length(number) as usize {
        pool.write8(at + offset, byte(number, offset, [[0xff; 6], own]));
    }
}

/// The number of a frame that came back; none if it is another than was sent.
pub fn back(pool: &impl Memory, at: usize, found: usize, own: Address) -> Option<u64> {
    let mut bytes = [0; 8];
    for (offset, to) in (14..).zip(&mut bytes) {
        *to = pool.read8(at + offset);
    }
    let number = u64::from_le_bytes(bytes);
    let sent = length(number) as usize;
    if found != sent.max(SHORTEST) {
        return None;
    }
    let mut from = [0; 6];
    for (offset, byte) in (6..).zip(&mut from) {
        *byte = pool.read8(at + offset);
    }
    // Who echoes has an address of its own.
    let is_other = from != own && from.first()? & 1 == 0;
    let same = |offset: usize| {
        let expected = if offset < sent {
            byte(number, offset, [own, from])
        } else {
            0
        };
        pool.read8(at + offset) == expected
    };
    (is_other && (0..found).all(same)).then_some(number)
}
