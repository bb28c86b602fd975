//! Bus addresses that no window may cover.

use solver::model::{Region, Source};

use crate::read::App;

/// Bytes of the page that messages of interrupts are written to.
const DOORBELL: u64 = 64 << 10;

pub fn regions(app: &App) -> Vec<Region> {
    let platform = &app.platform;
    let [memory, memory_end] = platform.pci.memory;
    let [prefetch, prefetch_end] = platform.pci.prefetch;
    let doorbell = match platform.gic_its {
        0 => 0,
        its => its.saturating_add(DOORBELL),
    };
    [
        (
            "32-bit PCI aperture",
            memory,
            memory_end.saturating_sub(memory),
        ),
        (
            "64-bit PCI aperture",
            prefetch,
            prefetch_end.saturating_sub(prefetch),
        ),
        ("interrupt doorbell", doorbell, DOORBELL.min(doorbell)),
    ]
    .into_iter()
    .filter(|(_, _, len)| *len > 0)
    .map(|(name, base, len)| Region {
        name: name.to_owned(),
        source: Source::default(),
        base,
        len,
    })
    .collect()
}
