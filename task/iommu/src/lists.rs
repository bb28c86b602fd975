//! Lists: each is judged as a whole before anything of it is done.

use heapless::BinaryHeap;
use heapless::binary_heap::Min;
use iommu_api::{Error, Extent, MapList, PAGE, Sequenced};
use userlib::protocol::Wire;

use crate::hardware::{Hardware, System};
use crate::lent::Memory;
use crate::map::{Changed, check_content};
use crate::plan_view::PlanView;
use crate::server::{Parts, Target};
use crate::space::{Kind, PAGE_SHIFT, Run};

/// The error of the first extent of a list that is empty or beyond a pool's end.
#[cold]
fn wrong_extent(extents: &[u64], limit: u64) -> Error {
    let empty = |extent: &Extent| extent.pages == 0;
    let beyond = |extent: &Extent| u64::from(extent.first) + u64::from(extent.pages) > limit;
    extents
        .iter()
        .map(|&word| Extent::from_word(word))
        .find(|extent| empty(extent) || beyond(extent))
        .filter(empty)
        .map_or(Error::BadMemory, |_| Error::Malformed)
}

/// Most extents of a list that unmaps.
const EXTENTS_MAX: usize = (abi::MESSAGE_MAX - Sequenced::LEN) / size_of::<u64>();

/// Whether a page is in two extents of a list: sorts them, as comparing each with each would take as long as
/// unmapping a large window.
#[cold]
pub(crate) fn name_a_page_twice(extents: impl Iterator<Item = Extent>) -> bool {
    let mut sorted: BinaryHeap<u64, Min, EXTENTS_MAX> = BinaryHeap::new();
    for extent in extents {
        // First page and pages change places, so that the first page decides.
        if sorted.push(extent.to_word().rotate_left(32)).is_err() {
            return true;
        }
    }
    let mut end = 0;
    while let Some(word) = sorted.pop() {
        let Extent { first, pages } = Extent::from_word(word.rotate_left(32));
        if u64::from(first) < end {
            return true;
        }
        end = u64::from(first) + u64::from(pages);
    }
    false
}

/// A word of a list less this is the number of a page, if the extent is one page; else it is beyond 32 bits.
const ONE_PAGE: u64 = 1 << 32;

/// Whether a word of a list is one page below a limit of at most 32 bits: an empty extent wraps around.
#[inline(always)]
const fn is_page_below(word: u64, limit: u64) -> bool {
    word.wrapping_sub(ONE_PAGE) < limit
}

/// Whether all words of a list are: eight are judged between two branches.
#[inline(always)]
fn are_pages_below(words: &[u64], limit: u64) -> bool {
    let (eights, rest) = words.as_chunks::<8>();
    let all = |eight: &[u64; 8]| {
        let [a, b, c, d, e, f, g, h] = eight.map(|word| is_page_below(word, limit));
        a & b & c & d & e & f & g & h
    };
    eights.iter().all(all) && rest.iter().all(|&word| is_page_below(word, limit))
}

impl<H: Hardware> Target<'_, H> {
    /// Maps extents of a pool; one that does not exist is one without pages.
    #[inline(always)]
    pub(crate) fn map_extents(
        &mut self,
        plan: &PlanView<'_>,
        map: &MapList,
        extents: &[u64],
    ) -> Changed {
        // An empty extent is judged with those that are too long: the first that is wrong decides.
        check_content(map.flags, 1, map.iova)?;
        let pool = self.pool(plan, map.pool);
        let singles = |pool: &Memory| are_pages_below(extents, pool.pages.min(ONE_PAGE));
        let Some(of) = pool.filter(singles) else {
            return self.map_runs(map, pool, extents);
        };
        of.check(map.flags)?;
        let run = self.place(map.flags, extents.len() as u64, map.iova)?;
        let template = self.slot.page_template(map.flags.writable());
        // Of the sum only the page's number is left to be added: no sum of these overflows, as the page is in the pool.
        let first = (template | of.pa).wrapping_sub(ONE_PAGE << PAGE_SHIFT);
        let part = &mut self.space.pages;
        part.write_each(self.hardware, run, extents, |word| {
            first.wrapping_add(word << PAGE_SHIFT)
        });
        Ok(Some(self.mapped(Kind::Pages, run)))
    }

    /// Maps extents that are not all single pages of a pool.
    #[inline(never)]
    fn map_runs(&mut self, map: &MapList, pool: Option<Memory>, extents: &[u64]) -> Changed {
        // No sum overflows: both numbers of an extent have 32 bits, and there are some hundred extents.
        let (mut pages, mut least, mut end) = (0u64, u64::MAX, 0u64);
        for &word in extents {
            let Extent {
                first,
                pages: count,
            } = Extent::from_word(word);
            let count = u64::from(count);
            pages += count;
            least = least.min(count);
            end = end.max(u64::from(first) + count);
        }
        let limit = pool.map_or(0, |pool| pool.pages);
        if least == 0 || end > limit {
            return Err(wrong_extent(extents, limit));
        }
        let pool = pool.ok_or(Error::BadMemory)?;
        pool.check(map.flags)?;
        let whole = self.place(map.flags, pages, map.iova)?;
        let template = self.slot.page_template(map.flags.writable());
        let mut first = whole.first;
        for &word in extents {
            let extent = Extent::from_word(word);
            let count = u64::from(extent.pages);
            let pa = pool.pa + u64::from(extent.first) * PAGE;
            let part = &self.space.pages;
            part.write(
                self.hardware,
                Run { first, count },
                pa,
                template,
                PAGE_SHIFT,
            );
            first += count;
        }
        Ok(Some(self.mapped(Kind::Pages, whole)))
    }
}

impl<H: Hardware, S: System> Parts<'_, H, S> {
    /// Unmaps several ranges, or none.
    #[inline(always)]
    pub(crate) fn unmap_extents(&mut self, extents: &[u64]) -> Changed {
        if let &[word] = extents {
            let (iova, pages) = iova_range(word);
            let (kind, run) = self.removable(iova, pages)?;
            return self.take_away(kind, run);
        }
        self.unmap_ranges(extents)
    }

    #[inline(never)]
    fn unmap_ranges(&mut self, extents: &[u64]) -> Changed {
        let (mut ascending, mut end) = (true, 0);
        // What is mapped, less the pages looked at: beyond that some are named twice or not mapped.
        let mut left = self.slot.mapped();
        for (place, &word) in extents.iter().enumerate() {
            let (iova, pages) = iova_range(word);
            if pages > left {
                return Err(self.names_too_much(extents.get(place..).unwrap_or_default()));
            }
            left -= pages;
            self.removable(iova, pages)?;
            ascending &= iova >= end;
            end = iova + pages * PAGE;
        }
        let named = extents.iter().map(|&word| Extent::from_word(word));
        if !ascending && name_a_page_twice(named) {
            return Err(Error::NotMapped);
        }
        let unmapped = self.slot.mapped() - left;
        if self.space.lazy.is_lazy() && self.may_part_each(unmapped, extents.len()) {
            self.part_ranges(extents);
            return Ok(None);
        }
        for &word in extents {
            let (iova, pages) = iova_range(word);
            if let Some((kind, run)) = self.space.locate(iova, pages) {
                self.remove(kind, run)?;
            }
        }
        self.complete()?;
        for &word in extents {
            let (iova, pages) = iova_range(word);
            if let Some((kind, run)) = self.space.locate(iova, pages) {
                self.give_back(kind, run);
            }
        }
        self.after_unmap();
        Ok(None)
    }

    /// Leaves the invalidation of ranges that may be unmapped to the next flush.
    #[cold]
    fn part_ranges(&mut self, extents: &[u64]) {
        for &word in extents {
            let (iova, pages) = iova_range(word);
            if let Some((kind, run)) = self.space.locate(iova, pages) {
                self.part(kind, run);
            }
        }
    }

    /// The error of a list that names more pages than are mapped. No entry is looked at any more, so that a list
    /// of many large extents costs no more than one of them.
    #[cold]
    fn names_too_much(&self, rest: &[u64]) -> Error {
        let wrong = |&word: &u64| {
            let (iova, pages) = iova_range(word);
            if pages == 0 {
                return Some(Error::Malformed);
            }
            let located = self.space.locate(iova, pages);
            located.is_none().then_some(Error::BadRange)
        };
        rest.iter().find_map(wrong).unwrap_or(Error::NotMapped)
    }
}

/// First IOVA and pages of an extent of a list.
#[inline(always)]
fn iova_range(word: u64) -> (u64, u64) {
    let Extent { first, pages } = Extent::from_word(word);
    (u64::from(first) * PAGE, u64::from(pages))
}
