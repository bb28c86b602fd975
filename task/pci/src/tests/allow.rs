//! What an owner's writes can change.

use std::vec::Vec;

use pci_api::{ConfigWrite, Error, Operation, Width};
use plan::pci::FunctionFlags;
use proptest::prelude::*;
use userlib::protocol::Wire;

use crate::registers::*;
use crate::server::{Request, Server};
use crate::tests::fake::Fake;
use crate::tests::scene::*;

fn write(
    server: &mut Server<'_, &Fake>,
    offset: u16,
    width: Width,
    value: u32,
) -> Result<(), Option<Error>> {
    let message = ConfigWrite {
        device: DISK as u32,
        offset,
        width,
        value,
    };
    let request = Request {
        sender: owner(DISK),
        operation: Operation::ConfigWrite as u16,
        payload: &message.to_words(),
        len: ConfigWrite::LEN,
        reply_capacity: 64,
        leases: 0,
    };
    match server.handle(&request, || 0).code {
        0 => Ok(()),
        code => Err(Error::from_code(code)),
    }
}

#[test]
fn the_list_is_what_the_protocol_says() {
    let scene = Scene::new();
    let mut server = scene.serve();
    scene.fake.change(DISK, |disk| {
        disk.put16(STATUS, 0xf910);
        disk.put16(0x50 + EXPRESS_STATUS, 0xf);
    });
    let refused = Err(Some(Error::WriteRefused));
    assert_eq!(write(&mut server, COMMAND, Width::HalfWord, 0x402), Ok(()));
    assert_eq!(scene.fake.node(DISK).command(), 0x402);
    for command in [0x406, 0x400, 0x403, 0x442] {
        assert_eq!(
            write(&mut server, COMMAND, Width::HalfWord, command),
            refused
        );
    }
    assert_eq!(write(&mut server, COMMAND, Width::HalfWord, 0x002), Ok(()));
    assert_eq!(write(&mut server, COMMAND, Width::Word, 0x402), refused);
    assert_eq!(write(&mut server, STATUS, Width::HalfWord, 0xf900), Ok(()));
    assert_eq!(scene.fake.node(DISK).get16(STATUS), 0x10);
    assert_eq!(write(&mut server, STATUS, Width::HalfWord, 0xf910), refused);
    assert_eq!(write(&mut server, CACHE_LINE, Width::Byte, 0x10), Ok(()));
    assert_eq!(write(&mut server, INTERRUPT_LINE, Width::Byte, 35), Ok(()));
    let device_status = 0x50 + EXPRESS_STATUS;
    assert_eq!(
        write(&mut server, device_status, Width::HalfWord, 0xf),
        Ok(())
    );
    assert_eq!(scene.fake.node(DISK).get16(device_status), 0);
    assert_eq!(
        write(&mut server, device_status, Width::HalfWord, 0x1f),
        refused
    );
    for offset in [0x0, 0x10, 0x14, 0x30, 0x34, 0x40, 0x50, 0x100] {
        assert_eq!(write(&mut server, offset, Width::Word, u32::MAX), refused);
    }
    // Reset, the power state, the message address: all within ordinary capabilities.
    assert_eq!(
        write(&mut server, 0x50 + EXPRESS_CONTROL, Width::HalfWord, 0x8000),
        refused
    );
    assert_eq!(scene.fake.node(DISK).resets, 0);
}

#[test]
fn interrupts_stay_off_across_bus_mastering() {
    let scene = Scene::new();
    let (mut fabric, _) = scene.enumerate();
    fabric
        .owner_write(&scene.fake, DISK, COMMAND, Width::HalfWord, 0x402)
        .unwrap();
    fabric.set_master(&scene.fake, DISK, true);
    assert_eq!(scene.fake.node(DISK).command(), 0x406);
    let again = fabric.owner_write(&scene.fake, DISK, COMMAND, Width::HalfWord, 0x006);
    assert_eq!(again, Ok(()), "bus mastering as it is");
    assert_eq!(scene.fake.node(DISK).command(), 0x006);
}

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![Just(Width::Byte), Just(Width::HalfWord), Just(Width::Word)]
}

fn offset() -> impl Strategy<Value = u16> {
    prop_oneof![0u16..0x110, 0u16..0x1000]
}

proptest! {
    /// No sequence of writes changes anything but the bits of the list, whatever of the device is writable.
    #[test]
    fn nothing_else_changes(writes in proptest::collection::vec((offset(), width(), any::<u32>()), 1..200)) {
        let scene = Scene::new();
        let mut server = scene.serve();
        scene.fake.change(DISK, |disk| {
            disk.writable = std::vec![0xff; 4096];
            // The lower byte of Status is read-only in every function: a write that the list lets through has 0 there.
            disk.writable[0x06] = 0;
        });
        let before: Vec<_> = scene.fake.nodes.borrow().iter().map(|n| n.bytes.clone()).collect();
        for (offset, width, value) in writes {
            let _ = write(&mut server, offset, width, value & width.mask());
        }
        let after = scene.fake.nodes.borrow();
        for (index, (before, after)) in before.iter().zip(after.iter()).enumerate() {
            for (offset, (old, new)) in before.iter().zip(&after.bytes).enumerate() {
                let free = match (index, offset) {
                    (DISK, 0x05) => 0x04,
                    (DISK, 0x06) => 0x00,
                    (DISK, 0x07) => 0xf9,
                    (DISK, 0x0c | 0x3c) => 0xff,
                    (DISK, 0x5a) => 0x0f,
                    _ => 0,
                };
                prop_assert_eq!(old & !free, new & !free, "function {} offset {:#x}", index, offset);
            }
        }
    }
}

#[test]
fn a_device_whose_interrupt_nobody_gets_cannot_be_let_raise_it() {
    let mut scene = Scene::new();
    scene.plan[DISK].flags |= FunctionFlags::NO_INTERRUPT.bits();
    let mut server = scene.serve();
    assert_eq!(scene.fake.node(DISK).command(), 0x402);
    let _ = write(&mut server, COMMAND, Width::HalfWord, 0x002);
    assert_eq!(scene.fake.node(DISK).command(), 0x402);
}
