//! One node and its header.

use super::super::bytes::{Bytes, index};

/// Types of nodes (DEN 0049, table 2).
pub const ITS_GROUP: u8 = 0;
pub const NAMED_COMPONENT: u8 = 1;
pub const ROOT_COMPLEX: u8 = 2;
pub const OLD_SMMU: u8 = 3;
pub const SMMU_V3: u8 = 4;
pub const PMCG: u8 = 5;
pub const RMR: u8 = 6;
pub const WIRE_BRIDGE: u8 = 7;

/// Bytes of a node's header.
pub const HEADER: usize = 16;

/// A node's bytes.
pub struct Node<'a> {
    pub offset: usize,
    pub kind: u8,
    pub revision: u8,
    pub identifier: u32,
    pub mapping_count: u32,
    pub mapping_offset: u32,
    pub bytes: Bytes<'a>,
}

impl<'a> Node<'a> {
    /// The node at an offset, or what is wrong with its header.
    pub fn read(table: Bytes<'a>, at: usize) -> Result<Self, String> {
        let header = table.part(at, HEADER);
        let header = header.ok_or_else(|| {
            format!(
                "begins outside of the table, whose length is {:#x} bytes",
                table.len()
            )
        })?;
        let fields = || {
            Some((
                header.u8(0)?,
                header.u16(1)?,
                header.u8(3)?,
                [header.u32(4)?, header.u32(8)?, header.u32(12)?],
            ))
        };
        let (kind, len, revision, [identifier, mapping_count, mapping_offset]) =
            fields().ok_or_else(|| "has no header".to_owned())?;
        if usize::from(len) < HEADER {
            return Err(format!(
                "has a length of {len} bytes, and a node's header alone has {HEADER}"
            ));
        }
        let bytes = table.part(at, usize::from(len)).ok_or_else(|| {
            format!(
                "has a length of {len} bytes and ends outside of the table, which ends at {:#x}",
                table.len()
            )
        })?;
        Ok(Self {
            offset: at,
            kind,
            revision,
            identifier,
            mapping_count,
            mapping_offset,
            bytes,
        })
    }

    /// The node's fields: those of revision 0 end at `oldest`. Mappings can follow at once, whatever the
    /// revision says, and then later fields are not there.
    pub fn fields(&self, oldest: usize) -> Bytes<'a> {
        let mappings = index(self.mapping_offset);
        if self.mapping_count > 0 && mappings >= oldest {
            self.bytes.before(mappings)
        } else {
            self.bytes
        }
    }

    pub fn kind_name(&self) -> &'static str {
        kind_name(self.kind)
    }
}

pub fn kind_name(kind: u8) -> &'static str {
    match kind {
        ITS_GROUP => "ITS group",
        NAMED_COMPONENT => "named component",
        ROOT_COMPLEX => "root complex",
        OLD_SMMU => "SMMUv1/v2",
        SMMU_V3 => "SMMUv3",
        PMCG => "PMCG",
        RMR => "RMR",
        WIRE_BRIDGE => "interrupt wire bridge",
        _ => "unknown",
    }
}
