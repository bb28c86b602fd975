//! What a driver does before it has a device: its claim, and its own memory.

use core::fmt;

use iommu_api::client::{Device, Failure};
use iommu_api::enduring::Enduring;
use iommu_api::{Extent, MapFlags, PAGE};
use userlib::config;
use userlib::memory::{Memory, PoolMemory};
use userlib::plan::task::MappingKind;
use userlib::server::Server;

use crate::pause::Pause;

/// The driver's own pool.
const POOL: u16 = 0;

/// A claim that lets the driver's timer be.
pub type Claim<'s> = Enduring<Device<'s>, Pause>;

/// Claims the device. A server that is down, or does not serve yet, is waited for.
pub fn claim(iommu: &Server, device: u32) -> Result<Claim<'_>, NoDisk> {
    let claimed = Enduring::claim_with(iommu, device, Pause::new());
    claimed.map_err(|error| NoDisk::Iommu("the claim", error))
}

/// Why there is no disk to serve.
pub enum NoDisk {
    /// The plan lacks something that this driver needs.
    Plan(&'static str),
    /// The IOMMU server does not give the device or a mapping.
    Iommu(&'static str, Failure),
    /// The device has no usable structures.
    Missing(&'static str),
    /// The device does not come up.
    Device(&'static str),
}

impl fmt::Display for NoDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(what) => write!(f, "the plan has no {what}"),
            Self::Iommu(what, failure) => write!(f, "iommu, {what}: {}", failure.name()),
            Self::Missing(what) => write!(f, "device without {what}"),
            Self::Device(why) => f.write_str(why),
        }
    }
}

/// The driver's own memory, which has to have this length.
pub fn own_pool(len: usize) -> Result<PoolMemory, NoDisk> {
    let pool = config::mappings(MappingKind::Pool)
        .next()
        .ok_or(NoDisk::Plan("DMA pool"))?;
    let pool = PoolMemory::of(pool);
    if pool.len() < len {
        return Err(NoDisk::Plan("DMA pool that is large enough"));
    }
    // What the device writes lies side by side with what the driver writes.
    if !pool.is_coherent() {
        return Err(NoDisk::Plan("disk that snoops the caches"));
    }
    Ok(pool)
}

/// Maps whole pages of the driver's own memory: their place.
pub fn map_own(
    claim: &mut Claim<'_>,
    offset: usize,
    len: usize,
    flags: MapFlags,
) -> Result<u64, NoDisk> {
    let extent = Extent {
        first: (offset as u64 / PAGE) as u32,
        pages: (len as u64 / PAGE) as u32,
    };
    claim
        .map(POOL, extent, flags)
        .map_err(|error| NoDisk::Iommu("its queue", error))
}
