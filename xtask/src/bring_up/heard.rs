//! What the servers told of the hardware: lines of the PCI task and of the IOMMU server. No other task is believed.

use std::collections::BTreeMap;

use crate::run::Line;

/// A function that the PCI task found where the plan has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// `bus:device.function`.
    pub address: String,
    /// `vendor:device`.
    pub id: String,
    /// Address and bytes of each BAR.
    pub bars: BTreeMap<usize, (u64, u64)>,
}

/// A difference that the PCI task tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The function's place, and its name if the plan has it.
    pub of: String,
    pub what: String,
    pub planned: Option<String>,
    pub found: Option<String>,
}

/// What one boot told.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Names of the tasks that are believed.
    pci: Option<String>,
    iommu: Option<String>,
    /// By SMMU: IDR0, IDR1, IDR3, IDR5, IIDR, AIDR.
    pub registers: BTreeMap<String, [u32; 6]>,
    /// By SMMU: how it was turned on, or why not.
    pub states: BTreeMap<String, String>,
    /// By name.
    pub functions: BTreeMap<String, Function>,
    pub differences: Vec<Difference>,
}

impl Heard {
    /// Nothing yet; the names of the task with the PCI host and of the one with the SMMUs.
    pub fn new(pci: Option<String>, iommu: Option<String>) -> Self {
        Self {
            pci,
            iommu,
            ..Self::default()
        }
    }

    /// Another boot begins: what the last one told is of another time.
    pub fn again(&mut self) {
        *self = Self::new(self.pci.take(), self.iommu.take());
    }

    /// Takes a line.
    pub fn see(&mut self, line: &Line) {
        if line.task.is_none() {
            return;
        }
        if line.task == self.iommu {
            self.of_smmu(&line.text);
        } else if line.task == self.pci {
            self.of_pci(&line.text);
        }
    }

    fn of_smmu(&mut self, text: &str) {
        let Some((name, rest)) = text.split_once(": ") else {
            return;
        };
        if let Some(registers) = identification(rest) {
            self.registers.entry(name.to_owned()).or_insert(registers);
        } else if rest.starts_with("SMMUv3.") || rest.starts_with("not used: ") {
            let state = rest.rsplit_once("; ").map_or(rest, |(_, state)| state);
            self.states.insert(name.to_owned(), state.to_owned());
        }
    }

    fn of_pci(&mut self, text: &str) {
        let Some((address, rest)) = text.split_once(' ').filter(|(at, _)| is_place(at)) else {
            return;
        };
        if let Some((name, function)) = function(address, rest) {
            self.functions.entry(name).or_insert(function);
        } else {
            self.differences.push(difference(address, rest));
        }
    }
}

/// `IDR0 0x.., IDR1 0x.., …`.
fn identification(text: &str) -> Option<[u32; 6]> {
    let mut parts = text.split(", ");
    let registers = ["IDR0", "IDR1", "IDR3", "IDR5", "IIDR", "AIDR"].map(|name| {
        let value = parts.next()?.strip_prefix(name)?.strip_prefix(" 0x")?;
        u32::from_str_radix(value, 16).ok()
    });
    let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f)] = registers else {
        return None;
    };
    parts.next().is_none().then_some([a, b, c, d, e, f])
}

/// `bus:device.function` in hexadecimal.
fn is_place(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '.']).collect();
    let digits = |part: &&str| u8::from_str_radix(part, 16).is_ok();
    parts.len() == 3 && parts.iter().all(digits)
}

/// `NAME VVVV:DDDD, BAR0 0x..+0x..`.
fn function(address: &str, text: &str) -> Option<(String, Function)> {
    let (name, rest) = text.split_once(' ')?;
    let mut parts = rest.split(", ");
    let id = parts.next()?;
    let (vendor, device) = id.split_once(':')?;
    let is_id = |part: &str| part.len() == 4 && u16::from_str_radix(part, 16).is_ok();
    if !is_id(vendor) || !is_id(device) {
        return None;
    }
    let mut function = Function {
        address: address.to_owned(),
        id: id.to_owned(),
        bars: BTreeMap::new(),
    };
    for part in parts {
        let (bar, place) = part.strip_prefix("BAR")?.split_once(' ')?;
        let (base, bytes) = place.split_once('+')?;
        let place = (hexadecimal(base)?, hexadecimal(bytes)?);
        function.bars.insert(bar.parse().ok()?, place);
    }
    Some((name.to_owned(), function))
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// `NAME: WHAT: planned A, found B (remedy)`, and forms that lack a part of it.
fn difference(address: &str, text: &str) -> Difference {
    let text = text.split_once(" (").map_or(text, |(text, _)| text);
    let (name, rest) = text.split_once(": ").unwrap_or(("", text));
    let (what, told) = match rest.split_once("planned ") {
        Some((what, told)) => (what.trim_end_matches([':', ',', ' ']), Some(told)),
        None => (rest, None),
    };
    let (planned, found) = match told.map(|told| told.split_once(", found ")) {
        Some(Some((planned, found))) => (Some(planned), Some(found)),
        Some(None) => (told, None),
        None => (None, None),
    };
    Difference {
        of: format!("{address} {name}").trim_end().to_owned(),
        what: what.to_owned(),
        planned: planned.map(str::to_owned),
        found: found.map(str::to_owned),
    }
}
