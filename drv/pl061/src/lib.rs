//! Arm PrimeCell GPIO (PL061; Arm DDI 0190): eight pins, each an input or output, each with an interrupt.
//!
//! A pin is a value of its own, [`Input`], which implements the digital traits of `embedded-hal`: what is wired to a pin
//! is driven by code that knows no controller. The eight interrupts share one line of the interrupt controller, which
//! is up as long as any of them that is enabled is: whoever is woken by it asks [`Pl061::pending`] for the pins.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(test)]
extern crate std;

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, InputPin};
use userlib::registers::Registers;

/// Pins of one controller.
pub const PINS: u8 = 8;

/// Data: bits 9 to 2 of the address are a mask of the pins that an access is about.
const DATA: usize = 0x000;
const DIRECTION: usize = 0x400;
const SENSE: usize = 0x404;
const BOTH_EDGES: usize = 0x408;
const EVENT: usize = 0x40c;
const ENABLE: usize = 0x410;
const PENDING: usize = 0x418;
const CLEAR: usize = 0x41c;
const HARDWARE_CONTROL: usize = 0x420;
/// Peripheral and cell identification: a byte in each of eight words.
const IDENTIFICATION: usize = 0xfe0;

/// The identification, as far as it does not depend on the revision (bits 7 to 4 of the third byte).
const PL061: [(u32, u32); 8] = [
    (0xff, 0x61),
    (0xff, 0x10),
    (0x0f, 0x04),
    (0xff, 0x00),
    (0xff, 0x0d),
    (0xff, 0xf0),
    (0xff, 0x05),
    (0xff, 0xb1),
];

/// The registers are not those of a PL061; the offset of the first that differs, and what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotPl061 {
    /// Offset of the identification register.
    pub offset: usize,
    /// The register's value.
    pub value: u32,
}

/// Number of a pin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pin(u8);

impl Pin {
    /// The pin of this number, if the controller has it.
    pub const fn new(number: u64) -> Option<Self> {
        if number < PINS as u64 {
            Some(Self(number as u8))
        } else {
            None
        }
    }

    const fn bit(self) -> u32 {
        1 << self.0
    }
}

/// A set of pins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pins(u8);

impl Pins {
    /// Whether the pin is one of them.
    pub const fn contains(self, pin: Pin) -> bool {
        self.0 as u32 & pin.bit() != 0
    }
    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The condition that raises a pin's interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// The pin goes up. Stays pending until it is cleared.
    Rising,
    /// The pin goes down. Stays pending until it is cleared.
    Falling,
    /// Either. Stays pending until it is cleared.
    Both,
    /// The pin is up, for as long as it is.
    High,
    /// The pin is down, for as long as it is.
    Low,
}

impl Trigger {
    /// The pin's bits in the registers of sense, of both edges, and of the event.
    const fn bits(self) -> [bool; 3] {
        match self {
            Self::Rising => [false, false, true],
            Self::Falling => [false, false, false],
            Self::Both => [false, true, false],
            Self::High => [true, false, true],
            Self::Low => [true, false, false],
        }
    }
}

/// The controller.
#[derive(Debug)]
pub struct Pl061<R> {
    registers: R,
}

impl<R: Registers> Pl061<R> {
    /// Checks that it is one. Nothing else is touched: an earlier life of the driver may have left interrupts pending
    /// that nobody has seen.
    pub fn new(registers: R) -> Result<Self, NotPl061> {
        for (at, (mask, expected)) in PL061.into_iter().enumerate() {
            let offset = IDENTIFICATION + 4 * at;
            let value = registers.read32(offset);
            // A bus without a device answers with all ones.
            if value & mask != expected || value > 0xff {
                return Err(NotPl061 { offset, value });
            }
        }
        Ok(Self { registers })
    }

    /// Makes a pin an input that the program controls. Other pins stay as they are.
    pub fn input(&self, pin: Pin) -> Input<'_, R> {
        self.set(HARDWARE_CONTROL, pin, false);
        self.set(DIRECTION, pin, false);
        Input { gpio: self, pin }
    }

    /// Pins whose interrupt is pending and enabled.
    pub fn pending(&self) -> Pins {
        Pins(self.registers.read32(PENDING) as u8)
    }

    /// Sets the pin's bit of a register, and leaves those of the others.
    fn set(&self, register: usize, pin: Pin, to: bool) {
        let old = self.registers.read32(register) & 0xff;
        let new = if to {
            old | pin.bit()
        } else {
            old & !pin.bit()
        };
        if new != old {
            self.registers.write32(register, new);
        }
    }

    fn is_set(&self, register: usize, pin: Pin) -> bool {
        self.registers.read32(register) & pin.bit() != 0
    }
}

/// A pin that is an input.
#[derive(Debug)]
pub struct Input<'g, R> {
    gpio: &'g Pl061<R>,
    pin: Pin,
}

impl<R: Registers> Input<'_, R> {
    /// The pin's number.
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// Has the interrupt raised by `trigger`. If it was already, what is pending stays so: it came while there was no
    /// driver. Else it is disabled while it is changed, as each of the writes alone may look like an edge, and what is
    /// pending of an earlier trigger is cleared.
    pub fn listen(&self, trigger: Trigger) {
        let registers = [SENSE, BOTH_EDGES, EVENT];
        let wanted = registers.into_iter().zip(trigger.bits());
        let is_so = wanted
            .clone()
            .all(|(register, bit)| self.gpio.is_set(register, self.pin) == bit);
        if !is_so || !self.gpio.is_set(ENABLE, self.pin) {
            self.ignore();
            for (register, bit) in wanted {
                self.gpio.set(register, self.pin, bit);
            }
            self.clear();
        }
        self.gpio.set(ENABLE, self.pin, true);
    }

    /// Disables its interrupt.
    pub fn ignore(&self) {
        self.gpio.set(ENABLE, self.pin, false);
    }

    /// Forgets edges that have come. A level that is still there raises the interrupt again.
    pub fn clear(&self) {
        self.gpio.registers.write32(CLEAR, self.pin.bit());
    }
}

impl<R> ErrorType for Input<'_, R> {
    type Error = Infallible;
}

impl<R: Registers> InputPin for Input<'_, R> {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        let masked = DATA + ((self.pin.bit() as usize) << 2);
        Ok(self.gpio.registers.read32(masked) != 0)
    }
    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|high| !high)
    }
}

#[cfg(test)]
mod tests;
