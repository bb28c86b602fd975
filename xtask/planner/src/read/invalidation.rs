//! `invalidation`: when translations that a device must not use any more leave the caches.

use super::fields::Fields;
use crate::report::{Mistake, Spanned};

/// The time at which translations that a device must not use any more leave the caches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalidation {
    /// Each unmap invalidates, and returns when nothing cached is left.
    Strict,
    /// The pools of its owner are premapped and never unmapped; all else is strict.
    Premapped,
    /// An unmap returns at once, and a later flush invalidates.
    Lazy(LazyBounds),
}

/// What a lazy domain leaves to a later flush at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LazyBounds {
    /// So many unmapped pages.
    pub pages: u16,
    /// Each for so many milliseconds.
    pub milliseconds: u16,
}

/// The bounds of `"lazy"` and nothing else: a page costs the SMMU a command and a 64th of a wait, and nobody waits for
/// memory longer than for a disk.
const USUAL: LazyBounds = LazyBounds {
    pages: 64,
    milliseconds: 10,
};
/// Longer is no bound any more.
const MILLISECONDS_MOST: u64 = 1_000;
const NANOSECONDS: u64 = 1_000_000;

impl Invalidation {
    /// The word of app.toml.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Premapped => "premapped",
            Self::Lazy(_) => "lazy",
        }
    }
}

/// Reads the key of a device.
pub fn read(fields: &Fields<'_>) -> Option<Spanned<Invalidation>> {
    // `persistent` is the word for memory that survives a restart of its task.
    if fields.is_named_otherwise("invalidation", "persistent", "premapped") {
        return None;
    }
    read_one_of(
        fields,
        &[
            ("strict", Invalidation::Strict),
            ("premapped", Invalidation::Premapped),
            ("lazy", Invalidation::Lazy(USUAL)),
        ],
    )
}

/// Reads the key of `[iommu]`, for devices that say nothing. Pools are premapped for a device that asks.
pub fn read_default(fields: &Fields<'_>) -> Option<Spanned<Invalidation>> {
    read_one_of(
        fields,
        &[
            ("strict", Invalidation::Strict),
            ("lazy", Invalidation::Lazy(USUAL)),
        ],
    )
}

fn read_one_of(
    fields: &Fields<'_>,
    words: &[(&str, Invalidation)],
) -> Option<Spanned<Invalidation>> {
    if !fields.is_table("invalidation") {
        return fields.choice("invalidation", words);
    }
    let table = fields.table("invalidation")?;
    let lazy = table.required("lazy", Fields::table);
    let span = table.span().clone();
    table.finish();
    let lazy = lazy?;
    let bounds = LazyBounds {
        pages: read_pages(&lazy)?,
        milliseconds: read_within(&lazy)?,
    };
    lazy.finish();
    Some(Spanned::new(Invalidation::Lazy(bounds), span))
}

fn read_pages(lazy: &Fields<'_>) -> Option<u16> {
    let Some(pages) = lazy.word("pages") else {
        return (!lazy.contains("pages")).then_some(USUAL.pages);
    };
    let most = plan::limits::PARTED_MAX;
    if !(1..=most).contains(&(pages.value as usize)) {
        lazy.report()
            .error(Mistake::BadValue, "a lazy domain that cannot be kept")
            .at(&pages.span, format!("expected 1 to {most} pages"))
            .remedy("write `invalidation = \"strict\"` for none");
        return None;
    }
    u16::try_from(pages.value).ok()
}

fn read_within(lazy: &Fields<'_>) -> Option<u16> {
    let Some(within) = lazy.duration("within") else {
        return (!lazy.contains("within")).then_some(USUAL.milliseconds);
    };
    let milliseconds = within.value / NANOSECONDS;
    let whole = within.value.is_multiple_of(NANOSECONDS);
    if !whole || !(1..=MILLISECONDS_MOST).contains(&milliseconds) {
        lazy.report()
            .error(Mistake::BadValue, "a lazy domain that cannot be kept")
            .at(
                &within.span,
                "expected whole milliseconds, from 1 ms to 1 s",
            )
            .remedy("write for example \"10 ms\", or `invalidation = \"strict\"` for none");
        return None;
    }
    u16::try_from(milliseconds).ok()
}
