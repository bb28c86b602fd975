//! Devices that reach something without a request: direct regions, premapped pools, bypasses.

use plan::iommu::PremappedKind;

use super::{REACHED, REFUSED, image, other};
use crate::layout::{Layout, TABLES};
use crate::sabotage::{Kind, Mutant};
use smmu_model::Check;
use smmu_model::Memory;

/// Changes leaf number `page` of ranges of a kind from its word and the one before it.
fn patch(
    kind: PremappedKind,
    layout: &Layout,
    memory: &mut Memory,
    page: u64,
    change: impl Fn(u64, u64) -> u64,
) {
    let word = |memory: &Memory, at: u64| memory.latest(at).unwrap_or(0);
    let table = |word: u64| word & 0xffff_ffff_f000;
    let ranges = layout.machine.premapped.iter();
    for range in ranges.filter(|range| range.kind == kind as u32) {
        let root = TABLES + layout.domains[range.domain as usize].root;
        let level2 = table(word(memory, root + (range.iova >> 30) * 8));
        let level3 = table(word(memory, level2 + (range.iova >> 21 & 511) * 8));
        let at = level3 + ((range.iova >> 12 & 511) + page) * 8;
        let changed = change(word(memory, at), word(memory, at - 8));
        memory.preset(at, changed);
    }
}

fn patch_region(layout: &Layout, memory: &mut Memory, page: u64, change: fn(u64, u64) -> u64) {
    patch(PremappedKind::Direct, layout, memory, page, change);
}

/// The page behind the pool is its owner's next one, whatever that is.
fn lengthen_pool(layout: &Layout, memory: &mut Memory) {
    patch(PremappedKind::Pool, layout, memory, 16, |_, before| {
        before + 0x1000
    });
}

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    other("adopt-no-abort", "J10", REACHED, Kind::NoCloseByHeir),
    other("open-before-quiet", "J11", REACHED, Kind::EarlyOpen),
    other(
        "open-no-more",
        "J11",
        &[Check::Containment],
        Kind::NeverOpened,
    ),
    image("region-page-more", "J12", REFUSED, |layout, memory| {
        patch_region(layout, memory, 2, |_, before| before + 0x1000);
    }),
    image("region-page-elsewhere", "J12", REFUSED, |layout, memory| {
        patch_region(layout, memory, 1, |word, _| word + 0x1000);
    }),
    other(
        "region-unchecked",
        "J12",
        &[Check::Reach],
        Kind::Unchecked(|layout, memory| {
            patch_region(layout, memory, 2, |_, before| before + 0x1000);
        }),
    ),
    image("pool-page-more", "J12", REFUSED, lengthen_pool),
    image("identity-page-more", "J12", REFUSED, |layout, memory| {
        let kind = PremappedKind::Identity;
        patch(kind, layout, memory, 16, |_, before| before + 0x1000);
    }),
    other(
        "pool-unchecked",
        "J12",
        &[Check::Reach],
        Kind::Unchecked(lengthen_pool),
    ),
    other(
        "release-without-reset",
        "J13",
        &[Check::Release, Check::Containment],
        Kind::UnaskedQuiet,
    ),
    other(
        "bypass-of-the-dead",
        "J14",
        &[Check::Containment],
        Kind::DeadBypass,
    ),
    other(
        "bypass-left-open",
        "J14",
        &[Check::Open, Check::Release],
        Kind::LivingBypass,
    ),
];
