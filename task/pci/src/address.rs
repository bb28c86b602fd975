//! The address of a function.

/// Requester id of a function: bus in bits 15:8, slot in 7:3, function in 2:0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address(pub u16);

impl Address {
    /// The function with number `devfn` (slot << 3 | function) on a bus.
    pub const fn on_bus(bus: u8, devfn: u8) -> Self {
        Self((bus as u16) << 8 | devfn as u16)
    }
    /// Bus number.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }
    /// Slot, 0..=31.
    pub const fn slot(self) -> u8 {
        (self.0 >> 3) as u8 & 0x1f
    }
    /// Function, 0..=7.
    pub const fn function(self) -> u8 {
        self.0 as u8 & 7
    }
}
