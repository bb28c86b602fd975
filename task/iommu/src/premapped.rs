//! The ranges that the build step has mapped in a domain, compared entry by entry with the plan.

use iommu_api::PAGE;
use plan::iommu::{DomainEntry, PREMAPPED_MARK, PremappedEntry, SmmuEntry};
use vmsa::{Attributes, Descriptor, Granule, Memory, Permissions, Regime};

use crate::boot_refusal::Refusal;
use crate::hardware::Hardware;

const GRANULE: Granule = Granule::Size4K;
const ENTRIES: u64 = 512;

/// Checks that the tables of a domain map exactly the planned ranges, each where and as the plan says, and
/// nothing else; whatever is not mapped is 0. Only for an SMMU that is off: later the windows have other entries.
pub fn check<'p, H: Hardware>(
    hardware: &mut H,
    smmu: &SmmuEntry,
    domain: &DomainEntry,
    ranges: impl Iterator<Item = &'p PremappedEntry> + Clone,
    input_bits: u32,
) -> Result<(), Refusal> {
    compare(hardware, smmu, domain, ranges, input_bits, None)
}

/// Checks the ranges outside the window of a domain, whose window has other entries while it is in
/// use.
pub fn check_beside<'p, H: Hardware>(
    hardware: &mut H,
    smmu: &SmmuEntry,
    domain: &DomainEntry,
    ranges: impl Iterator<Item = &'p PremappedEntry> + Clone,
    input_bits: u32,
) -> Result<(), Refusal> {
    let ranges = ranges.filter(|range| !is_in_window(domain, range));
    compare(hardware, smmu, domain, ranges, input_bits, Some(domain))
}

/// Whether a range lies in the page part of a domain's window.
pub fn is_in_window(domain: &DomainEntry, range: &PremappedEntry) -> bool {
    let from = range.iova.checked_sub(domain.iova_base);
    from.is_some_and(|from| from < domain.pages * PAGE)
}

fn compare<'p, H: Hardware>(
    hardware: &mut H,
    smmu: &SmmuEntry,
    domain: &DomainEntry,
    ranges: impl Iterator<Item = &'p PremappedEntry> + Clone,
    input_bits: u32,
    beside: Option<&DomainEntry>,
) -> Result<(), Refusal> {
    let mut walk = Walk {
        hardware,
        smmu,
        ranges: ranges.clone(),
        beside,
        mapped: 0,
        tables: smmu.tables_len / PAGE,
    };
    // The build step makes no others: a smaller root would begin at level 2.
    let (31..=48) = input_bits else {
        return Err(Refusal::PageTables);
    };
    let entries = GRANULE.root_entries(input_bits);
    walk.table(domain.root, GRANULE.root_level(input_bits), 0, entries)?;
    // Ranges do not overlap and no entry maps more than one: equal sums are equal sets.
    let planned = ranges.fold(0u64, |sum, range| sum.saturating_add(range.len));
    if walk.mapped == planned {
        Ok(())
    } else {
        Err(Refusal::PageTables)
    }
}

struct Walk<'a, H, R> {
    hardware: &'a mut H,
    smmu: &'a SmmuEntry,
    ranges: R,
    /// The domain whose window's entries are not looked at.
    beside: Option<&'a DomainEntry>,
    /// Bytes found mapped.
    mapped: u64,
    /// Tables that may still be visited: no more than there is memory for, so that a loop ends.
    tables: u64,
}

impl<'p, H: Hardware, R: Iterator<Item = &'p PremappedEntry> + Clone> Walk<'_, H, R> {
    fn table(&mut self, offset: u64, level: u32, base: u64, entries: u64) -> Result<(), Refusal> {
        let inside = offset.checked_add(entries * 8);
        self.tables = self.tables.checked_sub(1).ok_or(Refusal::PageTables)?;
        if inside.is_none_or(|end| end > self.smmu.tables_len) {
            return Err(Refusal::PageTables);
        }
        for entry in 0..entries {
            let at = offset + entry * 8;
            if self.beside.is_some_and(|domain| is_of_window(domain, at)) {
                continue;
            }
            let word = self.hardware.load(at);
            if word == 0 {
                continue;
            }
            let iova = base + (entry << GRANULE.entry_shift(level));
            match Descriptor::decode(GRANULE, level, word) {
                Descriptor::Table { next } => {
                    let next = next.checked_sub(self.smmu.tables_pa);
                    let next = next.ok_or(Refusal::PageTables)?;
                    self.table(next, level + 1, iova, ENTRIES)?;
                }
                Descriptor::Leaf { output, .. } => self.leaf(word, level, iova, output)?,
                Descriptor::Invalid => return Err(Refusal::PageTables),
            }
        }
        Ok(())
    }

    fn leaf(&mut self, word: u64, level: u32, iova: u64, output: u64) -> Result<(), Refusal> {
        let size = GRANULE.entry_size(level);
        let planned = self.ranges.clone().any(|range| {
            let offset = iova.wrapping_sub(range.iova);
            let within = iova >= range.iova && offset < range.len && size <= range.len - offset;
            within && output == range.pa + offset && Some(word) == leaf_of(range, level, output)
        });
        self.mapped = self.mapped.saturating_add(size);
        if planned {
            Ok(())
        } else {
            Err(Refusal::PageTables)
        }
    }
}

/// Whether an entry of a table is one of a window's.
fn is_of_window(domain: &DomainEntry, at: u64) -> bool {
    let part = |first: u64, count: u64| at >= first && at - first < count * 8;
    part(domain.leaf, domain.pages) || part(domain.block_entries, domain.blocks)
}

/// The entry for `output` in a range.
pub fn leaf_of(range: &PremappedEntry, level: u32, output: u64) -> Option<u64> {
    let memory = Memory::of_index(range.memory)?;
    let attributes = Attributes::new(Regime::Device, memory, Permissions::ReadWrite).ok()?;
    let attributes = attributes.marked(PREMAPPED_MARK);
    Some(vmsa::leaf(GRANULE, level, output, attributes))
}
