//! Address spaces: mapping, unmapping and translating through the tables.

use crate::{Attributes, Descriptor, Granule, OUTPUT_BITS_MAX, descriptor};

/// The memory in which tables are kept.
pub trait Tables {
    /// A zeroed table of `bytes` bytes (a power of two, at most the granule), aligned to its size: its
    /// physical address. `None` if there is no room.
    fn allocate(&mut self, bytes: u64) -> Option<u64>;
    /// The descriptor at a physical address inside a table.
    fn read(&self, address: u64) -> u64;
    /// Stores the descriptor at a physical address inside a table, in one 64-bit access.
    fn write(&mut self, address: u64, descriptor: u64);
}

/// Which half of the address space a root table translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Half {
    /// Addresses whose upper bits are zero (TTBR0).
    Lower,
    /// Addresses whose upper bits are one (TTBR1).
    Upper,
}

/// Whether a mapping may use blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocks {
    /// Pages only.
    Never,
    /// Blocks wherever both addresses are aligned to one and it fits; pages elsewhere.
    WhereAligned,
}

/// Why tables were not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// An input size the granule does not allow: 25 to 48 bits.
    InputSize,
    /// An address or a length is not a multiple of the page size, or the length is 0.
    Alignment,
    /// The range is not within this half of the address space.
    InputRange,
    /// The physical range does not fit into [`OUTPUT_BITS_MAX`] bits.
    OutputRange,
    /// Something is mapped in the range already: the first such address.
    Overlap {
        /// Lowest mapped address of the range.
        at: u64,
    },
    /// Part of a block was to be unmapped; splitting it needs a break before make that only the owner of
    /// the TLB can do.
    PartOfBlock {
        /// Lowest address of the block.
        at: u64,
    },
    /// No room for another table.
    OutOfTables,
}

/// The translation of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The physical address.
    pub output: u64,
    /// Bytes of the page or block it lies in.
    pub size: u64,
    /// Attributes of that leaf.
    pub attributes: Attributes,
}

/// The tables of one address space. It holds no memory: the tables are in the [`Tables`] that every
/// operation is given, always the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressSpace {
    granule: Granule,
    input_bits: u32,
    half: Half,
    root: u64,
}

/// An entry met on a walk.
struct Step {
    level: u32,
    address: u64,
    value: Descriptor,
}

impl AddressSpace {
    /// An empty address space with a new root table.
    ///
    /// # Errors
    /// [`MapError::InputSize`], [`MapError::OutOfTables`].
    pub fn new<T: Tables>(
        tables: &mut T,
        granule: Granule,
        input_bits: u32,
        half: Half,
    ) -> Result<Self, MapError> {
        if !(25..=48).contains(&input_bits) {
            return Err(MapError::InputSize);
        }
        // A root of fewer entries still takes 64 bytes: the low bits of TTBR hold no address.
        let bytes = (granule.root_entries(input_bits) * 8).max(64);
        let root = tables.allocate(bytes).ok_or(MapError::OutOfTables)?;
        Ok(Self {
            granule,
            input_bits,
            half,
            root,
        })
    }

    /// The address space of a root table that was built before.
    ///
    /// # Errors
    /// [`MapError::InputSize`].
    pub const fn of_root(
        root: u64,
        granule: Granule,
        input_bits: u32,
        half: Half,
    ) -> Result<Self, MapError> {
        if input_bits < 25 || input_bits > 48 {
            return Err(MapError::InputSize);
        }
        Ok(Self {
            granule,
            input_bits,
            half,
            root,
        })
    }

    /// Physical address of the root table.
    #[must_use]
    pub const fn root(&self) -> u64 {
        self.root
    }

    /// Level of the root table.
    #[must_use]
    pub const fn root_level(&self) -> u32 {
        self.granule.root_level(self.input_bits)
    }

    /// First address of this half.
    #[must_use]
    pub const fn first(&self) -> u64 {
        match self.half {
            Half::Lower => 0,
            Half::Upper => !self.last_offset(),
        }
    }

    /// Last address of this half.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.first() | self.last_offset()
    }

    const fn last_offset(&self) -> u64 {
        (1 << self.input_bits) - 1
    }

    /// Maps `len` bytes at `input` to `output`; all three are multiples of the page size.
    ///
    /// Nothing is mapped on an error, though tables may have been linked. A table that is already there is
    /// never replaced by a block, even an empty one: its entry may be cached, and the change would need a
    /// break before make.
    ///
    /// # Errors
    /// [`MapError::Alignment`], [`MapError::InputRange`], [`MapError::OutputRange`],
    /// [`MapError::Overlap`], [`MapError::OutOfTables`].
    pub fn map<T: Tables>(
        &self,
        tables: &mut T,
        input: u64,
        output: u64,
        len: u64,
        attributes: Attributes,
        blocks: Blocks,
    ) -> Result<(), MapError> {
        self.check_input(input, len)?;
        if !output.is_multiple_of(self.granule.page()) {
            return Err(MapError::Alignment);
        }
        let end = output.checked_add(len).ok_or(MapError::OutputRange)?;
        if end > 1 << OUTPUT_BITS_MAX {
            return Err(MapError::OutputRange);
        }
        if let Some(at) = self.first_mapped(tables, input, len) {
            return Err(MapError::Overlap { at });
        }
        let mut done = 0;
        while done < len {
            let (from, to, rest) = (input + done, output + done, len - done);
            match self.place(tables, from, to, rest, attributes, blocks) {
                Ok(size) => done += size,
                Err(error) => {
                    if done > 0 {
                        self.unmap(tables, input, done)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Writes one leaf at `input`, the largest that `blocks` allows: its size.
    fn place<T: Tables>(
        &self,
        tables: &mut T,
        input: u64,
        output: u64,
        len: u64,
        attributes: Attributes,
        blocks: Blocks,
    ) -> Result<u64, MapError> {
        let fits = |level: u32| {
            let size = self.granule.entry_size(level);
            self.granule.maps_at(level) && (input | output).is_multiple_of(size) && len >= size
        };
        let mut level = self.root_level();
        let mut table = self.root;
        loop {
            let address = self.entry_in(table, level, input);
            let entry = Descriptor::decode(self.granule, level, tables.read(address));
            table = match entry {
                Descriptor::Table { next } => next,
                Descriptor::Leaf { .. } => return Err(MapError::Overlap { at: input }),
                Descriptor::Invalid
                    if level == 3 || blocks == Blocks::WhereAligned && fits(level) =>
                {
                    tables.write(
                        address,
                        descriptor::leaf(self.granule, level, output, attributes),
                    );
                    return Ok(self.granule.entry_size(level));
                }
                Descriptor::Invalid => self.grow(tables, address)?,
            };
            level += 1;
        }
    }

    fn grow<T: Tables>(&self, tables: &mut T, address: u64) -> Result<u64, MapError> {
        let next = tables
            .allocate(self.granule.page())
            .ok_or(MapError::OutOfTables)?;
        tables.write(address, descriptor::table(self.granule, next));
        Ok(next)
    }

    /// Links tables down to `level` (at most 3) for the whole of a range, empty where they were missing.
    /// Called for one level after the other, on an allocator that hands out consecutive addresses, it makes
    /// the tables of each level contiguous.
    ///
    /// # Errors
    /// [`MapError::Alignment`], [`MapError::InputRange`], [`MapError::OutOfTables`], and
    /// [`MapError::Overlap`] where a block stands in the way.
    pub fn link<T: Tables>(
        &self,
        tables: &mut T,
        input: u64,
        len: u64,
        level: u32,
    ) -> Result<(), MapError> {
        self.check_input(input, len)?;
        let last = input + (len - 1);
        let mut at = input;
        loop {
            let step = self.walk(tables, at, level);
            if step.level < level {
                match step.value {
                    Descriptor::Leaf { .. } => return Err(MapError::Overlap { at }),
                    _ => self.grow(tables, step.address)?,
                };
                continue;
            }
            // Everything below the same entry of the level above is in the table just found.
            let span = match level.checked_sub(1) {
                Some(above) if level > self.root_level() => self.granule.entry_size(above),
                _ => return Ok(()),
            };
            match (at | (span - 1)).checked_add(1) {
                Some(next) if next <= last => at = next,
                _ => return Ok(()),
            }
        }
    }

    /// Unmaps every leaf within a range: the bytes that were mapped there. Tables stay linked, so that
    /// only leaf entries of a TLB need invalidation.
    ///
    /// # Errors
    /// [`MapError::Alignment`], [`MapError::InputRange`]; [`MapError::PartOfBlock`], with nothing changed,
    /// if the range begins or ends inside a block.
    pub fn unmap<T: Tables>(&self, tables: &mut T, input: u64, len: u64) -> Result<u64, MapError> {
        self.check_input(input, len)?;
        let last = input + (len - 1);
        for edge in [input, last] {
            let step = self.walk(tables, edge, 3);
            let low = edge & !(self.granule.entry_size(step.level) - 1);
            let high = low | (self.granule.entry_size(step.level) - 1);
            if matches!(step.value, Descriptor::Leaf { .. }) && (low < input || high > last) {
                return Err(MapError::PartOfBlock { at: low });
            }
        }
        let mut removed = 0;
        let mut at = input;
        loop {
            let step = self.walk(tables, at, 3);
            if let Descriptor::Leaf { .. } = step.value {
                tables.write(step.address, 0);
                removed += self.granule.entry_size(step.level);
            }
            match self.after(at, step.level) {
                Some(next) if next <= last => at = next,
                _ => return Ok(removed),
            }
        }
    }

    /// The translation of `input`; `None` where nothing is mapped.
    #[must_use]
    pub fn translate<T: Tables>(&self, tables: &T, input: u64) -> Option<Translation> {
        if input < self.first() || input > self.last() {
            return None;
        }
        let step = self.walk(tables, input, 3);
        let size = self.granule.entry_size(step.level);
        match step.value {
            Descriptor::Leaf { output, attributes } => Some(Translation {
                output: output | input & (size - 1),
                size,
                attributes,
            }),
            _ => None,
        }
    }

    /// Physical address of the entry for `input` in its table of `level`; `None` if tables are not linked
    /// that far.
    #[must_use]
    pub fn entry<T: Tables>(&self, tables: &T, input: u64, level: u32) -> Option<u64> {
        if input < self.first() || input > self.last() {
            return None;
        }
        let step = self.walk(tables, input, level);
        (step.level == level).then_some(step.address)
    }

    fn check_input(&self, input: u64, len: u64) -> Result<(), MapError> {
        if len == 0 || !(input | len).is_multiple_of(self.granule.page()) {
            return Err(MapError::Alignment);
        }
        let last = input.checked_add(len - 1).ok_or(MapError::InputRange)?;
        if input < self.first() || last > self.last() {
            return Err(MapError::InputRange);
        }
        Ok(())
    }

    fn first_mapped<T: Tables>(&self, tables: &T, input: u64, len: u64) -> Option<u64> {
        let last = input + (len - 1);
        let mut at = input;
        loop {
            let step = self.walk(tables, at, 3);
            if matches!(step.value, Descriptor::Leaf { .. }) {
                return Some(at);
            }
            at = self.after(at, step.level).filter(|&next| next <= last)?;
        }
    }

    /// First address above the entry of `level` that `at` lies in.
    fn after(&self, at: u64, level: u32) -> Option<u64> {
        (at | (self.granule.entry_size(level) - 1)).checked_add(1)
    }

    const fn entry_in(&self, table: u64, level: u32, input: u64) -> u64 {
        let index = (input & self.last_offset()) >> self.granule.entry_shift(level);
        table + (index & ((1 << self.granule.level_bits()) - 1)) * 8
    }

    /// Follows tables for `input`, to an entry that leads no further or to one of level `stop`.
    fn walk<T: Tables>(&self, tables: &T, input: u64, stop: u32) -> Step {
        let mut level = self.root_level();
        let mut table = self.root;
        loop {
            let address = self.entry_in(table, level, input);
            let value = Descriptor::decode(self.granule, level, tables.read(address));
            match value {
                Descriptor::Table { next } if level < stop => table = next,
                _ => {
                    return Step {
                        level,
                        address,
                        value,
                    };
                }
            }
            level += 1;
        }
    }
}
