//! IOVAs and table entries of one domain.
//!
//! The tables are the only record of what is mapped: an entry that is 0 is free, and the others have the
//! mark of the member of the alias set that they were made for, or that of the build step. One that was *retracted*
//! does not translate any more and is not free yet: an access through it may be under way. A part of the window
//! keeps one run of entries it knows to be free, so that taking and giving back IOVAs in turn
//! looks at nothing; only when the run is used up does it search.

mod search;

use iommu_api::{BLOCK_PAGES, PAGE, Window};
use plan::iommu::{DomainEntry, Invalidation};
use vmsa::{
    Attributes, Granule, MARK_MASK as MEMBER_MASK, MARK_SHIFT as MEMBER_SHIFT, Memory, Permissions,
    Regime,
};

use crate::hardware::Hardware;
use crate::indices::SmmuIndex;

const VALID: u64 = 1;
/// Output address of a page (Arm ARM D8.3, 4 KiB granule).
const ADDRESS_MASK: u64 = 0x0000_ffff_ffff_f000;
/// Leaf entries of the two kinds of rights, without address and member.
#[derive(Clone, Copy, Debug)]
pub struct LeafTemplates {
    read: u64,
    read_write: u64,
}

impl LeafTemplates {
    /// The form of the entries of a level-3 table (pages) or a level-2 table (blocks). Normal memory,
    /// accessible to unprivileged transactions, never executable: write-back and inner shareable for devices
    /// that snoop the caches, else non-cacheable, so that nothing on the way to memory allocates what no
    /// cache maintenance reaches.
    pub const fn new(level: u32, snoops: bool) -> Self {
        let memory = if snoops {
            Memory::NormalWriteBack
        } else {
            Memory::NormalNonCacheable
        };
        Self {
            read: template(level, memory, Permissions::Read),
            read_write: template(level, memory, Permissions::ReadWrite),
        }
    }
}

const fn template(level: u32, memory: Memory, permissions: Permissions) -> u64 {
    match Attributes::new(Regime::Device, memory, permissions) {
        Ok(attributes) => vmsa::leaf(Granule::Size4K, level, 0, attributes),
        // Not an entry at all: nothing would ever be mapped.
        Err(_) => 0,
    }
}

/// A run of entries of one part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// First entry.
    pub first: u64,
    /// How many, at least 1.
    pub count: u64,
}

impl Run {
    /// No entries: part of nothing, and in nobody's way.
    pub const NONE: Self = Self {
        first: u64::MAX,
        count: 0,
    };
    const fn end(self) -> u64 {
        self.first + self.count
    }
    /// Whether the two have an entry in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first < other.end() && other.first < self.end()
    }
    /// Whether all of `other` lies in this run.
    pub const fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.end() <= self.end()
    }
}

/// Entries in a row that map consecutive memory alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// Which.
    pub run: Run,
    /// The first of them.
    pub word: u64,
    /// Pages of 4 KiB that each maps.
    pub entry_pages: u64,
    /// Whether at least one of the entries is retracted.
    pub retracted: bool,
}

impl Stretch {
    /// Whose they are.
    pub const fn mark(&self) -> u64 {
        (self.word & MEMBER_MASK) >> MEMBER_SHIFT
    }
    /// Physical address that the first leads to.
    pub const fn output(&self) -> u64 {
        self.word & ADDRESS_MASK
    }
}

/// One part of a window: entries of one size, contiguous in the tables.
#[derive(Debug)]
pub struct Part {
    /// Offset of entry 0 in table memory.
    offset: u64,
    /// IOVA of entry 0.
    base: u64,
    /// Entries.
    count: u64,
    /// log2 of the bytes an entry maps.
    shift: u32,
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
        Self::new(entry.leaf, entry.iova_base, entry.pages, 12, templates)
    }
    /// The block part.
    pub const fn blocks(entry: &DomainEntry) -> Self {
        let templates = LeafTemplates::new(2, entry.snoops != 0);
        Self::new(
            entry.block_entries,
            entry.block_base,
            entry.blocks,
            21,
            templates,
        )
    }
    const fn new(offset: u64, base: u64, count: u64, shift: u32, templates: LeafTemplates) -> Self {
        Self {
            offset,
            base,
            count,
            shift,
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
        if self.shift == 12 { 3 } else { 2 }
    }
    /// IOVA of an entry.
    #[inline(always)]
    pub const fn iova(&self, entry: u64) -> u64 {
        self.base + (entry << self.shift)
    }
    /// Pages of 4 KiB that an entry maps.
    pub const fn entry_pages(&self) -> u64 {
        1 << (self.shift - 12)
    }
    #[inline(always)]
    const fn at(&self, entry: u64) -> u64 {
        self.offset + entry * 8
    }

    /// The run that `pages` pages from `iova` are, if they lie wholly in this part, aligned to its entries.
    #[inline(always)]
    pub fn locate(&self, iova: u64, pages: u64) -> Option<Run> {
        let from = iova.checked_sub(self.base)?;
        let entry_pages = self.entry_pages();
        if from & ((1 << self.shift) - 1) != 0 || pages & (entry_pages - 1) != 0 || pages == 0 {
            return None;
        }
        let first = from >> self.shift;
        let count = pages >> (self.shift - 12);
        (first < self.count && count <= self.count - first).then_some(Run { first, count })
    }

    /// Whether all entries of a run are free.
    pub fn is_free<H: Hardware>(&self, hardware: &mut H, run: Run) -> bool {
        hardware.fold(self.at(run.first), run.count, 0, |seen, word| seen | word) == 0
    }

    /// Whether all entries of a run map something, for this member of the alias set.
    #[inline(always)]
    pub fn is_mapped<H: Hardware>(&self, hardware: &mut H, run: Run, member: u64) -> bool {
        let expected = VALID | member << MEMBER_SHIFT;
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
        let rest = word & !ADDRESS_MASK;
        let aligned = word & ADDRESS_MASK & ((1 << self.shift) - 1) == 0;
        aligned && (rest == self.template(false, member) || rest == self.template(true, member))
    }

    /// The bits that all entries of a mapping have in common.
    #[inline(always)]
    pub const fn template(&self, writable: bool, member: u64) -> u64 {
        let rights = if writable {
            self.templates.read_write
        } else {
            self.templates.read
        };
        rights | member << MEMBER_SHIFT
    }

    /// Writes the entries of a run: pages or blocks of memory from `pa`, in order.
    #[inline(always)]
    pub fn write<H: Hardware>(&self, hardware: &mut H, run: Run, pa: u64, template: u64) {
        let at = self.at(run.first);
        let mut descriptor = template | pa;
        if run.count == 1 {
            return hardware.store(at, descriptor);
        }
        hardware.fill(at, run.count, || {
            let this = descriptor;
            descriptor += 1 << self.shift;
            this
        });
    }

    /// Writes the entries of a run, each with the next of `addresses`, which are as many.
    #[inline(always)]
    pub fn write_each<H: Hardware>(
        &self,
        hardware: &mut H,
        run: Run,
        template: u64,
        mut addresses: impl FnMut() -> u64,
    ) {
        hardware.fill(self.at(run.first), run.count, || template | addresses());
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
                Some(stretch) if word == stretch.word + (stretch.run.count << self.shift) => {
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
    /// The build step has mapped pools of the owner in the page part.
    pub premapped: bool,
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

impl Space {
    /// The space of a domain, as planned.
    pub const fn new(entry: &DomainEntry) -> Self {
        Self {
            pages: Part::pages(entry),
            blocks: Part::blocks(entry),
            asid: entry.asid as u16,
            smmu: SmmuIndex::of(entry),
            premapped: entry.invalidation == Invalidation::Premapped as u32,
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
        match self.pages.locate(iova, pages) {
            Some(run) => Some((Kind::Pages, run)),
            None => self
                .blocks
                .locate(iova, pages)
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
