//! The calls of a task on the host, where there is no kernel: none of them may be made there.

use super::{Carried, Returned, WideReturned};

const NOT_A_TASK: &str = "system calls exist only in a task";

pub(crate) fn carry<const CALL: u16>(_: &Carried) -> Returned {
    unreachable!("{NOT_A_TASK}")
}
pub(crate) fn send_registers(_: &[u64; 8], _: u64, _: u64) -> Returned {
    unreachable!("{NOT_A_TASK}")
}
pub(crate) fn receive(_: [u64; 4]) -> Returned {
    unreachable!("{NOT_A_TASK}")
}
pub(crate) fn reply_registers_receive(_: &[u64; 8], _: [u64; 2], _: [u64; 4]) -> Returned {
    unreachable!("{NOT_A_TASK}")
}
pub(crate) fn reply_registers_again(_: &[u64; 8], _: [u64; 2]) -> Returned {
    unreachable!("{NOT_A_TASK}")
}
pub(crate) fn send_wide(_: &[u64; 16], _: u64, _: u64) -> WideReturned {
    unreachable!("{NOT_A_TASK}")
}
pub(crate) fn receive_wide(_: [u64; 4]) -> WideReturned {
    unreachable!("{NOT_A_TASK}")
}
pub(crate) fn reply_wide_again(_: &[u64; 16], _: [u64; 2]) -> WideReturned {
    unreachable!("{NOT_A_TASK}")
}
pub(crate) fn plain<const CALL: u16>(_: [u64; 6]) -> [u64; 8] {
    unreachable!("{NOT_A_TASK}")
}
pub(crate) fn plain_pair<const CALL: u16>(_: u64, _: u64) -> u64 {
    unreachable!("{NOT_A_TASK}")
}
#[allow(
    clippy::panic,
    reason = "the death of a test on the host; a task's is above"
)]
pub(crate) fn panic(words: &[u8]) -> ! {
    panic!("{}", core::str::from_utf8(words).unwrap_or(NOT_A_TASK))
}
pub(crate) fn counter() -> u64 {
    0
}
pub(crate) fn instructions() -> u32 {
    0
}
pub(crate) fn frequency() -> u64 {
    1_000_000_000
}
