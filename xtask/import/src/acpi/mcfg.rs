//! MCFG: where the configuration spaces of PCI segments are (PCI Firmware Specification 3.3, 4.1.2).

use super::bytes::Bytes;
use super::finding::{FIRMWARE, Findings};

/// Configuration space of some buses of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ecam {
    /// PCI segment.
    pub segment: u16,
    /// Address of bus 0, whether or not this entry has it.
    pub base: u64,
    /// First bus that it reaches.
    pub bus_first: u8,
    /// Last bus that it reaches.
    pub bus_last: u8,
}

/// Bytes of a bus.
const BUS: u64 = 1 << 20;
/// Offset of the first entry, and bytes of each.
const ENTRIES: usize = 44;
const ENTRY: usize = 16;

impl Ecam {
    /// Address of the first bus that it reaches.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.base.wrapping_add(u64::from(self.bus_first) * BUS)
    }

    /// Bytes from there.
    #[must_use]
    pub fn size(&self) -> u64 {
        (u64::from(self.bus_last).saturating_sub(u64::from(self.bus_first)) + 1) * BUS
    }
}

pub(super) fn read(table: Bytes<'_>, findings: &mut Findings<'_>) -> Vec<Ecam> {
    let mut found: Vec<Ecam> = Vec::new();
    let mut at = ENTRIES;
    while at < table.len() {
        let Some(entry) = table.part(at, ENTRY) else {
            findings.error(
                at,
                format!(
                    "an entry has {ENTRY} bytes, and the table has {} more",
                    table.len() - at
                ),
                FIRMWARE,
            );
            break;
        };
        if let Some(ecam) = one(entry) {
            check(&ecam, at, &found, findings);
            found.push(ecam);
        }
        at += ENTRY;
    }
    found
}

fn one(entry: Bytes<'_>) -> Option<Ecam> {
    Some(Ecam {
        base: entry.u64(0)?,
        segment: entry.u16(8)?,
        bus_first: entry.u8(10)?,
        bus_last: entry.u8(11)?,
    })
}

fn check(ecam: &Ecam, at: usize, before: &[Ecam], findings: &mut Findings<'_>) {
    let Ecam {
        segment,
        base,
        bus_first,
        bus_last,
    } = *ecam;
    if bus_last < bus_first {
        findings.error(
            at,
            format!("the entry of segment {segment} begins at bus {bus_first} and ends at bus {bus_last}"),
            FIRMWARE,
        );
        return;
    }
    let end = base.checked_add(u64::from(bus_last) * BUS + (BUS - 1));
    if base % BUS != 0 || end.is_none() {
        findings.error(
            at,
            format!("configuration space at {base:#x}, buses {bus_first} to {bus_last}, is no place for whole buses of 1 MiB"),
            FIRMWARE,
        );
    }
    let clash = before.iter().find(|other| {
        other.segment == segment && other.bus_first <= bus_last && bus_first <= other.bus_last
    });
    if let Some(other) = clash {
        findings.error(
            at,
            format!(
                "buses {bus_first} to {bus_last} of segment {segment} are here at {base:#x}, and buses {} to {} of it at {:#x} in an entry before",
                other.bus_first, other.bus_last, other.base
            ),
            FIRMWARE,
        );
    }
}
