//! The console's transmitter: a PL011 (Arm DDI 0183), or what has the registers of a 16550 (Texas Instruments
//! SLLS597). The `arm-pl011-uart` crate wants a pointer that only unsafe code can make; a few registers do not justify
//! that here. Which kind it is, and how its registers lie, is a word of the plan ([`abi::console`]).

use abi::console::{BYTES, ROOM_IF_SET, STATUS_OFFSET};
use userlib::registers::Registers;

mod pl011 {
    pub const DATA: usize = 0x00;
    pub const FLAGS: usize = 0x18;
    pub const CONTROL: usize = 0x30;
    pub const INTERRUPT_MASK: usize = 0x38;
    pub const INTERRUPT_CLEAR: usize = 0x44;
    pub const TRANSMIT_FULL: u32 = 1 << 5;
    pub const TRANSMIT_INTERRUPT: u32 = 1 << 5;
    pub const ENABLE: u32 = 1 | 1 << 8;
}

/// Registers of a 16550 by number, at 115200 baud or any other rate that firmware set.
mod uart_16550 {
    pub const DATA: usize = 0;
    pub const INTERRUPT_ENABLE: usize = 1;
    pub const INTERRUPT_IDENTIFICATION: usize = 2;
    pub const LINE_STATUS: usize = 5;
    /// The FIFO is empty, or, without one, the only register.
    pub const EMPTY: u32 = 1 << 5;
    pub const TRANSMIT_INTERRUPT: u32 = 1 << 1;
    /// Both FIFOs are on.
    pub const FIFOS: u32 = 0b11 << 6;
    /// Bytes of the shortest FIFO that any has.
    pub const FIFO: usize = 16;
}

/// How the registers lie.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Pl011,
    Uart16550 { shift: u32, bytes: bool },
}

/// The transmitter.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
    kind: Kind,
}

impl<R: Registers> Uart<R> {
    /// Takes the UART as firmware or the kernel's console left it, with its line settings. `access` is a word of
    /// [`abi::console`].
    pub fn new(registers: R, access: u32) -> Self {
        let kind = match access & ROOM_IF_SET {
            0 => Kind::Pl011,
            _ => Kind::Uart16550 {
                // The status register is the fifth.
                shift: ((access & STATUS_OFFSET) / 5).checked_ilog2().unwrap_or(0),
                bytes: access & BYTES != 0,
            },
        };
        let uart = Self { registers, kind };
        match kind {
            Kind::Pl011 => {
                uart.registers.write32(pl011::INTERRUPT_MASK, 0);
                uart.registers.write32(pl011::INTERRUPT_CLEAR, 0x7ff);
                let control = uart.registers.read32(pl011::CONTROL);
                uart.registers
                    .write32(pl011::CONTROL, control | pl011::ENABLE);
            }
            Kind::Uart16550 { .. } => uart.write(uart_16550::INTERRUPT_ENABLE, 0),
        }
        uart
    }

    /// Sends until there is no room; returns how many bytes went.
    pub fn send(&self, bytes: &[u8]) -> usize {
        let Kind::Uart16550 { .. } = self.kind else {
            let room = |_: &&u8| self.registers.read32(pl011::FLAGS) & pl011::TRANSMIT_FULL == 0;
            let sent = bytes.iter().take_while(room);
            return sent
                .map(|&byte| self.registers.write32(pl011::DATA, u32::from(byte)))
                .count();
        };
        if self.read(uart_16550::LINE_STATUS) & uart_16550::EMPTY == 0 {
            return 0;
        }
        let on = self.read(uart_16550::INTERRUPT_IDENTIFICATION) & uart_16550::FIFOS;
        let room = if on == uart_16550::FIFOS {
            uart_16550::FIFO
        } else {
            1
        };
        let sent = bytes.iter().take(room);
        sent.map(|&byte| self.write(uart_16550::DATA, u32::from(byte)))
            .count()
    }

    /// Asks for an interrupt when there is room, or no longer.
    pub fn ask_for_room(&self, ask: bool) {
        match self.kind {
            Kind::Pl011 => {
                let interrupt = pl011::TRANSMIT_INTERRUPT;
                self.registers.write32(pl011::INTERRUPT_CLEAR, interrupt);
                let mask = if ask { interrupt } else { 0 };
                self.registers.write32(pl011::INTERRUPT_MASK, mask);
            }
            Kind::Uart16550 { .. } => {
                let enable = if ask {
                    uart_16550::TRANSMIT_INTERRUPT
                } else {
                    0
                };
                self.write(uart_16550::INTERRUPT_ENABLE, enable);
            }
        }
    }

    /// A register of a 16550.
    fn read(&self, number: usize) -> u32 {
        match self.kind {
            Kind::Uart16550 { shift, bytes: true } => {
                u32::from(self.registers.read8(number << shift))
            }
            Kind::Uart16550 { shift, .. } => self.registers.read32(number << shift),
            Kind::Pl011 => 0,
        }
    }

    fn write(&self, number: usize, value: u32) {
        match self.kind {
            Kind::Uart16550 { shift, bytes: true } => {
                self.registers.write8(number << shift, value as u8);
            }
            Kind::Uart16550 { shift, .. } => self.registers.write32(number << shift, value),
            Kind::Pl011 => {}
        }
    }
}

#[cfg(test)]
mod tests;
