//! Tables: as the image has them, and each of their parts changed at will.

use iommu::hardware::Hardware;
use iommu::mapped::Mapped;
use smmu::ContextDescriptor;
use smmu::stream::{SPLIT, STE_BYTES, level1_descriptor};
use userlib::plan::iommu::SmmuEntry;
use vmsa::{Attributes, Granule, Memory, Permissions, Regime};

use crate::device::Device;

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

/// The context descriptor that the build step wrote.
pub fn planned_context(entry: &SmmuEntry, device: &Device) -> ContextDescriptor {
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
