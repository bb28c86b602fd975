//! QEMU's `edu` device (QEMU documentation, "EDU device"): a PCI device with a 4 KiB buffer and one DMA
//! channel between it and memory.
//!
//! A transfer ends about 100 ms after it was started, cannot be cancelled, and succeeds as far as the
//! device can tell: that an access was refused shows only in the IOMMU's faults.
//!
//! [`Edu`] is the core: it knows registers, and not where they are. On the target they are a BAR that the plan maps; in a
//! test they are whatever answers like a device:
//!
//! ```
//! use std::cell::RefCell;
//! use std::collections::BTreeMap;
//!
//! use edu::{Direction, Edu, Error, Transfer};
//! use userlib::registers::Registers;
//!
//! /// Answers as an edu does whose transfers never end.
//! #[derive(Default)]
//! struct Fake(RefCell<BTreeMap<usize, u64>>);
//!
//! impl Registers for &Fake {
//!     fn read64(&self, offset: usize) -> u64 {
//!         self.0.borrow().get(&offset).copied().unwrap_or(0)
//!     }
//!     fn write64(&self, offset: usize, value: u64) {
//!         self.0.borrow_mut().insert(offset, value);
//!     }
//!     fn read32(&self, offset: usize) -> u32 {
//!         match offset {
//!             0x00 => 0x0100_00ed,
//!             // Whoever asks whether it lives gets the complement of what he wrote.
//!             0x04 => !self.read64(offset) as u32,
//!             _ => self.read64(offset) as u32,
//!         }
//!     }
//!     fn write32(&self, offset: usize, value: u32) {
//!         self.write64(offset, value.into());
//!     }
//!     // The device takes no narrower accesses.
//!     fn read8(&self, _: usize) -> u8 {
//!         unreachable!()
//!     }
//!     fn read16(&self, _: usize) -> u16 {
//!         unreachable!()
//!     }
//!     fn write8(&self, _: usize, _: u8) {
//!         unreachable!()
//!     }
//!     fn write16(&self, _: usize, _: u16) {
//!         unreachable!()
//!     }
//! }
//!
//! let fake = Fake::default();
//! let edu = Edu::new(&fake).unwrap();
//! assert_eq!(edu.version(), (1, 0));
//! let transfer = Transfer { direction: Direction::ToMemory, iova: 0x1000, offset: 0, len: 64 };
//! assert_eq!(edu.start(&transfer), Ok(()));
//! // The destination is the address that the driver was given, and nothing else is started meanwhile.
//! assert_eq!((&fake).read64(0x88), 0x1000);
//! assert_eq!(edu.start(&transfer), Err(Error::Busy));
//! ```
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

pub mod channel;
pub mod pattern;

use userlib::registers::Registers;

const IDENTIFICATION: usize = 0x00;
const LIVENESS: usize = 0x04;
const INTERRUPT_STATUS: usize = 0x24;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_COUNT: usize = 0x90;
const DMA_COMMAND: usize = 0x98;

const COMMAND_START: u64 = 1;
const COMMAND_TO_MEMORY: u64 = 2;
const COMMAND_INTERRUPT: u64 = 4;
/// Interrupt status bit of a finished transfer.
const DMA_FINISHED: u32 = 0x100;
/// Address of the device's own buffer in the address space of its DMA channel.
const BUFFER: u64 = 0x4_0000;

/// Most bytes of a transfer, and end of the usable part of the buffer. The buffer has 4096, but a transfer that
/// ends exactly there aborts QEMU 7.2, and one that ends beyond it reaches memory of QEMU itself on
/// 10.x: the length is clamped here, not left to callers.
pub const TRANSFER_MAX: usize = 4095;
/// Nanoseconds after which a transfer that has not finished never will: ten times what one takes.
pub const DEADLINE: u64 = 1_000_000_000;

/// Which way a transfer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The device reads memory into its buffer.
    FromMemory,
    /// The device writes its buffer to memory.
    ToMemory,
}

/// A transfer that the device is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// The way that the data goes.
    pub direction: Direction,
    /// Address in memory, as the device sees it.
    pub iova: u64,
    /// Offset in the device's buffer.
    pub offset: usize,
    /// Bytes, at least 1; offset and length together at most [`TRANSFER_MAX`].
    pub len: usize,
}

/// Why the device cannot be used, or a transfer not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The identification register is not an edu's.
    Identification(u32),
    /// The liveness register does not answer.
    NotAlive,
    /// A transfer is under way; its registers ignore writes until it ends.
    Busy,
    /// Empty, or beyond the device's buffer.
    Length,
}

/// The device.
#[derive(Debug)]
pub struct Edu<R> {
    registers: R,
}

impl<R: Registers> Edu<R> {
    /// Checks that it is an edu that answers.
    pub fn new(registers: R) -> Result<Self, Error> {
        let identification = registers.read32(IDENTIFICATION);
        if identification & 0xffff != 0x00ed {
            return Err(Error::Identification(identification));
        }
        let edu = Self { registers };
        for value in [0x5a5a_1234, 0] {
            edu.registers.write32(LIVENESS, value);
            if edu.registers.read32(LIVENESS) != !value {
                return Err(Error::NotAlive);
            }
        }
        Ok(edu)
    }

    /// Major and minor version.
    pub fn version(&self) -> (u8, u8) {
        let identification = self.registers.read32(IDENTIFICATION);
        ((identification >> 24) as u8, (identification >> 16) as u8)
    }

    /// Starts a transfer that raises the interrupt at its end.
    pub fn start(&self, transfer: &Transfer) -> Result<(), Error> {
        let end = transfer.offset.checked_add(transfer.len);
        if transfer.len == 0 || end.is_none_or(|end| end > TRANSFER_MAX) {
            return Err(Error::Length);
        }
        if self.busy() {
            return Err(Error::Busy);
        }
        let buffer = BUFFER + transfer.offset as u64;
        let (source, destination, way) = match transfer.direction {
            Direction::FromMemory => (transfer.iova, buffer, 0),
            Direction::ToMemory => (buffer, transfer.iova, COMMAND_TO_MEMORY),
        };
        self.registers.write64(DMA_SOURCE, source);
        self.registers.write64(DMA_DESTINATION, destination);
        self.registers.write64(DMA_COUNT, transfer.len as u64);
        self.registers
            .write64(DMA_COMMAND, COMMAND_START | COMMAND_INTERRUPT | way);
        Ok(())
    }

    /// Whether a transfer is under way.
    pub fn busy(&self) -> bool {
        self.registers.read64(DMA_COMMAND) & COMMAND_START != 0
    }

    /// Lowers the interrupt line; true if a transfer had finished.
    pub fn acknowledge(&self) -> bool {
        let status = self.registers.read32(INTERRUPT_STATUS);
        self.registers.write32(INTERRUPT_ACKNOWLEDGE, status);
        status & DMA_FINISHED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use core::cell::RefCell;

    /// The device's register file; remembers what was written, in order.
    #[derive(Default)]
    struct Model {
        identification: Cell<u32>,
        alive: Cell<u32>,
        deaf: Cell<bool>,
        interrupts: Cell<u32>,
        wide: RefCell<BTreeMap<usize, u64>>,
        log: RefCell<Vec<(usize, u64)>>,
    }

    impl Registers for &Model {
        fn read8(&self, offset: usize) -> u8 {
            panic!("the device ignores bytes at {offset:#x}")
        }
        fn read16(&self, offset: usize) -> u16 {
            panic!("the device ignores half-words at {offset:#x}")
        }
        fn read32(&self, offset: usize) -> u32 {
            match offset {
                IDENTIFICATION => self.identification.get(),
                LIVENESS => self.alive.get(),
                INTERRUPT_STATUS => self.interrupts.get(),
                _ => panic!("read32 at {offset:#x}"),
            }
        }
        fn read64(&self, offset: usize) -> u64 {
            assert!(offset >= 0x80, "64-bit access at {offset:#x}");
            self.wide.borrow().get(&offset).copied().unwrap_or(0)
        }
        fn write8(&self, offset: usize, _: u8) {
            panic!("write8 at {offset:#x}")
        }
        fn write16(&self, offset: usize, _: u16) {
            panic!("write16 at {offset:#x}")
        }
        fn write32(&self, offset: usize, value: u32) {
            match offset {
                LIVENESS if self.deaf.get() => self.alive.set(value),
                LIVENESS => self.alive.set(!value),
                INTERRUPT_ACKNOWLEDGE => self.interrupts.set(self.interrupts.get() & !value),
                _ => panic!("write32 at {offset:#x}"),
            }
        }
        fn write64(&self, offset: usize, value: u64) {
            assert!(offset >= 0x80, "64-bit access at {offset:#x}");
            self.wide.borrow_mut().insert(offset, value);
            self.log.borrow_mut().push((offset, value));
        }
    }

    fn model() -> Model {
        let model = Model::default();
        model.identification.set(0x0100_00ed);
        model
    }

    #[test]
    fn only_an_edu_that_answers_is_accepted() {
        let good = model();
        assert_eq!(Edu::new(&good).map(|edu| edu.version()), Ok((1, 0)));
        let other = model();
        other.identification.set(u32::MAX);
        assert_eq!(
            Edu::new(&other).err(),
            Some(Error::Identification(u32::MAX))
        );
        let dead = model();
        dead.deaf.set(true);
        assert_eq!(Edu::new(&dead).err(), Some(Error::NotAlive));
    }

    #[test]
    fn the_command_is_written_last() {
        let model = model();
        let edu = Edu::new(&model).expect("an edu");
        let transfer = |direction| Transfer {
            direction,
            iova: 0x1_0000_0000,
            offset: 16,
            len: 64,
        };
        edu.start(&transfer(Direction::FromMemory))
            .expect("started");
        assert_eq!(
            *model.log.borrow(),
            [
                (0x80, 0x1_0000_0000),
                (0x88, 0x4_0010),
                (0x90, 64),
                (0x98, 5)
            ]
        );
        assert!(edu.busy());
        assert_eq!(edu.start(&transfer(Direction::ToMemory)), Err(Error::Busy));
        model.wide.borrow_mut().insert(DMA_COMMAND, 0);
        model.log.borrow_mut().clear();
        edu.start(&transfer(Direction::ToMemory)).expect("started");
        assert_eq!(
            *model.log.borrow(),
            [
                (0x80, 0x4_0010),
                (0x88, 0x1_0000_0000),
                (0x90, 64),
                (0x98, 7)
            ]
        );
    }

    #[test]
    fn lengths_stay_inside_the_buffer() {
        let model = model();
        let edu = Edu::new(&model).expect("an edu");
        for (offset, len) in [
            (0, 0),
            (0, 4096),
            (1, 4095),
            (4095, 1),
            (usize::MAX, 1),
            (1, usize::MAX),
        ] {
            let transfer = Transfer {
                direction: Direction::ToMemory,
                iova: 0,
                offset,
                len,
            };
            assert_eq!(edu.start(&transfer), Err(Error::Length), "{offset} {len}");
        }
        assert!(model.log.borrow().is_empty());
        let longest = Transfer {
            direction: Direction::ToMemory,
            iova: 0,
            offset: 0,
            len: TRANSFER_MAX,
        };
        assert_eq!(edu.start(&longest), Ok(()));
    }

    #[test]
    fn acknowledging_clears_what_was_seen() {
        let model = model();
        let edu = Edu::new(&model).expect("an edu");
        assert!(!edu.acknowledge());
        model.interrupts.set(0x101);
        assert!(edu.acknowledge());
        assert_eq!(model.interrupts.get(), 0);
    }
}
