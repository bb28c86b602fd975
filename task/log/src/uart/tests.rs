//! Tests of the transmitters, on fakes of both kinds.

use super::pl011::{
    CONTROL, DATA, FLAGS, INTERRUPT_CLEAR, INTERRUPT_MASK, TRANSMIT_FULL, TRANSMIT_INTERRUPT,
};
use super::*;
use abi::console::{PL011, uart_16550};
use core::cell::{Cell, RefCell};
use std::vec::Vec;

#[derive(Default)]
struct Model {
    sent: RefCell<Vec<u8>>,
    room: Cell<usize>,
    mask: Cell<u32>,
    control: Cell<u32>,
}

impl Registers for &Model {
    fn read8(&self, offset: usize) -> u8 {
        panic!("read8 at {offset:#x}")
    }
    fn read16(&self, offset: usize) -> u16 {
        panic!("read16 at {offset:#x}")
    }
    fn read32(&self, offset: usize) -> u32 {
        match offset {
            FLAGS if self.room.get() == 0 => TRANSMIT_FULL,
            FLAGS => 0,
            CONTROL => self.control.get(),
            _ => panic!("read32 at {offset:#x}"),
        }
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
    fn write32(&self, offset: usize, value: u32) {
        match offset {
            DATA => {
                assert!(self.room.get() > 0, "written to a full FIFO");
                self.room.set(self.room.get() - 1);
                self.sent.borrow_mut().push(value as u8);
            }
            INTERRUPT_MASK => self.mask.set(value),
            INTERRUPT_CLEAR => {}
            CONTROL => self.control.set(value),
            _ => panic!("write32 at {offset:#x}"),
        }
    }
    fn write64(&self, offset: usize, _: u64) {
        panic!("write64 at {offset:#x}")
    }
}

#[test]
fn a_full_fifo_stops_and_goes_on_where_it_stopped() {
    let model = Model::default();
    model.control.set(1 << 9);
    let uart = Uart::new(&model, PL011);
    assert_eq!(model.control.get(), 1 << 9 | 1 << 8 | 1);
    model.room.set(3);
    assert_eq!(uart.send(b"hello"), 3);
    assert_eq!(uart.send(b"lo"), 0);
    uart.ask_for_room(true);
    assert_eq!(model.mask.get(), TRANSMIT_INTERRUPT);
    model.room.set(16);
    uart.ask_for_room(false);
    assert_eq!(model.mask.get(), 0);
    assert_eq!(uart.send(b"lo"), 2);
    assert_eq!(*model.sent.borrow(), b"hello");
}

/// A 16550 with a FIFO of 16 bytes that is on or off, registers `1 << shift` bytes apart.
struct Model16550 {
    shift: usize,
    bytes: bool,
    fifo: bool,
    sent: RefCell<Vec<u8>>,
    /// Bytes that have not left yet.
    waiting: Cell<usize>,
    enabled: Cell<u32>,
}

impl Model16550 {
    fn new(shift: usize, bytes: bool, fifo: bool) -> Self {
        Self {
            shift,
            bytes,
            fifo,
            sent: RefCell::default(),
            waiting: Cell::new(0),
            enabled: Cell::new(0xff),
        }
    }

    fn read(&self, offset: usize, bytes: bool) -> u32 {
        assert_eq!(bytes, self.bytes);
        assert_eq!(offset % (1 << self.shift), 0);
        match offset >> self.shift {
            2 if self.fifo => 0xc1,
            2 => 1,
            5 if self.waiting.get() == 0 => 0x60,
            5 => 0,
            other => panic!("read of register {other}"),
        }
    }

    fn write(&self, offset: usize, value: u32, bytes: bool) {
        assert_eq!(bytes, self.bytes);
        assert_eq!(offset % (1 << self.shift), 0);
        match offset >> self.shift {
            0 => {
                let room = if self.fifo { 16 } else { 1 };
                assert!(self.waiting.get() < room, "written without room");
                self.waiting.set(self.waiting.get() + 1);
                self.sent.borrow_mut().push(value as u8);
            }
            1 => self.enabled.set(value),
            other => panic!("write of register {other}"),
        }
    }
}

impl Registers for &Model16550 {
    fn read8(&self, offset: usize) -> u8 {
        self.read(offset, true) as u8
    }
    fn read16(&self, offset: usize) -> u16 {
        panic!("read16 at {offset:#x}")
    }
    fn read32(&self, offset: usize) -> u32 {
        self.read(offset, false)
    }
    fn read64(&self, offset: usize) -> u64 {
        panic!("read64 at {offset:#x}")
    }
    fn write8(&self, offset: usize, value: u8) {
        self.write(offset, u32::from(value), true);
    }
    fn write16(&self, offset: usize, _: u16) {
        panic!("write16 at {offset:#x}")
    }
    fn write32(&self, offset: usize, value: u32) {
        self.write(offset, value, false);
    }
    fn write64(&self, offset: usize, _: u64) {
        panic!("write64 at {offset:#x}")
    }
}

#[test]
fn a_16550_takes_as_much_as_its_fifo_holds() {
    let text = b"a record that is longer than one FIFO";
    for shift in 0..4 {
        for (bytes, fifo) in [(true, true), (false, true), (true, false), (false, false)] {
            let model = Model16550::new(shift, bytes, fifo);
            let uart = Uart::new(&model, uart_16550(shift as u32, bytes));
            assert_eq!(model.enabled.get(), 0);
            let mut rest = &text[..];
            while !rest.is_empty() {
                let sent = uart.send(rest);
                assert_eq!(sent, rest.len().min(if fifo { 16 } else { 1 }));
                rest = &rest[sent..];
                // Full: nothing more goes until it is empty.
                assert_eq!(uart.send(rest), 0);
                uart.ask_for_room(true);
                assert_eq!(model.enabled.get(), 2);
                model.waiting.set(0);
                uart.ask_for_room(false);
                assert_eq!(model.enabled.get(), 0);
            }
            assert_eq!(*model.sent.borrow(), text);
        }
    }
}
