//! Wide messages: what arrives where, for each pair of sides that have 128 bytes in registers or do not.

use abi::{Code, FaultKind, ReplyDescriptor, SendDescriptor, Syscall, TAKES_WIDE, TaskId, WIDE};
use suite::{Case, Part, Result, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::provoke::{self, Registers};
use userlib::wide::{self, WideInbox, WidePayload, WideReceived};

use crate::help::{
    NOWHERE, calls_next, next_message, only_the_client_died, reply, send_raw, serve_others, told,
    waits, words,
};
use crate::{CLIENT, LAST, SECOND, SERVER};

/// Lengths around what fits in registers, narrow and wide.
const LENGTHS: [usize; 7] = [0, 8, 64, 65, 100, 127, 128];

/// Words that say whose they are, and in what order.
fn pattern(seed: u64) -> WidePayload {
    core::array::from_fn(|word| (seed << 56) | (0x0101_0101_0101 * (word as u64 + 1)))
}

/// The same in bytes.
fn bytes(seed: u64) -> [u8; 128] {
    let words = pattern(seed);
    core::array::from_fn(|byte| (words[byte / 8] >> (8 * (byte % 8))) as u8)
}

/// The first `len` bytes of words are those of others, and the rest of them is zero.
fn is_cut(found: &WidePayload, of: &WidePayload, len: usize) -> Result {
    for (word, (found, of)) in found.iter().zip(of).enumerate() {
        let kept = len.saturating_sub(8 * word).min(8) as u32;
        let mask = u64::MAX.checked_shr(64 - 8 * kept).unwrap_or(0);
        check_eq!(*found, of & mask);
    }
    Ok(())
}

/// Registers of a call from `x8` up, and what is in all others.
fn registers(seed: u64, arguments: &[u64]) -> Registers {
    let words = pattern(seed);
    let mut registers = core::array::from_fn(|number| seed << 56 | 0xabcd << 32 | number as u64);
    registers[..8].copy_from_slice(&words[..8]);
    registers[20..28].copy_from_slice(&words[8..]);
    for (register, argument) in registers.iter_mut().skip(8).zip(arguments) {
        *register = *argument;
    }
    registers
}

/// None of the registers from `x8` up, but for results, is of `seed` or the kernel's.
fn no_strangers(after: &Registers, seed: u64, results: &[usize]) -> Result {
    for (number, word) in after.iter().enumerate().skip(8) {
        if !results.contains(&number) {
            check!(word >> 56 != seed);
            check!(word >> 48 != 0xffff);
        }
    }
    Ok(())
}

/// A wide send that is wrong, or whose server makes a wrong reply: with what lengths, and what it dies of.
const WRONG: [u64; 4] = [
    SendDescriptor::new(1, 129, 0, 0).wide().0,
    SendDescriptor::new(1, 0, 129, 0).wide().0,
    SendDescriptor::new(1, 4096, 4096, 0).wide().0,
    SendDescriptor::new(1, 128, 128, 0).wide().0 | 1 << 51,
];

/// Replies that a server dies of whose client awaits 100 bytes in registers.
fn deadly(life: u64) -> (u64, FaultKind) {
    match life {
        0 => (
            ReplyDescriptor::new(0, 101).wide().0,
            FaultKind::ReplyTooLong,
        ),
        1 => (
            ReplyDescriptor::new(0, 129).wide().0,
            FaultKind::SyscallUsage,
        ),
        _ => (
            ReplyDescriptor::new(0, 8).wide().0 | 1 << 49,
            FaultKind::SyscallUsage,
        ),
    }
}

/// How many there are.
const DEADLY: u64 = 3;

/// Whether a receive takes wide messages, a send is wide, and a reply is.
const PAIRS: [(u64, u64, u64); 8] = [
    (0, 0, 0),
    (0, WIDE, 0),
    (0, 0, WIDE),
    (0, WIDE, WIDE),
    (TAKES_WIDE, 0, 0),
    (TAKES_WIDE, WIDE, 0),
    (TAKES_WIDE, 0, WIDE),
    (TAKES_WIDE, WIDE, WIDE),
];
/// Words of the one side and of the other, in these calls.
const SERVERS: u64 = 0x50;
const CLIENTS: u64 = 0xc0;
/// Registers beyond the payload that have results.
const RESULTS: [usize; 2] = [8, 9];
/// The same of what is wide.
const WIDE_RESULTS: [usize; 10] = [8, 9, 20, 21, 22, 23, 24, 25, 26, 27];

pub const CASES: &[Case] = &[
    Case::new(
        "wide-both-ways",
        &["IPC-WIDE-2", "IPC-WIDE-4"],
        &[
            Part::serves(SERVER, |_| {
                let mut buffer = [0x11u8; 200];
                let (mut inbox, mut received) =
                    check_is!(WideInbox::open(0, &mut buffer), Some(opened) => opened);
                for len in LENGTHS {
                    let (message, rest) =
                        check_is!(received, WideReceived::Wide(message, rest) => (message, rest));
                    check_eq!(message.len, len);
                    check_eq!(message.reply_capacity, 128);
                    let sent = pattern(len as u64);
                    check!(message.payload == sent[..8] && rest == sent[8..]);
                    let answer = pattern(len as u64 + 1);
                    received = inbox.reply_wide_receive(message.sender, len as u32, &answer, len);
                }
                check!(inbox.buffer().iter().all(|byte| *byte == 0x11));
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for len in LENGTHS {
                    let seed = len as u64;
                    let answer = wide::call(stage.id(SERVER), 1, &pattern(seed), len, 128);
                    check_eq!(answer.code.0, len as u32);
                    check_eq!(answer.len, len);
                    check!(answer.payload == pattern(seed + 1));
                }
                Ok(())
            }),
        ],
    ),
    // The receiver has not asked for it: a long message, cut as ever, or a short one.
    Case::new(
        "wide-to-a-narrow-receive",
        &["IPC-WIDE-3", "IPC-WIDE-4", "IPC-SEND-7"],
        &[
            Part::serves(SERVER, |_| {
                for len in LENGTHS {
                    let mut buffer = [0xee; 128];
                    let room = if len == 127 { 90 } else { 128 };
                    let received = ipc::receive_into(0, &mut buffer[..room]);
                    let message = check_is!(received, Received::Message(message) => message);
                    check_eq!(message.len, len);
                    check_eq!(message.reply_capacity, 128);
                    let arrived = if len > 64 { len.min(room) } else { 0 };
                    check!(buffer[..arrived] == bytes(3)[..arrived]);
                    check!(buffer[arrived..].iter().all(|byte| *byte == 0xee));
                    if len <= 64 {
                        check!(message.payload == pattern(3)[..8]);
                    }
                    // From memory, where it is long.
                    ipc::reply_long(message.sender, 5, &bytes(4)[..len]);
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for len in LENGTHS {
                    let answer = wide::call(stage.id(SERVER), 1, &pattern(3), len, 128);
                    check_eq!(answer.code.0, 5);
                    check_eq!(answer.len, len);
                    is_cut(&answer.payload, &pattern(4), len)?;
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "narrow-to-a-wide-receive",
        &["IPC-WIDE-6", "IPC-WIDE-5", "IPC-SEND-8"],
        &[
            Part::serves(SERVER, |_| {
                let mut buffer = [0xee; 200];
                let (mut inbox, mut received) =
                    check_is!(WideInbox::open(0, &mut buffer), Some(opened) => opened);
                for len in LENGTHS {
                    let message = check_is!(received, WideReceived::Message(message) => message);
                    check_eq!(message.len, len);
                    let arrived = if len > 64 { len } else { 0 };
                    check!(inbox.buffer()[..arrived] == bytes(5)[..arrived]);
                    // A wide reply to one who did not ask for it.
                    received = inbox.reply_wide_receive(message.sender, 0, &pattern(6), len);
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for len in LENGTHS {
                    let mut answer = [0xee; 150];
                    let message = &bytes(5)[..len];
                    let result =
                        ipc::call_long(stage.id(SERVER), 1, message, &mut answer[..128], &[]);
                    check_eq!(result.len, len);
                    let arrived = if len > 64 { len } else { 0 };
                    check!(answer[..arrived] == bytes(6)[..arrived]);
                    check!(answer[arrived..].iter().all(|byte| *byte == 0xee));
                    if len <= 64 {
                        check!(result.payload == pattern(6)[..8]);
                    }
                }
                Ok(())
            }),
        ],
    ),
    // All registers of both sides, in every pair: nothing comes along that was not sent. Each call has other words, since
    // what a task got once it may find again.
    Case::new(
        "wide-and-registers-of-strangers",
        &[
            "IPC-REG-3",
            "IPC-WIDE-2",
            "IPC-WIDE-3",
            "IPC-WIDE-4",
            "IPC-WIDE-5",
        ],
        &[
            Part::serves(SERVER, |_| {
                let mut buffer = [0u8; 128];
                let address = buffer.as_mut_ptr() as u64;
                for (seed, (takes, sends, replies)) in (1..).zip(PAIRS) {
                    let (own, client) = (SERVERS + seed, CLIENTS + seed);
                    let receive = [takes, TaskId::ANY.0, address, 128];
                    let given = registers(own, &receive);
                    let after = provoke::call_with::<{ Syscall::Receive as u16 }>(&given);
                    let wide = takes != 0 && sends != 0;
                    check_eq!(after[9] & WIDE != 0, wide);
                    check!(after[..8] == pattern(client)[..8]);
                    if wide {
                        check!(after[20..28] == pattern(client)[8..]);
                        no_strangers(&after, client, &WIDE_RESULTS)?;
                    } else {
                        no_strangers(&after, client, &RESULTS)?;
                    }
                    // Of 64 bytes, which a narrow client takes in registers.
                    let descriptor = ReplyDescriptor::new(0, 64).0 | replies;
                    let given = registers(own, &[after[8], descriptor, NOWHERE]);
                    let after = provoke::call_with::<{ Syscall::Reply as u16 }>(&given);
                    // It has the client's words of before.
                    no_strangers(&after, client, &WIDE_RESULTS)?;
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for (seed, (_, sends, replies)) in (1..).zip(PAIRS) {
                    let (own, server) = (CLIENTS + seed, SERVERS + seed);
                    let descriptor = SendDescriptor::new(1, 64, 64, 0).0 | sends;
                    let send = [stage.id(SERVER).0, descriptor, NOWHERE, NOWHERE];
                    let given = registers(own, &send);
                    let after = provoke::call_with::<{ Syscall::Send as u16 }>(&given);
                    check!(after[..8] == pattern(server)[..8]);
                    if sends == 0 {
                        no_strangers(&after, server, &RESULTS)?;
                        continue;
                    }
                    no_strangers(&after, server, &WIDE_RESULTS)?;
                    if replies != 0 {
                        check!(after[20..28] == pattern(server)[8..]);
                    } else {
                        check!(after[20..28] == [0; 8]);
                    }
                }
                Ok(())
            }),
        ],
    ),
    // Words 8 to 15 wait with their senders, of which one is gone before its message was received.
    Case::new(
        "wide-and-queued",
        &["IPC-WIDE-2", "IPC-SEND-3", "IPC-SEND-11"],
        &[
            Part::serves(SERVER, |stage| {
                waits(stage, CLIENT);
                waits(stage, SECOND);
                // One of the two is gone before its message was received.
                check_eq!(stage.stop(CLIENT).0, Code::OK.0);
                check_eq!(stage.restart(CLIENT).0, Code::OK.0);
                let mut nothing = [0u8; 0];
                let (mut inbox, received) =
                    check_is!(WideInbox::open(0, &mut nothing), Some(opened) => opened);
                let (message, rest) =
                    check_is!(received, WideReceived::Wide(message, rest) => (message, rest));
                check_eq!(message.sender.index(), stage.index(SECOND));
                check!(message.payload == pattern(8)[..8] && rest == pattern(8)[8..]);
                let next = inbox.reply_wide_receive(message.sender, 0, &pattern(9), 128);
                let last = check_is!(next, WideReceived::Message(message) => message);
                reply(last.sender, 1);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                if stage.life == 0 {
                    calls_next(stage, CLIENT);
                    wide::call(stage.id(SERVER), 1, &pattern(7), 128, 128);
                }
                Ok(())
            }),
            Part::returns(SECOND, |stage| {
                calls_next(stage, SECOND);
                let answer = wide::call(stage.id(SERVER), 1, &pattern(8), 128, 128);
                check!(answer.payload == pattern(9));
                check_eq!(
                    ipc::call(stage.id(SERVER), 1, &words(1), 8, 8, &[]).payload[0],
                    1
                );
                Ok(())
            }),
        ],
    ),
    Case::new(
        "wide-and-the-server-dies",
        &["IPC-SEND-10", "IPC-DEATH-1", "IPC-WIDE-1", "IPC-REPLY-3"],
        &[
            Part::dies(SERVER, FaultKind::SyscallUsage, |stage| {
                let message = next_message()?;
                let (descriptor, _) = deadly(stage.life);
                let arguments = [message.sender.0, descriptor, NOWHERE];
                provoke::call_with::<{ Syscall::ReplyAgain as u16 }>(&registers(0x51, &arguments));
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for life in 0..DEADLY {
                    let (descriptor, kind) = deadly(life);
                    let answer = wide::call(stage.id(SERVER), 1, &pattern(1), 100, 100);
                    check_eq!(answer.code.0, Code::DEAD.0);
                    check_eq!(answer.len, 0);
                    let call = Syscall::ReplyAgain as u16;
                    told(stage, SERVER, kind, call, Some(descriptor))?;
                    for first in (0..31).step_by(7) {
                        let found = check_is!(stage.registers(SERVER, first), Ok(found) => found);
                        let id = ipc::who_am_i().0;
                        let expected = registers(0x51, &[id, descriptor, NOWHERE]);
                        for (found, expected) in found.iter().zip(&expected[first as usize..]) {
                            check_eq!(*found, *expected);
                        }
                    }
                    if life + 1 < DEADLY {
                        check_eq!(stage.restart(SERVER).0, 0);
                    }
                }
                Ok(())
            }),
        ],
    ),
    // Each life of the client makes a send with another descriptor.
    Case::new(
        "wide-sends-that-are-too-long",
        &["IPC-WIDE-1", "IPC-REG-9"],
        &[
            Part::serves(SERVER, serve_others),
            Part::dies(CLIENT, FaultKind::SyscallUsage, |stage| {
                let descriptor = WRONG.get(stage.life as usize).copied().unwrap_or(0);
                send_raw(stage, descriptor, NOWHERE, NOWHERE);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                for (life, descriptor) in WRONG.into_iter().enumerate() {
                    if life > 0 {
                        check_eq!(stage.restart(CLIENT).0, Code::OK.0);
                    }
                    only_the_client_died(stage, FaultKind::SyscallUsage, Some(descriptor))?;
                }
                Ok(())
            }),
        ],
    ),
];
