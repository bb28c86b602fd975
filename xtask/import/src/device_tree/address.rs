//! Addresses of a node's registers as the processor sees them (`reg` and the `ranges` of each bus above).

use super::node::{NodeIndex, ROOT, Tree};
use crate::board::Range;

/// Why a node has no address.
pub type Unaddressed = String;

impl Tree<'_> {
    /// `#address-cells` that the children of a node use: its own, or those of a node above it as Linux takes
    /// them.
    pub fn address_cells(&self, bus: NodeIndex) -> usize {
        self.inherited_cells(bus, "#address-cells")
    }

    pub fn size_cells(&self, bus: NodeIndex) -> usize {
        self.inherited_cells(bus, "#size-cells")
    }

    fn inherited_cells(&self, bus: NodeIndex, name: &str) -> usize {
        let cells = self.upwards(bus).find_map(|node| self.cell(node, name));
        cells.unwrap_or(1) as usize
    }

    /// The entries of `reg`, untranslated: address and length in the parent's cells.
    pub fn raw_regions(&self, node: NodeIndex, name: &str) -> Vec<(Vec<u32>, u64)> {
        let bus = self.parent(node).unwrap_or(ROOT);
        let (address, size) = (self.address_cells(bus), self.size_cells(bus));
        let Some(row) = row(&[address, size]) else {
            return Vec::new();
        };
        let cells = self.cells(node, name).unwrap_or_default();
        let rows = cells.chunks_exact(row);
        rows.filter_map(|row| {
            let (at, len) = row.split_at_checked(address)?;
            Some((at.to_vec(), number(len)?))
        })
        .collect()
    }

    /// The entries of `reg` where the processor finds them.
    pub fn regions(&self, node: NodeIndex) -> Vec<Result<Range, Unaddressed>> {
        let bus = self.parent(node).unwrap_or(ROOT);
        let raw = self.raw_regions(node, "reg").into_iter();
        raw.map(|(at, len)| {
            let base = number(&at).ok_or("its address has more than 64 bits")?;
            self.translate(bus, Range { base, len })
        })
        .collect()
    }

    /// The region of that name (`reg-names`).
    pub fn region_named(&self, node: NodeIndex, name: &str) -> Option<Result<Range, Unaddressed>> {
        let names = self.strings(node, "reg-names");
        let index = names.iter().position(|found| *found == name)?;
        self.regions(node).into_iter().nth(index)
    }

    /// The first entry.
    pub fn first_region(&self, node: NodeIndex) -> Result<Range, Unaddressed> {
        let first = self.regions(node).into_iter().next();
        first.unwrap_or_else(|| Err("it has no registers (`reg`)".into()))
    }

    /// An address on a bus as the processor sees it.
    pub fn translate(&self, bus: NodeIndex, on_bus: Range) -> Result<Range, Unaddressed> {
        let mut range = on_bus;
        for bus in self.upwards(bus) {
            let Some(above) = self.parent(bus) else {
                return Ok(range);
            };
            let Some(rows) = self.cells(bus, "ranges") else {
                return Err(format!(
                    "{} has no `ranges`, so the processor has no address for what is below it",
                    self.path(bus)
                ));
            };
            if rows.is_empty() {
                continue;
            }
            range.base = self.row_of(bus, above, &rows, range).ok_or_else(|| {
                format!(
                    "the `ranges` of {} do not have {:#x}",
                    self.path(bus),
                    range.base
                )
            })?;
        }
        Ok(range)
    }

    fn row_of(&self, bus: NodeIndex, above: NodeIndex, rows: &[u32], range: Range) -> Option<u64> {
        let (own, parent) = (self.address_cells(bus), self.address_cells(above));
        let size = self.size_cells(bus);
        for row in rows.chunks_exact(row(&[own, parent, size])?) {
            let (child, rest) = row.split_at_checked(own)?;
            let (at, len) = rest.split_at_checked(parent)?;
            let (Some(child), Some(at), Some(len)) = (number(child), number(at), number(len))
            else {
                continue;
            };
            if let Some(offset) = range.base.checked_sub(child)
                && offset < len
            {
                return at.checked_add(offset);
            }
        }
        None
    }
}

/// Cells of a row; none if there are more than any row has, or none.
pub fn row(parts: &[usize]) -> Option<usize> {
    let most = 8;
    let fits = parts.iter().all(|part| *part <= most);
    let sum: usize = parts.iter().take(8).sum();
    (fits && sum > 0).then_some(sum)
}

/// Cells as a number, if it has 64 bits.
pub fn number(cells: &[u32]) -> Option<u64> {
    let mut number = 0u64;
    for cell in cells {
        if number >> 32 != 0 {
            return None;
        }
        number = number << 32 | u64::from(*cell);
    }
    Some(number)
}
