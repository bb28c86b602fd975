//! The platform's address map.

use crate::read::app::App;
use crate::read::registers::{PlatformDevice, PlatformDeviceKind};
use crate::read::units::show_size;
use crate::read::{AddressRange, Platform, RangeKind, Reserved};
use crate::report::{Mistake, Report};

/// Checks the addresses of the platform's description. Otherwise two tasks could share what each thinks its own,
/// and a driver could have the interrupt controller for its device's registers.
pub fn check(report: &Report, app: &App) {
    let platform = &app.platform;
    reserved(report, platform);
    image(report, platform);
    reach(report, platform);
    configuration(report, platform);
    frames(report, platform);
    for name in app.tasks.iter().flat_map(|task| &task.owns) {
        let begins = |device: &&PlatformDevice| device.base.is_multiple_of(abi::layout::PAGE);
        if let Some(device) = platform.device(&name.value).filter(|d| !begins(d)) {
            report
                .error(
                    Mistake::SharedPage,
                    format!("the registers of `{}` do not begin a page", device.name),
                )
                .at(&name.span, "they are mapped in this task")
                .with(&device.span, format!("at {:#x}", device.base))
                .remedy("write the beginning of the page that they are in, a multiple of 4 KiB, in the platform's description");
        }
    }
    let ranges = platform.ranges();
    for (number, low) in ranges.iter().enumerate() {
        for high in ranges.iter().skip(number + 1) {
            overlap(report, low, high);
        }
    }
}

/// Checks bases that hardware decodes by the upper bits of an address alone, so that a base between two such places
/// is a mistake: frames of the interrupt controller and pages of an SMMU have 64 KiB, the configuration space of a
/// bus has 1 MiB. A translation service may be between frames, as that of QEMU's `sbsa-ref` is: nothing here drives it.
fn frames(report: &Report, platform: &Platform) {
    const FRAME: u64 = 64 << 10;
    const BUS: u64 = 1 << 20;
    for range in platform.ranges() {
        let its = platform.its().map(|its| its.value);
        let kind = || Some(platform.device(&range.name)?.kind);
        let unit = match range.kind {
            RangeKind::InterruptController if Some(range.base) == its => abi::layout::PAGE,
            RangeKind::InterruptController => FRAME,
            RangeKind::Registers if kind() == Some(PlatformDeviceKind::SmmuV3) => FRAME,
            RangeKind::Registers if kind() == Some(PlatformDeviceKind::PciHost) => BUS,
            _ => continue,
        };
        if !range.base.is_multiple_of(unit) {
            report
                .error(
                    Mistake::BadValue,
                    format!(
                        "`{}` does not begin at a multiple of {}",
                        range.name,
                        show_size(unit)
                    ),
                )
                .at(&range.span, format!("at {:#x}", range.base))
                .remedy("write the base that the hardware's manual or device tree has");
        }
    }
}

/// Two ranges of which the first begins no later.
fn overlap(report: &Report, low: &AddressRange, high: &AddressRange) {
    let (mistake, problem, remedy) = if low.overlaps(high.base, high.end) {
        (
            Mistake::Overlap,
            "overlap",
            "correct base or size of one of them in the platform's description",
        )
    } else if low.pages().1 > high.pages().0 {
        (
            Mistake::SharedPage,
            "share a page",
            "declare them as one device with one owner: a task that has a part of a page has all of it",
        )
    } else {
        return;
    };
    report
        .error(
            mistake,
            format!(
                "`{}` and `{}` of the platform {problem}",
                low.name, high.name
            ),
        )
        .at(&high.span, format!("`{}`", high.name))
        .with(&low.span, format!("`{}`", low.name))
        .note(format!("`{}` is {}", low.name, low.shown()))
        .note(format!("`{}` is {}", high.name, high.shown()))
        .remedy(remedy);
}

/// The image is loaded into memory, where a loader of Linux images puts one.
fn image(report: &Report, platform: &Platform) {
    let base = platform.image_base;
    let memory = (platform.memory_base, platform.memory_end());
    let (problem, remedy) = if memory.0 == memory.1 {
        return;
    } else if !(memory.0..memory.1).contains(&base) {
        ("is not in memory", "write an address of the memory")
    } else if !base.is_multiple_of(abi::layout::BLOCK) {
        (
            "is not a multiple of 2 MiB, where loaders put an image",
            "write a multiple of 2 MiB",
        )
    } else {
        return;
    };
    report
        .error(Mistake::BadValue, format!("`memory.image` {problem}"))
        .at(&platform.image_span, format!("{base:#x}"))
        .with(
            &platform.memory_span,
            format!("memory is {:#x} to {:#x}", memory.0, memory.1 - 1),
        )
        .remedy(remedy);
}

/// Reports what lies beyond the addresses that the platform has bits for.
fn reach(report: &Report, platform: &Platform) {
    let end = 1u64 << platform.address_bits.min(63);
    let ranges = platform.ranges();
    for range in ranges.iter().filter(|range| range.end > end) {
        report
            .error(
                Mistake::BadValue,
                format!(
                    "`{}` has addresses that the platform does not have",
                    range.name
                ),
            )
            .at(&range.span, range.shown())
            .with(
                &platform.span,
                format!("`address-bits` is {}", platform.address_bits),
            )
            .remedy("correct base or size, or `address-bits`");
    }
}

/// Configuration space of all buses, 1 MiB each (PCI Express Base Specification, 7.2.2).
fn configuration(report: &Report, platform: &Platform) {
    let Some(host) = platform.device_of_kind(PlatformDeviceKind::PciHost) else {
        return;
    };
    let Some(buses) = &platform.pci.declared_buses else {
        return;
    };
    let needed = u64::from(buses.value) << 20;
    if host.len < needed {
        report
            .error(
                Mistake::BadValue,
                format!("`{}` has no room for {} buses", host.name, buses.value),
            )
            .at(&buses.span, format!("take {}", show_size(needed)))
            .with(&host.span, format!("has {}", show_size(host.len)))
            .remedy("declare as many `buses` as there is configuration space for, 1 MiB each");
    }
}

/// Reserved memory is memory of the platform, each part once, and the image is not loaded into it.
fn reserved(report: &Report, platform: &Platform) {
    let shown = |part: &Reserved| format!("{:#x} to {:#x}", part.base, last(part));
    let overlap = |a: &Reserved, b: &Reserved| a.base <= last(b) && b.base <= last(a);
    for (number, part) in platform.reserved.iter().enumerate() {
        let name = &part.name.value;
        if part.len == 0 || part.base < platform.memory_base || last(part) >= platform.memory_end()
        {
            report
                .error(
                    Mistake::BadValue,
                    format!("the reserved range `{name}` is not a part of the platform's memory"),
                )
                .at(&part.name.span, shown(part))
                .note(format!(
                    "memory is {:#x} to {:#x}",
                    platform.memory_base,
                    platform.memory_end().saturating_sub(1)
                ))
                .remedy("correct its base or size; only memory has to be reserved");
            continue;
        }
        let mut before = platform.reserved.iter().take(number);
        if let Some(other) = before.find(|other| overlap(other, part)) {
            report
                .error(
                    Mistake::Overlap,
                    format!(
                        "the reserved ranges `{}` and `{name}` overlap",
                        other.name.value
                    ),
                )
                .at(&part.name.span, shown(part))
                .with(&other.name.span, shown(other))
                .remedy("correct base or size of one of them, or declare them as one");
        }
        if (part.base..=last(part)).contains(&platform.image_base) {
            report
                .error(
                    Mistake::Overlap,
                    format!("the image is loaded into the reserved range `{name}`"),
                )
                .at(&part.name.span, shown(part))
                .note(format!("`memory.image` is {:#x}", platform.image_base))
                .remedy("load the image elsewhere (`memory.image` of the platform)");
        }
    }
}

/// The last address of a range that is not empty.
fn last(part: &Reserved) -> u64 {
    part.base.saturating_add(part.len.saturating_sub(1))
}
