//! The parts of `plan.json` that are compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::run::{Access, Run};

mod devices;

pub use devices::{Bar, Device, Domain, Function, Premapped, Signals};

/// The version of `plan.json` that is read here.
const VERSION: u64 = 4;
/// The core of the one kernel that an image has.
pub const CORE: u32 = 0;

/// The plan.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    pub test_image: bool,
    /// Tasks may read the processor's counters.
    pub counters: bool,
    /// A run may be ended by semihosting.
    pub semihosting: bool,
    /// How firmware is called: `none`, `smc`, `hvc`.
    pub firmware: String,
    /// The cores that are used.
    pub cores: Vec<u32>,
    pub board: Board,
    pub tasks: Vec<Task>,
    pub kernel: Kernel,
    pub interrupts: Vec<Interrupt>,
    pub smmus: Vec<Smmu>,
    pub groups: Vec<Group>,
    pub exceptions: Vec<String>,
    pub functions: Vec<Device>,
    pub non_pci: Vec<Device>,
    pub domains: Vec<Domain>,
    pub memory: Memory,
    pub reach: BTreeMap<String, Reach>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Task {
    pub name: String,
    pub priority: u32,
    pub core: u32,
    #[serde(deserialize_with = "hexadecimal")]
    pub entry: u64,
    pub memory: Vec<Mapping>,
    pub calls: Vec<String>,
    pub depends_on: Vec<String>,
    /// The tasks that stop and start with the task.
    pub together: Vec<String>,
    pub restart: Restart,
    /// The run's verdict waits for it.
    pub verdict: bool,
    pub notifications: Vec<String>,
    /// `TASK.NOTIFICATION`.
    pub posts: Vec<String>,
    pub parameters: Vec<Parameter>,
    pub rights: Vec<String>,
    pub max_run_ns: u64,
    pub budget: Option<Budget>,
    pub start: bool,
    pub dma_authority: bool,
    pub reads_logs: bool,
    pub audits: Vec<String>,
    pub inspects: bool,
    pub drives: Vec<String>,
    pub owns: Vec<String>,
    pub watches: Vec<String>,
    pub lends: Vec<Lent>,
    pub stack: u64,
    pub log: u64,
    pub pools: Vec<Sized>,
    pub persistent: Vec<Sized>,
}

/// A pool that a task lends to the driver of a device as a whole.
#[derive(Debug, Deserialize)]
pub struct Lent {
    pub device: String,
    pub pool: u32,
    pub bytes: u64,
    pub writable: bool,
}

/// Processor time of a task, and the account that has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    pub account: u32,
    pub time_ns: u64,
    pub period_ns: u64,
}

/// A number that a task is told, as it is declared.
#[derive(Debug, Deserialize)]
pub struct Parameter {
    pub name: String,
    /// `number`, `nanoseconds`, or what the address is of.
    pub is: String,
    pub of: Option<String>,
    pub number: Option<u64>,
}

/// What the plan was told of the hardware.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Board {
    pub console_access: Option<ConsoleAccess>,
    pub interrupt_controller: Option<InterruptController>,
    pub registers: Vec<Block>,
    pci: Host,
}

impl Board {
    /// Where the processor finds what devices find at a bus address.
    pub fn seen_at(&self, address: u64) -> u64 {
        let mut apertures = self.pci.apertures.iter();
        let of = apertures.find(|of| address.checked_sub(of.base).is_some_and(|at| at < of.bytes));
        of.map_or(address, |of| (address - of.base).saturating_add(of.seen_at))
    }
}

#[derive(Debug, Deserialize)]
struct Host {
    apertures: Vec<Aperture>,
}

/// Bus addresses that the host passes on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Aperture {
    #[serde(deserialize_with = "hexadecimal")]
    base: u64,
    bytes: u64,
    #[serde(deserialize_with = "hexadecimal")]
    seen_at: u64,
}

/// The kind of UART that the console is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConsoleAccess {
    kind: String,
    register_shift: u64,
    register_width: u64,
}

impl ConsoleAccess {
    /// The word in the header: the offset of the status register, bit 8 if its bit 5 means room instead of none, bit 9
    /// if registers are accessed as bytes.
    pub fn word(&self) -> u64 {
        match self.kind.as_str() {
            "pl011" => 0x18,
            _ => 5 << self.register_shift | 1 << 8 | u64::from(self.register_width == 1) << 9,
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct InterruptController {
    /// The interrupt translation service.
    its: Option<String>,
}

impl InterruptController {
    pub fn its(&self) -> Option<u64> {
        let digits = self.its.as_ref()?.strip_prefix("0x")?;
        u64::from_str_radix(digits, 16).ok()
    }
}

/// A block of registers.
#[derive(Debug, Deserialize)]
pub struct Block {
    pub name: String,
    #[serde(deserialize_with = "hexadecimal")]
    pub base: u64,
}

/// The supervisor's action at a task's death.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Restart {
    pub after_ns: u64,
    /// How often in the period; 0 is never.
    pub limit: u32,
    pub period_ns: u64,
}

/// Memory that a task asked for.
#[derive(Debug, Deserialize)]
pub struct Sized {
    pub name: String,
    pub bytes: u64,
}

/// A line that a task is told of.
#[derive(Debug, Deserialize)]
pub struct Interrupt {
    pub intid: u32,
    pub edge: bool,
    /// The core that takes it.
    pub target: u32,
    pub task: String,
    /// The PCI device, or the block of registers, whose line it is.
    pub device: String,
    pub notification: String,
    #[serde(deserialize_with = "hexadecimal")]
    pub bit: u64,
    /// The ids by which the interrupt translation service knows a message.
    pub message: Option<Message>,
}

/// A message of a function.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Message {
    pub device_id: u32,
    pub event_id: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Smmu {
    pub name: String,
    pub stream_bits: u32,
    pub coherent: bool,
    pub address_bits: u32,
    pub on_mismatch: String,
    /// The memory of its tables and queues.
    pub tables: Extent,
}

#[derive(Debug, Deserialize)]
pub struct Group {
    pub name: String,
    pub devices: Vec<Member>,
}

#[derive(Debug, Deserialize)]
pub struct Member {
    pub name: String,
    pub coherent: bool,
}

#[derive(Debug, Deserialize)]
pub struct Kernel {
    pub memory: Vec<Mapping>,
    /// The memory that the kernel's window covers, hidden parts included.
    pub window: Vec<Extent>,
    #[serde(rename = "first-instructions")]
    pub first: Vec<Mapping>,
}

/// One range of an address space.
#[derive(Clone, Debug, Deserialize)]
pub struct Mapping {
    pub what: String,
    pub name: String,
    #[serde(rename = "virtual", deserialize_with = "hexadecimal")]
    pub input: u64,
    #[serde(deserialize_with = "hexadecimal")]
    pub address: u64,
    pub bytes: u64,
    /// `rw- write-back` and the like.
    pub access: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Memory {
    #[serde(deserialize_with = "hexadecimal")]
    pub image: u64,
    #[serde(deserialize_with = "hexadecimal")]
    pub file_end: u64,
    #[serde(deserialize_with = "hexadecimal")]
    pub end: u64,
    pub page_tables: Extent,
    pub el2: Extent,
    /// Queue and tables of the interrupt translation service; none if no function signals by messages.
    pub its: Option<Extent>,
    /// The redistributor's own table of them.
    pub pending_messages: Option<Extent>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct Extent {
    #[serde(deserialize_with = "hexadecimal")]
    pub address: u64,
    pub bytes: u64,
}

#[derive(Debug, Deserialize)]
pub struct Reach {
    pub untranslated: bool,
    pub direct: Vec<serde_json::Value>,
}

fn hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    u64::from_str_radix(digits, 16).map_err(serde::de::Error::custom)
}

/// Reads it.
///
/// # Errors
/// If the text is no plan, one of another version, or one that was made before programs were placed.
pub fn read(text: &str) -> Result<Plan, String> {
    // By itself first: another version has other keys, and the first that is missing would say less.
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    if let Ok(Versioned { version }) = serde_json::from_str(text)
        && version != VERSION
    {
        return Err(format!(
            "plan.json has version {version}, and version {VERSION} is read here\n  build the image again with `cargo xtask dist`, or verify it with the tool that built it"
        ));
    }
    serde_json::from_str(text).map_err(|error| {
        format!("plan.json cannot be read: {error}\n  only that of a built image has what is compared; `cargo xtask dist` writes it")
    })
}

impl Plan {
    /// The number of the task with a name.
    pub fn task(&self, name: &str) -> Option<u32> {
        let index = self.tasks.iter().position(|task| task.name == name)?;
        u32::try_from(index).ok()
    }

    /// The task that holds others and pins leases.
    pub fn authority(&self) -> Option<u32> {
        let authority = self.tasks.iter().find(|task| task.dma_authority)?;
        self.task(&authority.name)
    }

    /// The devices whose requests an SMMU sees.
    pub fn behind(&self, smmu: &Smmu) -> impl Iterator<Item = &Device> {
        self.devices()
            .filter(|device| device.smmu.as_ref() == Some(&smmu.name))
    }

    /// The number of an SMMU, by its name.
    pub fn smmu(&self, name: &str) -> Option<u32> {
        let index = self.smmus.iter().position(|smmu| smmu.name == name)?;
        u32::try_from(index).ok()
    }

    /// All devices by their numbers.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.functions.iter().chain(&self.non_pci)
    }

    /// The domain whose tables a stream of an SMMU uses from the first moment: that of a device with direct regions, unless
    /// another device with the stream has another domain, as alternatives of a slot may.
    pub fn always_open(&self, smmu: &Smmu, stream: u32) -> Option<&Domain> {
        let mut having = self
            .behind(smmu)
            .filter(|device| device.streams.contains(&stream))
            .peekable();
        let domain = having.peek()?.domain?;
        let mut direct = false;
        for device in having {
            if device.domain != Some(domain) {
                return None;
            }
            direct |= self
                .reach
                .get(&device.name)
                .is_some_and(|reach| !reach.direct.is_empty());
        }
        self.domains.get(domain).filter(|_| direct)
    }
}

impl Mapping {
    /// The range without its name.
    pub fn run(&self) -> Run<Shown<'_>> {
        Run {
            input: self.input,
            output: self.address,
            len: self.bytes,
            access: Shown(&self.access),
        }
    }

    pub fn is_writable(&self) -> bool {
        self.access.starts_with("rw")
    }

    pub fn is_executable(&self) -> bool {
        self.access.starts_with("r-x")
    }

    /// Whether a virtual address is in it.
    pub fn holds(&self, address: u64) -> bool {
        let offset = address.checked_sub(self.input);
        offset.is_some_and(|offset| offset < self.bytes)
    }
}

/// An access as `plan.json` spells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown<'a>(pub &'a str);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// The spelling of an access.
pub fn shown(access: Access) -> Shown<'static> {
    Shown(match (access.write, access.execute, access.memory) {
        (true, false, "write-back") => "rw- write-back",
        (false, false, "write-back") => "r-- write-back",
        (false, true, "write-back") => "r-x write-back",
        (true, false, "device-nGnRE") => "rw- device-nGnRE",
        (true, false, "device-nGnRnE") => "rw- device-nGnRnE",
        (false, false, "device-nGnRE") => "r-- device-nGnRE",
        (true, false, "non-cacheable") => "rw- non-cacheable",
        _ => "something that plan.json has no word for",
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_plan_of_another_version_is_refused_by_its_number() {
        let why = read("{\"version\": 1, \"tasks\": []}").unwrap_err();
        assert!(why.contains("has version 1, and version 4"), "{why}");
        assert!(why.contains("build the image again"), "{why}");
        let why = read("{\"version\": 4}").unwrap_err();
        assert!(why.contains("missing field"), "{why}");
    }
}
