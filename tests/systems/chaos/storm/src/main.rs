//! The storm: an NVMe driver that asks its device for data at an address that is not mapped. Each command is hundreds of refused
//! accesses, more than the server's queue holds.
//!
//! Each claim has to end with the device cut off, and the device has to be usable again after a release.
//!
//! Plan: the servers, the `reaper`, one NVMe, a pool of two pages; the parameter `storms`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use iommu_api::client::{Device, Failure};
use iommu_api::{Error, Extent, MapFlags, StatusFlags};
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::delay::{Delay, DelayNs};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::MappingKind;
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;
use userlib::{config, ipc, time};

userlib::task!(main);

/// Registers of the controller (NVM Express 1.4, section 3.1).
mod register {
    pub const INTERRUPT_MASK_SET: usize = 0x0c;
    pub const CONFIGURATION: usize = 0x14;
    pub const STATUS: usize = 0x1c;
    pub const ADMIN_QUEUES: usize = 0x24;
    pub const ADMIN_SUBMISSION: usize = 0x28;
    pub const ADMIN_COMPLETION: usize = 0x30;
    pub const SUBMISSION_TAIL: usize = 0x1000;
    pub const COMPLETION_HEAD: usize = 0x1004;
}

/// Entries of each queue: as many submissions as fill a page.
const ENTRIES: u32 = 64;
const SUBMISSION_BYTES: usize = 64;
const COMPLETION_BYTES: usize = 16;
/// Entries of 64 and of 16 bytes, enabled.
const ENABLED: u32 = 4 << 20 | 6 << 16 | 1;
/// Opcode of Identify, and of what: the controller, 4096 bytes.
const IDENTIFY: u64 = 0x06;
const CONTROLLER: u64 = 1;
/// Offset in the pool of the completion queue.
const COMPLETIONS: usize = 4096;
/// Commands for each ring of the doorbell.
const BURST: u32 = 2;
const PAUSE_US: u32 = 200;
/// A storm that is not cut off within this, or a controller that does not get ready, fails the run.
const PATIENCE: u64 = 5_000_000_000;

type Outcomes<T> = Result<T, &'static str>;

/// Waits until `done`.
fn until(mut done: impl FnMut() -> bool, otherwise: &'static str) -> Outcomes<()> {
    let end = time::now().after(PATIENCE);
    while !done() {
        if time::now() > end && !done() {
            return Err(otherwise);
        }
        Delay::new().delay_us(PAUSE_US);
    }
    Ok(())
}

struct Storm {
    iommu: Server,
    device: u32,
    registers: MappedRegisters,
    pool: PoolMemory,
}

impl Storm {
    fn new() -> Option<Self> {
        let device = config::devices().first()?;
        Some(Self {
            iommu: Server::named("iommu")?,
            device: device.device,
            registers: MappedRegisters::bar(device, 0)?,
            pool: PoolMemory::of(config::mappings(MappingKind::Pool).next()?),
        })
    }

    /// Starts the controller with its queues at these IOVAs.
    fn enable(&self, submissions: u64, completions: u64) -> Outcomes<()> {
        let registers = &self.registers;
        registers.write32(register::CONFIGURATION, 0);
        let ready = || registers.read32(register::STATUS) & 1 == 1;
        until(|| !ready(), "the controller does not stop")?;
        self.pool.fill(0, 2 * 4096, 0);
        publish();
        registers.write32(register::INTERRUPT_MASK_SET, u32::MAX);
        registers.write32(register::ADMIN_QUEUES, (ENTRIES - 1) << 16 | (ENTRIES - 1));
        registers.write64(register::ADMIN_SUBMISSION, submissions);
        registers.write64(register::ADMIN_COMPLETION, completions);
        registers.write32(register::CONFIGURATION, ENABLED);
        until(ready, "the controller does not start")
    }

    /// Asks for the controller's description, at `target`.
    fn submit(&self, tail: u32, target: u64) {
        let entry = tail as usize * SUBMISSION_BYTES;
        self.pool.write64(entry, IDENTIFY | u64::from(tail) << 16);
        self.pool.write64(entry + 24, target);
        self.pool.write64(entry + 40, CONTROLLER);
    }

    fn is_cut_off(&self) -> Outcomes<bool> {
        let status = iommu_api::client::status(&self.iommu, self.device).map_err(Failure::name)?;
        Ok(status.flags.0 & StatusFlags::STORM != 0)
    }

    /// Rings the doorbell until the device is cut off; the faults that the server counted in this claim.
    fn rage(&self, target: u64) -> Outcomes<()> {
        let (mut tail, mut head, mut phase) = (0, 0, 1);
        let end = time::now().after(PATIENCE);
        while !self.is_cut_off()? {
            if time::now() > end {
                return Err("a storm was not cut off");
            }
            for _ in 0..BURST {
                self.submit(tail, target);
                tail = (tail + 1) % ENTRIES;
            }
            publish();
            self.registers.write32(register::SUBMISSION_TAIL, tail);
            Delay::new().delay_us(PAUSE_US);
            acquire();
            // What was completed makes room.
            for _ in 0..ENTRIES {
                let entry = COMPLETIONS + head as usize * COMPLETION_BYTES;
                if self.pool.read32(entry + 12) >> 16 & 1 != phase {
                    break;
                }
                head = (head + 1) % ENTRIES;
                phase ^= u32::from(head == 0);
            }
            self.registers.write32(register::COMPLETION_HEAD, head);
        }
        Ok(())
    }

    /// One claim, to the cut off and its end.
    fn claim(&self) -> Outcomes<()> {
        let mut claim = Device::claim(&self.iommu, self.device).map_err(Failure::name)?;
        let page = |first| Extent { first, pages: 1 };
        let submissions = claim
            .map(0, page(0), MapFlags::READ_WRITE)
            .map_err(Failure::name)?;
        let completions = claim
            .map(0, page(1), MapFlags::READ_WRITE)
            .map_err(Failure::name)?;
        self.enable(submissions, completions)?;
        let window = claim.window();
        self.rage(window.iova_base + (window.pages - 1) * 4096)?;
        match claim.map(0, page(0), MapFlags::READ) {
            Err(Failure::Refused(Error::StreamBlocked)) => {}
            _ => return Err("a device that was cut off is served"),
        }
        claim.release().map_err(Failure::name)
    }

    fn run(&self) -> Outcomes<()> {
        for _ in 0..config::parameter("storms").unwrap_or(1) {
            self.claim()?;
        }
        let status = iommu_api::client::status(&self.iommu, self.device).map_err(Failure::name)?;
        defmt::info!(
            "{=u64} claims cut off, {=u64} faults counted, {=u64} losses",
            status.claims,
            status.faults,
            status.lost
        );
        Ok(())
    }
}

fn main() -> ! {
    let Some(storm) = Storm::new() else {
        panic!("the plan lacks something");
    };
    let sent = match storm.run() {
        Ok(()) => report(Outcome::Pass, "every storm was cut off"),
        Err(why) => report(Outcome::Fail, why),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    loop {
        ipc::receive(0);
    }
}
