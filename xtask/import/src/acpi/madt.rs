//! MADT: the interrupt controller (ACPI 6.5, 5.2.12.14 to 5.2.12.18); its signature is `APIC`.

use super::bytes::Bytes;
use super::finding::{FIRMWARE, Findings};

/// The interrupt controller.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Gic {
    /// The distributor, if one is described.
    pub distributor: Option<Distributor>,
    /// Ranges of redistributors. They may be in the cores' structures instead.
    pub redistributors: Vec<Redistributors>,
    /// Translation services.
    pub services: Vec<Service>,
    /// Pages in which a write is an interrupt (GICv2m).
    pub frames: Vec<MessageFrame>,
    /// Cores.
    pub cores: Vec<Core>,
}

/// The distributor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Distributor {
    /// Address of its registers.
    pub base: u64,
    /// Version of the interrupt controller; 0 if only its own registers say it.
    pub version: u8,
}

/// Redistributors that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redistributors {
    /// Address of the first one's registers.
    pub base: u64,
    /// Bytes of all of them.
    pub len: u32,
}

/// An interrupt translation service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    /// The identifier that the IORT uses for it.
    pub id: u32,
    /// Address of its registers.
    pub base: u64,
}

/// A page of GICv2m.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageFrame {
    /// Its identifier.
    pub id: u32,
    /// Address of its registers.
    pub base: u64,
    /// Flags; bit 0 says that the next two fields count, and not the registers.
    pub flags: u32,
    /// How many interrupts it has.
    pub count: u16,
    /// The first of them.
    pub first: u16,
}

/// A core's interface to the interrupt controller. An address or number that is 0 is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Core {
    /// Number of the core's object in the namespace.
    pub uid: u32,
    /// The core's affinity.
    pub mpidr: u64,
    /// Firmware left the core usable.
    pub enabled: bool,
    /// Address of the interface of a GICv2.
    pub interface: u64,
    /// Address of the interface for guests.
    pub virtual_interface: u64,
    /// Address of the control of the interface for guests.
    pub virtual_control: u64,
    /// Interrupt of that control.
    pub maintenance: u32,
    /// Address of the core's own redistributor.
    pub redistributor: u64,
    /// Interrupt of the performance counters.
    pub counters: u32,
    /// Bytes of the structure.
    pub structure: u8,
}

/// Offset of the first structure.
const STRUCTURES: usize = 44;
/// Types of structures (ACPI 6.5, table 5.21), with the bytes that are needed of each.
const CORE: (u8, usize) = (0x0b, 76);
const DISTRIBUTOR: (u8, usize) = (0x0c, 24);
const FRAME: (u8, usize) = (0x0d, 24);
const REDISTRIBUTORS: (u8, usize) = (0x0e, 16);
const SERVICE: (u8, usize) = (0x0f, 20);

pub(super) fn read(table: Bytes<'_>, findings: &mut Findings<'_>) -> Gic {
    let mut gic = Gic::default();
    let mut at = STRUCTURES;
    while at < table.len() {
        let len = table.u8(at + 1).map_or(0, usize::from);
        let structure = table.part(at, len).filter(|_| len >= 2);
        let (Some(kind), Some(structure)) = (table.u8(at), structure) else {
            findings.error(
                at,
                format!(
                    "a structure has a length of {len} bytes, and the table has {} more",
                    table.len() - at
                ),
                FIRMWARE,
            );
            break;
        };
        let known = [CORE, DISTRIBUTOR, FRAME, REDISTRIBUTORS, SERVICE];
        let least = known.iter().find(|known| known.0 == kind);
        match least {
            Some((_, least)) if len < *least => findings.error(
                at,
                format!("a structure of type {kind:#x} has {len} bytes, and {least} are needed"),
                FIRMWARE,
            ),
            // Structures of other types are about other processors and what is of no use here.
            _ => {
                add(&mut gic, kind, structure, at, findings);
            }
        }
        at += len;
    }
    gic
}

fn add(
    gic: &mut Gic,
    kind: u8,
    structure: Bytes<'_>,
    at: usize,
    findings: &mut Findings<'_>,
) -> Option<()> {
    if kind == CORE.0 {
        gic.cores.push(core(structure)?);
    } else if kind == DISTRIBUTOR.0 {
        let found = Distributor {
            base: structure.u64(8)?,
            version: structure.u8(20)?,
        };
        match &gic.distributor {
            Some(first) if *first != found => findings.error(
                at,
                format!(
                    "two distributors are described, one at {:#x} and one at {:#x}",
                    first.base, found.base
                ),
                FIRMWARE,
            ),
            _ => gic.distributor = Some(found),
        }
    } else if kind == FRAME.0 {
        gic.frames.push(MessageFrame {
            id: structure.u32(4)?,
            base: structure.u64(8)?,
            flags: structure.u32(16)?,
            count: structure.u16(20)?,
            first: structure.u16(22)?,
        });
    } else if kind == REDISTRIBUTORS.0 {
        gic.redistributors.push(Redistributors {
            base: structure.u64(4)?,
            len: structure.u32(12)?,
        });
    } else if kind == SERVICE.0 {
        let found = Service {
            id: structure.u32(4)?,
            base: structure.u64(8)?,
        };
        if let Some(first) = gic.services.iter().find(|other| other.id == found.id) {
            findings.error(
                at,
                format!(
                    "two translation services have the identifier {}, one at {:#x} and one at {:#x}",
                    found.id, first.base, found.base
                ),
                FIRMWARE,
            );
        }
        gic.services.push(found);
    }
    Some(())
}

fn core(structure: Bytes<'_>) -> Option<Core> {
    Some(Core {
        uid: structure.u32(8)?,
        enabled: structure.u32(12)? & 1 != 0,
        counters: structure.u32(20)?,
        interface: structure.u64(32)?,
        virtual_interface: structure.u64(40)?,
        virtual_control: structure.u64(48)?,
        maintenance: structure.u32(56)?,
        redistributor: structure.u64(60)?,
        mpidr: structure.u64(68)?,
        structure: structure.u8(1)?,
    })
}
