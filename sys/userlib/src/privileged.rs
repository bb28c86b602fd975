//! Privileged calls. Each needs its right in the plan; without it the caller is faulted.

pub use abi::privileged::{Held, HeldKind};

use abi::privileged::Privileged;
use abi::{Code, MESSAGE_MAX, Syscall, TaskId};

use crate::{stubs, time};

fn privileged(call: Privileged, a: [u64; 5]) -> (Code, [u64; 7]) {
    let r =
        stubs::plain::<{ Syscall::Privileged as u16 }>([call as u64, a[0], a[1], a[2], a[3], a[4]]);
    (
        Code(r[0] as u32),
        [r[1], r[2], r[3], r[4], r[5], r[6], r[7]],
    )
}

/// The result of [`status`].
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Current id.
    pub id: TaskId,
    /// A number of [`abi::privileged::TaskState`].
    pub state: u64,
    /// The words of its last [`abi::Fault`].
    pub fault: [u64; 5],
}

/// `SUPERVISE`: state and last fault of a task.
pub fn status(index: usize) -> Option<Status> {
    let (code, r) = privileged(Privileged::Status, [index as u64, 0, 0, 0, 0]);
    (code == Code::OK).then_some(Status {
        id: TaskId(r[0]),
        state: r[1],
        fault: [r[2], r[3], r[4], r[5], r[6]],
    })
}

/// `SUPERVISE`: starts a dead task again.
pub fn restart(index: usize) -> Code {
    privileged(Privileged::Restart, [index as u64, 0, 0, 0, 0]).0
}

/// `SUPERVISE`: kills a task; for good if `forever`.
pub fn stop(index: usize, forever: bool) -> Code {
    privileged(
        Privileged::Stop,
        [index as u64, u64::from(forever), 0, 0, 0],
    )
    .0
}

/// `SUPERVISE`: copies a dead task's memory.
pub fn read_memory(index: usize, address: u64, to: &mut [u8]) -> Code {
    let to_address = to.as_mut_ptr() as u64;
    privileged(
        Privileged::ReadMemory,
        [index as u64, address, to_address, to.len() as u64, 0],
    )
    .0
}

/// `CONSOLE`: writes to the polled console, and returns how many bytes it took: all, unless it took none for a tenth of
/// a second. Whoever is more urgent runs between pieces.
pub fn console(text: &str) -> usize {
    const PATIENCE: u64 = 100_000_000;
    let mut written = 0;
    let mut limit = time::now().after(PATIENCE);
    while let Some(rest @ [_, ..]) = text.as_bytes().get(written..) {
        let arguments = [rest.as_ptr() as u64, rest.len().min(MESSAGE_MAX) as u64];
        let (code, r) = privileged(Privileged::Console, [arguments[0], arguments[1], 0, 0, 0]);
        written += r[0] as usize;
        match (code, r[0]) {
            (Code::OK, 0) if time::now() < limit => {}
            (Code::OK, 1..) => limit = time::now().after(PATIENCE),
            _ => break,
        }
    }
    written
}

/// `EXIT`: ends the run; 0 is pass.
pub fn exit(verdict: u8) -> ! {
    loop {
        privileged(Privileged::Exit, [u64::from(verdict), 0, 0, 0, 0]);
    }
}

/// `SUPERVISE`: how many asynchronous errors came that no task could be charged with, and `ESR_EL1` of the
/// last.
pub fn system_errors() -> (u64, u64) {
    let (_, r) = privileged(Privileged::SystemErrors, [0; 5]);
    (r[0], r[1])
}

/// `TEST`: the task is faulted at the entry of its `n`-th system call from now; 0 disarms.
pub fn arm_fault(index: usize, n: u64) -> Code {
    privileged(Privileged::ArmFault, [index as u64, n, 0, 0, 0]).0
}

/// `TEST`: seven registers of a dead task from `first`.
pub fn registers(index: usize, first: u64) -> Option<[u64; 7]> {
    let (code, r) = privileged(Privileged::Registers, [index as u64, first, 0, 0, 0]);
    (code == Code::OK).then_some(r)
}

/// `DMA_AUTHORITY`: holds a task for a device.
pub fn hold(task: TaskId, device: u32) -> Code {
    privileged(Privileged::Hold, [task.0, u64::from(device), 0, 0, 0]).0
}

/// `DMA_AUTHORITY`: lifts a hold of the task with this number.
pub fn lift(task: usize, device: u32) -> Code {
    privileged(Privileged::Lift, [task as u64, u64::from(device), 0, 0, 0]).0
}

/// A pinned lease.
#[derive(Clone, Copy, Debug)]
pub struct Pinned {
    /// Names the pin.
    pub slot: u32,
    /// Physical address of its first byte.
    pub pa: u64,
    /// [`abi::LeaseAttributes`] bits of the lease.
    pub attributes: u32,
}

/// `DMA_AUTHORITY`: pins whole pages of a lease that `lender` gave `driver`, while the lender waits for
/// the driver and the driver for this task.
pub fn pin(
    driver: TaskId,
    lender: TaskId,
    lease: u32,
    device: u32,
    offset: u64,
    len: u64,
) -> Result<Pinned, Code> {
    let which = u64::from(lease) | u64::from(device) << 32;
    let (code, r) = privileged(Privileged::Pin, [driver.0, lender.0, which, offset, len]);
    if code != Code::OK {
        return Err(code);
    }
    Ok(Pinned {
        slot: r[0] as u32,
        pa: r[1],
        attributes: r[2] as u32,
    })
}

/// `DMA_AUTHORITY`: lifts a pin.
pub fn unpin(slot: u32) -> Code {
    privileged(Privileged::Unpin, [u64::from(slot), 0, 0, 0, 0]).0
}

/// `DMA_AUTHORITY`: holds and pins, one a call; start with cursor 0.
pub fn enumerate(cursor: u64) -> Held {
    let (_, words) = privileged(Privileged::Enumerate, [cursor, 0, 0, 0, 0]);
    Held::from_words(words)
}

/// What the kernel wants changed of message interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// INTID of the message; none if nothing has to be changed.
    pub intid: Option<u32>,
    /// Whether it is to be let through; otherwise it is to be cut off.
    pub arrives: bool,
    /// The number by which the interrupt translation service may know the core that takes messages.
    pub core: u32,
}

/// `MESSAGES`: says which message was changed as the last call wanted, and asks what is next.
pub fn next_message(done: Option<u32>) -> Change {
    let done = u64::from(done.unwrap_or(0));
    let (_, r) = privileged(Privileged::NextMessage, [done, 0, 0, 0, 0]);
    Change {
        intid: (r[0] != 0).then_some(r[0] as u32),
        arrives: r[1] == 1,
        core: r[2] as u32,
    }
}
