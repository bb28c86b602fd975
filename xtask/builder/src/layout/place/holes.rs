//! Memory in the image's reach that is not the image's to use.

use abi::layout::PAGE;

use super::Extent;
use planner::planning::{Plan, direct_in_ram};
use planner::report::{Mistake, Report, Reported, Span};

/// What devices reach at any time, and what is reserved. The file itself
/// is loaded in one piece, so none may lie in it.
pub fn find(report: &Report, plan: &Plan, file: Extent) -> Result<Vec<Extent>, Reported> {
    let gate = report.gate();
    let mut holes = Vec::new();
    let shown = |hole: Extent| format!("{:#x} to {:#x}", hole.pa, hole.end() - 1);
    let refuse = |hole: Extent, what: String, name: &Span| {
        report
            .error(
                Mistake::Overlap,
                format!("{what} lies where the image is loaded"),
            )
            .at(name, shown(hole))
            .note(format!("the image's file is {}", shown(file)))
    };
    for (device, region) in direct_in_ram(&plan.app) {
        let hole = whole_pages(region.base, region.len);
        holes.push(hole);
        if hole.overlaps(file) {
            let (region, device) = (&region.name, &device.name);
            let what = format!("the direct region `{}` of `{}`", region.value, device.value);
            refuse(hole, what, &region.span)
                .with(&device.span, "would reach the kernel and page tables")
                .remedy(
                    "move the region, or load the image elsewhere (`memory.image` of the platform)",
                );
        }
    }
    for reserved in &plan.app.platform.reserved {
        let hole = whole_pages(reserved.base, reserved.len);
        holes.push(hole);
        if hole.overlaps(file) {
            let what = format!("the reserved range `{}`", reserved.name.value);
            refuse(hole, what, &reserved.name.span)
                .remedy("load the image elsewhere (`memory.image` of the platform)");
        }
    }
    gate.pass(holes)
}

fn whole_pages(base: u64, len: u64) -> Extent {
    let pa = base - base % PAGE;
    Extent {
        pa,
        len: base.saturating_add(len).next_multiple_of(PAGE) - pa,
    }
}

/// The rest of an extent without some holes, from the bottom up.
pub fn without(all: Extent, mut holes: Vec<Extent>) -> Vec<Extent> {
    holes.sort_by_key(|hole| hole.pa);
    let mut left = Vec::new();
    let mut at = all.pa;
    for hole in holes {
        let end = hole.pa.min(all.end());
        if at < end {
            left.push(Extent {
                pa: at,
                len: end - at,
            });
        }
        at = at.max(hole.end());
    }
    if at < all.end() {
        left.push(Extent {
            pa: at,
            len: all.end() - at,
        });
    }
    left
}

#[cfg(test)]
mod tests {
    use super::super::allocator::Allocator;
    use super::super::tests::plan;
    use super::*;

    #[test]
    fn a_direct_region_is_kept_free_or_refused() {
        let placed = |base: u64| {
            let report = Report::default();
            let plan = plan(&report, base);
            first_page(&report, &plan)
        };
        assert_eq!(placed(FILE.end()).0, Some(FILE.end() + PAGE));
        assert_eq!(placed(FILE.end() + PAGE).0, Some(FILE.end()));
        assert_eq!(placed(FILE.pa - PAGE).0, Some(FILE.end()));
        for base in [FILE.pa, FILE.end() - PAGE] {
            let (page, text) = placed(base);
            assert_eq!(page, None);
            assert!(
                text.contains("`fb` of `edu0` lies where the image is loaded"),
                "{text}"
            );
            assert!(text.contains("direct.fb"), "{text}");
        }
    }

    const FILE: Extent = Extent {
        pa: 0x4020_0000,
        len: 0x10_0000,
    };

    /// Where the first page behind the file lies, and what was said.
    fn first_page(report: &Report, plan: &Plan) -> (Option<u64>, String) {
        let mut memory = Allocator::new(FILE.end());
        let holes = find(report, plan, FILE).ok();
        let page = holes.map(|holes| {
            memory.avoid(holes);
            memory.pages(PAGE).pa
        });
        (page, report.text())
    }

    #[test]
    fn nothing_is_placed_in_reserved_memory() {
        let placed = |base: u64, len: u64| {
            let report = Report::default();
            // Its direct region is elsewhere.
            let mut plan = plan(&report, 0x5000_0000);
            plan.app.platform.reserved.push(planner::read::Reserved {
                name: plan.app.devices[0].name.clone(),
                base,
                len,
            });
            first_page(&report, &plan)
        };
        // Parts of pages are whole pages.
        assert_eq!(placed(FILE.end() + 8, 8).0, Some(FILE.end() + PAGE));
        assert_eq!(placed(FILE.end(), PAGE + 1).0, Some(FILE.end() + 2 * PAGE));
        assert_eq!(placed(FILE.end() + PAGE, PAGE).0, Some(FILE.end()));
        let (page, text) = placed(FILE.end() - 8, PAGE);
        assert_eq!(page, None);
        let said = "the reserved range `edu0` lies where the image is loaded";
        assert!(
            text.contains(said) && text.contains("memory.image"),
            "{text}"
        );
    }

    #[test]
    fn the_window_is_what_the_image_uses_without_holes() {
        let extent = |pa: u64, end: u64| Extent { pa, len: end - pa };
        let all = extent(0x10, 0x90);
        assert_eq!(without(all, vec![]), [all]);
        let holes = vec![
            extent(0x60, 0x68),
            extent(0x00, 0x18),
            extent(0x20, 0x30),
            extent(0x28, 0x40),
            extent(0x88, 0xa0),
            extent(0xb0, 0xc0),
        ];
        let left = [(0x18, 0x20), (0x40, 0x60), (0x68, 0x88)];
        assert_eq!(without(all, holes), left.map(|(pa, end)| extent(pa, end)));
        assert_eq!(without(all, vec![extent(0, 0x100)]), []);
    }
}
