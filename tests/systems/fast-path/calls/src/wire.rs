//! What actors and judge tell each other.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{Registers, STEPS_MAX};

/// Operation of an actor's first call, with the addresses of its [`Outcome`] and its pool; the reply is its
/// [`Script`].
pub const HELLO: u16 = 0x7e01;
/// Operation of its last, with the outcome; there is no reply.
pub const REPORT: u16 = 0x7e02;

/// In [`Step::call`]: `x8` is the last sender from which the actor received.
pub const FROM_LAST: u64 = 1 << 8;

/// In [`Step::call`]: before it the actor works for [`WORK`] rounds of two instructions.
pub const WORKS: u64 = 1 << 9;
/// Of a loop; more than all calls of a round take longer in the kernel's core than in its fast path.
pub const WORK: u64 = 50_000;

/// One step.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Step {
    /// A number of [`crate::Call`], [`FROM_LAST`] and [`WORKS`].
    pub call: u64,
    /// The registers that it is made with.
    pub registers: Registers,
}

/// What an actor has to do.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Script {
    /// How many steps there are.
    pub count: u64,
    /// The steps.
    pub steps: [Step; STEPS_MAX],
}

impl Script {
    /// Nothing to do.
    pub const NONE: Self = Self {
        count: 0,
        steps: [Step {
            call: 0,
            registers: [0; 31],
        }; STEPS_MAX],
    };
}

/// What came of it: the registers after each step that returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Outcome {
    /// How many steps returned.
    pub count: u64,
    /// The registers after each.
    pub after: [Registers; STEPS_MAX],
}

impl Outcome {
    /// No step has returned.
    pub const NONE: Self = Self {
        count: 0,
        after: [[0; 31]; STEPS_MAX],
    };
}

// Both travel in one message.
const _: () = assert!(size_of::<Script>() <= abi::MESSAGE_MAX);
const _: () = assert!(size_of::<Outcome>() <= abi::MESSAGE_MAX);
