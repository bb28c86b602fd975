//! What many cases do.

use abi::{Code, ReplyDescriptor, SendDescriptor, TaskId};
use suite::{PATIENCE, Result, Stage, check, check_eq, check_is};
use userlib::ipc::{self, Answer, Message, Payload, Received};
use userlib::provoke;

use crate::SERVER;

/// An address in the kernel's half.
pub const KERNEL_HALF: u64 = abi::layout::KERNEL_IMAGE_BASE;
/// Nothing is mapped there.
pub const NOWHERE: u64 = 0x10;
/// Read-only memory of the program.
pub static READ_ONLY: [u8; 256] = [0x5a; 256];

pub fn read_only() -> u64 {
    READ_ONLY.as_ptr() as u64
}

pub const fn words(first: u64) -> Payload {
    [first, 0, 0, 0, 0, 0, 0, 0]
}

/// A call with one word each way.
pub fn call(target: TaskId, operation: u16, word: u64) -> Answer {
    ipc::call(target, operation, &words(word), 8, 8, &[])
}

/// A call to the server.
pub fn call_server(stage: &Stage, operation: u16, word: u64) -> Answer {
    call(stage.id(SERVER), operation, word)
}

/// The next message; anything else fails the part.
pub fn next_message() -> core::result::Result<Message, suite::Failure> {
    Ok(check_is!(ipc::receive(0), Received::Message(message) => message))
}

/// Replies with one word.
pub fn reply(to: TaskId, word: u64) {
    ipc::reply(to, 0, &words(word), 8);
}

/// Serves for ever: replies with the first word plus one, if the caller can take it.
pub fn serve(_: &Stage) -> Result {
    loop {
        let message = next_message()?;
        let answer = words(message.payload[0].wrapping_add(1));
        ipc::reply(message.sender, 0, &answer, message.reply_capacity.min(8));
    }
}

/// A send to the server with a descriptor and slices as given.
pub fn send_raw(stage: &Stage, descriptor: u64, message: u64, reply: u64) -> Answer {
    let target = stage.id(SERVER).0;
    provoke::send([target, descriptor, message, reply, 0, 0, 0, 0], &[0; 8])
}

/// A send to the server of a long message from anywhere.
pub fn send_from(stage: &Stage, address: u64, len: u16) -> Answer {
    send_raw(stage, SendDescriptor::new(1, len, 0, 0).0, address, 0)
}

/// A send to the server with a long reply to anywhere.
pub fn reply_to(stage: &Stage, address: u64, capacity: u16) -> Answer {
    send_raw(stage, SendDescriptor::new(1, 0, capacity, 0).0, 0, address)
}

/// A reply with a descriptor as given.
pub fn reply_raw(to: TaskId, descriptor: u64, address: u64) {
    provoke::reply([to.0, descriptor, address, 0, 0, 0, 0, 0], &[0; 8]);
}

/// A long reply from anywhere.
pub fn reply_from(to: TaskId, address: u64, len: u16) {
    reply_raw(to, ReplyDescriptor::new(0, len).0, address);
}

/// The id of a life that is over: the runner stopped every role before this case.
pub const fn stale(id: TaskId) -> TaskId {
    TaskId::new(id.index() as u8, id.generation().wrapping_sub(1))
}

/// The ids of the same life on every core that the system has not.
pub fn elsewhere(id: TaskId) -> impl Iterator<Item = TaskId> {
    (1..=0xff).map(move |core: u64| TaskId(id.0 | core << 8))
}

/// Added to a role's number in the notes of [`calls_next`], since notes that were not left read as 0.
const CALLS: u64 = 100;

/// Notes that this role is about to call, for [`waits`] of another.
pub fn calls_next(stage: &Stage, role: usize) {
    stage.note(CALLS + role as u64);
}

/// Waits until a role that said so with [`calls_next`] is blocked in its call.
///
/// The reply to a note makes its sender runnable at once, so that a role which has left its note and is
/// blocked again is blocked in what it did next.
pub fn waits(stage: &Stage, role: usize) {
    let blocked = abi::privileged::TaskState::Blocked as u64;
    while !stage.notes().1.contains(&(CALLS + role as u64)) || stage.status(role).state != blocked {
        stage.pause(1);
    }
}

/// Waits until this many notes were left.
pub fn notes(stage: &Stage, count: u64) {
    while stage.notes().0 < count {
        stage.pause(1);
    }
}

/// Waits until the supervisor sees a role dead of `kind`; gives its fault's words, or the code of the state it
/// is in when patience ends.
pub fn death_of(
    stage: &Stage,
    role: usize,
    kind: abi::FaultKind,
) -> core::result::Result<[u64; 5], Code> {
    for _ in 0..PATIENCE / 5 {
        let status = stage.status(role);
        let dead = status.state >= abi::privileged::TaskState::Dead as u64;
        if dead && status.fault[0] & 0xffff == kind as u64 {
            return Ok(status.fault);
        }
        stage.pause(5);
    }
    Err(Code::REFUSED)
}

/// Fails unless the supervisor is told that a role died of `kind` in the system call `call` (0xffff: in none), with
/// this address or argument if it is known.
pub fn told(
    stage: &Stage,
    role: usize,
    kind: abi::FaultKind,
    call: u16,
    address: Option<u64>,
) -> Result {
    let fault = check_is!(death_of(stage, role, kind), Ok(fault) => fault);
    check_eq!(fault[0], kind as u64 | u64::from(call) << 16);
    if let Some(address) = address {
        check_eq!(fault[1], address);
    }
    let program = abi::layout::TASK_IMAGE_BASE..abi::layout::TASK_PLAN_BASE;
    check!(kind == abi::FaultKind::InstructionFetch || program.contains(&fault[2]));
    let stack = abi::layout::TASK_STACK_TOP;
    check!((stack - (1 << 20)..=stack).contains(&fault[3]));
    Ok(())
}

/// Serves everybody but the client, whose call is to fault: not a word of it may arrive.
pub fn serve_others(stage: &Stage) -> Result {
    loop {
        let message = next_message()?;
        check!(message.sender.index() != stage.index(crate::CLIENT));
        reply(message.sender, message.payload[0].wrapping_add(1));
    }
}

/// The client died of a call to the server, and the server has noticed nothing.
pub fn only_the_client_died(stage: &Stage, kind: abi::FaultKind, address: Option<u64>) -> Result {
    told(
        stage,
        crate::CLIENT,
        kind,
        abi::Syscall::Send as u16,
        address,
    )?;
    check_eq!(call_server(stage, 1, 6).payload[0], 7);
    Ok(())
}
