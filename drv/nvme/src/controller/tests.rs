//! Bring-up against a controller that does as it is told.

use super::*;
use crate::testing::{Fake, PLACES, Waits, vectors};
use blk_server::testing::HostMemory;

type Under = Controller<Fake, HostMemory>;

fn controller(fake: &Fake) -> Under {
    Controller::new(fake.clone(), fake.memory(), PLACES).expect("usable")
}

fn start(fake: &Fake, count: u16) -> Result<Running, StartError> {
    controller(fake).start(&vectors(count), &mut Waits::default())
}

#[test]
fn a_controller_comes_up_with_a_queue_a_vector() {
    let fake = Fake::new();
    fake.tell(|state| state.namespaces = [(1, (2048, 9)), (4, (100, 12))].into());
    let running = start(&fake, 3).expect("up");
    assert_eq!(running.rings.len(), 3);
    for (index, ring) in (0..).zip(&running.rings) {
        assert_eq!((ring.id(), ring.entries()), (index + 1, ENTRIES_MAX));
        assert_eq!(fake.vector(ring.id()), index);
    }
    let sizes = running
        .namespaces
        .iter()
        .map(|of| (of.number, of.geometry.sectors));
    assert_eq!(sizes.collect::<std::vec::Vec<_>>(), [(1, 2048), (4, 800)]);
    assert_eq!(fake.pending(0), 0, "completions are given back");
}

#[test]
fn fewer_queues_than_asked_for_are_enough() {
    let fake = Fake::new();
    fake.tell(|state| {
        state.pairs = 2;
        state.cap = state.cap & !0xffff | 15;
    });
    let running = start(&fake, 4).expect("up");
    assert_eq!(running.rings.len(), 2);
    assert_eq!(running.rings[0].entries(), 16);
}

#[test]
fn what_lacks_something_is_not_used() {
    let lacking = [
        ("no NVM command set", 1 << 24 | 2047),
        ("pages of 8 KiB", 1 << 48 | 1 << 37 | 2047),
        ("queues of one entry", 1 << 37),
        ("nothing is there", u64::MAX),
    ];
    for (what, cap) in lacking {
        let fake = Fake::new();
        fake.tell(|state| state.cap = cap);
        let refused = Controller::new(fake.clone(), fake.memory(), PLACES);
        assert_eq!(refused.err(), Some(StartError::Unsupported), "{what}");
    }
    let fake = Fake::new();
    let small = Controller::new(fake.clone(), HostMemory::new(POOL_LEN - 8), PLACES);
    assert_eq!(small.err(), Some(StartError::Memory));
    fake.tell(|state| state.namespaces = [(1, (0, 9))].into());
    assert_eq!(start(&fake, 1).err(), Some(StartError::NoNamespace));
}

#[test]
fn deadlines_are_those_that_the_controller_has_named() {
    let fake = Fake::new();
    fake.tell(|state| state.is_stuck = true);
    let mut waits = Waits::default();
    let result = controller(&fake).start(&vectors(1), &mut waits);
    assert_eq!(result.err(), Some(StartError::Enable));
    assert_eq!(waits.0, 500_000_000);
    fake.tell(|state| {
        state.status = 1;
        state.cap |= 20 << 24;
    });
    let mut waits = Waits::default();
    let result = controller(&fake).start(&vectors(1), &mut waits);
    assert_eq!(result.err(), Some(StartError::Disable));
    assert_eq!(waits.0, 21 * 500_000_000);
    let fake = Fake::new();
    fake.tell(|state| state.is_fatal = true);
    assert_eq!(start(&fake, 1).err(), Some(StartError::Enable));
    let fake = Fake::new();
    fake.tell(|state| state.status = u32::MAX);
    let gone = controller(&fake);
    assert!(gone.is_broken(), "all ones are no status");
}

#[test]
fn admin_commands_that_fail_end_it() {
    for opcode in [0x06, 0x09, 0x05, 0x01] {
        for status in [0x0002, 0x0006, 0x4281] {
            let fake = Fake::new();
            fake.tell(|state| state.refuses = Some((opcode, status)));
            assert_eq!(
                start(&fake, 1).err(),
                Some(StartError::Admin),
                "{opcode:#x}"
            );
        }
    }
}

#[test]
fn lies_of_admin_completions_are_found_out() {
    let cases = [
        (1 << 16, 0, DeviceFault::Queue),
        (4, 0, DeviceFault::Head),
        (0xffff, 0, DeviceFault::Head),
        (0, 1, DeviceFault::Command),
        (0, 0xffff, DeviceFault::Command),
    ];
    for (third, last, fault) in cases {
        let fake = Fake::new();
        fake.tell(|state| state.lies = (third, last));
        assert_eq!(start(&fake, 1).err(), Some(StartError::Fault(fault)));
    }
    // Without the phase nothing was said.
    let fake = Fake::new();
    fake.tell(|state| state.lies = (0, 1 << 16));
    assert_eq!(start(&fake, 1).err(), Some(StartError::AdminTimeout));
}

#[test]
fn a_shutdown_is_asked_for_and_waited_for() {
    let fake = Fake::new();
    let mut controller = controller(&fake);
    controller
        .start(&vectors(1), &mut Waits::default())
        .expect("up");
    assert_eq!(controller.shut_down(&mut Waits::default()), Ok(()));
    assert_eq!(fake.0.borrow().shutdowns, 1);
    assert_eq!(fake.0.borrow().status, 0, "it is stopped");
}
