//! FADT: how firmware is called (ACPI 6.5, 5.2.9); its signature is `FACP`.

use super::bytes::Bytes;
use super::finding::{FIRMWARE, Findings};

/// What the FADT says of an Arm machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fadt {
    /// Minor revision of the table.
    pub minor_revision: u8,
    /// The machine has no fixed hardware, as no Arm machine has.
    pub hardware_reduced: bool,
    /// The machine saves as much power when idle as when asleep.
    pub low_power_idle: bool,
    /// Flags about how an Arm machine is booted.
    pub arm_boot_flags: u16,
}

/// A way to call firmware (Arm DEN 0022).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conduit {
    /// The `SMC` instruction.
    Smc,
    /// The `HVC` instruction.
    Hvc,
}

impl Fadt {
    /// How PSCI is called, if firmware has it.
    #[must_use]
    pub fn psci(&self) -> Option<Conduit> {
        match (self.arm_boot_flags & 1 != 0, self.arm_boot_flags & 2 != 0) {
            (false, _) => None,
            (true, false) => Some(Conduit::Smc),
            (true, true) => Some(Conduit::Hvc),
        }
    }
}

pub(super) fn read(table: Bytes<'_>, findings: &mut Findings<'_>) -> Option<Fadt> {
    let read = || {
        let flags = table.u32(112)?;
        Some(Fadt {
            arm_boot_flags: table.u16(129)?,
            minor_revision: table.u8(131)?,
            hardware_reduced: flags & 1 << 20 != 0,
            low_power_idle: flags & 1 << 21 != 0,
        })
    };
    let found = read();
    if found.is_none() {
        findings.warning(
            129,
            format!(
                "the table has {} bytes, and the flags for Arm end at 132: it is older than ACPI 5.1",
                table.len()
            ),
            FIRMWARE,
        );
    }
    found
}
