//! The controller as the serving half of the block protocol has it: requests in flight, retries, resets.
//!
//! A request that fails and may be tried again is given to the controller again, up to [`TRIES_MAX`] times in all. A
//! controller that says of itself that it is broken, or that does not end a request in time, is reset; what it had is
//! given to it again, since it may have done it or not, and the order of requests under way is nobody's promise.
//! A request is not aborted alone: that a controller answers an Abort is no proof that it has let go of the pages, and the
//! reset is.

use abi::{TASKS_MAX, TaskId};
use blk_api::{Error, Geometry, Kind};
use blk_server::SLOTS_MAX;
use blk_server::controller::Controller as Served;
use blk_server::request::{Finished, Request};
use blk_server::slots::{Slots, Table};
use userlib::delay::DelayNs;
use userlib::memory::Memory;
use userlib::registers::Registers;

use crate::command::Command;
use crate::controller::{Controller, Namespaces, Rings, Running, StartError, Vectors};
use crate::identify::Namespace;
use crate::layout::{LIST_LEN, LISTS, PAGE};
use crate::ring::{Completion, DeviceFault};
use crate::status::Verdict;

/// How often a request is tried.
pub const TRIES_MAX: u8 = 3;
/// Looks at requests under way, each [`Disk::LOOK_EVERY_NS`] after the last, that one may see before it is late.
pub const LOOKS_MAX: u32 = 10;
/// Resets between which no request was done, after which the controller is given up.
pub const RESETS_MAX: u32 = 3;
/// How long a flush at the end may take.
const FLUSH_MS: u32 = 30_000;
const PAGE_BYTES: u64 = PAGE as u64;

/// What is kept of a request in flight, beside what its client is told.
#[derive(Clone, Copy, Debug)]
struct Flight {
    sector: u64,
    /// The number of the look after which it was begun.
    begun: u32,
    tries: u8,
    /// Place of its queues among all.
    ring: u8,
}

const NO_FLIGHT: Flight = Flight {
    sector: 0,
    begun: 0,
    tries: 0,
    ring: 0,
};

/// A controller that runs, and the requests that it has.
#[derive(Debug)]
pub struct Disk<R, M> {
    controller: Controller<R, M>,
    vectors: Vectors,
    rings: Rings,
    namespaces: Namespaces,
    /// The place of each task's namespace among all; [`NOWHERE`] for none.
    of_client: [u8; TASKS_MAX],
    slots: Slots,
    table: Table,
    flights: [Flight; SLOTS_MAX],
    /// Requests that failed without a completion.
    failed: u64,
    /// The interrupts that told of something, and the queues that were looked at since.
    heard: u32,
    at: usize,
    looks: u32,
    resets: u32,
}

/// The place of no namespace.
const NOWHERE: u8 = u8::MAX;

impl<R: Registers, M: Memory> Disk<R, M> {
    /// Brings the controller up. `namespace_of` says which namespace a task is given, by its index, as a number; none is
    /// the first one.
    pub fn start(
        mut controller: Controller<R, M>,
        vectors: Vectors,
        namespace_of: impl Fn(usize) -> Option<u32>,
        delay: &mut impl DelayNs,
    ) -> Result<Self, StartError> {
        let Running { rings, namespaces } = controller.start(&vectors, delay)?;
        let mut of_client = [0; TASKS_MAX];
        for (task, place) in of_client.iter_mut().enumerate() {
            let Some(number) = namespace_of(task) else {
                continue;
            };
            let found = namespaces.iter().position(|of| of.number == number);
            *place = found.map_or(NOWHERE, |found| found as u8);
        }
        // All requests may be in one ring, which holds one less than it has entries.
        let room = rings
            .first()
            .map_or(0, |ring| usize::from(ring.entries()) - 1);
        Ok(Self {
            controller,
            vectors,
            rings,
            namespaces,
            of_client,
            slots: Slots::new(room),
            table: Table::new(),
            flights: [NO_FLIGHT; SLOTS_MAX],
            failed: 0,
            heard: 0,
            at: 0,
            looks: 0,
            resets: 0,
        })
    }

    /// The disks.
    pub fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }
    /// How many pairs of I/O queues there are.
    pub fn queues(&self) -> usize {
        self.rings.len()
    }

    #[inline(always)]
    fn namespace(&self, client: TaskId) -> &Namespace {
        let place = self.of_client.get(client.index()).copied();
        let namespace = self.namespaces.get(usize::from(place.unwrap_or(NOWHERE)));
        namespace.unwrap_or(&Namespace::NONE)
    }

    /// Puts the command of a slot into its ring.
    #[inline(always)]
    fn submit(&mut self, slot: usize) {
        let request = self.table.get(slot);
        let flight = self.flights.get(slot).unwrap_or(&NO_FLIGHT);
        let namespace = self.namespace(request.client);
        let (first, blocks) = (
            flight.sector >> namespace.shift,
            request.bytes >> 9 >> namespace.shift,
        );
        let mut command = Command::transfer(request.kind, namespace.number, first, blocks);
        if request.kind.has_data() {
            command.data = request.iova;
            command.more = self.pages(slot, request);
        }
        if let Some(ring) = self.rings.get_mut(usize::from(flight.ring)) {
            ring.put(&self.controller.memory, &command, slot as u16);
        }
    }

    /// The second page of a request's data, or the list of its pages but the first (4.1.1): they are in a row.
    #[inline(always)]
    fn pages(&self, slot: usize, request: &Request) -> u64 {
        let (first, pages) = request.pages();
        match pages {
            0 | 1 => 0,
            2 => first + PAGE_BYTES,
            _ => {
                let list = LISTS + slot * LIST_LEN;
                for index in 1..pages.min((LIST_LEN / 8) as u32 + 1) {
                    let page = first + u64::from(index) * PAGE_BYTES;
                    let at = list + 8 * (index as usize - 1);
                    self.controller.memory.write64(at, page);
                }
                self.controller.places().of(list)
            }
        }
    }

    /// A request has ended, as its completion says: how, if it is not tried again.
    #[inline(always)]
    fn ended(&mut self, completion: Completion) -> Result<Option<Finished>, DeviceFault> {
        let slot = usize::from(completion.command);
        if !self.slots.is_taken(slot) || self.failed & 1 << slot != 0 {
            return Err(DeviceFault::Command);
        }
        let flight = self.flights.get_mut(slot).ok_or(DeviceFault::Command)?;
        if usize::from(flight.ring) != self.at {
            return Err(DeviceFault::Command);
        }
        self.resets = 0;
        let result = match completion.status.verdict() {
            Verdict::Done => Ok(()),
            Verdict::Failed(error) => Err(error),
            Verdict::Again if flight.tries >= TRIES_MAX => Err(Error::Device),
            Verdict::Again => {
                flight.tries += 1;
                flight.begun = self.looks;
                self.submit(slot);
                return Ok(None);
            }
        };
        self.slots.give(slot);
        Ok(Some(Finished {
            slot: slot as u32,
            result,
        }))
    }

    /// Stops the controller, brings it up again, and gives it again what it had.
    fn reset(&mut self, delay: &mut impl DelayNs) -> Result<(), StartError> {
        let broken = self.controller.is_broken();
        let Running { rings, namespaces } = self.controller.start(&self.vectors, delay)?;
        if namespaces != self.namespaces || rings.len() != self.rings.len() {
            return Err(StartError::Changed);
        }
        self.rings = rings;
        for slot in self.slots.taken() {
            let looks = self.looks;
            let Some(flight) = self.flights.get_mut(slot) else {
                continue;
            };
            // What may have been the reason counts as tried.
            if broken || looks.wrapping_sub(flight.begun) > LOOKS_MAX {
                flight.tries += 1;
            }
            flight.begun = looks;
            if flight.tries > TRIES_MAX {
                self.failed |= 1 << slot;
            } else {
                self.submit(slot);
            }
        }
        self.announce();
        Ok(())
    }

    /// Whether the controller has had a request for too long.
    fn is_late(&self) -> bool {
        let begun = |slot| {
            self.flights
                .get(slot)
                .map_or(self.looks, |flight: &Flight| flight.begun)
        };
        let mut taken = self.slots.taken();
        taken.any(|slot| self.looks.wrapping_sub(begun(slot)) > LOOKS_MAX)
    }
}

impl<R: Registers, M: Memory> Served for Disk<R, M> {
    const LOOK_EVERY_NS: Option<u64> = Some(1_000_000_000);
    // The lowest bits of an address are not the controller's to look at (4.1.1).
    const DATA_UNIT: u16 = 4;

    #[inline(always)]
    fn geometry(&self, client: TaskId) -> &Geometry {
        &self.namespace(client).geometry
    }
    #[inline(always)]
    fn room(&self) -> usize {
        self.slots.room()
    }
    fn is_idle(&self) -> bool {
        self.slots.is_idle()
    }
    fn any_of(&self, client: TaskId) -> bool {
        self.table.any_of(client, &self.slots)
    }
    #[inline(always)]
    fn request(&self, slot: u32) -> &Request {
        self.table.get(slot as usize)
    }
    #[inline(always)]
    fn start(&mut self, request: Request, sector: u64) -> Result<(), Error> {
        let slot = self.slots.free().ok_or(Error::Busy)?;
        let flight = self.flights.get_mut(slot).ok_or(Error::Busy)?;
        let ring = if self.rings.len() > 1 {
            slot % self.rings.len()
        } else {
            0
        };
        *flight = Flight {
            sector,
            begun: self.looks,
            tries: 1,
            ring: ring as u8,
        };
        self.table.put(slot, request);
        self.slots.take(slot);
        self.submit(slot);
        Ok(())
    }
    #[inline(always)]
    fn announce(&mut self) {
        for ring in &mut self.rings {
            ring.tell(&self.controller.registers, self.controller.capabilities());
        }
    }
    #[inline(always)]
    fn acknowledge(&mut self, interrupts: u32) -> Result<(), &'static str> {
        self.heard = interrupts;
        self.at = 0;
        Ok(())
    }
    #[inline(always)]
    fn finished(&mut self) -> Result<Option<Finished>, &'static str> {
        if self.failed != 0 {
            let slot = self.failed.trailing_zeros();
            self.failed &= self.failed - 1;
            self.slots.give(slot as usize);
            return Ok(Some(Finished {
                slot,
                result: Err(Error::Device),
            }));
        }
        loop {
            let Some(ring) = self.rings.get_mut(self.at) else {
                return Ok(None);
            };
            let bit = self.vectors.get(self.at).map_or(0, |vector| vector.bit);
            if self.heard & bit != 0 {
                let next = ring.next(&self.controller.memory);
                if let Some(completion) = next.map_err(DeviceFault::name)? {
                    match self.ended(completion).map_err(DeviceFault::name)? {
                        None => continue,
                        finished => return Ok(finished),
                    }
                }
            }
            self.at += 1;
        }
    }
    #[inline(always)]
    fn taken(&mut self) {
        for ring in &mut self.rings {
            ring.give_back(&self.controller.registers, self.controller.capabilities());
        }
        // What is tried again.
        self.announce();
    }
    fn fail(&mut self) {}
    fn has_cache(&self) -> bool {
        // The flush is part of the shutdown: there may be several namespaces.
        false
    }
    fn look(&mut self, delay: &mut impl DelayNs) -> Result<(), &'static str> {
        self.looks = self.looks.wrapping_add(1);
        if !self.controller.is_broken() && !self.is_late() {
            return Ok(());
        }
        if self.resets == RESETS_MAX {
            return Err("the controller does nothing, however often it is reset");
        }
        self.resets += 1;
        defmt::warn!(
            "the controller is reset: {=str}",
            if self.controller.is_broken() {
                "it is broken"
            } else {
                "a request is late"
            }
        );
        self.reset(delay).map_err(StartError::name)
    }
    fn shut_down(&mut self, delay: &mut impl DelayNs) -> Result<(), &'static str> {
        if let Some(ring) = self.rings.first_mut() {
            let flushed = |namespace: &&Namespace| namespace.geometry.flush;
            for namespace in self.namespaces.iter().filter(flushed) {
                let flush = Command::transfer(Kind::Flush, namespace.number, 0, 0);
                let waited = self.controller.wait_for(ring, &flush, FLUSH_MS, delay);
                waited.map_err(|_| "the device does not write out its cache")?;
            }
        }
        self.controller.shut_down(delay).map_err(StartError::name)
    }
}

#[cfg(test)]
mod tests;
