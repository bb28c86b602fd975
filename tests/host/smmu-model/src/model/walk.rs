//! From an address to memory, through the TLB or the tables.

use super::Model;
use super::event::Fault;
use super::fetch::Configuration;
use crate::finding::Check;
use crate::structure::{self, Context, Entry};
use crate::tlb::{Leaf, Step};

/// Where a transaction goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translated {
    /// Physical address.
    pub output: u64,
    /// Memory attribute byte of the mapping; `None` if the stream bypasses.
    pub attribute: Option<u8>,
}

/// Level of the root table.
pub(crate) fn root_level(context: &Context) -> u32 {
    let resolved = context.input_bits.saturating_sub(context.page_shift);
    4u32.saturating_sub(resolved.div_ceil(context.page_shift - 3))
}

/// log2 of the bytes that an entry at a level covers.
pub(crate) fn entry_shift(context: &Context, level: u32) -> u32 {
    context.page_shift + 3u32.saturating_sub(level) * (context.page_shift - 3)
}

impl Model {
    /// Translates an address for a stream, by any of the ways the architecture permits now. Caches are
    /// filled on the way.
    ///
    /// # Errors
    /// Why the transaction is aborted; nothing is recorded.
    pub(crate) fn translate(
        &mut self,
        stream: u32,
        address: u64,
        write: bool,
    ) -> Result<Translated, Fault> {
        let (context, vmid) = match self.configuration(stream)? {
            Configuration::Bypass => {
                return Ok(Translated {
                    output: address,
                    attribute: None,
                });
            }
            Configuration::Translate(context, vmid) => (context, vmid),
        };
        if address >> context.input_bits != 0 {
            return Err(Fault::Translation);
        }
        let mut hit = None;
        for index in 0..self.tlb.leaves.len() {
            let leaf = self.tlb.leaves[index];
            if leaf.matches(context.asid, vmid, address) {
                self.compare(hit.as_ref(), &leaf);
                if hit.is_none() || self.chooser.once_in(2) {
                    hit = Some(leaf);
                }
            }
        }
        let leaf = match hit {
            Some(leaf) if !self.chooser.once_in(self.liberties.forget) => leaf,
            _ => {
                let leaf = self.walk(&context, vmid, address)?;
                self.compare(hit.as_ref(), &leaf);
                leaf
            }
        };
        match structure::permits(leaf.descriptor, write) {
            Err(true) => Err(Fault::Access),
            Err(false) => Err(Fault::Permission),
            Ok(()) => Ok(Translated {
                output: leaf.output + (address - leaf.input),
                attribute: Some(structure::attribute(leaf.descriptor, context.mair)),
            }),
        }
    }

    /// Rules C25 to C28: two cached translations of one address that differ.
    fn compare(&mut self, known: Option<&Leaf>, other: &Leaf) {
        let Some(known) = known else { return };
        let high = known.input.max(other.input);
        let same = known.output.wrapping_add(high - known.input)
            == other.output.wrapping_add(high - other.input);
        if !same || known.shift != other.shift {
            let (one, two) = (*known, *other);
            self.findings
                .note(Check::Conflict, || format!("{one:x?} and {two:x?}"));
        }
    }

    fn walk(&mut self, context: &Context, vmid: u16, address: u64) -> Result<Leaf, Fault> {
        if context.walks_disabled {
            return Err(Fault::Translation);
        }
        let (mut table, mut level) = self.start(context, vmid, address);
        loop {
            let shift = entry_shift(context, level);
            let index = address >> shift & ((1 << (context.page_shift - 3)) - 1);
            let at = table + index * 8;
            let Some(descriptor) = self.memory.fetch(at, &mut self.chooser) else {
                return Err(self.outside(at, "page table", Fault::WalkAbort));
            };
            let input = address >> shift << shift;
            match structure::entry(descriptor, level, context.page_shift) {
                Entry::Invalid => return Err(Fault::Translation),
                Entry::Table(next) => {
                    if !self.chooser.once_in(self.liberties.forget) {
                        let step = Step {
                            asid: context.asid,
                            vmid,
                            input,
                            shift,
                            level,
                            next,
                        };
                        self.tlb.keep_step(step);
                    }
                    table = next;
                    level += 1;
                }
                Entry::Leaf(output) => {
                    if output >> context.output_bits != 0 {
                        return Err(Fault::AddressSize);
                    }
                    if structure::permits(descriptor, false) == Err(true) {
                        return Err(Fault::Access);
                    }
                    let leaf = Leaf {
                        asid: context.asid,
                        vmid,
                        global: structure::is_global(descriptor),
                        input,
                        shift,
                        level,
                        output,
                        descriptor,
                    };
                    if !structure::is_well_formed(descriptor) {
                        self.findings.note(Check::Attributes, || {
                            format!(
                                "leaf {descriptor:#x} is global, executable or not inner shareable"
                            )
                        });
                    }
                    if !self.chooser.once_in(self.liberties.forget) {
                        self.tlb.keep_leaf(leaf);
                    }
                    return Ok(leaf);
                }
            }
        }
    }

    /// Where a walk begins: at the root, or at any cached table entry for the address.
    fn start(&mut self, context: &Context, vmid: u16, address: u64) -> (u64, u32) {
        let root = (context.root, root_level(context));
        let steps = self.tlb.steps.iter();
        let matching = steps
            .filter(|step| step.matches(context.asid, vmid, address))
            .count();
        let chosen = self.chooser.below(matching + 1);
        let mut steps = self
            .tlb
            .steps
            .iter()
            .filter(|step| step.matches(context.asid, vmid, address));
        chosen
            .checked_sub(1)
            .and_then(|index| steps.nth(index))
            .map_or(root, |step| (step.next, step.level + 1))
    }
}
