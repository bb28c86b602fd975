use super::*;
use crate::registers::{HEAD, LEN, TAIL};
use crate::ring::ENTRIES;
use crate::testing::{ADDRESS, Controller, NoDelay, PLACE, Wrong};
use abi::TaskId;
use blk_server::testing::HostMemory;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec::Vec;

/// Done, and the end of a frame.
const WHOLE: u8 = 1 | STATE_END;

fn page(tag: u16, length: u32) -> Page {
    Page {
        client: TaskId::new(5, 1),
        iova: 0x1_0000_0000 + u64::from(tag) * 4096,
        length,
        tag,
        mapped: true,
    }
}

fn tag_of(nic: &mut Nic<Controller, HostMemory>) -> Option<(u16, Result<u32, Error>)> {
    let finished = nic.finished().expect("no fault");
    finished.map(|finished| (finished.page.tag, finished.result))
}

#[test]
fn bring_up_stops_resets_and_sets_what_it_needs() {
    let controller = Controller::new();
    let nic = controller.started(0);
    assert_eq!((controller.resets(), nic.address()), (1, ADDRESS));
    let written = controller.written();
    let last = |register| {
        let mut of = written.iter().rev();
        of.find(|(which, _)| *which == register)
            .map(|(_, value)| *value)
    };
    for (ring, offset) in [(RDBAL, RECEIVE), (TDBAL, SEND)] {
        let place = PLACE + offset as u64;
        assert_eq!(last(ring), Some(place as u32));
        assert_eq!(last(ring + 4), Some((place >> 32) as u32));
        assert_eq!(last(ring + LEN), Some(u32::from(ENTRIES) * 16));
        assert_eq!([last(ring + HEAD), last(ring + TAIL)], [Some(0); 2]);
    }
    assert_eq!((last(RCTL), last(TCTL)), (Some(RCTL_ON), Some(TCTL_ON)));
    assert_eq!(last(IVAR), None, "a line has no vectors");
    // It is not turned on before its rings are there.
    let at = |register, value| {
        written
            .iter()
            .position(|entry| *entry == (register, value))
            .expect("written")
    };
    assert!(at(RCTL, RCTL_ON) > at(RDBAL + LEN, 2048));
    assert!(at(TCTL, TCTL_ON) > at(TDBAL + LEN, 2048));
    let control = last(CTRL).expect("written");
    assert_eq!(control & (CTRL_MASTER_DISABLE | CTRL_FORCED), 0);
    assert_ne!(control & CTRL_SET_LINK_UP, 0);
}

#[test]
fn each_queue_has_its_vector_as_far_as_there_are() {
    for (vectors, expected) in [(1, 0x888), (2, 0x998), (3, 0xa98), (5, 0xa98)] {
        let controller = Controller::new();
        controller.started(vectors);
        let written = controller.written();
        let ivar = written.iter().find(|(register, _)| *register == IVAR);
        let [first, second, third] = [0, 8, 16].map(|shift| ivar.expect("set").1 >> shift & 0xf);
        assert_eq!(third << 8 | second << 4 | first, expected, "{vectors}");
        assert!(written.contains(&(IMS, CAUSES_OF_MESSAGES | CAUSE_LINK)));
        assert!(written.contains(&(EIAC, CAUSES_OF_MESSAGES)));
    }
}

#[test]
fn a_controller_that_does_not_come_up_is_named() {
    for (wrong, error) in [
        (Wrong::Gone, StartError::Master),
        (Wrong::Master, StartError::Master),
        (Wrong::Reset, StartError::Reset),
        (Wrong::Address, StartError::NoAddress),
    ] {
        let mut nic = Controller::that_is(wrong).nic(0);
        assert_eq!(nic.stop(&mut NoDelay), Err(error), "{wrong:?}");
    }
    let mut nic = Controller::that_is(Wrong::Group).nic(0);
    nic.stop(&mut NoDelay).expect("it stops");
    assert_eq!(nic.start(), Err(StartError::NoAddress));
    let controller = Controller::new();
    let mut nic = controller.started(0);
    nic.stop(&mut NoDelay).expect("it stops");
    controller.set(RAL, 0x1234_5600);
    assert_eq!(nic.start(), Err(StartError::Changed));
    let small = HostMemory::new(POOL_LEN - 1);
    let none = Nic::new(controller, small, PLACE, 0);
    assert_eq!(none.err(), Some(StartError::Memory));
}

#[test]
fn frames_come_into_pages_in_the_order_in_which_these_were_given() {
    let controller = Controller::new();
    let mut nic = controller.started(0);
    assert_eq!(controller.deliver(60, WHOLE, 0), None, "lost");
    for tag in 0..3 {
        nic.receive(page(tag, ROOM)).expect("room");
    }
    assert_eq!(controller.deliver(60, WHOLE, 0), None, "not told yet");
    nic.announce();
    assert_eq!(tag_of(&mut nic), None);
    for tag in 0..2 {
        let length = 60 + tag;
        let at = controller.deliver(length, WHOLE, 0);
        assert_eq!(at, Some(page(tag, 0).iova));
    }
    // What it says of what is in a frame is nobody's business here.
    assert_eq!(tag_of(&mut nic), Some((0, Ok(60))));
    assert_eq!(tag_of(&mut nic), Some((1, Ok(61))));
    assert_eq!(tag_of(&mut nic), None);
    controller.deliver(60, WHOLE, 0x60);
    assert_eq!(tag_of(&mut nic), Some((2, Ok(60))));
    assert!(nic.is_idle());
}

#[test]
fn frames_go_with_their_lengths_and_a_collision_is_told() {
    let controller = Controller::new();
    let mut nic = controller.started(0);
    nic.send(page(1, 60)).expect("room");
    nic.send(page(2, 1518)).expect("room");
    nic.announce();
    assert_eq!(controller.transmit(1), Some((page(1, 0).iova, 60)));
    assert_eq!(tag_of(&mut nic), Some((1, Ok(60))));
    assert_eq!(tag_of(&mut nic), None);
    assert_eq!(controller.transmit(1 | 4), Some((page(2, 0).iova, 1518)));
    assert_eq!(tag_of(&mut nic), Some((2, Err(Error::Damaged))));
}

#[test]
fn rings_wrap_and_are_never_overfilled() {
    let controller = Controller::new();
    let mut nic = controller.started(0);
    for tag in 0..ENTRIES - 1 {
        nic.receive(page(tag, ROOM)).expect("room");
    }
    assert_eq!(nic.room(), 0);
    assert_eq!(nic.receive(page(999, ROOM)), Err(Error::Busy));
    nic.announce();
    for tag in 0..5 * ENTRIES {
        controller.deliver(60, WHOLE, 0);
        let was = (tag % (ENTRIES - 1), Ok(60));
        assert_eq!(tag_of(&mut nic), Some(was));
        nic.receive(page(was.0, ROOM)).expect("one came back");
        nic.announce();
        assert_eq!(controller.has(RDBAL).len(), usize::from(ENTRIES) - 1);
    }
}

#[test]
fn a_descriptor_that_is_wrong_is_found_out() {
    for (length, state, fault) in [
        (0, WHOLE, DeviceFault::Length),
        (ROOM as u16 + 1, WHOLE, DeviceFault::Length),
        (u16::MAX, WHOLE, DeviceFault::Length),
        (60, 1, DeviceFault::NoEnd),
    ] {
        let controller = Controller::new();
        let mut nic = controller.started(0);
        nic.receive(page(1, ROOM)).expect("room");
        nic.announce();
        controller.deliver(length, state, 0);
        assert_eq!(nic.finished(), Err(fault));
    }
    for errors in [1, 2, 4, 0x10, 0x80] {
        let controller = Controller::new();
        let mut nic = controller.started(0);
        nic.receive(page(1, ROOM)).expect("room");
        nic.announce();
        controller.deliver(60, WHOLE, errors);
        assert_eq!(tag_of(&mut nic), Some((1, Err(Error::Damaged))));
    }
}

#[test]
fn what_a_reset_leaves_comes_back_once() {
    let controller = Controller::new();
    let mut nic = controller.started(0);
    for tag in 0..3 {
        nic.receive(page(tag, ROOM)).expect("room");
    }
    nic.send(page(7, 60)).expect("room");
    nic.announce();
    nic.send(page(8, 60)).expect("room");
    controller.deliver(60, WHOLE, 0);
    nic.stop(&mut NoDelay).expect("it stops");
    let left: Vec<u16> = core::iter::from_fn(|| nic.abandoned())
        .map(|page| page.tag)
        .collect();
    assert_eq!(left, [0, 1, 2, 7, 8]);
    nic.start().expect("it starts");
    assert_eq!((nic.is_idle(), tag_of(&mut nic)), (true, None));
    // Nothing of before is left in the rings.
    nic.receive(page(9, ROOM)).expect("room");
    nic.announce();
    assert_eq!(tag_of(&mut nic), None);
    assert_eq!(controller.deliver(61, WHOLE, 0), Some(page(9, 0).iova));
    assert_eq!(tag_of(&mut nic), Some((9, Ok(61))));
}

#[test]
fn a_frame_that_does_not_go_asks_for_a_reset_and_one_that_goes_does_not() {
    let controller = Controller::new();
    let mut nic = controller.started(0);
    nic.receive(page(1, ROOM)).expect("room");
    nic.announce();
    assert!((0..100).all(|_| !nic.look()), "a page may wait for ever");
    for tag in 2..4 {
        nic.send(page(tag, 60)).expect("room");
    }
    nic.announce();
    assert!((0..LOOKS_MAX).all(|_| !nic.look()));
    controller.transmit(1);
    assert_eq!(tag_of(&mut nic), Some((2, Ok(60))));
    assert!((0..LOOKS_MAX).all(|_| !nic.look()), "one has gone");
    assert!(nic.look());
}

#[test]
fn the_link_is_what_the_status_says() {
    let controller = Controller::new();
    let nic = controller.started(0);
    for (status, speed, full_duplex) in [
        (0, 0, false),
        (1, 0, false),
        (2, 10, false),
        (3 | 1 << 6, 100, true),
        (3 | 2 << 6, 1000, true),
        (3 | 3 << 6, 1000, true),
    ] {
        controller.set(STATUS, status);
        let expected = Link { speed, full_duplex };
        assert_eq!(nic.link(), expected, "{status:#x}");
    }
    controller.be(Wrong::Gone);
    assert!(!nic.link().is_up());
}

#[test]
fn causes_are_taken_back_and_let_through_again() {
    for vectors in [0, 2] {
        let controller = Controller::new();
        let nic = controller.started(vectors);
        controller.set(ICR, CAUSE_RECEIVED | CAUSES_OF_MESSAGES);
        controller.set(IMS, 0);
        nic.acknowledge();
        assert_eq!(controller.read32(ICR), 0);
        nic.listen();
        let causes = controller.read32(IMS);
        assert_ne!(causes & CAUSE_LINK, 0);
        assert_eq!(causes & CAUSES_OF_MESSAGES != 0, vectors > 0);
        assert_eq!(causes & CAUSE_SENT != 0, vectors == 0);
    }
}

/// What a controller does that wants to harm.
#[derive(Clone, Debug)]
enum Act {
    Give(bool),
    Write(usize, u64),
    Set(usize, u32),
    Look,
    Take,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        any::<bool>().prop_map(Act::Give),
        // Mostly words that say that something is done.
        (0..POOL_LEN / 8, any::<u64>()).prop_map(|(at, word)| Act::Write(8 * at, word)),
        (0..8usize, any::<bool>(), any::<u16>()).prop_map(|(at, send, length)| {
            let base = if send { SEND } else { RECEIVE };
            Act::Write(base + 16 * at + 8, u64::from(length) | 3 << 32)
        }),
        (0..0x6000usize, any::<u32>()).prop_map(|(at, value)| Act::Set(at / 4 * 4, value)),
        Just(Act::Look),
        Just(Act::Take),
    ]
}

proptest! {
    /// Whatever the device writes, each page comes back once, in the order of its ring, with a length that it has; or the
    /// device is found out.
    #[test]
    fn hostile_devices_gain_nothing(acts in proptest::collection::vec(act(), 0..200)) {
        let controller = Controller::new();
        let mut nic = controller.started(3);
        let mut given = [VecDeque::new(), VecDeque::new()];
        let mut tag = 0u16;
        for act in acts {
            match act {
                Act::Give(send) => {
                    tag += 1;
                    let page = page(tag, if send { 60 } else { ROOM });
                    let put = if send { nic.send(page) } else { nic.receive(page) };
                    if put.is_ok() {
                        given[usize::from(send)].push_back(page);
                    }
                    nic.announce();
                }
                Act::Write(at, word) => controller.pool().write64(at, word),
                Act::Set(at, value) => controller.set(at, value),
                Act::Look => {
                    nic.look();
                    nic.link();
                    nic.acknowledge();
                    nic.listen();
                }
                Act::Take => match nic.finished() {
                    Ok(None) => {}
                    Ok(Some(finished)) => {
                        let send = finished.page.length != ROOM;
                        let expected = given[usize::from(send)].pop_front();
                        prop_assert_eq!(Some(finished.page), expected);
                        if let Ok(length) = finished.result {
                            prop_assert!(length > 0 && length <= finished.page.length);
                        }
                    }
                    Err(_) => return Ok(()),
                },
            }
            let count = given[0].len() + given[1].len();
            prop_assert_eq!(nic.is_idle(), count == 0);
        }
        let left: Vec<Page> = core::iter::from_fn(|| nic.abandoned()).collect();
        let [receive, send] = given;
        let expected: Vec<Page> = receive.into_iter().chain(send).collect();
        prop_assert_eq!(left, expected);
    }
}
