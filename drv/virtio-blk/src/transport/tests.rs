//! Bring-up against a fake device.

use super::*;
use core::cell::Cell;
use std::rc::Rc;

/// A device that behaves, except where a test tells it not to.
#[derive(Default)]
struct Model {
    offered: Cell<u64>,
    accepted: Cell<u64>,
    select: Cell<u32>,
    status: Cell<u8>,
    resets_after: Cell<u32>,
    refuse_features: Cell<bool>,
    queue_size: Cell<u16>,
    generation: Cell<u8>,
    restless: Cell<bool>,
    capacity: Cell<u64>,
    notify_off: Cell<u16>,
    queue: Cell<[u32; 6]>,
    enabled: Cell<bool>,
    /// Of the configuration and of the queue.
    vectors: Cell<[u16; 2]>,
    /// The register whose vector the device has no room for.
    no_vector: Cell<Option<usize>>,
}

/// Counts what is waited; the device finishes its reset when the sum is reached.
#[derive(Default)]
struct Waits {
    nanoseconds: u64,
    after: Option<(u64, Rc<Model>)>,
}

impl DelayNs for Waits {
    fn delay_ns(&mut self, ns: u32) {
        self.nanoseconds += u64::from(ns);
        if let Some((after, model)) = &self.after
            && self.nanoseconds >= *after
        {
            model.resets_after.set(0);
        }
    }
}

#[derive(Clone)]
struct Common(Rc<Model>);

impl Registers for Common {
    fn read8(&self, offset: usize) -> u8 {
        let model = &self.0;
        match offset {
            DEVICE_STATUS if model.resets_after.get() > 0 => {
                model.resets_after.set(model.resets_after.get() - 1);
                0xff
            }
            DEVICE_STATUS => model.status.get(),
            CONFIG_GENERATION => {
                if model.restless.get() {
                    model.generation.set(model.generation.get().wrapping_add(1));
                }
                model.generation.get()
            }
            _ => panic!("read8 at {offset:#x}"),
        }
    }
    fn read16(&self, offset: usize) -> u16 {
        match offset {
            QUEUE_SIZE => self.0.queue_size.get(),
            QUEUE_NOTIFY_OFF => self.0.notify_off.get(),
            CONFIG_MSIX_VECTOR | QUEUE_MSIX_VECTOR => {
                let own = usize::from(offset == QUEUE_MSIX_VECTOR);
                let vector = self.0.vectors.get()[own];
                // A device without room for it.
                if self.0.no_vector.get() == Some(offset) {
                    NO_VECTOR
                } else {
                    vector
                }
            }
            _ => panic!("read16 at {offset:#x}"),
        }
    }
    fn read32(&self, offset: usize) -> u32 {
        assert_eq!(offset, DEVICE_FEATURE);
        (self.0.offered.get() >> (32 * self.0.select.get())) as u32
    }
    fn read64(&self, offset: usize) -> u64 {
        panic!("read64 at {offset:#x}")
    }
    fn write8(&self, offset: usize, value: u8) {
        assert_eq!(offset, DEVICE_STATUS);
        let refused = self.0.refuse_features.get();
        let mask = if refused {
            !Status::FEATURES_OK.bits()
        } else {
            0xff
        };
        self.0.status.set(value & mask);
    }
    fn write16(&self, offset: usize, value: u16) {
        match offset {
            QUEUE_SIZE => self.0.queue_size.set(value),
            QUEUE_ENABLE => self.0.enabled.set(value == 1),
            QUEUE_SELECT => assert_eq!(value, 0),
            CONFIG_MSIX_VECTOR | QUEUE_MSIX_VECTOR => {
                let mut vectors = self.0.vectors.get();
                vectors[usize::from(offset == QUEUE_MSIX_VECTOR)] = value;
                self.0.vectors.set(vectors);
            }
            _ => panic!("write16 at {offset:#x}"),
        }
    }
    fn write32(&self, offset: usize, value: u32) {
        let model = &self.0;
        match offset {
            DEVICE_FEATURE_SELECT | DRIVER_FEATURE_SELECT => model.select.set(value),
            DRIVER_FEATURE => {
                let shift = 32 * model.select.get();
                model
                    .accepted
                    .set(model.accepted.get() | u64::from(value) << shift);
            }
            QUEUE_DESCRIPTORS..=0x34 => {
                let mut queue = model.queue.get();
                queue[(offset - QUEUE_DESCRIPTORS) / 4] = value;
                model.queue.set(queue);
            }
            _ => panic!("write32 at {offset:#x}"),
        }
    }
    fn write64(&self, offset: usize, _: u64) {
        panic!("write64 at {offset:#x}")
    }
}

/// Device configuration; shares the type so that one transport can hold both.
enum Block {
    Common(Common),
    Device(Rc<Model>),
}

impl Registers for Block {
    fn read8(&self, offset: usize) -> u8 {
        match self {
            Self::Common(common) => common.read8(offset),
            Self::Device(_) => panic!("read8 at {offset:#x}"),
        }
    }
    fn read16(&self, offset: usize) -> u16 {
        match self {
            Self::Common(common) => common.read16(offset),
            Self::Device(_) => panic!("read16 at {offset:#x}"),
        }
    }
    fn read32(&self, offset: usize) -> u32 {
        match self {
            Self::Common(common) => common.read32(offset),
            Self::Device(model) => match offset {
                CAPACITY => model.capacity.get() as u32,
                4 => (model.capacity.get() >> 32) as u32,
                SIZE_MAX => 65536 + 100,
                _ => panic!("read32 at {offset:#x}"),
            },
        }
    }
    fn read64(&self, offset: usize) -> u64 {
        panic!("read64 at {offset:#x}")
    }
    fn write8(&self, offset: usize, value: u8) {
        if let Self::Common(common) = self {
            common.write8(offset, value);
        }
    }
    fn write16(&self, offset: usize, value: u16) {
        if let Self::Common(common) = self {
            common.write16(offset, value);
        }
    }
    fn write32(&self, offset: usize, value: u32) {
        if let Self::Common(common) = self {
            common.write32(offset, value);
        }
    }
    fn write64(&self, offset: usize, value: u64) {
        if let Self::Common(common) = self {
            common.write64(offset, value);
        }
    }
}

const GOOD: u64 = 1 << 33 | 1 << 32 | 1 << 9 | 1 << 28 | 1 << 29;

fn device() -> (Transport<Block>, Rc<Model>) {
    let model = Rc::new(Model::default());
    model.offered.set(GOOD);
    model.queue_size.set(256);
    model.capacity.set(32768);
    model.notify_off.set(1);
    let common = || Block::Common(Common(model.clone()));
    let transport = Transport {
        common: common(),
        notify: common(),
        notify_multiplier: 4,
        isr: common(),
        device: Block::Device(model.clone()),
        messages: false,
    };
    (transport, model)
}

#[test]
fn a_device_signals_as_the_plan_says() {
    let (mut transport, model) = device();
    for (messages, vector) in [(false, NO_VECTOR), (true, 0)] {
        transport.messages = messages;
        model.vectors.set([7; 2]);
        transport
            .negotiate(&mut Waits::default())
            .expect("negotiated");
        assert_eq!(model.vectors.get(), [vector; 2]);
    }
    // Of messages nobody reads a status, which would panic here.
    assert_eq!(transport.acknowledge(), Isr::all());
    for register in [CONFIG_MSIX_VECTOR, QUEUE_MSIX_VECTOR] {
        model.no_vector.set(Some(register));
        let refused = transport.negotiate(&mut Waits::default());
        assert_eq!(refused, Err(StartError::Vector));
    }
}

#[test]
fn a_good_device_comes_up() {
    let (transport, model) = device();
    model.resets_after.set(3);
    let negotiated = transport
        .negotiate(&mut Waits::default())
        .expect("negotiated");
    assert_eq!(negotiated.queue_size, 256);
    assert_eq!(negotiated.notify_offset, 4);
    assert_eq!(negotiated.geometry.sectors, 32768);
    assert_eq!(negotiated.geometry.transfer_max, TRANSFER_MAX);
    assert!(negotiated.geometry.flush && !negotiated.geometry.read_only);
    // Ring features that this driver does not implement must not be accepted.
    assert_eq!(model.accepted.get(), 1 << 33 | 1 << 32 | 1 << 9);
    assert!(!model.enabled.get());
    transport.run(&QueueAddresses {
        descriptors: 0x1_0000_1000,
        available: 0x1_0000_2000,
        used: 0x2_0000_3000,
    });
    assert_eq!(model.queue.get(), [0x1000, 1, 0x2000, 1, 0x3000, 2]);
    assert!(model.enabled.get());
    assert_eq!(model.status.get(), 0xf);
}

#[test]
fn a_bypassing_device_is_refused() {
    let (transport, model) = device();
    model.offered.set(GOOD & !(1 << 33));
    assert_eq!(
        transport.negotiate(&mut Waits::default()),
        Err(StartError::BypassesIommu)
    );
    model.offered.set(GOOD & !(1 << 32));
    assert_eq!(
        transport.negotiate(&mut Waits::default()),
        Err(StartError::NotModern)
    );
    assert_eq!(model.accepted.get(), 0);
}

#[test]
fn a_stubborn_device_is_given_up() {
    let (transport, model) = device();
    model.resets_after.set(u32::MAX);
    let mut waits = Waits::default();
    assert_eq!(transport.negotiate(&mut waits), Err(StartError::Reset));
    assert_eq!(waits.nanoseconds, 5_000_000_000);

    // It was reset in the moment in which the time ended.
    let (transport, model) = device();
    model.resets_after.set(u32::MAX);
    let mut waits = Waits {
        after: Some((5_000_000_000, Rc::clone(&model))),
        ..Waits::default()
    };
    assert!(transport.negotiate(&mut waits).is_ok());
    assert_eq!(waits.nanoseconds, 5_000_000_000);

    // It takes its time, and is waited for no longer.
    let (transport, model) = device();
    model.resets_after.set(3);
    let mut waits = Waits::default();
    assert!(transport.negotiate(&mut waits).is_ok());
    assert_eq!(waits.nanoseconds, 300_000);

    let (transport, model) = device();
    model.refuse_features.set(true);
    assert_eq!(
        transport.negotiate(&mut Waits::default()),
        Err(StartError::Features)
    );

    let (transport, model) = device();
    model.restless.set(true);
    assert_eq!(
        transport.negotiate(&mut Waits::default()),
        Err(StartError::Configuration)
    );

    let (transport, model) = device();
    model.capacity.set(u64::MAX);
    assert_eq!(
        transport.negotiate(&mut Waits::default()),
        Err(StartError::Configuration)
    );

    for size in [0, 3, 0xffff] {
        let (transport, model) = device();
        model.queue_size.set(size);
        assert_eq!(
            transport.negotiate(&mut Waits::default()),
            Err(StartError::Queue)
        );
    }
}

#[test]
fn limits_of_the_device_are_kept() {
    let (transport, model) = device();
    model.offered.set(GOOD | 1 << 1 | 1 << 5);
    model.queue_size.set(1024);
    let negotiated = transport
        .negotiate(&mut Waits::default())
        .expect("negotiated");
    assert_eq!(negotiated.queue_size, QUEUE_MAX);
    assert_eq!(model.queue_size.get(), QUEUE_MAX);
    assert_eq!(negotiated.geometry.transfer_max, 65536);
    assert!(negotiated.geometry.read_only);
}
