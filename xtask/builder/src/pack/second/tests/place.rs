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

/// A board whose host passes bus addresses on to others: BARs have the bus's, mappings the processor's.
#[test]
fn an_aperture_that_the_processor_sees_elsewhere() {
    let text = std::fs::read_to_string(root().join("tests/systems/bypass/app.toml")).unwrap();
    let platform = std::fs::read_to_string(root().join("sys/platform/qemu-virt.toml")).unwrap();
    let mut table = "description = \"shifted\"\n".to_owned();
    let after = platform.split_once("SMMUv3\"\n").unwrap().1;
    table += &after.replace("[memory]", "[platform.memory]");
    for part in ["console", "gic", "pci", "qemu"] {
        table = table.replace(&format!("\n[{part}]"), &format!("\n[platform.{part}]"));
    }
    table = table.replace("[devices.", "[platform.devices.");
    let table = table.replace(
        "[platform.pci]",
        "[platform.pci]\nmemory-at = 0x6_1000_0000",
    );
    let text = text
        .replace("../../../", "")
        .replace("\"driver\"", "\"tests/systems/bypass/driver\"")
        .replace("platform = \"qemu-virt\"\n", "");
    let text = format!("{text}\n[platform]\n{table}");
    let report = Report::default();
    let app = read::from_text(&report, &Project::at(root()), "app.toml".as_ref(), text);
    let plan = app.and_then(|app| Plan::new(&report, app));
    let plan = plan.unwrap_or_else(|_| panic!("{}", report.text()));
    let buildable = plan.check_buildable(&report);
    assert!(buildable.is_ok(), "{}", report.text());
    let programs = made_up::programs(plan.app.tasks.len());
    let layout = Layout::new(&report, &plan, &programs);
    let layout = layout.unwrap_or_else(|_| panic!("{}", report.text()));
    let pair = (plan, layout);
    let built = verified_image(&pair).unwrap();
    let (plan, layout) = pair;
    let driven = plan.fabric.functions.iter();
    let driven = driven.filter(|function| plan.app.driver(&function.name).is_some());
    let bars = driven.flat_map(|function| function.bars.values());
    let bars: Vec<u64> = bars.map(|placed| placed.address).collect();
    let mapped = layout
        .placement()
        .tasks
        .iter()
        .flat_map(|task| &task.mappings);
    let mapped: Vec<u64> = mapped.map(|mapping| mapping.pa).collect();
    assert!(!bars.is_empty());
    for bar in bars {
        assert!((0x1000_0000..0x3eff_0000).contains(&bar), "{bar:#x}");
        assert!(
            mapped.contains(&(bar + 0x6_0000_0000)),
            "{bar:#x} in {mapped:x?}"
        );
        assert!(!mapped.contains(&bar));
    }
    // The second opinion has the processor's address from the plan as well.
    let wrong = built.plan.replace(
        "\"seen-at\": \"0x610000000\"",
        "\"seen-at\": \"0x620000000\"",
    );
    assert_ne!(wrong, built.plan);
    let findings = verify::verify(&built.image, &wrong).unwrap().findings;
    assert!(!findings.is_empty());
}
