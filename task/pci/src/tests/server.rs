//! Who may ask what.

use core::cell::RefCell;

use pci_api::client::{Client, Failure};
use pci_api::{DeviceState, Error, Mismatch, QuiesceState, Width};
use proptest::prelude::*;
use userlib::ipc::{self, LeaseBuffer, Payload};
use userlib::protocol::Caller;

use crate::registers::*;
use crate::server::{Request, Server};
use crate::tests::fake::Fake;
use crate::tests::scene::*;

/// A client's way to the server: a task index, and the clock.
pub struct Sender<'a, 's> {
    server: RefCell<&'a mut Server<'s, &'s Fake>>,
    index: usize,
    now: u64,
}

impl Caller for Sender<'_, '_> {
    fn call_once(
        &self,
        operation: u16,
        payload: &Payload,
        len: usize,
        reply_capacity: usize,
        leases: &[LeaseBuffer<'_>],
    ) -> ipc::Answer {
        let request = Request {
            sender: self.index,
            operation,
            payload,
            len,
            reply_capacity,
            leases: leases.len(),
        };
        let answer = self.server.borrow_mut().handle(&request, || self.now);
        ipc::Answer {
            code: abi::Code(answer.code),
            payload: answer.payload,
            len: answer.len,
        }
    }
}

pub fn client<'a, 's>(
    server: &'a mut Server<'s, &'s Fake>,
    index: usize,
) -> Client<Sender<'a, 's>> {
    Client(Sender {
        server: RefCell::new(server),
        index,
        now: 0,
    })
}

pub fn refused<T>(error: Error) -> Result<T, Failure> {
    Err(Failure::Refused(error))
}

#[test]
fn an_owner_reads_its_own_device_only() {
    let scene = Scene::new();
    let mut server = scene.serve();
    let owner_of_disk = client(&mut server, owner(DISK));
    let disk = DISK as u32;
    assert_eq!(
        owner_of_disk.config_read(disk, 0, Width::Word),
        Ok(0x1042_1af4)
    );
    assert_eq!(
        owner_of_disk.config_read(disk, 2, Width::HalfWord),
        Ok(0x1042)
    );
    assert_eq!(owner_of_disk.config_read(disk, 3, Width::Byte), Ok(0x10));
    assert_eq!(
        owner_of_disk.config_read(disk, 2, Width::Word),
        refused(Error::BadAccess)
    );
    assert_eq!(
        owner_of_disk.config_read(disk, 0x1000, Width::Byte),
        refused(Error::BadAccess)
    );
    let other = EDU0 as u32;
    assert_eq!(
        owner_of_disk.config_read(other, 0, Width::Word),
        refused(Error::NotOwner)
    );
    assert_eq!(
        owner_of_disk.config_read(99, 0, Width::Word),
        refused(Error::NoSuchDevice)
    );
    let bridge = RP0 as u32;
    assert_eq!(
        owner_of_disk.config_read(bridge, 0, Width::Word),
        refused(Error::NotOwner)
    );
    let authority = client(&mut server, AUTHORITY);
    assert_eq!(
        authority.config_read(disk, 0, Width::Word),
        refused(Error::NotOwner)
    );
    let owner_of_spare = client(&mut server, owner(SPARE));
    assert_eq!(
        owner_of_spare.config_read(SPARE as u32, 0, Width::Word),
        refused(Error::Blocked)
    );
}

#[test]
fn only_the_authority_switches_and_quiesces() {
    let scene = Scene::new();
    let mut server = scene.serve();
    let disk = DISK as u32;
    for sender in [0, 1, 3, owner(DISK)] {
        let other = client(&mut server, sender);
        assert_eq!(other.boot_status(), refused(Error::NotAuthority));
        assert_eq!(other.bus_master(disk, true), refused(Error::NotAuthority));
        assert_eq!(other.bus_master(disk, false), refused(Error::NotAuthority));
        assert_eq!(other.quiesce_start(disk), refused(Error::NotAuthority));
        assert_eq!(other.quiesce_result(disk), refused(Error::NotAuthority));
    }
    assert_eq!(scene.fake.masters(), []);
    let authority = client(&mut server, AUTHORITY);
    assert_eq!(authority.boot_status().map(|status| status.ready), Ok(10));
    // The first number that no device has, and one far from all.
    for nobody in [scene.plan.len() as u32, 99] {
        let none = refused(Error::NoSuchDevice);
        assert_eq!(authority.bus_master(nobody, true), none);
        assert_eq!(authority.bus_master(nobody, false), none);
        assert_eq!(authority.quiesce_start(nobody), none);
        assert_eq!(
            authority.quiesce_result(nobody),
            refused(Error::NoSuchDevice)
        );
    }
}

#[test]
fn without_an_authority_nobody_switches() {
    let scene = Scene::new();
    let (fabric, _) = scene.enumerate();
    let mut server = Server::new(fabric, &scene.fake, None);
    for sender in 0..20 {
        let any = client(&mut server, sender);
        assert_eq!(
            any.bus_master(DISK as u32, true),
            refused(Error::NotAuthority)
        );
    }
}

#[test]
fn bus_mastering_takes_the_bridges_along() {
    let scene = Scene::new();
    let mut server = scene.serve();
    let authority = client(&mut server, AUTHORITY);
    authority.bus_master(EDU0 as u32, true).unwrap();
    assert_eq!(scene.fake.masters(), [RP1, MUX, EDU0]);
    authority.bus_master(EDU1 as u32, true).unwrap();
    authority.bus_master(EDU0 as u32, false).unwrap();
    assert_eq!(scene.fake.masters(), [RP1, MUX, EDU1]);
    assert_eq!(
        authority.describe(EDU0 as u32).map(|d| d.bus_master),
        Ok(false)
    );
    assert_eq!(
        authority.describe(EDU1 as u32).map(|d| d.bus_master),
        Ok(true)
    );
    authority.bus_master(EDU1 as u32, false).unwrap();
    assert_eq!(scene.fake.masters(), []);
    assert_eq!(scene.fake.node(RP1).command(), COMMAND_MEMORY);
}

#[test]
fn a_device_is_out_of_reach_while_it_is_reset() {
    let scene = Scene::new();
    let mut server = scene.serve();
    let disk = DISK as u32;
    let authority = client(&mut server, AUTHORITY);
    authority.bus_master(disk, true).unwrap();
    assert_eq!(authority.quiesce_result(disk), Ok(QuiesceState::Never));
    authority.quiesce_start(disk).unwrap();
    assert_eq!(authority.quiesce_start(disk), refused(Error::Quiescing));
    assert_eq!(authority.bus_master(disk, true), refused(Error::Quiescing));
    assert_eq!(authority.bus_master(disk, false), Ok(()));
    assert_eq!(authority.quiesce_result(disk), Ok(QuiesceState::Running));
    let holder = client(&mut server, owner(DISK));
    assert_eq!(
        holder.config_read(disk, 0, Width::Word),
        refused(Error::Quiescing)
    );
    assert_eq!(
        holder.config_write(disk, 4, Width::HalfWord, 2),
        refused(Error::Quiescing)
    );
    server.step(|| 0);
    scene.fake.now.set(200 * MILLISECOND);
    assert!(server.step(|| 200 * MILLISECOND).ended);
    let authority = client(&mut server, AUTHORITY);
    assert_eq!(authority.quiesce_result(disk), Ok(QuiesceState::Quiet));
    authority.bus_master(disk, true).unwrap();
    assert_eq!(authority.quiesce_result(disk), Ok(QuiesceState::Never));
}

#[test]
fn a_device_that_is_not_quiet_stays_off() {
    let scene = Scene::new();
    let mut server = scene.serve();
    let edu = EDU0 as u32;
    client(&mut server, AUTHORITY).quiesce_start(edu).unwrap();
    server.step(|| 151 * MILLISECOND);
    let authority = client(&mut server, AUTHORITY);
    assert_eq!(authority.bus_master(edu, true), refused(Error::NotQuiet));
    authority.quiesce_start(edu).unwrap();
    scene.fake.registers.borrow_mut().insert(0x2000_0098, 0);
    server.step(|| 1);
    client(&mut server, AUTHORITY)
        .bus_master(edu, true)
        .unwrap();
}

#[test]
fn bus_numbers_are_told_as_the_bridges_hold_them() {
    let scene = Scene::new();
    let mut server = scene.serve();
    let client = client(&mut server, owner(DISK));
    let buses = |index: usize| client.describe(index as u32).map(|found| found.buses);
    assert_eq!(buses(RP0), Ok([1, 1]));
    assert_eq!(buses(RP1), Ok([2, 3]));
    assert_eq!(buses(MUX), Ok([3, 3]));
    for no_bridge in [HOST, DISK, SPARE] {
        assert_eq!(buses(no_bridge), Ok([0, 0]));
    }
    // Not what the plan says, if the bridge says otherwise.
    scene
        .fake
        .change(RP1, |node| node.bytes[usize::from(BUS_NUMBERS) + 1] = 9);
    assert_eq!(buses(RP1), Ok([9, 3]));
}

#[test]
fn blocked_devices_and_a_refused_boot_stay_off() {
    let mut nodes = nodes();
    nodes[DISK].put16(DEVICE_ID, 0x1041);
    let mut scene = Scene::with(nodes);
    let disk = DISK as u32;
    {
        let mut server = scene.serve();
        let authority = client(&mut server, AUTHORITY);
        assert_eq!(authority.bus_master(disk, true), refused(Error::Blocked));
        assert_eq!(authority.quiesce_start(disk), refused(Error::Blocked));
        assert_eq!(authority.bus_master(disk, false), Ok(()));
        let described = authority.describe(disk).unwrap();
        assert_eq!(described.state, DeviceState::Blocked);
        assert_eq!(described.reason, Some(Mismatch::Identity));
        assert_eq!((described.vendor_id, described.device_id), (0x1af4, 0x1041));
        assert_eq!(
            authority.describe(SPARE as u32).map(|d| d.state),
            Ok(DeviceState::Absent)
        );
        authority.bus_master(EDU0 as u32, true).unwrap();
    }
    scene.host.refuse_on_mismatch = 1;
    let mut server = scene.serve();
    let authority = client(&mut server, AUTHORITY);
    assert_eq!(
        authority.bus_master(EDU0 as u32, true),
        refused(Error::BootRefused)
    );
    assert_eq!(scene.fake.masters(), []);
}

#[test]
fn a_device_that_lost_its_command_register_is_blocked() {
    let scene = Scene::new();
    let mut server = scene.serve();
    scene.fake.change(DISK, |disk| disk.gone = true);
    let authority = client(&mut server, AUTHORITY);
    // All ones come back, in which both bits are set; the bridge above it, though, answers.
    assert_eq!(
        authority.bus_master(DISK as u32, true),
        refused(Error::Blocked)
    );
    assert_eq!(scene.fake.masters(), []);
}

#[test]
fn malformed_messages() {
    let scene = Scene::new();
    let mut server = scene.serve();
    let good = Request {
        sender: owner(DISK),
        operation: 1,
        payload: &[DISK as u64 | 4 << 48, 0, 0, 0, 0, 0, 0, 0],
        len: 8,
        reply_capacity: 8,
        leases: 0,
    };
    assert_eq!(server.handle(&good, || 0).code, 0);
    let bad = [
        Request {
            operation: 0,
            ..good
        },
        Request {
            operation: 8,
            ..good
        },
        Request { len: 16, ..good },
        Request { len: 4096, ..good },
        Request {
            reply_capacity: 7,
            ..good
        },
        Request { leases: 1, ..good },
        Request {
            payload: &[DISK as u64 | 3 << 48, 0, 0, 0, 0, 0, 0, 0],
            ..good
        },
    ];
    for request in bad {
        let answer = server.handle(&request, || 0);
        assert_eq!(
            (answer.code, answer.len),
            (Error::Malformed as u32, 0),
            "{request:?}"
        );
    }
}

proptest! {
    /// Whatever arrives, the server answers within the caller's capacity, and only the authority turns
    /// anything on.
    #[test]
    fn any_message_is_answered(
        messages in proptest::collection::vec(
            (0usize..24, 0u16..9, 0u64..12, any::<u16>(), 0u64..6, any::<u32>(), 0usize..4, 0usize..32, 0usize..2),
            1..40,
        ),
        authority: bool,
    ) {
        let scene = Scene::new();
        let mut server = scene.serve();
        for (at, (sender, operation, device, offset, width, value, len, reply_capacity, leases)) in
            messages.into_iter().enumerate()
        {
            let sender = if authority || sender != AUTHORITY { sender } else { 0 };
            let first = device | u64::from(offset) << 32 | width << 48;
            let payload = [first, u64::from(value), 0, 0, 0, 0, 0, 0];
            let request = Request { sender, operation, payload: &payload, len: len * 8, reply_capacity, leases };
            let now = at as u64 * 10 * MILLISECOND;
            scene.fake.now.set(now);
            let answer = server.handle(&request, || now);
            prop_assert!(answer.len <= reply_capacity);
            server.step(|| now);
            if !authority {
                prop_assert_eq!(scene.fake.masters(), []);
            }
        }
    }
}
