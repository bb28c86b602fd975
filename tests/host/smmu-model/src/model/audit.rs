//! Everything a stream could reach now, by any choice the SMMU is free to make.
//!
//! A history only shows what the choices of its seed lead to; the audit shows what any could.

use std::collections::BTreeSet;

use super::Model;
use super::registers::{GBPA_ABORT, SMMUEN};
use super::walk::{entry_shift, root_level};
use crate::structure::{self, CONTEXT_WORDS, Context, Entry, STREAM_WORDS, Stream};

/// A run of memory that a stream can reach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Reach {
    /// First input address.
    pub input: u64,
    /// First physical address.
    pub output: u64,
    /// Bytes.
    pub bytes: u64,
    /// Whether it can be written.
    pub write: bool,
    /// Memory attribute byte.
    pub attribute: u8,
    /// Only through a cached translation or table entry, not through the tables in memory.
    pub cached: bool,
}

/// What an audit finds.
#[derive(Clone, Default, Debug)]
pub struct Reachable {
    /// The stream can bypass translation, so that all memory is reachable.
    pub bypass: bool,
    /// The same, because of its entry.
    pub untranslated: bool,
    /// What its translations reach.
    pub runs: BTreeSet<Reach>,
}

impl Model {
    /// All that a stream can reach by transactions that begin now.
    #[must_use]
    pub fn reachable(&self, stream: u32) -> Reachable {
        let mut found = Reachable::default();
        let cr0 = [self.registers.cr0, self.registers.cr0_ack];
        let closed = self.registers.gbpa & GBPA_ABORT != 0;
        if cr0.iter().any(|cr0| cr0 & SMMUEN == 0) && !closed {
            found.bypass = true;
        }
        if cr0.iter().all(|cr0| cr0 & SMMUEN == 0) {
            return found;
        }
        let mut spaces = BTreeSet::new();
        for words in self.possible_streams(stream) {
            match structure::stream(words, &self.features) {
                Stream::Bypass => {
                    found.bypass = true;
                    found.untranslated = true;
                }
                Stream::Translate {
                    context,
                    vmid,
                    stall_disabled,
                } => {
                    let vmid = if self.features.stage2 { vmid } else { 0 };
                    for words in self.possible_contexts(stream, context) {
                        if let Ok(context) =
                            structure::context(words, stall_disabled, &self.features)
                        {
                            spaces.insert((context, vmid));
                        }
                    }
                }
                Stream::Abort | Stream::Bad(_) => {}
            }
        }
        for (context, vmid) in spaces {
            self.space(&context, vmid, &mut found.runs);
        }
        found
    }

    /// Values a word may have for the SMMU: what is cached, and what memory may show.
    fn possible(&self, cached: Option<u64>, address: u64) -> Vec<u64> {
        let mut values: Vec<u64> = cached.into_iter().collect();
        for value in self.memory.candidates(address) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values
    }

    fn possible_streams(&self, stream: u32) -> Vec<[u64; STREAM_WORDS]> {
        let Ok((place, split)) = self.entry_place(stream) else {
            return Vec::new();
        };
        let entries = match split {
            None => vec![place],
            Some(split) => {
                let within = u64::from(stream & ((1 << split) - 1));
                let words = self.possible(self.cache.level1(stream >> split), place);
                let arrays = words.into_iter().filter_map(|word| {
                    let array = structure::level1(word, split)?;
                    (within < structure::level1_entries(word)).then_some(array + within * 64)
                });
                arrays.collect()
            }
        };
        let cached = self.cache.stream(stream);
        let mut found = Vec::new();
        // A complete entry in the cache needs no array any more.
        for entry in entries.iter().copied().chain([u64::MAX - 63]) {
            let mut partial = vec![[0; STREAM_WORDS]];
            for (word, &cached) in cached.iter().enumerate() {
                let values = self.possible(cached, entry.wrapping_add(word as u64 * 8));
                partial = expand(&partial, word, &values);
            }
            found.extend(partial);
        }
        found
    }

    fn possible_contexts(&self, stream: u32, place: u64) -> Vec<[u64; CONTEXT_WORDS]> {
        let cached = self.cache.context(stream);
        let mut partial = vec![[0; CONTEXT_WORDS]];
        for (word, &cached) in cached.iter().enumerate() {
            let values = self.possible(cached, place + word as u64 * 8);
            partial = expand(&partial, word, &values);
        }
        partial
    }

    /// What an address space reaches: cached leaves, tables from cached entries, tables from the root.
    fn space(&self, context: &Context, vmid: u16, runs: &mut BTreeSet<Reach>) {
        for leaf in &self.tlb.leaves {
            if leaf.tagged(context.asid, vmid) {
                let reach = reach(
                    context,
                    leaf.input,
                    leaf.shift,
                    leaf.output,
                    leaf.descriptor,
                );
                runs.extend(reach.map(|reach| Reach {
                    cached: true,
                    ..reach
                }));
            }
        }
        if context.walks_disabled {
            return;
        }
        let mut live = BTreeSet::new();
        self.table(context, context.root, root_level(context), 0, &mut live);
        for step in &self.tlb.steps {
            if step.asid == context.asid && step.vmid == vmid {
                let mut below = BTreeSet::new();
                self.table(context, step.next, step.level + 1, step.input, &mut below);
                let stale = below.into_iter().filter(|reach| !live.contains(reach));
                runs.extend(stale.map(|reach| Reach {
                    cached: true,
                    ..reach
                }));
            }
        }
        runs.extend(live);
    }

    fn table(
        &self,
        context: &Context,
        table: u64,
        level: u32,
        input: u64,
        runs: &mut BTreeSet<Reach>,
    ) {
        let shift = entry_shift(context, level);
        let bits = (context.page_shift - 3).min(context.input_bits.saturating_sub(shift));
        for index in 0..1u64 << bits {
            for descriptor in self.memory.candidates(table + index * 8) {
                if descriptor & 1 == 0 {
                    continue;
                }
                let input = input | index << shift;
                match structure::entry(descriptor, level, context.page_shift) {
                    Entry::Table(next) => self.table(context, next, level + 1, input, runs),
                    Entry::Leaf(output) => {
                        runs.extend(reach(context, input, shift, output, descriptor));
                    }
                    Entry::Invalid => {}
                }
            }
        }
    }
}

/// A leaf as memory that can be reached; `None` if every access through it faults.
fn reach(context: &Context, input: u64, shift: u32, output: u64, descriptor: u64) -> Option<Reach> {
    structure::permits(descriptor, false).ok()?;
    Some(Reach {
        input,
        output,
        bytes: 1 << shift,
        write: structure::permits(descriptor, true).is_ok(),
        attribute: structure::attribute(descriptor, context.mair),
        cached: false,
    })
}

fn expand<const N: usize>(partial: &[[u64; N]], word: usize, values: &[u64]) -> Vec<[u64; N]> {
    let mut all = Vec::with_capacity(partial.len() * values.len());
    for words in partial {
        for &value in values {
            let mut words = *words;
            if let Some(slot) = words.get_mut(word) {
                *slot = value;
            }
            all.push(words);
        }
    }
    all
}
