//! System call numbers: the immediate of `SVC`.
//!
//! Arguments are in `x8..=x15`, payload in `x0..=x7`. Of a call that carries payload (send, receive,
//! reply), the payload registers pass through untouched and **every other register from `x8` up is
//! clobbered**, the callee-saved ones included, and holds nothing of another task. All other calls
//! return in `x0..=x7`, clobber `x8..=x17`, and preserve `x18..=x30`. `sp` and `pc` are always
//! kept.

/// Which call; the value is the SVC immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Syscall {
    /// `x0` = own [`TaskId`](crate::TaskId).
    WhoAmI = 0,
    /// Send and wait for the reply. In: `x8` target, `x9` [`SendDescriptor`](crate::SendDescriptor),
    /// `x10` message address if longer than 64 bytes, `x11` reply buffer address if its capacity is
    /// over 64 bytes, `x12`/`x13` address and descriptor of lease 0, `x14`/`x15` of lease 1. A wide one has neither
    /// address, but words 8 to 15 of message and reply in `x20..=x27`.
    /// Out: `x8` [`Code`](crate::Code), `x9` reply length, at most the capacity.
    Send = 1,
    /// Receive. In: `x8` notification mask, with [`TAKES_WIDE`](crate::TAKES_WIDE) to take wide messages, `x9` the only sender accepted or `TaskId::ANY`, `x10`
    /// buffer address, `x11` buffer capacity (0: messages over 64 bytes lose what is beyond).
    /// Out: `x8` sender or `TaskId::KERNEL`, `x9` [`Delivery`](crate::Delivery), or the notification
    /// bits that were set and in the mask (now cleared); `x12`, `x13` descriptors of the leases.
    /// A closed receive whose sender is dead returns sender `KERNEL` with 0 bits and
    /// `x10` = `Code::DEAD`; otherwise `x10` = 0.
    Receive = 2,
    /// Reply to a task that waits for this task's reply; does nothing if it no longer does. In: `x8`
    /// the caller, `x9` [`ReplyDescriptor`](crate::ReplyDescriptor), `x10` reply address if longer
    /// than 64 bytes.
    Reply = 3,
    /// `Reply` and `Receive` in one entry. In: `x8`, `x9`, `x10` as `Reply`; `x11` mask, `x12`
    /// filter, `x13` buffer address, `x14` capacity as `Receive`. Out: as `Receive`.
    ReplyReceive = 4,
    /// Set notification bits of another task; never blocks. In: `x8` target, `x9` bits. Out: `x0`
    /// code. Bits outside the plan's grant fault the caller.
    Post = 5,
    /// Copy from a lease. In: `x8` lender, `x9` lease index, `x10` offset, `x11` local address, `x12`
    /// bytes (at most 4096 x 16). Out: `x0` code.
    BorrowRead = 6,
    /// Copy into a lease; arguments as `BorrowRead`.
    BorrowWrite = 7,
    /// Set or (with `u64::MAX`) stop the task's timer. In: `x8` absolute deadline in ticks of
    /// `CNTVCT_EL0`. At the deadline `notification::TIMER` is set once.
    Timer = 8,
    /// In: `x8` own interrupt bits, `x9` 1 to unmask their interrupts, 0 to mask. An interrupt is
    /// masked when it is delivered. Out: `x0` those of the bits whose interrupt is unmasked.
    Interrupt = 9,
    /// In: `x8` a task index. Out: `x0` its current id, `x1` 0 if it is up, else `DOWN` or `RETIRED`.
    Refresh = 10,
    /// Die with a message. In: `x8` address, `x9` length of UTF-8 text.
    Panic = 11,
    /// `ReplyReceive` with the mask and the buffer of the caller's last receive, from anybody. In: `x8`, `x9`, `x10` as
    /// `Reply`. Out: as `Receive`.
    ReplyAgain = 12,
    /// A privileged call: `x8` its [`Privileged`](crate::privileged::Privileged) number, arguments
    /// from `x9` up, results from `x0` up.
    Privileged = 16,
}

impl Syscall {
    /// All of them, in ascending order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::WhoAmI,
        Self::Send,
        Self::Receive,
        Self::Reply,
        Self::ReplyReceive,
        Self::Post,
        Self::BorrowRead,
        Self::BorrowWrite,
        Self::Timer,
        Self::Interrupt,
        Self::Refresh,
        Self::Panic,
        Self::ReplyAgain,
        Self::Privileged,
    ];
}
