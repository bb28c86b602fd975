//! Counts how long the kernel runs with interrupts masked, for every kind of entry that could be the longest, in a
//! system with as many tasks as there can be. A row over the limit fails the run.
//!
//! A call is counted from the caller's side, so that some instructions at EL0 are in its figure; an interrupt by
//! the largest step between two looks at the counter.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::layout::TASK_STACK_TOP;
use abi::notification::TIMER;
use abi::privileged::Privileged;
use abi::{MESSAGE_MAX, TASKS_MAX, TIMERS_A_TURN, TaskId};
use bench_protocol::longest::*;
use bench_protocol::row::{instructions, report_masked};
use heapless::Vec;
use userlib::ipc::{self, Message, Received};
use userlib::server::Server;
use userlib::time::{self, Ticks};
use userlib::{config, privileged, provoke};

userlib::task!(main);

/// Time for all others to do what they were told, nanoseconds.
const SETTLE: u64 = 5_000_000;
/// Time for the log task to print.
const DRAIN: u64 = 200_000_000;
/// Bytes that one call writes to the console at most.
const CONSOLE: [u8; 32] = *b"longest: counting instructions\r\n";

/// Those who asked what to do and wait for the answer.
type Waiting = Vec<TaskId, TASKS_MAX>;

fn main() -> ! {
    let passed = run().unwrap_or(false);
    wait(DRAIN);
    privileged::exit(u8::from(!passed));
}

/// Whether all rows are within the limit; `None` if something did not go as planned.
fn run() -> Option<bool> {
    let victim = config::peer("victim")?.index as usize;
    let last = config::peer("p59")?.index;
    let mut good = authority()?;

    let mut waiting = Waiting::new();
    // All clients have asked.
    wait(SETTLE);
    let mut oldest = 0;
    for _ in 0..61 {
        let (taken, received) = instructions(|| ipc::receive(0));
        oldest = oldest.max(taken);
        waiting.push(asked(&received)?).ok()?;
    }
    good &= report_masked("longest-masked-oldest", oldest);

    // A death that 60 tasks wait for, and the start after it.
    let parked = waiting.iter().position(|id| id.index() == victim)?;
    tell(waiting.swap_remove(parked), PARK, 0);
    tell_all(&mut waiting, CALL_VICTIM, 0);
    let (taken, _) = instructions(|| privileged::stop(victim, false));
    good &= report_masked("longest-masked-death", taken);
    good &= report_masked("longest-masked-read-memory", read_memory(victim)?);
    gather(&mut waiting, 60)?;
    tell_all(&mut waiting, AWAIT_PEER, 0);
    let (taken, _) = instructions(|| privileged::restart(victim));
    good &= report_masked("longest-masked-start", taken);
    gather(&mut waiting, 61)?;

    // As many timers as one interrupt tells are due at once, and all others are set. Were more due, the next interrupt
    // would come before an instruction of this task, so that the step would be that of both.
    let deadline = time::now().after(2 * SETTLE);
    let until = deadline.after(SETTLE);
    while waiting.len() > TIMERS_A_TURN
        && let Some(id) = waiting.pop()
    {
        tell(id, SLEEP, until.after(SETTLE).0);
    }
    tell_all(&mut waiting, SLEEP, deadline.0);
    good &= report_masked("longest-masked-timer", longest_step(until));
    gather(&mut waiting, 61)?;

    tell_all(&mut waiting, AWAIT_POST, 0);
    let target = Server::at(last as usize);
    let go = config::notification_of(last, "go")?;
    let (taken, _) = instructions(|| target.post(go));
    good &= report_masked("longest-masked-post", taken);
    gather(&mut waiting, 1)?;

    // Memory lent, then long messages and long replies, from all but one that wait for a post.
    tell_all(&mut waiting, SEND_LEASE, 0);
    good &= report_masked("longest-masked-borrow", borrow()?);
    let all = config::table::<userlib::plan::task::PeerEntry>();
    for peer in all
        .iter()
        .filter(|peer| peer.name.as_str().starts_with('p'))
    {
        if let Some(go) = config::notification_of(peer.index, "go") {
            let _ = Server::at(peer.index as usize).post(go);
        }
    }
    gather(&mut waiting, 60)?;
    tell_all(&mut waiting, SEND_LONG, 0);
    let [receive, reply] = long_messages(60)?;
    good &= report_masked("longest-masked-receive", receive);
    good &= report_masked("longest-masked-reply-receive", reply);

    let write = || {
        provoke::privileged(
            Privileged::Console as u64,
            [CONSOLE.as_ptr() as u64, CONSOLE.len() as u64, 0, 0, 0],
        )
    };
    let (taken, written) = instructions(write);
    (written[1] > 0).then_some(())?;
    good &= report_masked("longest-masked-console", taken);
    Some(good)
}

/// Waits for the rows of the task with `dma-authority`, which runs before all others.
fn authority() -> Option<bool> {
    let message = message(&ipc::receive(0))?;
    (message.operation == COUNTED).then_some(())?;
    ipc::reply(message.sender, 0, &[0; 8], 0);
    Some(message.payload[0] == 0)
}

fn message(received: &Received) -> Option<Message> {
    match received {
        Received::Message(message) => Some(*message),
        _ => None,
    }
}

/// The task that asks what to do.
fn asked(received: &Received) -> Option<TaskId> {
    let message = message(received)?;
    (message.operation == WHAT_NEXT).then_some(message.sender)
}

fn tell(to: TaskId, what: u64, argument: u64) {
    ipc::reply(to, 0, &[what, argument, 0, 0, 0, 0, 0, 0], 16);
}

/// Tells all that wait, and lets them do it.
fn tell_all(waiting: &mut Waiting, what: u64, argument: u64) {
    while let Some(id) = waiting.pop() {
        tell(id, what, argument);
    }
    wait(SETTLE);
}

/// Lets the others run: nobody can send a message to a receive that is closed to this task itself.
fn wait(nanoseconds: u64) {
    time::set_timer(Some(time::now().after(nanoseconds)));
    ipc::receive_from(ipc::who_am_i(), TIMER);
}

fn gather(waiting: &mut Waiting, count: usize) -> Option<()> {
    wait(SETTLE);
    while waiting.len() < count {
        waiting.push(asked(&ipc::receive(0))?).ok()?;
    }
    Some(())
}

fn read_memory(task: usize) -> Option<u32> {
    let mut buffer = [0; MESSAGE_MAX];
    let address = TASK_STACK_TOP - MESSAGE_MAX as u64;
    let (taken, code) = instructions(|| privileged::read_memory(task, address, &mut buffer));
    (code == abi::Code::OK).then_some(taken)
}

/// The largest step of the counter until a time: what the kernel took while this task runs, since nobody is more
/// urgent.
fn longest_step(until: Ticks) -> u32 {
    let mut longest = 0;
    let mut before = time::instructions();
    while time::now() < until {
        let now = time::instructions();
        longest = longest.max(now.wrapping_sub(before));
        before = now;
    }
    longest
}

fn borrow() -> Option<u32> {
    let mut buffer = [0; MESSAGE_MAX];
    let lender = message(&ipc::receive(0))?;
    (lender.operation == LEND).then_some(())?;
    let read = || ipc::borrow_read(lender.sender, 0, 0, &mut buffer);
    let (taken, code) = instructions(read);
    ipc::reply(lender.sender, 0, &[0; 8], 0);
    (code == abi::Code::OK).then_some(taken)
}

/// The longest receive of a long message, and the longest reply with one and receive of the next.
fn long_messages(count: usize) -> Option<[u32; 2]> {
    let mut buffer = [0; MESSAGE_MAX];
    let (receive, mut received) = instructions(|| ipc::receive_into(0, &mut buffer));
    let mut reply = 0;
    for _ in 1..count {
        let long = message(&received)?;
        (long.operation == LONG).then_some(())?;
        let answer = || ipc::reply_receive_in_place(long.sender, 0, MESSAGE_MAX, 0, &mut buffer);
        let (taken, next) = instructions(answer);
        reply = reply.max(taken);
        received = next;
    }
    Some([receive, reply])
}
