//! Cached configuration: level-1 descriptors, STEs and CDs, word by word.
//!
//! Words of one structure may be read at any time, one by one, in any order, valid or not, and kept
//! until an invalidation names them (rules A1, A2, A6, A9, A10, B6).

use std::collections::BTreeMap;

use crate::structure::{CONTEXT_WORDS, STREAM_WORDS};

/// The words of a structure that are cached.
pub type Words<const N: usize> = [Option<u64>; N];

/// Everything cached of the configuration.
#[derive(Clone, Default, Debug)]
pub struct Cache {
    level1: BTreeMap<u32, u64>,
    streams: BTreeMap<u32, Words<STREAM_WORDS>>,
    contexts: BTreeMap<u32, Words<CONTEXT_WORDS>>,
}

impl Cache {
    /// Whether nothing is cached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.level1.is_empty() && self.streams.is_empty() && self.contexts.is_empty()
    }

    /// The cached level-1 descriptor with an index.
    #[must_use]
    pub fn level1(&self, index: u32) -> Option<u64> {
        self.level1.get(&index).copied()
    }

    /// Keeps a level-1 descriptor.
    pub fn keep_level1(&mut self, index: u32, word: u64) {
        self.level1.insert(index, word);
    }

    /// What is cached of a stream's STE.
    #[must_use]
    pub fn stream(&self, stream: u32) -> Words<STREAM_WORDS> {
        self.streams.get(&stream).copied().unwrap_or_default()
    }

    /// Keeps one word of an STE.
    pub fn keep_stream(&mut self, stream: u32, word: usize, value: u64) {
        if let Some(slot) = self.streams.entry(stream).or_default().get_mut(word) {
            *slot = Some(value);
        }
    }

    /// What is cached of the CD that was read through a stream.
    #[must_use]
    pub fn context(&self, stream: u32) -> Words<CONTEXT_WORDS> {
        self.contexts.get(&stream).copied().unwrap_or_default()
    }

    /// Keeps one word of a CD under the stream it was read through.
    pub fn keep_context(&mut self, stream: u32, word: usize, value: u64) {
        if let Some(slot) = self.contexts.entry(stream).or_default().get_mut(word) {
            *slot = Some(value);
        }
    }

    /// Forgets the CDs of the streams in a range (CFGI_CD, CFGI_CD_ALL).
    pub fn forget_contexts(&mut self, first: u32, last: u32) {
        self.contexts
            .retain(|&stream, _| stream < first || stream > last);
    }

    /// Forgets the STEs in a range and the CDs read through them; with `walked`, the level-1
    /// descriptors that lead to them too (CFGI_STE, CFGI_STE_RANGE).
    pub fn forget_streams(&mut self, first: u32, last: u32, walked: Option<u32>) {
        self.streams
            .retain(|&stream, _| stream < first || stream > last);
        self.forget_contexts(first, last);
        if let Some(split) = walked {
            let (low, high) = (first >> split, last >> split);
            self.level1.retain(|&index, _| index < low || index > high);
        }
    }
}
