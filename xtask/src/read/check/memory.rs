//! The platform's address map.

use crate::read::app::App;
use crate::report::{Mistake, Report, Span};

/// Platform memory and registers must not overlap: two tasks would share what each thinks its own.
pub fn check(report: &Report, app: &App) {
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
