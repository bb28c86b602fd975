//! Real interrupts: those of the real-time clock (PL031), a level that its own register ends.

use abi::notification::TIMER;
use suite::{Case, Failure, Part, Result, Stage, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::registers::{MappedRegisters, Registers};
use userlib::time;
use userlib::{config, interrupt};

use crate::help::notes;
use crate::{CLIENT, LAST};

/// Registers of the clock (Arm DDI 0224, section 3).
mod register {
    /// Seconds.
    pub const DATA: usize = 0x00;
    /// Raises the interrupt when the seconds are these.
    pub const MATCH: usize = 0x04;
    pub const CONTROL: usize = 0x0c;
    pub const MASK: usize = 0x10;
    pub const RAW_STATUS: usize = 0x14;
    pub const CLEAR: usize = 0x1c;
}

/// The clock and its notification bit.
struct Clock {
    registers: MappedRegisters,
    bit: u32,
}

impl Clock {
    fn new() -> core::result::Result<Self, Failure> {
        let mapping = check_is!(config::mapping("rtc"), Some(mapping) => mapping);
        let bit = check_is!(config::notification("rtc-irq"), Some(bit) => bit);
        Ok(Self {
            registers: MappedRegisters::of(mapping),
            bit,
        })
    }

    /// Raises the line; it stays up until [`Self::clear`].
    fn raise(&self) -> Result {
        self.registers.write32(register::CONTROL, 1);
        self.registers.write32(register::MASK, 1);
        // The second may end between the read and the write.
        for _ in 0..10 {
            let now = self.registers.read32(register::DATA);
            self.registers.write32(register::MATCH, now);
            if self.registers.read32(register::RAW_STATUS) & 1 == 1 {
                return Ok(());
            }
        }
        Err(Failure::skip("the clock raises no interrupt"))
    }

    fn clear(&self) {
        self.registers.write32(register::MASK, 0);
        self.registers.write32(register::CLEAR, 1);
    }

    /// The bits that come within some milliseconds: the timer's, or the interrupt's and not yet the timer's.
    fn next(&self) -> core::result::Result<u32, Failure> {
        time::set_timer(Some(time::now().after(20_000_000)));
        let bits = check_is!(ipc::receive(self.bit | TIMER), Received::Notification(bits) => bits);
        time::set_timer(None);
        Ok(bits)
    }
}

fn unmasks_and_waits(stage: &Stage) -> Result {
    let clock = Clock::new()?;
    clock.clear();
    interrupt::unmask(clock.bit);
    stage.note(1);
    ipc::receive(0);
    Ok(())
}

pub const CASES: &[Case] = &[
    Case::new(
        "an-interrupt-comes-when-it-is-unmasked",
        &["IPC-INT-1", "IPC-INT-2"],
        &[Part::returns(CLIENT, |_| {
            let clock = Clock::new()?;
            clock.raise()?;
            check_eq!(clock.next()?, TIMER);
            interrupt::unmask(clock.bit);
            check_eq!(clock.next()?, clock.bit);
            // The line is still up, and delivery masked it.
            check_eq!(clock.next()?, TIMER);
            clock.clear();
            Ok(())
        })],
    ),
    Case::new(
        "an-interrupt-that-was-cleared",
        &["IPC-INT-1", "IPC-INT-4"],
        &[Part::returns(CLIENT, |_| {
            let clock = Clock::new()?;
            clock.raise()?;
            interrupt::unmask(clock.bit);
            check_eq!(clock.next()?, clock.bit);
            clock.clear();
            interrupt::unmask(clock.bit);
            check_eq!(clock.next()?, TIMER);
            Ok(())
        })],
    ),
    Case::new(
        "an-interrupt-that-stays-up",
        &["IPC-INT-4"],
        &[Part::returns(CLIENT, |_| {
            let clock = Clock::new()?;
            clock.raise()?;
            for _ in 0..5 {
                interrupt::unmask(clock.bit);
                check_eq!(clock.next()?, clock.bit);
            }
            clock.clear();
            Ok(())
        })],
    ),
    Case::new(
        "an-interrupt-while-its-task-runs",
        &["IPC-INT-1", "IPC-RECV-1"],
        &[Part::returns(CLIENT, |_| {
            let clock = Clock::new()?;
            interrupt::unmask(clock.bit);
            clock.raise()?;
            // It is pending; a receive without the bit does not take it.
            time::set_timer(Some(time::Ticks(0)));
            check!(matches!(ipc::receive(TIMER), Received::Notification(TIMER)));
            check_eq!(clock.next()?, clock.bit);
            clock.clear();
            Ok(())
        })],
    ),
    Case::new(
        "interrupts-of-the-dead-are-masked",
        &["IPC-INT-2", "IPC-DEATH-4"],
        &[
            Part::returns(CLIENT, |stage| {
                if stage.life == 0 {
                    return unmasks_and_waits(stage);
                }
                let clock = Clock::new()?;
                clock.raise()?;
                check_eq!(clock.next()?, TIMER);
                interrupt::unmask(clock.bit);
                check_eq!(clock.next()?, clock.bit);
                clock.clear();
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                notes(stage, 1);
                check_eq!(stage.stop(CLIENT).0, 0);
                check_eq!(stage.restart(CLIENT).0, 0);
                Ok(())
            }),
        ],
    ),
];
