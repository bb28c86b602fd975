//! A function in memory: registers with write masks, and resets that lose what real ones lose.

use std::vec::Vec;

use crate::registers::*;

/// One function.
#[derive(Clone)]
pub struct Node {
    pub parent: Option<usize>,
    /// The root bus, of one without parent.
    pub root: u8,
    pub devfn: u8,
    pub bytes: Vec<u8>,
    /// Bits that software can change.
    pub writable: Vec<u8>,
    /// Bits that are cleared by writing 1.
    pub clears: Vec<u8>,
    /// What a reset goes back to.
    pub pristine: Vec<u8>,
    /// Not there.
    pub gone: bool,
    /// Answers from this time on.
    pub dead_until: u64,
    /// Asks to be tried again until this time.
    pub retry_until: u64,
    /// Offset of its power control, 0: none. It resets itself when it is turned on.
    pub power: u16,
    /// Nanoseconds that it is dead after a reset.
    pub reset_time: u64,
    /// Vendor id shown after the next reset, if another.
    pub vendor_after_reset: Option<u16>,
    /// Stops keeping writes to its BARs after a reset.
    pub forgets_after_reset: bool,
    /// Offset of the PCI Express capability, 0: none.
    pub express: u16,
    /// Resets seen.
    pub resets: u32,
    last_capability: u16,
    last_extended: u16,
}

impl Node {
    pub fn endpoint(parent: Option<usize>, devfn: u8, vendor: u16, device: u16) -> Self {
        let mut node = Self {
            parent,
            root: 0,
            devfn,
            bytes: std::vec![0; 4096],
            writable: std::vec![0; 4096],
            clears: std::vec![0; 4096],
            pristine: Vec::new(),
            gone: false,
            dead_until: 0,
            retry_until: 0,
            power: 0,
            reset_time: 0,
            vendor_after_reset: None,
            forgets_after_reset: false,
            express: 0,
            resets: 0,
            last_capability: CAPABILITIES,
            last_extended: 0,
        };
        node.put16(VENDOR_ID, vendor);
        node.put16(DEVICE_ID, device);
        node.allow(COMMAND, 2, 0x0547);
        node.clears[usize::from(STATUS) + 1] = 0xf9;
        node.allow(CACHE_LINE, 1, 0xff);
        node.allow(INTERRUPT_LINE, 1, 0xff);
        node
    }

    pub fn bridge(parent: Option<usize>, devfn: u8, vendor: u16, device: u16) -> Self {
        let mut node = Self::endpoint(parent, devfn, vendor, device);
        node.bytes[usize::from(HEADER_TYPE)] = LAYOUT_BRIDGE;
        node.allow(BUS_NUMBERS, 4, 0x00ff_ffff);
        node.allow(IO_WINDOW, 2, 0xf0f0);
        node.allow(MEMORY_WINDOW, 4, 0xfff0_fff0);
        node.allow(PREFETCH_WINDOW, 4, 0xfff0_fff0);
        node.put32(PREFETCH_WINDOW, 0x0001_0001);
        node.allow(PREFETCH_BASE_UPPER, 4, u32::MAX);
        node.allow(PREFETCH_LIMIT_UPPER, 4, u32::MAX);
        node.allow(IO_UPPER, 4, u32::MAX);
        node.allow(BRIDGE_CONTROL, 2, 0x0fff);
        node
    }

    pub fn on_root(mut self, bus: u8) -> Self {
        self.root = bus;
        self
    }

    pub fn multifunction(mut self) -> Self {
        self.bytes[usize::from(HEADER_TYPE)] |= HEADER_MULTIFUNCTION;
        self
    }

    pub fn bar(mut self, index: u16, len: u64, kind: u32) -> Self {
        let mask = !(len - 1);
        self.put32(BAR + 4 * index, kind);
        self.allow(BAR + 4 * index, 4, mask as u32 & !0xf);
        if kind & 4 != 0 {
            self.allow(BAR + 4 * index + 4, 4, (mask >> 32) as u32);
        }
        self
    }

    pub fn capability(mut self, at: u16, id: u8) -> Self {
        let status = self.get16(STATUS) | STATUS_CAPABILITIES;
        self.put16(STATUS, status);
        let link = self.last_capability + u16::from(self.last_capability != CAPABILITIES);
        self.bytes[usize::from(link)] = at as u8;
        self.bytes[usize::from(at)] = id;
        self.last_capability = at;
        self
    }

    pub fn express(mut self, at: u16, resets: bool) -> Self {
        self = self.capability(at, CAPABILITY_EXPRESS);
        self.put32(at + EXPRESS_DEVICE, if resets { EXPRESS_RESETS } else { 0 });
        // A bridge is a root port unless a test says otherwise.
        if self.is_bridge() {
            self.put16(at + EXPRESS_REGISTER, 4 << EXPRESS_TYPE_SHIFT);
        }
        self.allow(at + EXPRESS_CONTROL, 2, 0x7fff);
        self.clears[usize::from(at + EXPRESS_STATUS)] = EXPRESS_ERRORS as u8;
        self.express = at;
        self
    }

    /// In power state `state`.
    pub fn power(mut self, at: u16, state: u16) -> Self {
        self = self.capability(at, CAPABILITY_POWER);
        self.allow(at + POWER_CONTROL, 2, POWER_STATE.into());
        self.put16(at + POWER_CONTROL, state);
        self.power = at + POWER_CONTROL;
        self
    }

    pub fn extended(mut self, at: u16, id: u16, control: u16, mask: u16) -> Self {
        self.put32(at, u32::from(id) | 1 << 16);
        if self.last_extended != 0 {
            let header = self.get32(self.last_extended) | u32::from(at) << 20;
            self.put32(self.last_extended, header);
        }
        self.allow(at + control, 2, u32::from(mask));
        self.last_extended = at;
        self
    }

    pub fn allow(&mut self, offset: u16, bytes: usize, mask: u32) {
        let at = usize::from(offset);
        self.writable[at..at + bytes].copy_from_slice(&mask.to_le_bytes()[..bytes]);
    }
    pub fn get16(&self, offset: u16) -> u16 {
        let at = usize::from(offset);
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }
    pub fn get32(&self, offset: u16) -> u32 {
        u32::from(self.get16(offset)) | u32::from(self.get16(offset + 2)) << 16
    }
    pub fn put16(&mut self, offset: u16, value: u16) {
        let at = usize::from(offset);
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    pub fn put32(&mut self, offset: u16, value: u32) {
        let at = usize::from(offset);
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    pub fn is_bridge(&self) -> bool {
        self.bytes[usize::from(HEADER_TYPE)] & HEADER_LAYOUT == LAYOUT_BRIDGE
    }
    pub fn command(&self) -> u16 {
        self.get16(COMMAND)
    }

    pub fn state(&self) -> u16 {
        if self.power == 0 {
            0
        } else {
            self.get16(self.power) & POWER_STATE
        }
    }

    pub fn reset(&mut self, now: u64) {
        self.bytes.clone_from(&self.pristine);
        if let Some(vendor) = self.vendor_after_reset {
            self.put16(VENDOR_ID, vendor);
        }
        if self.forgets_after_reset {
            self.allow(BAR, 4, 0);
            self.allow(BAR + 4, 4, 0);
            self.allow(BUS_NUMBERS, 4, 0);
        }
        self.dead_until = now + self.reset_time;
        self.resets += 1;
    }
}
