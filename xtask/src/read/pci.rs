//! `[pci.NAME]` and `[devices.NAME]`: the fabric as wired, and the devices in it.

use std::collections::BTreeMap;

use super::fields::{Fields, nearest};
use super::known::{self, Bar, FORMS, FunctionForm, KnownDevice, KnownDevices, Quiesce};
use super::units;
use crate::report::{Mistake, Spanned};

/// A bridge.
#[derive(Clone, Debug)]
pub struct Bridge {
    pub name: Spanned<String>,
    /// The bridge above; on the root bus without one.
    pub at: Option<Spanned<String>>,
    /// Device and function number on its bus.
    pub slot: Spanned<(u8, u8)>,
    /// Whether access control is set and checked at boot.
    pub acs: bool,
    pub known: KnownDevice,
    pub id: (u16, u16),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BridgeKind {
    RootPort,
}

impl BridgeKind {
    /// QEMU's model of it, by its ids in the table of known devices.
    fn id(self) -> (u16, u16) {
        match self {
            Self::RootPort => (0x1b36, 0x000c),
        }
    }
}

/// An endpoint.
#[derive(Clone, Debug)]
pub struct Device {
    pub name: Spanned<String>,
    pub at: Option<Spanned<String>>,
    pub slot: Option<Spanned<(u8, u8)>>,
    pub id: Spanned<(u16, u16)>,
    /// The demand; `None` is neutral.
    pub domain: Option<Spanned<Domain>>,
    /// Bytes of the window's page part, a multiple of 2 MiB.
    pub window: Spanned<u64>,
    /// Bytes of the window's block part, a multiple of 2 MiB.
    pub block_window: u64,
    /// Whether it has a PCI Express capability.
    pub form: FunctionForm,
    /// Pin of its INTx, 1 to 4; 0 for none.
    pub pin: u8,
    pub quiesce: Quiesce,
    pub bars: BTreeMap<usize, Bar>,
    /// QEMU's model with its properties; without one the device is not emulated.
    pub qemu: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domain {
    Dma,
    Identity,
    Blocked,
}

impl Domain {
    pub fn name(self) -> &'static str {
        match self {
            Self::Dma => "dma",
            Self::Identity => "identity",
            Self::Blocked => "blocked",
        }
    }
}

/// Words for [`Domain`].
pub const DOMAINS: [(&str, Domain); 3] = [
    ("dma", Domain::Dma),
    ("identity", Domain::Identity),
    ("blocked", Domain::Blocked),
];

/// Bytes of a window unless the device says otherwise.
const WINDOW: u64 = 2 << 20;
/// Bytes covered by one root entry of a domain's tables: a window, both parts, lies in one.
const WINDOW_MAX: u64 = 1 << 30;

/// Reads one bridge.
pub fn read_bridge(
    name: Spanned<String>,
    fields: Fields<'_>,
    known: &KnownDevices,
) -> Option<Bridge> {
    let kind = fields.required("kind", |fields, key| {
        fields.choice(key, &[("root-port", BridgeKind::RootPort)])
    });
    let at = fields.string("at");
    let slot = fields.required("slot", read_slot);
    let acs = fields.boolean("acs").is_some_and(|acs| acs.value);
    let report = fields.report();
    fields.finish();
    let kind = kind?;
    let id = kind.value.id();
    let Some(device) = known.get(&id) else {
        report
            .error(
                Mistake::UnknownDeviceModel,
                "nothing is known of this kind of bridge",
            )
            .at(
                &kind.span,
                format!(
                    "{:04x}:{:04x} is not in sys/platform/devices.toml",
                    id.0, id.1
                ),
            );
        return None;
    };
    Some(Bridge {
        name,
        at,
        slot: slot?,
        acs,
        known: device.clone(),
        id,
    })
}

fn read_slot(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<(u8, u8)>> {
    fields.parsed(key, "a slot such as \"3\" or \"3.1\"", units::slot)
}

/// Reads one endpoint.
pub fn read_device(
    name: Spanned<String>,
    fields: Fields<'_>,
    known: &KnownDevices,
) -> Option<Device> {
    let at = fields.string("at");
    let slot = read_slot(&fields, "slot");
    let id = fields.required("id", |fields, key| {
        fields.parsed(key, "an id such as \"1af4:1042\"", units::device_id)
    });
    let domain = fields.choice("domain", &DOMAINS);
    let window =
        read_window(&fields, "window").unwrap_or_else(|| Spanned::new(WINDOW, name.span.clone()));
    let block_window = read_window(&fields, "block-window").map_or(0, |size| size.value);
    // The only way there is; declared, so that it can be seen.
    fields.choice("invalidation", &[("strict", ())]);
    let pin = fields.choice(
        "interrupt",
        &[
            ("none", 0),
            ("intx", 1),
            ("inta", 1),
            ("intb", 2),
            ("intc", 3),
            ("intd", 4),
        ],
    );
    let quiesce = known::read_quiesce(&fields);
    let mut bars = known::read_bars(&fields);
    let qemu = fields.string("qemu");
    let form = fields.choice("form", &FORMS).map(|form| form.value);
    let report = fields.report();
    fields.finish();
    if window.value.saturating_add(block_window) > WINDOW_MAX {
        report
            .error(
                Mistake::Window,
                format!("the window of `{}` is too large", name.value),
            )
            .at(&window.span, "both parts together are at most 1 GiB")
            .remedy("use a smaller `window` or `block-window`");
    }
    let id = id?;
    let model = known.get(&id.value);
    if let (Some(model), true) = (model, bars.is_empty()) {
        bars = model.bars.clone();
    }
    if model.is_none() && bars.is_empty() {
        let names: Vec<String> = known
            .keys()
            .map(|id| format!("{:04x}:{:04x}", id.0, id.1))
            .collect();
        let text = format!("{:04x}:{:04x}", id.value.0, id.value.1);
        let draft = report
            .error(
                Mistake::UnknownDeviceModel,
                format!("nothing is known of device {text}"),
            )
            .at(&id.span, "not in sys/platform/devices.toml")
            .remedy("declare its `bars` and `quiesce` here");
        if let Some(near) = nearest(&text, names.iter().map(String::as_str)) {
            drop(draft.note(format!("did you mean \"{near}\"?")));
        }
    }
    let quiesce = quiesce.or_else(|| model.and_then(|model| model.quiesce));
    let Some(quiesce) = quiesce else {
        report
            .error(
                Mistake::NoQuiesce,
                format!("nobody can quiesce `{}`", name.value),
            )
            .at(&name.span, "no recipe is known for it")
            .remedy(
                "declare `quiesce`: \"flr\", \"bus\", { poll = … }, { wait = … }, or \"none\", \
                     with which memory it could reach stays held until power-off",
            );
        return None;
    };
    if let Quiesce::Poll { bar, offset, .. } = quiesce {
        let covers = usize::try_from(bar)
            .ok()
            .and_then(|bar| bars.get(&bar))
            .is_some_and(|bar| u64::from(offset) + 4 <= bar.len && offset % 4 == 0);
        if !covers {
            report
                .error(Mistake::NoQuiesce, "the polled register is not in that BAR")
                .at(
                    &name.span,
                    format!("BAR {bar}, offset {offset:#x}, 32 bits"),
                );
        }
    }
    let base = model.and_then(|model| model.qemu.clone());
    Some(Device {
        name,
        at,
        slot,
        domain,
        window,
        block_window,
        pin: pin.map_or(1, |pin| pin.value),
        form: form
            .or_else(|| model.map(|model| model.form))
            .unwrap_or(FunctionForm::Express),
        quiesce,
        bars,
        qemu: merge_qemu(base, qemu.map(|qemu| qemu.value)),
        id,
    })
}

/// The model's own properties, then those of `app.toml`, which may also name the model again.
fn merge_qemu(model: Option<String>, own: Option<String>) -> Option<String> {
    match (model, own) {
        (Some(model), Some(own)) => {
            let kind = model.split(',').next().unwrap_or_default();
            let properties = own
                .strip_prefix(kind)
                .unwrap_or(&own)
                .trim_start_matches(',');
            if properties.is_empty() {
                Some(model)
            } else {
                Some(format!("{model},{properties}"))
            }
        }
        (model, own) => model.or(own),
    }
}

fn read_window(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<u64>> {
    let size = fields.size(key)?;
    if size.value % abi::layout::BLOCK != 0 || size.value == 0 {
        fields
            .report()
            .error(Mistake::Window, format!("`{key}` is a multiple of 2 MiB"))
            .at(&size.span, "not a multiple of 2 MiB");
        return None;
    }
    Some(size)
}
