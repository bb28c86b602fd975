//! Timers, interrupts, and what devices may reach: holds and pins.

use std::collections::{BTreeMap, BTreeSet};

use abi::{Code, notification};

use super::model::{Doing, Heard, Model, Named};
use crate::tests::world::{
    AUTHORITY, COUNT, DRIVER, DRIVER_BIT, POOL, SERVER, SERVER_BIT, SUPERVISOR, physical,
};

/// Who gets which interrupt by which bit.
pub const INTERRUPTS: [(usize, u32); 2] = [(DRIVER, DRIVER_BIT), (SERVER, SERVER_BIT)];
/// Slots for pins.
const PINS: usize = 256;
const PAGE: u64 = abi::layout::PAGE;

#[derive(Debug)]
pub struct Devices {
    /// When each task's timer is due.
    pub timers: [Option<u64>; COUNT],
    pub unmasked: [bool; 2],
    pub holds: BTreeSet<(usize, u32)>,
    /// Lenders, by slot.
    pub pins: BTreeMap<usize, usize>,
}

impl Devices {
    pub fn new() -> Self {
        Self {
            timers: [None; COUNT],
            unmasked: [false; 2],
            holds: BTreeSet::new(),
            pins: BTreeMap::new(),
        }
    }

    /// Holds and pins of a task.
    pub fn holds_of(&self, task: usize) -> usize {
        let holds = self.holds.iter().filter(|(held, _)| *held == task);
        let pins = self.pins.values().filter(|lender| **lender == task);
        holds.count() + pins.count()
    }

    /// A task is over: its timer stops, its interrupts are masked; holds and pins stay.
    pub fn end(&mut self, task: usize) {
        self.timers[task] = None;
        for (unmasked, (owner, _)) in self.unmasked.iter_mut().zip(INTERRUPTS) {
            *unmasked &= owner != task;
        }
    }
}

impl Model {
    pub fn set_timer(&mut self, task: usize, deadline: u64, now: u64) {
        self.devices.timers[task] = None;
        self.hears(task, Heard::Code(Code::OK));
        if deadline <= now {
            self.notify(task, notification::TIMER);
        } else if deadline != u64::MAX {
            self.devices.timers[task] = Some(deadline);
        }
    }

    /// Time has passed; how many timers were due.
    pub fn time(&mut self, now: u64) -> usize {
        let mut due = 0;
        for task in 0..COUNT {
            if self.devices.timers[task].is_some_and(|deadline| deadline <= now) {
                self.devices.timers[task] = None;
                self.notify(task, notification::TIMER);
                due += 1;
            }
        }
        due
    }

    /// The line of an interrupt is up; whether it gets through.
    pub fn interrupt(&mut self, number: usize) -> bool {
        let through = core::mem::take(&mut self.devices.unmasked[number]);
        if through {
            let (task, bit) = INTERRUPTS[number];
            self.notify(task, bit);
        }
        through
    }

    /// A task masks or unmasks bits.
    pub fn control(&mut self, task: usize, bits: u32, enable: bool) {
        let own = INTERRUPTS.iter().filter(|(owner, _)| *owner == task);
        let own = own.fold(0, |own, (_, bit)| own | bit);
        if bits & !own != 0 {
            return self.die(task);
        }
        for (unmasked, (_, bit)) in self.devices.unmasked.iter_mut().zip(INTERRUPTS) {
            if bits & bit != 0 {
                *unmasked = enable;
            }
        }
        self.hears(task, Heard::Unmasked(if enable { bits } else { 0 }));
    }

    pub fn hold(&mut self, task: Named, device: u32) {
        let code = self.away(task).unwrap_or(Code::OK);
        if code == Code::OK {
            self.devices.holds.insert((task.task, device));
        }
        self.hears(AUTHORITY, Heard::Code(code));
    }

    pub fn lift(&mut self, task: usize, device: u32) {
        let lifted = self.devices.holds.remove(&(task, device));
        self.lifted(lifted.then_some(task));
    }

    pub fn unpin(&mut self, slot: usize) {
        let lender = self.devices.pins.remove(&slot);
        self.lifted(lender);
    }

    fn lifted(&mut self, held: Option<usize>) {
        let code = held.map_or(Code::REFUSED, |_| Code::OK);
        self.hears(AUTHORITY, Heard::Code(code));
        if let Some(task) = held
            && self.devices.holds_of(task) == 0
            && !self.is_up(task)
        {
            self.notify(SUPERVISOR, notification::FAULT);
        }
    }

    /// The authority pins for a driver what its client lent it; whether it did.
    pub fn pin(&mut self, driver: Named, lender: Named, number: usize, at: u64, len: u64) -> bool {
        let result = self.try_pin(driver, lender, number, at, len);
        let pinned = result.is_ok();
        self.hears(AUTHORITY, result.unwrap_or_else(Heard::Code));
        pinned
    }

    fn try_pin(
        &mut self,
        driver: Named,
        lender: Named,
        number: usize,
        at: u64,
        len: u64,
    ) -> Result<Heard, Code> {
        if driver.stale {
            return Err(Code::DEAD);
        }
        if self.tasks[driver.task].doing != Doing::AwaitingReply(AUTHORITY) {
            return Err(Code::NO_LEASE);
        }
        let (place, lease) = self.lent(driver.task, lender, number)?;
        let fits = at <= lease.len() && len <= lease.len() - at;
        if !fits || len == 0 || !len.is_multiple_of(PAGE) || !(place + at).is_multiple_of(PAGE) {
            return Err(Code::LEASE_BOUNDS);
        }
        let used = &self.devices.pins;
        let free = (0..PINS).find(|slot| !used.contains_key(slot));
        let slot = free.ok_or(Code::EXHAUSTED)?;
        self.devices.pins.insert(slot, lender.task);
        let address = physical(lender.task, POOL + place + at);
        Ok(Heard::Pinned(
            slot as u64,
            address,
            lease.attributes().bits().into(),
        ))
    }
}
