//! From the claim to a controller that can be brought up.

use core::fmt::Write as _;

use blk_server::start::{Claim, NoDisk, claim, map_own, own_pool};
use heapless::String;
use iommu_api::MapFlags;
use nvme::controller::{Controller, Vector, Vectors};
use nvme::disk::Disk;
use nvme::layout::{self, Places};
use userlib::config;
use userlib::memory::PoolMemory;
use userlib::plan::task::DeviceEntry;
use userlib::registers::MappedRegisters;
use userlib::server::Server;

/// A parameter with the number of the namespace that all clients are given, and, with a client's name after it, one.
const NAMESPACE: &str = "namespace";

/// The controller, whose registers and memory are mapped.
pub struct Found<'s> {
    /// The device, as the plan has it.
    pub device: &'static DeviceEntry,
    /// The claim on it.
    pub claim: Claim<'s>,
    /// The controller.
    pub controller: Controller<MappedRegisters, PoolMemory>,
}

/// Claims the controller, and maps the driver's own memory for it.
pub fn find(iommu: &Server) -> Result<Found<'_>, NoDisk> {
    let device = config::devices()
        .first()
        .ok_or(NoDisk::Plan("device to drive"))?;
    if device.interrupt == 0 {
        return Err(NoDisk::Plan("interrupt of the device"));
    }
    let pool = own_pool(layout::POOL_LEN)?;
    let mut claim = claim(iommu, device.device)?;
    let registers = MappedRegisters::bar(device, 0).ok_or(NoDisk::Plan("BAR of the device"))?;
    let mut map = |offset, len, flags| map_own(&mut claim, offset, len, flags);
    let places = Places {
        readable: map(layout::READABLE, layout::READABLE_LEN, MapFlags::READ)?,
        writable: map(layout::WRITABLE, layout::WRITABLE_LEN, MapFlags::READ_WRITE)?,
    };
    let controller =
        Controller::new(registers, pool, places).map_err(|error| NoDisk::Device(error.name()))?;
    Ok(Found {
        device,
        claim,
        controller,
    })
}

/// The vectors of the I/O queues: those of its messages, that of vector 0 the lowest bit, and a pair of queues for each as far
/// as there is room. A line is one vector.
pub fn vectors(interrupt: u32) -> Vectors {
    let mut vectors = Vectors::new();
    let mut bits = interrupt;
    while bits != 0 {
        let bit = bits & bits.wrapping_neg();
        bits ^= bit;
        let number = vectors.len() as u16;
        if vectors.push(Vector { number, bit }).is_err() {
            break;
        }
    }
    vectors
}

/// The number of the namespace that the plan gives a task.
pub fn namespace_of(task: usize) -> Option<u32> {
    let mut name: String<48> = String::new();
    let own = write!(name, "{NAMESPACE}-{}", config::peer_name(task));
    let own = own.ok().and_then(|()| config::parameter(&name));
    let number = own.or_else(|| config::parameter(NAMESPACE))?;
    u32::try_from(number).ok()
}

/// Says what disks they are.
pub fn announce(device: &DeviceEntry, disk: &Disk<MappedRegisters, PoolMemory>) {
    for namespace in disk.namespaces() {
        let geometry = namespace.geometry;
        defmt::info!(
            "{=str}: namespace {=u32}: {=u64} KiB in blocks of {=u32}{=str}, {=str}",
            device.name.as_str(),
            namespace.number,
            geometry.sectors / 2,
            geometry.block_bytes,
            if geometry.read_only {
                ", read-only"
            } else {
                ""
            },
            if geometry.flush {
                "volatile cache"
            } else {
                "no cache"
            },
        );
    }
}
