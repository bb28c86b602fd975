//! One attempt after the other.

use abi::notification;
use edu::channel::Channel;
use edu::{Direction, TRANSFER_MAX, Transfer, pattern};
use iommu_api::client::{Device, Failure};
use iommu_api::{Extent, FAULT_NOTIFICATION, FaultRecord, MapFlags, PAGE};
use rogue::{LEN, MARKER, event_name, leaked, offset};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::MappingKind;
use userlib::server::Server;
use userlib::{config, ipc, time};
use witness::attempt::{Attempt, Target};

/// Pages of the pool: the one that moves data legitimately, and two to be attacked.
const SCRATCH: usize = 0;
const UNMAPPED: usize = 1;
const READ_ONLY: usize = 2;
const PAGE_BYTES: usize = PAGE as usize;
/// Seed of the pattern in the attacked pages.
const CONTENT: u8 = 0x31;
/// Slot of the device's buffer for what is no attempt.
const WARM_UP: usize = 60;
/// Nanoseconds to wait for a fault that has not come when the transfer ends.
const FAULT_WAIT: u64 = 20_000_000;

/// The rogue's device and what it has mapped, all by right.
pub struct Trial<'s> {
    claim: Device<'s>,
    channel: Channel,
    pool: PoolMemory,
    scratch: u64,
    unmapped: u64,
    read_only: u64,
    fault_bit: u32,
}

fn page(number: usize) -> Extent {
    Extent {
        first: number as u32,
        pages: 1,
    }
}

impl<'s> Trial<'s> {
    /// Claims the device, maps the pages, and shows that the device moves data where it may: without
    /// that, an attempt that moves nothing would prove nothing.
    pub fn new(iommu: &'s Server) -> Result<Self, &'static str> {
        let device = config::devices().first().ok_or("no device in the plan")?;
        let pool = config::mappings(MappingKind::Pool)
            .next()
            .ok_or("no pool in the plan")?;
        let pool = PoolMemory::of(pool);
        if pool.len() < 3 * PAGE_BYTES {
            return Err("the pool is smaller than three pages");
        }
        let mut claim = Device::claim(iommu, device.device).map_err(Failure::name)?;
        let channel = Channel::new(device).map_err(|_| "not an edu that answers")?;
        let scratch = claim
            .map(0, page(SCRATCH), MapFlags::READ_WRITE)
            .map_err(Failure::name)?;
        let unmapped = claim
            .map(0, page(UNMAPPED), MapFlags::READ_WRITE)
            .map_err(Failure::name)?;
        let read_only = claim
            .map(0, page(READ_ONLY), MapFlags::READ)
            .map_err(Failure::name)?;
        let fault_bit = config::notification(FAULT_NOTIFICATION).unwrap_or(0);
        let mut trial = Self {
            claim,
            channel,
            pool,
            scratch,
            unmapped,
            read_only,
            fault_bit,
        };
        trial.control()?;
        Ok(trial)
    }

    /// The device's number.
    pub fn device(&self) -> u32 {
        self.claim.number()
    }

    fn run(
        &self,
        direction: Direction,
        iova: u64,
        at: usize,
        len: usize,
    ) -> Result<(), &'static str> {
        let transfer = Transfer {
            direction,
            iova,
            offset: at,
            len,
        };
        publish();
        self.channel
            .run(&transfer)
            .map_err(|_| "a transfer did not end")?;
        acquire();
        Ok(())
    }

    /// Fills the device's buffer with the marker and takes it back, then reads both attacked pages
    /// while that is allowed, so that their translations are cached when they are attacked.
    fn control(&mut self) -> Result<(), &'static str> {
        pattern::write(&self.pool, SCRATCH * PAGE_BYTES, TRANSFER_MAX, MARKER);
        for attacked in [UNMAPPED, READ_ONLY] {
            pattern::write(&self.pool, attacked * PAGE_BYTES, PAGE_BYTES, CONTENT);
        }
        self.run(Direction::FromMemory, self.scratch, 0, TRANSFER_MAX)?;
        self.pool.fill(SCRATCH * PAGE_BYTES, PAGE_BYTES, 0);
        self.run(Direction::ToMemory, self.scratch, 0, TRANSFER_MAX)?;
        if pattern::differences(&self.pool, SCRATCH * PAGE_BYTES, TRANSFER_MAX, MARKER) != 0 {
            return Err("the device does not move data even where it may");
        }
        for iova in [self.unmapped, self.read_only] {
            self.run(Direction::FromMemory, iova, offset(WARM_UP), LEN)?;
        }
        self.claim.unmap(self.unmapped, 1).map_err(Failure::name)?;
        while self.claim.next_fault().map_err(Failure::name)?.is_some() {}
        defmt::info!(
            "device moves {=usize} bytes where it may; now where it may not",
            TRANSFER_MAX
        );
        Ok(())
    }

    /// Makes attempt `number` and says what came of it.
    pub fn attempt(
        &mut self,
        number: usize,
        target: Target,
        read: bool,
    ) -> Result<Attempt, &'static str> {
        let iova = match target.parameter() {
            Some(name) => config::parameter(name).ok_or("an address is missing in the plan")?,
            None if target == Target::Unmapped => self.unmapped,
            None => self.read_only,
        };
        let moved = if read {
            self.run(Direction::FromMemory, iova, offset(number), LEN)?;
            self.pool.fill(SCRATCH * PAGE_BYTES, LEN, 0);
            self.run(Direction::ToMemory, self.scratch, offset(number), LEN)?;
            leaked(&self.pool, SCRATCH * PAGE_BYTES, number)
        } else {
            self.run(Direction::ToMemory, iova, offset(number), LEN)?;
            self.changed()
        };
        let fault = self.fault()?;
        log(target, read, iova, moved, fault);
        Ok(Attempt {
            target,
            read,
            device: self.claim.number(),
            iova,
            len: LEN as u32,
            moved: moved as u32,
        })
    }

    /// Bytes of the attacked pages that are not as they were.
    fn changed(&self) -> usize {
        [UNMAPPED, READ_ONLY]
            .into_iter()
            .map(|attacked| {
                pattern::differences(&self.pool, attacked * PAGE_BYTES, PAGE_BYTES, CONTENT)
            })
            .sum()
    }

    /// The first fault since the last attempt, with the accesses of all of them.
    fn fault(&self) -> Result<Option<FaultRecord>, &'static str> {
        let mut first = self.claim.next_fault().map_err(Failure::name)?;
        if first.is_none() {
            time::set_timer(Some(time::now().after(FAULT_WAIT)));
            let _ = ipc::receive(self.fault_bit | notification::TIMER);
            time::set_timer(None);
            first = self.claim.next_fault().map_err(Failure::name)?;
        }
        while let (Some(first), Some(next)) =
            (&mut first, self.claim.next_fault().map_err(Failure::name)?)
        {
            first.count = first.count.saturating_add(next.count);
        }
        Ok(first)
    }
}

fn log(target: Target, read: bool, iova: u64, moved: usize, fault: Option<FaultRecord>) {
    let direction = if read { "read" } else { "write" };
    let name = target.name();
    match fault {
        _ if moved > 0 => {
            defmt::error!(
                "{=str} {=str} {=u64:#x}: {=usize} BYTES MOVED",
                direction,
                name,
                iova,
                moved
            );
        }
        Some(fault) => defmt::info!(
            "{=str} {=str} {=u64:#x}: blocked, {=str} x{=u64}",
            direction,
            name,
            iova,
            event_name(fault.event),
            fault.count,
        ),
        None => defmt::warn!(
            "{=str} {=str} {=u64:#x}: nothing moved, but no fault",
            direction,
            name,
            iova
        ),
    }
}
