//! Devices as `plan.json` has them, and the domains in which they are.

use serde::Deserialize;

use super::hexadecimal;

#[derive(Debug, Deserialize)]
pub struct Bar {
    pub bar: usize,
    pub wide: bool,
    pub prefetchable: bool,
    #[serde(deserialize_with = "hexadecimal")]
    pub address: u64,
    pub bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Device {
    pub name: String,
    /// `bus:device.function`, the same of the alternatives of a slot; none if it is not on PCI.
    pub address: Option<String>,
    pub group: String,
    pub reset_unit: u32,
    /// Why its domain is as it is.
    pub reason: String,
    pub pins: u32,
    /// The block of the platform's registers that is the device's own.
    pub registers: Option<String>,
    pub bars: Vec<Bar>,
    /// The values that the PCI task programs; none for a device that is not on PCI.
    #[serde(flatten)]
    pub function: Option<Function>,
    pub quiesce: Quiesce,
    pub streams: Vec<u32>,
    /// The SMMU that sees them; none without a stream.
    pub smmu: Option<String>,
    pub domain: Option<usize>,
    pub owner: Option<Owner>,
}

/// The values that are programmed and checked of a PCI function.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Function {
    /// `host-bridge`, `bridge`, `device`.
    pub kind: String,
    /// `vendor:device`.
    pub id: String,
    pub buses_below: Option<[u8; 2]>,
    pub acs: Option<String>,
    pub parent: Option<String>,
    pub port: String,
    pub optional: bool,
    pub multifunction: bool,
    pub interrupts: bool,
    pub messages: Option<Signals>,
    pub any_bars: bool,
    pub window: [String; 2],
    pub prefetch_window: [String; 2],
}

/// How a device is made quiet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Quiesce {
    pub way: String,
    #[serde(default)]
    pub bar: u32,
    #[serde(default)]
    pub offset: u32,
    #[serde(default)]
    pub mask: u32,
    #[serde(default)]
    pub expect: u32,
    #[serde(default)]
    pub write: Option<u32>,
    #[serde(default)]
    pub wait_ns: u64,
}

/// The task that may claim a device.
#[derive(Debug, Deserialize)]
pub struct Owner {
    pub kind: String,
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct Domain {
    pub kind: String,
    /// The domain's streams pass while a device of it is claimed.
    pub untranslated: bool,
    /// `strict`, `premapped` or `lazy`.
    pub invalidation: String,
    /// What a lazy domain leaves to a later flush; none in another.
    pub lazy: Option<LazyBounds>,
    pub snoops: bool,
    pub stage: u32,
    /// The SMMU that walks its tables.
    pub smmu: String,
    /// The ASID: it tells the domain's entries from others' in the SMMU's caches.
    #[serde(rename = "tag")]
    pub asid: u16,
    pub pages: Window,
    pub blocks: Window,
    pub premapped: Vec<Premapped>,
}

/// Unmapped pages that may wait for a flush, and how long.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LazyBounds {
    pub pages: u16,
    pub within_ns: u64,
}

/// The part of a domain's window that is mapped by entries of one size.
#[derive(Debug, Deserialize)]
pub struct Window {
    #[serde(deserialize_with = "hexadecimal")]
    pub iova: u64,
    pub bytes: u64,
}

#[derive(Debug, Deserialize)]
pub struct Premapped {
    pub kind: String,
    #[serde(deserialize_with = "hexadecimal")]
    pub iova: u64,
    #[serde(deserialize_with = "hexadecimal")]
    pub address: u64,
    pub bytes: u64,
    pub access: String,
    /// The task whose pool it is.
    pub task: Option<String>,
    pub pool: Option<String>,
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "domain {} of {}", self.asid, self.smmu)
    }
}

impl Device {
    /// The task that may claim it.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_ref().map(|owner| owner.name.as_str())
    }
}

/// The messages of a function.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Signals {
    /// `msi`, `msi-x`.
    pub by: String,
    pub vectors: u32,
    pub device_id: u32,
    pub table: Option<MessageTable>,
}

/// The place of a table of MSI-X.
#[derive(Debug, Deserialize)]
pub struct MessageTable {
    pub bar: u32,
    pub offset: u64,
    pub entries: u32,
}
