//! What this task tells people: a line for each device found and for each difference.

use pci::{Address, Difference, Found, Observer, Request};
use pci_api::{BootStatus, Error};
use plan::pci::FunctionEntry;
use userlib::defmt::{self, Format, Formatter};

/// Logs what the enumeration meets.
pub struct Log;

struct Place(Address);

impl Format for Place {
    fn format(&self, f: Formatter<'_>) {
        let (bus, slot, function) = (self.0.bus(), self.0.slot(), self.0.function());
        defmt::write!(f, "{=u8:02x}:{=u8:02x}.{=u8}", bus, slot, function);
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

impl Observer for Log {
    fn found(&mut self, found: &Found<'_>) {
        defmt::info!(
            "{} {=str} {=u16:04x}:{=u16:04x}{}",
            Place(Address(found.entry.rid)),
            found.entry.name.as_str(),
            found.vendor_id,
            found.device_id,
            Bars(found.entry)
        );
    }

    fn differs(&mut self, difference: &Difference<'_>) {
        let place = Place(difference.address);
        let what = difference.mismatch.name();
        let (planned, found) = (difference.planned, difference.found);
        match (difference.entry, difference.bar) {
            (Some(entry), Some(bar)) => defmt::error!(
                "{} {=str}: {=str} (BAR{=usize}): planned {=u64:#x}, found {=u64:#x}",
                place,
                entry.name.as_str(),
                what,
                bar,
                planned,
                found
            ),
            (Some(entry), None) if planned != found => defmt::error!(
                "{} {=str}: {=str}: planned {=u64:#x}, found {=u64:#x}",
                place,
                entry.name.as_str(),
                what,
                planned,
                found
            ),
            (Some(entry), None) => {
                defmt::error!("{} {=str}: {=str}", place, entry.name.as_str(), what);
            }
            (None, _) => defmt::error!("{} {=str} {=u64:08x}: stays blocked", place, what, found),
        }
    }
}

/// The line that ends the enumeration.
pub fn summary(status: &BootStatus, planned: usize) {
    if status.mismatches == 0 {
        defmt::info!(
            "{=u32} of {=usize} planned functions ready, bus mastering off on all",
            status.ready,
            planned
        );
    } else {
        defmt::error!(
            "{=u32} differences ({=u32} undeclared), {=u32} of {=usize} functions ready{=str}",
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
