//! From a StreamID to an address space, through the caches or past them.

use super::Model;
use super::event::Fault;
use super::registers::{GBPA_ABORT, SMMUEN};
use crate::finding::Check;
use crate::structure::{self, CONTEXT_WORDS, Context, STREAM_WORDS, Stream};

/// What a stream's configuration says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Configuration {
    /// Untranslated.
    Bypass,
    /// Through these tables; TLB entries carry the VMID.
    Translate(Context, u16),
}

impl Model {
    /// Whether new transactions see SMMUEN=1: while it changes, either (rule R1).
    pub(crate) fn enabled(&mut self) -> bool {
        let (written, in_force) = (self.registers.cr0, self.registers.cr0_ack);
        let chosen = if self.chooser.once_in(2) {
            written
        } else {
            in_force
        };
        chosen & SMMUEN != 0
    }

    pub(crate) fn split(&self) -> Option<u32> {
        let split = self.registers.table_config >> 6 & 0x1f;
        let two_levels = self.registers.table_config >> 16 & 3 == 1;
        two_levels.then_some(if matches!(split, 8 | 10) { split } else { 6 })
    }

    /// Address of a stream's STE, or of its level-1 descriptor and the index within the array.
    pub(crate) fn entry_place(&self, stream: u32) -> Result<(u64, Option<u32>), Fault> {
        let log2 = (self.registers.table_config & 0x3f).min(self.features.stream_bits);
        if u64::from(stream) >> log2 != 0 {
            return Err(Fault::BadStreamId);
        }
        let base = self.registers.table_base & 0x00ff_ffff_ffff_ffc0;
        match self.split() {
            None => Ok((base + u64::from(stream) * 64, None)),
            Some(split) => Ok((base + u64::from(stream >> split) * 8, Some(split))),
        }
    }

    /// Where a stream's STE is, by the level-1 descriptor that is cached or in memory.
    fn locate(&mut self, stream: u32) -> Result<u64, Fault> {
        let (place, split) = self.entry_place(stream)?;
        let Some(split) = split else { return Ok(place) };
        let index = stream >> split;
        let cached = self
            .cache
            .level1(index)
            .filter(|_| !self.chooser.once_in(self.liberties.forget));
        let word = match cached {
            Some(word) => word,
            None => {
                let word = self
                    .memory
                    .fetch(place, &mut self.chooser)
                    .ok_or(Fault::StreamFetch)?;
                self.cache.keep_level1(index, word);
                word
            }
        };
        let within = u64::from(stream & ((1 << split) - 1));
        match structure::level1(word, split) {
            Some(array) if within < structure::level1_entries(word) => Ok(array + within * 64),
            _ => Err(Fault::BadStreamId),
        }
    }

    /// The words of a stream's STE, each from the cache or from memory, in any order.
    fn stream_words(&mut self, stream: u32) -> Result<[u64; STREAM_WORDS], Fault> {
        let place = self.locate(stream)?;
        let cached = self.cache.stream(stream);
        let mut order = [0, 1, 2];
        self.chooser.shuffle(&mut order);
        let mut words = [0; STREAM_WORDS];
        for word in order {
            let keep = !self.chooser.once_in(self.liberties.forget);
            words[word] = match cached[word] {
                Some(value) if keep => value,
                _ => {
                    let at = place + word as u64 * 8;
                    let value = self.memory.fetch(at, &mut self.chooser);
                    let value = value.ok_or_else(|| self.outside(at, "STE", Fault::StreamFetch))?;
                    self.cache.keep_stream(stream, word, value);
                    value
                }
            };
        }
        Ok(words)
    }

    fn context_words(&mut self, stream: u32, place: u64) -> Result<[u64; CONTEXT_WORDS], Fault> {
        let cached = self.cache.context(stream);
        let mut order = [0, 1, 2, 3];
        self.chooser.shuffle(&mut order);
        let mut words = [0; CONTEXT_WORDS];
        for word in order {
            let keep = !self.chooser.once_in(self.liberties.forget);
            words[word] = match cached[word] {
                Some(value) if keep => value,
                _ => {
                    let at = place + word as u64 * 8;
                    let value = self.memory.fetch(at, &mut self.chooser);
                    let value = value.ok_or_else(|| self.outside(at, "CD", Fault::ContextFetch))?;
                    self.cache.keep_context(stream, word, value);
                    value
                }
            };
        }
        Ok(words)
    }

    /// Software let a valid pointer lead out of the tables' memory (rules A4, A20).
    pub(crate) fn outside(&mut self, address: u64, what: &str, fault: Fault) -> Fault {
        self.findings.note(Check::Fetch, || {
            format!("{what} at {address:#x} is not in the tables")
        });
        fault
    }

    /// The configuration of a stream, as a transaction of it may see it now.
    pub(crate) fn configuration(&mut self, stream: u32) -> Result<Configuration, Fault> {
        if !self.enabled() {
            let abort = self.registers.gbpa & GBPA_ABORT != 0;
            return if abort {
                Err(Fault::Silent)
            } else {
                Ok(Configuration::Bypass)
            };
        }
        let words = self.stream_words(stream)?;
        let (place, vmid, stall_disabled) = match structure::stream(words, &self.features) {
            Stream::Abort => return Err(Fault::Silent),
            Stream::Bypass => return Ok(Configuration::Bypass),
            Stream::Bad(reason) => {
                if words[0] & 1 != 0 {
                    self.findings.note(Check::Illegal, || {
                        format!(
                            "STE of stream {stream:#x} is valid but illegal: {reason} {words:x?}"
                        )
                    });
                }
                return Err(Fault::BadStream);
            }
            Stream::Translate {
                context,
                vmid,
                stall_disabled,
            } => (context, vmid, stall_disabled),
        };
        if structure::context_attributes(words[1]) != (1, 1, 3) {
            self.findings.note(Check::Attributes, || {
                format!(
                    "STE of stream {stream:#x}: CD reads not write-back inner shareable {words:x?}"
                )
            });
        }
        let words = self.context_words(stream, place)?;
        match structure::context(words, stall_disabled, &self.features) {
            Ok(context) => {
                self.check_context(stream, words[0]);
                let vmid = if self.features.stage2 { vmid } else { 0 };
                Ok(Configuration::Translate(context, vmid))
            }
            Err(reason) => {
                self.findings.note(Check::Illegal, || {
                    format!("CD of stream {stream:#x} is illegal: {reason} {words:x?}")
                });
                Err(Fault::BadContext)
            }
        }
    }

    fn check_context(&mut self, stream: u32, first: u64) {
        if structure::walk_attributes(first) != (1, 1, 3) {
            self.findings.note(Check::Attributes, || {
                format!("CD of stream {stream:#x}: walks not write-back inner shareable {first:x}")
            });
        }
        if structure::fault_model(first) != (true, true) {
            self.findings.note(Check::Illegal, || {
                format!("CD of stream {stream:#x}: faults do not abort and record {first:x}")
            });
        }
    }

    /// The processor is about to store to a word, or just did: if it belongs to a structure, some of that
    /// structure's words are read now (rules A1, A9).
    pub(crate) fn pounce(&mut self, address: u64) {
        if self.registers.cr0_ack & SMMUEN == 0 || !self.chooser.once_in(self.liberties.pounce) {
            return;
        }
        for index in 0..self.streams.len() {
            let Some(&stream) = self.streams.get(index) else {
                return;
            };
            let Ok((place, split)) = self.entry_place(stream) else {
                continue;
            };
            if split.is_some() && place == address && self.chooser.once_in(2) {
                let _ = self.locate(stream);
                continue;
            }
            let Ok(entry) = self.peek_entry(stream, place, split) else {
                continue;
            };
            if (entry..entry + 64).contains(&address) {
                self.read_some_of_stream(stream, entry);
                continue;
            }
            let first = self.memory.latest(entry).unwrap_or(0);
            let pointer = first & 0x00ff_ffff_ffff_ffc0;
            let stage1 = first & 0b1111 == 0b1011;
            if stage1 && (pointer..pointer + 64).contains(&address) {
                self.read_some_of_context(stream, pointer);
            }
        }
    }

    fn peek_entry(&self, stream: u32, place: u64, split: Option<u32>) -> Result<u64, Fault> {
        let Some(split) = split else { return Ok(place) };
        let word = self.memory.latest(place).ok_or(Fault::StreamFetch)?;
        let within = u64::from(stream & ((1 << split) - 1));
        match structure::level1(word, split) {
            Some(array) if within < structure::level1_entries(word) => Ok(array + within * 64),
            _ => Err(Fault::BadStreamId),
        }
    }

    fn read_some_of_stream(&mut self, stream: u32, place: u64) {
        for word in 0..STREAM_WORDS {
            if self.chooser.once_in(2) && self.cache.stream(stream)[word].is_none() {
                let at = place + word as u64 * 8;
                if let Some(value) = self.memory.fetch(at, &mut self.chooser) {
                    self.cache.keep_stream(stream, word, value);
                }
            }
        }
    }

    fn read_some_of_context(&mut self, stream: u32, place: u64) {
        for word in 0..CONTEXT_WORDS {
            if self.chooser.once_in(2) && self.cache.context(stream)[word].is_none() {
                let at = place + word as u64 * 8;
                if let Some(value) = self.memory.fetch(at, &mut self.chooser) {
                    self.cache.keep_context(stream, word, value);
                }
            }
        }
    }
}
