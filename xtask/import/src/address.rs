//! The address of a function.

/// Address of a function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    /// PCI segment (domain). Those of the machine have 16 bits; Linux numbers its own, such as those behind a VMD
    /// controller, from 0x10000.
    pub segment: u32,
    /// Bus number.
    pub bus: u8,
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7.
    pub function: u8,
}

/// A number of hexadecimal digits and nothing else: no sign.
pub(crate) fn hex(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

/// A segment: four digits, or as many as it needs.
fn long_hex(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

impl Address {
    /// Whether the segment is one that an operating system made up: requests of what is there carry the requester id of
    /// the device that it is behind.
    pub fn is_made_up(self) -> bool {
        self.segment > u32::from(u16::MAX)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (slot, function) = text.split_once('.')?;
        let mut parts = slot.rsplit(':');
        let (device, bus, segment) = (parts.next()?, parts.next()?, parts.next());
        if parts.next().is_some() || device.len() != 2 || bus.len() != 2 || function.len() != 1 {
            return None;
        }
        let address = Self {
            segment: segment.map_or(Some(0), long_hex)?,
            bus: u8::try_from(hex(bus)?).ok()?,
            device: u8::try_from(hex(device)?).ok()?,
            function: u8::try_from(hex(function)?).ok()?,
        };
        (address.device < 32 && address.function < 8).then_some(address)
    }

    /// The function's requester id: bus << 8 | device << 3 | function.
    pub fn requester(self) -> u16 {
        u16::from_be_bytes([self.bus, self.device << 3 | self.function])
    }
}

impl core::fmt::Display for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{}",
            self.segment, self.bus, self.device, self.function
        )
    }
}
