//! The lines that this task logs for people: one for each device found and for each difference.

use crate::{Address, Difference, Found, Observer, Request};
use pci_api::{BootStatus, Error, Mismatch};
use plan::pci::FunctionEntry;
use userlib::defmt::{self, Format, Formatter};

/// Logs what the enumeration meets.
pub struct Log;

struct Position(Address);

impl Format for Position {
    fn format(&self, f: Formatter<'_>) {
        let (bus, slot, function) = (self.0.bus(), self.0.slot(), self.0.function());
        defmt::write!(f, "{=u8:02x}:{=u8:02x}.{=u8}", bus, slot, function);
    }
}

/// Vendor id in bits 31:16, device id below.
struct Ids(u64);

impl Format for Ids {
    fn format(&self, f: Formatter<'_>) {
        let (vendor, device) = ((self.0 >> 16) as u16, self.0 as u16);
        defmt::write!(f, "{=u16:04x}:{=u16:04x}", vendor, device);
    }
}

/// The memory BARs that the function has, with address and size.
struct Bars<'a>(&'a FunctionEntry);

impl Format for Bars<'_> {
    fn format(&self, f: Formatter<'_>) {
        let bars = self.0.bar_len.iter().zip(&self.0.bar_address);
        for (index, (len, address)) in bars.enumerate().filter(|(_, (len, _))| **len != 0) {
            defmt::write!(f, ", BAR{=usize} {=u64:#x}+{=u64:#x}", index, address, len);
        }
    }
}

/// The remedy for a difference, at the end of a line.
struct Remedy(Mismatch);

impl Format for Remedy {
    fn format(&self, f: Formatter<'_>) {
        if let Some(remedy) = self.0.remedy() {
            defmt::write!(f, " ({=str})", remedy);
        }
    }
}

impl Observer for Log {
    fn found(&mut self, found: &Found<'_>) {
        defmt::info!(
            "{} {=str} {}{}",
            Position(Address(found.entry.rid)),
            found.entry.name.as_str(),
            Ids(u64::from(found.vendor_id) << 16 | u64::from(found.device_id)),
            Bars(found.entry)
        );
    }

    fn differs(&mut self, difference: &Difference<'_>) {
        let place = Position(difference.address);
        let what = difference.mismatch.name();
        let name = difference.entry.map_or("", |entry| entry.name.as_str());
        let remedy = Remedy(difference.mismatch);
        let (planned, found) = (difference.planned, difference.found);
        match (difference.mismatch, difference.bar) {
            (Mismatch::Undeclared, _) => {
                defmt::error!(
                    "{} {=str} {}: stays blocked{}",
                    place,
                    what,
                    Ids(found),
                    remedy
                );
            }
            (Mismatch::Missing, _) => {
                defmt::error!(
                    "{} {=str}: {=str}, planned {}{}",
                    place,
                    name,
                    what,
                    Ids(planned),
                    remedy
                );
            }
            (Mismatch::Identity, _) => defmt::error!(
                "{} {=str}: {=str}: planned {}, found {}{}",
                place,
                name,
                what,
                Ids(planned),
                Ids(found),
                remedy
            ),
            (_, Some(bar)) => defmt::error!(
                "{} {=str}: {=str} (BAR{=usize}): planned {=u64:#x}, found {=u64:#x}{}",
                place,
                name,
                what,
                bar,
                planned,
                found,
                remedy
            ),
            _ if planned != found => defmt::error!(
                "{} {=str}: {=str}: planned {=u64:#x}, found {=u64:#x}{}",
                place,
                name,
                what,
                planned,
                found,
                remedy
            ),
            _ => defmt::error!("{} {=str}: {=str}{}", place, name, what, remedy),
        }
    }
}

/// The line that ends the enumeration; `going_on` functions are bus masters since an earlier life.
pub fn summary(status: &BootStatus, planned: usize, going_on: usize) {
    if status.mismatches == 0 && going_on == 0 {
        defmt::info!(
            "{=u32} of {=usize} planned functions ready, bus mastering off on all",
            status.ready,
            planned
        );
    } else if status.mismatches == 0 {
        defmt::info!(
            "{=u32} of {=usize} planned functions ready, {=usize} go on",
            status.ready,
            planned,
            going_on
        );
    } else {
        defmt::error!(
            "differences: {=u32} ({=u32} undeclared); {=u32} of {=usize} functions ready{=str}",
            status.mismatches,
            status.undeclared,
            status.ready,
            planned,
            if status.refused {
                "; no device will be started"
            } else {
                ""
            }
        );
    }
}

/// A message that was refused.
pub fn refused(request: &Request<'_>, error: Error) {
    defmt::debug!(
        "task {=usize}, operation {=u16}: {=str}",
        request.sender,
        request.operation,
        error.name()
    );
}
