//! Registers that a task can own, and their interrupts.

use std::ops::RangeInclusive;

use super::fields::Fields;
use crate::report::{Mistake, Span, Spanned};

/// INTIDs that the kernel routes.
pub const SHARED: RangeInclusive<u32> = plan::limits::SHARED_INTERRUPTS;

/// Registers that a task can own.
#[derive(Clone, Debug)]
pub struct PlatformDevice {
    /// The name by which a task owns the device.
    pub name: String,
    /// The place where the platform device was declared.
    pub span: Span,
    /// Physical address of the first byte.
    pub base: u64,
    /// Bytes.
    pub len: u64,
    /// The kind of the device.
    pub kind: PlatformDeviceKind,
    /// The device's interrupt lines.
    pub interrupts: Vec<Interrupt>,
    /// StreamID bits of an SMMU, where they are known.
    pub stream_bits: Option<u32>,
}

/// The kind of a device of the platform.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlatformDeviceKind {
    /// A device that has nothing but registers and interrupts.
    Registers,
    /// An SMMU of the architecture SMMUv3.
    SmmuV3,
    /// The interrupt translation service of the interrupt controller.
    Its,
    /// A PCI host with its configuration space.
    PciHost,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Interrupt {
    /// The notification of its owner.
    pub name: String,
    /// The interrupt's number at the interrupt controller.
    pub intid: u32,
    /// The interrupt is edge-triggered.
    pub edge: bool,
}

/// The note for an INTID that is not the number of a shared interrupt.
pub const SHARED_INTERRUPTS: &str = "the kernel routes INTIDs 32 to 1019, shared interrupts; interrupt n of a device tree's `<0 n ...>` is INTID 32 + n";
/// Bits that a StreamID can have (IHI 0070, `SMMU_IDR1.SIDSIZE`); an SMMU with none has one device.
const STREAM_BITS: RangeInclusive<u32> = 1..=32;
pub fn read(name: Spanned<String>, fields: Fields<'_>) -> Option<PlatformDevice> {
    let base = fields.required("base", Fields::integer);
    let size = fields.required("size", registers_size);
    let kind = fields.choice(
        "kind",
        &[
            ("smmu-v3", PlatformDeviceKind::SmmuV3),
            ("pci-host", PlatformDeviceKind::PciHost),
        ],
    );
    let stream_bits = read_stream_bits(&fields);
    let interrupts = fields
        .tables("interrupts")
        .into_iter()
        .filter_map(|(name, fields)| {
            let intid = fields.required("intid", read_intid);
            let edge = fields.boolean("edge");
            fields.finish();
            Some(Interrupt {
                name: name.value,
                intid: intid?.value,
                edge: edge.is_some_and(|edge| edge.value),
            })
        })
        .collect();
    fields.finish();
    Some(PlatformDevice {
        name: name.value,
        span: name.span,
        base: base?.value,
        len: size?.value,
        kind: kind.map_or(PlatformDeviceKind::Registers, |kind| kind.value),
        interrupts,
        stream_bits,
    })
}

/// Bytes of a block of registers.
fn registers_size(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<u64>> {
    let size = fields.size(key)?;
    if size.value == 0 {
        let draft = fields.report().error(
            Mistake::BadValue,
            "a block of registers must have at least one byte",
        );
        draft.at(&size.span, "nothing could be mapped");
        return None;
    }
    Some(size)
}

fn read_intid(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<u32>> {
    let intid = fields.word(key)?;
    if !SHARED.contains(&intid.value) {
        fields
            .report()
            .error(
                Mistake::InterruptNumber,
                format!(
                    "INTID {} is not the number of a shared interrupt",
                    intid.value
                ),
            )
            .at(&intid.span, "a device's interrupt is expected")
            .note(SHARED_INTERRUPTS);
        return None;
    }
    Some(intid)
}

/// The `stream-bits` key; `None` if nobody says.
fn read_stream_bits(fields: &Fields<'_>) -> Option<u32> {
    let bits = fields.word("stream-bits")?;
    if !STREAM_BITS.contains(&bits.value) {
        fields
            .report()
            .error(Mistake::BadValue, "a StreamID has 1 to 32 bits")
            .at(&bits.span, "expected what the SMMU's `IDR1.SIDSIZE` says")
            .remedy("leave `stream-bits` out if nobody knows; the file can be planned then");
        return None;
    }
    Some(bits.value)
}
