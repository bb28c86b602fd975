//! The stream table (IHI 0070, 5.1 and 5.2): every entry of it, those of streams that nobody has included.

use std::collections::BTreeMap;

use super::Tables;
use super::places::Places;
use super::records::at;
use crate::{Entry, Verified};

/// Streams that translate in the image, with the addresses of their context descriptors.
pub type AlwaysOpen = BTreeMap<u32, u64>;

const ENTRY_BYTES: u64 = 64;
/// A level-1 descriptor's span: its array has two to the power of one less entries.
const SPAN: u64 = 0x1f;
const ARRAY: u64 = 0x00ff_ffff_ffff_ffc0;
const VALID: u64 = 1;
const CONFIG_SHIFT: u32 = 1;
const ABORT: u64 = 0b000;
const STAGE_1: u64 = 0b101;
const CONTEXT: u64 = 0x00ff_ffff_ffff_ffc0;
/// Word 1 where the SMMU looks into the caches: the context descriptor's fetch is write-back and inner shareable (S1CIR, S1COR,
/// S1CSH). Elsewhere it is zero; stalls (S1STALLD) are the IOMMU server's to rule out.
const COHERENT: u64 = 0b1101_0100;
/// Most streams that one SMMU has.
const STREAM_BITS_MAX: u32 = 32;

/// Reads the whole stream table, and returns the streams that translate.
pub fn check(tables: &Tables<'_>, places: &mut Places, verified: &mut Verified) -> AlwaysOpen {
    let mut always_open = AlwaysOpen::new();
    let Some(smmu) = tables.records.smmus.get(tables.number as usize) else {
        return always_open;
    };
    let level1 = tables
        .place
        .address
        .wrapping_add(smmu.u64(at::SMMU_STREAM_L1));
    let (bits, split) = (smmu.u32(at::SMMU_STREAM_LOG2), smmu.u32(at::SMMU_SPLIT));
    verified.addresses.stream_tables.push(level1);
    if !matches!(split, 6 | 8 | 10) || !(split..=STREAM_BITS_MAX).contains(&bits) {
        verified.say(format!(
            "the stream table has {bits} bits, split at {split}"
        ));
        return always_open;
    }
    let count = 1u64 << (bits - split);
    places.add(level1, count * 8, "the stream table");
    // The SMMU takes its address for one of a multiple of its size.
    if !level1.is_multiple_of((count * 8).max(ENTRY_BYTES)) {
        verified.say(format!("the stream table at {level1:#x} is not aligned"));
    }
    for upper in 0..count {
        let at = level1.saturating_add(upper * 8);
        let Some(word) = tables
            .image
            .word(at)
            .filter(|_| tables.place.has(at.saturating_add(7)))
        else {
            verified.say(format!(
                "the stream table ends at {at:#x}, outside of its memory"
            ));
            break;
        };
        match word {
            0 => {}
            _ if word & SPAN == u64::from(split) + 1 && word & !(SPAN | ARRAY) == 0 => {
                let first = u32::try_from(upper << split).unwrap_or(u32::MAX);
                places.add(
                    word & ARRAY,
                    ENTRY_BYTES << split,
                    format!("the entries of streams from {first:#x} on"),
                );
                if !(word & ARRAY).is_multiple_of(ENTRY_BYTES << split) {
                    verified.say(format!(
                        "the entries of streams from {first:#x} on are not aligned"
                    ));
                }
                array(
                    tables,
                    (word & ARRAY, first, 1 << split),
                    &mut always_open,
                    verified,
                );
            }
            _ => verified.say(format!(
                "the stream table's descriptor at {at:#x} is {word:#x}"
            )),
        }
    }
    planned(tables, &always_open, verified);
    always_open
}

/// An array of entries: where it is, its first StreamID, how many.
fn array(
    tables: &Tables<'_>,
    (start, first, count): (u64, u32, u32),
    always_open: &mut AlwaysOpen,
    verified: &mut Verified,
) {
    for index in 0..count {
        let at = start.wrapping_add(u64::from(index) * ENTRY_BYTES);
        let stream = first.wrapping_add(index);
        let Some(words) = tables.eight(at) else {
            verified.say(format!(
                "the entry of stream {stream:#x} is at {at:#x}, outside of the tables' memory"
            ));
            return;
        };
        verified.addresses.entries.push(Entry {
            smmu: tables.number,
            stream,
            at,
        });
        verified.streams += 1;
        match meaning(&words, tables.smmu.coherent) {
            Ok(None) => {}
            Ok(Some(context)) => {
                always_open.insert(stream, context);
            }
            Err(why) => verified.say(format!("the entry of stream {stream:#x} {why}: {words:x?}")),
        }
    }
}

/// What an entry does: nothing for one that aborts, the context descriptor's address for one that translates.
fn meaning(words: &[u64; 8], coherent: bool) -> Result<Option<u64>, &'static str> {
    let [word, attributes, rest @ ..] = words;
    let planned = if coherent { COHERENT } else { 0 };
    if *attributes != planned || rest.iter().any(|word| *word != 0) {
        return Err("has fields beyond those of this system (ATS, stage 2, overrides)");
    }
    match (word & VALID, word >> CONFIG_SHIFT & 0b111) {
        (0, _) => Err("is not valid"),
        (_, ABORT) if *word == VALID => Ok(None),
        (_, STAGE_1) if word & !(CONTEXT | VALID | 0b111 << CONFIG_SHIFT) == 0 => {
            Ok(Some(word & CONTEXT))
        }
        (_, STAGE_1) => Err("has several context descriptors"),
        (_, ABORT) => Err("aborts, with a rest of something else"),
        _ => Err("passes requests untranslated, or by stage 2"),
    }
}

/// The entries that `plan.json` and the IOMMU server mean are there, and translate when they should.
fn planned(tables: &Tables<'_>, always_open: &AlwaysOpen, verified: &mut Verified) {
    let entries = verified.addresses.entries.iter();
    let entries = entries.filter(|entry| entry.smmu == tables.number);
    let entries: BTreeMap<u32, u64> = entries.map(|entry| (entry.stream, entry.at)).collect();
    let told = tables.records.streams.iter();
    for record in told.filter(|record| record.u32(4) == tables.number) {
        let stream = record.u32(0);
        let told = tables
            .place
            .address
            .wrapping_add(record.u64(at::STREAM_ENTRY));
        if entries.get(&stream) != Some(&told) {
            verified.say(format!(
                "the IOMMU server is told that the entry of stream {stream:#x} is at {told:#x}"
            ));
        }
        if (record.u32(at::STREAM_ALWAYS_OPEN) != 0) != always_open.contains_key(&stream) {
            verified.say(format!("the IOMMU server and the entry of stream {stream:#x} differ in whether it translates"));
        }
    }
    let behind = tables.plan.behind(tables.smmu);
    for stream in behind.flat_map(|device| &device.streams) {
        if !entries.contains_key(stream) {
            verified.say(format!("stream {stream:#x} of plan.json has no entry"));
        }
        if tables.plan.always_open(tables.smmu, *stream).is_some()
            && !always_open.contains_key(stream)
        {
            verified.say(format!(
                "stream {stream:#x} has direct regions, and does not translate from the start"
            ));
        }
    }
    for stream in always_open
        .keys()
        .filter(|stream| tables.plan.always_open(tables.smmu, **stream).is_none())
    {
        verified.say(format!(
            "stream {stream:#x} translates from the start, and plan.json gives it no direct region"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_an_entry_counts() {
        let abort = [VALID, COHERENT, 0, 0, 0, 0, 0, 0];
        assert_eq!(meaning(&abort, true), Ok(None));
        let stage1 = [0x4000_0040 | 0b1011, COHERENT, 0, 0, 0, 0, 0, 0];
        assert_eq!(meaning(&stage1, true), Ok(Some(0x4000_0040)));
        assert!(meaning(&stage1, false).is_err());
        assert_eq!(meaning(&[VALID, 0, 0, 0, 0, 0, 0, 0], false), Ok(None));
        for (entry, free) in [(abort, 0), (stage1, CONTEXT)] {
            for word in 0..8 {
                for bit in (0..64).map(|bit| 1u64 << bit) {
                    let mut other = entry;
                    other[word] ^= bit;
                    let allowed = word == 0 && bit & free != 0;
                    let read = meaning(&other, true);
                    assert!(allowed || read.is_err(), "word {word}, {bit:#x}: {read:?}");
                }
            }
        }
        let bypass = [VALID | 0b100 << 1, COHERENT, 0, 0, 0, 0, 0, 0];
        assert!(meaning(&bypass, true).unwrap_err().contains("untranslated"));
    }
}
