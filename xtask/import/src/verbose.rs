//! What the verbose text of `lspci` tells of a function.
//!
//! Beside a configuration space it tells sizes of BARs only. Without one, the facts that it tells are put where the
//! configuration space has them, so that both kinds of dump are read by one reader.

use crate::address::hex;

/// The facts that text tells.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Capabilities could not be read.
    pub denied: bool,
    /// BAR sizes, by BAR.
    pub sizes: [Option<u64>; 6],
    /// The text is that of `-v` or more.
    is_verbose: bool,
    /// It has a capability whose contents it does not tell.
    terse: bool,
    /// PCI Express device/port type.
    port: Option<u16>,
    slot: bool,
    hotplug: bool,
    function_reset: bool,
    memory: bool,
    extended: bool,
    pin: u8,
    buses: Option<[u8; 3]>,
    /// BARs as registers, by BAR.
    bars: [u32; 6],
    acs: Option<[u16; 2]>,
    acs_listed: bool,
    sriov: Option<[u16; 4]>,
    virtual_functions: bool,
}

/// Names of port types, with their numbers (PCI Express Capabilities Register, bits 7:4).
const PORTS: [(&str, u16); 10] = [
    ("Root Complex Integrated Endpoint", 9),
    ("Root Complex Event Collector", 10),
    ("PCI-Express to PCI/PCI-X Bridge", 7),
    ("PCI/PCI-X to PCI-Express Bridge", 8),
    ("Legacy Endpoint", 1),
    ("Endpoint", 0),
    ("Root Port", 4),
    ("Upstream Port", 5),
    ("Downstream Port", 6),
    ("PCI-Express to PCI Bridge", 7),
];

/// Names of the ACS bits, in the order of the registers.
const ACS: [&str; 7] = [
    "SrcValid",
    "TransBlk",
    "ReqRedir",
    "CmpltRedir",
    "UpstreamFwd",
    "EgressCtrl",
    "DirectTrans",
];

const BRIDGE: u8 = 1;

impl Told {
    /// Takes in a line of text.
    pub fn line(&mut self, line: &str) {
        let line = line.trim_start();
        let has = |flag: &str| line.contains(flag);
        if has("<access denied>") {
            self.denied = true;
        } else if let Some(rest) = line.strip_prefix("Control:") {
            self.is_verbose = true;
            self.memory = rest.contains("Mem+");
        } else if line.starts_with("Flags:") {
            // The line of `-v`.
            (self.is_verbose, self.terse) = (true, true);
        } else if let Some(rest) = line.strip_prefix("Interrupt: pin ") {
            let pin = rest.bytes().next().unwrap_or_default();
            self.pin = (pin.wrapping_sub(b'A') + 1).min(5) % 5;
        } else if let Some(rest) = line.strip_prefix("Bus: ") {
            self.buses = buses(rest);
        } else if let Some(rest) = line.strip_prefix("Region ") {
            self.region(rest);
        } else if let Some(rest) = line.strip_prefix("Capabilities: [") {
            self.capability(rest);
        } else if let Some(rest) = line.strip_prefix("ACSCap:") {
            self.acs.get_or_insert_default()[0] = bits(rest);
        } else if let Some(rest) = line.strip_prefix("ACSCtl:") {
            self.acs.get_or_insert_default()[1] = bits(rest);
        } else if let Some(rest) = line.strip_prefix("IOVCtl:") {
            self.virtual_functions = rest.trim_start().starts_with("Enable+");
        } else {
            self.flags(line);
        }
    }

    /// True if the text names capabilities and does not say what is in them.
    pub fn is_terse(&self) -> bool {
        self.terse || self.acs_listed && self.acs.is_none()
    }

    fn flags(&mut self, line: &str) {
        self.function_reset |= line.contains("FLReset+") || line.contains("FLR+");
        self.hotplug |= line.starts_with("SltCap:") && line.contains("HotPlug+");
        let number = |name: &str, radix| {
            let rest = line.split_once(name)?.1.trim_start();
            let end = rest
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(rest.len());
            u16::from_str_radix(&rest[..end], radix).ok()
        };
        let sriov = [
            number("Number of VFs:", 10),
            number("VF offset:", 10),
            number("stride:", 10),
            number("Device ID:", 16),
        ];
        for (index, value) in sriov.into_iter().enumerate() {
            if let Some(value) = value {
                self.sriov.get_or_insert_default()[index] = value;
            }
        }
    }

    fn capability(&mut self, rest: &str) {
        let Some((at, what)) = rest.split_once("] ") else {
            return;
        };
        let place = at.split(' ').next().unwrap_or_default();
        self.extended |= place.len() > 2;
        if let Some(what) = what.strip_prefix("Express ") {
            let port = PORTS.iter().find(|(name, _)| what.contains(name));
            self.port = port.map(|port| port.1);
            self.slot = what.contains("(Slot+)");
        }
        self.acs_listed |= what.starts_with("Access Control Services");
    }

    /// `0: Memory at f0000000 (64-bit, non-prefetchable) [size=16K]`.
    fn region(&mut self, rest: &str) {
        let Some((number, rest)) = rest.split_once(':') else {
            return;
        };
        let Ok(number) = number.parse::<usize>() else {
            return;
        };
        let size = rest
            .split("[size=")
            .nth(1)
            .and_then(|s| size(s.split(']').next()?));
        let Some(slot) = self.sizes.get_mut(number) else {
            return;
        };
        if size.is_some() {
            *slot = size;
        }
        let address = rest
            .split_once(" at ")
            .map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
        let address = u64::from_str_radix(address, 16).unwrap_or(0);
        let wide = rest.contains("64-bit");
        let low = match rest.contains("I/O ports") {
            true => 1,
            false => u32::from(wide) << 2 | u32::from(!rest.contains("non-prefetchable")) << 3,
        };
        if let Some(bar) = self.bars.get_mut(number) {
            *bar = address as u32 & !0xf | low;
        }
        if let (true, Some(upper)) = (wide, self.bars.get_mut(number + 1)) {
            *upper = (address >> 32) as u32;
        }
    }

    /// A configuration space that says the same, if the text tells enough.
    pub fn space_of(&self, identity: Option<(u16, u16)>, class: Option<u16>) -> Option<Vec<u8>> {
        if !self.is_verbose || self.is_terse() || self.denied {
            return None;
        }
        let class = class.or(self.buses.map(|_| 0x0604)).unwrap_or(0xff00);
        Some(self.space(identity.unwrap_or((u16::MAX, u16::MAX)), class))
    }

    fn space(&self, identity: (u16, u16), class: u16) -> Vec<u8> {
        let mut bytes = vec![0; if self.extended { 4096 } else { 256 }];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &identity.0.to_le_bytes());
        put(2, &identity.1.to_le_bytes());
        put(4, &[u8::from(self.memory) << 1]);
        put(0x0a, &class.to_le_bytes());
        let bars = match self.buses {
            Some(buses) => {
                put(0x0e, &[BRIDGE]);
                put(0x18, &buses);
                2
            }
            None => 6,
        };
        for (index, bar) in self.bars.iter().take(bars).enumerate() {
            put(0x10 + 4 * index, &bar.to_le_bytes());
        }
        put(0x3d, &[self.pin]);
        if let Some(port) = self.port {
            put(0x06, &[1 << 4]);
            put(0x34, &[0x40]);
            let flags = port << 4 | u16::from(self.slot) << 8 | 2;
            put(0x40, &[0x10]);
            put(0x42, &flags.to_le_bytes());
            put(0x44, &(u32::from(self.function_reset) << 28).to_le_bytes());
            put(0x54, &(u32::from(self.hotplug) << 6).to_le_bytes());
        }
        if self.extended {
            self.extended_space(&mut bytes);
        }
        bytes
    }

    fn extended_space(&self, bytes: &mut [u8]) {
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        // A capability without contents (Vendor-Specific), so that the list has a beginning.
        put(0x100, &(0x140 << 20 | 1 << 16 | 0x0b_u32).to_le_bytes());
        let sriov = self.sriov.map_or(0, |_| 0x180_u32);
        let acs = self.acs.unwrap_or_default();
        let id = if self.acs.is_some() { 0x0d } else { 0x0b };
        put(0x140, &(sriov << 20 | 1 << 16 | id).to_le_bytes());
        put(0x144, &acs[0].to_le_bytes());
        put(0x146, &acs[1].to_le_bytes());
        if let Some([count, offset, stride, device]) = self.sriov {
            put(0x180, &(1_u32 << 16 | 0x10).to_le_bytes());
            put(0x188, &[u8::from(self.virtual_functions)]);
            put(0x190, &count.to_le_bytes());
            put(0x194, &offset.to_le_bytes());
            put(0x196, &stride.to_le_bytes());
            put(0x19a, &device.to_le_bytes());
        }
    }
}

/// `primary=00, secondary=01, subordinate=ff, sec-latency=0`.
fn buses(rest: &str) -> Option<[u8; 3]> {
    let number = |name: &str| {
        let rest = rest.split_once(name)?.1;
        u8::try_from(hex(rest.get(..2)?)?).ok()
    };
    Some([
        number("primary=")?,
        number("secondary=")?,
        number("subordinate=")?,
    ])
}

/// `SrcValid+ TransBlk- ...`.
fn bits(rest: &str) -> u16 {
    let flags = ACS.iter().enumerate();
    flags
        .filter(|(_, name)| rest.contains(&format!("{name}+")))
        .fold(0, |bits, (index, _)| bits | 1 << index)
}

/// `4K`, `16M`, `256`.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (text.len() - 1, 10),
        b'M' => (text.len() - 1, 20),
        b'G' => (text.len() - 1, 30),
        b'T' => (text.len() - 1, 40),
        _ => (text.len(), 0),
    };
    let number: u64 = text.get(..digits)?.parse().ok()?;
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_regions() {
        assert_eq!(size("4K"), Some(4096));
        assert_eq!(size("16M"), Some(16 << 20));
        assert_eq!(size("32"), Some(32));
        assert_eq!(size("x"), None);
        assert_eq!(size("99999999999999999999T"), None);
    }

    #[test]
    fn access_control_and_buses() {
        let line =
            "\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans+";
        assert_eq!(bits(line), 0x5d);
        let line = "primary=00, secondary=01, subordinate=ff, sec-latency=0";
        assert_eq!(buses(line), Some([0, 1, 0xff]));
        assert_eq!(buses("primary=00"), None);
    }
}
