//! Wide messages: 128 bytes in registers, where both sides want them there.

use abi::{
    Code, FaultKind, ReplyDescriptor, SendDescriptor, Syscall, TAKES_WIDE, TaskId, WIDE, WIDE_BYTES,
};

use super::world::*;
use crate::State;

/// Where each task has its buffers.
const BUFFER: u64 = POOL + 0x100;

fn words(seed: u64) -> [u64; 16] {
    core::array::from_fn(|word| (seed << 56) | (0x0101_0101_0101_0101 * word as u64))
}

fn bytes(words: [u64; 16]) -> std::vec::Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn set(world: &mut World, task: usize, words: [u64; 16]) {
    let x = &mut world.kernel.task_mut(index(task)).frame_mut().x;
    x[..8].copy_from_slice(&words[..8]);
    x[20..28].copy_from_slice(&words[8..]);
}

fn found(world: &World, task: usize) -> [u64; 16] {
    let x = &world.frame(task).x;
    core::array::from_fn(|word| if word < 8 { x[word] } else { x[word + 12] })
}

/// SERVER waits, with a buffer, and takes wide messages or does not; LEFT runs, and RIGHT and LOW are parked.
fn waiting(takes: bool, capacity: u64) -> World {
    let mut world = World::new();
    for task in 0..LEFT {
        let wide = if task == SERVER && takes {
            TAKES_WIDE
        } else {
            0
        };
        let arguments = [wide, TaskId::ANY.0, BUFFER, capacity];
        world.call(task, Syscall::Receive as u16, &arguments);
    }
    world.only(LOW);
    world.only(LEFT);
    for task in [SERVER, LEFT] {
        world.memory(task, BUFFER, 4096).fill(0xa5);
    }
    world
}

/// LEFT sends to SERVER. The addresses of a wide one are those of nothing.
fn send(world: &mut World, descriptor: SendDescriptor) {
    let nowhere = if descriptor.is_wide() {
        u64::MAX
    } else {
        BUFFER
    };
    let arguments = [
        world.id(SERVER).0,
        descriptor.0,
        nowhere,
        nowhere,
        0,
        0,
        0,
        0,
    ];
    world.call(LEFT, Syscall::Send as u16, &arguments);
}

fn reply_again(world: &mut World, descriptor: u64, address: u64) {
    let arguments = [world.id(LEFT).0, descriptor, address];
    world.call(SERVER, Syscall::ReplyAgain as u16, &arguments);
}

const fn wide(len: u16, capacity: u16) -> SendDescriptor {
    SendDescriptor::new(9, len, capacity, 0).wide()
}

#[test]
fn a_wide_message_and_its_reply_are_in_registers() {
    for len in [0, 8, 64, 65, 127, 128] {
        let mut world = waiting(true, 4096);
        set(&mut world, LEFT, words(1));
        send(&mut world, wide(len, 128));
        assert_eq!(world.runs(), SERVER);
        assert_eq!(found(&world, SERVER), words(1));
        assert_eq!(world.x(SERVER, 9), wide(len, 128).0);
        assert!(
            world
                .memory(SERVER, BUFFER, 128)
                .iter()
                .all(|byte| *byte == 0xa5)
        );
        set(&mut world, SERVER, words(2));
        reply_again(&mut world, ReplyDescriptor::new(5, len).wide().0, u64::MAX);
        assert_eq!(world.runs(), LEFT);
        assert_eq!(found(&world, LEFT), words(2));
        assert_eq!((world.code(LEFT), world.x(LEFT, 9)), (Code(5), len.into()));
        // And again, with what it said once.
        set(&mut world, LEFT, words(3));
        send(&mut world, wide(len, 0));
        assert_eq!(found(&world, SERVER), words(3));
    }
}

#[test]
fn who_does_not_take_wide_messages_gets_them_as_others() {
    for (len, capacity) in [0, 64, 65, 100, 128]
        .into_iter()
        .flat_map(|len| [0, 1, 66, 100, 128, 4096].map(|capacity| (len, capacity)))
    {
        let mut world = waiting(false, capacity);
        set(&mut world, LEFT, words(1));
        send(&mut world, wide(len, 77));
        assert_eq!(world.runs(), SERVER);
        assert_eq!(world.x(SERVER, 9), SendDescriptor::new(9, len, 77, 0).0);
        assert_eq!(world.payload(SERVER), words(1)[..8]);
        // Nothing of the upper words.
        assert_eq!(world.frame(SERVER).x[20..28], [0; 8]);
        let arrived = if len > 64 {
            capacity.min(len.into())
        } else {
            0
        };
        let buffer = world.memory(SERVER, BUFFER, 200);
        let (arrived, rest) = buffer.split_at(arrived as usize);
        assert_eq!(*arrived, bytes(words(1))[..arrived.len()]);
        assert!(rest.iter().all(|byte| *byte == 0xa5));
    }
}

#[test]
fn a_queued_wide_message_is_delivered_when_it_is_received() {
    for takes in [0, TAKES_WIDE] {
        let mut world = waiting(true, 4096);
        // SERVER waits for AUTHORITY.
        send(&mut world, wide(8, 0));
        let left = world.id(LEFT);
        world.reply(SERVER, left, 0, 0);
        world.run_server_aside();
        assert_eq!(world.runs(), LEFT);
        set(&mut world, LEFT, words(5));
        send(&mut world, wide(128, 128));
        assert_eq!(world.state(LEFT), State::Sending);
        world.wake_server();
        let arguments = [takes, TaskId::ANY.0, BUFFER, 4096];
        world.call(SERVER, Syscall::Receive as u16, &arguments);
        assert_eq!(world.sender(SERVER), world.id(LEFT));
        if takes != 0 {
            assert_eq!(found(&world, SERVER), words(5));
        } else {
            assert_eq!(*world.memory(SERVER, BUFFER, 128), bytes(words(5))[..]);
        }
        assert_eq!(world.x(SERVER, 9) & WIDE != 0, takes != 0);
    }
}

/// Of every form of a reply to a wide send.
#[test]
fn the_reply_to_a_wide_send_is_in_registers() {
    for len in [0u16, 8, 64, 65, 100, 127, 128] {
        let mut world = waiting(true, 4096);
        set(&mut world, LEFT, words(1));
        send(&mut world, wide(0, 128));
        set(&mut world, SERVER, words(6));
        let reply = bytes(words(7));
        world.memory(SERVER, BUFFER, 128).copy_from_slice(&reply);
        reply_again(&mut world, ReplyDescriptor::new(0, len).0, BUFFER);
        assert_eq!((world.runs(), world.x(LEFT, 9)), (LEFT, len.into()));
        let mut expected = if len > 64 { reply } else { bytes(words(6)) };
        expected[if len > 64 { usize::from(len) } else { 64 }..].fill(0);
        assert_eq!(bytes(found(&world, LEFT)), expected, "{len}");
    }
}

#[test]
fn a_wide_reply_to_a_send_that_was_not_goes_to_its_buffer() {
    for len in [0u16, 8, 64, 65, 100, 128] {
        let mut world = waiting(true, 4096);
        set(&mut world, LEFT, words(1));
        send(&mut world, SendDescriptor::new(9, 0, 128, 0));
        set(&mut world, SERVER, words(6));
        reply_again(&mut world, ReplyDescriptor::new(0, len).wide().0, u64::MAX);
        assert_eq!((world.runs(), world.x(LEFT, 9)), (LEFT, len.into()));
        assert_eq!(world.payload(LEFT), words(6)[..8]);
        // Its own.
        assert_eq!(world.frame(LEFT).x[20..28], words(1)[8..]);
        let arrived = if len > 64 { usize::from(len) } else { 0 };
        let buffer = world.memory(LEFT, BUFFER, 200);
        assert_eq!(buffer[..arrived], bytes(words(6))[..arrived]);
        assert!(buffer[arrived..].iter().all(|byte| *byte == 0xa5));
    }
}

#[test]
fn a_message_that_is_not_wide_arrives_as_ever() {
    for (takes, len) in [(false, 64), (true, 64), (false, 128), (true, 128)] {
        let mut world = waiting(takes, 4096);
        let message = bytes(words(8));
        world.memory(LEFT, BUFFER, 128).copy_from_slice(&message);
        set(&mut world, LEFT, words(1));
        send(&mut world, SendDescriptor::new(9, len, 0, 0));
        assert_eq!(world.x(SERVER, 9), SendDescriptor::new(9, len, 0, 0).0);
        assert_eq!(world.payload(SERVER), words(1)[..8]);
        assert_eq!(world.frame(SERVER).x[20..28], [0; 8]);
        let arrived = if len > 64 { 128 } else { 0 };
        assert_eq!(
            world.memory(SERVER, BUFFER, arrived)[..],
            message[..arrived as usize]
        );
    }
}

#[test]
fn what_is_too_long_or_reserved_is_a_fault() {
    let long = WIDE_BYTES as u16 + 1;
    for descriptor in [
        wide(long, 0),
        wide(0, long),
        SendDescriptor(wide(0, 0).0 | 1 << 51),
    ] {
        let mut world = waiting(true, 0);
        send(&mut world, descriptor);
        assert_eq!(world.fault(LEFT), FaultKind::SyscallUsage);
    }
    let reply = |len| ReplyDescriptor::new(0, len).wide().0;
    let too_long = FaultKind::ReplyTooLong;
    for (capacity, descriptor, kind) in [
        (128, reply(long), FaultKind::SyscallUsage),
        (128, reply(8) | 1 << 49, FaultKind::SyscallUsage),
        (100, reply(101), too_long),
        (63, reply(64), too_long),
        (63, ReplyDescriptor::new(0, 64).0, too_long),
        (100, ReplyDescriptor::new(0, 101).0, too_long),
    ] {
        for narrow in [false, true] {
            let mut world = waiting(true, 4096);
            let descriptor_sent = SendDescriptor::new(9, 0, capacity, 0);
            send(
                &mut world,
                if narrow {
                    descriptor_sent
                } else {
                    descriptor_sent.wide()
                },
            );
            reply_again(&mut world, descriptor, BUFFER);
            assert_eq!((world.fault(SERVER), world.code(LEFT)), (kind, Code::DEAD));
        }
    }
}

/// A lease goes with a wide message as with any.
#[test]
fn a_wide_message_lends() {
    let mut world = waiting(true, 0);
    set(&mut world, LEFT, words(1));
    let lease = abi::Lease::new(16, abi::LeaseAttributes::READ).0;
    let descriptor = SendDescriptor::new(9, 128, 128, 1).wide();
    let arguments = [world.id(SERVER).0, descriptor.0, 0, 0, BUFFER, lease, 0, 0];
    world.call(LEFT, Syscall::Send as u16, &arguments);
    assert_eq!(found(&world, SERVER), words(1));
    assert_eq!(
        (world.x(SERVER, 9), world.x(SERVER, 12)),
        (descriptor.0, lease)
    );
    reply_again(&mut world, ReplyDescriptor::new(0, 128).wide().0, 0);
    assert_eq!((world.runs(), world.x(LEFT, 9)), (LEFT, 128));
}
