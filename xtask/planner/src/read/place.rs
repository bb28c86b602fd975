//! The place of a device: a slot, a virtual function, or not on PCI.

use super::fields::Fields;
use super::pci::read_slot;
use crate::report::{Mistake, Spanned};

/// The place of a device.
#[derive(Clone, Debug)]
pub enum Place {
    /// The device is on a bus.
    Slot {
        /// Bridge or root bus; the first root bus without one.
        at: Option<Spanned<String>>,
        /// Device and function number on the bridge's bus.
        slot: (u8, u8),
    },
    /// A virtual function.
    Virtual {
        /// The physical function, by name.
        of: Spanned<String>,
        /// The virtual function's requester id less that of the physical function.
        offset: u16,
    },
    /// The device is not on PCI.
    Platform {
        /// The SMMU; the platform's first without one.
        smmu: Option<Spanned<String>>,
        /// The StreamIDs.
        streams: Vec<u32>,
        /// The platform's registers that are its own.
        registers: Option<Spanned<String>>,
    },
}

/// `at` and `slot`, `virtual = { of, offset }` or `streams`.
pub fn read(fields: &Fields<'_>) -> Option<Place> {
    let at = fields.string("at");
    let slot = read_slot(fields, "slot");
    let bad_slot = slot.is_none() && fields.contains("slot");
    let smmu = fields.string("smmu");
    let registers = fields.string("registers");
    let streams = fields.numbers("streams");
    let physical = fields.table("virtual");
    let ways = [
        at.is_some() || slot.is_some(),
        fields.contains("virtual"),
        fields.contains("streams"),
    ];
    if ways.iter().filter(|way| **way).count() > 1 {
        fields
            .report()
            .error(Mistake::Place, "the device is in two places")
            .at(
                fields.span(),
                "has several of `at`/`slot`, `virtual` and `streams`",
            )
            .remedy("keep the one that says where the device is");
        return None;
    }
    if let Some(physical) = physical {
        return read_virtual(physical);
    }
    if let Some(list) = &streams {
        check_repeated(fields, list);
    }
    if fields.contains("streams") {
        return Some(Place::Platform {
            smmu,
            streams: streams?.value,
            registers,
        });
    }
    check_no_platform(fields, smmu, registers);
    if bad_slot || fields.contains("virtual") {
        return None;
    }
    Some(Place::Slot {
        at,
        slot: slot.map_or((0, 0), |slot| slot.value),
    })
}

fn read_virtual(physical: Fields<'_>) -> Option<Place> {
    let of = physical.required("of", Fields::string);
    let offset = physical.required("offset", Fields::word);
    let report = physical.report();
    physical.finish();
    let offset = offset?;
    let Some(distance) = u16::try_from(offset.value).ok().filter(|d| *d > 0) else {
        report
            .error(
                Mistake::BadValue,
                "a virtual function has a requester id of its own",
            )
            .at(&offset.span, "expected 1 to 65535");
        return None;
    };
    Some(Place::Virtual {
        of: of?,
        offset: distance,
    })
}

fn check_repeated(fields: &Fields<'_>, list: &Spanned<Vec<u32>>) {
    if let Some(twice) = repeated(&list.value) {
        fields
            .report()
            .error(
                Mistake::BadValue,
                format!("StreamID {twice:#x} is there twice"),
            )
            .at(&list.span, "expected each StreamID of the device once")
            .remedy("remove one, or write the one that was meant");
    }
}

/// Checks that a device on PCI has no keys that are for platform devices only.
fn check_no_platform(
    fields: &Fields<'_>,
    smmu: Option<Spanned<String>>,
    registers: Option<Spanned<String>>,
) {
    if let Some(smmu) = smmu {
        fields
            .report()
            .error(Mistake::Place, "`smmu` is only for platform devices")
            .at(&smmu.span, "a PCI device's SMMU follows from its root bus")
            .remedy("remove `smmu`, or declare `streams`");
    }
    if let Some(registers) = registers {
        fields
            .report()
            .error(Mistake::Place, "`registers` is only for platform devices")
            .at(&registers.span, "a PCI device's registers are its BARs")
            .remedy("remove `registers`, or declare `streams`");
    }
}

/// The first number that is in the list a second time.
fn repeated(list: &[u32]) -> Option<u32> {
    let mut seen = std::collections::BTreeSet::new();
    list.iter().copied().find(|number| !seen.insert(*number))
}
