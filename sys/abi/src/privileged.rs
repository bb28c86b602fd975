//! Privileged calls: `SVC` with `Syscall::Privileged`, the number in `x8`.

use crate::{LeaseAttributes, Rights, TaskId};

/// Which privileged call. Arguments are in `x9..=x13`; `x0` of the result is a
/// [`Code`](crate::Code), further results follow from `x1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Privileged {
    /// `SUPERVISE`. In: task's number. Out: `x1` current id, `x2` [`TaskState`] number, `x3..=x7` the words
    /// of the [`Fault`](crate::Fault) of its last death.
    Status = 0,
    /// `SUPERVISE`. In: task's number. Starts a stopped task from its entry; `REFUSED` while it is held or
    /// not stopped.
    Restart = 1,
    /// `SUPERVISE`. In: task's number, 1 if it will not come back (its callers get `RETIRED`). Kills the task
    /// with `FaultKind::Stopped` if it is alive. A supervisor cannot stop itself.
    Stop = 2,
    /// `SUPERVISE`. In: task's number, address in that (dead) task, local address, bytes up to 4096. Copies
    /// the task's memory, for a panic message.
    ReadMemory = 3,
    /// `CONSOLE`. In: address, bytes up to 4096. Out: `x1` how many of them the polled console took at once.
    Console = 4,
    /// `EXIT`. In: verdict, 0 for pass. Ends the run; does not return.
    Exit = 5,
    /// `TEST`. In: task's number, n >= 1. The task is faulted (`Injected`) at the entry of its n-th system
    /// call from now; 0 disarms.
    ArmFault = 6,
    /// `TEST`. In: task's number, first register. Out: `x1..=x7` seven registers of a dead task from that
    /// number (0..=30 general, 31 sp, 32 pc, 33 pstate; beyond reads 0).
    Registers = 7,
    /// `DMA_AUTHORITY`. In: task id, device index. `DEAD` if the id is stale; idempotent.
    Hold = 8,
    /// `DMA_AUTHORITY`. In: task's number, device index. Lifting a dead task's last hold or pin lets
    /// the supervisor know; `REFUSED` if there is no such hold.
    Lift = 9,
    /// `DMA_AUTHORITY`. In: `x9` driver id, `x10` lender id, `x11` lease index | device index << 32,
    /// `x12` offset, `x13` bytes: whole aligned pages of one region. The driver must wait for the
    /// caller's reply, the lender for the driver's. Out: `x1` pin slot, `x2` physical address,
    /// `x3` lease attributes.
    Pin = 10,
    /// `DMA_AUTHORITY`. In: pin slot.
    Unpin = 11,
    /// `DMA_AUTHORITY`. In: cursor (0 first). Out: from `x1` the words of a [`Held`].
    Enumerate = 12,
    /// `SUPERVISE`. Out: `x1` how many asynchronous errors came that no task could be charged with, `x2` the
    /// `ESR_EL1` of the last.
    SystemErrors = 13,
    /// `MESSAGES`. In: INTID of a message interrupt that was changed as the last call wanted, 0 for none. Out: `x1`
    /// INTID of the next that has to be changed, 0 for none, `x2` 1 if it has to be let through, 0 if it has to be
    /// cut off, `x3` the number by which the service may know the core that takes messages. `REFUSED` if nothing of the
    /// INTID was wanted.
    NextMessage = 14,
}

impl Privileged {
    /// All of them; each one's number is its place.
    pub const ALL: [Self; 15] = [
        Self::Status,
        Self::Restart,
        Self::Stop,
        Self::ReadMemory,
        Self::Console,
        Self::Exit,
        Self::ArmFault,
        Self::Registers,
        Self::Hold,
        Self::Lift,
        Self::Pin,
        Self::Unpin,
        Self::Enumerate,
        Self::SystemErrors,
        Self::NextMessage,
    ];

    /// The right that a call needs.
    pub const fn needed(self) -> Rights {
        match self {
            Self::Status | Self::Restart | Self::Stop | Self::ReadMemory | Self::SystemErrors => {
                Rights::SUPERVISE
            }
            Self::Console => Rights::CONSOLE,
            Self::Exit => Rights::EXIT,
            Self::ArmFault | Self::Registers => Rights::TEST,
            Self::Hold | Self::Lift | Self::Pin | Self::Unpin | Self::Enumerate => {
                Rights::DMA_AUTHORITY
            }
            Self::NextMessage => Rights::MESSAGES,
        }
    }
}

/// The state of a task, as `Status` tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum TaskState {
    /// Runnable or running.
    Ready = 0,
    /// Waiting for a receiver, a reply, or a message.
    Blocked = 1,
    /// Dead, waiting for the supervisor (or first for its holds to be lifted).
    Dead = 2,
    /// Dead and held: memory of its may still be reached by a device.
    DeadHeld = 3,
    /// Retired: stopped for good, and not held.
    Retired = 4,
}

impl TaskState {
    /// All of them; each one's number is its place.
    pub const ALL: [Self; 5] = [
        Self::Ready,
        Self::Blocked,
        Self::Dead,
        Self::DeadHeld,
        Self::Retired,
    ];
}

/// Why a task is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum HeldKind {
    /// No task is: there is nothing at the cursor or after it.
    None = 0,
    /// By a hold: it drives a device.
    Hold = 1,
    /// By a pin: it lent memory that a device reaches.
    Pin = 2,
}

/// One hold or pin, as `Enumerate` tells of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// The cursor to go on at; 0 at the end.
    pub next: u64,
    /// Which of both, if any.
    pub kind: HeldKind,
    /// Current id of the task that is held: the driver, or the lender of what is pinned.
    pub task: TaskId,
    /// The device it is held for.
    pub device: u32,
    /// A pin's slot.
    pub slot: u32,
    /// Whether the life that was held is over.
    pub dead: bool,
    /// The accesses that a pin's lease granted.
    pub access: LeaseAttributes,
    /// A pin's physical address.
    pub pa: u64,
    /// A pin's bytes.
    pub len: u64,
}

impl Held {
    /// The result of `Enumerate` when no hold and no pin is left.
    pub const END: Self = Self {
        next: 0,
        kind: HeldKind::None,
        task: TaskId(0),
        device: 0,
        slot: 0,
        dead: false,
        access: LeaseAttributes::empty(),
        pa: 0,
        len: 0,
    };

    /// Encodes the entry as the words of a result: next cursor, kind, task, device in bits 31:0 and slot in 63:32,
    /// 1 if that life is over with the accesses of a pin's lease from bit 1 up, physical address, bytes.
    pub const fn to_words(self) -> [u64; 7] {
        [
            self.next,
            self.kind as u64,
            self.task.0,
            self.device as u64 | (self.slot as u64) << 32,
            self.dead as u64 | (self.access.bits() as u64) << 1,
            self.pa,
            self.len,
        ]
    }

    /// From the words of a result. A kind that is not defined is none.
    pub const fn from_words([next, kind, task, which, state, pa, len]: [u64; 7]) -> Self {
        const HOLD: u64 = HeldKind::Hold as u64;
        const PIN: u64 = HeldKind::Pin as u64;
        Self {
            next,
            kind: match kind {
                HOLD => HeldKind::Hold,
                PIN => HeldKind::Pin,
                _ => HeldKind::None,
            },
            task: TaskId(task),
            device: which as u32,
            slot: (which >> 32) as u32,
            dead: state & 1 != 0,
            access: LeaseAttributes::from_bits_truncate((state >> 1) as u32),
            pa,
            len,
        }
    }
}
