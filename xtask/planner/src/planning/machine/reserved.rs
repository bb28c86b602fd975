//! Bus addresses that no window may cover.

use solver::model::{Region, Source};

use crate::read::{App, GIC_FRAME};

pub fn regions(app: &App) -> Vec<Region> {
    let platform = &app.platform;
    let apertures = platform.pci.apertures();
    let apertures = apertures.map(|range| (range.name, range.start, range.end - range.start));
    let doorbell = platform.its().map(|its| {
        (
            "interrupt doorbell",
            its.value.saturating_add(GIC_FRAME),
            GIC_FRAME,
        )
    });
    let further = platform.pci.keep_clear.iter();
    let further = further.map(|part| (part.name.value.as_str(), part.base, part.len));
    apertures
        .chain(further)
        .chain(doorbell)
        .map(|(name, base, len)| Region {
            name: name.to_owned(),
            source: Source::default(),
            base,
            len,
        })
        .collect()
}
