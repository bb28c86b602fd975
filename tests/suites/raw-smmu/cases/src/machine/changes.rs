//! Changes of tables, and what the SMMU has to forget after them.

use iommu::hardware::Hardware;
use iommu::stream;
use smmu::context::CD_WORDS;
use smmu::stream::{attributes_word, stage1_word, stall_disable};
use smmu::{Command, Field};
use suite::{Result, check};

use super::{Got, Machine};
use crate::tables::planned_context;

impl Machine {
    /// Stores a word of table memory.
    pub fn store(&mut self, offset: u64, word: u64) {
        self.smmu.store(offset, word);
        self.smmu.publish();
    }

    /// Writes a leaf of a device's window; nothing is invalidated.
    pub fn map(&mut self, number: usize, page: u64, leaf: u64) -> Result {
        let domain = self.device(number)?.domain;
        check!(page < domain.pages);
        self.store(domain.leaf + page * 8, leaf);
        Ok(())
    }

    /// Opens a device's stream by the server's own code.
    pub fn open_stream(&mut self, number: usize) -> Result {
        let device = self.device(number)?;
        let (stream, domain) = (device.stream, device.domain);
        let streams = [(stream.stream_id, stream.entry)];
        let word = stage1_word(self.entry.tables_pa + domain.context);
        let opened = stream::open(
            &mut self.smmu,
            &mut self.commands,
            streams.into_iter(),
            word,
            domain.asid as u16,
        );
        check!(opened.is_ok());
        Ok(())
    }

    /// Writes two words of a device's stream table entry; nothing is invalidated.
    pub fn set_stream(&mut self, number: usize, words: [u64; 2]) -> Result {
        let at = self.device(number)?.stream.entry;
        let [first, second] = words;
        // Word 1 first: a valid word 0 must not meet the attributes of before.
        self.store(at + 8, second);
        self.store(at, first);
        Ok(())
    }

    /// Words of an open entry whose context descriptor is at `context`.
    pub fn stream_words(&self, context: u64) -> [u64; 2] {
        let attributes = attributes_word(true, stall_disable(&self.features));
        [smmu::stream::stage1_word(context), attributes]
    }

    /// Words of a device's open entry.
    pub fn open_words(&self, number: usize) -> Got<[u64; 2]> {
        let context = self.entry.tables_pa + self.device(number)?.domain.context;
        Ok(self.stream_words(context))
    }

    /// The words of a device's context descriptor as planned.
    pub fn context_words(&self, number: usize) -> Got<[u64; CD_WORDS]> {
        Ok(planned_context(&self.entry, self.device(number)?).encode())
    }

    /// Writes a device's context descriptor; nothing is invalidated.
    pub fn set_context(&mut self, number: usize, words: [u64; CD_WORDS]) -> Result {
        let at = self.device(number)?.domain.context;
        for (word, at) in words.into_iter().zip((at..).step_by(8)) {
            self.smmu.store(at, word);
        }
        self.smmu.publish();
        Ok(())
    }

    /// The planned descriptor with one field of word 0 changed.
    pub fn context_with(&self, number: usize, field: Field, value: u64) -> Got<[u64; CD_WORDS]> {
        let mut words = self.context_words(number)?;
        let [first, ..] = &mut words;
        *first = *first & !field.mask() | field.put(value);
        Ok(words)
    }

    /// Has the SMMU forget a device's stream table entry, its level-1 descriptor, its context descriptor and its
    /// translations.
    pub fn forget_stream(&mut self, number: usize) -> Result {
        let device = self.device(number)?;
        let (stream, asid) = (device.stream.stream_id, device.domain.asid as u16);
        self.issue(&[
            Command::ConfigStream {
                stream,
                leaf: false,
            },
            Command::Sync,
            Command::TlbAsid { asid },
        ])
    }
}
