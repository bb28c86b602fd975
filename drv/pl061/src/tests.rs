//! The driver on a controller as its manual has it.

use std::cell::{Cell, RefCell};
use std::vec::Vec;

use super::*;

const IDS: [u32; 8] = [0x61, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// Arm DDI 0190, chapter 3.
struct Model {
    ids: Cell<[u32; 8]>,
    pins: Cell<u32>,
    direction: Cell<u32>,
    sense: Cell<u32>,
    both: Cell<u32>,
    event: Cell<u32>,
    enable: Cell<u32>,
    latched: Cell<u32>,
    hardware: Cell<u32>,
    writes: RefCell<Vec<(usize, u32)>>,
}

impl Model {
    fn new() -> Self {
        Self {
            ids: Cell::new(IDS),
            pins: Cell::new(0),
            direction: Cell::new(0xff),
            sense: Cell::new(0),
            both: Cell::new(0),
            event: Cell::new(0),
            enable: Cell::new(0),
            latched: Cell::new(0),
            hardware: Cell::new(0xff),
            writes: RefCell::default(),
        }
    }

    /// The pins as they are from now on. Edges are latched whether the interrupt is enabled or not.
    fn drive(&self, pins: u32) {
        let (old, event) = (self.pins.replace(pins), self.event.get());
        let (up, down) = (pins & !old, old & !pins);
        let edges = (up | down) & self.both.get() | up & event | down & !event;
        self.latched
            .set(self.latched.get() | edges & !self.sense.get());
    }

    fn raw(&self) -> u32 {
        let level = !(self.pins.get() ^ self.event.get()) & self.sense.get() & 0xff;
        self.latched.get() & !self.sense.get() | level
    }

    fn interrupt(&self) -> bool {
        self.raw() & self.enable.get() != 0
    }
}

impl Registers for &Model {
    fn read32(&self, offset: usize) -> u32 {
        match offset {
            0x000..=0x3fc => self.pins.get() & (offset as u32 >> 2),
            DIRECTION => self.direction.get(),
            SENSE => self.sense.get(),
            BOTH_EDGES => self.both.get(),
            EVENT => self.event.get(),
            ENABLE => self.enable.get(),
            PENDING => self.raw() & self.enable.get(),
            HARDWARE_CONTROL => self.hardware.get(),
            IDENTIFICATION..=0xffc => self.ids.get()[(offset - IDENTIFICATION) / 4],
            _ => panic!("read32 at {offset:#x}"),
        }
    }
    fn write32(&self, offset: usize, value: u32) {
        self.writes.borrow_mut().push((offset, value));
        match offset {
            DIRECTION => self.direction.set(value),
            // A change of what is an edge may look like one.
            SENSE => {
                self.sense.set(value);
                self.latched.set(0xff);
            }
            BOTH_EDGES => self.both.set(value),
            EVENT => {
                self.event.set(value);
                self.latched.set(0xff);
            }
            ENABLE => self.enable.set(value),
            CLEAR => self.latched.set(self.latched.get() & !value),
            HARDWARE_CONTROL => self.hardware.set(value),
            _ => panic!("write32 at {offset:#x}"),
        }
    }
    fn read8(&self, offset: usize) -> u8 {
        panic!("read8 at {offset:#x}")
    }
    fn read16(&self, offset: usize) -> u16 {
        panic!("read16 at {offset:#x}")
    }
    fn read64(&self, offset: usize) -> u64 {
        panic!("read64 at {offset:#x}")
    }
    fn write8(&self, offset: usize, _: u8) {
        panic!("write8 at {offset:#x}")
    }
    fn write16(&self, offset: usize, _: u16) {
        panic!("write16 at {offset:#x}")
    }
    fn write64(&self, offset: usize, _: u64) {
        panic!("write64 at {offset:#x}")
    }
}

fn pin(number: u64) -> Pin {
    Pin::new(number).expect("a pin")
}

#[test]
fn only_a_pl061_is_accepted() {
    let model = Model::new();
    assert!(Pl061::new(&model).is_ok());
    assert!(model.writes.borrow().is_empty(), "nothing is touched");
    for at in 0..8 {
        for wrong in [IDS[at] ^ 1, u32::MAX, IDS[at] | 0x100] {
            let mut ids = IDS;
            ids[at] = wrong;
            model.ids.set(ids);
            let offset = 0xfe0 + 4 * at;
            let refused = NotPl061 {
                offset,
                value: wrong,
            };
            assert_eq!(Pl061::new(&model).err(), Some(refused));
        }
    }
    // Of the third byte the upper half is the revision.
    let mut ids = IDS;
    ids[2] = 0xf4;
    model.ids.set(ids);
    assert!(Pl061::new(&model).is_ok());
}

#[test]
fn a_controller_has_eight_pins() {
    assert!((0..8).all(|number| Pin::new(number).is_some()));
    for number in [8, 64, 256, u64::MAX] {
        assert_eq!(Pin::new(number), None);
    }
}

#[test]
fn a_pin_reads_itself_alone() {
    let model = Model::new();
    let gpio = Pl061::new(&model).expect("a PL061");
    for number in 0..8 {
        let mut input = gpio.input(pin(number));
        model.drive(1 << number);
        assert_eq!(input.is_high(), Ok(true));
        assert_eq!(input.is_low(), Ok(false));
        model.drive(0xff & !(1 << number));
        assert_eq!(input.is_high(), Ok(false));
        assert_eq!(input.is_low(), Ok(true));
    }
    assert_eq!((model.direction.get(), model.hardware.get()), (0, 0));
}

#[test]
fn other_pins_stay_as_they_are() {
    let model = Model::new();
    model.enable.set(0x81);
    model.sense.set(0x80);
    model.both.set(0x01);
    let gpio = Pl061::new(&model).expect("a PL061");
    let input = gpio.input(pin(3));
    for trigger in [
        Trigger::Rising,
        Trigger::High,
        Trigger::Both,
        Trigger::Low,
        Trigger::Falling,
    ] {
        input.listen(trigger);
        let others = |register: &Cell<u32>| register.get() & !0x08;
        assert_eq!(others(&model.enable), 0x81, "{trigger:?}");
        assert_eq!(others(&model.sense), 0x80, "{trigger:?}");
        assert_eq!(others(&model.both), 0x01, "{trigger:?}");
        assert_eq!(others(&model.direction), 0xf7, "{trigger:?}");
    }
    input.ignore();
    assert_eq!(model.enable.get(), 0x81);
}

#[test]
fn each_trigger_raises_by_itself_only() {
    // Up, still up, down, still down: is the interrupt raised, if what was raised is cleared before each?
    for (trigger, raised) in [
        (Trigger::Rising, [true, false, false, false]),
        (Trigger::Falling, [false, false, true, false]),
        (Trigger::Both, [true, false, true, false]),
        (Trigger::High, [true, true, false, false]),
        (Trigger::Low, [false, false, true, true]),
    ] {
        let model = Model::new();
        let gpio = Pl061::new(&model).expect("a PL061");
        let input = gpio.input(pin(3));
        input.listen(trigger);
        for (level, raised) in [8, 8, 0, 0].into_iter().zip(raised) {
            input.clear();
            model.drive(level);
            assert_eq!(model.interrupt(), raised, "{trigger:?} {level}");
            assert_eq!(gpio.pending().contains(pin(3)), raised);
            assert_eq!(gpio.pending().is_empty(), !raised);
            assert!(!gpio.pending().contains(pin(2)));
        }
    }
}

#[test]
fn a_change_of_trigger_raises_nothing() {
    let model = Model::new();
    let gpio = Pl061::new(&model).expect("a PL061");
    let input = gpio.input(pin(3));
    for trigger in [Trigger::High, Trigger::Rising, Trigger::Both] {
        input.listen(trigger);
        assert!(!model.interrupt(), "{trigger:?}");
        assert_eq!(model.enable.get(), 8);
    }
    // It was disabled before anything else changed, and enabled last.
    let writes = model.writes.borrow();
    let enables: Vec<_> = writes.iter().filter(|write| write.0 == ENABLE).collect();
    assert_eq!(
        enables,
        [
            &(ENABLE, 8),
            &(ENABLE, 0),
            &(ENABLE, 8),
            &(ENABLE, 0),
            &(ENABLE, 8)
        ]
    );
    assert_eq!(writes.last(), Some(&(ENABLE, 8)));
}

#[test]
fn what_came_while_there_was_no_driver_is_kept() {
    let model = Model::new();
    let first = Pl061::new(&model).expect("a PL061");
    first.input(pin(3)).listen(Trigger::Rising);
    model.drive(8);
    model.drive(0);
    let next = Pl061::new(&model).expect("a PL061");
    let input = next.input(pin(3));
    input.listen(Trigger::Rising);
    assert!(next.pending().contains(pin(3)));
    input.clear();
    assert!(next.pending().is_empty());
}
