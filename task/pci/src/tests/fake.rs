//! A fabric in memory, whose bridges route by their bus numbers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::vec::Vec;

use pci_api::Width;

use crate::address::Address;
use userlib::delay::DelayNs;

use crate::config::{BarRegisters, Clock, ConfigSpace, Record};
use crate::registers::*;
use crate::tests::node::Node;

/// One write, for tests of order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write {
    pub node: usize,
    pub offset: u16,
    pub value: u32,
    /// Some function had bus mastering on just before it.
    pub master_on: bool,
}

/// The fabric.
pub struct Fake {
    pub nodes: RefCell<Vec<Node>>,
    pub now: Cell<u64>,
    pub writes: RefCell<Vec<Write>>,
    /// BAR registers by address; a read of one that is not there gives all ones.
    pub registers: RefCell<BTreeMap<u64, u32>>,
    /// The memory that outlives the task.
    pub record: RefCell<Vec<u64>>,
    /// Writes, to registers and to the record, until the task dies in one; `None` for never.
    pub fuse: Cell<Option<u32>>,
    /// Nanoseconds that every pause takes beyond what was asked for: others run.
    pub preempted: Cell<u64>,
}

/// What a death of the task unwinds with.
pub struct Death;

impl Fake {
    pub fn new(mut nodes: Vec<Node>) -> Self {
        for node in &mut nodes {
            node.pristine = node.bytes.clone();
        }
        Self {
            nodes: RefCell::new(nodes),
            now: Cell::new(0),
            writes: RefCell::default(),
            registers: RefCell::default(),
            record: RefCell::new(std::vec![0; 512]),
            fuse: Cell::new(None),
            preempted: Cell::new(0),
        }
    }

    /// Whether the task died in `act`, at the write after so many.
    pub fn dies(&self, writes: u32, act: impl FnOnce()) -> bool {
        self.fuse.set(Some(writes));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        self.fuse.set(None);
        match ended {
            Ok(()) => false,
            Err(death) if death.is::<Death>() => true,
            Err(other) => std::panic::resume_unwind(other),
        }
    }

    fn burn(&self) {
        match self.fuse.get() {
            Some(0) => std::panic::resume_unwind(std::boxed::Box::new(Death)),
            left => self.fuse.set(left.map(|left| left - 1)),
        }
    }

    pub fn change(&self, index: usize, change: impl FnOnce(&mut Node)) {
        change(&mut self.nodes.borrow_mut()[index]);
    }

    pub fn node(&self, index: usize) -> Node {
        self.nodes.borrow()[index].clone()
    }

    pub fn masters(&self) -> Vec<usize> {
        let nodes = self.nodes.borrow();
        let on = |node: &Node| node.command() & COMMAND_MASTER != 0;
        (0..nodes.len()).filter(|i| on(&nodes[*i])).collect()
    }

    fn on_bus(&self, parent: Option<usize>, root: u8, devfn: u8) -> Option<usize> {
        let nodes = self.nodes.borrow();
        // An express port forwards to slot 0 only.
        if parent.is_some_and(|parent| nodes[parent].express != 0) && devfn >= 8 {
            return None;
        }
        nodes.iter().position(|node| {
            node.parent == parent
                && (parent.is_some() || node.root == root)
                && node.devfn == devfn
                && !node.gone
                && node.dead_until <= self.now.get()
        })
    }

    fn route(&self, address: Address) -> Option<usize> {
        let mut above = None;
        let on_root = |node: &Node| node.parent.is_none() && node.root == address.bus();
        if !self.nodes.borrow().iter().any(on_root) {
            loop {
                let nodes = self.nodes.borrow();
                let (bridge, secondary) = nodes.iter().enumerate().find_map(|(index, node)| {
                    let [_, secondary, subordinate, _] = node.get32(BUS_NUMBERS).to_le_bytes();
                    let takes = node.is_bridge()
                        && node.parent == above
                        && !node.gone
                        && node.dead_until <= self.now.get()
                        && node.get16(BRIDGE_CONTROL) & BRIDGE_RESET == 0
                        && secondary != 0
                        && (secondary..=subordinate).contains(&address.bus());
                    takes.then_some((index, secondary))
                })?;
                above = Some(bridge);
                if secondary == address.bus() {
                    break;
                }
            }
        }
        self.on_bus(above, address.bus(), address.0 as u8)
    }

    fn is_below(&self, index: usize, bridge: usize) -> bool {
        let nodes = self.nodes.borrow();
        let mut at = nodes[index].parent;
        while let Some(parent) = at {
            if parent == bridge {
                return true;
            }
            at = nodes[parent].parent;
        }
        false
    }

    fn effects(&self, index: usize, offset: u16, value: u32) {
        let now = self.now.get();
        let node = self.node(index);
        if node.is_bridge() && offset == BRIDGE_CONTROL && value as u16 & BRIDGE_RESET != 0 {
            let count = self.nodes.borrow().len();
            for below in 0..count {
                if self.is_below(below, index) {
                    self.change(below, |node| node.reset(now));
                }
            }
        }
        let resets = node.express != 0
            && offset == node.express + EXPRESS_CONTROL
            && value as u16 & EXPRESS_RESET != 0
            && node.get32(node.express + EXPRESS_DEVICE) & EXPRESS_RESETS != 0;
        if resets {
            self.change(index, |node| node.reset(now));
        }
    }
}

impl ConfigSpace for Fake {
    fn read(&self, function: Address, offset: u16, width: Width) -> u32 {
        assert_eq!(offset % width as u16, 0);
        let Some(index) = self.route(function) else {
            return width.mask();
        };
        let node = &self.nodes.borrow()[index];
        if offset == VENDOR_ID && node.retry_until > self.now.get() {
            return (0xffff_0000 | u32::from(VENDOR_RETRY)) & width.mask();
        }
        (0..width as u16).rev().fold(0, |value, byte| {
            value << 8 | u32::from(node.bytes[usize::from(offset + byte)])
        })
    }

    fn write(&self, function: Address, offset: u16, width: Width, value: u32) {
        assert_eq!(offset % width as u16, 0);
        self.burn();
        let Some(index) = self.route(function) else {
            return;
        };
        self.writes.borrow_mut().push(Write {
            node: index,
            offset,
            value,
            master_on: !self.masters().is_empty(),
        });
        let low = self.node(index).state() != 0;
        self.change(index, |node| {
            let bars = if node.is_bridge() {
                0x10..0x18
            } else {
                0x10..0x28
            };
            assert!(
                !bars.contains(&offset) || node.command() & COMMAND_MEMORY == 0,
                "a BAR is written while it is decoded"
            );
            for byte in 0..width as usize {
                let at = usize::from(offset) + byte;
                let new = (value >> (8 * byte)) as u8;
                let writable = node.writable[at];
                node.bytes[at] = node.bytes[at] & !writable | new & writable;
                node.bytes[at] &= !(new & node.clears[at]);
            }
        });
        self.effects(index, offset, value);
        if low && self.node(index).state() == 0 {
            let now = self.now.get();
            self.change(index, |node| {
                node.reset(now);
                node.put16(node.power, 0);
                node.dead_until = now + 10_000_000;
            });
        }
    }
}

impl Record for Fake {
    fn load(&self, index: usize) -> u64 {
        self.record.borrow()[index]
    }
    fn store(&self, index: usize, value: u64) {
        self.burn();
        self.record.borrow_mut()[index] = value;
    }
}

impl Clock for Fake {
    fn now(&self) -> u64 {
        self.now.get()
    }
    fn delay(&self) -> impl DelayNs {
        self
    }
}

impl DelayNs for &Fake {
    fn delay_ns(&mut self, ns: u32) {
        let now = self.now.get() + u64::from(ns);
        self.now.set(now + self.preempted.get());
    }
}

impl BarRegisters for Fake {
    fn read32(&self, va: u64, len: u64, offset: u32) -> u32 {
        assert!(u64::from(offset) + 4 <= len);
        let registers = self.registers.borrow();
        registers
            .get(&(va + u64::from(offset)))
            .copied()
            .unwrap_or(u32::MAX)
    }
    fn write32(&self, va: u64, len: u64, offset: u32, value: u32) {
        assert!(u64::from(offset) + 4 <= len);
        self.registers
            .borrow_mut()
            .insert(va + u64::from(offset), value);
    }
}

impl<T: ConfigSpace> ConfigSpace for &T {
    fn read(&self, function: Address, offset: u16, width: Width) -> u32 {
        (*self).read(function, offset, width)
    }
    fn write(&self, function: Address, offset: u16, width: Width, value: u32) {
        (*self).write(function, offset, width, value);
    }
}

impl<T: BarRegisters> BarRegisters for &T {
    fn read32(&self, va: u64, len: u64, offset: u32) -> u32 {
        (*self).read32(va, len, offset)
    }
    fn write32(&self, va: u64, len: u64, offset: u32, value: u32) {
        (*self).write32(va, len, offset, value);
    }
}

impl<T: Record> Record for &T {
    fn load(&self, index: usize) -> u64 {
        (*self).load(index)
    }
    fn store(&self, index: usize, value: u64) {
        (*self).store(index, value);
    }
}
