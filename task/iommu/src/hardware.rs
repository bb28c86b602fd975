//! The operations that the core needs from below: one SMMU, and the system around it.
//!
//! The task implements both over its mappings and system calls; tests over fakes; the adversarial
//! model implements [`Hardware`] and misbehaves as far as the architecture lets it.

use abi::privileged::Held;
use abi::{Code, TaskId};
use pci_api::client::Failure;
use pci_api::{BootStatus, Description, QuiesceState};
use userlib::time::look_until;

use crate::indices::{DeviceIndex, TaskIndex};
use crate::log::Line;

/// One SMMU: its registers and its table memory.
///
/// Accesses take `&mut self` so that a model may do anything at any of them. Offsets are in bytes
/// and naturally aligned; table memory outside its length loads 0 and stores nothing, registers outside
/// the frame read all ones.
pub trait Hardware {
    /// Reads a 32-bit register (`smmu::registers`).
    fn read32(&mut self, register: usize) -> u32;
    /// Writes a 32-bit register. Not ordered against table memory; see [`Self::publish`].
    fn write32(&mut self, register: usize, value: u32);
    /// Reads a 64-bit register.
    fn read64(&mut self, register: usize) -> u64;
    /// Writes a 64-bit register.
    fn write64(&mut self, register: usize, value: u64);

    /// Loads a 64-bit word of table memory: stream tables, descriptors, page tables, queues.
    fn load(&mut self, offset: u64) -> u64;
    /// Stores a 64-bit word of table memory in one access. The SMMU may see it at once, or not before
    /// the next [`Self::publish`], and in any order relative to other stores.
    fn store(&mut self, offset: u64, value: u64);
    /// Stores some consecutive words, in ascending order.
    #[inline(always)]
    fn store_words<const N: usize>(&mut self, offset: u64, values: [u64; N]) {
        for (place, value) in values.into_iter().enumerate() {
            self.store(offset + place as u64 * 8, value);
        }
    }
    /// Stores `count` consecutive words from `offset`, each what `next` gives; the SMMU may see them in any order.
    #[inline(always)]
    fn fill(&mut self, offset: u64, count: u64, mut next: impl FnMut() -> u64) {
        for word in 0..count {
            self.store(offset + word * 8, next());
        }
    }
    /// Stores consecutive words from `offset`: of each of `from` what `make` makes of it.
    #[inline(always)]
    fn store_each(&mut self, offset: u64, from: &[u64], make: impl Fn(u64) -> u64) {
        let mut words = from.iter();
        self.fill(offset, from.len() as u64, || {
            make(words.next().copied().unwrap_or_default())
        });
    }
    /// Stores `count` zero words from `offset`.
    #[inline(always)]
    fn clear(&mut self, offset: u64, count: u64) {
        self.fill(offset, count, || 0);
    }
    /// Loads `count` consecutive words from `offset` and combines them in this order.
    #[inline(always)]
    fn fold<T>(
        &mut self,
        offset: u64,
        count: u64,
        start: T,
        mut step: impl FnMut(T, u64) -> T,
    ) -> T {
        let mut result = start;
        for word in 0..count {
            result = step(result, self.load(offset + word * 8));
        }
        result
    }

    /// All earlier stores are visible to the SMMU before anything later of this task is (DSB). Earlier loads may still be
    /// under way.
    fn publish(&mut self);
    /// The same, and all earlier loads are done: before memory that was read is given back.
    fn publish_after_loads(&mut self) {
        self.publish();
    }
    /// Later loads see at least what the SMMU wrote before it wrote the register that was read last.
    fn acquire(&mut self);

    /// Now, in ticks.
    fn now(&mut self) -> u64;
    /// Nanoseconds as ticks.
    fn ticks(&self, nanoseconds: u64) -> u64;
}

/// Looks until there is something, for so long at most, and once more when the time is over.
pub fn wait_for<H: Hardware, T>(
    hardware: &mut H,
    nanoseconds: u64,
    look: impl FnMut(&mut H) -> Option<T>,
) -> Option<T> {
    let deadline = hardware.now().saturating_add(hardware.ticks(nanoseconds));
    look_until(hardware, |hardware| hardware.now() > deadline, look)
}

/// A pinned lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pinned {
    /// Names the pin in [`System::unpin`].
    pub slot: u32,
    /// Physical address of its first byte, page-aligned.
    pub pa: u64,
    /// Whether the lease lets the borrower write.
    pub writable: bool,
    /// Whether the lease lets the borrower read.
    pub readable: bool,
}

/// What a pin is for: the device, and which pool if a whole one is lent to it. The kernel keeps it as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pinning(u32);

impl Pinning {
    /// Of a lease that is mapped.
    pub(crate) const fn of_lease(device: DeviceIndex) -> Self {
        Self(device.number())
    }
    /// Of the pool at a place of the plan's table.
    pub(crate) const fn of_pool(device: DeviceIndex, place: usize) -> Self {
        Self(device.number() | (place as u32 + 1) << 16)
    }
    /// As the kernel has it.
    pub const fn word(self) -> u32 {
        self.0
    }
    /// From the kernel: the number of the device.
    pub const fn device(word: u32) -> usize {
        (word & 0xffff) as usize
    }
    /// From the kernel: the place of the pool, if it is of one.
    pub const fn pool(word: u32) -> Option<usize> {
        ((word >> 16) as usize).checked_sub(1)
    }
}

/// The kernel, the PCI task, the log.
pub trait System {
    /// Holds the task for a device; idempotent.
    fn hold(&mut self, task: TaskId, device: DeviceIndex) -> Code;
    /// Lifts a hold.
    fn lift(&mut self, task: TaskIndex, device: DeviceIndex) -> Code;
    /// Pins `len` bytes of the lease that `lender` gave `driver`.
    fn pin(
        &mut self,
        driver: TaskId,
        lender: TaskId,
        lease: u32,
        pinning: Pinning,
        offset: u64,
        len: u64,
    ) -> Result<Pinned, Code>;
    /// Lifts a pin.
    fn unpin(&mut self, slot: u32) -> Code;
    /// The hold or pin at a cursor; 0 is the first.
    fn enumerate(&mut self, cursor: u64) -> Held;

    /// Outcome of the PCI enumeration.
    fn pci_status(&mut self) -> Result<BootStatus, Failure>;
    /// Asks the PCI task what it found of a function.
    fn pci_describe(&mut self, device: DeviceIndex) -> Result<Description, Failure>;
    /// Turns bus mastering on or off.
    fn bus_master(&mut self, device: DeviceIndex, on: bool) -> Result<(), Failure>;
    /// Begins to make a device quiet; [`pci_api::QUIESCED`] is posted at the end.
    fn quiesce_start(&mut self, device: DeviceIndex) -> Result<(), Failure>;
    /// How it went.
    fn quiesce_result(&mut self, device: DeviceIndex) -> Result<QuiesceState, Failure>;

    /// Replies to a call that was left open.
    fn reply(&mut self, to: TaskId, code: u32, payload: &[u64; 8], len: usize);
    /// Posts `iommu-fault` to a task, if the plan lets it be posted.
    fn post_fault(&mut self, task: TaskIndex);
    /// Sets the timer, whose end the server has to be told by [`crate::Server::on_timer`].
    fn set_timer(&mut self, deadline: u64);
    /// Tells the supervisor that a device's stream was blocked after a storm, if the plan lets it be told.
    fn post_storm(&mut self, device: DeviceIndex) {
        let _ = device;
    }
    /// One line for people.
    fn log(&mut self, line: Line<'_>);
}
