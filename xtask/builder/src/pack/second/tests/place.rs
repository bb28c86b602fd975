//! Images at other physical addresses.

use super::*;

/// The suite's image, with memory that begins at `base`.
fn at(base: u64) -> Result<Built, String> {
    let report = Report::default();
    let app = read::load(&report, &Project::at(root()), &root().join(SUITE));
    let mut app = app.unwrap_or_else(|_| panic!("{}", report.text()));
    let platform = &mut app.platform;
    platform.address_bits = 48;
    let moved = |address: u64| address - platform.memory_base + base;
    for region in app.devices.iter_mut().flat_map(|device| &mut device.direct) {
        region.base = moved(region.base);
    }
    platform.image_base = moved(platform.image_base);
    platform.memory_base = base;
    let plan = Plan::new(&report, app).map_err(|_| report.text())?;
    let programs = made_up::programs(plan.app.tasks.len());
    let layout = Layout::new(&report, &plan, &programs);
    let layout = layout.map_err(|_| report.text())?;
    verified_image(&(plan, layout)).map_err(|failure| format!("{failure:?}"))
}

#[test]
fn memory_may_be_anywhere() {
    // Lower and upper halves of windows, and what lies beyond the addresses of a task; not where `virt` has PCI.
    for base in [2 << 30, 129 << 31, 1 << 40, 5 << 38, 7 << 44] {
        let built = at(base).unwrap_or_else(|error| panic!("{base:#x}: {error}"));
        assert_eq!(built.base(), base + (2 << 20));
        let first = built.leaf("the first instructions", |leaf| {
            leaf.input >> 21 == built.base() >> 21
        });
        assert_eq!(first.output, first.input);
        let shown = built.leaf("kernel", |leaf| leaf.input >= 0xffff_ffc0_0000_0000);
        assert_eq!(shown.input, 0xffff_ffc0_0000_0000 | shown.output);
        assert_eq!(shown.output >> 30, base >> 30);
    }
}

#[test]
fn memory_in_two_windows_is_refused() {
    let why = at((1 << 40) - (8 << 20)).err().unwrap();
    found(&why, "P0054");
    found(&why, "ends one page before 0x10000000000");
}
