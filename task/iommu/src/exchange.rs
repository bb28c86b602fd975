//! Exchanging pages: what is mapped at an IOVA is unmapped, and another page mapped in its place, in one request.
//!
//! Break before make (Arm ARM D8.16.1): the old entries are cleared and the SMMU has confirmed that it has forgotten
//! them before a new entry is written. Everything is judged before anything is cleared.

use iommu_api::{Error, ExchangeList, Extent, MapFlags, PAGE, Replacement};

use crate::hardware::{Hardware, System};
use crate::lists::name_a_page_twice;
use crate::map::{Changed, check_rights};
use crate::plan_view::PlanView;
use crate::server::Parts;
use crate::space::{Kind, PAGE_SHIFT, Run};

/// The IOVA of a replacement.
const fn iova(word: u64) -> u64 {
    Replacement::from_word(word).at as u64 * PAGE
}

impl<H: Hardware, S: System> Parts<'_, H, S> {
    /// Maps contiguous memory of a pool in the place of what is mapped.
    #[inline(always)]
    pub(crate) fn exchange(
        &mut self,
        plan: &PlanView<'_>,
        extent: Extent,
        pool: u16,
        flags: MapFlags,
        iova: u64,
    ) -> Changed {
        let (first, pages) = (u64::from(extent.first), u64::from(extent.pages));
        if pages == 0 || !flags.only_rights() {
            return Err(Error::Malformed);
        }
        let pool = self.target().pool(plan, pool).ok_or(Error::BadMemory)?;
        if first + pages > pool.pages {
            return Err(Error::BadMemory);
        }
        check_rights(flags)?;
        pool.check(flags)?;
        let run = self.exchangeable(iova, pages)?;
        self.remove_now(Kind::Pages, run)?;
        self.replace(run, pool.pa + first * PAGE, flags.writable());
        // The device may be told of the new page as soon as the reply is there.
        self.hardware.publish();
        self.after_unmap();
        Ok(None)
    }

    /// Maps single pages of a pool, each in the place of another; all or none.
    pub(crate) fn exchange_each(
        &mut self,
        plan: &PlanView<'_>,
        list: &ExchangeList,
        words: &[u64],
    ) -> Changed {
        if !list.flags.only_rights() {
            return Err(Error::Malformed);
        }
        let pool = self.target().pool(plan, list.pool);
        let pool = pool.ok_or(Error::BadMemory)?;
        let page = |word: u64| u64::from(Replacement::from_word(word).page);
        if words.iter().any(|&word| page(word) >= pool.pages) {
            return Err(Error::BadMemory);
        }
        check_rights(list.flags)?;
        pool.check(list.flags)?;
        let (mut ascending, mut end) = (true, 0);
        for &word in words {
            self.exchangeable(iova(word), 1)?;
            ascending &= iova(word) >= end;
            end = iova(word) + PAGE;
        }
        let named = words.iter().map(|&word| Extent {
            first: Replacement::from_word(word).at,
            pages: 1,
        });
        if !ascending && name_a_page_twice(named) {
            return Err(Error::NotMapped);
        }
        self.remove_each(words)?;
        self.complete()?;
        for &word in words {
            if let Some(run) = self.space.pages.locate(iova(word), 1) {
                self.replace(run, pool.pa + page(word) * PAGE, list.flags.writable());
            }
        }
        self.hardware.publish();
        self.after_unmap();
        Ok(None)
    }

    /// The entries of a range whose pages may be exchanged: all in the page part, mapped by this device, no lease cut.
    #[inline(always)]
    fn exchangeable(&mut self, iova: u64, pages: u64) -> Result<Run, Error> {
        let run = self.space.pages.locate(iova, pages);
        let run = run.ok_or(Error::BadRange)?;
        self.judge_removal(Kind::Pages, run)?;
        Ok(run)
    }

    /// Removes the entries of replacements: neighbours that follow each other at once, with one command.
    fn remove_each(&mut self, words: &[u64]) -> Result<(), Error> {
        let mut row: Option<Run> = None;
        for &word in words {
            let Some(run) = self.space.pages.locate(iova(word), 1) else {
                continue;
            };
            match &mut row {
                Some(row) if row.first + row.count == run.first => row.count += 1,
                row => {
                    if let Some(row) = row.replace(run) {
                        self.remove(Kind::Pages, row)?;
                    }
                }
            }
        }
        row.map_or(Ok(()), |row| self.remove(Kind::Pages, row))
    }

    /// After completion: the entries of a run lead to memory from `pa`. They were never free, and the count of what is
    /// mapped stays.
    #[inline(always)]
    fn replace(&mut self, run: Run, pa: u64, writable: bool) {
        if self.slot.pins() > 0 {
            self.unpin(run);
        }
        let part = &self.space.pages;
        let template = self.slot.page_template(writable);
        part.write(self.hardware, run, pa, template, PAGE_SHIFT);
    }
}
