//! Round trips, and words that must be refused.

use abi::Code;
use userlib::ipc::{Answer, LeaseBuffer, Payload, words};
use userlib::protocol::{Caller, Wire};

use crate::client::{Client, Failure};
use crate::*;

fn round_trip<T: Wire + PartialEq + core::fmt::Debug>(value: T) {
    let words = value.to_words();
    assert!(words.iter().skip(T::LEN / 8).all(|word| *word == 0));
    assert_eq!(T::from_words(&words), Some(value));
}

#[test]
fn every_message_survives_the_wire() {
    for width in [Width::Byte, Width::HalfWord, Width::Word] {
        round_trip(ConfigRead {
            device: 7,
            offset: 0xffc,
            width,
        });
        let value = 0x89ab_cdef & width.mask();
        round_trip(ConfigWrite {
            device: u32::MAX,
            offset: 4,
            width,
            value,
        });
    }
    for on in [false, true] {
        round_trip(BusMaster { device: 3, on });
        round_trip(BootStatus {
            ready: 9,
            mismatches: 2,
            undeclared: 1,
            refused: on,
        });
    }
    round_trip(Describe { device: 1 });
    round_trip(ConfigValue(u32::MAX));
    for state in [
        DeviceState::Ready,
        DeviceState::Absent,
        DeviceState::Blocked,
    ] {
        for number in 0..=16 {
            let words = [
                state as u64 | number << 8 | 1 << 16,
                0x1042_1af4_0100,
                5 | 0x0702 << 32,
                0,
                0,
                0,
                0,
                0,
            ];
            let description = Description::from_words(&words).unwrap();
            assert_eq!(description.reason.map_or(0, |reason| reason as u64), number);
            assert_eq!((description.group, description.buses), (5, [2, 7]));
            round_trip(description);
        }
    }
    for state in [
        QuiesceState::Never,
        QuiesceState::Running,
        QuiesceState::Quiet,
        QuiesceState::Failed(QuiesceFailure::Deadline),
        QuiesceState::Failed(QuiesceFailure::Unsupported),
        QuiesceState::Failed(QuiesceFailure::NotRestored),
        QuiesceState::Failed(QuiesceFailure::Identity),
    ] {
        round_trip(state);
    }
}

#[test]
fn fields_out_of_range_are_refused() {
    let word = |first: u64, second: u64| [first, second, 0, 0, 0, 0, 0, 0];
    assert_eq!(ConfigRead::from_words(&word(3 << 48, 0)), None);
    assert_eq!(ConfigRead::from_words(&word(1 << 56 | 1 << 48, 0)), None);
    assert_eq!(ConfigWrite::from_words(&word(1 << 48, 0x100)), None);
    assert_eq!(ConfigWrite::from_words(&word(4 << 48, 1 << 32)), None);
    assert_eq!(BusMaster::from_words(&word(2 << 32, 0)), None);
    assert_eq!(Describe::from_words(&word(1 << 32, 0)), None);
    assert_eq!(Description::from_words(&word(3, 0)), None);
    assert_eq!(Description::from_words(&word(18 << 8, 0)), None);
    assert_eq!(QuiesceState::from_words(&word(3, 0)), None);
}

#[test]
fn codes_and_operations_have_one_meaning_each() {
    let defined: std::vec::Vec<_> = (0..100).filter_map(Error::from_code).collect();
    assert_eq!(defined.len(), 12);
    assert_eq!(Error::from_code(0), None);
    for error in defined {
        assert_eq!(Error::from_code(error as u32), Some(error));
    }
    for number in 1..=7 {
        assert_eq!(Operation::from_number(number).map(|o| o as u16), Ok(number));
    }
    assert_eq!(Operation::from_number(0), Err(Error::Malformed));
    assert_eq!(Operation::from_number(8), Err(Error::Malformed));
}

/// Answers every call with this code, and with a payload of one word and this length.
struct Fixed(Code, u64, usize);

impl Caller for Fixed {
    fn call_once(&self, _: u16, _: &Payload, _: usize, _: usize, _: &[LeaseBuffer<'_>]) -> Answer {
        Answer {
            code: self.0,
            payload: words([self.1]),
            len: self.2,
        }
    }
}

#[test]
fn a_client_trusts_no_reply() {
    let ask = |code, word, len| Client(Fixed(code, word, len)).config_read(0, 0, Width::Word);
    assert_eq!(ask(Code::OK, 5, 8), Ok(5));
    assert_eq!(ask(Code::OK, 5, 0), Err(Failure::Nonsense));
    assert_eq!(ask(Code::OK, 1 << 32, 8), Err(Failure::Nonsense));
    assert_eq!(ask(Code(77), 0, 0), Err(Failure::Nonsense));
    assert_eq!(ask(Code(3), 0, 0), Err(Failure::Refused(Error::NotOwner)));
    assert_eq!(ask(Code::DEAD, 0, 0), Err(Failure::Dead));
}
