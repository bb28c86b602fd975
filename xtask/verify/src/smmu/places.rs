//! The places of everything in the SMMU's memory: queues, the stream table, context descriptors, page tables, and
//! nothing else.

use super::Tables;
use crate::Verified;

/// Extents that are something, by what they are.
#[derive(Default)]
pub struct Places(Vec<(u64, u64, String)>);

impl Places {
    pub fn add(&mut self, start: u64, len: u64, what: impl Into<String>) {
        self.0.push((start, len, what.into()));
    }

    /// No two share a byte, whatever the SMMU writes is queue, and all that is nothing or is written only later is empty.
    pub fn check(mut self, tables: &Tables<'_>, verified: &mut Verified) {
        self.0.sort();
        let place = tables.place;
        let end = place.address.saturating_add(place.bytes);
        let mut next = place.address;
        let mut before = "the beginning";
        for (start, len, what) in &self.0 {
            let behind = start.saturating_add(*len);
            if *start < next || behind > end {
                verified.say(format!(
                    "the SMMU's memory: {what} at {start:#x} meets {before}, or is not within"
                ));
            }
            empty(tables, (next, *start), before, verified);
            if what.ends_with(QUEUE) {
                empty(tables, (*start, behind.min(end)), what, verified);
            }
            next = next.max(behind);
            before = what;
        }
        empty(tables, (next, end), before, verified);
    }
}

/// The end of a queue's name.
pub const QUEUE: &str = "queue";

fn empty(tables: &Tables<'_>, (from, end): (u64, u64), what: &str, verified: &mut Verified) {
    let len = end.saturating_sub(from);
    let bytes = tables.image.bytes(from, len);
    if bytes.is_none_or(|bytes| bytes.iter().any(|byte| *byte != 0)) {
        verified.say(format!(
            "the SMMU's memory: {from:#x} to {end:#x}, {what} or behind it, is not empty"
        ));
    }
}
