//! A controller on the host: one that keeps to the datasheet, and can be made to lie.

use core::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec::Vec;

use blk_server::testing::HostMemory;
use userlib::delay::DelayNs;
use userlib::memory::Memory;
use userlib::registers::Registers;

use crate::device::Nic;
use crate::layout::{POOL_LEN, RECEIVE, SEND};
use crate::registers::{
    CTRL, CTRL_MASTER_DISABLE, CTRL_RESET, EECD, EECD_READ, HEAD, ICR, IMS, RAH, RAH_VALID, RAL,
    RCTL, RDBAL, STATUS, STATUS_LINK, STATUS_MASTER, TAIL, TCTL, TDBAL,
};
use crate::ring::{DESCRIPTOR_LEN, ENTRIES};

/// IOVA of the driver's pool.
pub const PLACE: u64 = 0x1_2340_0000;
/// The controller's address.
pub const ADDRESS: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

/// Waits without waiting.
pub struct NoDelay;

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

/// What a controller may get wrong at its reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Wrong {
    /// Nothing.
    #[default]
    Nothing,
    /// It is not there: all registers read as ones.
    Gone,
    /// Its accesses to memory do not end.
    Master,
    /// Its reset does not end.
    Reset,
    /// It does not find its address.
    Address,
    /// Its address is one of a group.
    Group,
}

struct State {
    registers: RefCell<HostMemory>,
    memory: HostMemory,
    wrong: Cell<Wrong>,
    resets: Cell<u32>,
    /// Registers that were written, in order, with what.
    written: RefCell<Vec<(usize, u32)>>,
}

/// The controller.
#[derive(Clone)]
pub struct Controller(Rc<State>);

impl Controller {
    /// One that was switched on.
    pub fn new() -> Self {
        let controller = Self(Rc::new(State {
            registers: RefCell::new(HostMemory::new(0x2_0000)),
            memory: HostMemory::new(POOL_LEN),
            wrong: Cell::default(),
            resets: Cell::new(0),
            written: RefCell::default(),
        }));
        controller.reset();
        controller
    }

    /// One that is wrong.
    pub fn that_is(wrong: Wrong) -> Self {
        let controller = Self::new();
        controller.be(wrong);
        controller
    }

    /// Becomes wrong, or right.
    pub fn be(&self, wrong: Wrong) {
        self.0.wrong.set(wrong);
    }

    /// A driver's view of it, started.
    pub fn started(&self, vectors: u32) -> Nic<Self, HostMemory> {
        let mut nic = self.nic(vectors);
        nic.stop(&mut NoDelay).expect("it stops");
        nic.start().expect("it starts");
        nic
    }

    /// A driver's view of it.
    pub fn nic(&self, vectors: u32) -> Nic<Self, HostMemory> {
        Nic::new(self.clone(), self.memory(), PLACE, vectors).expect("room")
    }

    /// The driver's pool.
    pub fn memory(&self) -> HostMemory {
        self.0.memory.clone()
    }

    /// The same, as memory and nothing else.
    pub fn pool(&self) -> impl Memory + use<> {
        self.memory()
    }

    /// How often it was reset.
    pub fn resets(&self) -> u32 {
        self.0.resets.get()
    }

    /// What was written to registers since the last time.
    pub fn written(&self) -> Vec<(usize, u32)> {
        self.0.written.take()
    }

    /// Sets a register behind the driver's back.
    pub fn set(&self, register: usize, value: u32) {
        Registers::write32(&*self.0.registers.borrow(), register, value);
    }

    fn get(&self, register: usize) -> u32 {
        Registers::read32(&*self.0.registers.borrow(), register)
    }

    fn reset(&self) {
        let fresh = HostMemory::new(0x2_0000);
        *self.0.registers.borrow_mut() = fresh;
        let [a, b, c, d, e, f] = ADDRESS;
        self.set(RAL, u32::from_le_bytes([a, b, c, d]));
        self.set(RAH, u32::from_le_bytes([e, f, 0, 0]) | RAH_VALID);
        self.set(EECD, EECD_READ);
        self.set(STATUS, STATUS_LINK | 2 << 6 | 1);
        match self.0.wrong.get() {
            Wrong::Address => self.set(EECD, 0),
            Wrong::Group => self.set(RAL, 1),
            _ => {}
        }
    }

    /// Descriptors that it has, oldest first: their offsets in the pool and their addresses.
    pub fn has(&self, ring: usize) -> VecDeque<(usize, u64)> {
        let (first, base) = if ring == RDBAL {
            (RDBAL, RECEIVE)
        } else {
            (TDBAL, SEND)
        };
        let (mut head, tail) = (self.get(first + HEAD), self.get(first + TAIL));
        let mut found = VecDeque::new();
        while head != tail {
            let at = base + head as usize * DESCRIPTOR_LEN;
            found.push_back((at, self.pool().read64(at)));
            head = (head + 1) % u32::from(ENTRIES);
        }
        found
    }

    /// A frame comes: it goes to the oldest page, whose address it is. None if there is no page, and the frame is lost.
    pub fn deliver(&self, length: u16, state: u8, errors: u8) -> Option<u64> {
        assert_ne!(self.get(RCTL) & 1 << 1, 0, "receiving is on");
        let (at, address) = self.has(RDBAL).pop_front()?;
        let word = u64::from(length) | u64::from(state) << 32 | u64::from(errors) << 40;
        self.pool().write64(at + 8, word);
        self.step(RDBAL);
        Some(address)
    }

    /// The oldest frame goes: its address and its length.
    pub fn transmit(&self, state: u8) -> Option<(u64, u32)> {
        assert_ne!(self.get(TCTL) & 1 << 1, 0, "sending is on");
        let (at, address) = self.has(TDBAL).pop_front()?;
        let command = self.pool().read32(at + 8);
        assert_eq!(command >> 24, 0xb, "end, check sequence, report");
        self.pool().write32(at + 12, u32::from(state));
        self.step(TDBAL);
        Some((address, command & 0xffff))
    }

    fn step(&self, ring: usize) {
        let head = (self.get(ring + HEAD) + 1) % u32::from(ENTRIES);
        self.set(ring + HEAD, head);
    }
}

impl Registers for Controller {
    fn read8(&self, _: usize) -> u8 {
        unreachable!("registers have 32 bits")
    }
    fn read16(&self, _: usize) -> u16 {
        unreachable!("registers have 32 bits")
    }
    fn read32(&self, offset: usize) -> u32 {
        match (self.0.wrong.get(), offset) {
            (Wrong::Gone, _) => u32::MAX,
            (Wrong::Master, STATUS) => self.get(STATUS) | STATUS_MASTER,
            (_, STATUS) if self.get(CTRL) & CTRL_MASTER_DISABLE == 0 => {
                self.get(STATUS) | STATUS_MASTER
            }
            _ => self.get(offset),
        }
    }
    fn read64(&self, _: usize) -> u64 {
        unreachable!("registers have 32 bits")
    }
    fn write8(&self, _: usize, _: u8) {
        unreachable!("registers have 32 bits")
    }
    fn write16(&self, _: usize, _: u16) {
        unreachable!("registers have 32 bits")
    }
    fn write32(&self, offset: usize, value: u32) {
        self.0.written.borrow_mut().push((offset, value));
        match offset {
            CTRL if value & CTRL_RESET != 0 => {
                assert_ne!(value & CTRL_MASTER_DISABLE, 0, "it is stopped first");
                self.0.resets.set(self.0.resets.get() + 1);
                self.reset();
                if self.0.wrong.get() == Wrong::Reset {
                    self.set(CTRL, CTRL_RESET);
                }
            }
            ICR => self.set(ICR, self.get(ICR) & !value),
            IMS => self.set(IMS, self.get(IMS) | value),
            _ => self.set(offset, value),
        }
    }
    fn write64(&self, _: usize, _: u64) {
        unreachable!("registers have 32 bits")
    }
}
