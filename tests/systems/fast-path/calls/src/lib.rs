//! System calls that are made twice, once by the kernel's fast path and once by its core.
//!
//! A round is a script for each of a few actors, drawn from a seed; what the scripts do together is determined by the
//! actors' priorities, so that playing a round again has to have the same outcome. [`compare`] says what the same is.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod compare;
pub mod draw;
pub mod ids;
pub mod path;
pub mod wire;

use abi::Syscall;

/// The actors by their names in the plan, in the order of their priorities.
pub const ACTORS: [&str; COUNT] = [
    "server",
    "limited",
    "queuer",
    "caller",
    "second",
    "bystander",
];
/// How many there are.
pub const COUNT: usize = 6;
/// The most urgent.
pub const SERVER: usize = 0;
/// A server with a run limit and device registers.
pub const LIMITED: usize = 1;
/// More urgent than those that call, less than the servers.
pub const QUEUER: usize = 2;
/// Calls all of them; has device registers.
pub const CALLER: usize = 3;
/// The caller's equal, with a run limit.
pub const SECOND: usize = 4;
/// Runs when nobody else can.
pub const BYSTANDER: usize = 5;

/// Most calls of an actor in a round.
pub const STEPS_MAX: usize = 8;
/// Bytes of each actor's pool.
pub const POOL_LEN: u64 = 8192;

/// Every general register, `x0` to `x30`.
pub type Registers = [u64; 31];

/// What an actor does in a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Call {
    /// `WhoAmI`.
    WhoAmI = Syscall::WhoAmI as u64,
    /// `Send`.
    Send = Syscall::Send as u64,
    /// `Receive`.
    Receive = Syscall::Receive as u64,
    /// `Reply`.
    Reply = Syscall::Reply as u64,
    /// `ReplyReceive`.
    ReplyReceive = Syscall::ReplyReceive as u64,
    /// `Post`.
    Post = Syscall::Post as u64,
    /// No call: counts `x0` down and keeps all other registers.
    Spin = 6,
    /// `ReplyAgain`.
    ReplyAgain = 7,
    /// `Interrupt`.
    Interrupt = 8,
}

impl Call {
    /// All, by their numbers.
    pub const ALL: [Self; 9] = [
        Self::WhoAmI,
        Self::Send,
        Self::Receive,
        Self::Reply,
        Self::ReplyReceive,
        Self::Post,
        Self::Spin,
        Self::ReplyAgain,
        Self::Interrupt,
    ];

    /// The call with a number.
    pub const fn of(number: u64) -> Option<Self> {
        if number < Self::ALL.len() as u64 {
            Some(Self::ALL[number as usize])
        } else {
            None
        }
    }

    /// Whether the fast path decides some of these.
    pub const fn is_fast(self) -> bool {
        !matches!(self, Self::Reply | Self::Spin)
    }

    /// Whether it returns what a receive returns.
    pub const fn receives(self) -> bool {
        matches!(self, Self::Receive | Self::ReplyReceive | Self::ReplyAgain)
    }
}

/// The upper half of a register that an actor has filled itself.
pub const fn mark(actor: usize) -> u64 {
    0x5a5a_0000 + actor as u64
}
