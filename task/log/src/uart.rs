//! The console's PL011 (Arm DDI 0183), transmit side. The `arm-pl011-uart` crate wants a pointer that
//! only unsafe code can make; four registers do not justify that here.

use userlib::registers::Registers;

const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const CONTROL: usize = 0x30;
const INTERRUPT_MASK: usize = 0x38;
const INTERRUPT_CLEAR: usize = 0x44;

const TRANSMIT_FULL: u32 = 1 << 5;
const TRANSMIT_INTERRUPT: u32 = 1 << 5;
const ENABLE: u32 = 1 | 1 << 8;

/// The transmitter.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
}

impl<R: Registers> Uart<R> {
    /// Takes the UART as firmware or the kernel's console left it, with its line settings.
    pub fn new(registers: R) -> Self {
        registers.write32(INTERRUPT_MASK, 0);
        registers.write32(INTERRUPT_CLEAR, 0x7ff);
        let control = registers.read32(CONTROL);
        registers.write32(CONTROL, control | ENABLE);
        Self { registers }
    }

    /// Sends until the FIFO is full; returns how many bytes went.
    pub fn send(&self, bytes: &[u8]) -> usize {
        let room = |_: &&u8| self.registers.read32(FLAGS) & TRANSMIT_FULL == 0;
        let sent = bytes.iter().take_while(room);
        sent.map(|&byte| self.registers.write32(DATA, u32::from(byte)))
            .count()
    }

    /// Asks for an interrupt when the FIFO has room, or no longer.
    pub fn ask_for_room(&self, ask: bool) {
        self.registers.write32(INTERRUPT_CLEAR, TRANSMIT_INTERRUPT);
        self.registers
            .write32(INTERRUPT_MASK, if ask { TRANSMIT_INTERRUPT } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let uart = Uart::new(&model);
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
}
