//! What the service is told.

use its::Command;
use its::memory::{CONFIGURATION, CONFIGURATION_BYTES, ENTRY_MAX, PAGE, QUEUE_BYTES, TOLD};
use its::registers::{BASER, BASERS, CBASER, CTLR, CWRITER, TYPER, Typer, baser, ctlr};
use plan::its::{ItsEntry, SourceEntry};
use plan::kernel::{MESSAGE_ENABLED, MESSAGE_PRIORITY};
use plan::limits::MESSAGE_INTERRUPTS;
use userlib::time::look_until;

use crate::hardware::Hardware;
use crate::queue::Queue;
use crate::refusal::Refusal;

/// The only collection: that of the core which takes messages.
const COLLECTION: u16 = 0;
/// Longest time until the service is at rest.
const PATIENCE: u64 = 100_000_000;
/// In the word at [`TOLD`]: everything of the plan has been told.
const EVERYTHING: u64 = 0x5f74_6f6c_645f_6974;
/// What the address of a table or of the queue, and its validity, are in a register.
const PLACE: u64 = baser::VALID | baser::ADDRESS;

/// How the service was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// It had to be told everything.
    Fresh,
    /// An earlier life has told it everything, and it goes on.
    TakenOver,
}

/// The service in use.
pub struct Service<'p, H> {
    hardware: H,
    sources: &'p [SourceEntry],
    queue: Queue,
    /// The redistributor that takes the messages, as commands name it.
    target: u64,
}

impl<'p, H: Hardware> Service<'p, H> {
    /// Takes over the service as an earlier life left it, or tells it everything. `core` is the number by which it may know
    /// the core that takes messages.
    pub fn start(
        mut hardware: H,
        plan: &ItsEntry,
        sources: &'p [SourceEntry],
        core: u32,
    ) -> Result<(Self, Start), Refusal> {
        let typer = Typer(hardware.read64(TYPER));
        check(typer, sources)?;
        let mut service = Self {
            sources,
            queue: Queue::EMPTY,
            target: typer.target(plan.redistributor, core),
            hardware,
        };
        if service.is_told(plan) {
            service.queue = Queue::taken_over(&mut service.hardware)?;
            return Ok((service, Start::TakenOver));
        }
        service.prepare(plan)?;
        service.tell(plan)?;
        service.hardware.store(TOLD, EVERYTHING);
        service.hardware.publish(TOLD, 8);
        Ok((service, Start::Fresh))
    }

    /// Whether an earlier life got to its end: the registers lead to this memory, which says so.
    fn is_told(&mut self, plan: &ItsEntry) -> bool {
        let enabled = self.hardware.read32(CTLR) & ctlr::ENABLED != 0;
        let queue = self.hardware.read64(CBASER) & PLACE;
        enabled && queue == baser::VALID | plan.memory_pa && self.hardware.load(TOLD) == EVERYTHING
    }

    /// Stops the service, and gives it its memory: empty tables, since it takes what is in them as its own.
    fn prepare(&mut self, plan: &ItsEntry) -> Result<(), Refusal> {
        let hardware = &mut self.hardware;
        let before = hardware.read32(CTLR);
        hardware.write32(CTLR, before & !ctlr::ENABLED);
        let deadline = hardware.now().saturating_add(hardware.ticks(PATIENCE));
        look_until(
            hardware,
            |hardware| hardware.now() > deadline,
            |hardware| (hardware.read32(CTLR) & ctlr::QUIESCENT != 0).then_some(()),
        )
        .ok_or(Refusal::NotQuiescent)?;
        for offset in (0..plan.memory_len).step_by(8) {
            hardware.store(offset, 0);
        }
        self.configure_all();
        self.hardware.publish(0, plan.memory_len);
        self.give_tables(plan)?;
        let hardware = &mut self.hardware;
        let attributes = baser::VALID | baser::WRITE_BACK | baser::SHAREABLE;
        let pages = QUEUE_BYTES / (4 << 10) - 1;
        hardware.write64(CBASER, attributes | plan.memory_pa | pages);
        if hardware.read64(CBASER) & PLACE != baser::VALID | plan.memory_pa {
            return Err(Refusal::Registers);
        }
        hardware.write64(CWRITER, 0);
        self.queue = Queue::EMPTY;
        hardware.write32(CTLR, before | ctlr::ENABLED);
        Ok(())
    }

    /// Lets every planned interrupt through, and no other.
    fn configure_all(&mut self) {
        for source in self.sources {
            for event in 0..source.events {
                self.configure(source.first_intid.saturating_add(event), MESSAGE_ENABLED);
            }
        }
    }

    /// Changes a byte of the configuration table.
    fn configure(&mut self, intid: u32, byte: u8) -> u64 {
        let number = u64::from(intid.saturating_sub(*MESSAGE_INTERRUPTS.start()));
        let at = CONFIGURATION + (number & (CONFIGURATION_BYTES - 1) & !7);
        let shift = number % 8 * 8;
        let word = self.hardware.load(at);
        let word = word & !(0xff << shift) | u64::from(byte) << shift;
        self.hardware.store(at, word);
        at
    }

    fn give_tables(&mut self, plan: &ItsEntry) -> Result<(), Refusal> {
        let mut has_devices = false;
        for number in 0..BASERS {
            let register = BASER + number * 8;
            let found = self.hardware.read64(register);
            let (offset, bytes) = match baser::kind(found) {
                baser::DEVICES => (plan.devices, plan.devices_len),
                baser::COLLECTIONS => (plan.collections, plan.collections_len),
                _ => {
                    // What is not used, such as tables of virtual processors, has none.
                    self.hardware.write64(register, 0);
                    continue;
                }
            };
            has_devices |= baser::kind(found) == baser::DEVICES;
            if baser::entry_bytes(found) > ENTRY_MAX {
                return Err(Refusal::EntrySize);
            }
            self.give_table(register, plan.memory_pa + offset, bytes)?;
        }
        has_devices.then_some(()).ok_or(Refusal::NoDeviceTable)
    }

    /// Gives the service one table. The size of its pages may be its own to choose.
    fn give_table(&mut self, register: usize, pa: u64, bytes: u64) -> Result<(), Refusal> {
        let hardware = &mut self.hardware;
        let attributes = baser::VALID | baser::WRITE_BACK | baser::SHAREABLE;
        hardware.write64(register, attributes | pa | 2 << baser::PAGE_SHIFT);
        let page = baser::page_bytes(hardware.read64(register));
        let pages = bytes / page;
        if pages == 0 || pages > baser::PAGES + 1 || !PAGE.is_multiple_of(page) {
            return Err(Refusal::Registers);
        }
        let size = match page {
            0x1000 => 0,
            0x4000 => 1,
            _ => 2,
        };
        let value = attributes | pa | size << baser::PAGE_SHIFT | (pages - 1);
        hardware.write64(register, value);
        let kept = hardware.read64(register);
        let relevant = PLACE | baser::PAGES;
        let good = kept & relevant == value & relevant && baser::page_bytes(kept) == page;
        good.then_some(()).ok_or(Refusal::Registers)
    }

    /// Tells the service of all devices and their events.
    fn tell(&mut self, plan: &ItsEntry) -> Result<(), Refusal> {
        let Self {
            hardware,
            sources,
            queue,
            target,
        } = self;
        queue.push(
            hardware,
            Command::MapCollection {
                collection: COLLECTION,
                target: *target,
            },
        )?;
        for source in *sources {
            let device = source.device_id;
            queue.push(
                hardware,
                Command::MapDevice {
                    device,
                    table: plan.memory_pa + source.table,
                    bits: source.event_bits,
                },
            )?;
            for event in 0..source.events {
                let intid = source.first_intid.saturating_add(event);
                let collection = COLLECTION;
                let command = Command::MapEvent {
                    device,
                    event,
                    intid,
                    collection,
                };
                queue.push(hardware, command)?;
            }
        }
        let collection = COLLECTION;
        queue.push(hardware, Command::InvalidateAll { collection })?;
        queue.push(hardware, Command::Sync { target: *target })?;
        queue.submit(hardware)
    }

    /// Cuts off an interrupt, without what is pending of it, or lets it through again. What came while it was cut off is pending
    /// then: it may be of a life that has begun, which would wait for it for ever. When this returns, no more of an interrupt that
    /// was cut off comes than the core has taken already.
    pub fn change(&mut self, intid: u32, arrives: bool) -> Result<&'p SourceEntry, Refusal> {
        let source = self.sources.iter().find(|source| {
            let event = intid.checked_sub(source.first_intid);
            event.is_some_and(|event| event < source.events)
        });
        let source = source.ok_or(Refusal::Unknown)?;
        let (device, event) = (source.device_id, intid - source.first_intid);
        let byte = if arrives {
            MESSAGE_ENABLED
        } else {
            MESSAGE_PRIORITY
        };
        let at = self.configure(intid, byte);
        let Self {
            hardware,
            queue,
            target,
            ..
        } = self;
        hardware.publish(at, 8);
        queue.push(hardware, Command::Invalidate { device, event })?;
        if !arrives {
            queue.push(hardware, Command::Clear { device, event })?;
        }
        queue.push(hardware, Command::Sync { target: *target })?;
        queue.submit(hardware)?;
        Ok(source)
    }
}

/// Whether the service has what the plan needs.
fn check(typer: Typer, sources: &[SourceEntry]) -> Result<(), Refusal> {
    if !typer.has_physical() {
        return Err(Refusal::NoMessages);
    }
    if typer.entry_bytes() > ENTRY_MAX {
        return Err(Refusal::EntrySize);
    }
    let fits = |source: &SourceEntry| u64::from(source.device_id) >> typer.device_bits() == 0;
    if !sources.iter().all(fits) {
        return Err(Refusal::DeviceBits);
    }
    let fits = |source: &SourceEntry| source.event_bits <= typer.event_bits();
    if !sources.iter().all(fits) {
        return Err(Refusal::EventBits);
    }
    Ok(())
}
