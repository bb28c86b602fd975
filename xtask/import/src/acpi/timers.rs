//! GTDT: the interrupts of the generic timer (ACPI 6.5, 5.2.25).

use super::bytes::Bytes;
use super::finding::{FIRMWARE, Findings};

/// The generic timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// Interrupt of the secure EL1 timer.
    pub secure_el1: Timer,
    /// Interrupt of the non-secure EL1 timer.
    pub nonsecure_el1: Timer,
    /// Interrupt of the virtual timer.
    pub virtual_el1: Timer,
    /// Interrupt of the EL2 timer.
    pub el2: Timer,
    /// How many timers of the platform are described.
    pub platform_timers: u32,
    /// Interrupt of the virtual EL2 timer, 0 for none. Tables before revision 3 do not tell.
    pub virtual_el2: Option<u32>,
}

/// A timer's interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timer {
    /// Its number.
    pub gsiv: u32,
    /// It is an edge.
    pub edge: bool,
    /// Low means active.
    pub active_low: bool,
    /// The timer keeps counting in low-power states.
    pub always_on: bool,
}

pub(super) fn read(table: Bytes<'_>, revision: u8, findings: &mut Findings<'_>) -> Option<Timers> {
    let timer = |at: usize| {
        let flags = table.u32(at + 4)?;
        Some(Timer {
            gsiv: table.u32(at)?,
            edge: flags & 1 != 0,
            active_low: flags & 2 != 0,
            always_on: flags & 4 != 0,
        })
    };
    let all = || {
        Some(Timers {
            secure_el1: timer(48)?,
            nonsecure_el1: timer(56)?,
            virtual_el1: timer(64)?,
            el2: timer(72)?,
            // ACPI 5.0 ended before these.
            platform_timers: table.u32(88).unwrap_or(0),
            virtual_el2: table.u32(96).filter(|_| revision >= 3),
        })
    };
    let found = all();
    if found.is_none() {
        findings.error(
            48,
            format!("the table has {} bytes, and 80 are needed", table.len()),
            FIRMWARE,
        );
    }
    found
}
