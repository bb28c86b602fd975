//! From the claim to a running device.

use blk_server::start::{Claim, NoDisk, claim, map_own, own_pool};
use iommu_api::MapFlags;
use pci_api::Width;
use pci_api::client::Client;
use userlib::config;
use userlib::delay::{Delay, Patience};
use userlib::memory::PoolMemory;
use userlib::plan::task::DeviceEntry;
use userlib::registers::MappedRegisters;
use userlib::server::Server;
use virtio_blk::capability::{self, ConfigurationSpace, Missing, Place};
use virtio_blk::layout;
use virtio_blk::queue::SplitQueue;
use virtio_blk::request::LINKS;
use virtio_blk::transport::{Negotiated, QueueAddresses, StartError, Transport};

/// The device's own configuration space, through the PCI task.
struct Space {
    pci: Client<Server>,
    device: u32,
}

impl ConfigurationSpace for Space {
    fn read32(&mut self, offset: u16) -> u32 {
        let mut patience = Patience::new(Delay::new());
        loop {
            match self.pci.config_read(self.device, offset, Width::Word) {
                Ok(value) => return value,
                Err(failure) if failure.is_outage() && patience.wait() => {}
                // What a bus without the device would answer.
                Err(_) => return u32::MAX,
            }
        }
    }
}

fn registers(device: &'static DeviceEntry, place: &Place) -> Result<MappedRegisters, NoDisk> {
    let bar = MappedRegisters::bar(device, place.bar).ok_or(NoDisk::Plan("BAR of the device"))?;
    Ok(bar.part(place.offset, place.len))
}

/// The running device, nothing asked of it yet.
pub struct Started<'s> {
    /// The notification bit of the device's interrupt.
    pub interrupt: u32,
    /// The claim on it.
    pub claim: Claim<'s>,
    /// The device's registers.
    pub transport: Transport<MappedRegisters>,
    /// The features and sizes that driver and device agreed on.
    pub negotiated: Negotiated,
    /// The device's only queue.
    pub queue: SplitQueue<PoolMemory>,
    /// IOVA of what it reads.
    pub readable: u64,
    /// IOVA of what it writes.
    pub writable: u64,
}

/// Finds the device's structures.
fn transport(
    device: &'static DeviceEntry,
    space: &mut Space,
) -> Result<Transport<MappedRegisters>, NoDisk> {
    let structures =
        capability::find(space, &device.bar_len).map_err(|Missing(what)| NoDisk::Missing(what))?;
    Ok(Transport {
        common: registers(device, &structures.common)?,
        notify: registers(device, &structures.notify)?,
        notify_multiplier: structures.notify_multiplier,
        isr: registers(device, &structures.isr)?,
        device: registers(device, &structures.device)?,
        messages: device.vectors != 0,
    })
}

/// Says what disk it is.
fn announce(device: &DeviceEntry, negotiated: &Negotiated) {
    let geometry = negotiated.geometry;
    defmt::info!(
        "{=str}: {=u64} KiB{=str}, queue of {=u16}, {=str}",
        device.name.as_str(),
        geometry.sectors / 2,
        if geometry.read_only {
            ", read-only"
        } else {
            ""
        },
        negotiated.queue_size,
        if geometry.flush {
            "volatile cache"
        } else {
            "write-through"
        },
    );
}

/// Claims the disk, maps the driver's own memory for it, and sets it running.
pub fn start(iommu: &Server) -> Result<Started<'_>, NoDisk> {
    let device = config::devices()
        .first()
        .ok_or(NoDisk::Plan("device to drive"))?;
    let pool = own_pool(layout::POOL_LEN)?;
    let pci = Server::named("pci").ok_or(NoDisk::Plan("pci for this driver"))?;

    let mut claim = claim(iommu, device.device)?;
    let mut space = Space {
        pci: Client(pci),
        device: device.device,
    };
    let transport = transport(device, &mut space)?;

    // The device starts only after its deadline-bound reset, so both maps are in place before it looks.
    let mut map = |offset, len, flags| map_own(&mut claim, offset, len, flags);
    let readable = map(layout::READABLE, layout::READABLE_LEN, MapFlags::READ)?;
    let writable = map(layout::WRITABLE, layout::WRITABLE_LEN, MapFlags::READ_WRITE)?;

    let negotiated = transport.negotiate(&mut Delay::new()).map_err(|error| {
        transport.fail();
        NoDisk::Device(error.name())
    })?;
    let queue = SplitQueue::new(pool, negotiated.queue_size, LINKS)
        .ok_or(NoDisk::Device(StartError::Queue.name()))?;
    transport.run(&QueueAddresses {
        descriptors: readable + (layout::DESCRIPTORS - layout::READABLE) as u64,
        available: readable + (layout::AVAILABLE - layout::READABLE) as u64,
        used: writable + (layout::USED - layout::WRITABLE) as u64,
    });

    announce(device, &negotiated);
    Ok(Started {
        interrupt: device.interrupt,
        claim,
        transport,
        negotiated,
        queue,
        readable,
        writable,
    })
}
