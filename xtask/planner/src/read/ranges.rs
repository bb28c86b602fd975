//! The board's address map: who answers at which physical address.

use super::{GIC_FRAME, Platform, PlatformDevice, PlatformDeviceKind};
use crate::report::{Span, Spanned};

/// The kind of hardware in a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeKind {
    /// The memory that the image and its tasks live in.
    Memory,
    /// Memory of somebody else, which devices may need.
    OtherMemory,
    /// Registers that a task can own.
    Registers,
    /// Registers of the interrupt controller.
    InterruptController,
    /// The registers that messages of interrupts are written to.
    Doorbell,
    /// Registers of PCI functions.
    Aperture,
}

impl RangeKind {
    /// Whether the range is memory of the machine.
    pub fn is_memory(self) -> bool {
        matches!(self, Self::Memory | Self::OtherMemory)
    }
}

/// A range of addresses, and where it was declared.
#[derive(Clone, Debug)]
pub struct AddressRange {
    /// The owner of the range, for a diagnostic.
    pub name: String,
    /// The kind of hardware in the range.
    pub kind: RangeKind,
    /// Physical address of the first byte.
    pub base: u64,
    /// One above the last address.
    pub end: u64,
    /// The place of the range in the file.
    pub span: Span,
}

impl AddressRange {
    fn new(name: &str, kind: RangeKind, (base, len): (u64, u64), span: &Span) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            base,
            end: base.saturating_add(len),
            span: span.clone(),
        }
    }

    /// Whether the range has a byte in common with `base..end`.
    pub fn overlaps(&self, base: u64, end: u64) -> bool {
        self.base < end && base < self.end
    }

    /// The pages that mapping it maps.
    pub fn pages(&self) -> (u64, u64) {
        let page = abi::layout::PAGE;
        let end = self.end.checked_next_multiple_of(page);
        (self.base - self.base % page, end.unwrap_or(u64::MAX))
    }

    /// First and last address, for a person.
    pub fn shown(&self) -> String {
        format!("{:#x} to {:#x}", self.base, self.end.saturating_sub(1))
    }
}

impl Platform {
    /// Everything that the description gives an address, in the order of the addresses.
    pub fn ranges(&self) -> Vec<AddressRange> {
        let memory = (self.memory_base, self.memory_len);
        let memory = AddressRange::new("RAM", RangeKind::Memory, memory, &self.memory_span);
        let mut ranges = vec![memory];
        for other in &self.other_memory {
            let at = (other.base, other.len);
            let (name, span) = (&other.name.value, &other.name.span);
            ranges.push(AddressRange::new(name, RangeKind::OtherMemory, at, span));
        }
        let is_other = |device: &&PlatformDevice| device.kind != PlatformDeviceKind::Its;
        for device in self.devices.iter().filter(is_other) {
            let at = (device.base, device.len);
            let range = AddressRange::new(&device.name, RangeKind::Registers, at, &device.span);
            ranges.push(range);
        }
        if let Some(gic) = &self.gic {
            let mut add = |name, kind, base: &Spanned<u64>, offset: u64, len| {
                let at = (base.value.saturating_add(offset), len);
                ranges.push(AddressRange::new(name, kind, at, &base.span));
            };
            let kind = RangeKind::InterruptController;
            add("gic distributor", kind, &gic.distributor, 0, GIC_FRAME);
            let len = gic.redistributor_len;
            add("gic redistributor", kind, &gic.redistributor, 0, len);
            if let Some(its) = &gic.its {
                add("gic its", kind, its, 0, GIC_FRAME);
                let doorbell = RangeKind::Doorbell;
                add("interrupt doorbell", doorbell, its, GIC_FRAME, GIC_FRAME);
            }
        }
        for aperture in self.pci.apertures() {
            // Registers are compared with what the processor sees; devices see the aperture where it starts.
            let at = (aperture.seen_at, aperture.end - aperture.start);
            let range = AddressRange::new(aperture.name, RangeKind::Aperture, at, &aperture.span);
            ranges.push(range);
        }
        ranges.retain(|range| range.base < range.end);
        ranges.sort_by(|a, b| (a.base, &a.name).cmp(&(b.base, &b.name)));
        ranges
    }
}
