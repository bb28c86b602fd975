//! A PCI fabric whose functions say what they like, and clients that ask for what they like.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use pci::{
    Address, BarRegisters, Clock, ConfigSpace, Difference, Fabric, Found, Observer, Record,
    Request, Server,
};
use pci_api::Width;
use plan::pci::{FunctionEntry, FunctionFlags, HostBridgeEntry, Quiesce};
use plan::{NONE, Name};
use userlib::delay::DelayNs;
use zerocopy::FromZeros;

use crate::input::Input;

const AUTHORITY: usize = 2;
const COMMAND: u16 = 0x04;
const MASTER: u32 = 1 << 2;

const HOST: HostBridgeEntry = HostBridgeEntry {
    ecam_va: 0,
    record_va: 0,
    bus_first: 0,
    bus_last: 3,
    refuse_on_mismatch: 0,
    reserved: 0,
};

fn function(name: &str, rid: u16, parent: u32, owner: u32) -> FunctionEntry {
    FunctionEntry {
        name: Name::new(name),
        group: Name::new(name),
        rid,
        vendor_id: 0x1af4,
        device_id: 0x1042,
        parent,
        owner,
        ..FunctionEntry::new_zeroed()
    }
}

/// A disk below one port, an edu below another.
fn plan() -> [FunctionEntry; 5] {
    let port = |name, slot: u16, bus| FunctionEntry {
        flags: (FunctionFlags::BRIDGE | FunctionFlags::SET_ACS).bits(),
        acs: 0x1d,
        buses: [0, bus, bus, 0],
        memory_window: [0x1000_0000, 0x101f_ffff],
        prefetch_window: [u64::MAX, 0],
        ..function(name, slot << 3, NONE, NONE)
    };
    let mut plan = [
        FunctionEntry {
            flags: FunctionFlags::HOST_BRIDGE.bits(),
            ..function("host", 0, NONE, NONE)
        },
        port("rp1", 1, 1),
        port("rp2", 2, 2),
        FunctionEntry {
            bar_address: [0x1000_0000, 0, 0, 0, 0, 0],
            bar_len: [0x1000, 0, 0, 0, 0, 0],
            quiesce: Quiesce::FunctionReset as u32,
            quiesce_wait: 100_000_000,
            ..function("disk", 1 << 8, 1, 4)
        },
        FunctionEntry {
            bar_address: [0x1010_0000, 0, 0, 0, 0, 0],
            bar_len: [0x10_0000, 0, 0, 0, 0, 0],
            quiesce: Quiesce::Poll as u32,
            quiesce_offset: 0x98,
            quiesce_mask: 1,
            quiesce_wait: 100_000_000,
            quiesce_va: 0x2000_0000,
            ..function("edu", 2 << 8, 2, 5)
        },
    ];
    for (group, entry) in (0..).zip(&mut plan) {
        entry.group_index = group;
    }
    plan
}

/// Configuration space: honest registers where the input does not lie.
struct Space<'a> {
    plan: [FunctionEntry; 5],
    input: RefCell<Input<'a>>,
    registers: RefCell<BTreeMap<(u16, u16), u32>>,
    accesses: Cell<u32>,
    now: Cell<u64>,
    record: RefCell<BTreeMap<usize, u64>>,
}

impl Space<'_> {
    /// What a function as planned would show at its reset.
    fn pristine(&self, address: Address, word: u16) -> u32 {
        let Some(entry) = self.plan.iter().find(|entry| entry.rid == address.0) else {
            return u32::MAX;
        };
        let bridge = entry.flags & FunctionFlags::BRIDGE.bits() != 0;
        match word {
            0x00 => u32::from(entry.vendor_id) | u32::from(entry.device_id) << 16,
            0x04 => 1 << 20,
            0x0c if bridge => 1 << 16,
            // The prefetchable window has 64 bits.
            0x24 if bridge => 0x0001_0001,
            0x34 => 0x40,
            0x40 => 0x0002_0010,
            0x44 => 1 << 28,
            0x100 => 0x0001_000d,
            _ => 0,
        }
    }

    /// Bits of a word that software can change.
    fn writable(&self, address: Address, word: u16) -> u32 {
        let entry = self.plan.iter().find(|entry| entry.rid == address.0);
        let bar_len = entry.map_or(0, |entry| entry.bar_len[0] as u32);
        let is_bridge = FunctionFlags::BRIDGE.bits();
        let bridge = entry.is_some_and(|entry| entry.flags & is_bridge != 0);
        match word {
            0x04 => 0x0547,
            0x10 => 0u32.wrapping_sub(bar_len),
            0x18 if bridge => 0x00ff_ffff,
            0x1c if bridge => 0xf0f0,
            0x20 | 0x24 if bridge => 0xfff0_fff0,
            0x28..=0x30 if bridge => u32::MAX,
            0x3c => 0x0fff_00ff,
            0x40..=0xff | 0x104 => u32::MAX,
            _ => 0,
        }
    }

    fn word(&self, address: Address, word: u16) -> u32 {
        self.registers
            .borrow()
            .get(&(address.0, word))
            .copied()
            .unwrap_or_else(|| self.pristine(address, word))
    }
}

impl ConfigSpace for Space<'_> {
    fn read(&self, function: Address, offset: u16, width: Width) -> u32 {
        assert!(offset < 4096 && offset.is_multiple_of(width as u16));
        self.accesses.set(self.accesses.get() + 1);
        let mut value = self.word(function, offset & !3);
        if value != u32::MAX {
            let mut input = self.input.borrow_mut();
            match input.take::<u8>() {
                1..=4 => value = input.take(),
                5..=12 => value ^= 1 << (input.take::<u8>() & 31),
                _ => {}
            }
        }
        value >> (8 * (offset & 3)) & width.mask()
    }

    fn write(&self, function: Address, offset: u16, width: Width, value: u32) {
        assert!(offset < 4096 && offset.is_multiple_of(width as u16));
        self.accesses.set(self.accesses.get() + 1);
        let word = offset & !3;
        if self.pristine(function, word) == u32::MAX {
            return;
        }
        let shift = 8 * (offset & 3);
        let mask = width.mask() << shift & self.writable(function, word);
        let old = self.word(function, word);
        let new = old & !mask | value << shift & mask;
        self.registers.borrow_mut().insert((function.0, word), new);
    }
}

impl BarRegisters for Space<'_> {
    fn read32(&self, va: u64, len: u64, offset: u32) -> u32 {
        assert!(va == 0x2000_0000 && u64::from(offset) < len);
        self.input.borrow_mut().take()
    }

    fn write32(&self, va: u64, len: u64, offset: u32, _: u32) {
        assert!(va == 0x2000_0000 && u64::from(offset) < len);
    }
}

impl Clock for Space<'_> {
    fn now(&self) -> u64 {
        self.now.get()
    }
    fn delay(&self) -> impl DelayNs {
        self
    }
}

impl DelayNs for &Space<'_> {
    fn delay_ns(&mut self, ns: u32) {
        self.now.set(self.now.get() + u64::from(ns));
    }
}

impl Record for Space<'_> {
    fn load(&self, index: usize) -> u64 {
        self.record.borrow().get(&index).copied().unwrap_or(0)
    }
    fn store(&self, index: usize, value: u64) {
        self.record.borrow_mut().insert(index, value);
    }
}

struct Nobody;

impl Observer for Nobody {
    fn found(&mut self, _: &Found<'_>) {}
    fn differs(&mut self, _: &Difference<'_>) {}
}

impl<'a> Space<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            plan: plan(),
            input: RefCell::new(Input::new(bytes)),
            registers: RefCell::default(),
            accesses: Cell::new(0),
            now: Cell::new(0),
            record: RefCell::default(),
        }
    }
}

/// Enumerates, then serves.
pub fn run(bytes: &[u8]) {
    let space = Space::new(bytes);
    let plan = space.plan;
    let Ok(mut fabric) = Fabric::new(&HOST, &plan) else {
        panic!("five functions are not too many");
    };
    fabric.enumerate(&space, &mut Nobody);
    // The bus mastering bits that software wrote, whatever the devices say of them.
    for entry in &plan {
        let command = space.word(Address(entry.rid), COMMAND);
        assert_eq!(command & MASTER, 0, "{} is a master", entry.name.as_str());
    }
    assert!(space.accesses.get() < 20_000, "the enumeration has no end");
    serve(&space, fabric);
}

fn serve(space: &Space<'_>, fabric: Fabric<'_>) {
    let mut server = Server::new(fabric, Borrowed(space), Some(AUTHORITY));
    let mut now = 0;
    for _ in 0..64 {
        if space.input.borrow().is_empty() {
            break;
        }
        let (sender, operation, len, reply_capacity, payload) = {
            let mut input = space.input.borrow_mut();
            let sender = [AUTHORITY, 4, 5, 6][input.below(4)];
            let operation = input.below(9) as u16;
            let len = if input.below(8) == 0 {
                input.below(65)
            } else {
                [8, 16][input.below(2)]
            };
            let mut payload = [0; 8];
            payload[0] = input.below(6) as u64 | u64::from(input.take::<u16>()) << 32;
            if input.take::<u8>() & 3 == 0 {
                payload[0] ^= 1 << (input.take::<u8>() & 63);
            } else {
                payload[0] |= [1, 2, 4][input.below(3)] << 48;
            }
            payload[1] = u64::from(input.take::<u16>());
            (sender, operation, len, input.below(65), payload)
        };
        let request = Request {
            sender,
            operation,
            payload: &payload,
            len,
            reply_capacity,
            leases: 0,
        };
        let before = master_bits(space);
        let answer = server.handle(&request, || now);
        assert!(
            answer.len <= reply_capacity,
            "the reply would fault the server"
        );
        assert!(answer.code == 0 || answer.len == 0);
        if sender != AUTHORITY {
            assert_eq!(before, master_bits(space), "a driver changed bus mastering");
        }
        now += 10_000_000;
        server.step(|| now);
    }
}

fn master_bits(space: &Space<'_>) -> [u32; 5] {
    space
        .plan
        .map(|entry| space.word(Address(entry.rid), COMMAND) & MASTER)
}

/// The server owns its hardware; the test looks at it as well.
struct Borrowed<'a, 'b>(&'a Space<'b>);

impl ConfigSpace for Borrowed<'_, '_> {
    fn read(&self, function: Address, offset: u16, width: Width) -> u32 {
        self.0.read(function, offset, width)
    }
    fn write(&self, function: Address, offset: u16, width: Width, value: u32) {
        self.0.write(function, offset, width, value);
    }
}

impl Record for Borrowed<'_, '_> {
    fn load(&self, index: usize) -> u64 {
        self.0.load(index)
    }
    fn store(&self, index: usize, value: u64) {
        self.0.store(index, value);
    }
}

impl BarRegisters for Borrowed<'_, '_> {
    fn read32(&self, va: u64, len: u64, offset: u32) -> u32 {
        self.0.read32(va, len, offset)
    }
    fn write32(&self, va: u64, len: u64, offset: u32, value: u32) {
        self.0.write32(va, len, offset, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lies are told from a fabric that would be accepted without them.
    #[test]
    fn without_a_lie_every_function_is_ready() {
        let space = Space::new(&[]);
        let plan = space.plan;
        let mut fabric = Fabric::new(&HOST, &plan).unwrap_or_else(|_| panic!("too large"));
        fabric.enumerate(&space, &mut Nobody);
        let status = fabric.boot_status();
        assert_eq!((status.ready, status.mismatches), (5, 0));
    }
}
