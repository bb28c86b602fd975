//! What the tables hold of a request that the server died in, and so what its successor finds.

use std::collections::BTreeMap;

use super::World;
use crate::intent::Intent;
use crate::layout::TABLES;
use crate::oracle::Grant;
use smmu_model::Check;
use smmu_model::structure::{self, Entry};

/// Entries that translate, by input address.
pub type Leaves = BTreeMap<u64, Grant>;

/// Whether an entry waits to be flushed: one bit of its kind tells it from one that was retracted.
pub(crate) fn is_parted(word: u64, level: u32) -> bool {
    word != 0 && word & 3 == if level == 3 { 0 } else { 2 }
}

fn covers(leaves: &Leaves, input: u64) -> bool {
    let below = leaves.range(..=input).next_back();
    below.is_some_and(|(_, leaf)| input < leaf.input + leaf.bytes)
}

impl World {
    /// Whether something that is mapped for a device was retracted: its claim is ending.
    #[must_use]
    pub fn is_retracted(&self, device: usize) -> bool {
        let Some(domain) = self.layout.domain_of(device) else {
            return false;
        };
        let mut grants = self.oracle.grants(device).iter();
        grants.any(|grant| {
            let at = if grant.input < domain.block_base {
                domain.leaf + (grant.input - domain.iova_base) / 4096 * 8
            } else {
                domain.block_entries + (grant.input - domain.block_base) / (4096 * 512) * 8
            };
            let level = if grant.input < domain.block_base {
                3
            } else {
                2
            };
            let word = self.model.memory.latest(TABLES + at);
            word.is_some_and(|word| word != 0 && word & 1 == 0 && !is_parted(word, level))
        })
    }

    /// The entries of a domain's window that map something, as they were stored last; but those of the build step. One
    /// that was retracted does not translate, and is not given back yet.
    #[must_use]
    pub fn leaves(&self, domain: usize) -> Leaves {
        let mut leaves = Leaves::new();
        let Some(entry) = self.layout.domains.get(domain) else {
            return leaves;
        };
        let ranges = self
            .layout
            .machine
            .premapped
            .iter()
            .filter(|range| range.domain as usize == domain);
        let planned = |input| {
            ranges
                .clone()
                .any(|range| (range.iova..range.iova + range.len).contains(&input))
        };
        let parts = [
            (entry.leaf, entry.iova_base, entry.pages, 12, 3),
            (entry.block_entries, entry.block_base, entry.blocks, 21, 2),
        ];
        for (offset, base, count, shift, level) in parts {
            for index in 0..count {
                let word = self.model.memory.latest(TABLES + offset + index * 8);
                let word = word.filter(|word| *word != 0 && !is_parted(*word, level));
                let word = word.map_or(0, |word| word | 1);
                let input = base + (index << shift);
                if let Entry::Leaf(output) = structure::entry(word, level, 12)
                    && !planned(input)
                {
                    let leaf = Grant {
                        input,
                        output,
                        bytes: 1 << shift,
                        write: structure::permits(word, true).is_ok(),
                    };
                    leaves.insert(leaf.input, leaf);
                }
            }
        }
        leaves
    }

    /// Whether an entry of a domain's window waits to be flushed.
    #[must_use]
    pub fn has_parted(&self, domain: usize) -> bool {
        let Some(entry) = self.layout.domains.get(domain) else {
            return false;
        };
        let parts = [
            (entry.leaf, entry.pages, 3),
            (entry.block_entries, entry.blocks, 2),
        ];
        parts.into_iter().any(|(offset, count, level)| {
            (0..count).any(|index| {
                let word = self.model.memory.latest(TABLES + offset + index * 8);
                word.is_some_and(|word| is_parted(word, level))
            })
        })
    }

    /// The server is dead. What a request had begun to map is mapped; what it had begun to unmap, or what
    /// was taken from a device that is cut off, may be reached until the successor has invalidated
    /// everything, and no longer.
    pub fn end_interrupted(&mut self) {
        let intent = self.intent.take().unwrap_or_default();
        for (device, planned) in self.layout.machine.devices.iter().enumerate() {
            let domain = planned.domain as usize;
            let own = device == intent.device;
            let cut_off = !self.fabric.is_bus_master(device);
            if own && !intent.maps.is_empty() && !intent.unmaps.is_empty() {
                self.end_exchange(&intent, &self.leaves(domain));
            }
            if own && !intent.maps.is_empty() {
                self.end_map(&intent, &self.leaves(domain));
            }
            if cut_off {
                let leaves = self.leaves(domain);
                self.oracle.part(device, |input| !covers(&leaves, input));
            } else if own && !intent.unmaps.is_empty() {
                let leaves = self.leaves(domain);
                self.oracle.part(device, |input| {
                    intent.unmaps(input) && !covers(&leaves, input)
                });
            }
        }
    }

    /// Pages in whose place another is, or nothing yet, were unmapped.
    fn end_exchange(&mut self, intent: &Intent, leaves: &Leaves) {
        let before = self.oracle.clone();
        self.oracle.part(intent.device, |input| {
            let old = before.page_at(intent.device, input);
            intent.unmaps(input) && leaves.get(&input).copied() != old
        });
    }

    fn end_map(&mut self, intent: &Intent, leaves: &Leaves) {
        let machine = self.layout.machine;
        for leaf in leaves.values() {
            let known = (0..machine.devices.len()).any(|device| {
                machine.share(device, intent.device) && self.oracle.is_granted(device, leaf.input)
            });
            if known {
                continue;
            }
            if !intent.maps(leaf) {
                self.model.findings.note(Check::Reach, || {
                    format!("{leaf:x?} is mapped, which {intent:x?} does not ask for")
                });
            }
            self.oracle.extend(intent.device, *leaf);
        }
    }
}
