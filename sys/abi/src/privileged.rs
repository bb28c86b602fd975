//! Privileged calls: `SVC` with `Syscall::Privileged`, the number in `x8`.

use crate::Rights;

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
    /// `SUPERVISE`. In: task's number, 1 if it will not come back (its callers get `HELD`). Kills the task
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
    /// `DMA_AUTHORITY`. In: cursor (0 first). Out: `x1` next cursor or 0 at the end, `x2` kind (0
    /// none, 1 hold, 2 pin), `x3` id of the task held (its current life; of the lender for a pin),
    /// `x4` device index | pin slot << 32, `x5` 1 if the life that was held is over, `x6` physical
    /// address, `x7` bytes.
    Enumerate = 12,
    /// `SUPERVISE`. Out: `x1` how many asynchronous errors came that no task could be charged with, `x2` the
    /// `ESR_EL1` of the last.
    SystemErrors = 13,
}

impl Privileged {
    /// All of them; each one's number is its place.
    pub const ALL: [Self; 14] = [
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
        }
    }
}

/// What `Status` tells of a task.
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
    /// Stopped for good.
    Stopped = 4,
}

impl TaskState {
    /// All of them; each one's number is its place.
    pub const ALL: [Self; 5] = [
        Self::Ready,
        Self::Blocked,
        Self::Dead,
        Self::DeadHeld,
        Self::Stopped,
    ];
}
