//! Tables: as the image has them, and each of their parts changed at will.

use iommu::hardware::Hardware;
use iommu::mapped::Mapped;
use iommu::stream;
use smmu::context::CD_WORDS;
use smmu::stream::{
    SPLIT, STE_BYTES, attributes_word, level1_descriptor, stage1_word, stall_disable,
};
use smmu::{Command, ContextDescriptor, Field};
use suite::{Result, check};
use userlib::plan::iommu::SmmuEntry;
use vmsa::{Attributes, Granule, Memory, Permissions, Regime};

use crate::machine::{Device, Got, Machine};

/// Writes what the build step wrote: an aborting entry in a full array, the planned context descriptor, empty leaf
/// tables.
pub fn renew(smmu: &mut Mapped, entry: &SmmuEntry, device: &Device) {
    let slot = u64::from(device.stream.stream_id & ((1 << SPLIT) - 1));
    let array = device.stream.entry - slot * STE_BYTES;
    smmu.store(
        level1_at(entry, device.stream.stream_id),
        level1_descriptor(entry.tables_pa + array),
    );
    let closed = smmu::StreamTableEntry::abort(entry.coherent == 1);
    for (word, at) in closed.0.into_iter().zip((device.stream.entry..).step_by(8)) {
        smmu.store(at, word);
    }
    let context = planned_context(entry, device).encode();
    for (word, at) in context
        .into_iter()
        .zip((device.domain.context..).step_by(8))
    {
        smmu.store(at, word);
    }
    smmu.clear(device.domain.leaf, device.domain.pages);
    smmu.publish();
}

fn planned_context(entry: &SmmuEntry, device: &Device) -> ContextDescriptor {
    ContextDescriptor {
        root: entry.tables_pa + device.domain.root,
        asid: device.domain.asid as u16,
        input_bits: INPUT_BITS,
        output_bits: entry.address_bits,
        mair: vmsa::MAIR,
        coherent: entry.coherent == 1,
    }
}

/// Bits of an IOVA that the image's tables translate: the root is of level 1.
pub const INPUT_BITS: u32 = 39;

/// Offset of the level-1 descriptor of a stream.
pub fn level1_at(entry: &SmmuEntry, stream: u32) -> u64 {
    entry.stream_l1 + u64::from(stream >> SPLIT) * 8
}

/// A leaf of level 3 that lets the device read `output`, and write it if `writable`.
pub fn leaf(output: u64, writable: bool) -> u64 {
    let permissions = if writable {
        Permissions::ReadWrite
    } else {
        Permissions::Read
    };
    match Attributes::new(Regime::Device, Memory::NormalWriteBack, permissions) {
        Ok(attributes) => vmsa::leaf(Granule::Size4K, 3, output, attributes),
        // Nothing executable is asked for.
        Err(_) => 0,
    }
}

/// An entry that leads to the table at `next`.
pub fn table(next: u64) -> u64 {
    vmsa::table(Granule::Size4K, next)
}

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
