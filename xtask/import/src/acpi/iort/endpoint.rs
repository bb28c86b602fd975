//! Nodes of requesters: PCI segments and devices that are not on PCI (DEN 0049, tables 12 to 16).

use super::super::bytes::Bytes;
use super::head::Head;
use super::node::Node;

/// How a requester reaches memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Its accesses snoop the caches.
    pub coherent: bool,
    /// Its path to memory is coherent as far as it goes.
    pub coherent_path: bool,
    /// Its accesses are cacheable and shareable.
    pub cacheable: bool,
}

/// A PCI segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootComplex {
    /// What every node has.
    pub head: Head,
    /// How its functions reach memory.
    pub access: Access,
    /// PCI segment.
    pub segment: u32,
    /// It supports address translation services.
    pub ats: bool,
    /// Bits of an address that it can drive, from revision 1 on.
    pub address_bits: Option<u8>,
    /// Bits of a PASID, from revision 3 on.
    pub pasid_bits: Option<u16>,
    /// Flags, from revision 4 on.
    pub flags: Option<u32>,
}

/// A device that is not on PCI.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedComponent {
    /// What every node has.
    pub head: Head,
    /// Flags.
    pub flags: u32,
    /// How it reaches memory.
    pub access: Access,
    /// Bits of an address that it can drive; 0 if that is not said.
    pub address_bits: u8,
    /// Its object in the namespace.
    pub path: String,
}

impl NamedComponent {
    /// It can wait for a page.
    #[must_use]
    pub fn stalls(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Bits of a PASID.
    #[must_use]
    pub fn pasid_bits(&self) -> u32 {
        self.flags >> 1 & 0x1f
    }
}

/// Bytes of a node of revision 0 before its mappings or its name.
const ROOT: usize = 32;
const NAME: usize = 29;

fn access(fields: Bytes<'_>, at: usize) -> Option<Access> {
    let flags = fields.u8(at + 7)?;
    Some(Access {
        coherent: fields.u32(at)? == 1,
        coherent_path: flags & 1 != 0,
        cacheable: flags & 2 != 0,
    })
}

pub fn root(node: &Node<'_>, head: Head) -> Option<RootComplex> {
    let fields = node.fields(ROOT);
    let since = |revision: u8| node.revision >= revision;
    Some(RootComplex {
        access: access(fields, 16)?,
        ats: fields.u32(24)? & 1 != 0,
        segment: fields.u32(28)?,
        address_bits: fields.u8(32).filter(|_| since(1)),
        pasid_bits: fields
            .u16(33)
            .filter(|_| since(3))
            .map(|capability| capability & 0x1f),
        flags: fields.u32(36).filter(|_| since(4)),
        head,
    })
}

pub fn named(node: &Node<'_>, head: Head) -> Option<NamedComponent> {
    let fields = node.fields(NAME);
    Some(NamedComponent {
        flags: fields.u32(16)?,
        access: access(fields, 20)?,
        address_bits: fields.u8(28)?,
        path: fields.text(NAME),
        head,
    })
}
