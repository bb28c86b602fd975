//! `[pci.NAME]`: root buses, ports and bridges as wired.

use std::collections::BTreeMap;

use solver::model::{Acs, Buses, FunctionKind};

use super::fields::Fields;
use super::host::{StreamRow, read_stream_mask, read_streams};
use super::known::{self, Bar, KnownDevices};
use super::units;
use crate::report::{Mistake, Report, Span, Spanned};

/// A port or bridge.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// The name of the bridge.
    pub name: Spanned<String>,
    /// The kind of bridge.
    pub kind: FunctionKind,
    /// The bridge or root bus above; without one it is the first root bus.
    pub at: Option<Spanned<String>>,
    /// Device and function number on its bus.
    pub slot: Spanned<(u8, u8)>,
    /// The bridge's access control capability, as it is set and checked at boot.
    pub acs: Option<Acs>,
    /// Vendor and device identity.
    pub id: (u16, u16),
    /// The BARs, by their index.
    pub bars: BTreeMap<usize, Bar>,
    /// QEMU's model; without one it is not emulated.
    pub qemu: Option<String>,
    /// Bus numbers, where pinned.
    pub buses: Buses,
    /// The bridge's link leaves the machine.
    pub external: bool,
    /// Devices below it come and go.
    pub hotplug: bool,
    /// Function 0 says that the slot has more functions, declared or not.
    pub multifunction: bool,
}

/// A root bus beside the one every platform has.
#[derive(Clone, Debug)]
pub struct Root {
    /// The name of the root bus.
    pub name: Spanned<String>,
    /// The PCI segment (domain).
    pub segment: u16,
    /// The bus number.
    pub bus: u8,
    /// Last bus number below it.
    pub bus_last: u8,
    /// The root bus whose host bridge it belongs to.
    pub expander_of: Option<Spanned<String>>,
    /// The slot of an expander's own function on the first root bus.
    pub slot: Option<Spanned<(u8, u8)>>,
    /// Requester ids to StreamIDs; the platform's mapping without one.
    pub streams: Option<Vec<StreamRow>>,
    /// Bits of a requester id that its own mapping looks at; 0 means all.
    pub stream_mask: u16,
    /// Whether its root complex never routes between root ports; as the platform says without it.
    pub never_routes_peers: Option<bool>,
    /// QEMU's `-device` that makes the root bus.
    pub qemu: Option<String>,
}

/// One table of `[pci]`.
pub enum Wired {
    Bridge(Bridge),
    Root(Root),
}

/// Vendor and device id of QEMU's expander (`pxb-pcie`).
pub const EXPANDER: (u16, u16) = (0x1b36, 0x000b);

#[derive(Clone, Copy)]
enum Kind {
    /// A bridge, with the ids of QEMU's model of it.
    Bridge(FunctionKind, (u16, u16)),
    Expander,
    RootBus,
}

const KINDS: [(&str, Kind); 8] = [
    (
        "root-port",
        Kind::Bridge(FunctionKind::RootPort, (0x1b36, 0x000c)),
    ),
    (
        "upstream-port",
        Kind::Bridge(FunctionKind::UpstreamPort, (0x104c, 0x8232)),
    ),
    (
        "downstream-port",
        Kind::Bridge(FunctionKind::DownstreamPort, (0x104c, 0x8233)),
    ),
    (
        "pcie-to-pci-bridge",
        Kind::Bridge(FunctionKind::PcieToPci, (0x1b36, 0x000e)),
    ),
    (
        "pci-to-pcie-bridge",
        Kind::Bridge(FunctionKind::PciToPcie, (0, 0)),
    ),
    (
        "conventional-bridge",
        Kind::Bridge(FunctionKind::ConventionalBridge, (0x1b36, 0x0001)),
    ),
    ("expander", Kind::Expander),
    ("root-bus", Kind::RootBus),
];

/// Reads one table.
pub fn read(name: Spanned<String>, fields: Fields<'_>, known: &KnownDevices) -> Option<Wired> {
    let kind = fields.required("kind", |fields, key| fields.choice(key, &KINDS));
    // Without its kind nothing is known of the other keys.
    let kind = kind?;
    match kind.value {
        Kind::Bridge(function, id) => {
            read_bridge(name, function, id, &kind.span, fields, known).map(Wired::Bridge)
        }
        Kind::Expander => read_root(name, fields, true).map(Wired::Root),
        Kind::RootBus => read_root(name, fields, false).map(Wired::Root),
    }
}

fn read_bridge(
    name: Spanned<String>,
    kind: FunctionKind,
    usual: (u16, u16),
    kind_span: &Span,
    fields: Fields<'_>,
    known: &KnownDevices,
) -> Option<Bridge> {
    let at = fields.string("at");
    let slot = match (fields.contains("slot"), &at) {
        // A link has one device, so what is below a port need not say where.
        (false, Some(_)) => Some(Spanned::new((0, 0), name.span.clone())),
        _ => fields.required("slot", read_slot),
    };
    let declared_id = fields.parsed("id", "an id such as \"1b36:000c\"", units::device_id);
    let wrong_id = declared_id.is_none() && fields.contains("id");
    let acs = super::acs::read(&fields);
    let buses = read_buses(&fields);
    let external = fields.boolean("external").is_some_and(|v| v.value);
    let hotplug = fields.boolean("hotplug").is_some_and(|v| v.value);
    let multifunction = fields.boolean("multifunction").is_some_and(|v| v.value);
    let (mut bars, _) = known::read_bars(&fields);
    let qemu = fields.string("qemu").map(|qemu| qemu.value);
    let report = fields.report();
    fields.finish();
    if wrong_id {
        return None;
    }
    let model = known.get(&declared_id.as_ref().map_or(usual, |id| id.value));
    if model.is_none() && declared_id.is_none() {
        report
            .error(
                Mistake::UnknownDeviceModel,
                "the identity of this kind of bridge is not known",
            )
            .at(kind_span, "no model of it is in sys/platform/devices.toml")
            .remedy("declare its `id`");
        return None;
    }
    if let (Some(model), true) = (model, bars.is_empty()) {
        bars = model.bars.clone();
    }
    Some(Bridge {
        acs: super::acs::resolve(report, &name, acs, model),
        kind,
        at,
        slot: slot?,
        id: declared_id.map_or(usual, |id| id.value),
        bars,
        qemu: known::merge_qemu(model.and_then(|model| model.qemu.clone()), qemu),
        buses,
        external,
        hotplug,
        multifunction,
        name,
    })
}

/// A number from 0 to `most`; `default` where the key is not there.
fn number(report: &Report, value: Option<Spanned<u32>>, most: u32, default: u32) -> Option<u32> {
    let Some(value) = value else {
        return Some(default);
    };
    if value.value > most {
        report
            .error(Mistake::BadValue, format!("{} is too large", value.value))
            .at(&value.span, format!("expected 0 to {most}"));
        return None;
    }
    Some(value.value)
}

fn read_root(name: Spanned<String>, fields: Fields<'_>, expander: bool) -> Option<Root> {
    let segment = fields.word("segment");
    let bus = fields.required("bus", Fields::word);
    let last = fields.word("bus-last");
    let expander_of = fields.string("expander-of");
    let slot = if expander {
        fields.required("slot", read_slot)
    } else {
        None
    };
    let streams = read_streams(&fields);
    let stream_mask = read_stream_mask(&fields);
    let never_routes_peers = fields.boolean("never-routes-peers");
    let qemu = fields.string("qemu").map(|qemu| qemu.value);
    let report = fields.report();
    fields.finish();
    let segment = number(report, segment, u32::from(u16::MAX), 0)?;
    let bus = number(report, Some(bus?), u32::from(u8::MAX), 0)?;
    let last_span = last.as_ref().map(|last| last.span.clone());
    let last = number(report, last, u32::from(u8::MAX), u32::from(u8::MAX))?;
    if let Some(span) = last_span.filter(|_| last < bus) {
        report
            .error(
                Mistake::BadValue,
                format!("`{}` ends before it begins", name.value),
            )
            .at(&span, format!("its first bus is {bus}"))
            .remedy("let `bus-last` be the last bus number below it");
        return None;
    }
    if let Some(main) = expander_of.as_ref().filter(|main| main.value == name.value) {
        report
            .error(
                Mistake::Loop,
                format!("`{}` is an expander of itself", name.value),
            )
            .at(&main.span, "names its own table")
            .remedy("name the root bus whose root complex it belongs to, or leave it out");
        return None;
    }
    if let Some(never) = never_routes_peers
        .as_ref()
        .filter(|_| expander || expander_of.is_some())
    {
        report
            .error(
                Mistake::BadValue,
                format!("`{}` has no root complex of its own", name.value),
            )
            .at(&never.span, "says how a root complex routes")
            .remedy("write it at the root bus of the expander, or in the platform");
        return None;
    }
    if expander && slot.is_none() {
        return None;
    }
    Some(Root {
        name,
        segment: u16::try_from(segment).ok()?,
        bus: u8::try_from(bus).ok()?,
        bus_last: u8::try_from(last).ok()?,
        expander_of,
        slot,
        streams,
        stream_mask,
        never_routes_peers: never_routes_peers.map(|never| never.value),
        qemu,
    })
}

/// A device and function number.
pub fn read_slot(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<(u8, u8)>> {
    fields.parsed(key, "a slot such as \"3\" or \"3.1\"", units::slot)
}

/// `buses = [secondary, subordinate]`, `spare-buses = 4`.
fn read_buses(fields: &Fields<'_>) -> Buses {
    let mut buses = Buses::default();
    if let Some(pinned) = fields.pair("buses") {
        let [secondary, subordinate] = pinned.value.map(|bus| u8::try_from(bus).ok());
        match (secondary, subordinate) {
            (Some(first), Some(last)) if first <= last => {
                (buses.secondary, buses.subordinate) = (secondary, subordinate);
            }
            _ => {
                fields
                    .report()
                    .error(Mistake::BadValue, "these numbers are not bus numbers")
                    .at(
                        &pinned.span,
                        "expected the bus below it and the last one, up to 255",
                    );
            }
        }
    }
    if let Some(spare) = fields.word("spare-buses") {
        match u8::try_from(spare.value) {
            Ok(value) => buses.spare = value,
            Err(_) => {
                fields
                    .report()
                    .error(Mistake::BadValue, "a segment has 256 buses")
                    .at(&spare.span, "expected at most 255");
            }
        }
    }
    buses
}
