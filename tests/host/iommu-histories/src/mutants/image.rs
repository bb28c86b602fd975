//! What a wrong build step would hand over.

use super::{REFUSED, image};
use crate::layout::{Layout, TABLES};
use crate::sabotage::Mutant;
use smmu_model::Memory;

/// Changes a word of the image.
fn patch(memory: &mut Memory, offset: u64, change: impl Fn(u64) -> u64) {
    let word = memory.latest(TABLES + offset).unwrap_or(0);
    memory.preset(TABLES + offset, change(word));
}

/// Changes word `word` of every context descriptor.
fn patch_contexts(layout: &Layout, memory: &mut Memory, word: u64, change: impl Fn(u64) -> u64) {
    for domain in &layout.domains {
        patch(memory, domain.context + word * 8, &change);
    }
}

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    image("array-outside", "A4, A20, B1", REFUSED, |layout, memory| {
        patch(memory, layout.smmu.stream_l1 + 8, |word| {
            word + (0x100_0000)
        });
    }),
    image("entry-open", "B12", REFUSED, |layout, memory| {
        let array = memory
            .latest(TABLES + layout.smmu.stream_l1 + 8)
            .unwrap_or(0)
            & !0xffff_0000_0000_003f;
        patch(memory, array - TABLES + 64, |word| word | 0b100 << 1);
    }),
    image("context-epd1", "D1", REFUSED, |layout, memory| {
        patch_contexts(layout, memory, 0, |word| word & !(1 << 30));
    }),
    image("context-size", "D3", REFUSED, |layout, memory| {
        patch_contexts(layout, memory, 0, |word| word & !0x3f | 50);
    }),
    image("context-granule", "D5", REFUSED, |layout, memory| {
        patch_contexts(layout, memory, 0, |word| word | 1 << 6);
    }),
    image(
        "context-hardware-update",
        "C33",
        REFUSED,
        |layout, memory| {
            patch_contexts(layout, memory, 0, |word| word | 1 << 43);
        },
    ),
    image("context-no-record", "D6", REFUSED, |layout, memory| {
        patch_contexts(layout, memory, 0, |word| word & !(3 << 45));
    }),
    image("context-noncoherent", "H1", REFUSED, |layout, memory| {
        patch_contexts(layout, memory, 0, |word| word & !(0x3f << 8));
    }),
    image("context-other-root", "C2", REFUSED, |layout, memory| {
        patch_contexts(layout, memory, 1, |word| word + 0x1000);
    }),
    image("leaf-table-elsewhere", "C2", REFUSED, |layout, memory| {
        let level2 = layout
            .domains
            .first()
            .map_or(0, |domain| domain.root + 0x1000);
        patch(memory, level2, |word| word + 0x1000);
    }),
];
