//! The platform's address map.

use crate::read::app::App;
use crate::read::{Platform, Reserved};
use crate::report::{Mistake, Report, Span};

/// Platform memory and registers must not overlap: two tasks would share what each thinks its own.
pub fn check(report: &Report, app: &App) {
    reserved(report, &app.platform);
    let platform = &app.platform;
    let page = abi::layout::PAGE;
    let mut ranges: Vec<(String, u64, u64, Option<&Span>)> = platform
        .devices
        .iter()
        .map(|device| {
            let len = device
                .len
                .checked_next_multiple_of(page)
                .unwrap_or(device.len);
            let end = device.base.saturating_add(len);
            (device.name.clone(), device.base, end, Some(&device.span))
        })
        .collect();
    let memory = (platform.memory_base, platform.memory_end());
    ranges.push(("RAM".to_owned(), memory.0, memory.1, None));
    for (name, [start, end]) in [
        ("32-bit PCI aperture", platform.pci.memory),
        ("64-bit PCI aperture", platform.pci.prefetch),
    ] {
        ranges.push((name.to_owned(), start, end, None));
    }
    ranges.retain(|range| range.1 < range.2);
    ranges.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    for pair in ranges.windows(2) {
        if let [low, high] = pair
            && high.1 < low.2
        {
            let mut draft = report.error(
                Mistake::Overlap,
                format!("`{}` and `{}` of the platform overlap", low.0, high.0),
            );
            for (index, (name, _, _, span)) in [high, low].into_iter().enumerate() {
                if let Some(span) = span {
                    let text = format!("`{name}`");
                    draft = if index == 0 || high.3.is_none() {
                        draft.at(span, text)
                    } else {
                        draft.with(span, text)
                    };
                }
            }
            draft
                .note(format!("`{}` is {:#x} to {:#x}", low.0, low.1, low.2 - 1))
                .note(format!(
                    "`{}` is {:#x} to {:#x}",
                    high.0,
                    high.1,
                    high.2 - 1
                ))
                .remedy("correct base or size of one of them in the platform's description");
        }
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
                .remedy("correct its base or size; what is not memory needs no reserving");
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
