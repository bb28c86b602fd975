//! The board's facts.

use super::fields::{Fields, nearest};
use super::{Paths, Source, units};
use crate::report::{Mistake, Report, Reported, Span, Spanned};

/// A board.
#[derive(Clone, Debug)]
pub struct Platform {
    pub name: String,
    /// Its table, or the beginning of its file.
    pub span: Span,
    pub description: String,
    /// Bits of a physical address.
    pub address_bits: u32,
    /// Whether table walks and devices snoop the caches.
    pub coherent: bool,
    /// How firmware is called.
    pub psci: Psci,
    pub memory_base: u64,
    pub memory_len: u64,
    /// Physical address the image is loaded at.
    pub image_base: u64,
    /// Parts of the memory that are firmware's: nothing is placed there, and nothing maps them.
    pub reserved: Vec<Reserved>,
    pub console: String,
    pub gic_distributor: u64,
    pub gic_redistributor: u64,
    pub gic_its: u64,
    pub devices: Vec<PlatformDevice>,
    pub pci: PciHost,
    pub qemu_machine: String,
    pub qemu_processor: String,
    /// Parts that were not declared: without them a system can be planned but not built.
    pub missing: Vec<&'static str>,
}

/// How the board's firmware is called (Arm DEN 0022, PSCI).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Psci {
    /// Not at all: nothing switches the machine off.
    #[default]
    None,
    Smc,
    /// Something at EL2 listens, if the image is not entered there.
    Hvc,
}

/// Memory that somebody else uses: firmware, a secure world, another processor.
#[derive(Clone, Debug)]
pub struct Reserved {
    pub name: Spanned<String>,
    pub base: u64,
    pub len: u64,
}

/// One row of an `iommu-map`.
#[derive(Clone, Debug)]
pub struct StreamRow {
    /// First requester id.
    pub requester: u32,
    /// How many.
    pub len: u32,
    /// The platform's first SMMU without one.
    pub smmu: Option<Spanned<String>>,
    /// StreamID of the first.
    pub stream: u32,
}

/// Registers that a task can own.
#[derive(Clone, Debug)]
pub struct PlatformDevice {
    pub name: String,
    /// Where it was declared.
    pub span: Span,
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
#[derive(Clone, Debug, Default)]
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
    /// Requester ids of the segment to StreamIDs; identity if empty.
    pub streams: Vec<StreamRow>,
    /// Bits of a requester id that the mapping looks at; 0 means all.
    pub stream_mask: u16,
    /// The root complex never routes a request of one root port to another.
    pub never_routes_peers: bool,
}

impl Platform {
    pub fn device(&self, name: &str) -> Option<&PlatformDevice> {
        self.devices.iter().find(|device| device.name == name)
    }

    pub fn device_of_kind(&self, kind: PlatformDeviceKind) -> Option<&PlatformDevice> {
        self.devices.iter().find(|device| device.kind == kind)
    }

    /// Its SMMUs, in the order of its description.
    pub fn smmus(&self) -> Vec<&PlatformDevice> {
        let smmus = self.devices.iter();
        smmus
            .filter(|device| device.kind == PlatformDeviceKind::SmmuV3)
            .collect()
    }

    pub fn memory_end(&self) -> u64 {
        self.memory_base.saturating_add(self.memory_len)
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
    let before = report.errors();
    let platform = read(report, name.value.clone(), source.fields(report), true);
    if report.errors() > before {
        return Err(Reported);
    }
    platform.ok_or(Reported)
}

/// A `[platform]` table: a board that has no file in `sys/platform`. Parts may be missing, as long as the
/// system is only planned.
pub fn inline(report: &Report, fields: Fields<'_>) -> Option<Platform> {
    let before = report.errors();
    let platform = read(report, "board".to_owned(), fields, false);
    platform.filter(|_| report.errors() == before)
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

fn read(report: &Report, name: String, fields: Fields<'_>, whole: bool) -> Option<Platform> {
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
    let memory = part("memory");
    let console = part("console");
    let gic = part("gic");
    let pci = part("pci");
    let qemu = part("qemu");
    let description = fields.required("description", Fields::string);
    let address_bits = if whole || fields.contains("address-bits") {
        fields.required("address-bits", Fields::word)?.value
    } else {
        48
    };
    let coherent = fields.required("coherent", Fields::boolean);
    let psci = fields.choice(
        "psci",
        &[("none", Psci::None), ("smc", Psci::Smc), ("hvc", Psci::Hvc)],
    );
    let devices: Vec<PlatformDevice> = fields
        .tables("devices")
        .into_iter()
        .filter_map(|(name, fields)| read_device(name, fields))
        .collect();
    let span = fields.span().clone();
    fields.finish();
    if let Some(console) = &console
        && let Some(device) = console.string("device")
        && !devices.iter().any(|known| known.name == device.value)
    {
        report
            .error(
                Mistake::UnknownPlatformDevice,
                "the console is not one of the platform's devices",
            )
            .at(&device.span, "no such table below [devices]");
    }
    let mut platform = Platform {
        name,
        span,
        description: description?.value,
        address_bits,
        coherent: coherent?.value,
        psci: psci.map_or(Psci::None, |psci| psci.value),
        memory_base: 0,
        memory_len: 0,
        image_base: 0,
        reserved: Vec::new(),
        console: String::new(),
        gic_distributor: 0,
        gic_redistributor: 0,
        gic_its: 0,
        devices,
        pci: PciHost {
            buses: 256,
            root_slots: [0, 31],
            ..PciHost::default()
        },
        qemu_machine: String::new(),
        qemu_processor: String::new(),
        missing,
    };
    if let Some(memory) = memory {
        let base = memory.required("base", Fields::integer);
        let size = memory.required("size", Fields::size);
        let image = memory.required("image", Fields::integer);
        platform.reserved = read_reserved(&memory);
        memory.finish();
        (platform.memory_base, platform.memory_len) = (base?.value, size?.value);
        platform.image_base = image?.value;
    }
    if let Some(console) = console {
        let device = console.required("device", Fields::string);
        console.finish();
        platform.console = device?.value;
    }
    if let Some(gic) = gic {
        let distributor = gic.required("distributor", Fields::integer);
        let redistributor = gic.required("redistributor", Fields::integer);
        let its = gic.required("its", Fields::integer);
        gic.finish();
        platform.gic_distributor = distributor?.value;
        platform.gic_redistributor = redistributor?.value;
        platform.gic_its = its?.value;
    }
    if let Some(pci) = pci {
        platform.pci = read_pci(pci, whole)?;
    }
    if let Some(qemu) = qemu {
        let machine = qemu.required("machine", Fields::string);
        let processor = qemu.required("processor", Fields::string);
        qemu.finish();
        (platform.qemu_machine, platform.qemu_processor) = (machine?.value, processor?.value);
    }
    Some(platform)
}

fn read_reserved(memory: &Fields<'_>) -> Vec<Reserved> {
    let read = |(name, fields): (Spanned<String>, Fields<'_>)| {
        let base = fields.required("base", Fields::integer);
        let size = fields.required("size", Fields::size);
        fields.finish();
        Some(Reserved {
            name,
            base: base?.value,
            len: size?.value,
        })
    };
    let reserved = memory.tables("reserved").into_iter();
    reserved.filter_map(read).collect()
}

fn read_device(name: Spanned<String>, fields: Fields<'_>) -> Option<PlatformDevice> {
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
        name: name.value,
        span: name.span,
        base: base?.value,
        len: size?.value,
        kind: kind.map_or(PlatformDeviceKind::Registers, |kind| kind.value),
        interrupts,
        stream_bits: stream_bits.map_or(0, |bits| bits.value),
    })
}

fn read_pci(fields: Fields<'_>, whole: bool) -> Option<PciHost> {
    let needed = |key: &'static str| whole || fields.contains(key);
    let mut host = PciHost {
        buses: 256,
        root_slots: [0, 31],
        ..PciHost::default()
    };
    let buses = needed("buses").then(|| fields.required("buses", Fields::word));
    let memory = needed("memory").then(|| fields.required("memory", Fields::pair));
    let prefetch = needed("prefetch").then(|| fields.required("prefetch", Fields::pair));
    let bridge = needed("host-bridge").then(|| {
        fields.required("host-bridge", |fields, key| {
            fields.parsed(key, "an id such as \"1b36:0008\"", units::device_id)
        })
    });
    let intx = needed("intx").then(|| fields.required("intx", Fields::word));
    let slots = needed("root-slots").then(|| fields.required("root-slots", Fields::pair));
    host.streams = read_streams(&fields);
    host.stream_mask = read_stream_mask(&fields);
    host.never_routes_peers = fields
        .boolean("never-routes-peers")
        .is_some_and(|never| never.value);
    fields.finish();
    if let Some(buses) = buses {
        host.buses = buses?.value;
    }
    if let Some(memory) = memory {
        host.memory = memory?.value;
    }
    if let Some(prefetch) = prefetch {
        host.prefetch = prefetch?.value;
    }
    if let Some(bridge) = bridge {
        host.host_bridge = bridge?.value;
    }
    if let Some(intx) = intx {
        host.intx = intx?.value;
    }
    if let Some(slots) = slots {
        let slot = |slot| u8::try_from(slot).unwrap_or(31).min(31);
        host.root_slots = slots?.value.map(slot);
    }
    Some(host)
}

/// The `iommu-map-mask` key: the bits of a requester id that `iommu-map` looks at.
pub fn read_stream_mask(fields: &Fields<'_>) -> u16 {
    let Some(mask) = fields.word("iommu-map-mask") else {
        return 0;
    };
    match u16::try_from(mask.value) {
        Ok(bits) if bits != 0 => bits,
        _ => {
            fields
                .report()
                .error(
                    Mistake::BadValue,
                    "a requester id has 16 bits, and a mask leaves some of them",
                )
                .at(&mask.span, "expected 0x1 to 0xffff")
                .remedy("leave `iommu-map-mask` out if the whole id is looked at");
            0
        }
    }
}

/// The `iommu-map` key: `[{ requester = 0, length = 65536, smmu = "smmu", stream = 0 }]`.
pub fn read_streams(fields: &Fields<'_>) -> Vec<StreamRow> {
    let mut rows: Vec<StreamRow> = Vec::new();
    let mut spans: Vec<Span> = Vec::new();
    for row in fields.rows("iommu-map") {
        let requester = row.required("requester", Fields::word);
        let len = row.required("length", Fields::word);
        let stream = row.required("stream", Fields::word);
        let smmu = row.string("smmu");
        let span = row.span().clone();
        row.finish();
        let (Some(requester), Some(len), Some(stream)) = (requester, len, stream) else {
            continue;
        };
        if u64::from(requester.value) + u64::from(len.value) > 1 << 16 || len.value == 0 {
            fields
                .report()
                .error(Mistake::BadValue, "a row maps requester ids of one segment")
                .at(
                    &span,
                    "requester and length end beyond 65536, or the row is empty",
                );
            continue;
        }
        let range = |row: &StreamRow| (row.requester, row.requester + row.len);
        let (first, end) = (requester.value, requester.value + len.value);
        if let Some((_, before)) = rows
            .iter()
            .zip(&spans)
            .find(|(row, _)| range(row).0 < end && first < range(row).1)
        {
            fields
                .report()
                .error(Mistake::Overlap, "two rows map one requester id")
                .at(&span, format!("ids {first:#x} to {:#x}", end - 1))
                .with(before, "this row has some of them")
                .remedy("let every id be in one row");
            continue;
        }
        spans.push(span);
        rows.push(StreamRow {
            requester: requester.value,
            len: len.value,
            smmu,
            stream: stream.value,
        });
    }
    rows
}
