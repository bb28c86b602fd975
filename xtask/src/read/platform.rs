//! The board's facts.

use super::fields::{Fields, nearest};
use super::{Paths, Source, units};
use crate::report::{Mistake, Report, Reported, Spanned};

/// A board.
#[derive(Clone, Debug)]
pub struct Platform {
    pub name: String,
    pub description: String,
    /// Bits of a physical address.
    pub address_bits: u32,
    /// Whether table walks and devices snoop the caches.
    pub coherent: bool,
    pub memory_base: u64,
    pub memory_len: u64,
    /// Physical address the image is loaded at.
    pub image_base: u64,
    pub console: String,
    pub gic_distributor: u64,
    pub gic_redistributor: u64,
    pub gic_its: u64,
    pub devices: Vec<PlatformDevice>,
    pub pci: PciHost,
    pub qemu_machine: String,
    pub qemu_processor: String,
}

/// Registers that a task can own.
#[derive(Clone, Debug)]
pub struct PlatformDevice {
    pub name: String,
    pub base: u64,
    pub len: u64,
    pub kind: PlatformDeviceKind,
    pub interrupts: Vec<Interrupt>,
    /// StreamID bits, of an SMMU.
    pub stream_bits: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlatformDeviceKind {
    Registers,
    SmmuV3,
    PciHost,
}

#[derive(Clone, Debug)]
pub struct Interrupt {
    pub name: String,
    pub intid: u32,
    pub edge: bool,
}

/// The PCI segment.
#[derive(Clone, Debug)]
pub struct PciHost {
    pub buses: u32,
    /// 32-bit memory aperture: start and end.
    pub memory: [u64; 2],
    /// 64-bit memory aperture.
    pub prefetch: [u64; 2],
    /// Vendor and device id of function 00:00.0.
    pub host_bridge: (u16, u16),
    /// INTID of pin A of slot 0.
    pub intx: u32,
    /// First and last free slot of the root bus.
    pub root_slots: [u8; 2],
}

impl Platform {
    pub fn device(&self, name: &str) -> Option<&PlatformDevice> {
        self.devices.iter().find(|device| device.name == name)
    }

    pub fn device_of_kind(&self, kind: PlatformDeviceKind) -> Option<&PlatformDevice> {
        self.devices.iter().find(|device| device.kind == kind)
    }

    pub fn memory_end(&self) -> u64 {
        self.memory_base + self.memory_len
    }
}

/// Reads the platform that `app.toml` names.
pub fn load(report: &Report, paths: &Paths, name: &Spanned<String>) -> Result<Platform, Reported> {
    let path = paths.platforms().join(format!("{}.toml", name.value));
    let plain = name
        .value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !plain || name.value == "devices" || !path.is_file() {
        let known = known_names(paths);
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
    let platform = read(report, name.value.clone(), source.fields(report));
    report.check()?;
    platform.ok_or(Reported)
}

fn known_names(paths: &Paths) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(paths.platforms())
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

fn read(report: &Report, name: String, fields: Fields<'_>) -> Option<Platform> {
    let description = fields.required("description", Fields::string);
    let address_bits = fields.required("address-bits", Fields::word);
    let coherent = fields.required("coherent", Fields::boolean);
    let memory = fields.required("memory", Fields::table);
    let console = fields.required("console", Fields::table);
    let gic = fields.required("gic", Fields::table);
    let pci = fields.required("pci", Fields::table);
    let qemu = fields.required("qemu", Fields::table);
    let devices: Vec<PlatformDevice> = fields
        .tables("devices")
        .into_iter()
        .filter_map(|(name, fields)| read_device(name.value, fields))
        .collect();
    fields.finish();

    let memory = memory?;
    let memory_base = memory.required("base", Fields::integer);
    let memory_len = memory.required("size", Fields::size);
    let image_base = memory.required("image", Fields::integer);
    memory.finish();
    let console_fields = console?;
    let console = console_fields.required("device", Fields::string);
    console_fields.finish();
    let gic = gic?;
    let distributor = gic.required("distributor", Fields::integer);
    let redistributor = gic.required("redistributor", Fields::integer);
    let its = gic.required("its", Fields::integer);
    gic.finish();
    let pci = read_pci(pci?);
    let qemu = qemu?;
    let machine = qemu.required("machine", Fields::string);
    let processor = qemu.required("processor", Fields::string);
    qemu.finish();

    let console = console?;
    if !devices.iter().any(|device| device.name == console.value) {
        report
            .error(
                Mistake::UnknownPlatformDevice,
                "the console is not one of the platform's devices",
            )
            .at(&console.span, "no such table below [devices]");
    }
    Some(Platform {
        name,
        description: description?.value,
        address_bits: address_bits?.value,
        coherent: coherent?.value,
        memory_base: memory_base?.value,
        memory_len: memory_len?.value,
        image_base: image_base?.value,
        console: console.value,
        gic_distributor: distributor?.value,
        gic_redistributor: redistributor?.value,
        gic_its: its?.value,
        devices,
        pci: pci?,
        qemu_machine: machine?.value,
        qemu_processor: processor?.value,
    })
}

fn read_device(name: String, fields: Fields<'_>) -> Option<PlatformDevice> {
    let base = fields.required("base", Fields::integer);
    let size = fields.required("size", Fields::size);
    let kind = fields.choice(
        "kind",
        &[
            ("smmu-v3", PlatformDeviceKind::SmmuV3),
            ("pci-host", PlatformDeviceKind::PciHost),
        ],
    );
    let stream_bits = fields.word("stream-bits");
    let interrupts = fields
        .tables("interrupts")
        .into_iter()
        .filter_map(|(name, fields)| {
            let intid = fields.required("intid", Fields::word);
            let edge = fields.boolean("edge");
            fields.finish();
            Some(Interrupt {
                name: name.value,
                intid: intid?.value,
                edge: edge.is_some_and(|edge| edge.value),
            })
        })
        .collect();
    fields.finish();
    Some(PlatformDevice {
        name,
        base: base?.value,
        len: size?.value,
        kind: kind.map_or(PlatformDeviceKind::Registers, |kind| kind.value),
        interrupts,
        stream_bits: stream_bits.map_or(0, |bits| bits.value),
    })
}

fn read_pci(fields: Fields<'_>) -> Option<PciHost> {
    let buses = fields.required("buses", Fields::word);
    let memory = fields.required("memory", Fields::pair);
    let prefetch = fields.required("prefetch", Fields::pair);
    let host_bridge = fields.required("host-bridge", |fields, key| {
        fields.parsed(key, "an id such as \"1b36:0008\"", units::device_id)
    });
    let intx = fields.required("intx", Fields::word);
    let slots = fields.required("root-slots", Fields::pair);
    fields.finish();
    let slots = slots?.value;
    Some(PciHost {
        buses: buses?.value,
        memory: memory?.value,
        prefetch: prefetch?.value,
        host_bridge: host_bridge?.value,
        intx: intx?.value,
        root_slots: slots.map(|slot| u8::try_from(slot).unwrap_or(31).min(31)),
    })
}
