//! The part of an attempt that can be decided without the hardware.
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

use edu::pattern;
use userlib::memory::Memory;
use witness::attempt::Target;

/// Bytes of an attempt: enough to leak something, few enough not to flood the event queue (the device makes
/// one access of each 4 bytes).
pub const LEN: usize = 16;
/// Seed of the pattern that fills the device's buffer before any attempt.
pub const MARKER: u8 = 0xa7;

/// The attempts in order: target, and whether it is read.
pub fn attempts() -> impl Iterator<Item = (Target, bool)> {
    Target::ALL.into_iter().flat_map(|target| {
        [true, false]
            .into_iter()
            .filter(move |&read| !read || target.read_is_forbidden())
            .map(move |read| (target, read))
    })
}

/// Offset of the bytes of attempt number `number` in the device's buffer: each attempt has its own, so
/// that none sees what another left there.
pub const fn offset(number: usize) -> usize {
    number * 4 * LEN
}

/// Bytes at `at` that came from elsewhere: an aborted read leaves zeros or what was there before, which is
/// the marker.
pub fn leaked(memory: &impl Memory, at: usize, number: usize) -> usize {
    let foreign = |&i: &usize| {
        let byte = memory.read8(at + i);
        byte != 0 && byte != pattern::byte(MARKER, offset(number) + i)
    };
    (0..LEN).filter(foreign).count()
}

/// Name of an SMMU event (IHI 0070 §7.3), as far as a driver can cause one.
pub const fn event_name(event: u8) -> &'static str {
    match event {
        0x10 => "F_TRANSLATION",
        0x11 => "F_ADDR_SIZE",
        0x12 => "F_ACCESS",
        0x13 => "F_PERMISSION",
        _ => "another event",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::RefCell;
    use std::vec::Vec;
    use witness::attempt::Attempt;

    struct Bytes(RefCell<Vec<u8>>);

    impl Memory for Bytes {
        fn len(&self) -> usize {
            self.0.borrow().len()
        }
        fn read8(&self, offset: usize) -> u8 {
            self.0.borrow()[offset]
        }
        fn write8(&self, offset: usize, value: u8) {
            self.0.borrow_mut()[offset] = value;
        }
        fn read16(&self, _: usize) -> u16 {
            panic!("not used")
        }
        fn read32(&self, _: usize) -> u32 {
            panic!("not used")
        }
        fn read64(&self, _: usize) -> u64 {
            panic!("not used")
        }
        fn write16(&self, _: usize, _: u16) {
            panic!("not used")
        }
        fn write32(&self, _: usize, _: u32) {
            panic!("not used")
        }
        fn write64(&self, _: usize, _: u64) {
            panic!("not used")
        }
    }

    #[test]
    fn every_attempt_is_made_once_and_has_its_own_bytes() {
        let all: Vec<_> = attempts().collect();
        assert_eq!(all.len() as u32, Attempt::ALL);
        for (at, attempt) in all.iter().enumerate() {
            assert!(!all[..at].contains(attempt));
        }
        assert!(!all.contains(&(Target::ReadOnly, true)));
        assert!(offset(all.len()) + LEN <= edu::TRANSFER_MAX);
    }

    #[test]
    fn zeros_and_the_marker_are_no_leak() {
        let memory = Bytes(RefCell::new(std::vec![0; 64]));
        assert_eq!(leaked(&memory, 0, 3), 0);
        for i in 0..LEN {
            memory.write8(i, pattern::byte(MARKER, offset(3) + i));
        }
        assert_eq!(leaked(&memory, 0, 3), 0);
        assert!(
            leaked(&memory, 0, 4) > 0,
            "another attempt's marker is not this one's"
        );
        memory.write8(5, memory.read8(5) ^ 0x10);
        assert_eq!(leaked(&memory, 0, 3), 1);
    }
}
