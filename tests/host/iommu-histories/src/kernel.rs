//! The kernel as far as the server sees it: lives of tasks, holds, pins, leases.

use abi::privileged::{Held, HeldKind};
use abi::{Code, LeaseAttributes, TaskId};
use iommu::hardware::Pinned;

use super::layout::{POOLS, TASKS};

/// A hold on a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    /// The life that is held.
    pub task: TaskId,
    /// For which device.
    pub device: u32,
}

/// A pinned run of a lender's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pin {
    /// The life that lent it.
    pub lender: TaskId,
    /// For which device.
    pub device: u32,
    /// The accesses that the lease granted.
    pub access: LeaseAttributes,
    /// Physical address.
    pub pa: u64,
    /// Bytes.
    pub len: u64,
}

impl Pin {
    /// The number of the device.
    #[must_use]
    pub fn number(&self) -> usize {
        (self.device & 0xffff) as usize
    }
    /// Whether it is of a pool that is lent as a whole.
    #[must_use]
    pub fn is_of_pool(&self) -> bool {
        self.device >> 16 != 0
    }
}

/// Memory that a client lends a driver during the current call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lent {
    /// The life that lends.
    pub lender: TaskId,
    /// The life that borrows.
    pub driver: TaskId,
    /// Physical address.
    pub pa: u64,
    /// Bytes.
    pub len: u64,
    /// The borrower may write.
    pub writable: bool,
}

/// Lives, holds, pins.
#[derive(Default)]
pub struct Kernel {
    generations: [u64; TASKS],
    alive: [bool; TASKS],
    /// Holds.
    pub holds: Vec<Hold>,
    /// Pins by slot.
    pub pins: Vec<Option<Pin>>,
    /// What is lent now.
    pub lease: Option<Lent>,
    /// Held tasks died since the authority was last told.
    pub held_death: bool,
}

const PINS_MAX: usize = 16;

impl Kernel {
    /// Every task in its first life.
    #[must_use]
    pub fn new() -> Self {
        Self {
            alive: [true; TASKS],
            pins: vec![None; PINS_MAX],
            ..Self::default()
        }
    }

    /// The current id of a task.
    #[must_use]
    pub fn id(&self, index: usize) -> TaskId {
        TaskId::new(
            index as u8,
            self.generations.get(index).copied().unwrap_or(0),
        )
    }

    /// Whether a task runs.
    #[must_use]
    pub fn is_alive(&self, index: usize) -> bool {
        self.alive.get(index).copied().unwrap_or(false)
    }

    /// Whether an id names a life that goes on.
    #[must_use]
    pub fn is_current(&self, id: TaskId) -> bool {
        self.is_alive(id.index()) && self.id(id.index()) == id
    }

    /// Whether anything of an earlier life of a task is still held.
    #[must_use]
    pub fn is_held(&self, index: usize) -> bool {
        self.holds.iter().any(|hold| hold.task.index() == index)
            || self
                .pins
                .iter()
                .flatten()
                .any(|pin| pin.lender.index() == index)
    }

    /// A task dies: its generation advances at once.
    pub fn die(&mut self, index: usize) {
        if self.is_held(index) {
            self.held_death = true;
        }
        // It waits for no reply any more.
        self.lease = self.lease.filter(|lent| lent.lender.index() != index);
        if let (Some(alive), Some(generation)) =
            (self.alive.get_mut(index), self.generations.get_mut(index))
        {
            *alive = false;
            *generation += 1;
        }
    }

    /// A dead task runs again, unless it is held.
    pub fn restart(&mut self, index: usize) -> bool {
        let free = !self.is_alive(index) && !self.is_held(index);
        if let Some(alive) = self.alive.get_mut(index)
            && free
        {
            *alive = true;
        }
        free
    }

    /// Holds a task for a device.
    pub fn hold(&mut self, task: TaskId, device: u32) -> Code {
        if !self.is_current(task) {
            return Code::DEAD;
        }
        if !self.holds.contains(&Hold { task, device }) {
            self.holds.push(Hold { task, device });
        }
        Code::OK
    }

    /// Lifts a hold.
    pub fn lift(&mut self, index: usize, device: u32) -> Code {
        let before = self.holds.len();
        self.holds
            .retain(|hold| hold.task.index() != index || hold.device != device);
        if self.holds.len() < before {
            Code::OK
        } else {
            Code::REFUSED
        }
    }

    /// Pins part of what is lent now.
    ///
    /// # Errors
    /// `NO_LEASE`, `LEASE_BOUNDS`, `EXHAUSTED`.
    pub fn pin(
        &mut self,
        driver: TaskId,
        lender: TaskId,
        lease: u32,
        device: u32,
        offset: u64,
        len: u64,
    ) -> Result<Pinned, Code> {
        let lent = self
            .lease
            .filter(|lent| lent.driver == driver && lent.lender == lender);
        let lent = lent.filter(|_| lease == 0).ok_or(Code::NO_LEASE)?;
        let end = offset.checked_add(len).ok_or(Code::LEASE_BOUNDS)?;
        if len == 0 || end > lent.len || !(offset | len).is_multiple_of(4096) {
            return Err(Code::LEASE_BOUNDS);
        }
        let slot = self
            .pins
            .iter()
            .position(Option::is_none)
            .ok_or(Code::EXHAUSTED)?;
        let pa = lent.pa + offset;
        if let Some(pin) = self.pins.get_mut(slot) {
            let mut access = LeaseAttributes::READ;
            access.set(LeaseAttributes::WRITE, lent.writable);
            *pin = Some(Pin {
                lender,
                device,
                access,
                pa,
                len,
            });
        }
        Ok(Pinned {
            slot: slot as u32,
            pa,
            writable: lent.writable,
            readable: true,
        })
    }

    /// The pin in a slot.
    #[must_use]
    pub fn pinned(&self, slot: u32) -> Option<Pin> {
        self.pins.get(slot as usize).copied().flatten()
    }

    /// Lifts a pin.
    pub fn unpin(&mut self, slot: u32) -> Code {
        match self.pins.get_mut(slot as usize) {
            Some(pin) if pin.is_some() => {
                *pin = None;
                Code::OK
            }
            _ => Code::REFUSED,
        }
    }

    /// The hold or pin at a cursor.
    #[must_use]
    pub fn enumerate(&self, cursor: u64) -> Held {
        let at = usize::try_from(cursor).unwrap_or(usize::MAX);
        if let Some(hold) = self.holds.get(at) {
            return Held {
                next: cursor + 1,
                kind: HeldKind::Hold,
                task: self.id(hold.task.index()),
                device: hold.device,
                dead: !self.is_current(hold.task),
                ..Held::END
            };
        }
        let from = at.saturating_sub(HOLDS_MAX);
        let mut pins = self.pins.iter().enumerate().skip(from);
        let found = pins.find_map(|(slot, pin)| pin.map(|pin| (slot, pin)));
        found.map_or(Held::END, |(slot, pin)| Held {
            next: (HOLDS_MAX + slot) as u64 + 1,
            kind: HeldKind::Pin,
            task: self.id(pin.lender.index()),
            device: pin.device,
            slot: slot as u32,
            dead: !self.is_current(pin.lender),
            access: pin.access,
            pa: pin.pa,
            len: pin.len,
        })
    }
}

/// Cursors of pins are slots, beyond those of all holds.
const HOLDS_MAX: usize = 64;

/// Physical address of a page of a task's pool.
#[must_use]
pub fn pool_page(task: usize, pool: u32, page: u64) -> Option<u64> {
    let &(_, _, pa, len) = POOLS
        .iter()
        .find(|pool_of| pool_of.0 == task && pool_of.1 == pool)?;
    (page < len / 4096).then_some(pa + page * 4096)
}
