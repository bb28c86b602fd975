//! The board's facts.

use solver::model::DomainType;

use super::Source;
use super::console::{Console, known_console, read_console};
use super::device::{self, Device};
use super::emulated::{self, Emulated};
use super::fields::{Fields, nearest};
use super::host::{self, PciHost};
use super::known::KnownDevices;
use super::parts::{Reserved, read_parts};
use super::registers::{self, PlatformDevice, PlatformDeviceKind};
use crate::project::Project;
use crate::report::{Mistake, Report, Reported, Span, Spanned};

/// A board.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The name, which is that of the file.
    pub name: String,
    /// The platform's table, or the beginning of its file.
    pub span: Span,
    /// One line for a person.
    pub description: String,
    /// Bits of a physical address.
    pub address_bits: u32,
    /// Whether table walks and devices snoop the caches.
    pub coherent: bool,
    /// How firmware is called.
    pub psci: Psci,
    /// Physical address of the memory's first byte.
    pub memory_base: u64,
    /// Bytes of memory.
    pub memory_len: u64,
    /// The place where memory is declared.
    pub memory_span: Span,
    /// Physical address the image is loaded at.
    pub image_base: u64,
    /// The place where the image's address is declared.
    pub image_span: Span,
    /// Parts of the memory that are firmware's: nothing is placed there, and nothing maps them.
    pub reserved: Vec<Reserved>,
    /// Memory beside it that only devices use.
    pub other_memory: Vec<Reserved>,
    /// The device that the kernel prints to.
    pub console: Console,
    /// The interrupt controller; none if the file does not declare it.
    pub gic: Option<Gic>,
    /// The devices that are part of the platform.
    pub devices: Vec<PlatformDevice>,
    /// The PCI host.
    pub pci: PciHost,
    /// Functions that are part of the machine, whatever a system declares; no task drives them.
    pub built_in: Vec<Device>,
    /// The machine under QEMU.
    pub qemu: Emulated,
    /// Parts that were not declared: without them a system can be planned but not built.
    pub missing: Vec<&'static str>,
}

/// The interrupt controller, a GICv3.
#[derive(Clone, Debug)]
pub struct Gic {
    /// Physical address of the distributor's registers.
    pub distributor: Spanned<u64>,
    /// The first core's redistributor; those of the other cores follow it.
    pub redistributor: Spanned<u64>,
    /// Bytes of all of them.
    pub redistributor_len: u64,
    /// The translation service, if there is one.
    pub its: Option<Spanned<u64>>,
}

/// How the board's firmware is called (Arm DEN 0022, PSCI).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Psci {
    /// Firmware is not called: nothing switches the machine off.
    #[default]
    None,
    /// The `SMC` instruction.
    Smc,
    /// Firmware is called by `HVC`: something at EL2 listens, if the image is not entered there.
    Hvc,
}

/// Bits that the address of an AArch64 processor can have without LPA2, and the fewest that any has.
const ADDRESS_BITS: std::ops::RangeInclusive<u32> = 32..=52;
/// Words for [`Psci`].
const CONDUITS: [(&str, Psci); 3] = [("none", Psci::None), ("smc", Psci::Smc), ("hvc", Psci::Hvc)];
/// Bytes of a frame of the interrupt controller (Arm IHI 0069): the distributor has one, a redistributor and the interrupt
/// translation service have two. The second of the service is the doorbell.
pub const GIC_FRAME: u64 = 64 << 10;
/// Bytes of one core's redistributor.
pub const REDISTRIBUTOR: u64 = 2 * GIC_FRAME;

impl Platform {
    /// The device of that name.
    pub fn device(&self, name: &str) -> Option<&PlatformDevice> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// The first device of a kind.
    pub fn device_of_kind(&self, kind: PlatformDeviceKind) -> Option<&PlatformDevice> {
        self.devices.iter().find(|device| device.kind == kind)
    }

    /// The platform's SMMUs, in the order of its description.
    pub fn smmus(&self) -> Vec<&PlatformDevice> {
        let smmus = self.devices.iter();
        smmus
            .filter(|device| device.kind == PlatformDeviceKind::SmmuV3)
            .collect()
    }

    /// The number of the SMMU of that name among [`Self::smmus`].
    pub fn smmu_number(&self, name: &str) -> Option<usize> {
        self.smmus().iter().position(|smmu| smmu.name == name)
    }

    /// The interrupt translation service.
    pub fn its(&self) -> Option<&Spanned<u64>> {
        self.gic.as_ref()?.its.as_ref()
    }

    /// The physical address after the last byte of memory.
    pub fn memory_end(&self) -> u64 {
        self.memory_base.saturating_add(self.memory_len)
    }
}

/// Reads the platform that `app.toml` names.
pub fn load(
    report: &Report,
    project: &Project,
    known: &KnownDevices,
    name: &Spanned<String>,
) -> Result<Platform, Reported> {
    let path = project.platforms().join(format!("{}.toml", name.value));
    let plain = name
        .value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !plain || name.value == "devices" || !path.is_file() {
        let known = known_names(project);
        let draft = report
            .error(
                Mistake::BadValue,
                format!("there is no platform `{}`", name.value),
            )
            .at(&name.span, "not in sys/platform");
        let _draft = match nearest(&name.value, known.iter().map(String::as_str)) {
            Some(near) => draft.remedy(format!("did you mean `{near}`?")),
            None => draft.note(format!("known platforms: {}", known.join(", "))),
        };
        return Err(Reported);
    }
    let source = Source::read(report, &path)?;
    let gate = report.gate();
    let platform = read(
        report,
        name.value.clone(),
        source.fields(report),
        known,
        true,
    );
    gate.pass(platform)?.ok_or(Reported)
}

/// A `[platform]` table: a board that has no file in `sys/platform`. Parts may be missing, as long as the
/// system is only planned.
pub fn inline(report: &Report, fields: Fields<'_>, known: &KnownDevices) -> Option<Platform> {
    let gate = report.gate();
    let platform = read(report, "board".to_owned(), fields, known, false);
    gate.pass(platform).ok().flatten()
}

fn known_names(project: &Project) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(project.platforms())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| name != "devices")
        .collect();
    names.sort();
    names
}

fn read(
    report: &Report,
    name: String,
    fields: Fields<'_>,
    known: &KnownDevices,
    whole: bool,
) -> Option<Platform> {
    let mut missing = Vec::new();
    let mut part = |key: &'static str| {
        if whole {
            fields.required(key, Fields::table)
        } else {
            let part = fields.table(key);
            if part.is_none() {
                missing.push(key);
            }
            part
        }
    };
    // All parts are read before any of them can be missed: what is wrong with one hides nothing of the others.
    let memory = part("memory").map(read_memory);
    let console = part("console").map(read_console);
    let gic = part("gic").map(read_gic);
    let pci = part("pci").map(|pci| {
        let built_in = read_built_in(&pci, known);
        Some((host::read(pci, whole)?, built_in))
    });
    let qemu = part("qemu").map(emulated::read);
    let description = fields.required("description", Fields::string);
    let bits = match whole || fields.contains("address-bits") {
        true => fields.required("address-bits", read_address_bits),
        false => Some(Spanned::new(48, fields.span().clone())),
    };
    let coherent = fields.required("coherent", Fields::boolean);
    let psci = fields.choice("psci", &CONDUITS);
    let mut named = Vec::new();
    let devices: Vec<PlatformDevice> = fields
        .tables("devices")
        .into_iter()
        .filter_map(|(name, fields)| {
            named.push(name.value.clone());
            registers::read(name, fields)
        })
        .collect();
    let span = fields.span().clone();
    fields.finish();
    let console = match console {
        Some(device) => known_console(report, &devices, &named, device?),
        None => Console::default(),
    };
    // A part that is there and wrong is no platform; one that is not there has a default.
    let memory = memory.unwrap_or_else(|| Some(Memory::none(&span)))?;
    let (pci, built_in) = pci.unwrap_or_else(|| Some(Default::default()))?;
    missing.extend(&pci.missing);
    let qemu = qemu.unwrap_or_else(|| Some(Default::default()))?;
    let gic = gic.map_or(Some(None), |gic| gic.map(Some))?;
    let devices = with_its(report, devices, gic.as_ref());
    Some(Platform {
        name,
        description: description?.value,
        address_bits: bits?.value,
        coherent: coherent?.value,
        psci: psci.map_or(Psci::None, |psci| psci.value),
        memory_base: memory.base.value,
        memory_len: memory.len,
        memory_span: memory.base.span,
        image_base: memory.image.value,
        image_span: memory.image.span,
        reserved: memory.reserved,
        other_memory: memory.other,
        console,
        gic,
        devices,
        pci,
        built_in,
        qemu,
        missing,
        span,
    })
}

/// The name by which a task owns the interrupt translation service.
const ITS: &str = "its";

/// The platform's devices, and the interrupt translation service, which is declared with the interrupt controller.
fn with_its(
    report: &Report,
    mut devices: Vec<PlatformDevice>,
    gic: Option<&Gic>,
) -> Vec<PlatformDevice> {
    let Some(its) = gic.and_then(|gic| gic.its.as_ref()) else {
        return devices;
    };
    if let Some(other) = devices.iter().find(|device| device.name == ITS) {
        report
            .error(
                Mistake::BadName,
                format!("`{ITS}` is the name of the interrupt translation service"),
            )
            .at(&other.span, "other registers")
            .with(&its.span, "declared here")
            .remedy("give the registers another name");
        return devices;
    }
    devices.push(PlatformDevice {
        name: ITS.to_owned(),
        span: its.span.clone(),
        base: its.value,
        // The frame of the doorbell, which follows, is nobody's.
        len: GIC_FRAME,
        kind: PlatformDeviceKind::Its,
        interrupts: Vec::new(),
        stream_bits: None,
    });
    devices
}

/// `built-in.NAME = { slot, id, … }`: on the root bus, blocked, and made by the machine itself.
fn read_built_in(fields: &Fields<'_>, known: &KnownDevices) -> Vec<Device> {
    let mut functions = Vec::new();
    for (name, function) in fields.tables("built-in") {
        let span = name.span.clone();
        function.required("slot", Fields::string);
        if let Some(mut function) = device::read(name, function, known) {
            function.domain = Some(Spanned::new(DomainType::Blocked, span));
            function.qemu = None;
            function.built_in = true;
            functions.push(function);
        }
    }
    functions
}

/// The `memory` table.
struct Memory {
    base: Spanned<u64>,
    len: u64,
    image: Spanned<u64>,
    reserved: Vec<Reserved>,
    other: Vec<Reserved>,
}

impl Memory {
    /// The memory of a platform that declares none.
    fn none(span: &Span) -> Self {
        let zero = || Spanned::new(0, span.clone());
        Self {
            base: zero(),
            len: 0,
            image: zero(),
            reserved: Vec::new(),
            other: Vec::new(),
        }
    }
}

fn read_memory(fields: Fields<'_>) -> Option<Memory> {
    let base = fields.required("base", Fields::integer);
    let size = fields.required("size", Fields::size);
    let image = fields.required("image", Fields::integer);
    let reserved = read_parts(&fields, "reserved");
    let other = read_parts(&fields, "other");
    let report = fields.report();
    fields.finish();
    let (base, size) = (base?, size?);
    let page = abi::layout::PAGE;
    if base.value % page != 0 || size.value % page != 0 || size.value == 0 {
        report
            .error(Mistake::BadValue, "memory must be whole pages")
            .at(&size.span, "at least one, and a multiple of 4 KiB")
            .with(&base.span, "a multiple of 4 KiB")
            .remedy("correct base or size");
    }
    Some(Memory {
        base,
        len: size.value,
        image: image?,
        reserved,
        other,
    })
}

fn read_gic(gic: Fields<'_>) -> Option<Gic> {
    let distributor = gic.required("distributor", Fields::integer);
    let redistributor = gic.required("redistributor", Fields::integer);
    let len = gic.size("redistributor-size");
    let its = gic.required("its", Fields::integer);
    if let Some(len) = len.as_ref().filter(|len| len.value < REDISTRIBUTOR) {
        gic.report()
            .error(
                Mistake::BadValue,
                "a redistributor has two frames of 64 KiB",
            )
            .at(&len.span, "expected 128 KiB for each core")
            .remedy("leave `redistributor-size` out if only the first core's are known");
    }
    gic.finish();
    Some(Gic {
        distributor: distributor?,
        redistributor: redistributor?,
        redistributor_len: len.map_or(REDISTRIBUTOR, |len| len.value),
        its: its.filter(|its| its.value != 0),
    })
}

fn read_address_bits(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<u32>> {
    let bits = fields.word(key)?;
    if !ADDRESS_BITS.contains(&bits.value) {
        let draft = fields
            .report()
            .error(Mistake::BadValue, "`address-bits` must be 32 to 52");
        draft.at(&bits.span, "expected what the processor's `PARange` says");
        return None;
    }
    Some(bits)
}
