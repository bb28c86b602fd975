//! Bring-up over the modern PCI transport (virtio 3.1, 4.1.4, 4.1.5), and the registers used while running.

use bitflags::bitflags;
use blk_api::{DEPTH, Geometry, SECTOR};
use blk_server::TRANSFER_MAX;
use userlib::delay::{DelayNs, Polling};
use userlib::registers::Registers;

use crate::layout::QUEUE_MAX;

bitflags! {
    /// Feature bits that this driver knows (virtio 5.2.3 and 6).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Features: u64 {
        /// The device limits the size of one segment.
        const SIZE_MAX = 1 << 1;
        /// The disk cannot be written.
        const READ_ONLY = 1 << 5;
        /// The device has a volatile cache, and the flush request.
        const FLUSH = 1 << 9;
        /// Virtio 1.0 or later.
        const VERSION_1 = 1 << 32;
        /// The device's addresses go through the IOMMU.
        const ACCESS_PLATFORM = 1 << 33;
    }
}

bitflags! {
    /// Device status (virtio 2.1).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Status: u8 {
        /// The driver noticed the device.
        const ACKNOWLEDGE = 1;
        /// The driver knows how to drive it.
        const DRIVER = 2;
        /// The driver is set up; the device may use its queues.
        const DRIVER_OK = 4;
        /// Feature negotiation is complete.
        const FEATURES_OK = 8;
        /// The device met an error that only a reset cures.
        const NEEDS_RESET = 64;
        /// The driver gave up.
        const FAILED = 128;
    }
}

bitflags! {
    /// Interrupt status (virtio 4.1.4.5); reading it lowers the interrupt line.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Isr: u8 {
        /// A queue has used buffers.
        const QUEUE = 1;
        /// Configuration or status changed.
        const CONFIGURATION = 2;
    }
}

// Common configuration (virtio 4.1.4.3).
const DEVICE_FEATURE_SELECT: usize = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const CONFIG_MSIX_VECTOR: usize = 0x10;
const DEVICE_STATUS: usize = 0x14;
const CONFIG_GENERATION: usize = 0x15;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_MSIX_VECTOR: usize = 0x1a;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY_OFF: usize = 0x1e;
const QUEUE_DESCRIPTORS: usize = 0x20;
const QUEUE_DRIVER: usize = 0x28;
const QUEUE_DEVICE: usize = 0x30;
const NO_VECTOR: u16 = 0xffff;

// Device configuration of a block device (virtio 5.2.4).
const CAPACITY: usize = 0x00;
const SIZE_MAX: usize = 0x08;

/// How a device's reset is waited for: 5 s in all, as QEMU drains the host's I/O in it, and a disk that takes longer is
/// broken. The driver sleeps between two looks: it must not run longer than the plan allows without blocking.
pub const RESET: Polling = Polling {
    interval_us: 100,
    waits: 50_000,
};
/// Rereads of a configuration that keeps changing before the device is given up.
const CONFIGURATION_TRIES: u32 = 16;

/// Why the device cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// The device did not finish its reset in time.
    Reset,
    /// The device does not speak virtio 1.
    NotModern,
    /// The device's accesses would not go through the IOMMU (VIRTIO_F_ACCESS_PLATFORM is not
    /// offered), so it would reach all memory.
    BypassesIommu,
    /// The device refused the features.
    Features,
    /// The device's configuration never stays the same, or makes no sense.
    Configuration,
    /// The device has no queue of a usable size.
    Queue,
    /// The device does not signal as it was told.
    Vector,
}

impl StartError {
    /// For a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset did not finish",
            Self::NotModern => "not a virtio 1 device",
            Self::BypassesIommu => "bypasses the IOMMU: ACCESS_PLATFORM not offered",
            Self::Features => "features refused",
            Self::Configuration => "unusable configuration",
            Self::Queue => "no usable queue",
            Self::Vector => "does not keep the vector of its messages",
        }
    }
}

/// Addresses of the queue's parts, as the device sees them (IOVAs).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueAddresses {
    /// Descriptor table.
    pub descriptors: u64,
    /// Available ring.
    pub available: u64,
    /// Used ring.
    pub used: u64,
}

/// The device's registers, one block a structure.
#[derive(Debug)]
pub struct Transport<R> {
    /// Common configuration.
    pub common: R,
    /// Notifications.
    pub notify: R,
    /// Bytes between two queues' notification addresses.
    pub notify_multiplier: u32,
    /// Interrupt status.
    pub isr: R,
    /// Device configuration.
    pub device: R,
    /// Whether the device signals by messages (MSI-X): all by the first vector.
    pub messages: bool,
}

/// The result of the negotiation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// For clients.
    pub geometry: Geometry,
    /// Entries of the queue.
    pub queue_size: u16,
    /// Offset of the queue's notification register.
    pub notify_offset: usize,
}

impl<R: Registers> Transport<R> {
    /// Resets the device: afterwards it uses no memory.
    pub fn reset(&self, delay: &mut impl DelayNs) -> Result<(), StartError> {
        self.common.write8(DEVICE_STATUS, 0);
        RESET
            .until(delay, || {
                (self.common.read8(DEVICE_STATUS) == 0).then_some(())
            })
            .ok_or(StartError::Reset)
    }

    /// Resets the device, agrees on features and reads its configuration; the queue is selected but
    /// not enabled.
    pub fn negotiate(&self, delay: &mut impl DelayNs) -> Result<Negotiated, StartError> {
        self.reset(delay)?;
        let mut status = Status::ACKNOWLEDGE | Status::DRIVER;
        self.common.write8(DEVICE_STATUS, status.bits());

        let features = self.agree()?;
        status |= Status::FEATURES_OK;
        self.common.write8(DEVICE_STATUS, status.bits());
        if self.common.read8(DEVICE_STATUS) != status.bits() {
            return Err(StartError::Features);
        }
        let geometry = self.geometry(features)?;

        self.signal_by(CONFIG_MSIX_VECTOR)?;
        self.common.write16(QUEUE_SELECT, 0);
        let offered = self.common.read16(QUEUE_SIZE);
        if !offered.is_power_of_two() {
            return Err(StartError::Queue);
        }
        let queue_size = offered.min(QUEUE_MAX);
        self.common.write16(QUEUE_SIZE, queue_size);
        self.signal_by(QUEUE_MSIX_VECTOR)?;
        let index = u64::from(self.common.read16(QUEUE_NOTIFY_OFF));
        let notify_offset = usize::try_from(index * u64::from(self.notify_multiplier));
        let notify_offset = notify_offset.ok().filter(|offset| offset.is_multiple_of(2));
        Ok(Negotiated {
            geometry,
            queue_size,
            notify_offset: notify_offset.ok_or(StartError::Queue)?,
        })
    }

    /// Chooses the vector of what a register is for. A device that has no room for it says so by giving none (virtio
    /// 4.1.5.1.2).
    fn signal_by(&self, register: usize) -> Result<(), StartError> {
        let vector = if self.messages { 0 } else { NO_VECTOR };
        self.common.write16(register, vector);
        if self.common.read16(register) == vector {
            Ok(())
        } else {
            Err(StartError::Vector)
        }
    }

    fn agree(&self) -> Result<Features, StartError> {
        let mut offered = 0;
        for half in 0..2 {
            self.common.write32(DEVICE_FEATURE_SELECT, half);
            offered |= u64::from(self.common.read32(DEVICE_FEATURE)) << (32 * half);
        }
        let accepted = Features::from_bits_truncate(offered);
        if !accepted.contains(Features::VERSION_1) {
            return Err(StartError::NotModern);
        }
        if !accepted.contains(Features::ACCESS_PLATFORM) {
            return Err(StartError::BypassesIommu);
        }
        for half in 0..2 {
            self.common.write32(DRIVER_FEATURE_SELECT, half);
            self.common
                .write32(DRIVER_FEATURE, (accepted.bits() >> (32 * half)) as u32);
        }
        Ok(accepted)
    }

    /// Fields of several words are consistent only if the generation did not change around them
    /// (virtio 2.5.2).
    fn geometry(&self, features: Features) -> Result<Geometry, StartError> {
        for _ in 0..CONFIGURATION_TRIES {
            let before = self.common.read8(CONFIG_GENERATION);
            let low = self.device.read32(CAPACITY);
            let high = self.device.read32(CAPACITY + 4);
            let limit = if features.contains(Features::SIZE_MAX) {
                self.device.read32(SIZE_MAX)
            } else {
                u32::MAX
            };
            if self.common.read8(CONFIG_GENERATION) != before {
                continue;
            }
            let sectors = u64::from(low) | u64::from(high) << 32;
            let transfer_max = limit.min(TRANSFER_MAX) / SECTOR as u32 * SECTOR as u32;
            if transfer_max == 0 || sectors.checked_mul(SECTOR).is_none() {
                return Err(StartError::Configuration);
            }
            return Ok(Geometry {
                sectors,
                sector_bytes: SECTOR as u32,
                transfer_max,
                depth: DEPTH as u32,
                block_bytes: SECTOR as u32,
                read_only: features.contains(Features::READ_ONLY),
                flush: features.contains(Features::FLUSH),
                zeroes: false,
            });
        }
        Err(StartError::Configuration)
    }

    /// Enables the queue, whose memory is prepared, and sets the device running.
    pub fn run(&self, queue: &QueueAddresses) {
        for (register, address) in [
            (QUEUE_DESCRIPTORS, queue.descriptors),
            (QUEUE_DRIVER, queue.available),
            (QUEUE_DEVICE, queue.used),
        ] {
            self.common.write32(register, address as u32);
            self.common.write32(register + 4, (address >> 32) as u32);
        }
        self.common.write16(QUEUE_ENABLE, 1);
        let running =
            Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK | Status::DRIVER_OK;
        self.common.write8(DEVICE_STATUS, running.bits());
    }

    /// Tells the device that the driver gave up.
    pub fn fail(&self) {
        self.common.write8(DEVICE_STATUS, Status::FAILED.bits());
    }

    /// Tells the device that queue 0 has new buffers.
    #[inline]
    pub fn notify(&self, negotiated: &Negotiated) {
        self.notify.write16(negotiated.notify_offset, 0);
    }

    /// Acknowledges the interrupt: what it may be about. The status is that of the line; a message can be about anything.
    #[inline]
    pub fn acknowledge(&self) -> Isr {
        if self.messages {
            Isr::all()
        } else {
            Isr::from_bits_truncate(self.isr.read8(0))
        }
    }

    /// Whether the device asks for a reset.
    pub fn needs_reset(&self) -> bool {
        Status::from_bits_truncate(self.common.read8(DEVICE_STATUS)).contains(Status::NEEDS_RESET)
    }
}

#[cfg(test)]
mod tests;
