//! IOVAs and table entries of one domain.
//!
//! The tables are the only record of what is mapped: an entry that is 0 is free, and the others have the
//! mark of the member of the alias set that they were made for, or that of the build step. One that was *retracted*
//! does not translate any more and is not free yet: an access through it may be under way. Nor is one that was
//! *parted*: in a lazy domain the SMMU has not been told to forget it yet. A part of the window
//! keeps one run of entries it knows to be free, so that taking and giving back IOVAs in turn
//! looks at nothing; only when the run is used up does it search.

mod leaf;
mod parted;
mod run;
mod search;

use iommu_api::{BLOCK_PAGES, PAGE, Window};
use plan::iommu::DomainEntry;
use vmsa::MARK_MASK as MEMBER_MASK;

pub(crate) use vmsa::MARK_SHIFT as MEMBER_SHIFT;

use crate::hardware::Hardware;
use crate::indices::SmmuIndex;

pub use leaf::LeafTemplates;
pub use parted::Lazy;
pub(crate) use parted::{Parted, PartedRuns};
pub use run::{Run, Stretch};

pub(crate) const VALID: u64 = 1;
/// Both bits that tell the kind of an entry; in one that is parted both are changed.
const KIND: u64 = 3;
/// log2 of the bytes that an entry of each part maps.
pub(crate) const PAGE_SHIFT: u32 = 12;
pub(crate) const BLOCK_SHIFT: u32 = 21;
/// Output address of a page (Arm ARM D8.3, 4 KiB granule).
const ADDRESS_MASK: u64 = 0x0000_ffff_ffff_f000;
/// One part of a window: entries of one size, contiguous in the tables.
#[derive(Debug)]
pub struct Part {
    /// Offset of entry 0 in table memory.
    offset: u64,
    /// IOVA of entry 0.
    base: u64,
    /// Entries.
    count: u64,
    kind: Kind,
    templates: LeafTemplates,
    /// Entries known to be free.
    free_first: u64,
    free_end: u64,
    /// At most so many entries are free.
    most_free: u64,
    /// No longer run of free entries exists.
    longest_free: u64,
}

impl Part {
    /// The page part of a domain.
    pub const fn pages(entry: &DomainEntry) -> Self {
        let templates = LeafTemplates::new(3, entry.snoops != 0);
        Self::new(
            entry.leaf,
            entry.iova_base,
            entry.pages,
            Kind::Pages,
            templates,
        )
    }
    /// The block part.
    pub const fn blocks(entry: &DomainEntry) -> Self {
        let templates = LeafTemplates::new(2, entry.snoops != 0);
        Self::new(
            entry.block_entries,
            entry.block_base,
            entry.blocks,
            Kind::Blocks,
            templates,
        )
    }
    const fn new(offset: u64, base: u64, count: u64, kind: Kind, templates: LeafTemplates) -> Self {
        Self {
            offset,
            base,
            count,
            kind,
            templates,
            free_first: 0,
            free_end: 0,
            most_free: count,
            longest_free: count,
        }
    }

    /// Entries in it.
    pub const fn len(&self) -> u64 {
        self.count
    }
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// Level of its entries.
    pub const fn level(&self) -> u32 {
        match self.kind {
            Kind::Pages => 3,
            Kind::Blocks => 2,
        }
    }
    /// IOVA of an entry.
    #[inline(always)]
    pub const fn iova(&self, entry: u64) -> u64 {
        self.base + (entry << self.kind.shift())
    }
    /// Pages of 4 KiB that an entry maps.
    pub const fn entry_pages(&self) -> u64 {
        1 << (self.kind.shift() - PAGE_SHIFT)
    }
    #[inline(always)]
    const fn at(&self, entry: u64) -> u64 {
        self.offset + entry * 8
    }

    /// The run that `pages` pages from `iova` are, if they lie wholly in this part, aligned to its entries.
    #[inline(always)]
    pub fn locate(&self, iova: u64, pages: u64) -> Option<Run> {
        self.locate_by(self.kind.shift(), iova, pages)
    }

    /// The same, where the caller knows the shift of this part.
    #[inline(always)]
    fn locate_by(&self, shift: u32, iova: u64, pages: u64) -> Option<Run> {
        let from = iova.checked_sub(self.base)?;
        let entry_pages = 1 << (shift - PAGE_SHIFT);
        if from & ((1 << shift) - 1) != 0 || pages & (entry_pages - 1) != 0 || pages == 0 {
            return None;
        }
        let first = from >> shift;
        let count = pages >> (shift - PAGE_SHIFT);
        (first < self.count && count <= self.count - first).then_some(Run { first, count })
    }

    /// Whether all entries of a run are free.
    pub fn is_free<H: Hardware>(&self, hardware: &mut H, run: Run) -> bool {
        hardware.fold(self.at(run.first), run.count, 0, |seen, word| seen | word) == 0
    }

    /// Whether all entries of a run map something, for the member of the alias set that has this tag.
    #[inline(always)]
    pub fn is_mapped<H: Hardware>(&self, hardware: &mut H, run: Run, expected: u64) -> bool {
        let at = self.at(run.first);
        let wrong = if run.count == 1 {
            hardware.load(at) ^ expected
        } else {
            hardware.fold(at, run.count, 0, |wrong, word| wrong | (word ^ expected))
        };
        wrong & (VALID | MEMBER_MASK) == 0
    }

    /// Takes a run, found free, out of the entries known to be free.
    #[inline(always)]
    pub fn take(&mut self, run: Run) {
        self.most_free = self.most_free.saturating_sub(run.count);
        if run.first == self.free_first {
            self.free_first = run.end().min(self.free_end);
        } else if run.first < self.free_end && self.free_first < run.end() {
            self.free_end = self.free_first;
        }
    }

    /// Gives a run back; its entries are 0 and the SMMU has forgotten them.
    #[inline(always)]
    pub fn give(&mut self, run: Run) {
        self.most_free = self.count.min(self.most_free + run.count);
        self.longest_free = self.count;
        if run.end() == self.free_first {
            self.free_first = run.first;
        } else if run.first == self.free_end {
            self.free_end = run.end();
        } else if run.count > self.free_end - self.free_first {
            self.free_first = run.first;
            self.free_end = run.end();
        }
    }

    /// Notes entries that were found in use when the tables were read.
    pub fn found_used(&mut self, run: Run) {
        self.most_free = self.most_free.saturating_sub(run.count);
    }

    /// Whether a word is a whole entry of a mapping for this member.
    pub const fn is_mapping(&self, word: u64, member: u64) -> bool {
        let (rest, mark) = (word & !ADDRESS_MASK, member << MEMBER_SHIFT);
        let aligned = word & ADDRESS_MASK & ((1 << self.kind.shift()) - 1) == 0;
        aligned && (rest == self.template(false) | mark || rest == self.template(true) | mark)
    }

    /// The bits that all entries of a mapping have in common, whomever they are made for.
    #[inline(always)]
    pub const fn template(&self, writable: bool) -> u64 {
        self.templates.of(writable)
    }

    /// IOVA of entry 0.
    #[inline(always)]
    pub(crate) const fn base(&self) -> u64 {
        self.base
    }

    /// Writes the entries of a run: pages or blocks of memory from `pa`, in order. The caller knows the shift of this
    /// part.
    #[inline(always)]
    pub fn write<H: Hardware>(
        &self,
        hardware: &mut H,
        run: Run,
        pa: u64,
        template: u64,
        shift: u32,
    ) {
        let at = self.at(run.first);
        let mut descriptor = template | pa;
        if run.count == 1 {
            return hardware.store(at, descriptor);
        }
        hardware.fill(at, run.count, || {
            let this = descriptor;
            descriptor += 1 << shift;
            this
        });
    }

    /// Writes the entries of a run, each as `make` makes it of one of `from`, which are as many.
    #[inline(always)]
    pub fn write_each<H: Hardware>(
        &self,
        hardware: &mut H,
        run: Run,
        from: &[u64],
        make: impl Fn(u64) -> u64,
    ) {
        hardware.store_each(self.at(run.first), from, make);
    }

    /// Makes a run's entries invalid.
    #[inline(always)]
    pub fn clear<H: Hardware>(&self, hardware: &mut H, run: Run) {
        let at = self.at(run.first);
        if run.count == 1 {
            hardware.store(at, 0);
        } else {
            hardware.clear(at, run.count);
        }
    }

    /// Makes a run's entries, which are mapped, invalid, and marks them as parted.
    pub fn part<H: Hardware>(&self, hardware: &mut H, run: Run) {
        for entry in run.first..run.first + run.count {
            let word = hardware.load(self.at(entry));
            hardware.store(self.at(entry), word ^ KIND);
        }
    }

    /// Whether a word is that of a parted entry.
    const fn is_parted(&self, word: u64) -> bool {
        // As a leaf a page has both bits, a block only the lower one.
        let whole = match self.kind {
            Kind::Pages => KIND,
            Kind::Blocks => VALID,
        };
        word != 0 && word & KIND == whole ^ KIND
    }

    /// Makes all entries that were made for `member` invalid, and leaves what they lead to in them.
    pub fn retract_all<H: Hardware>(&self, hardware: &mut H, member: u64) {
        let mut from = 0;
        while let Some(run) = self.next_of(hardware, from, member) {
            for entry in run.first..run.end() {
                let word = hardware.load(self.at(entry));
                hardware.store(self.at(entry), word & !VALID);
            }
            from = run.end();
        }
    }

    /// Makes all entries that were made for `member` invalid, and gives them back.
    pub fn clear_all<H: Hardware>(&mut self, hardware: &mut H, member: u64) {
        let mut from = 0;
        while let Some(run) = self.next_of(hardware, from, member) {
            self.clear(hardware, run);
            self.give(run);
            from = run.first + run.count;
        }
    }

    /// Gives all parted entries back: the SMMU has forgotten everything.
    pub fn free_parted<H: Hardware>(&self, hardware: &mut H) {
        for entry in 0..self.count {
            if self.is_parted(hardware.load(self.at(entry))) {
                hardware.store(self.at(entry), 0);
            }
        }
    }

    /// The next entries, from `from` on, that are not free: as many in a row as map consecutive memory alike. Each
    /// entry is loaded once, if the next call goes on behind them, but for those at which one row ends and another begins.
    /// A retracted entry is given as it was before.
    pub fn next_stretch<H: Hardware>(&self, hardware: &mut H, from: u64) -> Option<Stretch> {
        let mut found: Option<Stretch> = None;
        for entry in from..self.count {
            let stored = hardware.load(self.at(entry));
            let word = if stored == 0 { 0 } else { stored | VALID };
            match &mut found {
                None if word == 0 => {}
                None => {
                    let run = Run {
                        first: entry,
                        count: 1,
                    };
                    let entry_pages = self.entry_pages();
                    found = Some(Stretch {
                        run,
                        word,
                        entry_pages,
                        retracted: word != stored,
                    });
                }
                Some(stretch)
                    if word == stretch.word + (stretch.run.count << self.kind.shift()) =>
                {
                    stretch.run.count += 1;
                    stretch.retracted |= word != stored;
                }
                Some(_) => break,
            }
        }
        found
    }

    /// The next run of entries, from `from` on, that were made for `member`.
    fn next_of<H: Hardware>(&self, hardware: &mut H, from: u64, member: u64) -> Option<Run> {
        let mine = |word: u64| word != 0 && (word & MEMBER_MASK) >> MEMBER_SHIFT == member;
        let first = (from..self.count).find(|&entry| mine(hardware.load(self.at(entry))))?;
        let end = (first + 1..self.count)
            .find(|&entry| !mine(hardware.load(self.at(entry))))
            .unwrap_or(self.count);
        Some(Run {
            first,
            count: end - first,
        })
    }
}

/// A domain's IOVAs.
#[derive(Debug)]
pub struct Space {
    /// Pages of 4 KiB.
    pub pages: Part,
    /// Blocks of 2 MiB.
    pub blocks: Part,
    /// The address space its translations are tagged with.
    pub asid: u16,
    /// The SMMU that walks its tables.
    pub smmu: SmmuIndex,
    /// What its unmaps leave to a later flush.
    pub lazy: Lazy,
    /// The domain's tables were found altered after a restart: nothing is opened to it any more.
    pub altered: bool,
}

/// Which part of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Pages.
    Pages,
    /// Blocks.
    Blocks,
}

impl Kind {
    /// log2 of the bytes that an entry maps.
    #[inline(always)]
    pub const fn shift(self) -> u32 {
        match self {
            Self::Pages => PAGE_SHIFT,
            Self::Blocks => BLOCK_SHIFT,
        }
    }
}

impl Space {
    /// The space of a domain, as planned.
    pub const fn new(entry: &DomainEntry) -> Self {
        Self {
            pages: Part::pages(entry),
            blocks: Part::blocks(entry),
            asid: entry.asid as u16,
            smmu: SmmuIndex::of(entry),
            lazy: Lazy::new(entry),
            altered: false,
        }
    }
    /// One part of the window, to change it.
    #[inline(always)]
    pub const fn part(&mut self, kind: Kind) -> &mut Part {
        match kind {
            Kind::Pages => &mut self.pages,
            Kind::Blocks => &mut self.blocks,
        }
    }
    /// One part of the window, to read it.
    pub const fn part_of(&self, kind: Kind) -> &Part {
        match kind {
            Kind::Pages => &self.pages,
            Kind::Blocks => &self.blocks,
        }
    }
    /// The part and run that an IOVA range is.
    #[inline(always)]
    pub fn locate(&self, iova: u64, pages: u64) -> Option<(Kind, Run)> {
        match self.pages.locate_by(PAGE_SHIFT, iova, pages) {
            Some(run) => Some((Kind::Pages, run)),
            None => self
                .blocks
                .locate_by(BLOCK_SHIFT, iova, pages)
                .map(|run| (Kind::Blocks, run)),
        }
    }
    /// The window as a client is told of it.
    pub const fn window(&self) -> Window {
        Window {
            iova_base: self.pages.base,
            pages: self.pages.count,
            block_base: self.blocks.base,
            blocks: self.blocks.count,
        }
    }
}

const _: () = assert!(BLOCK_PAGES * PAGE == 1 << 21);
