//! Writing characters by polling, to a UART that the plan describes ([`abi::console`]).

use abi::console::{BYTES, ROOM_IF_SET, STATUS_BIT, STATUS_OFFSET};

/// Polls for room before a byte is given up. They take some milliseconds for each byte, far more than a byte takes,
/// so that a console without a clock cannot keep the kernel from ending.
const POLLS: u32 = 1 << 20;

/// Accesses to the UART's registers, by offset.
pub trait Registers {
    /// Reads a byte.
    fn read8(&self, offset: usize) -> u8;
    /// Reads a word.
    fn read32(&self, offset: usize) -> u32;
    /// Writes a byte.
    fn write8(&self, offset: usize, value: u8);
    /// Writes a word.
    fn write32(&self, offset: usize, value: u32);
}

/// A transmitter.
#[derive(Debug)]
pub struct Transmitter<R> {
    registers: R,
    access: u32,
}

impl<R: Registers> Transmitter<R> {
    /// The UART as firmware left it, with its line settings.
    pub fn new(registers: R, access: u32) -> Self {
        Self { registers, access }
    }

    /// Whether a byte can be written without waiting.
    pub fn has_room(&self) -> bool {
        let offset = (self.access & STATUS_OFFSET) as usize;
        let status = match self.access & BYTES {
            0 => self.registers.read32(offset),
            _ => u32::from(self.registers.read8(offset)),
        };
        let is_set = status >> STATUS_BIT & 1 != 0;
        is_set == (self.access & ROOM_IF_SET != 0)
    }

    /// Writes one byte, when there is room or will not be.
    pub fn write(&self, byte: u8) {
        let mut polls = POLLS;
        while !self.has_room() && polls > 0 {
            polls -= 1;
        }
        match self.access & BYTES {
            0 => self.registers.write32(0, u32::from(byte)),
            _ => self.registers.write8(0, byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};
    use std::vec::Vec;

    use abi::console::{PL011, uart_16550};

    use super::*;

    /// A UART that is full for some polls after each byte. An access that its kind does not have is a failure.
    struct Fake {
        status: usize,
        bytes: bool,
        room_if_set: bool,
        /// Polls that it stays full for.
        full: u32,
        busy: Cell<u32>,
        sent: RefCell<Vec<u8>>,
        /// Bytes that were written while it was full.
        lost: Cell<u32>,
    }

    impl Fake {
        fn new(status: usize, bytes: bool, room_if_set: bool, full: u32) -> Self {
            Self {
                status,
                bytes,
                room_if_set,
                full,
                busy: Cell::new(full),
                sent: RefCell::default(),
                lost: Cell::new(0),
            }
        }

        fn status(&self, offset: usize, bytes: bool) -> u32 {
            assert_eq!((offset, bytes), (self.status, self.bytes));
            let room = self.busy.get() == 0;
            self.busy.set(self.busy.get().saturating_sub(1));
            // The other bits are no concern of a transmitter.
            let others = if bytes { 0xdf } else { 0xffff_ffdf };
            others | u32::from(room == self.room_if_set) << 5
        }

        fn send(&self, offset: usize, byte: u8, bytes: bool) {
            assert_eq!((offset, bytes), (0, self.bytes));
            let is_full = self.busy.get() > 0;
            self.lost.set(self.lost.get() + u32::from(is_full));
            self.busy.set(self.full);
            self.sent.borrow_mut().push(byte);
        }
    }

    impl Registers for &Fake {
        fn read8(&self, offset: usize) -> u8 {
            self.status(offset, true) as u8
        }
        fn read32(&self, offset: usize) -> u32 {
            self.status(offset, false)
        }
        fn write8(&self, offset: usize, value: u8) {
            self.send(offset, value, true);
        }
        fn write32(&self, offset: usize, value: u32) {
            assert!(value < 0x100);
            self.send(offset, value as u8, false);
        }
    }

    #[test]
    fn both_kinds_at_every_distance_and_width() {
        let kinds = [
            (PL011, Fake::new(0x18, false, false, 3)),
            (uart_16550(0, true), Fake::new(5, true, true, 3)),
            (uart_16550(2, false), Fake::new(0x14, false, true, 3)),
            (uart_16550(2, true), Fake::new(0x14, true, true, 0)),
            (uart_16550(3, false), Fake::new(0x28, false, true, 1)),
        ];
        for (access, fake) in kinds {
            let uart = Transmitter::new(&fake, access);
            assert_eq!(uart.has_room(), fake.full == 0);
            for byte in *b"up\r\n" {
                uart.write(byte);
            }
            assert_eq!(*fake.sent.borrow(), b"up\r\n");
            assert_eq!(fake.lost.get(), 0);
        }
    }

    #[test]
    fn a_console_without_a_clock_does_not_keep_the_kernel() {
        for (access, fake) in [
            (PL011, Fake::new(0x18, false, false, u32::MAX)),
            (uart_16550(2, false), Fake::new(0x14, false, true, u32::MAX)),
        ] {
            let uart = Transmitter::new(&fake, access);
            uart.write(b'!');
            assert_eq!(*fake.sent.borrow(), b"!");
        }
    }
}
